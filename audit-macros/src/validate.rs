//! Every rejection that needs both the words and the function, in one place.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::{Expr, Path, parse_quote};

use crate::args::{Args, Field};
use crate::model::Function;
use crate::refusal;
use crate::words;

/// How one argument is captured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// `Serialize`, else `Debug`, else the type's name.
    Value,
    /// `Debug`, by the word `debug(..)`.
    Debug,
    /// A mark that it is there, by the word `redact(..)`.
    Redacted,
}

/// The words, checked: what the expansion is made from.
pub(crate) struct Plan<'a> {
    pub(crate) args: &'a Args,
    /// The path to the facade crate.
    pub(crate) krate: Path,
    skipped: Vec<String>,
    debug: Vec<String>,
    redacted: Vec<String>,
}

impl Plan<'_> {
    /// How the argument called `name` is captured; `None`: not at all.
    pub(crate) fn how(&self, name: &str) -> Option<How> {
        let listed = |list: &[String]| list.iter().any(|listed| listed == name);
        if listed(&self.redacted) {
            Some(How::Redacted)
        } else if listed(&self.debug) {
            Some(How::Debug)
        } else if self.args.skip_all.is_some() || listed(&self.skipped) {
            None
        } else {
            Some(How::Value)
        }
    }

    /// Whether a call is made only if it can be put on the record first.
    pub(crate) fn refuses(&self) -> bool {
        self.args.on_audit_failure.as_ref().is_some_and(|policy| policy.value() == "refuse")
    }

    /// Whether it is certain that no caller waits for the record.
    pub(crate) fn never_waits(&self) -> bool {
        self.args.durability.as_ref().is_some_and(|level| level.value() == "queued")
    }

    pub(crate) fn fields(&self) -> &[Field] {
        &self.args.fields
    }
}

/// Checks `args` against `function`.
///
/// # Errors
///
/// All that is wrong, at once, each at the token at fault.
pub(crate) fn plan<'a>(args: &'a Args, function: &Function) -> syn::Result<Plan<'a>> {
    let mut errors = Errors(args.mistakes.clone());
    function_kind(function, &mut errors);
    promises(args, function, &mut errors);
    let names = argument_names(args, function, &mut errors);
    errors.finish()?;
    let [skipped, debug, redacted] = names;
    let krate = args.crate_path.clone().unwrap_or_else(|| parse_quote!(::audited));
    Ok(Plan { args, krate, skipped, debug, redacted })
}

fn function_kind(function: &Function, errors: &mut Errors) {
    let sig = &function.sig;
    if let Some(keyword) = &sig.constness {
        errors.push(
            keyword.span,
            "a `const fn` may run in the compiler, where nothing can be recorded: leave out `const`, \
             or put `#[audit_method]` on the functions that call it",
        );
    }
    if let Some(variadic) = &sig.variadic {
        errors.push(
            variadic.dots.spans[0],
            "C-variadic arguments can't be passed on: put `#[audit_method]` on the functions that call it",
        );
    }
    for attr in &function.attrs {
        let path = attr.path();
        if path.segments.last().is_some_and(|last| last.ident == "audit_method") {
            let span = path.segments[0].ident.span();
            errors.push(span, "`#[audit_method]` is given twice; one call would make two records");
        }
        let is_naked = path.is_ident("naked")
            || (path.is_ident("unsafe")
                && matches!(&attr.meta, syn::Meta::List(list) if list.tokens.to_string() == "naked"));
        if is_naked {
            let span = path.segments[0].ident.span();
            errors.push(
                span,
                "a naked function is nothing but its assembly: put `#[audit_method]` on the functions \
                 that call it",
            );
        }
    }
}

/// What the words promise must be possible.
fn promises(args: &Args, function: &Function, errors: &mut Errors) {
    let is_off = args.capture.as_ref().is_some_and(|level| level.value() == "none");
    if let Some(level) = args.durability.as_ref().filter(|level| level.value() != "queued")
        && is_off
    {
        errors.push(
            level.span(),
            "`capture = \"none\"` keeps every call off the record, so there is nothing to wait for: leave out one of \
             them",
        );
    }
    if let Some((span, message)) = refusal::obstacle(args, function) {
        errors.push(span, message);
    }
}

/// The lists of `skip`, `debug` and `redact`, each name checked.
fn argument_names(args: &Args, function: &Function, errors: &mut Errors) -> [Vec<String>; 3] {
    let bindings = function.bindings();
    let known: Vec<&str> = bindings.iter().map(|binding| binding.name.as_str()).collect();
    let mut seen: Vec<(String, &str)> = Vec::new();
    let mut check = |list: &[Ident], word: &'static str| -> Vec<String> {
        let mut names = Vec::new();
        for ident in list {
            let name = ident.unraw().to_string();
            if !known.contains(&name.as_str()) {
                errors.push(ident.span(), &unknown_argument(&name, word, &known));
            } else if let Some((_, other)) = seen.iter().find(|(seen, _)| *seen == name) {
                let message = if *other == word {
                    format!("`{name}` is named twice in `{word}`; once is enough")
                } else {
                    format!("`{name}` is also in `{other}`; decide for one of them")
                };
                errors.push(ident.span(), &message);
            } else {
                seen.push((name.clone(), word));
                names.push(name);
            }
        }
        names
    };
    let lists =
        [check(&args.skip, "skip"), check(&args.debug, "debug"), check(&args.redact, "redact")];
    if let (Some(_), Some(name)) = (args.skip_all, args.skip.first()) {
        errors.push(name.span(), "`skip_all` leaves out every argument; `skip` adds nothing to it");
    }
    lists
}

fn unknown_argument(name: &str, word: &str, known: &[&str]) -> String {
    let mut message = format!("`{word}` names `{name}`, which is no argument of this function");
    if let Some(near) = words::nearest(name, known.iter().copied()) {
        message.push_str(&format!("; did you mean `{near}`?"));
    }
    if known.is_empty() {
        message.push_str("; it has no arguments");
    } else {
        message.push_str(&format!("\nits arguments are: {}", known.join(", ")));
    }
    message
}

/// Gathers errors, so that all of them are told at once.
struct Errors(Option<syn::Error>);

impl Errors {
    fn push(&mut self, span: Span, message: &str) {
        let error = syn::Error::new(span, message);
        match &mut self.0 {
            Some(all) => all.combine(error),
            none => *none = Some(error),
        }
    }

    fn finish(self) -> syn::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// Whether `expr` is a tuple, whose parts the expansion then borrows one by one.
pub(crate) fn tuple_parts(expr: &Expr) -> Option<Vec<&Expr>> {
    match expr {
        Expr::Tuple(tuple) => Some(tuple.elems.iter().collect()),
        Expr::Paren(paren) => tuple_parts(&paren.expr),
        Expr::Group(group) => tuple_parts(&group.expr),
        _ => None,
    }
}
