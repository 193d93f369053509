//! Writes the tokens. The expansion holds no logic: a static call site, then `::audited::__private`.
//!
//! All names of ours have mixed-site hygiene: user code can neither see nor shadow them.

use proc_macro2::{Delimiter, Group, Ident, Spacing, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Expr, FnArg, Pat, ReceiverKind, Signature, Token, Type};

use crate::model::{Function, parameter_ident};
use crate::returns::{Returns, has_generic_error, may_hold_parameter};
use crate::validate::{How, Plan, tuple_parts};

mod async_fn;
mod in_place;
mod sync;

/// Expands one function.
pub(crate) fn function(plan: &Plan<'_>, function: &Function) -> TokenStream {
    let parts = Parts::new(plan, function);
    let (sig, block) = if function.is_async() {
        async_fn::expand(&parts)
    } else if function.is_track_caller() || matches!(parts.returns, Returns::Opaque) {
        in_place::expand(&parts)
    } else {
        sync::expand(&parts)
    };
    let Function { attrs, vis, defaultness, body, .. } = function;
    // Where the braces stand tells the compiler whether the user wrote the function: it does not say of
    // one that a macro wrote that it is never used.
    let mut block = Group::new(Delimiter::Brace, block);
    block.set_span(body.span());
    quote!(#(#attrs)* #vis #defaultness #sig #block)
}

/// What every kind of expansion is put together from.
struct Parts<'a> {
    plan: &'a Plan<'a>,
    function: &'a Function,
    returns: Returns,
    /// `::audited::__private`
    private: TokenStream,
    /// The local `Call`.
    call: Ident,
    /// The local `Input`.
    input: Ident,
    /// The local that holds what the body returned.
    out: Ident,
    /// Whether plain parameters are taken under hidden names; see [`Function::can_hide_parameters`].
    hides: bool,
}

