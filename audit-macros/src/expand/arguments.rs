//! How the arguments get into the body, and into the record.

use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Expr, FnArg, Pat, ReceiverKind, Token, Type};

use super::Parts;
use crate::model::{Binding, parameter_ident};
use crate::validate::{How, tuple_parts};

impl Parts<'_> {
    /// Output: `let a = a; let __argument_1 = __argument_1; let (x, _) = __argument_1;`
    ///
    /// Binds the parameters again inside the closure or the async block, in their order, so that all of
    /// them move in and are dropped in the reverse order, as those of the bare function are.
    ///
    /// A `#[cfg]` on a parameter stays there and comes with each statement about it: which one holds, the
    /// compiler asks only after the expansion.
    fn rebind(&self) -> TokenStream {
        let mut tokens = TokenStream::new();
        for (index, input) in self.function.sig.inputs.iter().enumerate() {
            let FnArg::Typed(typed) = input else { continue };
            let ident = self.hidden(&parameter_ident(typed, index));
            let mut value = match self.loan(index) {
                Some(loan) => quote!(#loan.lend()),
                None => quote!(#ident),
            };
            let pat = &typed.pat;
            let cfgs = || typed.attrs.iter().filter(|attr| is_cfg(attr));
            let attrs = typed.attrs.iter().filter(|attr| is_for_binding(attr));
            let attrs = quote!(#(#attrs)*);
            if !is_plain(pat) {
                let cfgs = cfgs();
                let mutability = borrows_mutably(pat.to_token_stream()).then(|| quote!(mut));
                tokens.extend(quote!(#(#cfgs)* let #mutability #ident = #value;));
                value = quote!(#ident);
            }
            if matches!(&**pat, Pat::Wild(_)) {
                continue;
            }
            let (bind, is, end) = (quote!(let), quote!(=), quote!(;));
            // To clippy a `let _x = x` is without effect, unless it takes something apart.
            let (pat, value) = if ident.to_string().starts_with('_') && is_plain(pat) {
                (quote!((#pat,)), quote!((#value,)))
            } else {
                (quote!(#pat), value)
            };
            // To clippy it is the user who shadows here, for the name is the user's.
            let quiet = (!self.hides && is_plain(&typed.pat)).then(|| {
                let underscore = underscore_is_fine(&ident);
                quote!(#[allow(clippy::shadow_same)] #underscore)
            });
            tokens.extend(quote!(#attrs #quiet #bind #pat #is #value #end));
        }
        tokens
    }

    /// Output: `capture the arguments; rebind; say what it is about; input.done();`
    ///
    /// Captured before they are bound again, arguments that the body does not use stay unused to the
    /// compiler, which says so as in the bare function. Names in patterns can only be captured after.
    pub(super) fn rebind_and_capture(&self) -> TokenStream {
        let (rebind, done) = (self.rebind(), self.about_and_done());
        let (whole, unwrapped) = (self.whole_receiver(), self.unwrapped());
        if self.are_all_plain() {
            let arguments = self.arguments(true);
            quote!(#whole #unwrapped #arguments #rebind #done)
        } else {
            let arguments = self.arguments(false);
            quote!(#whole #unwrapped #rebind #arguments #done)
        }
    }

    /// Output: `if false { self = conjure(); } let _ = &self;` where `self` is a value;
    /// `whole(&mut *self);` where it is watched.
    ///
    /// A closure moves in only the fields that its body names, since edition 2021. The rest would be
    /// dropped later, by the function, and not in the order of the bare function.
    ///
    /// A field that is assigned and then only dropped with `self` is fine in a function. In a closure the
    /// compiler sees the drop only where one is written for `self`: an edge that is never taken has one.
    fn whole_receiver(&self) -> Option<TokenStream> {
        let Some(FnArg::Receiver(receiver)) = self.function.sig.inputs.first() else { return None };
        let is_borrowed = match &receiver.kind {
            ReceiverKind::Value => false,
            ReceiverKind::Typed(_, ty) => matches!(&**ty, Type::Reference(_)),
            _ => true,
        };
        if is_borrowed {
            return self.borrow_receiver();
        }
        let this = Ident::new("self", receiver.self_token.span);
        let private = &self.private;
        // Not for every `mut self`: one that is never assigned must be told to be `unused_mut`.
        let edge = (receiver.mutability.is_some()
            && assigns_to_self(self.function.body.to_token_stream()))
        .then(|| quote!(if false { #this = #private::conjure(); }));
        Some(quote!(#edge let _ = &#this;))
    }

    /// Output: `if let Some(gathering) = input.wanted() { argument(&a).record(gathering, "a"); … }`
    ///
    /// `hidden` tells that this is before the names of the body are bound.
    pub(super) fn arguments(&self, hidden: bool) -> TokenStream {
        let bindings = self.function.bindings();
        let inside = bindings.iter().filter(|one| one.name != "self" || !self.watches.receiver());
        self.if_wanted(inside.filter_map(|one| self.argument(one, hidden)).collect())
    }

    /// As [`arguments`](Self::arguments), of `self` alone: before a body that borrows it in its place.
    pub(super) fn receiver_argument(&self) -> TokenStream {
        let bindings = self.function.bindings();
        let receiver = bindings.first().filter(|one| one.name == "self");
        self.if_wanted(receiver.and_then(|one| self.argument(one, true)).unwrap_or_default())
    }

    fn if_wanted(&self, each: TokenStream) -> TokenStream {
        if each.is_empty() {
            return each;
        }
        let Self { private, input, gathering, .. } = self;
        quote!(if let #private::Some(#gathering) = #input.wanted() { #each })
    }

    fn argument(&self, binding: &Binding<'_>, hidden: bool) -> Option<TokenStream> {
        let Self { private, gathering, plan, .. } = self;
        let name = &binding.name;
        let is_hidden = hidden && self.hides && name != "self";
        let ident = if is_hidden { self.hidden(&binding.ident) } else { binding.ident.clone() };
        let cfgs = binding.attrs.iter().filter(|attr| is_cfg(attr));
        let value = match self.loan_of(&binding.ident).filter(|_| hidden) {
            Some(loan) => quote!(#loan.argument()),
            None => quote!(&#ident),
        };
        let record = match plan.how(name)? {
            How::Value => quote!(#private::argument(#value).record(#gathering, #name);),
            How::Debug => quote!(#private::debug_argument(#value).record(#gathering, #name);),
            How::Redacted => quote!(#gathering.redacted(#name);),
        };
        // One that is hidden is none of clippy's business.
        let quiet = (!is_hidden).then(|| underscore_is_fine(&ident));
        Some(quote!(#(#cfgs)* #quiet #record))
    }

    /// Output: `if input.is_recorded() { input.target(..); … } input.done();`
    pub(super) fn about_and_done(&self) -> TokenStream {
        let (input, about, done) = (&self.input, self.about(), self.done());
        if about.is_empty() { done } else { quote!(if #input.is_recorded() { #about } #done) }
    }

    /// Output: what `target`, `reason` and `fields` say.
    fn about(&self) -> TokenStream {
        let Self { private, input, plan, .. } = self;
        let mut tokens = TokenStream::new();
        if let Some(target) = &plan.args.target {
            // What is wrong with the value is told where it stands.
            let value = match tuple_parts(target) {
                Some(parts) => {
                    let parts = parts.into_iter().map(borrowed);
                    quote_spanned!(target.span()=> (#(#parts,)*))
                }
                None => {
                    let target = borrowed(target);
                    quote!(#target)
                }
            };
            tokens.extend(quote!(#input.target(#value);));
        }
        if let Some(reason) = &plan.args.reason {
            let reason = borrowed(reason);
            tokens.extend(quote!(#input.reason(#reason);));
        }
        for field in plan.fields() {
            let (name, value) = (&field.name, borrowed(&field.value));
            tokens.extend(quote!(#private::argument(#value).record_field(&mut #input, #name);));
        }
        tokens
    }
}

/// `expr` → `&expr`, with parentheses where they are needed: what is recorded is borrowed, never moved.
fn borrowed(expr: &Expr) -> Expr {
    Expr::Reference(syn::ExprReference {
        attrs: Vec::new(),
        and_token: Token![&](expr.span()),
        mutability: None,
        expr: Box::new(expr.clone()),
    })
}

/// `a` or `mut a`.
pub(super) fn is_plain(pat: &Pat) -> bool {
    matches!(pat, Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none())
}

/// Whether a pattern holds `ref mut`.
fn borrows_mutably(pat: TokenStream) -> bool {
    let mut after_ref = false;
    pat.into_iter().any(|token| match token {
        TokenTree::Group(group) => borrows_mutably(group.stream()),
        TokenTree::Ident(word) => {
            let found = after_ref && word == "mut";
            after_ref = word == "ref";
            found
        }
        _ => false,
    })
}

/// Whether tokens hold `self.a.b =`, or the like with `+=`.
fn assigns_to_self(tokens: TokenStream) -> bool {
    let mut in_place = false;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Group(group) => {
                if assigns_to_self(group.stream()) {
                    return true;
                }
                in_place &= group.delimiter() == Delimiter::Bracket;
            }
            TokenTree::Ident(word) if word == "self" => in_place = true,
            TokenTree::Punct(punct) if in_place && punct.as_char() != '.' => {
                let equals = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '=');
                let is_joint = tokens.peek().is_some_and(equals);
                // `=` but not `==` nor `=>`; `+=` but not `<=`, `>=` nor `!=`.
                match punct.as_char() {
                    '=' if punct.spacing() == Spacing::Alone => return true,
                    '+' | '-' | '*' | '/' | '%' | '^' | '&' | '|' if is_joint => return true,
                    _ => in_place = false,
                }
            }
            // The names of fields, and the dots between.
            _ => {}
        }
    }
    false
}

/// Keywords that were plain words in an older edition.
pub(super) const NEWER_KEYWORDS: &[&str] = &["async", "await", "dyn", "gen", "try"];

pub(super) fn is_cfg(attr: &Attribute) -> bool {
    attr.path().is_ident("cfg")
}

/// An argument called `_name` is used by the expansion only; clippy would blame the user for it.
pub(super) fn underscore_is_fine(ident: &Ident) -> TokenStream {
    if ident.to_string().starts_with('_') {
        quote!(#[allow(clippy::used_underscore_binding)])
    } else {
        TokenStream::new()
    }
}

/// Whether an attribute of a parameter also concerns the `let` that binds it again.
fn is_for_binding(attr: &Attribute) -> bool {
    ["cfg", "cfg_attr", "allow", "expect", "warn", "deny", "forbid"]
        .iter()
        .any(|name| attr.path().is_ident(name))
}
