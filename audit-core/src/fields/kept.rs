//! [`Kept`]: the value of one field as it was.

use crate::value::Tree;

/// The value of a field as it was when the object was loaded or saved.
pub struct Kept<F>(pub(crate) Was<F>);

pub(crate) enum Was<F> {
    /// The value itself, to be compared by its own `==`.
    Value(F),
    /// What is recorded of it, where the type has no `==` or can't be cloned.
    Tree(Tree),
    /// A keyed hash of it, where it must not be kept.
    Hash(u64),
}
