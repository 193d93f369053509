//! What the name of a type says of its values that `Serialize` does not.

use crate::capture::{HINTS, remembered};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    None,
    Set,
    Decimal,
}

/// No type that is looked for has a shorter name.
const SHORTEST: usize = "bigdecimal::BigDecimal".len();

/// What is known of `T`, also behind references and smart pointers.
#[inline]
pub(super) fn of<T: ?Sized>() -> Hint {
    let name = std::any::type_name::<T>();
    // Known while compiling: costs nothing for numbers and the like.
    if name.len() >= SHORTEST && remembered(name, HINTS, |name| named(name) != Hint::None) {
        named(name)
    } else {
        Hint::None
    }
}

/// These hand on the serializer without a word.
const TRANSPARENT: &[&str] = &[
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

fn named(mut name: &str) -> Hint {
    while let Some(inner) = TRANSPARENT.iter().find_map(|outer| name.strip_prefix(outer)) {
        name = inner;
    }
    let path = &name[..name.find(['<', '>', ',']).unwrap_or(name.len())];
    let ends = (path.split("::").next().unwrap_or(path), path.rsplit("::").next().unwrap_or(path));
    match ends {
        ("std" | "alloc" | "hashbrown" | "indexmap", "HashSet" | "BTreeSet" | "IndexSet") => {
            Hint::Set
        }
        ("rust_decimal", "Decimal") | ("bigdecimal", "BigDecimal") => Hint::Decimal,
        _ => Hint::None,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::{BTreeMap, BTreeSet, HashSet};
    use std::rc::Rc;
    use std::sync::{Arc, Mutex, RwLock};

    use super::*;

    #[test]
    fn sets_are_known_by_their_names_also_behind_pointers() {
        assert_eq!(of::<HashSet<u8>>(), Hint::Set);
        assert_eq!(of::<BTreeSet<Vec<u8>>>(), Hint::Set);
        assert_eq!(of::<&&mut Box<HashSet<u8>>>(), Hint::Set);
        assert_eq!(of::<Rc<Arc<BTreeSet<u8>>>>(), Hint::Set);
        assert_eq!(of::<Cow<'_, BTreeSet<u8>>>(), Hint::Set);
        assert_eq!(of::<Mutex<std::cell::RefCell<RwLock<BTreeSet<u8>>>>>(), Hint::Set);
        assert_eq!(named("hashbrown::set::HashSet<u8, S>"), Hint::Set);
        assert_eq!(named("indexmap::set::IndexSet<u8>"), Hint::Set);
        assert_eq!(of::<Vec<HashSet<u8>>>(), Hint::None);
        assert_eq!(of::<BTreeMap<u8, HashSet<u8>>>(), Hint::None);
        assert_eq!(named("mine::set::HashSet<u8>"), Hint::None);
    }

    #[test]
    fn decimals_are_known_by_their_names() {
        assert_eq!(named("rust_decimal::decimal::Decimal"), Hint::Decimal);
        assert_eq!(named("alloc::boxed::Box<rust_decimal::decimal::Decimal>"), Hint::Decimal);
        assert_eq!(named("bigdecimal::BigDecimal"), Hint::Decimal);
        assert_eq!(named("my_rust_decimal::Decimal"), Hint::None);
        assert_eq!(named("rust_decimal::error::Error"), Hint::None);
    }
}
