//! [`Tree`]: values as they are recorded, with enough of their types to be compared.
//!
//! A tree is made of any `Serialize` in one pass, by the same policy as a capture
//! ([`crate::capture`]), and is written the same, with one exception: where a capture writes `null`
//! for `Some(None)`, `Some(())` and the like, a tree writes `"[Some(null)]"`, because a change from
//! `None` must be visible. Only parts that are too deep are cut, because cut values cannot be
//! compared. [`diff()`] finds the edits between two trees, and [`apply()`] applies
//! recorded edits to a state.

mod align;
mod apply;
mod compound_builder;
mod convert;
mod decimal;
mod diff;
mod equality;
mod parse;
mod parts;
mod serialize;
mod tree;
mod tree_serializer;

#[cfg(test)]
mod tests;

pub(crate) use self::apply::apply;
pub(crate) use self::diff::diff;
pub use self::parts::RecordedParts;
pub(crate) use self::tree::Tree;
