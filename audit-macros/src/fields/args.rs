//! Parses the words in `#[audited_fields(...)]`. Whether they fit the struct is checked in `validate`.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{ExprPath, Ident, Lit, LitStr, Path, Token, Type, parenthesized, token};

use super::Mistakes;
use super::words::{self, OPTIONS, WORDS, form};

/// The words, as written, in their order.
#[derive(Default)]
pub(super) struct Args {
    pub(super) all: Option<Span>,
    pub(super) except: Option<(Span, Vec<Name>)>,
    pub(super) fields: Vec<Field>,
    /// Whether a key is given, be it a wrong one.
    pub(super) has_key: bool,
    pub(super) key: Option<Vec<Name>>,
    pub(super) label: Option<Name>,
    pub(super) name: Option<LitStr>,
    pub(super) was: Vec<LitStr>,
    pub(super) parent: Option<Parent>,
    pub(super) crate_path: Option<Path>,
    /// What is wrong with the words themselves; `validate` tells it with the rest.
    pub(super) mistakes: Mistakes,
}

/// The name of a field, or its number.
#[derive(Clone)]
pub(super) struct Name {
    /// As it is recorded: `type`, not `r#type`.
    pub(super) text: String,
    pub(super) span: Span,
}

/// One field of the list.
pub(super) struct Field {
    pub(super) name: Name,
    pub(super) options: Options,
}

/// What is said of one field.
#[derive(Default)]
pub(super) struct Options {
    pub(super) redact: Option<Span>,
    pub(super) debug: Option<Span>,
    pub(super) set: Option<Span>,
    pub(super) with: Option<ExprPath>,
    pub(super) rename: Option<LitStr>,
    pub(super) was: Vec<LitStr>,
}

/// `Order(order_id)`
pub(super) struct Parent {
    pub(super) ty: Type,
    pub(super) fields: Vec<Name>,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut args = Self::default();
        let mut seen = Vec::new();
        args.each(input, ENDS_OF_LIST, |args, input| args.listed(input, &mut seen))?;
        if input.parse::<Option<Token![;]>>()?.is_some() {
            args.each(input, &[','], |args, input| args.word(input, &mut seen))?;
        }
        Ok(args)
    }
}

const ENDS_OF_LIST: &[char] = &[',', ';'];

