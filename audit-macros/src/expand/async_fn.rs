//! `async fn`, the body in an async block that is polled as the call.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Signature;

use super::{Parts, local};
use crate::returns::Returns;

/// Input:  `async fn f(a: A, (x, _): B) -> R { body }`
///
/// Output:
/// ```text
/// async fn f(a: A, __argument_1: B) -> R {
///     let mut call = enter(site);
///     let mut input = call.input();
///     let out = run_async(&mut call, async move {
///         if false { return conjure::<R>() }
///         capture and rebind; match () { () => { body } }
///     }).await;
///     finish; out
/// }
/// ```
///
/// Nothing is awaited after the body: what it returns need not be `Send`. The edge that is never taken
/// tells the compiler the return type, so that coercions work as in the bare function. Objects are watched
/// as in a function that is not async, see [`sync`](super::sync::expand).
pub(super) fn expand(parts: &Parts<'_>) -> (Signature, TokenStream) {
    let Parts { private, call, out, returns, .. } = parts;
    let edge =
        returns.annotation().map(|ty| quote!(if false { return #private::conjure::<#ty>(); }));
    let (enter, capture, body) = (parts.enter(), parts.rebind_and_capture(), parts.body());
    let body = if names_a_future(parts.function.sig.output.to_token_stream()) {
        // An `async fn` that returns a future is none of clippy's business. Our block that does so is,
        // as long as it ends in an expression.
        let arm = returns.annotation().map(|ty| quote!(() if false => #private::conjure::<#ty>(),));
        let body = &parts.function.body;
        quote!(return match () { #arm () => #body };)
    } else {
        body
    };
    let block = {
        let head = if parts.watches.receiver() { quote!(async) } else { quote!(async move) };
        quote!(#head { #edge #capture #body })
    };
    let run = match returns {
        Returns::Opaque | Returns::Recordable { .. } | Returns::Never | Returns::Future { .. } => {
            quote!(#private::run_async_opaque(#call, #block).await)
        }
        _ if parts.watches.any() => {
            let ran = local("__audited_ran");
            let (watched, finish) =
                (parts.finish_watches(), parts.finish(&quote!(#call), &quote!(#out)));
            quote! {
                let #ran = #private::try_run_async(&mut #call, #block).await;
                #watched
                let #out = #call.ran(#ran);
                #finish
                #out
            }
        }
        _ => {
            let finish = parts.finish(&quote!(#call), &quote!(#out));
            quote! {
                let #out = #private::run_async(&mut #call, #block).await;
                #finish
                #out
            }
        }
    };
    let begin = parts.begin_watches();
    (parts.signature(), quote!(#enter #begin #run))
}

/// Whether a type is, or holds, one that is called `Future`, `BoxFuture` or the like.
fn names_a_future(ty: TokenStream) -> bool {
    ty.into_iter().any(|token| match token {
        TokenTree::Group(group) => names_a_future(group.stream()),
        TokenTree::Ident(word) => {
            let word = word.to_string();
            word.ends_with("Future") || ["Pin", "Ready", "JoinHandle"].contains(&word.as_str())
        }
        _ => false,
    })
}
