//! Decides which `&mut` parameters are compared before and after the body.
//!
//! Whether their types are audited, `audit-core` finds out by method lookup. What is decided here
//! is whether a parameter can be looked at after the body has run. A receiver can't be renamed, so
//! the body borrows it; any other parameter is lent to the body under its name. The lifetime of the
//! reference must be elided: then nothing but the returned value can borrow from the object.

use quote::ToTokens;
use syn::{FnArg, Lifetime, Receiver, ReceiverKind, Type};

use crate::method::model::Function;
use crate::method::return_kind::{ReturnKind, ungroup};
use crate::method::self_usage::{SelfUse, self_use};
use crate::method::type_spelling::{Elision, elision};
use crate::method::validate::CheckedArgs;
use crate::tokens::is_cfg;

/// What is done about changes of one parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Nothing: it is not a mutable reference.
    Ignored,
    /// It can't be compared. If its type is audited, the record says that changes are missing.
    ReportedUnseen,
    /// It is compared, if its type is audited.
    Compared,
}

/// What is done about changes of each parameter.
pub(crate) struct WatchPlan {
    pub(crate) receiver: Watch,
    /// In the order of the signature. The place of the receiver is `Ignored`.
    pub(crate) parameters: Vec<Watch>,
}

impl WatchPlan {
    pub(crate) fn of(args: &CheckedArgs, function: &Function, return_kind: &ReturnKind) -> Self {
        let is_in_closure = function.is_async() || !function.is_track_caller();
        let returned = match return_kind {
            ReturnKind::Nameable(ty) if is_in_closure => Some(&**ty),
            _ => None,
        };
        let inputs = &function.sig.inputs;
        let receiver = match inputs.first() {
            Some(FnArg::Receiver(receiver)) => watch_receiver(receiver, returned, args, function),
            _ => Watch::Ignored,
        };
        // Without a receiver, an elided lifetime in the return type is that of the only reference
        // among the parameters.
        let borrows_from_parameter = !function.has_reference_receiver()
            && returned.is_some_and(|ty| elision(ty) == Elision::Certain);
        let can_be_lent = returned.is_some() && !borrows_from_parameter;
        let parameters = inputs.iter().map(|input| match input {
            FnArg::Receiver(_) => Watch::Ignored,
            FnArg::Typed(typed) => watch_parameter(&typed.ty, can_be_lent),
        });
        Self { receiver, parameters: parameters.collect() }
    }

    /// Whether the receiver is compared. Then the body borrows it.
    pub(crate) fn compares_receiver(&self) -> bool {
        self.receiver == Watch::Compared
    }

    /// Whether a parameter is a mutable reference, so that its changes count.
    pub(crate) fn watches_any(&self) -> bool {
        self.receiver != Watch::Ignored
            || self.parameters.iter().any(|watch| *watch != Watch::Ignored)
    }

    /// Whether anything is compared.
    pub(crate) fn compares_any(&self) -> bool {
        self.compares_receiver() || self.parameters.contains(&Watch::Compared)
    }
}

fn watch_receiver(
    receiver: &Receiver,
    returned: Option<&Type>,
    args: &CheckedArgs,
    function: &Function,
) -> Watch {
    let lifetime = match &receiver.kind {
        ReceiverKind::Reference(_, lifetime, Some(_)) => lifetime.as_ref(),
        ReceiverKind::Typed(_, ty) => match &**ty {
            Type::Reference(ty) if ty.mutability.is_some() && is_self(&ty.elem) => {
                ty.lifetime.as_ref()
            }
            _ => return Watch::Ignored,
        },
        _ => return Watch::Ignored,
    };
    let Some(returned) = returned else { return Watch::ReportedUnseen };
    let is_mut_binding =
        receiver.mutability.is_some() && matches!(receiver.kind, ReceiverKind::Typed(..));
    if is_mut_binding || !is_elided(lifetime) || receiver.attrs.iter().any(is_cfg) {
        return Watch::ReportedUnseen;
    }
    let can_be_borrowed = match elision(returned) {
        Elision::Certain => false,
        Elision::Possible => greatest_self_use(args, function) == SelfUse::InPlace,
        Elision::No => greatest_self_use(args, function) <= SelfUse::Borrowed,
    };
    if can_be_borrowed { Watch::Compared } else { Watch::ReportedUnseen }
}

/// How the body, and the expressions in the attribute, use `self`.
fn greatest_self_use(args: &CheckedArgs, function: &Function) -> SelfUse {
    let args = &args.args;
    let fields = args.fields.iter().map(|field| &field.value);
    let expressions = args.target.iter().chain(&args.reason).chain(fields);
    let tokens = expressions.map(ToTokens::to_token_stream).chain([function.body.clone().into()]);
    tokens.map(self_use).max().unwrap_or(SelfUse::InPlace)
}

fn watch_parameter(ty: &Type, can_be_lent: bool) -> Watch {
    let Type::Reference(reference) = ungroup(ty) else { return Watch::Ignored };
    // Slices, tuples, trait objects and the like can't be audited.
    let may_be_audited = matches!(ungroup(&reference.elem), Type::Path(_) | Type::Macro(_));
    if reference.mutability.is_none() || !may_be_audited {
        Watch::Ignored
    } else if can_be_lent && is_elided(reference.lifetime.as_ref()) {
        Watch::Compared
    } else {
        Watch::ReportedUnseen
    }
}

fn is_self(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.is_ident("Self"))
}

fn is_elided(lifetime: Option<&Lifetime>) -> bool {
    lifetime.is_none_or(|lifetime| lifetime.ident == "_")
}
