//! Parses the words in `#[audit_method(...)]`. What they may be combined with is checked in `validate`.

use proc_macro2::{Span, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Path, Token, parenthesized};

use crate::words;

/// The words, as written. Lists keep the order and the spans of the names in them.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) action: Option<Expr>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) skip_all: Option<Span>,
    pub(crate) skip_output: bool,
    pub(crate) redact: Vec<Ident>,
    pub(crate) debug: Vec<Ident>,
    pub(crate) fields: Vec<Field>,
    pub(crate) target: Option<Expr>,
    pub(crate) reason: Option<Expr>,
    pub(crate) capture: Option<LitStr>,
    pub(crate) log: Option<LitStr>,
    pub(crate) durability: Option<LitStr>,
    pub(crate) on_audit_failure: Option<LitStr>,
    pub(crate) crate_path: Option<Path>,
    /// What is wrong with the words themselves; `validate` tells it with the rest.
    pub(crate) mistakes: Option<syn::Error>,
}

/// `name = expression` in `fields(...)`; the name may have dots.
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) value: Expr,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut args = Self::default();
        let mut seen: Vec<String> = Vec::new();
        while !input.is_empty() {
            if let Err(error) = args.word(input, &mut seen) {
                args.mistake(error);
                skip_to_comma(input)?;
            }
            if !input.is_empty() && input.parse::<Option<Token![,]>>()?.is_none() {
                args.mistake(input.error("expected `,` between two words"));
                skip_to_comma(input)?;
                input.parse::<Option<Token![,]>>()?;
            }
        }
        Ok(args)
    }
}

impl Args {
    fn mistake(&mut self, error: syn::Error) {
        match &mut self.mistakes {
            Some(all) => all.combine(error),
            none => *none = Some(error),
        }
    }

    fn word(&mut self, input: ParseStream<'_>, seen: &mut Vec<String>) -> syn::Result<()> {
        if input.peek(LitStr) {
            let text: LitStr = input.parse()?;
            let message = format!("write `action = {:?}` to name the action", text.value());
            return Err(syn::Error::new(text.span(), message));
        }
        let word = input.call(Ident::parse_any)?;
        let name = word.to_string();
        if !words::WORDS.iter().any(|(known, _)| *known == name) {
            return Err(syn::Error::new(word.span(), words::unknown(&name)));
        }
        if seen.contains(&name) {
            let message = format!("`{name}` is given twice; give it once");
            return Err(syn::Error::new(word.span(), message));
        }
        seen.push(name.clone());
        match name.as_str() {
            "action" => self.action = Some(action(input, &word)?),
            "skip" => self.skip = names(input, &word)?,
            "skip_all" => self.skip_all = Some(flag(input, &word)?),
            "skip_output" => {
                flag(input, &word)?;
                self.skip_output = true;
            }
            "redact" => self.redact = names(input, &word)?,
            "debug" => self.debug = names(input, &word)?,
            "fields" => self.fields = fields(input, &word)?,
            "target" => self.target = Some(value(input, &word)?),
            "reason" => self.reason = Some(value(input, &word)?),
            "capture" => {
                self.capture = Some(one_of(input, &word, &["none", "metadata", "input", "full"])?);
            }
            "log" => {
                let levels = ["off", "error", "warn", "info", "debug", "trace"];
                self.log = Some(one_of(input, &word, &levels)?);
            }
            "durability" => {
                self.durability = Some(one_of(input, &word, &["queued", "process", "power"])?);
            }
            "on_audit_failure" => {
                self.on_audit_failure = Some(one_of(input, &word, &["continue", "refuse"])?);
            }
            _ => self.crate_path = Some(crate_path(input, &word)?),
        }
        Ok(())
    }
}

/// `= "…"`, or `= CONSTANT`.
fn action(input: ParseStream<'_>, word: &Ident) -> syn::Result<Expr> {
    const CONSTANTS: &[&str] = &["concat", "stringify", "env", "module_path", "include_str"];
    let expr = value(input, word)?;
    let wrong = match &expr {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if text.value().trim().is_empty() => {
            "an action needs a name: `action = \"transfer funds\"`"
        }
        Expr::Lit(ExprLit { lit: Lit::Str(_), .. }) | Expr::Path(_) => return Ok(expr),
        Expr::Macro(expr_macro)
            if expr_macro
                .mac
                .path
                .segments
                .last()
                .is_some_and(|last| CONSTANTS.iter().any(|constant| last.ident == constant)) =>
        {
            return Ok(expr);
        }
        Expr::Lit(_) => "expected a string or a constant: `action = \"transfer funds\"`",
        _ => {
            "an action is a constant, the same for every call: put what changes into `target`, `reason` or \
             `fields`"
        }
    };
    Err(syn::Error::new(expr.span(), wrong))
}

