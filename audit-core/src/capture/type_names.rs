//! Facts that can be known only from the name of a type: whether its values are secret, sets, or
//! decimals, and whether a generic return type is a `Result` or `()`.
//!
//! Serde passes on none of this: a set is serialised as a list, a decimal as a text, and a secret
//! as the value in it. A serializer cannot probe the type instead. It sees every part of a value as
//! a generic `T: Serialize`, so a probe by method lookup finds no more than that bound, and
//! `TypeId` needs `'static` types that are known without parameters. Only the name is left, and for
//! a list the name of its iterator. It is not stable by contract, so the tests below pin the names
//! with the real crates: when a compiler or a crate changes one, they fail. A type with
//! `CompareParts` tells which of its parts are sets, whatever their names are.
//!
//! The return type of a generic function is known only when it is compiled for its caller. There,
//! method lookup would see the bounds of the parameter, and so take a `Result` for another value.

use std::any::type_name;

use crate::capture::decision_cache::{HAS_ELEMENTS_HINT, HAS_TYPE_HINT, IS_SECRET_TYPE, cached};

/// How the names of all types of the crate `secrecy` begin.
pub(super) const SECRECY: &str = "secrecy::";

/// Whether `T` is a type of the crate `secrecy`, or has one in its name, as
/// `Option<SecretBox<str>>`. Its values are never recorded, even if they can be serialised.
///
/// A secret is not recognised where another type passes the serializer on to it, as types with
/// `#[serde(transparent)]` and `#[serde(untagged)]` do: no serializer sees that it is there.
///
/// ```
/// use audit_core::capture::is_secret_type;
/// assert!(!is_secret_type::<Vec<String>>());
/// ```
#[inline]
#[must_use]
pub fn is_secret_type<T: ?Sized>() -> bool {
    let name = type_name::<T>();
    // The length is known at compile time: numbers and other types with short names cost nothing.
    name.len() > SECRECY.len() && cached(name, IS_SECRET_TYPE, names_secret_type)
}

pub(super) fn names_secret_type(name: &str) -> bool {
    let continues_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    name.match_indices(SECRECY).any(|(at, _)| !name[..at].ends_with(continues_path))
}

/// Whether `T` is a `Result`.
#[inline]
pub(crate) fn is_result<T: ?Sized>() -> bool {
    type_name::<T>().starts_with("core::result::Result<")
}

/// Whether each value of `T` has an HTTP status, by which a call may have failed.
#[inline]
pub(crate) fn has_status<T: ?Sized>() -> bool {
    const NAMES: &[&str] = &["http::status::StatusCode", "http::response::Response<"];
    cfg!(feature = "http") && {
        let name = type_name::<T>();
        let first = name.trim_start_matches('(');
        NAMES.iter().any(|known| first.starts_with(known))
    }
}

/// Whether `T` is `()`.
#[inline]
pub(crate) fn is_unit<T: ?Sized>() -> bool {
    type_name::<T>() == "()"
}

/// The kind of a value, known from the name of its type where serde does not pass it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypeHint {
    None,
    /// The order of the elements does not count.
    Set,
    /// A number that is serialised as a text: zeros at its end do not count.
    Decimal,
}

/// The shortest of the names that give a hint.
const SHORTEST: usize = "bigdecimal::BigDecimal".len();

impl TypeHint {
    /// The hint for `T`, also behind references and smart pointers.
    #[inline]
    pub(crate) fn of<T: ?Sized>() -> Self {
        let name = type_name::<T>();
        // The length is known at compile time: types with short names cost nothing.
        if name.len() >= SHORTEST
            && cached(name, HAS_TYPE_HINT, |name| Self::by_name(name) != Self::None)
        {
            Self::by_name(name)
        } else {
            Self::None
        }
    }

    /// The hint for a list whose elements `I` gives: a set, or an iterator over one, also behind
    /// adapters such as `map`.
    #[inline]
    pub(crate) fn of_elements<I>() -> Self {
        let name = type_name::<I>();
        if cached(name, HAS_ELEMENTS_HINT, |name| Self::by_iterator_name(name) != Self::None) {
            Self::by_iterator_name(name)
        } else {
            Self::None
        }
    }

    fn by_name(name: &str) -> Self {
        let path = path_behind(name, POINTERS);
        let (first, last) =
            (path.split("::").next().unwrap_or(path), path.rsplit("::").next().unwrap_or(path));
        match (first, last) {
            (
                "std" | "alloc" | "hashbrown" | "indexmap" | "dashmap" | "im" | "im_rc" | "imbl",
                "HashSet" | "BTreeSet" | "IndexSet" | "DashSet" | "OrdSet",
            ) => Self::Set,
            ("rust_decimal", "Decimal") | ("bigdecimal", "BigDecimal") => Self::Decimal,
            _ => Self::None,
        }
    }

