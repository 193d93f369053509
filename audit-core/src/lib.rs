//! Records, context, capture and recorder behind the `audited` crate.
pub mod error;
pub mod id;
pub mod json;
pub mod record;
pub mod sink;
pub use error::Error;
pub use json::Json;
pub use record::*;
pub use sink::Sink;
/// tmp
pub fn note() {}
/// tmp
pub fn execute() {}
