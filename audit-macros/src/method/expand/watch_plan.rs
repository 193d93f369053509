//! Decides which `&mut` parameters are compared before and after the body.
//!
//! Whether their types are audited, `audit-core` finds out by method lookup. What is decided here
//! is whether a parameter can be looked at after the body has run. The lifetime of its reference
//! must be elided: then nothing but the returned value can borrow from the object.

use proc_macro2::Ident;
use syn::{FnArg, Lifetime, Receiver, ReceiverKind, Token, Type, parse_quote};

use crate::method::model::Function;
use crate::method::return_kind::{ReturnKind, ungroup};
use crate::method::type_spelling::has_elided_lifetime;
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
    pub(crate) fn of(function: &Function, return_kind: &ReturnKind) -> Self {
        let is_in_closure = function.is_async() || !function.is_track_caller();
        // With a receiver that is a reference, an elided lifetime in the return type is the
        // receiver's, otherwise that of the only reference among the parameters.
        let (is_nameable, borrows) = match return_kind {
            ReturnKind::Nameable(ty) => (is_in_closure, has_elided_lifetime(ty)),
            _ => (false, true),
        };
        let inputs = &function.sig.inputs;
        let receiver = match inputs.first() {
            Some(FnArg::Receiver(receiver)) => watch_receiver(receiver, is_nameable && !borrows),
            _ => Watch::Ignored,
        };
        let can_be_lent = is_nameable && (function.has_reference_receiver() || !borrows);
        let parameters = inputs.iter().map(|input| match input {
            FnArg::Receiver(_) => Watch::Ignored,
            FnArg::Typed(typed) => watch_parameter(&typed.ty, can_be_lent),
        });
        Self { receiver, parameters: parameters.collect() }
    }

    /// Whether a parameter is a mutable reference, so that its changes count.
    pub(crate) fn watches_any(&self) -> bool {
        self.receiver != Watch::Ignored
            || self.parameters.iter().any(|watch| *watch != Watch::Ignored)
    }

    /// Whether anything is compared.
    pub(crate) fn compares_any(&self) -> bool {
        self.receiver == Watch::Compared || self.parameters.contains(&Watch::Compared)
    }
}

fn watch_receiver(receiver: &Receiver, can_be_lent: bool) -> Watch {
    let lifetime = match &receiver.kind {
        ReceiverKind::Reference(_, lifetime, Some(_)) => lifetime.as_ref(),
        ReceiverKind::Typed(_, ty) => match &**ty {
            Type::Reference(ty) if ty.mutability.is_some() => ty.lifetime.as_ref(),
            _ => return Watch::Ignored,
        },
        _ => return Watch::Ignored,
    };
    if can_be_lent && is_elided(lifetime) && !receiver.attrs.iter().any(is_cfg) {
        Watch::Compared
    } else {
        Watch::ReportedUnseen
    }
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

fn is_elided(lifetime: Option<&Lifetime>) -> bool {
    lifetime.is_none_or(|lifetime| lifetime.ident == "_")
}

/// Input:  `&mut self`
///
/// Output: `mut self: &mut Self`, for a receiver that is compared. It is replaced before the body runs.
pub(crate) fn make_replaceable(receiver: &mut Receiver) {
    let span = receiver.self_token.span;
    if let ReceiverKind::Reference(and, lifetime, mutability) = &receiver.kind {
        let this = Ident::new("Self", span);
        let ty = parse_quote!(#and #lifetime #mutability #this);
        receiver.kind = ReceiverKind::Typed(Token![:](span), Box::new(ty));
    }
    receiver.mutability = Some(Token![mut](span));
}
