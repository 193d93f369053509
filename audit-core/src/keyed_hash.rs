//! [`keyed_hash`]: shows whether a hidden value has changed, without keeping the value.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::LazyLock;

/// A hash of `value`. Its key is random in each process, so the value cannot be guessed from a
/// stored hash.
pub(crate) fn keyed_hash<T: Hash + ?Sized>(value: &T) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one(value)
}
