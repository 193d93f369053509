//! Tokens that begin and end a call.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;

use super::expansion::Expansion;
use crate::method::args::MethodArgs;
use crate::method::return_kind::ReturnKind;
use crate::method::type_spelling::has_generic_error;
use crate::register::register;
use crate::tokens::{local, to_source_text};

/// Output: `let mut call = begin_call(call site); let mut input = Call::input(&call);`
pub(crate) fn enter(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { private, call, input, .. } = expansion;
    let call_site = call_site(expansion);
    quote! {
        let mut #call = #private::begin_call(#call_site);
        let mut #input = #private::Call::input(&#call);
    }
}

/// Output:
/// ```text
/// {
///     static CALLSITE: CallSite =
///         CallSite::action(CallSite::new(module_path!(), "name", &|| ()), "…");
///     register it in the catalogue;
///     &CALLSITE
/// }
/// ```
pub(crate) fn call_site(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { private, function, .. } = expansion;
    let name = function.sig.ident.unraw().to_string();
    let new = quote!(#private::CallSite::new(#private::module_path!(), #name, &|| ()));
    let site = with_options(expansion, new);
    let register = register(private, &quote!(#private::CatalogueEntry::site(&__AUDITED_CALLSITE)));
    quote! {
        {
            static __AUDITED_CALLSITE: #private::CallSite = #site;
            #register
            &__AUDITED_CALLSITE
        }
    }
}

/// Input:  `site`
///
/// Output: `CallSite::leaves_out(CallSite::action(site, "…"), "skip db")`
fn with_options(expansion: &Expansion<'_>, mut site: TokenStream) -> TokenStream {
    let Expansion { private, args, .. } = expansion;
    let MethodArgs { action, capture, log, durability, .. } = &args.args;
    let mut add = |option: &str, value: TokenStream| {
        let option = Ident::new(option, Span::mixed_site());
        site = quote!(#private::CallSite::#option(#site, #value));
    };
    if let Some(action) = action {
        add("action", quote!(#action));
    }
    if let Some(capture) = capture {
        let level = variant(&capture.value());
        add("capture", quote!(#private::CaptureLevel::#level));
    }
    if let Some(log) = log {
        let level = Ident::new(&log.value().to_uppercase(), Span::mixed_site());
        add("log", quote!(#private::LevelFilter::#level));
    }
    if let Some(durability) = durability {
        let level = variant(&durability.value());
        add("durability", quote!(#private::Durability::#level));
    }
    if args.refuses() {
        add("refuses", TokenStream::new());
    }
    let left_out = left_out(&args.args);
    if !left_out.is_empty() {
        add("leaves_out", quote!(#left_out));
    }
    site
}

/// `metadata` → `Metadata`
fn variant(value: &str) -> Ident {
    let mut name = value.to_owned();
    name[..1].make_ascii_uppercase();
    Ident::new(&name, Span::mixed_site())
}

/// What the arguments exclude from the record, for the catalogue: `skip db; redact pin`.
fn left_out(args: &MethodArgs) -> String {
    let list = |argument: &str, names: &[Ident]| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        (!names.is_empty()).then(|| format!("{argument} {}", names.join(", ")))
    };
    let parts = [
        args.skip_all.map(|_| "skip_all".to_owned()),
        list("skip", &args.skip),
        list("redact", &args.redact),
        args.skip_output.then(|| "skip_output".to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Output: `if Call::is_recorded(&call) { match outcome(&output).__audited_split() { … } }`, which
/// records the outcome and ends the call.
pub(crate) fn finish(
    expansion: &Expansion<'_>,
    call: &impl ToTokens,
    output: &impl ToTokens,
) -> TokenStream {
    let (private, outcome) = (&expansion.private, record_outcome(expansion, call, output));
    quote!(if #private::Call::is_recorded(&#call) { #outcome })
}

/// As [`finish`], for a local call that is not used afterwards.
///
/// The call is moved first. So its address is not taken on the path that records nothing, and the
/// compiler can keep it in a register.
pub(crate) fn finish_moved(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { private, call, output, .. } = expansion;
    let ended = local("__audited_ended");
    let outcome = record_outcome(expansion, &ended, output);
    quote!(if #private::Call::is_recorded(&#call) { let mut #ended = #call; #outcome })
}

/// Output: `match outcome(&output).split() { … }`, which records the outcome and ends the call.
pub(crate) fn record_outcome(
    expansion: &Expansion<'_>,
    call: &impl ToTokens,
    output: &impl ToTokens,
) -> TokenStream {
    let Expansion { private, args, return_kind, .. } = expansion;
    let value = if args.args.skip_output {
        quote!(skipped(__audited_value))
    } else if matches!(return_kind, ReturnKind::PartlyNameable { is_value_named: false, .. }) {
        quote!(opaque(__audited_value))
    } else {
        quote!(value(__audited_value).__audited_checked())
    };
    let returned = match return_kind {
        ReturnKind::Future { output } => output.as_deref(),
        _ => return_kind.annotation(),
    };
    let error = match returned {
        Some(ty) if has_generic_error(ty) => quote!(generic_error),
        _ => quote!(error),
    };
    let failed_if = args.args.failed_if.as_ref().map(|test| {
        let text = to_source_text(&test.to_token_stream());
        quote!(#private::failed_if(&mut #call, __audited_value, #test, #text);)
    });
    quote! {
        match #private::outcome(&#output).__audited_split() {
            #private::Ok(__audited_value) => {
                #failed_if
                let __audited_value = #private::status(__audited_value).__audited_rest(&mut #call);
                #private::#value.__audited_record_output(&mut #call);
            }
            #private::Err(__audited_error) => {
                #private::#error(#private::status(__audited_error).__audited_rest(&mut #call))
                    .__audited_record_error(&mut #call);
            }
        }
    }
}
