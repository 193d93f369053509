//! Parses the arguments of `#[audited_fields(...)]`. `validate` checks them against the struct.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{ExprPath, Ident, Lit, LitStr, Path, Token, Type, parenthesized, token};

use crate::argument_names::{FIELD_OPTIONS, STRUCT_OPTIONS};
use crate::argument_parsing::{
    ListEnd, argument_name, comma_separated, crate_path, equals, flag, given_twice, read_to_end,
};
use crate::errors::Errors;

/// The arguments as written, in order.
#[derive(Default)]
pub(crate) struct FieldsArgs {
    pub(crate) all: Option<Span>,
    pub(crate) except: Option<(Span, Vec<FieldName>)>,
    pub(crate) fields: Vec<ListedField>,
    /// Whether `key` is given, even if its value is wrong.
    pub(crate) has_key: bool,
    pub(crate) key: Option<Vec<FieldName>>,
    pub(crate) label: Option<FieldName>,
    pub(crate) name: Option<LitStr>,
    pub(crate) was: Vec<LitStr>,
    pub(crate) parent: Option<Parent>,
    pub(crate) crate_path: Option<Path>,
    /// Mistakes in the arguments themselves. `validate` reports them with its own.
    pub(crate) errors: Errors,
}

/// The name of a field, or its index.
#[derive(Clone)]
pub(crate) struct FieldName {
    /// As it is recorded: `type`, not `r#type`.
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// One field of the list.
pub(crate) struct ListedField {
    pub(crate) name: FieldName,
    pub(crate) options: FieldOptions,
}

/// The options in parentheses after a field.
#[derive(Default)]
pub(crate) struct FieldOptions {
    pub(crate) redact: Option<Span>,
    pub(crate) debug: Option<Span>,
    pub(crate) set: Option<Span>,
    pub(crate) with: Option<ExprPath>,
    pub(crate) rename: Option<LitStr>,
    pub(crate) was: Vec<LitStr>,
}

/// `Order(order_id)`
pub(crate) struct Parent {
    pub(crate) ty: Type,
    pub(crate) fields: Vec<FieldName>,
}

impl Parse for FieldsArgs {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut args = Self::default();
        let mut errors = Errors::default();
        let mut seen = Vec::new();
        comma_separated(input, ListEnd::Semicolon, &mut errors, |errors, input| {
            args.parse_listed(input, errors, &mut seen)
        })?;
        if input.parse::<Option<Token![;]>>()?.is_some() {
            comma_separated(input, ListEnd::Parenthesis, &mut errors, |_, input| {
                args.parse_struct_option(input, &mut seen)
            })?;
        }
        Ok(Self { errors, ..args })
    }
}

impl FieldsArgs {
    /// Before the semicolon: a field, `all`, or `except(...)`.
    fn parse_listed(
        &mut self,
        input: ParseStream<'_>,
        errors: &mut Errors,
        seen: &mut Vec<String>,
    ) -> syn::Result<()> {
        if input.peek(Ident::peek_any)
            && let keyword = input.fork().call(Ident::parse_any)?
            && (keyword == "all" || keyword == "except")
        {
            input.call(Ident::parse_any)?;
            return self.parse_short_form(input, &keyword);
        }
        if input.peek(Ident::peek_any) && input.peek2(Token![=]) {
            return self.parse_misplaced(input, errors, seen);
        }
        let name = field_name(input)?;
        let options = if input.peek(token::Paren) {
            FieldOptions::parse(input, &name, errors)?
        } else {
            FieldOptions::default()
        };
        self.fields.push(ListedField { name, options });
        Ok(())
    }

    /// `all` or `except(...)`
    fn parse_short_form(&mut self, input: ParseStream<'_>, keyword: &Ident) -> syn::Result<()> {
        let error = |message: &str| Err(syn::Error::new(keyword.span(), message));
        let has_list = input.peek(token::Paren);
        let is_repeated = if keyword == "all" {
            if has_list {
                return error(
                    "`all` takes no options: write them after the name of a field, as in \
                     `all, name(redact)`; a field called `all` is written `r#all`",
                );
            }
            self.all.replace(keyword.span()).is_some()
        } else {
            if !has_list {
                return error(
                    "expected `except(field, …)`; a field called `except` is written `r#except`",
                );
            }
            let list = field_names(input, "except(field, …)")?;
            self.except.replace((keyword.span(), list)).is_some()
        };
        if is_repeated { error(&given_twice(&keyword.to_string())) } else { Ok(()) }
    }