fn value(input: ParseStream<'_>, word: &Ident) -> syn::Result<Expr> {
    equals(input, word)?;
    if input.is_empty() || input.peek(Token![,]) {
        let message = format!("a value is missing: {}", form(word));
        return Err(syn::Error::new(word.span(), message));
    }
    input.parse()
}

fn one_of(input: ParseStream<'_>, word: &Ident, allowed: &[&str]) -> syn::Result<LitStr> {
    equals(input, word)?;
    let expected = || {
        let list: Vec<String> = allowed.iter().map(|value| format!("{value:?}")).collect();
        format!("`{word}` is one of {}", list.join(", "))
    };
    if !input.peek(LitStr) {
        let span = if input.is_empty() { word.span() } else { input.span() };
        return Err(syn::Error::new(span, expected()));
    }
    let text: LitStr = input.parse()?;
    if !allowed.contains(&text.value().as_str()) {
        let mut message = expected();
        if let Some(near) = words::nearest(&text.value(), allowed.iter().copied()) {
            message.push_str(&format!("; did you mean {near:?}?"));
        }
        return Err(syn::Error::new(text.span(), message));
    }
    Ok(text)
}

fn names(input: ParseStream<'_>, word: &Ident) -> syn::Result<Vec<Ident>> {
    let content = parentheses(input, word)?;
    let name = |input: ParseStream<'_>| {
        let name = input.call(Ident::parse_any);
        name.map_err(|error| syn::Error::new(error.span(), "expected the name of an argument"))
    };
    let list =
        whole(&content, Punctuated::<Ident, Token![,]>::parse_terminated_with(&content, name))?;
    if list.is_empty() {
        let message = format!("name at least one argument: {}", form(word));
        return Err(syn::Error::new(word.span(), message));
    }
    Ok(list.into_iter().collect())
}

fn fields(input: ParseStream<'_>, word: &Ident) -> syn::Result<Vec<Field>> {
    let content = parentheses(input, word)?;
    let list = whole(&content, Punctuated::<Field, Token![,]>::parse_terminated(&content))?;
    Ok(list.into_iter().collect())
}

impl Parse for Field {
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
                let message = format!("a field needs a value: `{name} = expression`");
                return Err(syn::Error::new(first.span(), message));
            }
            name
        };
        input.parse::<Token![=]>()?;
        Ok(Self { name, value: input.parse()? })
    }
}

/// A word that stands alone.
fn flag(input: ParseStream<'_>, word: &Ident) -> syn::Result<Span> {
    if input.peek(Token![=]) || input.peek(syn::token::Paren) {
        return Err(input.error(format!("`{word}` stands alone, it takes no value")));
    }
    Ok(word.span())
}

/// `= path`, as in serde.
fn crate_path(input: ParseStream<'_>, word: &Ident) -> syn::Result<Path> {
    equals(input, word)?;
    if input.peek(LitStr) {
        return input.parse::<LitStr>()?.parse_with(Path::parse_mod_style);
    }
    let expected =
        |error: syn::Error| syn::Error::new(error.span(), "expected a path: `crate = path`");
    input.call(Path::parse_mod_style).map_err(expected)
}

fn equals(input: ParseStream<'_>, word: &Ident) -> syn::Result<()> {
    if input.parse::<Option<Token![=]>>()?.is_none() {
        return Err(syn::Error::new(word.span(), format!("expected {}", form(word))));
    }
    Ok(())
}

fn parentheses<'a>(
    input: ParseStream<'a>,
    word: &Ident,
) -> syn::Result<syn::parse::ParseBuffer<'a>> {
    if !input.peek(syn::token::Paren) {
        return Err(syn::Error::new(word.span(), format!("expected {}", form(word))));
    }
    let content;
    parenthesized!(content in input);
    Ok(content)
}

/// After an error, reads what is left: else syn would complain of it, too.
fn whole<T>(content: ParseStream<'_>, read: syn::Result<T>) -> syn::Result<T> {
    if read.is_err() {
        content.parse::<proc_macro2::TokenStream>()?;
    }
    read
}

fn form(word: &Ident) -> String {
    let form = words::WORDS.iter().find(|(name, _)| word == name).map_or("", |(_, form)| form);
    format!("`{form}`")
}

/// After an error: go on with the next word, so that all mistakes are told at once.
fn skip_to_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}
