//! Objects that the function gets by `&mut`: what changes of them belongs to its record.
//!
//! Whether their types are audited is found out by method lookup; here it is decided, by spelling, how each
//! can be looked at after the body has run. A receiver has a name that nothing else can have, so the body
//! borrows it; any other parameter is lent to the body under its name. The lifetime of the reference must be
//! left out: nothing else can hang on it then, but the value returned.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, FnArg, Lifetime, Pat, PatType, Receiver, ReceiverKind, Type};

use super::arguments::{is_cfg, underscore_is_fine};
use super::receiver::{Uses, uses};
use super::spelling::is_never_audited;
use super::{Parts, local};
use crate::model::{Function, parameter_ident};
use crate::returns::{Elision, Returns, elision, is_own};
use crate::validate::Plan;

/// What becomes of one parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It is no object that may change.
    Never,
    /// It can't be watched, which the record of an audited one tells.
    Told,
    /// It is watched, if it is audited.
    Watched,
}

/// What becomes of each parameter.
pub(super) struct Watches {
    receiver: Seen,
    /// By their place in the signature.
    parameters: Vec<Seen>,
}

impl Watches {
    pub(super) fn of(plan: &Plan<'_>, function: &Function, returns: &Returns) -> Self {
        let is_in_closure = function.is_async() || !function.is_track_caller();
        let returned = match returns {
            Returns::Plain(ty) if is_in_closure => Some(&**ty),
            _ => None,
        };
        let inputs = &function.sig.inputs;
        let receiver = match inputs.first() {
            Some(FnArg::Receiver(receiver)) => receiver_is_seen(receiver, returned, plan, function),
            _ => Seen::Never,
        };
        let parameters = inputs.iter().map(|input| match input {
            FnArg::Receiver(_) => Seen::Never,
            FnArg::Typed(typed) => parameter_is_seen(&typed.ty, returned.is_some()),
        });
        Self { receiver, parameters: parameters.collect() }
    }

    /// Whether the body borrows the receiver.
    pub(super) fn receiver(&self) -> bool {
        self.receiver == Seen::Watched
    }

    /// Whether anything is watched.
    pub(super) fn any(&self) -> bool {
        self.receiver() || self.parameters.contains(&Seen::Watched)
    }
}

fn receiver_is_seen(
    receiver: &Receiver,
    returned: Option<&Type>,
    plan: &Plan<'_>,
    function: &Function,
) -> Seen {
    let lifetime = match &receiver.kind {
        ReceiverKind::Reference(_, lifetime, Some(_)) => lifetime.as_ref(),
        ReceiverKind::Typed(_, ty) => match &**ty {
            Type::Reference(ty) if ty.mutability.is_some() && is_self(&ty.elem) => {
                ty.lifetime.as_ref()
            }
            _ => return Seen::Never,
        },
        _ => return Seen::Never,
    };
    let Some(returned) = returned else { return Seen::Told };
    let is_bound =
        receiver.mutability.is_some() && matches!(receiver.kind, ReceiverKind::Typed(..));
    if is_bound || !is_left_out(lifetime) || receiver.attrs.iter().any(is_cfg) {
        return Seen::Told;
    }
    let elision = elision(returned);
    let used = || {
        let about = plan.args.target.iter().chain(&plan.args.reason);
        let fields = plan.fields().iter().map(|field| &field.value);
        let said = about.chain(fields).map(ToTokens::to_token_stream);
        let body = function.body.to_token_stream();
        said.chain([body]).map(uses).max().unwrap_or(Uses::InPlace)
    };
    let is_watched = match elision {
        Elision::Certain => false,
        Elision::Possible => used() == Uses::InPlace,
        Elision::No => used() <= Uses::Borrowed,
    };
    if is_watched { Seen::Watched } else { Seen::Told }
}

fn parameter_is_seen(ty: &Type, is_watchable: bool) -> Seen {
    match ty {
        Type::Group(ty) => parameter_is_seen(&ty.elem, is_watchable),
        Type::Paren(ty) => parameter_is_seen(&ty.elem, is_watchable),
        Type::Reference(ty) if ty.mutability.is_some() && !is_never_audited(&ty.elem) => {
            if is_watchable && is_left_out(ty.lifetime.as_ref()) {
                Seen::Watched
            } else {
                Seen::Told
            }
        }
        _ => Seen::Never,
    }
}

fn is_self(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.is_ident("Self"))
}

fn is_left_out(lifetime: Option<&Lifetime>) -> bool {
    lifetime.is_none_or(|lifetime| lifetime.ident == "_")
}

