//! [`LeftOut`]: values whose type says that they must not be read.
//!
//! A secret must not reach the record. A lock may be held, by this very thread too, and its
//! `Serialize` waits for it. A serializer sees a lock before the lock's `Serialize` runs, as the
//! type of the part that it is given, so the part can be left out in time.
//!
//! A lock is not found where another type passes the serializer on to it, as types with
//! `#[serde(transparent)]`, `untagged` or `flatten`, and a hand-written `Serialize`, do. The module
//! `call::value_probe` finds some of these by their types.

use std::any::type_name;

use crate::capture::decision_cache::{IS_LEFT_OUT, cached};
use crate::capture::type_names::{POINTERS, SECRECY, is_secret_type, names_secret_type};

/// Why a value is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeftOut {
    /// It is a secret.
    Secret,
    /// It is a lock, or a type of which only locks are known.
    Lock,
}

impl LeftOut {
    /// Why a value of type `T` is left out; `None` if it is not.
    #[inline]
    pub(crate) fn of<T: ?Sized>() -> Option<Self> {
        let name = type_name::<T>();
        // The length is known at compile time: numbers and other types with short names cost
        // nothing.
        let is_left_out = name.len() > SECRECY.len()
            && cached(name, IS_LEFT_OUT, |name| names_secret_type(name) || names_lock(name));
        if is_left_out { Some(Self::reason::<T>()) } else { None }
    }

    #[cold]
    fn reason<T: ?Sized>() -> Self {
        if is_secret_type::<T>() { Self::Secret } else { Self::Lock }
    }
}

/// What the record says in place of a lock.
pub(crate) const A_LOCK: &str = "a lock";

/// How the names begin of locks whose `Serialize` or `Debug` may wait. Only names of types and
/// crates that are known to wait: where a type is known, it is probed instead.
const LOCKS: &[&str] = &[
    "std::sync::poison::mutex::Mutex<",
    "std::sync::poison::rwlock::RwLock<",
    "std::sync::nonpoison::mutex::Mutex<",
    "std::sync::nonpoison::rwlock::RwLock<",
    "lock_api::mutex::Mutex<",
    "lock_api::remutex::ReentrantMutex<",
    "lock_api::rwlock::RwLock<",
    "dashmap::",
    "scc::",
];

/// How the names begin of types that pass each part on to the serializer, with its type.
const CONTAINERS: &[&str] = &["alloc::", "core::", "std::", "hashbrown::", "indexmap::", "(", "["];

/// Whether a value of the type with this name is a lock, or a wrapper of another crate around one.
fn names_lock(name: &str) -> bool {
    let mut value = name;
    while !starts_with_any(value, LOCKS)
        && let Some(inner) = pointers().find_map(|pointer| value.strip_prefix(pointer))
    {
        value = inner;
    }
    if starts_with_any(value, LOCKS) {
        return true;
    }
    !starts_with_any(value, CONTAINERS) && mentions_lock(value)
}

/// Whether the name has a known lock among its parameters.
pub(crate) fn mentions_lock(name: &str) -> bool {
    let continues_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    LOCKS
        .iter()
        .any(|&lock| name.match_indices(lock).any(|(at, _)| !name[..at].ends_with(continues_path)))
}

fn pointers() -> impl Iterator<Item = &'static str> {
    POINTERS.iter().copied().chain(["core::cmp::Reverse<"])
}

fn starts_with_any(name: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::cmp::Reverse;
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex, MutexGuard, RwLock};

    use secrecy::SecretString;

    use super::*;

    struct Wrapper<T>(T);

    #[test]
    fn locks_are_found_behind_pointers_and_in_unknown_wrappers() {
        assert_eq!(LeftOut::of::<Mutex<u8>>(), Some(LeftOut::Lock));
        assert_eq!(LeftOut::of::<&Arc<RwLock<String>>>(), Some(LeftOut::Lock));
        assert_eq!(LeftOut::of::<Box<RefCell<Mutex<u8>>>>(), Some(LeftOut::Lock));
        assert_eq!(LeftOut::of::<Reverse<Mutex<u8>>>(), Some(LeftOut::Lock));
        assert_eq!(LeftOut::of::<Wrapper<Vec<Mutex<u8>>>>(), Some(LeftOut::Lock));
        for name in [
            "lock_api::mutex::Mutex<parking_lot::raw_mutex::RawMutex, u8>",
            "alloc::sync::Arc<lock_api::rwlock::RwLock<parking_lot::raw_rwlock::RawRwLock, u8>>",
            "dashmap::DashMap<u8, u8>",
            "&dashmap::set::DashSet<u8>",
            "scc::hash_map::HashMap<u8, u8>",
        ] {
            assert!(names_lock(name), "{name}");
        }
    }

    #[test]
    fn containers_of_locks_are_read_part_by_part() {
        assert_eq!(LeftOut::of::<Vec<Mutex<u8>>>(), None);
        assert_eq!(LeftOut::of::<HashMap<String, Arc<Mutex<u8>>>>(), None);
        assert_eq!(LeftOut::of::<(Mutex<u8>, u8)>(), None);
        assert_eq!(LeftOut::of::<&[RwLock<u8>]>(), None);
        assert_eq!(LeftOut::of::<Option<Mutex<u8>>>(), None);
    }

    #[test]
    fn other_types_are_read() {
        assert_eq!(LeftOut::of::<MutexGuard<'_, u8>>(), None);
        assert_eq!(LeftOut::of::<Wrapper<String>>(), None);
        assert_eq!(LeftOut::of::<HashMap<String, u8>>(), None);
        assert!(!names_lock("mine::dashmap::Page"));
        assert!(!names_lock("my_scc::Page"));
    }

    #[test]
    fn a_secret_in_a_lock_is_a_secret() {
        assert_eq!(LeftOut::of::<SecretString>(), Some(LeftOut::Secret));
        assert_eq!(LeftOut::of::<Mutex<SecretString>>(), Some(LeftOut::Secret));
    }
}
