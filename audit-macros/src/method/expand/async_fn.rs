//! `async fn`: the body runs in an async block that is polled as part of the call.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Signature;

use super::expansion::Expansion;
use super::{body, call, refuse, watch};
use crate::method::return_kind::ReturnKind;
use crate::tokens::local;

/// Input:  `async fn f(a: A, (x, _): B) -> R { body }`
///
/// Output:
/// ```text
/// async fn f(a: A, __argument_1: B) -> R {
///     let mut call = enter(call site);
///     let mut input = Call::input(&call);
///     let held = {
///         let output = run_async(&mut call, async move {
///             if false { return unreachable_value::<R>(); }
///             capture and bind;
///             return match () { () if false => unreachable_value::<R>(), () => { body } };
///         }).await;
///         finish; async_output(output).__audited_hold()
///     };
///     wait for the record; held.__audited_release()
/// }
/// ```
///
/// Objects are compared as in `expand_sync`. [`return_when_stored`] shows how the function waits
/// for its record.
pub(crate) fn expand_async(expansion: &Expansion<'_>) -> (Signature, TokenStream) {
    let Expansion { private, call, output, return_kind, .. } = expansion;
    let enter = call::enter(expansion);
    let begin_watches = watch::begin(expansion);
    let block = async_block(expansion);
    let run = match return_kind {
        ReturnKind::Opaque
        | ReturnKind::Recordable { .. }
        | ReturnKind::Never
        | ReturnKind::Future { .. } => {
            quote!(#private::run_async_opaque(#call, #block).await)
        }
        _ if expansion.watch_plan.compares_any() => {
            let (ran, finish_watches) = (local("__audited_ran"), watch::finish(expansion));
            let run = quote! {
                let #ran = #private::try_run_async(&mut #call, #block).await;
                #finish_watches
                let #output = #private::Call::unwrap_or_resume(&mut #call, #ran);
            };
            return_when_stored(expansion, &run)
        }
        _ => {
            let run = quote!(let #output = #private::run_async(&mut #call, #block).await;);
            return_when_stored(expansion, &run)
        }
    };
    (expansion.signature(), quote!(#enter #begin_watches #run))
}

/// Output:
/// ```text
/// async move {
///     if false { return unreachable_value::<R>(); }
///     capture and bind;
///     return match () { () if false => unreachable_value::<R>(), () => { body } };
/// }
/// ```
/// without `move` where the body borrows the receiver.
///
/// The branch that is never taken tells the compiler the return type, so that coercions work as in
/// the original function. So does the arm that is never taken, if the body never ends. The block
/// ends in a statement, because clippy would report an async block whose last expression is a
/// future. In a function `-> !` it does not: the statement would be reported as unreachable.
fn async_block(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { private, return_kind, .. } = expansion;
    let value = return_kind.annotation().map(|ty| quote!(#private::unreachable_value::<#ty>()));
    let branch = value.as_ref().map(|value| quote!(if false { return #value; }));
    let body = if matches!(return_kind, ReturnKind::Never) {
        body::body(expansion)
    } else {
        let arm = value.map(|value| quote!(() if false => #value,));
        let body = refuse::body_with_refusal(expansion);
        quote!(return match () { #arm () => #body };)
    };
    let capture = body::capture_and_bind(expansion);
    let head =
        if expansion.watch_plan.compares_receiver() { quote!(async) } else { quote!(async move) };
    quote!(#head { #branch #capture #body })
}

/// Output, where `run` leaves the returned value in `output`:
/// ```text
/// let held = { run; finish; async_output(output).__audited_hold() };
/// if held.__audited_is_waiting(&mut call) {
///     let here = reached();
///     Call::wait_async(&mut call).await;
///     held.__audited_was_reached(here);
/// }
/// held.__audited_release()
/// ```
///
/// A value that is not known to be `Send` must not be part of the future while that awaits its
/// record. For such a value, `__audited_is_waiting` blocks the thread, and `reached` returns `!`, so that the
/// compiler sees no `await`. `run` has a block of its own, because a borrowed local is part of the
/// future even after it has been moved.
///
/// The compiler is not asked whether a type that can't be named is `Send`: the answer may depend on
/// the bodies of other functions, which depend on this one. There the thread is blocked.
fn return_when_stored(expansion: &Expansion<'_>, run: &TokenStream) -> TokenStream {
    let Expansion { private, call, output, return_kind, args, .. } = expansion;
    let finish = call::finish(expansion, call, output);
    if args.never_waits() {
        return quote!(#run #finish #output);
    }
    if !matches!(return_kind, ReturnKind::Nameable(_)) {
        return quote!(#run #finish #private::Call::wait(&mut #call); #output);
    }
    let (held, here) = (local("__audited_held"), local("__audited_here"));
    quote! {
        let #held = { #run #finish #private::async_output(#output).__audited_hold() };
        if #held.__audited_is_waiting(&mut #call) {
            let #here = { let __audited_borrowed = &#held; #private::reached() };
            #private::Call::wait_async(&mut #call).await;
            #held.__audited_was_reached(#here);
        }
        #held.__audited_release()
    }
}
