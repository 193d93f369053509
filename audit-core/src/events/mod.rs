//! Captures the tracing events of a call into its record.
//!
//! A program that has its own subscriber adds [`layer()`] to it. Otherwise `audited::init` sets a
//! subscriber of our own, which creates no spans and is faster.

mod attach;
mod call_span;
mod filter;
mod layer;
mod subscriber;
mod write;

pub use attach::subscribe_if_none;
pub(crate) use attach::{set_own_subscriber, span, warn_if_missing};
pub use layer::layer;
