//! Changes of fields: what of an object is on the record, how a change of it is found, and how it gets into
//! a record.
//!
//! [`AuditedFields`] (by its attribute) knows the fields of a type; a [`Tracked`] object remembers them as they
//! are in the store; [`Delta`] gathers what differs; `tell.rs` makes records of it.

mod bulk;
mod by_hand;
mod info;
mod save;
mod tell;
mod tracked;

pub use bulk::Bulk;
pub use by_hand::{ChangeOf, change, change_of};
pub use info::SaveInfo;
pub use tracked::Tracked;