impl Parts<'_> {
    /// The receiver, if there is one.
    fn receiver(&self) -> Option<Ident> {
        match self.function.sig.inputs.first() {
            Some(FnArg::Receiver(receiver)) => Some(Ident::new("self", receiver.self_token.span)),
            _ => None,
        }
    }

    /// The parameters that are as `seen`, with their places.
    fn parameters(&self, seen: Seen) -> impl Iterator<Item = (usize, &PatType)> {
        let parameters = self.function.sig.inputs.iter().zip(&self.watches.parameters).enumerate();
        parameters.filter_map(move |(index, (input, is))| match input {
            FnArg::Typed(typed) if *is == seen => Some((index, typed)),
            _ => None,
        })
    }

    /// The local that lends the parameter at `index` to the body, if it is watched.
    pub(super) fn loan(&self, index: usize) -> Option<Ident> {
        (self.watches.parameters[index] == Seen::Watched)
            .then(|| format_ident!("__audited_loan_{index}", span = Span::mixed_site()))
    }

    /// As [`loan`](Self::loan), for the argument called `name`.
    pub(super) fn loan_of(&self, ident: &Ident) -> Option<Ident> {
        let is_it = |typed: &PatType| matches!(&*typed.pat, Pat::Ident(pat) if pat.ident == *ident);
        let (index, _) = self.parameters(Seen::Watched).find(|(_, typed)| is_it(typed))?;
        self.loan(index)
    }

    /// Output, before the body:
    /// ```text
    /// let mut watch = watch::<_, fn(&()) -> R>(&*self).begin(&call, "self");
    /// let mut lent_1 = lend::<_, fn(&()) -> R>(a).begin(&call, "a");
    /// let loan_1 = &mut lent_1;
    /// ```
    pub(super) fn begin_watches(&self) -> TokenStream {
        let Self { private, call, returns, .. } = self;
        let mut tokens = self.tell_unwatched(true);
        let Returns::Plain(returned) = returns else { return tokens };
        // What is returned can borrow only from a receiver that is a reference.
        let of_other = quote!(#private::Own);
        let of_returned =
            if is_own(returned) { of_other.clone() } else { quote!(fn(&()) -> #returned) };
        let [of_other, of_returned] = [of_other, of_returned]
            .map(|of| if self.function.is_async() { quote!(#private::InFuture<#of>) } else { of });
        let receiver = self.receiver();
        if let Some(this) = receiver.as_ref().filter(|_| self.watches.receiver()) {
            let watch = local("__audited_watch");
            let argument = self.receiver_argument();
            tokens.extend(quote! {
                let mut #watch = #private::watch::<_, #of_returned>(&*#this).begin(&#call, "self");
                #argument
            });
        }
        let is_free = match self.function.sig.inputs.first() {
            Some(FnArg::Receiver(receiver)) => match &receiver.kind {
                ReceiverKind::Reference(..) => true,
                ReceiverKind::Typed(_, ty) => matches!(&**ty, Type::Reference(_)),
                _ => false,
            },
            _ => false,
        };
        let of = if is_free { &of_other } else { &of_returned };
        for (index, typed) in self.parameters(Seen::Watched) {
            let (ident, name) = self.object(typed, index, true);
            let (lent, loan) = (
                format_ident!("__audited_lent_{index}", span = Span::mixed_site()),
                self.loan(index),
            );
            let cfgs = cfgs(&typed.attrs);
            let quiet = (!self.hides).then(|| underscore_is_fine(&ident));
            tokens.extend(quote! {
                #cfgs #quiet let mut #lent = #private::lend::<_, #of>(#ident).begin(&#call, #name);
                #cfgs let #loan = &mut #lent;
            });
        }
        tokens.extend(self.wrapped());
        tokens
    }

    /// Output: `watch::<_, ()>(&*a).begin(&call, "a");` for what can't be watched, but may be audited.
    ///
    /// `hidden` tells that the signature is that of [`signature`](Parts::signature).
    pub(super) fn tell_unwatched(&self, hidden: bool) -> TokenStream {
        let Self { private, call, .. } = self;
        let mut tokens = TokenStream::new();
        if let Some(this) = self.receiver().filter(|_| self.watches.receiver == Seen::Told) {
            tokens.extend(quote!(#private::watch::<_, ()>(&*#this).begin(&#call, "self");));
        }
        for (index, typed) in self.parameters(Seen::Told) {
            if !hidden && !super::arguments::is_plain(&typed.pat) {
                continue;
            }
            let (ident, name) = self.object(typed, index, hidden);
            let cfgs = cfgs(&typed.attrs);
            let quiet = (!(hidden && self.hides)).then(|| underscore_is_fine(&ident));
            tokens.extend(
                quote!(#cfgs #quiet #private::watch::<_, ()>(&*#ident).begin(&#call, #name);),
            );
        }
        tokens
    }

    /// The local that holds a parameter before the body, and what it is called in the record.
    fn object(&self, typed: &PatType, index: usize, hidden: bool) -> (Ident, String) {
        let ident = parameter_ident(typed, index);
        let name = match &*typed.pat {
            Pat::Ident(pat) => pat.ident.unraw().to_string(),
            _ => format!("argument_{index}"),
        };
        (if hidden { self.hidden(&ident) } else { ident }, name)
    }

    /// Output, after the body:
    /// ```text
    /// if watch.is_watching() { let _here = reached(); watch.finish(&*self); watch.was_reached(_here); }
    /// lent_1.finish();
    /// ```
    ///
    /// Where the type is not audited, `reached` returns `!`: the compiler does not ask whether the body has
    /// moved `self`, or returned something that borrows from it. Clippy would say that this does not return,
    /// but for the block.
    pub(super) fn finish_watches(&self) -> TokenStream {
        let private = &self.private;
        let mut tokens = TokenStream::new();
        if let Some(this) = self.receiver().filter(|_| self.watches.receiver()) {
            let (watch, here) = (local("__audited_watch"), local("_audited_here"));
            tokens.extend(quote! {
                if #watch.is_watching() {
                    let #here = { let _watch = &#watch; #private::reached() };
                    #watch.finish(&*#this);
                    #watch.was_reached(#here);
                }
            });
        }
        for (index, typed) in self.parameters(Seen::Watched) {
            let (lent, cfgs) = (
                format_ident!("__audited_lent_{index}", span = Span::mixed_site()),
                cfgs(&typed.attrs),
            );
            tokens.extend(quote!(#cfgs #lent.finish();));
        }
        tokens
    }

    /// Output, first in the body: `whole(&mut *self);`
    pub(super) fn borrow_receiver(&self) -> Option<TokenStream> {
        let (this, private) = (self.receiver()?, &self.private);
        self.watches.receiver().then(|| quote!(#private::whole(&mut *#this);))
    }

    /// The local that takes the parameter at `index` into the body, if it is one that would else be borrowed.
    ///
    /// An async block that borrows `self` borrows also what is `Copy`, and is then `Send` only if that is
    /// `Sync`.
    fn wrapper(&self, index: usize) -> Option<Ident> {
        let FnArg::Typed(typed) = &self.function.sig.inputs[index] else { return None };
        let is_known = matches!(&*typed.ty, Type::Reference(_)) || is_never_audited(&typed.ty);
        (self.function.is_async()
            && self.watches.receiver()
            && !is_known
            && self.watches.parameters[index] != Seen::Watched)
            .then(|| format_ident!("__audited_moved_{index}", span = Span::mixed_site()))
    }

    /// Output: `let moved_1 = Moved { it: a };`
    fn wrapped(&self) -> TokenStream {
        let private = &self.private;
        self.wrappers(|wrapper, ident, cfgs, quiet| {
            quote!(#cfgs #quiet let #wrapper = #private::Moved { it: #ident };)
        })
    }

    /// Output, in the body: `let moved_1 = moved_1; let a = moved_1.it;`
    pub(super) fn unwrapped(&self) -> TokenStream {
        self.wrappers(|wrapper, ident, cfgs, quiet| {
            quote! {
                #cfgs let #wrapper = #wrapper;
                #cfgs #quiet let #ident = #wrapper.it;
            }
        })
    }

    fn wrappers(
        &self,
        each: impl Fn(&Ident, &Ident, &TokenStream, &TokenStream) -> TokenStream,
    ) -> TokenStream {
        let mut tokens = TokenStream::new();
        for (index, input) in self.function.sig.inputs.iter().enumerate() {
            if let (FnArg::Typed(typed), Some(wrapper)) = (input, self.wrapper(index)) {
                let (ident, _) = self.object(typed, index, true);
                let mut quiet = TokenStream::new();
                if !self.hides {
                    let underscore = underscore_is_fine(&ident);
                    quiet = quote! {
                        #[allow(clippy::shadow_same, clippy::shadow_reuse, clippy::shadow_unrelated)]
                        #underscore
                    };
                }
                tokens.extend(each(&wrapper, &ident, &cfgs(&typed.attrs), &quiet));
            }
        }
        tokens
    }
}

fn cfgs(attrs: &[Attribute]) -> TokenStream {
    let cfgs = attrs.iter().filter(|attr| is_cfg(attr));
    quote!(#(#cfgs)*)
}
