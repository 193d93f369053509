//! What the expansion must know of the return type. Whether it is a `Result` or a boxed future is not
//! decided here: that is recognised by type, in `audit-core`.

use proc_macro2::TokenTree;
use syn::visit_mut::{self, VisitMut};
use syn::{
    GenericArgument, PathArguments, ReturnType, Type, TypeImplTrait, TypeParamBound, parse_quote,
};

/// The return type, as far as spelling must tell.
pub(crate) enum Returns {
    /// `-> T`, and no `impl Trait` in it.
    Plain(Box<Type>),
    /// `-> Wrapper<impl Trait>`: `impl Trait` replaced by `_`, and whether the value of a `Result` is whole.
    ///
    /// An erased error is looked up like any other, because its message is what matters; an erased value
    /// is a closure or an iterator, of which nothing but the type's name is worth recording.
    Partly { erased: Box<Type>, ok_whole: bool },
    /// `-> impl Trait`: can't be named, and what a closure in the body must look like is known from here
    /// alone. So the body stays in place.
    Opaque,
    /// `-> impl Serialize` or `-> impl Debug`: can't be named, but can be recorded.
    Recordable { by: &'static str },
    /// `-> impl Future<Output = T>`, with `T` where it can be named.
    Future { output: Option<Box<Type>> },
    /// `-> !`.
    Never,
}

impl Returns {
    pub(crate) fn of(output: &ReturnType, is_async: bool) -> Self {
        let ty = match output {
            ReturnType::Default => return Self::Plain(Box::new(parse_quote!(()))),
            ReturnType::Type(_, ty) => ungroup(ty),
        };
        match ty {
            Type::Never(_) => Self::Never,
            Type::ImplTrait(bounds) => future_output(bounds)
                .filter(|_| !is_async)
                .or_else(|| recordable(bounds))
                .unwrap_or(Self::Opaque),
            _ => {
                let mut erased = ty.clone();
                let erasure = erase(&mut erased);
                if erasure.found == 0 {
                    return Self::Plain(Box::new(ty.clone()));
                }
                if erasure.found_function && !is_async {
                    return Self::Opaque;
                }
                Self::Partly { erased: Box::new(erased), ok_whole: is_ok_whole(ty) }
            }
        }
    }

    /// The type as it may be written inside the body; `None` where it can't be written at all.
    pub(crate) fn annotation(&self) -> Option<&Type> {
        match self {
            Self::Plain(ty) | Self::Partly { erased: ty, .. } => Some(ty),
            Self::Opaque | Self::Recordable { .. } | Self::Future { .. } | Self::Never => None,
        }
    }
}

/// Whether `ty` holds a name that is, by convention, a type parameter (`T`, `St`, `REQ`), or a type that hangs on
/// one (`Self::Item`). Those of an `impl` block can't be seen from a method, nor what they outlive.
pub(crate) fn may_hold_parameter(ty: &Type) -> bool {
    fn among(tokens: proc_macro2::TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Group(group) => among(group.stream()),
            TokenTree::Ident(word) => {
                let word = word.to_string();
                let is_upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
                word == "Self"
                    || (word.starts_with(|c: char| c.is_ascii_uppercase())
                        && (word.len() <= 2 || word.chars().all(is_upper)))
            }
            _ => false,
        })
    }
    among(quote::ToTokens::to_token_stream(ty))
}

/// Whether a lifetime is left out in a return type: what is returned then borrows from the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elision {
    No,
    /// A type may have one that is not spelled: `Guard`.
    Possible,
    /// `&T`, `Guard<'_>`
    Certain,
}

/// Whether a lifetime is left out in `ty`, as far as spelling tells: an alias may have one under any name.
pub(crate) fn elision(ty: &Type) -> Elision {
    fn among(tokens: proc_macro2::TokenStream) -> Elision {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |at: usize, c: char| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == c);
        let mut found = Elision::No;
        for (at, token) in tokens.iter().enumerate() {
            let one = match token {
                TokenTree::Group(group) => among(group.stream()),
                TokenTree::Punct(punct) if punct.as_char() == '&' && !is(at + 1, '\'') => {
                    Elision::Certain
                }
                TokenTree::Punct(punct) if punct.as_char() == '\'' => match tokens.get(at + 1) {
                    Some(TokenTree::Ident(name)) if name == "_" => Elision::Certain,
                    _ => Elision::No,
                },
                TokenTree::Ident(name) => {
                    let name = name.to_string();
                    let is_known = OWN_NO_LIFETIME.contains(&name.as_str())
                        || name.starts_with(|c: char| c.is_lowercase() || c == '_')
                        || (name.len() <= 2 && name.starts_with(|c: char| c.is_uppercase()));
                    // `Self::Item`, the lifetime `'a`, a path that goes on, `Guard<'a>`.
                    let is_of_self = at >= 3
                        && is(at - 1, ':')
                        && matches!(&tokens[at - 3], TokenTree::Ident(first) if first == "Self");
                    let is_lifetime = at >= 1 && is(at - 1, '\'');
                    let goes_on = is(at + 1, ':');
                    let spells_one = is(at + 1, '<') && is(at + 2, '\'');
                    match is_known || is_of_self || is_lifetime || goes_on || spells_one {
                        true => Elision::No,
                        false => Elision::Possible,
                    }
                }
                _ => Elision::No,
            };
            found = match (found, one) {
                (Elision::Certain, _) | (_, Elision::Certain) => return Elision::Certain,
                (Elision::Possible, _) | (_, Elision::Possible) => Elision::Possible,
                _ => Elision::No,
            };
        }
        found
    }
    among(quote::ToTokens::to_token_stream(ty))
}

