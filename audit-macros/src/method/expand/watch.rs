//! Tokens that compare `&mut` parameters before and after the body, as the watch plan says.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::Type;

use super::capture::Position;
use super::expansion::{Expansion, allow_underscore_use, cfgs, numbered, parameter_name};
use super::watch_plan::Watch;
use crate::method::model::{is_plain, parameter_ident};
use crate::method::return_kind::ReturnKind;
use crate::tokens::local;

/// Output, before the body:
/// ```text
/// let mut watch = watch::<_, fn(&()) -> R>(&mut self).__audited_begin(&call, "self");
/// let mut lent_1 = lend::<_, fn(&()) -> R>(a).__audited_begin(&call, "a");
/// let loan_1 = &mut lent_1;
/// ```
pub(crate) fn begin(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { private, call, return_kind, .. } = expansion;
    let mut tokens = report_unseen(expansion, Position::BeforeBinding);
    let ReturnKind::Nameable(returned) = return_kind else { return tokens };
    let borrows_from_nothing = lookup_marker(expansion, None);
    let may_borrow = lookup_marker(expansion, Some(returned));
    if let Some(this) = compared_receiver(expansion) {
        let watch = local("__audited_watch");
        tokens.extend(quote! {
            let mut #watch =
                #private::watch::<_, #may_borrow>(&mut #this).__audited_begin(&#call, "self");
        });
    }
    // With a receiver that is a reference, an elided lifetime in the return type is the receiver's.
    let marker = if expansion.function.has_reference_receiver() {
        &borrows_from_nothing
    } else {
        &may_borrow
    };
    for (index, typed) in expansion.parameters(Watch::Compared) {
        let ident = expansion.hidden(&parameter_ident(typed, index));
        let name = parameter_name(typed, index);
        let (lent, loan) = (numbered("__audited_lent", index), expansion.loan(index));
        let cfgs = cfgs(&typed.attrs);
        let allow = (!expansion.hides_parameters).then(|| allow_underscore_use(&ident));
        tokens.extend(quote! {
            #cfgs #allow let mut #lent =
                #private::lend::<_, #marker>(#ident).__audited_begin(&#call, #name);
            #cfgs let #loan = &mut #lent;
        });
    }
    tokens
}

fn compared_receiver(expansion: &Expansion<'_>) -> Option<Ident> {
    expansion.receiver().filter(|_| expansion.watch_plan.receiver == Watch::Compared)
}

/// Output: `fn(&()) -> R`, by which `audit-core` finds out whether the returned value may borrow
/// from the object; `Own` where it can't. In a future, `InFuture<…>`.
fn lookup_marker(expansion: &Expansion<'_>, returned: Option<&Type>) -> TokenStream {
    let private = &expansion.private;
    let is_unit = |ty: &Type| matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty());
    let marker = match returned.filter(|ty| !is_unit(ty)) {
        Some(returned) => quote!(fn(&()) -> #returned),
        None => quote!(#private::OwnedReturn),
    };
    if expansion.function.is_async() { quote!(#private::InFuture<#marker>) } else { marker }
}

/// Output: `unwatched(&*a).__audited_report(&call, "a");` for each parameter that can't be compared.
/// If its type is audited, the record says that changes are missing.
pub(crate) fn report_unseen(expansion: &Expansion<'_>, position: Position) -> TokenStream {
    let Expansion { private, call, watch_plan, hides_parameters, .. } = expansion;
    let is_before = position == Position::BeforeBinding;
    let mut tokens = TokenStream::new();
    if let Some(this) =
        expansion.receiver().filter(|_| watch_plan.receiver == Watch::ReportedUnseen)
    {
        tokens.extend(quote!(#private::unwatched(&*#this).__audited_report(&#call, "self");));
    }
    for (index, typed) in expansion.parameters(Watch::ReportedUnseen) {
        if !is_before && !is_plain(&typed.pat) {
            continue;
        }
        let ident = parameter_ident(typed, index);
        let ident = if is_before { expansion.hidden(&ident) } else { ident };
        let name = parameter_name(typed, index);
        let cfgs = cfgs(&typed.attrs);
        let allow = (!(is_before && *hides_parameters)).then(|| allow_underscore_use(&ident));
        tokens.extend(quote! {
            #cfgs #allow #private::unwatched(&*#ident).__audited_report(&#call, #name);
        });
    }
    tokens
}

/// Output, after the body: `watch.__audited_finish(); lent_1.__audited_finish();`
pub(crate) fn finish(expansion: &Expansion<'_>) -> TokenStream {
    let mut tokens = TokenStream::new();
    if compared_receiver(expansion).is_some() {
        let watch = local("__audited_watch");
        tokens.extend(quote!(#watch.__audited_finish();));
    }
    for (index, typed) in expansion.parameters(Watch::Compared) {
        let (lent, cfgs) = (numbered("__audited_lent", index), cfgs(&typed.attrs));
        tokens.extend(quote!(#cfgs #lent.__audited_finish();));
    }
    tokens
}