    /// A struct option among the fields, or a field with `=`.
    fn parse_misplaced(
        &mut self,
        input: ParseStream<'_>,
        errors: &mut Errors,
        seen: &mut Vec<String>,
    ) -> syn::Result<()> {
        let name = input.fork().call(Ident::parse_any)?;
        let text = name.unraw().to_string();
        if STRUCT_OPTIONS.contains(&text) {
            let message = format!(
                "`{text} = …` is an option of the struct: write it after the fields and a `;`"
            );
            errors.push(name.span(), message);
            return self.parse_struct_option(input, seen);
        }
        let message = if FIELD_OPTIONS.contains(&text) {
            format!("`{text}` is an option of a field: write it in parentheses after the field")
        } else {
            format!(
                "options of a field are written in parentheses after it, as in \
                 `{text}(was = \"…\")`"
            )
        };
        Err(syn::Error::new(name.span(), message))
    }

    /// After the semicolon.
    fn parse_struct_option(
        &mut self,
        input: ParseStream<'_>,
        seen: &mut Vec<String>,
    ) -> syn::Result<()> {
        let name = &argument_name(input, &STRUCT_OPTIONS, seen)?;
        let text = name.to_string();
        let form = &STRUCT_OPTIONS.form(&text);
        match text.as_str() {
            "key" => {
                self.has_key = true;
                self.key = Some(key(input, name)?);
            }
            "label" => {
                equals(input, name, form)?;
                self.label = Some(field_name(input)?);
            }
            "name" => self.name = Some(string(input, name, form)?),
            "was" => strings(input, name, form, &mut self.was)?,
            "parent" => self.parent = Some(parent(input, name, form)?),
            _ => self.crate_path = Some(crate_path(input, name)?),
        }
        Ok(())
    }
}

impl FieldOptions {
    /// `(redact, was = "…")`
    fn parse(input: ParseStream<'_>, field: &FieldName, errors: &mut Errors) -> syn::Result<Self> {
        let content;
        parenthesized!(content in input);
        if content.is_empty() {
            let message = format!(
                "the parentheses after `{}` are empty: add an option, such as `redact`, or remove \
                 them",
                field.text
            );
            errors.push(field.span, message);
        }
        let (mut options, mut seen) = (Self::default(), Vec::new());
        comma_separated(&content, ListEnd::Parenthesis, errors, |_, input| {
            options.parse_option(input, &mut seen)
        })?;
        Ok(options)
    }

