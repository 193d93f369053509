//! What all kinds of expansion have in common: the checked input, and the names of generated
//! locals.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, FnArg, Meta, Pat, PatType, Signature, parse_quote};

use super::watch_plan::{Watch, WatchPlan, make_replaceable};
use crate::method::model::{Binding, Function, is_plain, parameter_ident};
use crate::method::return_kind::ReturnKind;
use crate::method::validate::CheckedArgs;
use crate::tokens::{is_cfg, local};

/// One function that is being expanded.
pub(crate) struct Expansion<'a> {
    pub(crate) args: &'a CheckedArgs,
    pub(crate) function: &'a Function,
    pub(crate) return_kind: ReturnKind,
    pub(crate) watch_plan: WatchPlan,
    /// `::audited::__private`
    pub(crate) private: TokenStream,
    /// The local `Call`.
    pub(crate) call: Ident,
    /// The local `Input`.
    pub(crate) input: Ident,
    /// The local buffer that arguments are written to.
    pub(crate) buffer: Ident,
    /// The local that holds what the body returned.
    pub(crate) output: Ident,
    /// See [`Function::can_hide_parameters`].
    pub(crate) hides_parameters: bool,
}

impl<'a> Expansion<'a> {
    pub(crate) fn new(args: &'a CheckedArgs, function: &'a Function) -> Self {
        let crate_path = &args.crate_path;
        let return_kind = ReturnKind::of(&function.sig.output, function.is_async());
        Self {
            args,
            function,
            watch_plan: WatchPlan::of(function, &return_kind),
            return_kind,
            private: quote!(#crate_path::__private),
            call: local("__audited_call"),
            input: local("__audited_input"),
            buffer: local("__audited_buffer"),
            output: local("__audited_output"),
            hides_parameters: function.can_hide_parameters(),
        }
    }

    /// Whether the body stays in place, under a guard, instead of moving into a closure.
    pub(crate) fn is_in_place(&self) -> bool {
        !self.function.is_async()
            && (self.function.is_track_caller() || matches!(self.return_kind, ReturnKind::Opaque))
    }

    /// Input:  `fn f(a: A, (x, _): B) -> R`
    ///
    /// Output: `fn f(a: A, __audited_argument_1: B) -> R`
    ///
    /// `&mut self` becomes `mut self: &mut Self`, if it is compared.
    pub(crate) fn signature(&self) -> Signature {
        let mut sig = self.function.sig.clone();
        allow_instead_of_expect(&mut sig);
        for (index, input) in sig.inputs.iter_mut().enumerate() {
            let typed = match input {
                FnArg::Typed(typed) => typed,
                FnArg::Receiver(receiver) if self.watch_plan.receiver == Watch::Compared => {
                    make_replaceable(receiver);
                    continue;
                }
                FnArg::Receiver(_) => continue,
            };
            let ident = self.hidden(&parameter_ident(typed, index));
            *typed.pat = Pat::Ident(syn::PatIdent {
                attrs: Vec::new(),
                by_ref: None,
                mutability: None,
                ident,
                subpat: None,
            });
        }
        sig
    }

    /// The name of a parameter in [`signature`](Self::signature): the same text, but with a hygiene
    /// that the body does not see.
    ///
    /// So the body's name shadows nothing, and a parameter `_name` is used under a name that is not
    /// the user's. Clippy has nothing to report, and no lint needs to be allowed.
    pub(crate) fn hidden(&self, ident: &Ident) -> Ident {
        let mut hidden = ident.clone();
        if self.hides_parameters {
            let span = Span::mixed_site().located_at(ident.span());
            hidden.set_span(span);
            // An identifier of the user's edition may be a keyword in ours.
            if NEWER_KEYWORDS.iter().any(|keyword| hidden == keyword) {
                hidden = Ident::new_raw(&hidden.to_string(), span);
            }
        }
        hidden
    }

    /// Whether the name that `binding` has [before it is bound](Self::before_binding) is not the
    /// user's.
    pub(crate) fn hides(&self, binding: &Binding<'_>) -> bool {
        let is_plain = match &self.function.sig.inputs[binding.parameter] {
            FnArg::Receiver(_) => return false,
            FnArg::Typed(typed) => is_plain(&typed.pat),
        };
        !is_plain || self.hides_parameters
    }

    /// The name of what `binding` will be bound to, before the names of the body are bound.
    pub(crate) fn before_binding(&self, binding: &Binding<'_>) -> Ident {
        match &self.function.sig.inputs[binding.parameter] {
            FnArg::Typed(typed) if !is_plain(&typed.pat) => {
                part_of_pattern(binding.parameter, binding.nth)
            }
            FnArg::Typed(_) => self.hidden(&binding.ident),
            FnArg::Receiver(_) => binding.ident.clone(),
        }
    }

    /// Whether every parameter is a plain name.
    pub(crate) fn has_only_plain_parameters(&self) -> bool {
        self.function.sig.inputs.iter().all(|input| match input {
            FnArg::Receiver(_) => true,
            FnArg::Typed(typed) => is_plain(&typed.pat),
        })
    }

    /// `self`, if there is a receiver.
    pub(crate) fn receiver(&self) -> Option<Ident> {
        match self.function.sig.inputs.first() {
            Some(FnArg::Receiver(receiver)) => Some(Ident::new("self", receiver.self_token.span)),
            _ => None,
        }
    }

    /// The parameters with that part in the watch plan, with their places in the signature.
    pub(crate) fn parameters(&self, watch: Watch) -> impl Iterator<Item = (usize, &PatType)> {
        let planned = &self.watch_plan.parameters;
        let parameters = self.function.sig.inputs.iter().zip(planned).enumerate();
        parameters.filter_map(move |(index, (input, planned))| match input {
            FnArg::Typed(typed) if *planned == watch => Some((index, typed)),
            _ => None,
        })
    }

    /// The local that lends the parameter at `index` to the body, if it is compared.
    pub(crate) fn loan(&self, index: usize) -> Option<Ident> {
        (self.watch_plan.parameters[index] == Watch::Compared)
            .then(|| numbered("__audited_loan", index))
    }

    /// The local that knows how the names are recorded that the pattern of the parameter at `index`
    /// binds.
    pub(crate) fn pattern(&self, index: usize) -> Ident {
        numbered("__audited_pattern", index)
    }

    /// As [`loan`](Self::loan), for the parameter called `ident`.
    pub(crate) fn loan_of(&self, ident: &Ident) -> Option<Ident> {
        let is_it = |typed: &PatType| matches!(&*typed.pat, Pat::Ident(pat) if pat.ident == *ident);
        let (index, _) = self.parameters(Watch::Compared).find(|(_, typed)| is_it(typed))?;
        self.loan(index)
    }
}

/// Replaces `#[expect(lints)]` on each parameter by `#[allow(lints)]`, because the lints are expected
/// where the body's name is bound.
pub(crate) fn allow_instead_of_expect(sig: &mut Signature) {
    for input in &mut sig.inputs {
        if let FnArg::Typed(typed) = input {
            typed.attrs.iter_mut().for_each(allow_expected);
        }
    }
}

pub(crate) fn allow_expected(attr: &mut Attribute) {
    if attr.path().is_ident("expect")
        && let Meta::List(list) = &mut attr.meta
    {
        list.path = parse_quote!(allow);
    }
}

/// Keywords that were identifiers in an older edition.
pub(crate) const NEWER_KEYWORDS: &[&str] = &["async", "await", "dyn", "gen", "try"];

/// The name of a parameter in the record.
pub(crate) fn parameter_name(typed: &PatType, index: usize) -> String {
    match &*typed.pat {
        Pat::Ident(pat) => pat.ident.unraw().to_string(),
        _ => format!("argument_{index}"),
    }
}

/// The generated local for the name at `nth` in the pattern of the parameter at `index`.
pub(crate) fn part_of_pattern(index: usize, nth: usize) -> Ident {
    numbered(&format!("__audited_part_{index}"), nth)
}

/// A generated local for the parameter at `index`.
pub(crate) fn numbered(name: &str, index: usize) -> Ident {
    format_ident!("{name}_{index}", span = Span::mixed_site())
}

/// The `#[cfg]`s among `attrs`. They are repeated on each statement about a parameter, because the
/// compiler evaluates the `#[cfg]` on the parameter only after the expansion.
pub(crate) fn cfgs(attrs: &[Attribute]) -> TokenStream {
    let cfgs = attrs.iter().filter(|attr| is_cfg(attr));
    quote!(#(#cfgs)*)
}

/// Output: `#[allow(…)]` for a name such as `_name`. Only the expansion uses it, but clippy would
/// report it to the user.
pub(crate) fn allow_underscore_use(ident: &Ident) -> TokenStream {
    if ident.to_string().starts_with('_') {
        quote!(#[allow(clippy::used_underscore_binding)])
    } else {
        TokenStream::new()
    }
}
