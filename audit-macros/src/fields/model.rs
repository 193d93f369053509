//! Reads the annotated struct.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Fields, Ident, Index, ItemStruct, Member, Type};

use crate::tokens::is_ident;

/// A struct.
pub(crate) struct Struct {
    pub(crate) item: ItemStruct,
}

/// One of its fields.
pub(crate) struct StructField<'s> {
    /// As it is recorded: `type`, not `r#type`.
    pub(crate) name: String,
    /// As it is written after `self.`.
    pub(crate) member: Member,
    pub(crate) ty: &'s Type,
    /// Of its name, or of its type if it has none.
    pub(crate) span: Span,
    /// Whether a `#[cfg]` may remove it.
    pub(crate) has_cfg: bool,
}

/// Parses `item`.
///
/// # Errors
///
/// If `item` is not a struct. The message says what to do instead.
pub(crate) fn parse(item: TokenStream) -> syn::Result<Struct> {
    match wrong_item(&item) {
        Some(error) => Err(error),
        None => Ok(Struct { item: syn::parse2(item)? }),
    }
}

impl Struct {
    pub(crate) fn fields(&self) -> Vec<StructField<'_>> {
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
            StructField { name, member, ty, span, has_cfg: attrs.iter().any(is_cfg_or_cfg_attr) }
        };
        (0..).zip(&self.item.fields).map(field).collect()
    }

    pub(crate) fn is_tuple(&self) -> bool {
        matches!(self.item.fields, Fields::Unnamed(_))
    }

    /// The place of `packed` in `#[repr(packed)]`.
    pub(crate) fn packed(&self) -> Option<Span> {
        let is_repr = |attr: &&Attribute| attr.path().is_ident("repr");
        let arguments =
            self.item.attrs.iter().filter(is_repr).filter_map(|attr| match &attr.meta {
                syn::Meta::List(list) => Some(list.tokens.clone()),
                _ => None,
            });
        let packed = |token: &TokenTree| is_ident(Some(token), "packed");
        arguments.flatten().find(packed).map(|token| token.span())
    }

    /// The place where the attribute is given a second time. Only its name is available: a macro can't
    /// resolve the path of an attribute.
    pub(crate) fn second_attribute(&self) -> Option<&Ident> {
        self.item
            .attrs
            .iter()
            .filter_map(|attr| attr.path().segments.last())
            .map(|last| &last.ident)
            .find(|name| *name == "audited_fields")
    }
}

/// `#[cfg(..)]`, or `#[cfg_attr(.., cfg(..))]`.
fn is_cfg_or_cfg_attr(attr: &Attribute) -> bool {
    let contains_cfg = |tokens: &TokenStream| {
        tokens.clone().into_iter().any(|token| is_ident(Some(&token), "cfg"))
    };
    match &attr.meta {
        syn::Meta::List(list) => {
            list.path.is_ident("cfg")
                || (list.path.is_ident("cfg_attr") && contains_cfg(&list.tokens))
        }
        _ => false,
    }
}

/// The error for an item that is not a struct.
fn wrong_item(item: &TokenStream) -> Option<syn::Error> {
    let mut tokens = item.clone().into_iter().peekable();
    while let Some(token) = tokens.next() {
        let advice = match &token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                tokens.next();
                continue;
            }
            TokenTree::Group(group) if group.delimiter() != Delimiter::Brace => continue,
            TokenTree::Ident(keyword) => match keyword.to_string().as_str() {
                "struct" => return None,
                "pub" | "crate" | "unsafe" | "async" | "default" | "safe" => continue,
                "const" if tokens.peek().is_some_and(is_before_fn) => continue,
                keyword => advice(keyword, tokens.peek()),
            },
            _ => OTHER_ITEM,
        };
        let message = format!("`#[audited_fields]` can't be applied to {advice}");
        return Some(syn::Error::new(token.span(), message));
    }
    None
}

const OTHER_ITEM: &str = "this item: apply it to a struct";

/// What the item is that begins with `keyword`, and what to do.
fn advice(keyword: &str, next: Option<&TokenTree>) -> &'static str {
    match keyword {
        "enum" => {
            "an enum: derive `Serialize` for the enum, and list the field of a struct that holds \
             it; its value is recorded as a whole"
        }
        "union" if matches!(next, Some(TokenTree::Ident(_))) => {
            "a union, because nothing tells which of its fields holds a value: use a struct"
        }
        "fn" | "extern" => {
            "a function: apply it to the struct, and `#[audit_method]` to the function"
        }
        "impl" => "an `impl` block: apply it to the struct itself",
        "type" => "a type alias: apply it to the struct that the alias names",
        "trait" => "a trait: apply it to each struct that should be audited",
        "mod" => "a module: apply it to each struct that should be audited",
        _ => OTHER_ITEM,
    }
}

/// Whether `token` may stand between `const` and the name of a function.
fn is_before_fn(token: &TokenTree) -> bool {
    ["async", "unsafe", "safe", "extern", "fn"].iter().any(|keyword| is_ident(Some(token), keyword))
}
