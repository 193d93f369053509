//! The handle of a running recorder, and how one is built.

mod append;
mod builder;
mod collector;
mod handle;
mod health;

pub use append::append;
pub use builder::AuditBuilder;
pub(crate) use builder::memory_recorder;
pub use collector::Collector;
pub use handle::Audit;
pub use health::{Health, Status};
