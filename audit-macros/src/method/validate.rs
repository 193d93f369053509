//! Checks the arguments against the function. Every rejection that needs both is here or in
//! `refusal`.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, Path, ReturnType, parse_quote};

use super::args::{ACTION_NOT_CONSTANT, MethodArgs};
use super::model::Function;
use super::return_kind::ReturnKind;
use super::{exits, refusal};
use crate::argument_names::nearest;
use crate::errors::Errors;
use crate::tokens::{any_token, is_ident};

/// How one parameter is captured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum CaptureMode {
    /// By `Serialize`, else by `Debug`, else by the name of the type.
    Value,
    /// By `Debug`, because of `debug(..)`.
    Debug,
    /// As a placeholder, because of `redact(..)`.
    Redacted,
}

/// Arguments that fit the function.
pub(crate) struct CheckedArgs {
    pub(crate) args: MethodArgs,
    /// The path to the `audited` crate.
    pub(crate) crate_path: Path,
    skipped: Vec<String>,
    debug: Vec<String>,
    redacted: Vec<String>,
}

impl CheckedArgs {
    /// How the parameter `name` is captured. `None`: it is not.
    pub(crate) fn capture_mode(&self, name: &str) -> Option<CaptureMode> {
        let is_in = |list: &[String]| list.iter().any(|listed| listed == name);
        if is_in(&self.redacted) {
            Some(CaptureMode::Redacted)
        } else if is_in(&self.debug) {
            Some(CaptureMode::Debug)
        } else if self.args.skip_all.is_some() || is_in(&self.skipped) {
            None
        } else {
            Some(CaptureMode::Value)
        }
    }

    /// Whether the body runs only after an intent is stored.
    pub(crate) fn refuses(&self) -> bool {
        self.args.on_audit_failure.as_ref().is_some_and(|policy| policy.value() == "refuse")
    }

    /// Whether the caller certainly does not block on the record.
    pub(crate) fn never_waits(&self) -> bool {
        self.args.durability.as_ref().is_some_and(|level| level.value() == "queued")
    }
}

/// Checks `args` against `function`.
///
/// # Errors
///
/// All mistakes together, each at its token.
pub(crate) fn check(mut args: MethodArgs, function: &Function) -> syn::Result<CheckedArgs> {
    let mut errors = std::mem::take(&mut args.errors);
    check_signature(function, &mut errors);
    check_attributes(function, &mut errors);
    check_action(&args, function, &mut errors);
    exits::check(&args, &mut errors);
    check_durability(&args, function, &mut errors);
    check_failed_if(&args, function, &mut errors);
    let [skipped, debug, redacted] = check_parameter_names(&args, function, &mut errors);
    errors.into_result()?;
    let crate_path = args.crate_path.clone().unwrap_or_else(|| parse_quote!(::audited));
    Ok(CheckedArgs { args, crate_path, skipped, debug, redacted })
}

fn check_signature(function: &Function, errors: &mut Errors) {
    if let Some(keyword) = &function.sig.constness {
        errors.push(
            keyword.span,
            "a `const fn` can be evaluated at compile time, where nothing can be recorded: remove \
             `const`, or apply `#[audit_method]` to the callers",
        );
    }
    if let Some(variadic) = &function.sig.variadic {
        errors.push(
            variadic.dots.spans[0],
            "C-variadic arguments can't be passed on: apply `#[audit_method]` to the callers",
        );
    }
}

/// Attributes that exclude ours. Only their names are available: a macro can't resolve the path of an
/// attribute.
fn check_attributes(function: &Function, errors: &mut Errors) {
    for attr in &function.attrs {
        let path = attr.path();
        let Some(first) = path.segments.first() else { continue };
        if path.segments.last().is_some_and(|last| last.ident == "audit_method") {
            errors.push(
                first.ident.span(),
                "`#[audit_method]` is given twice, so each call would be recorded twice: remove one \
                 of them",
            );
        }
        if is_naked(attr) {
            errors.push(
                first.ident.span(),
                "a naked function contains only assembly: apply `#[audit_method]` to the callers",
            );
        }
    }
}

/// `#[naked]` or `#[unsafe(naked)]`
fn is_naked(attr: &Attribute) -> bool {
    attr.path().is_ident("naked")
        || (attr.path().is_ident("unsafe")
            && matches!(&attr.meta, syn::Meta::List(list) if list.tokens.to_string() == "naked"))
}

