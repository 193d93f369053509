//! `fn`: the body runs in a closure that is called at once.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Signature, Type};

use super::expansion::Expansion;
use super::{body, call, watch};
use crate::method::return_kind::ReturnKind;
use crate::method::type_spelling::may_be_boxed_future;
use crate::tokens::local;

/// Input:  `fn f(a: A, (x, _): B) -> R { body }`
///
/// Output:
/// ```text
/// fn f(a: A, __argument_1: B) -> R {
///     let mut call = enter(call site);
///     let mut input = Call::input(&call);
///     let output = Call::run(&mut call, move || -> R {
///         capture and bind; match () { () => { body } }
///     });
///     finish; output
/// }
/// ```
///
/// With objects that are compared:
/// ```text
/// fn f(&mut self, a: &mut A) -> R {
///     let mut call = enter(call site);
///     let mut input = Call::input(&call);
///     let watch = watch::<_, fn(&()) -> R>(&*self).__audited_begin(&call, "self");
///     capture self;
///     let mut lent_1 = lend::<_, fn(&())>(a).__audited_begin(&call, "a");
///     let loan_1 = &mut lent_1;
///     let ran = Call::try_run(&mut call, || -> R {
///         whole(&mut *self); capture; let a = loan_1.__audited_lend(); match () { () => { body } }
///     });
///     if watch.__audited_is_watching() {
///         let here = reached();
///         watch.__audited_finish(&*self);
///         watch.__audited_was_reached(here);
///     }
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
        ReturnKind::Nameable(ty) if may_be_boxed_future(ty) => {
            let Expansion { private, call, output, .. } = expansion;
            let run = run_closure(expansion, &closure);
            let finish = finish_closure(expansion, None);
            quote!(#run #private::returned(#output).__audited_finish(#call, #finish))
        }
        ReturnKind::Nameable(_) | ReturnKind::PartlyNameable { .. } => {
            let (run, output) = (run_closure(expansion, &closure), &expansion.output);
            let finish = call::finish_moved(expansion);
            quote!(#run #finish #output)
        }
    };
    (expansion.signature(), quote!(#enter #begin_watches #run))
}

/// Output: `move || -> R { capture and bind; match () { () => { body } } }`, without `move` where
/// the body borrows the receiver.
fn closure(expansion: &Expansion<'_>) -> TokenStream {
    let arrow = quote!(->);
    let annotation = match &expansion.return_kind {
        ReturnKind::Never => Some(quote!(#arrow !)),
        return_kind => return_kind.annotation().map(|ty| quote!(#arrow #ty)),
    };
    let head = if expansion.watch_plan.compares_receiver() { quote!(||) } else { quote!(move ||) };
    let (capture, body) = (body::capture_and_bind(expansion), body::body(expansion));
    quote!(#head #annotation { #capture #body })
}

/// Output: `let output = Call::run(&mut call, closure);`, with the comparison of objects in between.
fn run_closure(expansion: &Expansion<'_>, closure: &TokenStream) -> TokenStream {
    let Expansion { private, call, output, .. } = expansion;
    if expansion.watch_plan.compares_any() {
        let (ran, finish_watches) = (local("__audited_ran"), watch::finish(expansion));
        quote! {
            let #ran = #private::Call::try_run(&mut #call, #closure);
            #finish_watches
            let #output = #private::Call::unwrap_or_resume(&mut #call, #ran);
        }
    } else {
        quote!(let #output = #private::Call::run(&mut #call, #closure);)
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

/// Output: `run_future(call, closure, |call, output| { finish }, room)`
///
/// `room` keeps the output while the future waits for its record, if the output is `Send`.
fn run_future(
    expansion: &Expansion<'_>,
    closure: &TokenStream,
    output: Option<&Type>,
) -> TokenStream {
    let Expansion { private, call, args, .. } = expansion;
    let finish = finish_closure(expansion, output);
    let room = match output.filter(|_| !args.never_waits()) {
        Some(ty) => quote!(#private::output_slot::<#ty>().__audited_make()),
        None => quote!(#private::NoSlot),
    };
    quote!(#private::run_future(#call, #closure, #finish, #room))
}

/// Output: `|call: &mut Call, output: &T| { finish }`, for the output of a future, or for a value
/// that turns out to be no future.
fn finish_closure(expansion: &Expansion<'_>, ty: Option<&Type>) -> TokenStream {
    let Expansion { private, call, output, return_kind, .. } = expansion;
    if matches!(return_kind, ReturnKind::Future { .. }) && ty.is_none() {
        return quote! {
            |#call, #output| #private::opaque(#output).__audited_record_output(#call)
        };
    }
    let annotation = ty.map(|ty| quote!(: &#ty));
    let finish = call::finish(expansion, &quote!((*#call)), &quote!((*#output)));
    quote!(|#call: &mut #private::Call, #output #annotation| { #finish })
}