    fn parse_option(&mut self, input: ParseStream<'_>, seen: &mut Vec<String>) -> syn::Result<()> {
        let name = &argument_name(input, &FIELD_OPTIONS, seen)?;
        let text = name.to_string();
        let form = &FIELD_OPTIONS.form(&text);
        match text.as_str() {
            "redact" => self.redact = Some(flag(input, name)?),
            "debug" => self.debug = Some(flag(input, name)?),
            "set" => self.set = Some(flag(input, name)?),
            "with" => self.with = Some(function_path(input, name, form)?),
            "rename" => self.rename = Some(string(input, name, form)?),
            _ => strings(input, name, form, &mut self.was)?,
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.redact.is_none()
            && self.debug.is_none()
            && self.set.is_none()
            && self.with.is_none()
            && self.rename.is_none()
            && self.was.is_empty()
    }
}

/// The name of a field, raw or not, or its index.
fn field_name(input: ParseStream<'_>) -> syn::Result<FieldName> {
    let name = if input.peek(Lit) {
        field_index(&input.parse()?)?
    } else {
        let ident = input
            .call(Ident::parse_any)
            .map_err(|error| syn::Error::new(error.span(), "expected the name of a field"))?;
        if ident == "self" && input.peek(Token![.]) {
            return Err(syn::Error::new(ident.span(), "write the field without `self.`"));
        }
        FieldName { text: ident.unraw().to_string(), span: ident.span() }
    };
    if input.peek(Token![.]) {
        return Err(syn::Error::new(name.span, NESTED_FIELD));
    }
    Ok(name)
}

fn field_index(lit: &Lit) -> syn::Result<FieldName> {
    let message = match lit {
        Lit::Int(number) if number.suffix().is_empty() => {
            return Ok(FieldName { text: number.base10_digits().to_owned(), span: number.span() });
        }
        Lit::Float(_) => NESTED_FIELD.to_owned(),
        Lit::Str(text) => format!("write the field without quotes: `{}`", text.value()),
        _ => "expected the name of a field".to_owned(),
    };
    Err(syn::Error::new(lit.span(), message))
}

const NESTED_FIELD: &str = "only fields of the struct itself can be listed: list the outer field, \
                            and its changes are recorded by path, such as `address.street`";

/// `(a, b)`
fn field_names(input: ParseStream<'_>, form: &str) -> syn::Result<Vec<FieldName>> {
    let content;
    let parens = parenthesized!(content in input);
    let list = Punctuated::<FieldName, Token![,]>::parse_terminated_with(&content, field_name);
    let list = read_to_end(&content, list)?;
    if list.is_empty() {
        let message = format!("name at least one field: `{form}`");
        return Err(syn::Error::new(parens.span.join(), message));
    }
    Ok(list.into_iter().collect())
}

/// `= id` or `= (tenant, id)`
fn key(input: ParseStream<'_>, name: &Ident) -> syn::Result<Vec<FieldName>> {
    equals(input, name, "`key = field` or `key = (field, field)`")?;
    if input.peek(token::Paren) {
        field_names(input, "key = (field, field)")
    } else {
        Ok(vec![field_name(input)?])
    }
}

/// `= Order(order_id)`
fn parent(input: ParseStream<'_>, name: &Ident, form: &str) -> syn::Result<Parent> {
    equals(input, name, form)?;
    let ty = type_tokens(input)?;
    if ty.is_empty() {
        return Err(syn::Error::new(name.span(), format!("expected {form}")));
    }
    let ty: Type = syn::parse2(ty)
        .map_err(|error| syn::Error::new(error.span(), format!("expected a type: {form}")))?;
    if !input.peek(token::Paren) {
        let name = quote::quote!(#ty).to_string();
        let message = format!(
            "the fields that hold the parent's key are missing: write `parent = {name}(field, …)`, \
             with the fields in the order of the parent's key"
        );
        return Err(syn::Error::new_spanned(ty, message));
    }
    let fields = field_names(input, "parent = Type(field, …)")?;
    Ok(Parent { ty, fields })
}

/// The tokens of a type, up to parentheses: syn would parse `Type(field)` like `Fn(A)`.
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
fn function_path(input: ParseStream<'_>, name: &Ident, form: &str) -> syn::Result<ExprPath> {
    equals(input, name, form)?;
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        let message = format!("write the path without quotes: `with = {}`", text.value());
        return Err(syn::Error::new(text.span(), message));
    }
    input.parse().map_err(|error: syn::Error| {
        syn::Error::new(error.span(), format!("expected the path of a function: {form}"))
    })
}

/// `= "…"`
fn string(input: ParseStream<'_>, name: &Ident, form: &str) -> syn::Result<LitStr> {
    equals(input, name, form)?;
    non_empty_string(input, name, form)
}

/// `= "…"` or `("…", "…")`
fn strings(
    input: ParseStream<'_>,
    name: &Ident,
    form: &str,
    list: &mut Vec<LitStr>,
) -> syn::Result<()> {
    if !input.peek(token::Paren) {
        list.push(string(input, name, form)?);
        return Ok(());
    }
    let content;
    parenthesized!(content in input);
    let before = list.len();
    let mut parse = || {
        while !content.is_empty() {
            list.push(non_empty_string(&content, name, form)?);
            if !content.is_empty() {
                content.parse::<Token![,]>()?;
            }
        }
        Ok(list.len())
    };
    if read_to_end(&content, parse())? == before {
        return Err(syn::Error::new(name.span(), format!("expected {form}")));
    }
    Ok(())
}

fn non_empty_string(input: ParseStream<'_>, name: &Ident, form: &str) -> syn::Result<LitStr> {
    if !input.peek(LitStr) {
        let span = if input.is_empty() { name.span() } else { input.span() };
        return Err(syn::Error::new(span, format!("expected a name in quotes: {form}")));
    }
    let text: LitStr = input.parse()?;
    if text.value().trim().is_empty() {
        return Err(syn::Error::new(text.span(), format!("the name is empty: {form}")));
    }
    Ok(text)
}
