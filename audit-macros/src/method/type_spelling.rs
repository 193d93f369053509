//! Decisions that depend on how a type is spelled.
//!
//! A macro runs before names are resolved, so it sees a type only as tokens. What can wait until
//! types are known is decided by method lookup in `audit-core`. The decisions here can't wait: they
//! determine which tokens are written, and method lookup can't ask about lifetimes at all. Each
//! function says what happens if a spelling misleads it. `tests/shapes/spelling.rs` pins the
//! decisions.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{PathSegment, ReturnType, Type, TypePath};

use super::return_kind::{bound_outputs, trait_names, type_arguments, ungroup};
use crate::tokens::{is_ident, is_punct};

/// Whether `ty` contains a name that may be a type parameter (`T`, `Key`), or a projection
/// (`Self::Item`, `T::Item`).
///
/// Only the spelling is available: the parameters of an `impl` block can't be seen from its
/// methods. So a type without a path may be one, except those that everybody knows.
fn may_contain_parameter(ty: &Type) -> bool {
    may_name_parameter(ty.to_token_stream())
}

fn may_name_parameter(tokens: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Group(group) => may_name_parameter(group.stream()),
        TokenTree::Ident(ident) => {
            let name = ident.to_string();
            let is_in_module = at > 0 && is_punct(tokens.get(at - 1), ':');
            let is_known = WITHOUT_LIFETIME.contains(&name.as_str()) && name != "Self";
            name.starts_with(char::is_uppercase) && !is_in_module && !is_known
        }
        _ => false,
    })
}

/// Whether `ty` contains a reference or a lifetime other than `'static`.
fn may_borrow(ty: &Type) -> bool {
    let lifetimes = ty.to_token_stream().to_string().replace("'static", "");
    lifetimes.contains(['&', '\''])
}

/// Whether the error of `Result<T, Error<..>>` is a generic type whose arguments may be parameters
/// or borrow, or a projection that may stand for such a type. Of a future, its output is meant.
///
/// Such an error may implement `std::error::Error` only if its parameter is `'static`. Method
/// lookup does not ask about lifetimes, so it would choose that implementation, and the compiler
/// would then reject it. If this returns true, the error is recorded by its text, without its
/// chain.
///
/// An alias such as `LoadResult<T>` hides its error. It is taken for a type without parameters, as
/// that of `io::Result<T>` is.
pub(crate) fn has_generic_error(ty: &Type) -> bool {
    match ungroup(ty) {
        Type::Path(path) if is_projection(path) => true,
        Type::Path(path) => match &arguments_of(path)[..] {
            // `BoxFuture<'_, Result<T, E>>`, `Pin<Box<dyn Future<…>>>`
            [output] => has_generic_error(output),
            [_, error] => is_generic_error(error),
            _ => false,
        },
        Type::TraitObject(object) => bound_outputs(&object.bounds).any(has_generic_error),
        _ => false,
    }
}

fn is_projection(path: &TypePath) -> bool {
    let segments = &path.path.segments;
    path.qself.is_some() || (segments.len() > 1 && is_named_self(segments.first()))
}

fn is_named_self(segment: Option<&PathSegment>) -> bool {
    segment.is_some_and(|segment| segment.ident == "Self")
}

fn arguments_of(path: &TypePath) -> Vec<&Type> {
    path.path.segments.last().map(|last| type_arguments(last).collect()).unwrap_or_default()
}

fn is_generic_error(error: &Type) -> bool {
    let Type::Path(path) = ungroup(error) else { return false };
    let (first, last) = (path.path.segments.first(), path.path.segments.last());
    if path.qself.is_some() || is_named_self(first) {
        return true;
    }
    let Some(last) = last.filter(|last| last.ident != "Box") else { return false };
    may_borrow(error) || type_arguments(last).any(may_contain_parameter)
}

/// Whether a return type that contains an `impl Fn` is called `Result`, or something like
/// `IoResult`.
///
/// Only the spelling is available: such a type can't be named inside the body, so no method can be
/// looked up on it. A `Result` under another name is recorded as a success, even if it is an error.
pub(crate) fn looks_like_result(output: &ReturnType) -> bool {
    let ReturnType::Type(_, ty) = output else { return false };
    matches!(&**ty, Type::Path(path) if path.path.segments.last()
        .is_some_and(|last| last.ident.to_string().ends_with("Result")))
}

/// Whether an `impl Trait` that stays in place promises something like a `Future`.
///
/// Only the spelling is available, as above. A future behind a trait with another name is recorded
/// as a success that ended when the future was returned.
pub(crate) fn looks_like_future(output: &ReturnType) -> bool {
    let ReturnType::Type(_, ty) = output else { return false };
    matches!(ungroup(ty), Type::ImplTrait(ty)
        if trait_names(ty).any(|name| name.ends_with("Future")))
}

/// Whether `ty` shows an elided lifetime: `&T`, `Guard<'_>`. A type may also elide one without a
/// sign; `audit-core` finds that out by method lookup.
pub(crate) fn has_elided_lifetime(ty: &Type) -> bool {
    fn is_in(tokens: TokenStream) -> bool {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        tokens.iter().enumerate().any(|(at, token)| match token {
            TokenTree::Group(group) => is_in(group.stream()),
            TokenTree::Punct(punct) => match punct.as_char() {
                '&' => !is_punct(tokens.get(at + 1), '\''),
                '\'' => is_ident(tokens.get(at + 1), "_"),
                _ => false,
            },
            _ => false,
        })
    }
    is_in(ty.to_token_stream())
}

/// Common types that have no lifetime of their own.
const WITHOUT_LIFETIME: &[&str] = &[
    "Arc",
    "BTreeMap",
    "BTreeSet",
    "Box",
    "Duration",
    "HashMap",
    "HashSet",
    "Instant",
    "Option",
    "Ordering",
    "PathBuf",
    "Pin",
    "Rc",
    "Result",
    "Self",
    "String",
    "SystemTime",
    "Uuid",
    "Vec",
    "VecDeque",
];
