//! Records what a call changes in the objects that it is given as `&mut`.
//!
//! If the type of such an object has audited fields, the call takes a snapshot before its body
//! runs. It compares afterwards, and adds the changes to its record. `probe` finds out by type
//! whether an object is watched. `in_flight::nested` keeps nested calls from recording the same
//! change twice.

mod lent;
mod object;
mod probe;

pub use probe::{InFuture, OwnedReturn, lend, unwatched, watch};
