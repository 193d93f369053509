//! Stands for a value that must not be kept.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::LazyLock;

/// Stands for a value that must not be kept; the key is drawn anew by each process.
pub(crate) fn keyed_hash<T: Hash + ?Sized>(value: &T) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one(value)
}
