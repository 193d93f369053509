//! Parses the arguments of `#[audit_method(...)]`. `validate` checks them against the function.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseBuffer, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Path, Token, parenthesized, token};

use crate::argument_names::{METHOD_ARGUMENTS, nearest};
use crate::argument_parsing::{
    ListEnd, argument_name, comma_separated, crate_path, equals, flag, read_to_end,
};
use crate::errors::Errors;

/// The arguments as written. Lists keep the order and the spans of the names in them.
#[derive(Default)]
pub(crate) struct MethodArgs {
    pub(crate) action: Option<Expr>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) skip_all: Option<Span>,
    pub(crate) skip_output: bool,
    pub(crate) redact: Vec<Ident>,
    pub(crate) debug: Vec<Ident>,
    pub(crate) fields: Vec<ExtraField>,
    pub(crate) target: Option<Expr>,
    pub(crate) reason: Option<Expr>,
    pub(crate) failed_if: Option<Expr>,
    pub(crate) capture: Option<LitStr>,
    pub(crate) log: Option<LitStr>,
    pub(crate) durability: Option<LitStr>,
    pub(crate) on_audit_failure: Option<LitStr>,
    pub(crate) crate_path: Option<Path>,
    /// Mistakes in the arguments themselves. `validate` reports them with its own.
    pub(crate) errors: Errors,
}

/// `name = expression` in `fields(...)`. The name may contain dots.
pub(crate) struct ExtraField {
    pub(crate) name: String,
    pub(crate) value: Expr,
}

impl Parse for MethodArgs {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut args = Self::default();
        let mut errors = Errors::default();
        let mut seen = Vec::new();
        comma_separated(input, ListEnd::Parenthesis, &mut errors, |_, input| {
            args.parse_argument(input, &mut seen)
        })?;
        Ok(Self { errors, ..args })
    }
}

impl MethodArgs {
    fn parse_argument(
        &mut self,
        input: ParseStream<'_>,
        seen: &mut Vec<String>,
    ) -> syn::Result<()> {
        if input.peek(LitStr) {
            let text: LitStr = input.parse()?;
            let message = format!("to name the action, write `action = {:?}`", text.value());
            return Err(syn::Error::new(text.span(), message));
        }
        let name = &argument_name(input, &METHOD_ARGUMENTS, seen)?;
        match name.to_string().as_str() {
            "action" => self.action = Some(action(input, name)?),
            "skip" => self.skip = parameters(input, name)?,
            "skip_all" => self.skip_all = Some(flag(input, name)?),
            "skip_output" => {
                flag(input, name)?;
                self.skip_output = true;
            }
            "redact" => self.redact = parameters(input, name)?,
            "debug" => self.debug = parameters(input, name)?,
            "fields" => self.fields = extra_fields(input, name)?,
            "target" => self.target = Some(expression(input, name)?),
            "reason" => self.reason = Some(expression(input, name)?),
            "failed_if" => self.failed_if = Some(test(input, name)?),
            "capture" => {
                self.capture = Some(one_of(input, name, &["none", "metadata", "input", "full"])?);
            }
            "log" => {
                let levels = ["off", "error", "warn", "info", "debug", "trace"];
                self.log = Some(one_of(input, name, &levels)?);
            }
            "durability" => {
                self.durability = Some(one_of(input, name, &["queued", "process", "power"])?);
            }
            "on_audit_failure" => {
                self.on_audit_failure = Some(one_of(input, name, &["continue", "refuse"])?);
            }
            _ => self.crate_path = Some(crate_path(input, name)?),
        }
        Ok(())
    }
}

pub(crate) const ACTION_NOT_CONSTANT: &str = "the action must be a constant: record values that \
                                              differ from call to call with `target`, `reason` or \
                                              `fields`";

/// `= "…"`, `= CONSTANT` or `= constant!()`. Whether a path or a macro gives a constant string, the
/// compiler checks: the action initialises a static.
fn action(input: ParseStream<'_>, name: &Ident) -> syn::Result<Expr> {
    let mut expr = expression(input, name)?;
    while let Expr::Paren(paren) = expr {
        expr = *paren.expr;
    }
    let message = match &expr {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if text.value().trim().is_empty() => {
            "the action is empty: write a short phrase such as `action = \"transfer funds\"`"
        }
        Expr::Lit(ExprLit { lit: Lit::Str(_), .. }) | Expr::Path(_) | Expr::Macro(_) => {
            return Ok(expr);
        }
        Expr::Lit(_) => "expected a string or a constant: `action = \"transfer funds\"`",
        _ => ACTION_NOT_CONSTANT,
    };
    Err(syn::Error::new(expr.span(), message))
}

/// `= expression`
fn expression(input: ParseStream<'_>, name: &Ident) -> syn::Result<Expr> {
    equals(input, name, &form(name))?;
    ungrouped_expression(input)
}

