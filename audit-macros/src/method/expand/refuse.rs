//! Tokens that end the capture of arguments. Under `on_audit_failure = "refuse"` they also decide
//! whether the body runs.

use std::borrow::Cow;

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::ReturnType;
use syn::spanned::Spanned;

use super::expansion::Expansion;
use crate::method::refusal::{insert_into_async_block, lone_async_block};
use crate::method::return_kind::ReturnKind;
use crate::tokens::local;

/// Output: `Input::done(input);`, or the statement that may refuse the call.
pub(crate) fn end_input(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { private, input, .. } = expansion;
    if !expansion.args.refuses() {
        return quote!(#private::Input::done(#input););
    }
    if expansion.is_in_place() || is_refused_when_polled(expansion) {
        return TokenStream::new();
    }
    refuse_or_continue(expansion, |refused| quote!(return #refused;))
}

/// Output:
/// ```text
/// if let Err(refused) = Input::admit(input, || ()) {
///     leave(<R as FromRefused>::from_refused(refused))
/// }
/// ```
/// In an `async fn`, `Input::admit_async(input, || ()).await`.
pub(crate) fn refuse_or_continue(
    expansion: &Expansion<'_>,
    leave: impl Fn(TokenStream) -> TokenStream,
) -> TokenStream {
    let Expansion { private, input, return_kind, function, .. } = expansion;
    let refused = local("__audited_refused");
    let value = match return_kind.annotation() {
        Some(ty) => {
            // The compiler reports an unsuitable return type where that is written.
            let span = Span::mixed_site().located_at(ty.span());
            quote_spanned!(span=> <#ty as #private::FromRefused>::from_refused(#refused))
        }
        None => quote!(#private::from_refused(#refused)),
    };
    let leave = leave(value);
    let admission = if function.is_async() {
        quote!(#private::Input::admit_async(#input, || ()).await)
    } else {
        quote!(#private::Input::admit(#input, || ()))
    };
    quote!(if let #private::Err(#refused) = #admission { #leave })
}

/// Whether a function that returns a future is refused when that is polled, in the async block that
/// is its whole body.
fn is_refused_when_polled(expansion: &Expansion<'_>) -> bool {
    let Expansion { args, function, return_kind, .. } = expansion;
    args.refuses()
        && !function.is_async()
        && matches!(return_kind, ReturnKind::Future { .. } | ReturnKind::Nameable(_))
        && lone_async_block(&function.body).is_some()
}

/// Output: the body of the function. If the call is refused when its future is polled:
/// ```text
/// { Box::pin(async move {
///     if let Err(refused) = Input::admit_async(input, || ()).await {
///         return from_refused(refused);
///     }
///     …
/// }) }
/// ```
pub(crate) fn body_with_refusal<'e>(expansion: &'e Expansion<'_>) -> Cow<'e, TokenTree> {
    let Expansion { private, input, function, .. } = expansion;
    if !is_refused_when_polled(expansion) {
        return Cow::Borrowed(&function.body);
    }
    let refused = local("__audited_refused");
    let value = quote!(#private::from_refused(#refused));
    // The compiler reports an unsuitable return type where that is written.
    let value = match &function.sig.output {
        ReturnType::Type(_, ty) => located_at(ty.span(), value),
        ReturnType::Default => value,
    };
    let first = quote! {
        if let #private::Err(#refused) = #private::Input::admit_async(#input, || ()).await {
            return #value;
        }
    };
    Cow::Owned(insert_into_async_block(&function.body, &first))
}

/// The tokens with their hygiene, at another place: errors about them are reported there.
fn located_at(place: Span, tokens: TokenStream) -> TokenStream {
    let relocate = |mut tree: TokenTree| {
        if let TokenTree::Group(group) = &tree {
            tree = Group::new(group.delimiter(), located_at(place, group.stream())).into();
        }
        tree.set_span(tree.span().located_at(place));
        tree
    };
    tokens.into_iter().map(relocate).collect()
}
