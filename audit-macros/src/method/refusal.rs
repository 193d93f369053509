//! `on_audit_failure = "refuse"`: which functions support it, and where in the body a call is
//! refused.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use syn::ReturnType;
use syn::spanned::Spanned;

use super::args::MethodArgs;
use super::model::Function;
use super::return_kind::ReturnKind;
use crate::tokens::{is_ident, with_content};

/// Why calls of `function` can't be refused, and where to report it, as far as the syntax shows.
/// Whether the return type is a suitable `Result`, `audit-core` checks by type.
pub(crate) fn unsupported(args: &MethodArgs, function: &Function) -> Option<(Span, &'static str)> {
    let refuse = args.on_audit_failure.as_ref().filter(|policy| policy.value() == "refuse")?;
    if args.capture.as_ref().is_some_and(|level| level.value() == "none") {
        let message = "`capture = \"none\"` records no call, so every call would be refused: \
                       remove one of the two arguments";
        return Some((refuse.span(), message));
    }
    let ReturnType::Type(_, ty) = &function.sig.output else {
        let message = "a function whose calls may be refused must return `Result<T, E>` where \
                       `E: From<audited::Refused>`, but this function returns nothing";
        return Some((function.sig.ident.span(), message));
    };
    let message = match ReturnKind::of(&function.sig.output, function.is_async()) {
        ReturnKind::Nameable(_) => return None,
        _ if function.is_track_caller() && !function.is_async() => {
            "a `#[track_caller]` function whose calls may be refused must return a `Result` \
             without `impl Trait`: name the type"
        }
        ReturnKind::PartlyNameable { .. } => return None,
        ReturnKind::Future { .. } if lone_async_block(&function.body).is_some() => return None,
        ReturnKind::Future { .. } => {
            "this function can run code before it returns its future, and that code can't be \
             refused: make it an `async fn`, or make one `async` block its whole body"
        }
        ReturnKind::Never => {
            "a function that never returns can't return an error when its call is refused"
        }
        ReturnKind::Opaque | ReturnKind::Response | ReturnKind::Recordable { .. } => {
            "a function whose calls may be refused must return `Result<T, E>` where \
             `E: From<audited::Refused>`: replace `impl Trait` with such a type"
        }
    };
    Some((ty.span(), message))
}

/// The async block of a body that is only `async move { … }` or `Box::pin(async move { … })`.
///
/// All code in it runs when the future is polled, and none runs before.
pub(crate) fn lone_async_block(body: &TokenTree) -> Option<Group> {
    let TokenTree::Group(body) = body else { return None };
    let tokens: Vec<TokenTree> = body.stream().into_iter().collect();
    let (last, path) = tokens.split_last()?;
    if is_box_pin(path)
        && let TokenTree::Group(argument) = last
        && argument.delimiter() == Delimiter::Parenthesis
    {
        return async_block(&argument.stream().into_iter().collect::<Vec<_>>());
    }
    async_block(&tokens)
}

/// Input:  `{ Box::pin(async move { body }) }`
///
/// Output: `{ Box::pin(async move { first body }) }`, where the async block is the [lone
/// one](lone_async_block).
pub(crate) fn insert_into_async_block(body: &TokenTree, first: &TokenStream) -> TokenTree {
    let TokenTree::Group(group) = body else { return body.clone() };
    let mut trees: Vec<TokenTree> = group.stream().into_iter().collect();
    let block = async_block(&trees);
    if let Some(last) = trees.last_mut() {
        *last = match block {
            Some(block) => {
                let mut statements = first.clone();
                statements.extend(block.stream());
                with_content(&block, statements)
            }
            None => insert_into_async_block(last, first),
        };
    }
    with_content(group, trees.into_iter().collect())
}

/// `async { … }` or `async move { … }`
fn async_block(tokens: &[TokenTree]) -> Option<Group> {
    let last = match tokens {
        [first, last] if is_ident(Some(first), "async") => last,
        [first, second, last]
            if is_ident(Some(first), "async") && is_ident(Some(second), "move") =>
        {
            last
        }
        _ => return None,
    };
    match last {
        TokenTree::Group(block) if block.delimiter() == Delimiter::Brace => Some(block.clone()),
        _ => None,
    }
}

/// Whether `path` is one of the usual paths of `Box::pin`.
///
/// Only the spelling is available: the macro can't resolve a path. Under any other path the call is
/// rejected with a compile error, so no code runs before a call that should have been refused.
fn is_box_pin(path: &[TokenTree]) -> bool {
    const PATHS: &[&str] = &[
        "Box::pin",
        "std::boxed::Box::pin",
        "::std::boxed::Box::pin",
        "alloc::boxed::Box::pin",
        "::alloc::boxed::Box::pin",
    ];
    let text: String = path.iter().map(ToString::to_string).collect();
    PATHS.contains(&text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    #[test]
    fn a_lone_async_block_is_found_however_it_is_boxed() {
        let body = |tokens| TokenTree::from(Group::new(Delimiter::Brace, tokens));
        for tokens in [
            quote!(async { 1 }),
            quote!(async move { 1 }),
            quote!(Box::pin(async move { 1 })),
            quote!(::std::boxed::Box::pin(async { 1 })),
        ] {
            let body = body(tokens);
            assert!(lone_async_block(&body).is_some(), "{body}");
            let inserted = insert_into_async_block(&body, &quote!(first;)).to_string();
            assert!(inserted.contains("{ first ; 1 }"), "{inserted}");
        }
        for tokens in [
            quote!(
                effect();
                async { 1 }
            ),
            quote!(Box::pin(helper(async { 1 }))),
            quote!(effect(), Box::pin(async { 1 })),
            quote!(spawn(async { 1 })),
            quote!(async { 1 }.boxed()),
            quote!(),
        ] {
            let body = body(tokens);
            assert!(lone_async_block(&body).is_none(), "{body}");
        }
    }
}
