//! Records of changes that happened to objects: saves, deletions, and changes recorded manually.
//!
//! | file | holds |
//! |---|---|
//! | `tracked.rs` | [`Tracked`], an object that records its changes when it is saved |
//! | `bulk.rs` | [`Bulk`], one operation on many tracked objects |
//! | `manual.rs` | [`change`] and [`change_of`], for changes that no save covers |
//! | `info.rs` | [`SaveInfo`]: operator, notes, reason and further fields of one record |
//! | `tracked_state.rs` | what is known about a tracked object, also during a transaction |
//! | `save.rs` | one save or deletion of one object, from its start to its record |
//! | `record.rs` | how a record is made of changes, of a summary, or of a failed attempt |
//!
//! Which fields are audited, and how two states are compared, is in `fields/`.

mod bulk;
mod info;
mod manual;
mod record;
mod save;
mod tracked;
mod tracked_state;

pub use bulk::Bulk;
pub use info::SaveInfo;
pub use manual::{ChangeOf, change, change_of};
pub use tracked::Tracked;