    fn by_iterator_name(name: &str) -> Self {
        let mut name = name;
        while let Some(rest) = name.strip_prefix("core::iter::adapters::") {
            let Some((_, inner)) = rest.split_once('<') else { return Self::None };
            name = inner;
        }
        let path = path_behind(name, POINTERS);
        match SET_ITERATORS.iter().any(|prefix| path.starts_with(prefix)) {
            true => Self::Set,
            false => match Self::by_name(name) {
                Self::Set => Self::Set,
                _ => Self::None,
            },
        }
    }
}

/// The path of the type that `name` begins with, without pointers and parameters.
fn path_behind<'n>(mut name: &'n str, pointers: &[&str]) -> &'n str {
    while let Some(inner) = pointers.iter().find_map(|pointer| name.strip_prefix(pointer)) {
        name = inner;
    }
    &name[..name.find(['<', '>', ',']).unwrap_or(name.len())]
}

/// How the paths of iterators begin whose order has no meaning.
const SET_ITERATORS: &[&str] = &[
    "std::collections::hash::set::",
    "std::collections::hash::map::",
    "alloc::collections::btree::set::",
    "hashbrown::set::",
    "hashbrown::map::",
    "indexmap::set::",
    "dashmap::iter_set::",
];

/// How the names begin of types that serialise as the value in them.
pub(super) const POINTERS: &[&str] = &[
    // Newer compilers write lifetimes.
    "'_, ",
    "&mut ",
    "&",
    "alloc::boxed::Box<",
    "alloc::rc::Rc<",
    "alloc::sync::Arc<",
    "alloc::borrow::Cow<",
    "core::cell::Cell<",
    "core::cell::RefCell<",
    "std::sync::poison::mutex::Mutex<",
    "std::sync::poison::rwlock::RwLock<",
];

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::cell::{Cell, RefCell};
    use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
    use std::rc::Rc;
    use std::sync::{Arc, Mutex, RwLock};

    use rust_decimal::Decimal;
    use secrecy::{SecretBox, SecretSlice, SecretString};

    use super::*;

    /// The names as this compiler and these crates write them. If one changes, adapt the constants
    /// above, and keep the name from before: users have other versions.
    #[test]
    fn the_names_of_types_are_those_that_are_looked_for() {
        for (name, expected) in [
            (type_name::<SecretBox<str>>(), "secrecy::SecretBox<str>"),
            (type_name::<SecretString>(), "secrecy::SecretBox<str>"),
            (type_name::<SecretSlice<u8>>(), "secrecy::SecretBox<[u8]>"),
            (type_name::<Decimal>(), "rust_decimal::decimal::Decimal"),
            (type_name::<BTreeSet<u8>>(), "alloc::collections::btree::set::BTreeSet<u8>"),
            (type_name::<HashSet<u8, ()>>(), "std::collections::hash::set::HashSet<u8, ()>"),
            (type_name::<hashbrown::HashSet<u8, ()>>(), "hashbrown::set::HashSet<u8, ()>"),
            (type_name::<indexmap::IndexSet<u8, ()>>(), "indexmap::set::IndexSet<u8, ()>"),
            (type_name::<&u8>(), "&u8"),
            (type_name::<&mut u8>(), "&mut u8"),
            (type_name::<Box<u8>>(), "alloc::boxed::Box<u8>"),
            (type_name::<Rc<u8>>(), "alloc::rc::Rc<u8>"),
            (type_name::<Arc<u8>>(), "alloc::sync::Arc<u8>"),
            (type_name::<Cell<u8>>(), "core::cell::Cell<u8>"),
            (type_name::<RefCell<u8>>(), "core::cell::RefCell<u8>"),
            (type_name::<Mutex<u8>>(), "std::sync::poison::mutex::Mutex<u8>"),
            (type_name::<RwLock<u8>>(), "std::sync::poison::rwlock::RwLock<u8>"),
        ] {
            assert_eq!(name, expected);
        }
    }

    #[test]
    fn results_and_units_are_known_also_in_generic_functions() {
        fn of<T>(_: T) -> (bool, bool) {
            (is_result::<T>(), is_unit::<T>())
        }
        type Alias<T> = std::io::Result<T>;
        struct Result<T>(T);
        assert_eq!(of(Ok::<u8, String>(1)), (true, false));
        assert_eq!(of::<Alias<()>>(Ok(())), (true, false));
        assert_eq!(of(()), (false, true));
        assert_eq!(of(Result(())), (false, false));
        assert_eq!(of(Some(Ok::<u8, String>(1))), (false, false));
        assert_eq!(of(((),)), (false, false));
    }

    #[test]
    fn secret_types_are_found_wherever_they_are_in_a_name() {
        assert!(is_secret_type::<SecretString>());
        assert!(is_secret_type::<&SecretBox<str>>());
        assert!(is_secret_type::<Option<SecretBox<str>>>());
        assert!(is_secret_type::<HashMap<u8, Vec<SecretSlice<u8>>>>());
        assert!(!is_secret_type::<String>());
        assert!(!names_secret_type("my_secrecy::Diary"));
        assert!(!names_secret_type("diary::secrecy::Page"));
    }

    #[test]
    fn sets_are_found_also_behind_pointers() {
        assert_eq!(TypeHint::of::<HashSet<u8>>(), TypeHint::Set);
        assert_eq!(TypeHint::of::<BTreeSet<Vec<u8>>>(), TypeHint::Set);
        assert_eq!(TypeHint::of::<hashbrown::HashSet<u8>>(), TypeHint::Set);
        assert_eq!(TypeHint::of::<indexmap::IndexSet<u8>>(), TypeHint::Set);
        assert_eq!(TypeHint::of::<&&mut Box<HashSet<u8>>>(), TypeHint::Set);
        assert_eq!(TypeHint::of::<Rc<Arc<BTreeSet<u8>>>>(), TypeHint::Set);
        assert_eq!(TypeHint::of::<Cow<'_, BTreeSet<u8>>>(), TypeHint::Set);
        assert_eq!(TypeHint::of::<Mutex<RefCell<RwLock<BTreeSet<u8>>>>>(), TypeHint::Set);
        assert_eq!(TypeHint::of::<Vec<HashSet<u8>>>(), TypeHint::None);
        assert_eq!(TypeHint::of::<BTreeMap<u8, HashSet<u8>>>(), TypeHint::None);
        assert_eq!(TypeHint::by_name("mine::set::HashSet<u8>"), TypeHint::None);
    }

    #[test]
    fn sets_are_found_by_their_iterators() {
        fn of<I: IntoIterator>(_: I) -> TypeHint {
            TypeHint::of_elements::<I>()
        }
        let set = HashSet::from([1]);
        let map = HashMap::from([(1, 2)]);
        let btree = BTreeSet::from([1]);
        let index = indexmap::IndexSet::<u8>::new();
        let brown = hashbrown::HashSet::<u8>::new();
        assert_eq!([of(&set), of(set.iter()), of(set.clone()), of(&btree)], [TypeHint::Set; 4]);
        assert_eq!([of(btree.iter()), of(&index), of(index.iter())], [TypeHint::Set; 3]);
        assert_eq!([of(&brown), of(brown.iter())], [TypeHint::Set; 2]);
        assert_eq!([of(map.values()), of(map.keys()), of(map.iter())], [TypeHint::Set; 3]);
        assert_eq!(of(set.iter().map(|n| n + 1).filter(|n| *n > 0)), TypeHint::Set);
        let list = vec![HashSet::from([1])];
        assert_eq!([of(&list), of(list.clone())], [TypeHint::None; 2]);
        assert_eq!(of(list.iter().map(|set| set.len())), TypeHint::None);
        assert_eq!(of(list.iter().zip(&set)), TypeHint::None);
        assert_eq!(of(BTreeMap::from([(1, 2)]).values()), TypeHint::None);
        assert_eq!(of([Decimal::ONE]), TypeHint::None);
    }

    #[test]
    fn decimals_are_found_also_behind_pointers() {
        assert_eq!(TypeHint::of::<Decimal>(), TypeHint::Decimal);
        assert_eq!(TypeHint::of::<Box<Decimal>>(), TypeHint::Decimal);
        // The crate is not among the dev-dependencies.
        assert_eq!(TypeHint::by_name("bigdecimal::BigDecimal"), TypeHint::Decimal);
        assert_eq!(TypeHint::by_name("my_rust_decimal::Decimal"), TypeHint::None);
        assert_eq!(TypeHint::of::<rust_decimal::Error>(), TypeHint::None);
    }

    #[test]
    fn decimals_are_serialised_as_the_hint_expects() {
        let text = serde_json::to_string(&Decimal::new(101_670, 3)).expect("a decimal");
        assert_eq!(text, r#""101.670""#);
    }
}
