//! The public side of a recorder: [`AuditBuilder`] builds one, [`Audit`] is its handle, and
//! [`Health`] says whether records reach the store. [`Collector`] returns the records of a scope
//! instead of storing them. [`append`] passes a record that the program made itself to the current
//! recorder.

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
