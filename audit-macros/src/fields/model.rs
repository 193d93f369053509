//! Reads the struct that bears the attribute.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Fields, Ident, Index, ItemStruct, Member, Type};

/// A struct.
pub(super) struct Struct {
    pub(super) item: ItemStruct,
}

/// One of its fields.
pub(super) struct StructField<'s> {
    /// As it is recorded: `type`, not `r#type`.
    pub(super) name: String,
    /// As it stands after `self.`.
    pub(super) member: Member,
    pub(super) ty: &'s Type,
    /// Of its name, or of its type if it has none.
    pub(super) span: Span,
    /// Whether a `#[cfg]` decides if it is there.
    pub(super) has_cfg: bool,
}

/// Parses `item`.
///
/// # Errors
///
/// When it is no struct; the message says what to do instead.
pub(super) fn parse(item: TokenStream) -> syn::Result<Struct> {
    if let Some(error) = wrong_item(&item) {
        return Err(error);
    }
    Ok(Struct { item: syn::parse2(item)? })
}

impl Struct {
    pub(super) fn fields(&self) -> Vec<StructField<'_>> {
        let field = |(index, field)| {
            let syn::Field { attrs, ident, ty, .. }: &syn::Field = field;
            let (name, member, span) = match ident {
                Some(ident) => {
                    (ident.unraw().to_string(), Member::Named(ident.clone()), ident.span())
                }
                None => {
                    let index = Index { index, span: Span::mixed_site().located_at(ty.span()) };
                    (index.index.to_string(), Member::Unnamed(index), ty.span())
                }
            };
            StructField { name, member, ty, span, has_cfg: attrs.iter().any(is_cfg) }
        };
        (0..).zip(&self.item.fields).map(field).collect()
    }

    pub(super) fn is_tuple(&self) -> bool {
        matches!(self.item.fields, Fields::Unnamed(_))
    }

    /// Where it says `#[repr(packed)]`.
    pub(super) fn packed(&self) -> Option<Span> {
        let is_repr = |attr: &&Attribute| attr.path().is_ident("repr");
        let words = self.item.attrs.iter().filter(is_repr).filter_map(|attr| match &attr.meta {
            syn::Meta::List(list) => Some(list.tokens.clone()),
            _ => None,
        });
        words.flatten().find_map(|token| match token {
            TokenTree::Ident(word) if word == "packed" => Some(word.span()),
            _ => None,
        })
    }

    /// Where the attribute is given a second time.
    pub(super) fn second_attribute(&self) -> Option<&Ident> {
        self.item
            .attrs
            .iter()
            .filter_map(|attr| attr.path().segments.last())
            .map(|last| &last.ident)
            .find(|name| *name == "audited_fields")
    }
}

/// `#[cfg(..)]`, or `#[cfg_attr(.., cfg(..))]`.
fn is_cfg(attr: &Attribute) -> bool {
    let holds_cfg = |tokens: &TokenStream| {
        let mut tokens = tokens.clone().into_iter();
        tokens.any(|token| matches!(&token, TokenTree::Ident(word) if word == "cfg"))
    };
    match &attr.meta {
        syn::Meta::List(list) => {
            list.path.is_ident("cfg") || (list.path.is_ident("cfg_attr") && holds_cfg(&list.tokens))
        }
        _ => false,
    }
}

const GOES_ON: &str = "`#[audited_fields]` goes on structs, not on";

/// Whether it may stand between `const` and the name of a function.
fn is_before_fn(token: &TokenTree) -> bool {
    let words = ["async", "unsafe", "safe", "extern", "fn"];
    matches!(token, TokenTree::Ident(word) if words.iter().any(|before| word == before))
}

/// A message for items that are no structs.
fn wrong_item(item: &TokenStream) -> Option<syn::Error> {
    let mut tokens = item.clone().into_iter().peekable();
    while let Some(token) = tokens.next() {
        let advice = match &token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                tokens.next();
                continue;
            }
            TokenTree::Group(group) if group.delimiter() != Delimiter::Brace => continue,
            TokenTree::Ident(word) => match word.to_string().as_str() {
                "struct" => return None,
                "pub" | "crate" | "unsafe" | "async" | "default" | "safe" => continue,
                "const" if tokens.peek().is_some_and(is_before_fn) => continue,
                "enum" => {
                    "an enum: an enum is recorded as a whole value; derive `Serialize` for it, and list the \
                     field that holds it"
                }
                "union" if matches!(tokens.peek(), Some(TokenTree::Ident(_))) => {
                    "a union: nobody can tell which of its fields holds a value; keep what belongs on the \
                     record in a struct"
                }
                "fn" | "extern" => {
                    "a function: put it on the struct, and `#[audit_method]` on the function"
                }
                "impl" => "an `impl` block: put it on the struct itself",
                "type" => "a type alias: put it on the struct that the alias names",
                "trait" => "a trait: put it on each struct that belongs on the record",
                "mod" => "a module: put it on each struct that belongs on the record",
                _ => "this item: put it on a struct",
            },
            _ => "this item: put it on a struct",
        };
        return Some(syn::Error::new(token.span(), format!("{GOES_ON} {advice}")));
    }
    None
}