/// The action is evaluated at compile time, where the function has no arguments.
fn check_action(args: &MethodArgs, function: &Function, errors: &mut Errors) {
    if let Some(Expr::Path(path)) = &args.action
        && let Some(name) = path.path.get_ident()
        && function.bindings().iter().any(|binding| binding.ident == *name)
    {
        errors.push(name.span(), ACTION_NOT_CONSTANT);
    }
}

/// What `durability` and `on_audit_failure` promise must be possible.
fn check_durability(args: &MethodArgs, function: &Function, errors: &mut Errors) {
    let records_nothing = args.capture.as_ref().is_some_and(|level| level.value() == "none");
    if let Some(level) = args.durability.as_ref().filter(|level| level.value() != "queued")
        && records_nothing
    {
        errors.push(
            level.span(),
            "`capture = \"none\"` records no call, so there is no record to make durable: remove \
             one of the two arguments",
        );
    }
    if let Some((span, message)) = refusal::unsupported(args, function) {
        errors.push(span, message);
    }
}

/// The returned value must be known where `failed_if` is evaluated.
fn check_failed_if(args: &MethodArgs, function: &Function, errors: &mut Errors) {
    let Some(test) = &args.failed_if else { return };
    let message = if args.capture.as_ref().is_some_and(|level| level.value() == "none") {
        "`capture = \"none\"` records no call, so there is no outcome to decide: remove one of the \
         two arguments"
    } else if any_token(test.to_token_stream(), &|token| is_ident(Some(token), "self")) {
        "`failed_if` is evaluated after the body, where `self` may be gone: use only the returned \
         value, or call `audited::outcome` in the body"
    } else {
        let stays_in_place = function.is_track_caller() && !function.is_async();
        match ReturnKind::of(&function.sig.output, function.is_async()) {
            ReturnKind::Never => "this function never returns, so there is no value to look at",
            ReturnKind::Opaque
            | ReturnKind::Recordable { .. }
            | ReturnKind::Future { output: None } => {
                "the returned value has no type that can be named: name it instead of `impl Trait`, \
                 or call `audited::outcome` in the body"
            }
            ReturnKind::Response | ReturnKind::PartlyNameable { .. } if stays_in_place => {
                "the body of a `#[track_caller]` function stays in place, where a value of type \
                 `impl Trait` is not seen: name the type, or call `audited::outcome` in the body"
            }
            _ if matches!(function.sig.output, ReturnType::Default) => {
                "this function returns nothing to look at: call `audited::outcome` in the body"
            }
            _ => return,
        }
    };
    errors.push(test.span(), message);
}

/// The names in `skip`, `debug` and `redact`, without those that are wrong.
fn check_parameter_names(
    args: &MethodArgs,
    function: &Function,
    errors: &mut Errors,
) -> [Vec<String>; 3] {
    let bindings = function.bindings();
    let known: Vec<&str> = bindings.iter().map(|binding| binding.name.as_str()).collect();
    let mut seen: Vec<(String, &str)> = Vec::new();
    let mut check = |list: &[Ident], argument: &'static str| -> Vec<String> {
        let mut names = Vec::new();
        for ident in list {
            let name = ident.unraw().to_string();
            if !known.contains(&name.as_str()) {
                errors.push(ident.span(), unknown_parameter(&name, &known));
            } else if let Some((_, other)) = seen.iter().find(|(seen, _)| *seen == name) {
                let message = if *other == argument {
                    format!("`{name}` is listed twice in `{argument}`: remove one of them")
                } else {
                    format!(
                        "`{name}` is in both `{other}` and `{argument}`: remove it from one of them"
                    )
                };
                errors.push(ident.span(), message);
            } else {
                seen.push((name.clone(), argument));
                names.push(name);
            }
        }
        names
    };
    let lists =
        [check(&args.skip, "skip"), check(&args.debug, "debug"), check(&args.redact, "redact")];
    if let (Some(_), Some(name)) = (args.skip_all, args.skip.first()) {
        errors.push(name.span(), "`skip_all` already skips every parameter: remove `skip`");
    }
    lists
}

fn unknown_parameter(name: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return format!("this function has no parameter `{name}`; it has no parameters at all");
    }
    let mut message = format!("this function has no parameter `{name}`");
    if let Some(near) = nearest(name, known.iter().copied()) {
        message.push_str(&format!("; did you mean `{near}`?"));
    }
    message.push_str(&format!("\nits parameters are: {}", known.join(", ")));
    message
}
