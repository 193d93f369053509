//! Reading changes back.
//!
//! [`History`], from [`Audit::history`](crate::Audit::history), returns what happened to an object:
//! its creation, each change, its deletion, and its [`State`] at any time. It reads from a store
//! through the store's [`ChangeReader`](audit_record::store::ChangeReader). [`HistoryReader`] does the
//! same without a recorder.
//!
//! | type | is |
//! |---|---|
//! | [`HistoryReader`] | histories of a file that no recorder has open |
//! | [`History`] | the changes of one object, or of all objects of a type |
//! | [`Changes`] | an iterator over them |
//! | [`Page`] | some of them, and the position of the next page |
//! | [`ObjectChange`] | what happened to one object at one time |
//! | [`State`] | the fields of an object at one time |
//! | [`Difference`] | a field with different values at two times |
//! | [`ChangeReader`](audit_record::store::ChangeReader), [`ChangeQuery`](audit_record::store::ChangeQuery), [`StoredChange`](audit_record::store::StoredChange) | the interface to a store |

mod change;
mod changes;
mod memory;
mod object;
mod reader;
mod selection;
mod state;

pub use change::{Difference, ObjectChange};
pub use changes::{Changes, Page};
pub(crate) use memory::MemoryReader;
pub use object::History;
pub use reader::HistoryReader;
pub(crate) use selection::SharedReader;
pub use state::State;
