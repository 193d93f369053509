//! Reading changes back.
//!
//! [`History`], from [`Audit::history`](crate::Audit::history), tells what became of an object: its creation, each
//! change, its [`State`] at any time. A store takes part by a [`ChangeReader`].

mod memory;
mod object;
mod state;
mod store;

pub(crate) use memory::MemoryReader;
pub(crate) use object::SharedReader;
pub use object::{Changes, Difference, History, ObjectChange, Page};
pub use state::State;
pub use store::{ChangePosition, ChangeQuery, ChangeReader, ChangeRecord, StoredChange};
