//! Parsing that both attributes share. After a mistake, parsing goes on with the next argument, so
//! that all mistakes are reported at once.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Ident, LitStr, Path, Token, token};

use crate::argument_names::ArgumentNames;
use crate::errors::Errors;

/// Where a list of arguments ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListEnd {
    /// At the closing parenthesis.
    Parenthesis,
    /// At a semicolon, or at the closing parenthesis.
    Semicolon,
}

/// Parses arguments that are separated by commas, each with `parse_one`, and leaves the semicolon.
pub(crate) fn comma_separated(
    input: ParseStream<'_>,
    end: ListEnd,
    errors: &mut Errors,
    mut parse_one: impl FnMut(&mut Errors, ParseStream<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    let is_at_end = || input.is_empty() || (end == ListEnd::Semicolon && input.peek(Token![;]));
    let is_at_comma_or_end = || is_at_end() || input.peek(Token![,]);
    while !is_at_end() {
        match parse_one(errors, input) {
            Err(error) => errors.add(error),
            Ok(()) if !is_at_comma_or_end() => errors.add(input.error("expected `,`")),
            Ok(()) => {}
        }
        while !is_at_comma_or_end() {
            input.parse::<TokenTree>()?;
        }
        input.parse::<Option<Token![,]>>()?;
    }
    Ok(())
}

/// Parses the name of an argument, and rejects one that is unknown or already in `seen`.
///
/// `was` may be repeated: a field or a type may have had several names.
pub(crate) fn argument_name(
    input: ParseStream<'_>,
    names: &ArgumentNames,
    seen: &mut Vec<String>,
) -> syn::Result<Ident> {
    let name = input
        .call(Ident::parse_any)
        .map_err(|error| syn::Error::new(error.span(), names.expected()))?;
    let text = name.to_string();
    if !names.contains(&text) {
        return Err(syn::Error::new(name.span(), names.unknown(&text)));
    }
    if text != "was" && seen.contains(&text) {
        return Err(syn::Error::new(name.span(), given_twice(&text)));
    }
    seen.push(text);
    Ok(name)
}

pub(crate) fn given_twice(name: &str) -> String {
    format!("`{name}` is given twice: remove one of them")
}

/// Parses the `=` of an argument that is written as `form`, and checks that a value follows.
pub(crate) fn equals(input: ParseStream<'_>, name: &Ident, form: &str) -> syn::Result<()> {
    let has_value = input.parse::<Option<Token![=]>>()?.is_some() && !input.is_empty();
    if !has_value || input.peek(Token![,]) {
        return Err(syn::Error::new(name.span(), format!("expected {form}")));
    }
    Ok(())
}

/// An argument without a value. Gives its place.
pub(crate) fn flag(input: ParseStream<'_>, name: &Ident) -> syn::Result<Span> {
    if input.peek(Token![=]) || input.peek(token::Paren) {
        return Err(input.error(format!("`{name}` takes no value: write only `{name}`")));
    }
    Ok(name.span())
}

/// `= path` or, as in serde, `= "path"`
pub(crate) fn crate_path(input: ParseStream<'_>, name: &Ident) -> syn::Result<Path> {
    equals(input, name, "`crate = path`")?;
    if input.peek(LitStr) {
        return input.parse::<LitStr>()?.parse_with(Path::parse_mod_style);
    }
    input
        .call(Path::parse_mod_style)
        .map_err(|error| syn::Error::new(error.span(), "expected a path: `crate = path`"))
}

/// Passes `result` on. After an error it reads the rest of `content`: otherwise syn would report
/// the unread tokens too.
pub(crate) fn read_to_end<T>(content: ParseStream<'_>, result: syn::Result<T>) -> syn::Result<T> {
    if result.is_err() {
        content.parse::<TokenStream>()?;
    }
    result
}
