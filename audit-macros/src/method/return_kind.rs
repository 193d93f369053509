//! What the expansion must know of a return type before types are known: whether it can be named
//! inside the body, and what an `impl Trait` promises.
//!
//! Whether a named type is a `Result` or a boxed future is not decided here: `audit-core` finds out
//! by method lookup on the type.

use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{
    GenericArgument, PathArguments, PathSegment, ReturnType, Token, Type, TypeImplTrait,
    TypeParamBound, parse_quote,
};

type Bounds = Punctuated<TypeParamBound, Token![+]>;

/// A return type, sorted by what can be done with it.
pub(crate) enum ReturnKind {
    /// `-> T`, without `impl Trait`.
    Nameable(Box<Type>),
    /// `-> Wrapper<impl Trait>`.
    ///
    /// An error behind `impl Trait` is recorded like any other, because its message matters. A
    /// value behind `impl Trait` is a closure or an iterator, of which only the type's name is
    /// recorded.
    PartlyNameable {
        /// The type with `_` in place of each `impl Trait`.
        erased: Box<Type>,
        /// Whether the value of a `Result` contains no `impl Trait`, or only responses.
        is_value_named: bool,
    },
    /// `-> impl IntoResponse`: inside the function, the type of the response is known.
    Response,
    /// `-> impl Trait`. The body stays in place, because only the signature tells the compiler what
    /// a closure in it must look like.
    Opaque,
    /// `-> impl Serialize` or `-> impl Debug`: the type can't be named, but its values can be
    /// recorded.
    Recordable { by: &'static str },
    /// `-> impl Future<Output = T>`, with `T` where it can be named. It may contain `_` in place of
    /// an `impl IntoResponse`.
    Future { output: Option<Box<Type>> },
    /// `-> !`
    Never,
}

impl ReturnKind {
    pub(crate) fn of(output: &ReturnType, is_async: bool) -> Self {
        let ty = match output {
            ReturnType::Default => return Self::Nameable(Box::new(parse_quote!(()))),
            ReturnType::Type(_, ty) => ungroup(ty),
        };
        match ty {
            Type::Never(_) => Self::Never,
            Type::ImplTrait(bounds) if is_response_trait(bounds) => Self::Response,
            Type::ImplTrait(bounds) => future(bounds)
                .filter(|_| !is_async)
                .or_else(|| recordable(bounds))
                .unwrap_or(Self::Opaque),
            _ => {
                let mut erased = ty.clone();
                let erasure = erase(&mut erased);
                if erasure.count == 0 {
                    Self::Nameable(Box::new(ty.clone()))
                } else if erasure.has_function && !is_async {
                    Self::Opaque
                } else {
                    let is_value_named = !erasure.has_other || is_first_argument_named(ty);
                    Self::PartlyNameable { erased: Box::new(erased), is_value_named }
                }
            }
        }
    }

    /// The type as it may be written inside the body. `None` where it can't be written.
    pub(crate) fn annotation(&self) -> Option<&Type> {
        match self {
            Self::Nameable(ty) | Self::PartlyNameable { erased: ty, .. } => Some(ty),
            Self::Response
            | Self::Opaque
            | Self::Recordable { .. }
            | Self::Future { .. }
            | Self::Never => None,
        }
    }
}

/// The type without the invisible groups and the parentheses around it.
pub(crate) fn ungroup(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungroup(&group.elem),
        Type::Paren(paren) => ungroup(&paren.elem),
        other => other,
    }
}

