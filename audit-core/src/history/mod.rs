//! Reading changes back.
//!
//! [`History`], from [`Audit::history`](crate::Audit::history), tells what became of an object: its creation, each
//! change, its [`State`] at any time. A store takes part by a [`ChangeReader`].

mod change;
mod memory;
mod object;
mod state;

pub use audit_record::store::{
    ChangePosition, ChangeQuery, ChangeReader, ChangeRecord, StoredChange,
};
pub use change::{Difference, ObjectChange};
pub(crate) use memory::MemoryReader;
pub(crate) use object::SharedReader;
pub use object::{Changes, History, Page};
pub use state::State;
