//! `on_audit_failure = "refuse"`: which functions can bear it, and what stands between arguments and body.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use syn::ReturnType;
use syn::spanned::Spanned;

use crate::args::Args;
use crate::model::Function;
use crate::returns::Returns;

/// Why calls of `function` can't be refused, as far as spelling tells, and where to say it. Whether what it returns is
/// a `Result` is found out by type, in `audit-core`.
pub(crate) fn obstacle(args: &Args, function: &Function) -> Option<(Span, &'static str)> {
    let refuse = args.on_audit_failure.as_ref().filter(|policy| policy.value() == "refuse")?;
    if args.capture.as_ref().is_some_and(|level| level.value() == "none") {
        let message = "`capture = \"none\"` keeps every call off the record, so every call would be refused: leave \
                       out one of them";
        return Some((refuse.span(), message));
    }
    let ReturnType::Type(_, ty) = &function.sig.output else {
        let message = "a call that may be refused returns `Result<T, E>` where `E: From<audited::Refused>`, but this \
                       function returns nothing";
        return Some((function.sig.ident.span(), message));
    };
    let message = match Returns::of(&function.sig.output, function.is_async()) {
        Returns::Plain(_) => return None,
        _ if function.is_track_caller() && !function.is_async() => {
            "under `#[track_caller]`, a call that may be refused returns a `Result` whose type is written out"
        }
        Returns::Partly { .. } => return None,
        Returns::Future { .. } if lone_async_block(&function.body).is_some() => return None,
        Returns::Future { .. } => {
            "what this function does before it returns its future can't be refused: make it an `async fn`, or \
             make one `async` block the whole body"
        }
        Returns::Never => "a function that never returns can't say that its call was refused",
        Returns::Opaque | Returns::Recordable { .. } => {
            "a call that may be refused returns `Result<T, E>` where `E: From<audited::Refused>`, which `impl Trait` \
             can't say: write the type out"
        }
    };
    Some((ty.span(), message))
}

/// For a body that is nothing but `async move { … }` or `Box::pin(async move { … })`: that block.
///
/// What stands in it runs when the future is polled, and nothing runs before.
pub(crate) fn lone_async_block(body: &TokenTree) -> Option<Group> {
    let TokenTree::Group(body) = body else { return None };
    let tokens: Vec<TokenTree> = body.stream().into_iter().collect();
    let (last, path) = tokens.split_last()?;
    if is_pin(path)
        && let TokenTree::Group(argument) = last
        && argument.delimiter() == Delimiter::Parenthesis
    {
        return async_block(&argument.stream().into_iter().collect::<Vec<_>>());
    }
    async_block(&tokens)
}

/// The body with `first` at the beginning of its [lone async block](lone_async_block).
pub(crate) fn within_async_block(body: &TokenTree, first: &TokenStream) -> TokenTree {
    let TokenTree::Group(group) = body else { return body.clone() };
    let mut trees: Vec<TokenTree> = group.stream().into_iter().collect();
    let block = async_block(&trees);
    if let Some(last) = trees.last_mut() {
        *last = match block {
            Some(block) => {
                let mut tokens = first.clone();
                tokens.extend(block.stream());
                regrouped(&block, tokens)
            }
            None => within_async_block(last, first),
        };
    }
    regrouped(group, trees.into_iter().collect())
}

fn regrouped(group: &Group, tokens: TokenStream) -> TokenTree {
    let mut new = Group::new(group.delimiter(), tokens);
    new.set_span(group.span());
    new.into()
}

/// `async { … }` or `async move { … }`
fn async_block(tokens: &[TokenTree]) -> Option<Group> {
    let is = |tree: &TokenTree, word: &str| matches!(tree, TokenTree::Ident(it) if it == word);
    let last = match tokens {
        [first, last] if is(first, "async") => last,
        [first, second, last] if is(first, "async") && is(second, "move") => last,
        _ => return None,
    };
    match last {
        TokenTree::Group(block) if block.delimiter() == Delimiter::Brace => Some(block.clone()),
        _ => None,
    }
}

/// `Box::pin`, by any path.
fn is_pin(path: &[TokenTree]) -> bool {
    let text: String = path.iter().map(ToString::to_string).collect();
    text == "Box::pin"
        || ["std", "alloc"]
            .iter()
            .any(|root| text.trim_start_matches("::") == format!("{root}::boxed::Box::pin"))
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
            let within = within_async_block(&body, &quote!(first;)).to_string();
            assert!(within.contains("{ first ; 1 }"), "{within}");
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
