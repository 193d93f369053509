//! The public side of a recorder: [`AuditBuilder`] builds one, [`Audit`] is its handle, and
//! [`Health`] tells whether records reach the store. [`Collector`] and [`append`] are other ways to
//! get records out of, or into, the recorder that applies.

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
