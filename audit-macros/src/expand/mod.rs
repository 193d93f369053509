//! Writes the tokens. The expansion holds no logic: a static call site, then `::audited::__private`.
//!
//! All names of ours have mixed-site hygiene: user code can neither see nor shadow them.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::quote;
use syn::{FnArg, Pat, Signature};

use self::arguments::{NEWER_KEYWORDS, is_plain};
use self::watch::Watches;
use crate::model::{Function, parameter_ident};
use crate::returns::{Returns, has_generic_error};
use crate::validate::Plan;

mod admit;
mod arguments;
mod async_fn;
mod in_place;
mod receiver;
mod spelling;
mod sync;
mod watch;

/// Expands one function.
pub(crate) fn function(plan: &Plan<'_>, function: &Function) -> TokenStream {
    let parts = Parts::new(plan, function);
    let (sig, block) = if function.is_async() {
        async_fn::expand(&parts)
    } else if parts.is_in_place() {
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
    /// What is gathered for it.
    gathering: Ident,
    /// The local that holds what the body returned.
    out: Ident,
    /// Whether plain parameters are taken under hidden names; see [`Function::can_hide_parameters`].
    hides: bool,
    /// The objects that the function may change.
    watches: Watches,
}

impl<'a> Parts<'a> {
    fn new(plan: &'a Plan<'a>, function: &'a Function) -> Self {
        let krate = &plan.krate;
        let returns = Returns::of(&function.sig.output, function.is_async());
        Self {
            plan,
            function,
            watches: Watches::of(plan, function, &returns),
            returns,
            private: quote!(#krate::__private),
            call: local("__audited_call"),
            input: local("__audited_input"),
            gathering: local("__audited_gathering"),
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

    /// Output:
    /// ```text
    /// {
    ///     static CALLSITE: Site = Site::new(module_path!(), "name");
    ///     enter it into the catalogue;
    ///     &CALLSITE
    /// }
    /// ```
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
        if let Some(durability) = &args.durability {
            let level = variant(&durability.value());
            options.extend(quote!(.durability(#private::Durability::#level)));
        }
        if plan.refuses() {
            options.extend(quote!(.refuses()));
        }
        let left_out = left_out(args);
        if !left_out.is_empty() {
            options.extend(quote!(.leaves_out(#left_out)));
        }
        let entry = quote!(#private::Entry::site(&__AUDITED_CALLSITE));
        let register = crate::register::register(private, &entry);
        quote! {
            {
                static __AUDITED_CALLSITE: #private::Site =
                    #private::Site::new(#private::module_path!(), #name) #options;
                #register
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

    /// Output: `match () { () => { body } }`, the body [as it runs](Self::body_as_it_runs).
    ///
    /// A match arm ends the life of temporaries in the body's tail before the parameters are dropped, as
    /// the end of a function does; a block would not, before edition 2024.
    fn body(&self) -> TokenStream {
        let body = self.body_as_it_runs();
        let (head, arrow) = (quote!(match ()), quote!(() =>));
        quote!(#head { #arrow #body })
    }

    /// Output: records what `out` says about the outcome, and ends the call.
    fn finish(&self, call: &TokenStream, out: &TokenStream) -> TokenStream {
        let outcome = self.outcome(call, out);
        quote!(if #call.is_recorded() { #outcome })
    }

    /// As [`finish`](Self::finish), for a local call that is done with after that.
    ///
    /// It is moved first: on the path without a record, no address of it is taken then, and the compiler can leave it
    /// in a register.
    fn finish_moved(&self) -> TokenStream {
        let (call, out, ended) = (&self.call, &self.out, local("__audited_ended"));
        let outcome = self.outcome(&quote!(#ended), &quote!(#out));
        quote!(if #call.is_recorded() { let mut #ended = #call; #outcome })
    }

    fn outcome(&self, call: &TokenStream, out: &TokenStream) -> TokenStream {
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

/// `metadata` → `Metadata`
fn variant(word: &str) -> Ident {
    let mut name = word.to_owned();
    name[..1].make_ascii_uppercase();
    Ident::new(&name, Span::mixed_site())
}

fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// What the words keep off the record, for the catalogue: `skip db; redact pin`.
fn left_out(args: &crate::args::Args) -> String {
    let list = |word: &str, names: &[Ident]| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        (!names.is_empty()).then(|| format!("{word} {}", names.join(", ")))
    };
    let words = [
        args.skip_all.map(|_| "skip_all".to_owned()),
        list("skip", &args.skip),
        list("redact", &args.redact),
        args.skip_output.then(|| "skip_output".to_owned()),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join("; ")
}