/// Whether `ty` is certain to borrow from nothing, under whatever names its parts are imported.
pub(crate) fn is_own(ty: &Type) -> bool {
    fn among(tokens: proc_macro2::TokenStream) -> bool {
        tokens.into_iter().all(|token| match token {
            TokenTree::Group(group) => among(group.stream()),
            TokenTree::Ident(name) => {
                let name = name.to_string();
                name.starts_with(|c: char| c.is_lowercase())
                    || ["Box", "Option", "Self", "String", "Vec"].contains(&name.as_str())
            }
            TokenTree::Punct(punct) => !matches!(punct.as_char(), '&' | '\''),
            TokenTree::Literal(_) => true,
        })
    }
    among(quote::ToTokens::to_token_stream(ty))
}

/// Types that have no lifetime of their own.
const OWN_NO_LIFETIME: &[&str] = &[
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

/// Whether the error of `Result<T, Error<..>>` is a generic type whose arguments may be parameters or borrow, or
/// a projection that may stand for such a type.
pub(crate) fn has_generic_error(ty: &Type) -> bool {
    let Type::Path(path) = ungroup(ty) else { return false };
    let arguments =
        |path: &syn::TypePath| match path.path.segments.last().map(|last| &last.arguments) {
            Some(PathArguments::AngleBracketed(list)) => list
                .args
                .iter()
                .filter_map(|argument| match argument {
                    GenericArgument::Type(ty) => Some(ty.clone()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
    let [_, error] = &arguments(path)[..] else { return false };
    let Type::Path(error) = ungroup(error) else { return false };
    let (first, last) = (error.path.segments.first(), error.path.segments.last());
    if error.qself.is_some() || first.is_some_and(|first| first.ident == "Self") {
        return true;
    }
    let borrows = |ty: &Type| {
        let text = quote::ToTokens::to_token_stream(ty).to_string();
        text.contains('&') || text.contains('\'')
    };
    last.is_some_and(|last| last.ident != "Box")
        && arguments(error).iter().any(|ty| may_hold_parameter(ty) || borrows(ty))
}

fn ungroup(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungroup(&group.elem),
        Type::Paren(paren) => ungroup(&paren.elem),
        other => other,
    }
}

/// Which `impl Trait`s a type held.
#[derive(Default)]
struct Erasure {
    found: usize,
    /// One of them is a function: the closure behind it must see its bounds.
    found_function: bool,
}

impl VisitMut for Erasure {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        let Type::ImplTrait(bounds) = &*ty else { return visit_mut::visit_type_mut(self, ty) };
        self.found += 1;
        self.found_function |= traits(bounds).any(|name| name.starts_with("Fn"));
        *ty = parse_quote!(_);
    }
}

/// Replaces every `impl Trait` by `_`.
fn erase(ty: &mut Type) -> Erasure {
    let mut erasure = Erasure::default();
    erasure.visit_type_mut(ty);
    erasure
}

/// The last names of the traits in `impl A + b::C`.
fn traits(ty: &TypeImplTrait) -> impl Iterator<Item = String> + '_ {
    ty.bounds.iter().filter_map(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            bound.path.segments.last().map(|last| last.ident.to_string())
        }
        _ => None,
    })
}

fn recordable(ty: &TypeImplTrait) -> Option<Returns> {
    let by = ["Serialize", "Debug"].into_iter().find(|by| traits(ty).any(|name| name == *by))?;
    Some(Returns::Recordable { by })
}

/// For `Name<A, …>`: whether `A` is free of `impl Trait`.
fn is_ok_whole(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let Some(PathArguments::AngleBracketed(arguments)) =
        path.path.segments.last().map(|segment| &segment.arguments)
    else {
        return false;
    };
    let mut types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.next().is_some_and(|ty| erase(&mut ty.clone()).found == 0)
}

/// A future can be wrapped in ours if nothing but being a future is promised of it.
fn future_output(ty: &TypeImplTrait) -> Option<Returns> {
    if !traits(ty).all(|name| ["Future", "Send", "Sync", "Unpin"].contains(&name.as_str())) {
        return None;
    }
    ty.bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            let last = bound.path.segments.last().filter(|last| last.ident == "Future")?;
            Some(Returns::Future { output: output_of(&last.arguments) })
        }
        _ => None,
    })
}

fn output_of(arguments: &PathArguments) -> Option<Box<Type>> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(assoc) if assoc.ident == "Output" => {
            let mut ty = assoc.ty.clone();
            (erase(&mut ty).found == 0).then(|| Box::new(assoc.ty.clone()))
        }
        _ => None,
    })
}
