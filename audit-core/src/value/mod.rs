//! Values as they are recorded, typed enough to be compared: [`Tree`].
//!
//! Made from any `Serialize` in one pass, as a capture is ([`crate::capture`]), and written the same; only
//! nothing is cut but what is too deep, for what is cut can't be compared. Then two states of a value can be
//! told apart by their places ([`diff`]), and what was told can be done again ([`apply`]).

mod align;
mod apply;
mod build;
mod decimal;
mod diff;
mod gather;
mod hint;
mod make;
mod parse;
mod same;
mod tree;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use self::apply::apply;
pub(crate) use self::diff::diff;
pub(crate) use self::tree::Tree;