impl Args {
    /// Reads what stands between commas, and goes on after a mistake, so that all of them are told.
    fn each(
        &mut self,
        input: ParseStream<'_>,
        ends: &[char],
        mut read: impl FnMut(&mut Self, ParseStream<'_>) -> syn::Result<()>,
    ) -> syn::Result<()> {
        while !(input.is_empty() || ends.contains(&';') && input.peek(Token![;])) {
            match read(self, input) {
                Err(error) => {
                    self.mistakes.add(error);
                    skip_to(input, ends)?;
                }
                Ok(()) if !is_at(input, ends) => {
                    self.mistakes.add(input.error("expected `,`"));
                    skip_to(input, ends)?;
                }
                Ok(()) => {}
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(())
    }

    /// Before the semicolon: a field, `all`, or `except(...)`.
    fn listed(&mut self, input: ParseStream<'_>, seen: &mut Vec<String>) -> syn::Result<()> {
        if input.peek(Ident::peek_any)
            && let word = input.fork().call(Ident::parse_any)?
            && (word == "all" || word == "except")
        {
            input.call(Ident::parse_any)?;
            return self.short_form(input, &word);
        }
        if input.peek(Ident::peek_any) && input.peek2(Token![=]) {
            return self.out_of_place(input, seen);
        }
        let name = name(input)?;
        let options =
            if input.peek(token::Paren) { self.options(input, &name)? } else { Options::default() };
        self.fields.push(Field { name, options });
        Ok(())
    }

    fn short_form(&mut self, input: ParseStream<'_>, word: &Ident) -> syn::Result<()> {
        let twice =
            || syn::Error::new(word.span(), format!("`{word}` is given twice; give it once"));
        let has_list = input.peek(token::Paren);
        if word == "all" {
            if has_list {
                let message = "`all` takes no options: name the field that they are for; a field that is \
                               called `all` is written `r#all`";
                return Err(syn::Error::new(word.span(), message));
            }
            return self.all.replace(word.span()).map_or(Ok(()), |_| Err(twice()));
        }
        if !has_list {
            let message = "expected `except(field, …)`; a field that is called `except` is written \
                           `r#except`";
            return Err(syn::Error::new(word.span(), message));
        }
        let list = names(input, "except(field, …)")?;
        self.except.replace((word.span(), list)).map_or(Ok(()), |_| Err(twice()))
    }

    /// A word of the struct among the fields, or a field with `=`.
    fn out_of_place(&mut self, input: ParseStream<'_>, seen: &mut Vec<String>) -> syn::Result<()> {
        let word = input.fork().call(Ident::parse_any)?;
        let text = word.unraw().to_string();
        if words::is_in(WORDS, &text) {
            let message = format!(
                "`{text} = …` is about the struct, not a field: it stands after the fields and a `;`"
            );
            self.mistakes.push(word.span(), message);
            return self.word(input, seen);
        }
        let message = if words::is_in(OPTIONS, &text) {
            format!(
                "`{text} = …` is about a field: it stands in parentheses after the field's name"
            )
        } else {
            format!("what is said of a field stands in parentheses: `{text}(was = \"…\")`")
        };
        Err(syn::Error::new(word.span(), message))
    }

    /// `(redact, was = "…")`
    fn options(&mut self, input: ParseStream<'_>, name: &Name) -> syn::Result<Options> {
        let content;
        parenthesized!(content in input);
        let mut options = Options::default();
        if content.is_empty() {
            let message = format!("say something of `{}`, or leave out the parentheses", name.text);
            self.mistakes.push(name.span, message);
        }
        let mut seen = Vec::new();
        self.each(&content, &[','], |_, input| options.option(input, &mut seen))?;
        Ok(options)
    }

    /// After the semicolon.
    fn word(&mut self, input: ParseStream<'_>, seen: &mut Vec<String>) -> syn::Result<()> {
        let word = input
            .call(Ident::parse_any)
            .map_err(|error| syn::Error::new(error.span(), "expected a word, as `key = id`"))?;
        let text = word.to_string();
        if !words::is_in(WORDS, &text) {
            return Err(syn::Error::new(word.span(), words::unknown_word(&text)));
        }
        once(&word, &text, seen)?;
        let expected = || form(WORDS, &text);
        match text.as_str() {
            "key" => {
                self.has_key = true;
                self.key = Some(key(input, &word)?);
            }
            "label" => {
                equals(input, &word, &expected())?;
                self.label = Some(name(input)?);
            }
            "name" => self.name = Some(string(input, &word, &expected())?),
            "was" => strings(input, &word, &expected(), &mut self.was)?,
            "parent" => self.parent = Some(parent(input, &word)?),
            _ => self.crate_path = Some(crate_path(input, &word)?),
        }
        Ok(())
    }
}

impl Options {
    /// Whether the field is only named.
    pub(super) fn says_nothing(&self) -> bool {
        self.redact.is_none()
            && self.debug.is_none()
            && self.set.is_none()
            && self.with.is_none()
            && self.rename.is_none()
            && self.was.is_empty()
    }

    fn option(&mut self, input: ParseStream<'_>, seen: &mut Vec<String>) -> syn::Result<()> {
        let word = input.call(Ident::parse_any).map_err(|error| {
            syn::Error::new(error.span(), "expected an option, as `redact` or `was = \"…\"`")
        })?;
        let text = word.to_string();
        if !words::is_in(OPTIONS, &text) {
            return Err(syn::Error::new(word.span(), words::unknown_option(&text)));
        }
        once(&word, &text, seen)?;
        let expected = form(OPTIONS, &text);
        match text.as_str() {
            "redact" => self.redact = Some(flag(input, &word)?),
            "debug" => self.debug = Some(flag(input, &word)?),
            "set" => self.set = Some(flag(input, &word)?),
            "with" => self.with = Some(function(input, &word)?),
            "rename" => self.rename = Some(string(input, &word, &expected)?),
            _ => strings(input, &word, &expected, &mut self.was)?,
        }
        Ok(())
    }
}

/// Every word counts once, but `was`: a thing may have had several names.
fn once(word: &Ident, text: &str, seen: &mut Vec<String>) -> syn::Result<()> {
    if text != "was" && seen.iter().any(|seen| seen == text) {
        return Err(syn::Error::new(word.span(), format!("`{text}` is given twice; give it once")));
    }
    seen.push(text.to_owned());
    Ok(())
}

/// A field's name, raw or not, or its number.
fn name(input: ParseStream<'_>) -> syn::Result<Name> {
    let name = if input.peek(Lit) {
        let lit: Lit = input.parse()?;
        match &lit {
            Lit::Int(number) if number.suffix().is_empty() => {
                Name { text: number.base10_digits().to_owned(), span: number.span() }
            }
            Lit::Float(_) => return Err(syn::Error::new(lit.span(), INSIDE)),
            Lit::Str(text) => {
                let message = format!("name the field without quotes: `{}`", text.value());
                return Err(syn::Error::new(lit.span(), message));
            }
            _ => return Err(syn::Error::new(lit.span(), "expected the name of a field")),
        }
    } else {
        let ident = input
            .call(Ident::parse_any)
            .map_err(|error| syn::Error::new(error.span(), "expected the name of a field"))?;
        if ident == "self" && input.peek(Token![.]) {
            return Err(syn::Error::new(ident.span(), "name the field alone, without `self.`"));
        }
        Name { text: ident.unraw().to_string(), span: ident.span() }
    };
    if input.peek(Token![.]) {
        return Err(syn::Error::new(name.span, INSIDE));
    }
    Ok(name)
}

const INSIDE: &str = "only fields of the struct itself can be listed: name the outer field, and the record \
                      will say what has changed inside of it";

/// `(a, b)`
fn names(input: ParseStream<'_>, expected: &str) -> syn::Result<Vec<Name>> {
    let content;
    let parens = parenthesized!(content in input);
    let list =
        whole(&content, Punctuated::<Name, Token![,]>::parse_terminated_with(&content, name))?;
    if list.is_empty() {
        let message = format!("name at least one field: `{expected}`");
        return Err(syn::Error::new(parens.span.join(), message));
    }
    Ok(list.into_iter().collect())
}

/// `= id` or `= (tenant, id)`
fn key(input: ParseStream<'_>, word: &Ident) -> syn::Result<Vec<Name>> {
    equals(input, word, "`key = field` or `key = (field, field)`")?;
    if input.peek(token::Paren) {
        names(input, "key = (field, field)")
    } else {
        Ok(vec![name(input)?])
    }
}

/// `= Order(order_id)`
fn parent(input: ParseStream<'_>, word: &Ident) -> syn::Result<Parent> {
    let expected = form(WORDS, "parent");
    equals(input, word, &expected)?;
    let ty = type_tokens(input)?;
    if ty.is_empty() {
        return Err(syn::Error::new(word.span(), format!("expected {expected}")));
    }
    let ty: Type = syn::parse2(ty)
        .map_err(|error| syn::Error::new(error.span(), format!("expected a type: {expected}")))?;
    if !input.peek(token::Paren) {
        let name = quote::quote!(#ty).to_string();
        let message = format!(
            "say which fields hold the key of the parent, in the order of its key: `parent = {name}(field)`"
        );
        return Err(syn::Error::new_spanned(ty, message));
    }
    let fields = names(input, "parent = Type(field, …)")?;
    Ok(Parent { ty, fields })
}

/// The tokens of a type, which end where parentheses begin: syn would take them for those of `Fn(A)`.
fn type_tokens(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let mut tokens = TokenStream::new();
    let mut depth = 0_u32;
    while !input.is_empty() && !input.peek(token::Paren) && (depth > 0 || !input.peek(Token![,])) {
        let token: TokenTree = input.parse()?;
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == '<' => depth += 1,
            TokenTree::Punct(punct) if punct.as_char() == '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        tokens.extend([token]);
    }
    Ok(tokens)
}

/// `= path`, of a function.
fn function(input: ParseStream<'_>, word: &Ident) -> syn::Result<ExprPath> {
    const EXPECTED: &str = "expected the path of a function: `with = path`";
    equals(input, word, "`with = path`")?;
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        let message = format!("write the path without quotes: `with = {}`", text.value());
        return Err(syn::Error::new(text.span(), message));
    }
    input.parse().map_err(|error: syn::Error| syn::Error::new(error.span(), EXPECTED))
}

fn crate_path(input: ParseStream<'_>, word: &Ident) -> syn::Result<Path> {
    equals(input, word, "`crate = path`")?;
    if input.peek(LitStr) {
        return input.parse::<LitStr>()?.parse_with(Path::parse_mod_style);
    }
    input
        .call(Path::parse_mod_style)
        .map_err(|error| syn::Error::new(error.span(), "expected a path: `crate = path`"))
}

/// `= "…"`
fn string(input: ParseStream<'_>, word: &Ident, expected: &str) -> syn::Result<LitStr> {
    equals(input, word, expected)?;
    quoted(input, word, expected)
}

/// `= "…"` or `("…", "…")`
fn strings(
    input: ParseStream<'_>,
    word: &Ident,
    expected: &str,
    list: &mut Vec<LitStr>,
) -> syn::Result<()> {
    if !input.peek(token::Paren) {
        list.push(string(input, word, expected)?);
        return Ok(());
    }
    let content;
    parenthesized!(content in input);
    let before = list.len();
    let mut read = || {
        while !content.is_empty() {
            list.push(quoted(&content, word, expected)?);
            if !content.is_empty() {
                content.parse::<Token![,]>()?;
            }
        }
        Ok(list.len())
    };
    if whole(&content, read())? == before {
        return Err(syn::Error::new(word.span(), format!("expected {expected}")));
    }
    Ok(())
}

fn quoted(input: ParseStream<'_>, word: &Ident, expected: &str) -> syn::Result<LitStr> {
    if !input.peek(LitStr) {
        let span = if input.is_empty() { word.span() } else { input.span() };
        return Err(syn::Error::new(span, format!("expected a name in quotes: {expected}")));
    }
    let text: LitStr = input.parse()?;
    if text.value().trim().is_empty() {
        return Err(syn::Error::new(text.span(), format!("the name is empty: {expected}")));
    }
    Ok(text)
}

/// An option that stands alone.
fn flag(input: ParseStream<'_>, word: &Ident) -> syn::Result<Span> {
    if input.peek(Token![=]) || input.peek(token::Paren) {
        return Err(input.error(format!("`{word}` stands alone, it takes no value")));
    }
    Ok(word.span())
}

fn equals(input: ParseStream<'_>, word: &Ident, expected: &str) -> syn::Result<()> {
    let has_value = input.parse::<Option<Token![=]>>()?.is_some() && !input.is_empty();
    if !has_value || input.peek(Token![,]) {
        return Err(syn::Error::new(word.span(), format!("expected {expected}")));
    }
    Ok(())
}

/// After an error, reads what is left: else syn would complain of it, too.
fn whole<T>(content: ParseStream<'_>, read: syn::Result<T>) -> syn::Result<T> {
    if read.is_err() {
        content.parse::<TokenStream>()?;
    }
    read
}

fn is_at(input: ParseStream<'_>, ends: &[char]) -> bool {
    input.is_empty() || input.peek(Token![,]) || (ends.contains(&';') && input.peek(Token![;]))
}

fn skip_to(input: ParseStream<'_>, ends: &[char]) -> syn::Result<()> {
    while !is_at(input, ends) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}
