//! `fn`: the body runs in a closure that is called at once.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, format_ident, quote};
use syn::{Signature, Type};

use super::expansion::Expansion;
use super::{body, call, watch};
use crate::method::return_kind::ReturnKind;
use crate::tokens::{any_token, is_ident, local};

/// Input:  `fn f(a: A, (x, _): B) -> R { body }`
///
/// Output:
/// ```text
/// fn f(a: A, __argument_1: B) -> R {
///     let mut call = enter(call site);
///     let mut input = Call::input(&call);
///     let body = move || -> R { capture and bind; match () { () => { body } } };
///     run it, and record the outcome
/// }
/// ```
/// [`run_named`] shows the end.
///
/// With objects that are compared:
/// ```text
/// fn f(mut self: &mut Self, a: &mut A) -> R {
///     let mut call = enter(call site);
///     let mut input = Call::input(&call);
///     let mut watch = watch::<_, fn(&()) -> R>(&mut self).__audited_begin(&call, "self");
///     let mut lent_1 = lend::<_, fn(&())>(a).__audited_begin(&call, "a");
///     let loan_1 = &mut lent_1;
///     let ran = Call::try_run(&mut call, move || -> R {
///         capture; let a = loan_1.__audited_lend(); match () { () => { body } }
///     });
///     watch.__audited_finish();
///     lent_1.__audited_finish();
///     let output = Call::unwrap_or_resume(&mut call, ran);
///     finish; output
/// }
/// ```
pub(crate) fn expand_sync(expansion: &Expansion<'_>) -> (Signature, TokenStream) {
    let enter = call::enter(expansion);
    let begin_watches = watch::begin(expansion);
    let closure = closure(expansion);
    let run = match &expansion.return_kind {
        ReturnKind::Recordable { by } => run_recordable(expansion, &closure, by),
        ReturnKind::Opaque | ReturnKind::Never => {
            let Expansion { private, call, .. } = expansion;
            quote!(#private::run_opaque(#call, #closure))
        }
        ReturnKind::Future { output } => run_future(expansion, &closure, output.as_deref()),
        ReturnKind::Nameable(ty) => run_named(expansion, &closure, ty),
        ReturnKind::PartlyNameable { .. } | ReturnKind::Response => {
            let Expansion { private, call, output, .. } = expansion;
            let finish = call::finish_moved(expansion);
            quote!(let #output = #private::Call::run(&mut #call, #closure); #finish #output)
        }
    };
    (expansion.signature(), quote!(#enter #begin_watches #run))
}

/// Output: `move || -> R { capture and bind; match () { () => { body } } }`
fn closure(expansion: &Expansion<'_>) -> TokenStream {
    let arrow = quote!(->);
    let annotation = match &expansion.return_kind {
        ReturnKind::Never => Some(quote!(#arrow !)),
        return_kind => return_kind.annotation().map(|ty| quote!(#arrow #ty)),
    };
    let head = quote!(move ||);
    let (capture, body) = (body::capture_and_bind(expansion), body::body(expansion));
    quote!(#head #annotation { #capture #body })
}

/// Output:
/// ```text
/// let body = closure;
/// if Call::is_recorded(&call) {
///     returned::<R>().__audited_run(call, body, |call, output| { record the outcome })
/// } else {
///     body()
/// }
/// ```
///
/// A call that is not recorded needs no stack frame between the function and its body, even in a
/// debug build. If objects are compared, they are compared between body and outcome.
fn run_named(expansion: &Expansion<'_>, closure: &TokenStream, ty: &Type) -> TokenStream {
    let Expansion { private, call, output, .. } = expansion;
    let (finish, body) = (finish_closure(expansion, None), local("__audited_body"));
    let returned = quote!(#private::returned::<#ty>());
    if expansion.watch_plan.compares_any() {
        let (ran, finish_watches) = (local("__audited_ran"), watch::finish(expansion));
        return quote! {
            let #ran = #private::Call::try_run(&mut #call, #closure);
            #finish_watches
            let #output = #private::Call::unwrap_or_resume(&mut #call, #ran);
            #returned.__audited_finish(#call, #output, #finish)
        };
    }
    quote! {
        let #body = #closure;
        if #private::Call::is_recorded(&#call) {
            #returned.__audited_run(#call, #body, #finish)
        } else {
            #body()
        }
    }
}

/// Output:
/// `let output = Call::run(&mut call, closure); record output by "Serialize" or "Debug"; output`
fn run_recordable(expansion: &Expansion<'_>, closure: &TokenStream, by: &str) -> TokenStream {
    let Expansion { private, call, output, .. } = expansion;
    let (record, ended) = (format_ident!("by_{}", by.to_lowercase()), local("__audited_ended"));
    quote! {
        let #output = #private::Call::run(&mut #call, #closure);
        if #private::Call::is_recorded(&#call) {
            let mut #ended = #call;
            #private::#record(&#output).__audited_record_output(&mut #ended);
        }
        #output
    }
}

/// Output: `run_future(call, closure, |call, output| { record the outcome }, slot)`
fn run_future(
    expansion: &Expansion<'_>,
    closure: &TokenStream,
    output: Option<&Type>,
) -> TokenStream {
    let Expansion { private, call, .. } = expansion;
    let (finish, slot) = (finish_closure(expansion, output), output_slot(expansion, output));
    quote!(#private::run_future(#call, #closure, #finish, #slot))
}

/// Output: `|call: &mut Call, output: &T| { record the outcome }`, for the output of a future.
pub(crate) fn finish_closure(expansion: &Expansion<'_>, ty: Option<&Type>) -> TokenStream {
    let Expansion { private, call, output, return_kind, .. } = expansion;
    if matches!(return_kind, ReturnKind::Future { .. }) && ty.is_none() {
        return quote! {
            |#call, #output| #private::opaque(#output).__audited_record_output(#call)
        };
    }
    let annotation = ty.map(|ty| quote!(: &#ty));
    let outcome = call::record_outcome(expansion, &quote!((*#call)), &quote!((*#output)));
    quote!(|#call: &mut #private::Call, #output #annotation| { #outcome })
}

/// Output: `output_slot::<T>().__audited_make()`, which keeps an output of type `T` while a future
/// waits for its record, if `T` is `Send`.
pub(crate) fn output_slot(expansion: &Expansion<'_>, output: Option<&Type>) -> TokenStream {
    let Expansion { private, args, .. } = expansion;
    let is_named = |ty: &&Type| !any_token(ty.to_token_stream(), &|it| is_ident(Some(it), "_"));
    match output.filter(is_named).filter(|_| !args.never_waits()) {
        Some(ty) => quote!(#private::output_slot::<#ty>().__audited_make()),
        None => quote!(#private::NoSlot),
    }
}
