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
///     let held = {
///         let out = run_async(&mut call, async move {
///             if false { return conjure::<R>() }
///             capture and rebind; match () { () => { body } }
///         }).await;
///         finish; keep(out).held()
///     };
///     wait; held.release()
/// }
/// ```
///
/// The edge that is never taken tells the compiler the return type, so that coercions work as in the bare function.
/// Objects are watched as in a function that is not async, see [`sync`](super::sync::expand). How a record is waited
/// for, see [`Parts::awaited`].
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
            parts.awaited(quote! {
                let #ran = #private::try_run_async(&mut #call, #block).await;
                #watched
                let #out = #call.ran(#ran);
                #finish
            })
        }
        _ => {
            let finish = parts.finish(&quote!(#call), &quote!(#out));
            parts.awaited(quote! {
                let #out = #private::run_async(&mut #call, #block).await;
                #finish
            })
        }
    };
    let begin = parts.begin_watches();
    (parts.signature(), quote!(#enter #begin #run))
}

impl Parts<'_> {
    /// Output, where `ran` ends with the value in `out`:
    /// ```text
    /// let held = { ran keep(out).held() };
    /// if held.is_waiting(&mut call) {
    ///     let _here = reached(); call.stored().await; held.was_reached(_here);
    /// }
    /// held.release()
    /// ```
    ///
    /// A value that is not known to be `Send` must not be in the future while something is awaited. For it,
    /// `is_waiting` waits on the thread, and `reached` returns `!`: the compiler sees no `await` then. In a block of
    /// its own, for a local that was borrowed stays in the future also once it has been moved out of.
    ///
    /// Where the type can't be named, it may hang on the bodies of other functions, which hang on this one: the
    /// compiler is not asked about it, and the thread waits.
    fn awaited(&self, ran: TokenStream) -> TokenStream {
        let Self { private, call, out, returns, plan, .. } = self;
        if plan.never_waits() {
            return quote!(#ran #out);
        }
        if !matches!(returns, Returns::Plain(_)) {
            return quote!(#ran #call.wait(); #out);
        }
        let (held, here) = (local("__audited_held"), local("_audited_here"));
        quote! {
            let #held = { #ran #private::keep(#out).held() };
            if #held.is_waiting(&mut #call) {
                let #here = { let _held = &#held; #private::reached() };
                #call.stored().await;
                #held.was_reached(#here);
            }
            #held.release()
        }
    }
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