/// Parses an expression, and removes the invisible groups around what was passed to a
/// `macro_rules!`.
///
/// The compiler ignores such a group in the output of a macro, so that `& $sum` would be `&a + b`.
/// Without the group, syn writes parentheses where they are needed.
fn ungrouped_expression(input: ParseStream<'_>) -> syn::Result<Expr> {
    struct Ungroup;

    impl VisitMut for Ungroup {
        fn visit_expr_mut(&mut self, expr: &mut Expr) {
            while let Expr::Group(group) = expr {
                *expr = (*group.expr).clone();
            }
            visit_mut::visit_expr_mut(self, expr);
        }
    }

    let mut expr = input.parse()?;
    Ungroup.visit_expr_mut(&mut expr);
    Ok(expr)
}

/// `= |value| condition` or `= path::to::function`
fn test(input: ParseStream<'_>, name: &Ident) -> syn::Result<Expr> {
    let expr = expression(input, name)?;
    match without_groups(&expr) {
        Expr::Closure(closure) if closure.inputs.len() == 1 && closure.asyncness.is_none() => {
            Ok(expr)
        }
        Expr::Path(_) | Expr::Macro(_) | Expr::Field(_) | Expr::Call(_) => Ok(expr),
        _ => Err(syn::Error::new(
            expr.span(),
            "expected a closure or a function that takes a reference to the returned value and \
             returns a `bool`: `failed_if = |reply| reply.is_error()` or \
             `failed_if = Reply::is_error`",
        )),
    }
}

fn without_groups(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => without_groups(&group.expr),
        Expr::Paren(paren) => without_groups(&paren.expr),
        other => other,
    }
}

/// `= "…"`, where the string is one of `allowed`.
fn one_of(input: ParseStream<'_>, name: &Ident, allowed: &[&str]) -> syn::Result<LitStr> {
    equals(input, name, &form(name))?;
    let quoted: Vec<String> = allowed.iter().map(|value| format!("{value:?}")).collect();
    let mut message = format!("`{name}` must be one of {}", quoted.join(", "));
    if !input.peek(LitStr) {
        return Err(input.error(message));
    }
    let text: LitStr = input.parse()?;
    if allowed.contains(&text.value().as_str()) {
        return Ok(text);
    }
    if let Some(near) = nearest(&text.value(), allowed.iter().copied()) {
        message.push_str(&format!("; did you mean {near:?}?"));
    }
    Err(syn::Error::new(text.span(), message))
}

/// `(parameter, …)`
fn parameters(input: ParseStream<'_>, name: &Ident) -> syn::Result<Vec<Ident>> {
    let content = parentheses(input, name)?;
    let parameter = |input: ParseStream<'_>| {
        let parameter = input.call(Ident::parse_any);
        parameter.map_err(|error| syn::Error::new(error.span(), "expected the name of a parameter"))
    };
    let list = Punctuated::<Ident, Token![,]>::parse_terminated_with(&content, parameter);
    let list = read_to_end(&content, list)?;
    if list.is_empty() {
        let message = format!("name at least one parameter: {}", form(name));
        return Err(syn::Error::new(name.span(), message));
    }
    Ok(list.into_iter().collect())
}

/// `(name = expression, …)`
fn extra_fields(input: ParseStream<'_>, name: &Ident) -> syn::Result<Vec<ExtraField>> {
    let content = parentheses(input, name)?;
    let list = Punctuated::<ExtraField, Token![,]>::parse_terminated(&content);
    Ok(read_to_end(&content, list)?.into_iter().collect())
}

impl Parse for ExtraField {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = if input.peek(LitStr) {
            input.parse::<LitStr>()?.value()
        } else {
            let first = input.call(Ident::parse_any)?;
            let mut name = first.unraw().to_string();
            while input.peek(Token![.]) {
                input.parse::<Token![.]>()?;
                name.push('.');
                name.push_str(&input.call(Ident::parse_any)?.unraw().to_string());
            }
            if !input.peek(Token![=]) {
                let message =
                    format!("the field `{name}` has no value: write `{name} = expression`");
                return Err(syn::Error::new(first.span(), message));
            }
            name
        };
        input.parse::<Token![=]>()?;
        Ok(Self { name, value: ungrouped_expression(input)? })
    }
}

fn parentheses<'a>(input: ParseStream<'a>, name: &Ident) -> syn::Result<ParseBuffer<'a>> {
    if !input.peek(token::Paren) {
        return Err(syn::Error::new(name.span(), format!("expected {}", form(name))));
    }
    let content;
    parenthesized!(content in input);
    Ok(content)
}

/// How the argument `name` is written: `` `reason = expression` ``.
fn form(name: &Ident) -> String {
    METHOD_ARGUMENTS.form(&name.to_string())
}
