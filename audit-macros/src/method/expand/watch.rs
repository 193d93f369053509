//! Tokens that compare `&mut` parameters before and after the body, as the watch plan says.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{FnArg, PatType, Type};

use super::capture::{self, Position};
use super::expansion::{Expansion, allow_underscore_use, cfgs, numbered, parameter_name};
use super::watch_plan::{Watch, WatchPlan};
use crate::method::model::{is_plain, parameter_ident};
use crate::method::return_kind::ReturnKind;
use crate::tokens::local;

/// Output, before the body:
/// ```text
/// let mut watch = watch::<_, fn(&()) -> R>(&*self).__audited_begin(&call, "self");
/// let mut lent_1 = lend::<_, fn(&()) -> R>(a).__audited_begin(&call, "a");
/// let loan_1 = &mut lent_1;
/// ```
pub(crate) fn begin(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { private, call, return_kind, .. } = expansion;
    let mut tokens = report_unseen(expansion, Position::BeforeBinding);
    let ReturnKind::Nameable(returned) = return_kind else { return tokens };
    let borrows_from_nothing = lookup_marker(expansion, None);
    let may_borrow = lookup_marker(expansion, Some(returned));
    if let Some(this) = expansion.receiver().filter(|_| expansion.watch_plan.compares_receiver()) {
        let watch = local("__audited_watch");
        let capture = capture::receiver(expansion);
        tokens.extend(quote! {
            let mut #watch =
                #private::watch::<_, #may_borrow>(&*#this).__audited_begin(&#call, "self");
            #capture
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
    tokens.extend(wrap_parameters(expansion));
    tokens
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

/// Output: `watch::<_, ()>(&*a).__audited_begin(&call, "a");` for each parameter that can't be compared. If
/// its type is audited, the record says that changes are missing.
pub(crate) fn report_unseen(expansion: &Expansion<'_>, position: Position) -> TokenStream {
    let Expansion { private, call, watch_plan, hides_parameters, .. } = expansion;
    let is_before = position == Position::BeforeBinding;
    let mut tokens = TokenStream::new();
    if let Some(this) =
        expansion.receiver().filter(|_| watch_plan.receiver == Watch::ReportedUnseen)
    {
        tokens.extend(quote!(#private::watch::<_, ()>(&*#this).__audited_begin(&#call, "self");));
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
            #cfgs #allow #private::watch::<_, ()>(&*#ident).__audited_begin(&#call, #name);
        });
    }
    tokens
}

/// Output, after the body:
/// ```text
/// if watch.__audited_is_watching() {
///     let here = reached();
///     watch.__audited_finish(&*self);
///     watch.__audited_was_reached(here);
/// }
/// lent_1.__audited_finish();
/// ```
///
/// Where the type is not audited, `reached` returns `!`. Then the compiler does not check whether
/// the body has moved `self`, or returned something that borrows from it. The block around
/// `reached` keeps clippy from reporting that the call does not return.
pub(crate) fn finish(expansion: &Expansion<'_>) -> TokenStream {
    let private = &expansion.private;
    let mut tokens = TokenStream::new();
    if let Some(this) = expansion.receiver().filter(|_| expansion.watch_plan.compares_receiver()) {
        let (watch, here) = (local("__audited_watch"), local("__audited_here"));
        tokens.extend(quote! {
            if #watch.__audited_is_watching() {
                let #here = { let __audited_borrowed = &#watch; #private::reached() };
                #watch.__audited_finish(&*#this);
                #watch.__audited_was_reached(#here);
            }
        });
    }
    for (index, typed) in expansion.parameters(Watch::Compared) {
        let (lent, cfgs) = (numbered("__audited_lent", index), cfgs(&typed.attrs));
        tokens.extend(quote!(#cfgs #lent.__audited_finish();));
    }
    tokens
}

/// Output, first in a body that borrows `self`: `borrow_whole(&mut *self);`
pub(crate) fn borrow_receiver(expansion: &Expansion<'_>) -> Option<TokenStream> {
    let (this, private) = (expansion.receiver()?, &expansion.private);
    expansion.watch_plan.compares_receiver().then(|| quote!(#private::borrow_whole(&mut *#this);))
}

/// Output, before the body: `let moved_1 = MovedArgument(a);`
///
/// An async block that borrows `self` also borrows other parameters that are `Copy`, and is then
/// `Send` only if they are `Sync`. The wrapper is not `Copy`, so the block moves it.
fn wrap_parameters(expansion: &Expansion<'_>) -> TokenStream {
    let private = &expansion.private;
    let mut tokens = TokenStream::new();
    for (index, typed) in wrapped_parameters(expansion) {
        let (wrapper, cfgs) = (numbered("__audited_moved", index), cfgs(&typed.attrs));
        let ident = expansion.hidden(&parameter_ident(typed, index));
        let allow = allow_shadowing(expansion, &ident);
        tokens.extend(quote!(#cfgs #allow let #wrapper = #private::MovedArgument(#ident);));
    }
    tokens
}

/// Output, in the body: `let moved_1 = moved_1; let a = moved_1.0;`
pub(crate) fn unwrap_parameters(expansion: &Expansion<'_>) -> TokenStream {
    let mut tokens = TokenStream::new();
    for (index, typed) in wrapped_parameters(expansion) {
        let (wrapper, cfgs) = (numbered("__audited_moved", index), cfgs(&typed.attrs));
        let ident = expansion.hidden(&parameter_ident(typed, index));
        let allow = allow_shadowing(expansion, &ident);
        tokens.extend(quote! {
            #cfgs let #wrapper = #wrapper;
            #cfgs #allow let #ident = #wrapper.0;
        });
    }
    tokens
}

/// The parameters that the async block would borrow: all but references, and those that are
/// compared.
fn wrapped_parameters<'e>(
    expansion: &'e Expansion<'_>,
) -> impl Iterator<Item = (usize, &'e PatType)> {
    let WatchPlan { parameters, .. } = &expansion.watch_plan;
    let borrows = expansion.function.is_async() && expansion.watch_plan.compares_receiver();
    let inputs = expansion.function.sig.inputs.iter().zip(parameters).enumerate();
    inputs.filter_map(move |(index, (input, watch))| match input {
        FnArg::Typed(typed)
            if borrows
                && *watch != Watch::Compared
                && !matches!(&*typed.ty, Type::Reference(_)) =>
        {
            Some((index, typed))
        }
        _ => None,
    })
}

fn allow_shadowing(expansion: &Expansion<'_>, ident: &Ident) -> TokenStream {
    if expansion.hides_parameters {
        return TokenStream::new();
    }
    let underscore = allow_underscore_use(ident);
    quote! {
        #[allow(clippy::shadow_same, clippy::shadow_reuse, clippy::shadow_unrelated)]
        #underscore
    }
}
