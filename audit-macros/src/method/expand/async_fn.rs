//! `async fn`: the body runs in an async block that is polled as part of the call.
//!
//! Most functions become functions that return the future of the call: see [`run_async_fn`]. In the
//! others, the async block is awaited inside the `async fn`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{FnArg, ReturnType, Signature, Token, Type};

use super::expansion::{Expansion, allow_underscore_use, cfgs};
use super::{body, call, refuse, sync, watch};
use crate::method::model::{is_built_in, parameter_ident};
use crate::method::return_kind::ReturnKind;
use crate::tokens::local;

/// Input:  `async fn f(a: A, (x, _): B) -> R { body }`
///
/// Output: `fn f(a: A, __argument_1: B) -> impl Future<Output = R> { run_async_fn(…) }`, or
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
    if let ReturnKind::Nameable(ty) = &expansion.return_kind
        && can_return_future(expansion)
    {
        return (returning_future(expansion, ty), run_async_fn(expansion, ty));
    }
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

/// Whether the function may become one that returns a future: see [`run_async_fn`].
///
/// It may not if an attribute macro follows, which may want an `async fn`; if the compiler reports
/// unused outputs only of an `async fn`, because of `#[must_use]`; or if objects are compared,
/// because the body is then surrounded by other code.
fn can_return_future(expansion: &Expansion<'_>) -> bool {
    let attrs = &expansion.function.attrs;
    !expansion.watch_plan.watches_any()
        && attrs.iter().all(|attr| is_built_in(attr) && !attr.path().is_ident("must_use"))
}

/// Input:  `async fn f(a: A) -> R`
///
/// Output: `fn f(a: A) -> impl Future<Output = R>`
///
/// The `impl` has the edition of this crate, so it captures every lifetime, as an `async fn` does.
fn returning_future(expansion: &Expansion<'_>, ty: &Type) -> Signature {
    let (private, here) = (&expansion.private, Span::mixed_site());
    let mut sig = expansion.signature();
    let future = quote_spanned!(here=> impl #private::Future<Output = #ty>);
    let arrow = match &sig.output {
        ReturnType::Type(arrow, _) => *arrow,
        ReturnType::Default => Token![->](here),
    };
    sig.output = ReturnType::Type(arrow, Box::new(Type::Verbatim(future)));
    sig.asyncness = None;
    sig
}

/// Output:
/// ```text
/// run_async_fn(
///     call site,
///     async move {
///         if false { return unreachable_value::<R>(); }
///         let mut input = Input::of_body();
///         …
///     },
///     |call, output| { record the outcome },
///     slot,
/// )
/// ```
///
/// The async block is the only one: each layer would add to the size of the future, and to the depth
/// of its type, of which the compiler has a limit.
fn run_async_fn(expansion: &Expansion<'_>, ty: &Type) -> TokenStream {
    let Expansion { private, input, .. } = expansion;
    let site = call::call_site(expansion);
    let mention = mention_in_order(expansion);
    let first = quote!(let mut #input = #private::Input::of_body(); #mention);
    let block = async_block_with(expansion, &first);
    let finish = sync::finish_closure(expansion, None);
    let slot = sync::output_slot(expansion, Some(ty));
    quote!(#private::run_async_fn(#site, #block, #finish, #slot))
}

/// Output: `let _ = &self; let _ = &a;`
///
/// A future that is never polled drops what it captures in the order in which the block mentions
/// it. That must be the order of the parameters.
fn mention_in_order(expansion: &Expansion<'_>) -> TokenStream {
    let inputs = expansion.function.sig.inputs.iter().enumerate();
    let mentions = inputs.map(|(index, input)| match input {
        FnArg::Receiver(receiver) => {
            let this = Ident::new("self", receiver.self_token.span);
            quote!(let _ = &#this;)
        }
        FnArg::Typed(typed) => {
            let ident = expansion.hidden(&parameter_ident(typed, index));
            let cfgs = cfgs(&typed.attrs);
            let allow = (!expansion.hides_parameters).then(|| allow_underscore_use(&ident));
            quote!(#cfgs #allow let _ = &#ident;)
        }
    });
    mentions.collect()
}

/// Output:
/// ```text
/// async move {
///     if false { return unreachable_value::<R>(); }
///     capture and bind;
///     return match () { () if false => unreachable_value::<R>(), () => { body } };
/// }
/// ```
///
/// The branch that is never taken tells the compiler the return type, so that coercions work as in
/// the original function. So does the arm that is never taken, if the body never ends. The block
/// ends in a statement, because clippy would report an async block whose last expression is a
/// future. In a function `-> !` it does not: the statement would be reported as unreachable.
fn async_block(expansion: &Expansion<'_>) -> TokenStream {
    async_block_with(expansion, &TokenStream::new())
}

fn async_block_with(expansion: &Expansion<'_>, first: &TokenStream) -> TokenStream {
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
    let head = quote!(async move);
    quote!(#head { #branch #first #capture #body })
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
