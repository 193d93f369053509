//! Puts the tracing events of a call into its record.

mod attach;
mod filter;
mod layer;
mod names;
mod subscriber;
mod thread_end;
mod write;

pub use attach::subscribe_if_none;
pub(crate) use attach::{dispatch_if_missing, span, warn_if_missing};
pub use layer::layer;
