//! `fn`, the body in a closure that is called at once.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Signature;

use super::{Parts, local};
use crate::returns::Returns;

/// Input:  `fn f(a: A, (x, _): B) -> R { body }`
///
/// Output:
/// ```text
/// fn f(a: A, __argument_1: B) -> R {
///     let mut call = enter(site);
///     let mut input = call.input();
///     let out = call.run(move || -> R { capture and rebind; match () { () => { body } } });
///     finish; out
/// }
/// ```
///
/// With objects that are watched:
/// ```text
/// fn f(&mut self, a: &mut A) -> R {
///     let mut call = enter(site);
///     let mut input = call.input();
///     let watch = watch::<_, fn(&()) -> R>(&*self).begin(&call, "self");
///     capture self;
///     let mut lent_1 = lend::<_, fn(&())>(a).begin(&call, "a");
///     let loan_1 = &mut lent_1;
///     let ran = call.try_run(|| -> R {
///         whole(&mut *self); capture; let a = loan_1.lend(); match () { () => { body } }
///     });
///     if watch.is_watching() {
///         let _here = reached(); watch.finish(&*self); watch.was_reached(_here);
///     }
///     lent_1.finish();
///     let out = call.ran(ran);
///     finish; out
/// }
/// ```
pub(super) fn expand(parts: &Parts<'_>) -> (Signature, TokenStream) {
    let Parts { private, call, out, returns, .. } = parts;
    let annotation = match returns {
        Returns::Never => quote!(-> !),
        _ => returns.annotation().map_or_else(TokenStream::new, |ty| {
            let arrow = quote!(->);
            quote!(#arrow #ty)
        }),
    };
    let (enter, capture, body) = (parts.enter(), parts.rebind_and_capture(), parts.body());
    let closure = {
        let head = if parts.watches.receiver() { quote!(||) } else { quote!(move ||) };
        quote!(#head #annotation { #capture #body })
    };
    let begin = parts.begin_watches();
    let run_closure = if parts.watches.any() {
        let (ran, finish) = (local("__audited_ran"), parts.finish_watches());
        quote!(let #ran = #call.try_run(#closure); #finish let #out = #call.ran(#ran);)
    } else {
        quote!(let #out = #call.run(#closure);)
    };
    let run = match returns {
        Returns::Recordable { by } => {
            let (record, ended) =
                (format_ident!("by_{}", by.to_lowercase()), local("__audited_ended"));
            quote! {
                let #out = #call.run(#closure);
                if #call.is_recorded() {
                    let mut #ended = #call;
                    #private::#record(&#out).record_output(&mut #ended);
                }
                #out
            }
        }
        Returns::Opaque | Returns::Never => quote!(#private::run_opaque(#call, #closure)),
        Returns::Future { output } => {
            let finish = future_finish(parts, output.as_deref());
            let room = parts.room(output.as_deref());
            quote!(#private::run_future(#call, #closure, #finish, #room))
        }
        Returns::Plain(_) if returns.may_be_boxed_future() => {
            let finish = future_finish(parts, None);
            quote! {
                #run_closure
                #private::returned(#out).finish(#call, #finish)
            }
        }
        _ => {
            let finish = parts.finish_moved();
            quote!(#run_closure #finish #out)
        }
    };
    (parts.signature(), quote!(#enter #begin #run))
}

impl Parts<'_> {
    /// Output: `room::<T>().make()`, for a future that waits for its record with its output, if that is `Send`.
    fn room(&self, output: Option<&syn::Type>) -> TokenStream {
        let private = &self.private;
        match output.filter(|_| !self.plan.never_waits()) {
            Some(ty) => quote!(#private::room::<#ty>().make()),
            None => quote!(#private::NoRoom),
        }
    }
}

/// Output: `|call, out: &T| { finish }`; for a future's output, or for what `returned` finds to be
/// no future.
fn future_finish(parts: &Parts<'_>, output: Option<&syn::Type>) -> TokenStream {
    let Parts { private, call, out, .. } = parts;
    if matches!(parts.returns, Returns::Future { .. }) && output.is_none() {
        return quote!(|#call, #out| #private::opaque(#out).record_output(#call));
    }
    let ty = output.map(|ty| quote!(: &#ty));
    let finish = parts.finish(&quote!((*#call)), &quote!((*#out)));
    quote!(|#call: &mut #private::Call, #out #ty| { #finish })
}
