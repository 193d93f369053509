//! What the spelling of a type tells.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::Type;

use crate::returns::{Returns, may_hold_parameter};

impl Returns {
    /// Whether the return type might be a boxed future, as far as spelling tells.
    pub(super) fn may_be_boxed_future(&self) -> bool {
        let Self::Plain(ty) = self else { return false };
        let mut ty: &Type = ty;
        while let Type::Group(syn::TypeGroup { elem, .. })
        | Type::Paren(syn::TypeParen { elem, .. }) = ty
        {
            ty = elem;
        }
        match ty {
            // A projection, such as `Self::Future`, may stand for a future whose output outlives less than
            // its box; wrapping it would not compile.
            Type::Path(path) if path.qself.is_some() || path.path.segments[0].ident == "Self" => {
                false
            }
            Type::Path(_) if !names_lifetime(ty) && may_hold_parameter(ty) => false,
            Type::Path(path) => path.path.segments.last().is_some_and(|last| {
                let name = last.ident.to_string();
                !is_one_of(&name, NEVER_A_FUTURE)
            }),
            Type::Macro(_) => true,
            _ => false,
        }
    }
}

/// Whether `ty` names a lifetime other than `'static`.
fn names_lifetime(ty: &Type) -> bool {
    fn among(tokens: TokenStream) -> bool {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Group(group) if among(group.stream()) => return true,
                TokenTree::Punct(punct)
                    if punct.as_char() == '\''
                        && tokens.peek().is_some_and(|name| name.to_string() != "static") =>
                {
                    return true;
                }
                _ => {}
            }
        }
        false
    }
    among(ty.to_token_stream())
}

/// Whether `name` is that of a primitive type, or among `others`.
fn is_one_of(name: &str, others: &[&str]) -> bool {
    PRIMITIVES.contains(&name) || others.contains(&name)
}

/// Numbers and the like.
const PRIMITIVES: &[&str] = &[
    "bool", "char", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128",
    "isize", "f32", "f64", "str",
];

/// Names, beside those of [`PRIMITIVES`], under which nobody hides a boxed future; a shorter expansion for most functions.
const NEVER_A_FUTURE: &[&str] = &[
    "String",
    "Vec",
    "Option",
    "Result",
    "Self",
    "Cow",
    "Arc",
    "Rc",
    "HashMap",
    "BTreeMap",
    "Ordering",
    "Duration",
    "TokenStream",
];

/// Whether `ty` is one that can't be audited, or is of the standard library: a shorter expansion for most
/// functions.
pub(super) fn is_never_audited(ty: &Type) -> bool {
    match ty {
        Type::Group(ty) => is_never_audited(&ty.elem),
        Type::Paren(ty) => is_never_audited(&ty.elem),
        Type::Path(path) => path.path.segments.last().is_some_and(|last| {
            let name = last.ident.to_string();
            is_one_of(&name, NEVER_AUDITED)
        }),
        Type::Macro(_) => false,
        _ => true,
    }
}

/// Names, beside those of [`PRIMITIVES`], under which nobody audits a type.
const NEVER_AUDITED: &[&str] = &[
    "String",
    "Vec",
    "VecDeque",
    "Option",
    "Result",
    "Box",
    "Rc",
    "Arc",
    "HashMap",
    "HashSet",
    "BTreeMap",
    "BTreeSet",
    "Formatter",
    "Tracked",
];
