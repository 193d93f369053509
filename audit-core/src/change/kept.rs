//! [`Kept`]: the value of one field as it was.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::OnceLock;

use crate::value::Tree;

/// The value of a field as it was when the object was loaded or saved.
pub struct Kept<F>(pub(super) Was<F>);

pub(super) enum Was<F> {
    /// The value itself, to be compared by its own `==`.
    Value(F),
    /// What is recorded of it, where the type has no `==` or can't be cloned.
    Tree(Tree),
    /// A keyed hash of it, where it must not be kept.
    Hash(u64),
}

/// Stands for a value that must not be kept; the key is drawn anew by each process.
pub(super) fn keyed_hash<T: Hash + ?Sized>(value: &T) -> u64 {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    KEY.get_or_init(RandomState::new).hash_one(value)
}