impl<'a> Parts<'a> {
    fn new(plan: &'a Plan<'a>, function: &'a Function) -> Self {
        let krate = &plan.krate;
        Self {
            plan,
            function,
            returns: Returns::of(&function.sig.output, function.is_async()),
            private: quote!(#krate::__private),
            call: local("__audited_call"),
            input: local("__audited_input"),
            out: local("__audited_out"),
            hides: function.can_hide_parameters(),
        }
    }

    /// A plain parameter as the signature has it: the same word, but not the one that the body knows.
    ///
    /// So nothing is shadowed when the body's name is bound, and an argument `_name` is used under a name
    /// that is not the user's: clippy has nothing to say, and need not be told to be silent.
    fn hidden(&self, ident: &Ident) -> Ident {
        let mut hidden = ident.clone();
        if self.hides {
            let span = Span::mixed_site().located_at(ident.span());
            hidden.set_span(span);
            // A word of the user's edition may be a keyword of ours.
            if NEWER_KEYWORDS.iter().any(|keyword| hidden == keyword) {
                hidden = Ident::new_raw(&hidden.to_string(), span);
            }
        }
        hidden
    }

    /// Whether every parameter is a plain name.
    fn are_all_plain(&self) -> bool {
        self.function.sig.inputs.iter().all(|input| match input {
            FnArg::Receiver(_) => true,
            FnArg::Typed(typed) => is_plain(&typed.pat),
        })
    }

    /// Output: `{ static CALLSITE: Site = Site::new(module_path!(), "name"); &CALLSITE }`
    fn site(&self) -> TokenStream {
        let Self { private, plan, function, .. } = self;
        let name = syn::ext::IdentExt::unraw(&function.sig.ident).to_string();
        let mut options = TokenStream::new();
        let args = plan.args;
        if let Some(action) = &args.action {
            options.extend(quote!(.action(#action)));
        }
        if let Some(capture) = &args.capture {
            let level = variant(&capture.value());
            options.extend(quote!(.capture(#private::CaptureLevel::#level)));
        }
        if let Some(log) = &args.log {
            let level = Ident::new(&log.value().to_uppercase(), Span::mixed_site());
            options.extend(quote!(.log(#private::LevelFilter::#level)));
        }
        quote! {
            {
                static __AUDITED_CALLSITE: #private::Site =
                    #private::Site::new(#private::module_path!(), #name) #options;
                &__AUDITED_CALLSITE
            }
        }
    }

    /// Output: `let mut call = enter(site); let mut input = call.input();`
    fn enter(&self) -> TokenStream {
        let Self { private, call, input, .. } = self;
        let site = self.site();
        quote! {
            let mut #call = #private::enter(#site);
            let mut #input = #call.input();
        }
    }

    /// The signature under whose parameters the body can be entered; see [`parameter_ident`].
    fn signature(&self) -> Signature {
        let mut sig = self.function.sig.clone();
        for (index, input) in sig.inputs.iter_mut().enumerate() {
            if let FnArg::Typed(typed) = input {
                let ident = self.hidden(&parameter_ident(typed, index));
                *typed.pat = Pat::Ident(syn::PatIdent {
                    attrs: Vec::new(),
                    by_ref: None,
                    mutability: None,
                    ident,
                    subpat: None,
                });
            }
        }
        sig
    }

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
            let pat = &typed.pat;
            let cfgs = || typed.attrs.iter().filter(|attr| is_cfg(attr));
            let attrs = typed.attrs.iter().filter(|attr| is_for_binding(attr));
            let attrs = quote!(#(#attrs)*);
            if !is_plain(pat) {
                let cfgs = cfgs();
                let mutability = borrows_mutably(pat.to_token_stream()).then(|| quote!(mut));
                tokens.extend(quote!(#(#cfgs)* let #mutability #ident = #ident;));
            }
            if matches!(&**pat, Pat::Wild(_)) {
                continue;
            }
            let (bind, is, end) = (quote!(let), quote!(=), quote!(;));
            // To clippy a `let _x = x` is without effect, unless it takes something apart.
            let (pat, value) = if ident.to_string().starts_with('_') && is_plain(pat) {
                (quote!((#pat,)), quote!((#ident,)))
            } else {
                (quote!(#pat), quote!(#ident))
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
    fn rebind_and_capture(&self) -> TokenStream {
        let (rebind, done) = (self.rebind(), self.about_and_done());
        let whole = self.whole_receiver();
        if self.are_all_plain() {
            let arguments = self.arguments(true);
            quote!(#whole #arguments #rebind #done)
        } else {
            let arguments = self.arguments(false);
            quote!(#whole #rebind #arguments #done)
        }
    }

    /// Output: `if false { self = conjure(); } let _ = &self;` where `self` is a value.
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
            return None;
        }
        let this = Ident::new("self", receiver.self_token.span);
        let private = &self.private;
        // Not for every `mut self`: one that is never assigned must be told to be `unused_mut`.
        let edge = (receiver.mutability.is_some()
            && assigns_to_self(self.function.body.to_token_stream()))
        .then(|| quote!(if false { #this = #private::conjure(); }));
        Some(quote!(#edge let _ = &#this;))
    }

    /// Output: `if input.wanted() { argument(&a).record(&mut input, "a"); … }`
    ///
    /// `hidden` tells that this is before the names of the body are bound.
    fn arguments(&self, hidden: bool) -> TokenStream {
        let Self { private, input, plan, .. } = self;
        let mut each = TokenStream::new();
        for binding in self.function.bindings() {
            let name = &binding.name;
            let is_hidden = hidden && self.hides && name != "self";
            let ident = if is_hidden { self.hidden(&binding.ident) } else { binding.ident.clone() };
            let cfgs = binding.attrs.iter().filter(|attr| is_cfg(attr));
            let record = match plan.how(name) {
                Some(How::Value) => {
                    quote!(#private::argument(&#ident).record(&mut #input, #name);)
                }
                Some(How::Debug) => {
                    quote!(#private::debug_argument(&#ident).record(&mut #input, #name);)
                }
                Some(How::Redacted) => quote!(#input.redacted(#name);),
                None => continue,
            };
            // One that is hidden is none of clippy's business.
            let quiet = (!is_hidden).then(|| underscore_is_fine(&ident));
            each.extend(quote!(#(#cfgs)* #quiet #record));
        }
        if each.is_empty() { each } else { quote!(if #input.is_wanted() { #each }) }
    }

    /// Output: `if input.is_recorded() { input.target(..); … } input.done();`
    fn about_and_done(&self) -> TokenStream {
        let (input, about) = (&self.input, self.about());
        if about.is_empty() {
            quote!(#input.done();)
        } else {
            quote!(if #input.is_recorded() { #about } #input.done();)
        }
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

    /// Output: `match () { () => { body } }`
    ///
    /// A match arm ends the life of temporaries in the body's tail before the parameters are dropped, as
    /// the end of a function does; a block would not, before edition 2024.
    fn body(&self) -> TokenStream {
        let body = &self.function.body;
        let (head, arrow) = (quote!(match ()), quote!(() =>));
        quote!(#head { #arrow #body })
    }

    /// Output: records what `out` says about the outcome, and ends the call.
    fn finish(&self, call: &TokenStream, out: &TokenStream) -> TokenStream {
        let Self { private, plan, .. } = self;
        let value = if plan.args.skip_output {
            quote!(skipped)
        } else if matches!(self.returns, Returns::Partly { ok_whole: false, .. }) {
            quote!(opaque)
        } else {
            quote!(value)
        };
        let generic_error = matches!(&self.returns, Returns::Plain(ty) if has_generic_error(ty));
        let error = if generic_error { quote!(generic_error) } else { quote!(error) };
        quote! {
            if #call.is_recorded() {
                match #private::outcome(&#out).split() {
                    #private::Ok(__audited_value) => {
                        #private::#value(__audited_value).record_output(&mut #call);
                    }
                    #private::Err(__audited_error) => {
                        #private::#error(__audited_error).record_error(&mut #call);
                    }
                }
            }
        }
    }

    /// Whether the return type might be a boxed future, as far as spelling tells.
    fn may_be_boxed_future(&self) -> bool {
        let Returns::Plain(ty) = &self.returns else { return false };
        let mut ty: &Type = ty;
        while let Type::Group(syn::TypeGroup { elem, .. })
        | Type::Paren(syn::TypeParen { elem, .. }) = ty
        {
            ty = elem;
        }
        match ty {
            // A projection, such as `Self::Future`, may stand for a future whose output outlives less than
            // its box; wrapping it would not compile.
            Type::Path(path) if path.qself.is_some() || path.path.segments[0].ident == "Self" => {
                false
            }
            Type::Path(_) if !names_lifetime(ty) && may_hold_parameter(ty) => false,
            Type::Path(path) => path.path.segments.last().is_some_and(|last| {
                let name = last.ident.to_string();
                !NEVER_A_FUTURE.contains(&name.as_str())
            }),
            Type::Macro(_) => true,
            _ => false,
        }
    }
}

/// Whether `ty` names a lifetime other than `'static`.
fn names_lifetime(ty: &Type) -> bool {
    fn among(tokens: TokenStream) -> bool {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Group(group) if among(group.stream()) => return true,
                TokenTree::Punct(punct)
                    if punct.as_char() == '\''
                        && tokens.peek().is_some_and(|name| name.to_string() != "static") =>
                {
                    return true;
                }
                _ => {}
            }
        }
        false
    }
    among(ty.to_token_stream())
}

/// Names under which nobody hides a boxed future; a shorter expansion for most functions.
const NEVER_A_FUTURE: &[&str] = &[
    "bool",
    "char",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "f32",
    "f64",
    "str",
    "String",
    "Vec",
    "Option",
    "Result",
    "Self",
    "Cow",
    "Arc",
    "Rc",
    "HashMap",
    "BTreeMap",
    "Ordering",
    "Duration",
    "TokenStream",
];

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
fn is_plain(pat: &Pat) -> bool {
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
const NEWER_KEYWORDS: &[&str] = &["async", "await", "dyn", "gen", "try"];

fn is_cfg(attr: &Attribute) -> bool {
    attr.path().is_ident("cfg")
}

/// An argument called `_name` is used by the expansion only; clippy would blame the user for it.
fn underscore_is_fine(ident: &Ident) -> TokenStream {
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

/// `metadata` → `Metadata`
fn variant(word: &str) -> Ident {
    let mut name = word.to_owned();
    name[..1].make_ascii_uppercase();
    Ident::new(&name, Span::mixed_site())
}

fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