/// The type arguments of a path segment: of `Result<T, E>`, `T` and `E`.
pub(crate) fn type_arguments(segment: &PathSegment) -> impl Iterator<Item = &Type> {
    let arguments = match &segment.arguments {
        PathArguments::AngleBracketed(list) => Some(&list.args),
        _ => None,
    };
    arguments.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The `impl Trait`s that were found in a type.
#[derive(Default)]
struct Erasure {
    count: usize,
    /// One of them is a function: the closure that implements it must see the signature.
    has_function: bool,
    /// One of them is a response.
    has_response: bool,
    /// One of them is not a response.
    has_other: bool,
}

impl VisitMut for Erasure {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        let Type::ImplTrait(bounds) = &*ty else { return visit_mut::visit_type_mut(self, ty) };
        self.count += 1;
        self.has_response |= is_response_trait(bounds);
        self.has_other |= !is_response_trait(bounds);
        self.has_function |= trait_names(bounds).any(|name| name.starts_with("Fn"));
        *ty = parse_quote!(_);
    }
}

/// Replaces every `impl Trait` by `_`.
fn erase(ty: &mut Type) -> Erasure {
    let mut erasure = Erasure::default();
    erasure.visit_type_mut(ty);
    erasure
}

/// Whether `ty` contains no `impl Trait`.
fn is_nameable(ty: &Type) -> bool {
    erase(&mut ty.clone()).count == 0
}

/// For `Name<A, …>`: whether `A` contains no `impl Trait`.
fn is_first_argument_named(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let first = path.path.segments.last().and_then(|last| type_arguments(last).next());
    first.is_some_and(is_nameable)
}

/// The names of the traits in `impl A + b::C`, without their paths.
///
/// Only the spelling is available: an `impl Trait` has no name by which its bounds could be looked
/// up, and what the hidden type implements beyond them is not promised to the caller. A trait that
/// is imported under another name is not recognised; the value is then recorded by the name of its
/// type.
pub(crate) fn trait_names(ty: &TypeImplTrait) -> impl Iterator<Item = String> + '_ {
    traits(&ty.bounds).map(|segment| segment.ident.to_string())
}

fn traits(bounds: &Bounds) -> impl Iterator<Item = &PathSegment> {
    bounds.iter().filter_map(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last(),
        _ => None,
    })
}

/// The types in `dyn Trait<Output = T>`.
pub(crate) fn bound_outputs(bounds: &Bounds) -> impl Iterator<Item = &Type> {
    traits(bounds).filter_map(|segment| output_argument(&segment.arguments))
}

/// `impl IntoResponse`, the trait of `axum`.
fn is_response_trait(ty: &TypeImplTrait) -> bool {
    trait_names(ty).any(|name| name == "IntoResponse")
}

/// Whether a return type contains an `impl IntoResponse`.
pub(crate) fn is_response(output: &ReturnType) -> bool {
    let ReturnType::Type(_, ty) = output else { return false };
    let mut finder = Erasure::default();
    finder.visit_type_mut(&mut ty.clone());
    finder.has_response
}

fn recordable(ty: &TypeImplTrait) -> Option<ReturnKind> {
    let is_promised = |by: &&str| trait_names(ty).any(|name| name == *by);
    let by = ["Serialize", "Debug"].into_iter().find(is_promised)?;
    Some(ReturnKind::Recordable { by })
}

/// `impl Future`, if nothing else is promised: then it can be wrapped in a future of `audit-core`.
fn future(ty: &TypeImplTrait) -> Option<ReturnKind> {
    const KEPT_BY_WRAPPER: &[&str] = &["Future", "Send", "Sync", "Unpin"];
    if !trait_names(ty).all(|name| KEPT_BY_WRAPPER.contains(&name.as_str())) {
        return None;
    }
    let future = traits(&ty.bounds).find(|segment| segment.ident == "Future")?;
    Some(ReturnKind::Future { output: future_output(&future.arguments) })
}

fn future_output(arguments: &PathArguments) -> Option<Box<Type>> {
    let mut erased = output_argument(arguments)?.clone();
    (!erase(&mut erased).has_other).then(|| Box::new(erased))
}

/// Of `<Output = T>`, `T`.
fn output_argument(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(assoc) if assoc.ident == "Output" => Some(&assoc.ty),
        _ => None,
    })
}
