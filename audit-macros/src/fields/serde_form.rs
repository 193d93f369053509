//! Reads from `#[serde(…)]` in which form a type is serialised.
//!
//! Only what `#[derive(CompareParts)]` needs: where each field is in the recorded form. Whatever is
//! not understood is left to `serde_derive`, which reports mistakes.

use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Ident, LitStr, Meta, Token, parenthesized, token};

/// The options of one type, variant or field.
#[derive(Default)]
pub(super) struct SerdeForm {
    rename: Option<String>,
    rename_all: Option<String>,
    rename_all_fields: Option<String>,
    /// The name of the field that holds the data of an enum variant.
    pub(super) content: Option<String>,
    /// Whether the name of an enum variant is a field beside its own fields.
    pub(super) has_tag: bool,
    pub(super) is_untagged: bool,
    pub(super) is_transparent: bool,
    pub(super) is_flattened: bool,
    /// Never serialised.
    pub(super) is_skipped: bool,
    /// Not always serialised.
    pub(super) may_be_skipped: bool,
    /// Serialised by a function, or as a value of another type.
    pub(super) has_other_form: bool,
}

impl SerdeForm {
    pub(super) fn read(attrs: &[Attribute]) -> Self {
        let mut form = Self::default();
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
            if attr.parse_nested_meta(|meta| form.read_option(&meta)).is_err() {
                form.has_other_form = true;
            }
        }
        form
    }

    fn read_option(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        let value = option_value(meta)?;
        match name.as_str() {
            "rename" => self.rename = value,
            "rename_all" => self.rename_all = value,
            "rename_all_fields" => self.rename_all_fields = value,
            "content" => self.content = value,
            "tag" => self.has_tag = true,
            "untagged" => self.is_untagged = true,
            "transparent" => self.is_transparent = true,
            "flatten" => self.is_flattened = true,
            "skip" | "skip_serializing" => self.is_skipped = true,
            "skip_serializing_if" => self.may_be_skipped = true,
            "with" | "serialize_with" | "into" | "remote" | "getter" => self.has_other_form = true,
            _ => {}
        }
        Ok(())
    }

    /// The key of the field `name` with these options, in a struct with the options `parent`. `None`
    /// if the rule for names is not known.
    pub(super) fn key(&self, name: &Ident, parent: &FieldNames) -> Option<String> {
        let name = name.unraw().to_string();
        match (&self.rename, &parent.0) {
            (Some(key), _) => Some(key.clone()),
            (None, Some(rule)) => renamed(&name, rule),
            (None, None) => Some(name),
        }
    }
}

/// The rule for the names of the fields of a struct or a variant.
pub(super) struct FieldNames(Option<String>);

impl FieldNames {
    pub(super) fn of_struct(form: &SerdeForm) -> Self {
        Self(form.rename_all.clone())
    }

    pub(super) fn of_variant(variant: &SerdeForm, of_enum: &SerdeForm) -> Self {
        Self(variant.rename_all.clone().or_else(|| of_enum.rename_all_fields.clone()))
    }
}

/// Input:  `= "x"`, `(serialize = "x", deserialize = "y")`, or nothing
///
/// Output: `x`, or nothing
fn option_value(meta: &ParseNestedMeta<'_>) -> syn::Result<Option<String>> {
    if meta.input.peek(Token![=]) {
        let value: Expr = meta.value()?.parse()?;
        return Ok(text_of(&value));
    }
    if !meta.input.peek(token::Paren) {
        return Ok(None);
    }
    let content;
    parenthesized!(content in meta.input);
    let options = Punctuated::<Meta, Token![,]>::parse_terminated(&content)?;
    Ok(options.iter().find_map(|option| match option {
        Meta::NameValue(option) if option.path.is_ident("serialize") => text_of(&option.value),
        _ => None,
    }))
}

fn text_of(value: &Expr) -> Option<String> {
    let text: Option<LitStr> = syn::parse2(quote::ToTokens::to_token_stream(value)).ok();
    text.map(|text| text.value())
}

/// The name of a field under a rule of `rename_all`.
fn renamed(field: &str, rule: &str) -> Option<String> {
    let capitalised = || -> String {
        let word = |word: &str| match word.split_at_checked(1) {
            Some((first, rest)) => first.to_ascii_uppercase() + rest,
            None => word.to_owned(),
        };
        field.split('_').map(word).collect()
    };
    Some(match rule {
        "lowercase" | "snake_case" => field.to_owned(),
        "UPPERCASE" | "SCREAMING_SNAKE_CASE" => field.to_ascii_uppercase(),
        "kebab-case" => field.replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => field.to_ascii_uppercase().replace('_', "-"),
        "PascalCase" => capitalised(),
        "camelCase" => {
            let name = capitalised();
            match name.split_at_checked(1) {
                Some((first, rest)) => first.to_ascii_lowercase() + rest,
                None => name,
            }
        }
        _ => return None,
    })
}
