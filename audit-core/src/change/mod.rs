//! Changes of fields: what of an object is on the record, how a change of it is found, and how it gets into
//! a record.
//!
//! [`AuditedFields`] (by its attribute) knows the fields of a type; a [`Tracked`] object remembers them as they
//! are in the store; [`Delta`] gathers what differs; `tell.rs` makes records of it.

mod bulk;
mod by_hand;
mod catalogue;
mod clock;
mod delta;
mod info;
mod kept;
mod key;
mod probe;
mod save;
mod tell;
mod tracked;

use std::borrow::Cow;

pub use bulk::Bulk;
pub use by_hand::{ChangeOf, change, change_of};
pub use catalogue::{Catalogue, Entry, catalogue};
pub(crate) use clock::change_time;
pub use delta::Delta;
pub(crate) use delta::{ITSELF, Rows, Values};
pub use info::{FieldInfo, SaveInfo, TypeInfo};
pub use kept::Kept;
pub use key::{ObjectKey, child_path, target_id};
pub use probe::{debug_field, field, key_part, redacted_field, redacted_with_field, with_field};
pub use tracked::Tracked;

/// A type some of whose fields are on the record; implemented by `#[audited_fields(…)]`, and by nothing else.
///
/// ```
/// use audited::{AuditedFields, audited_fields};
///
/// #[audited_fields(name, age; key = id)]
/// struct Pilot { id: u64, name: String, age: u8, seat: u8 }
///
/// let fields: Vec<&str> = Pilot::TYPE.fields().iter().map(|field| field.name()).collect();
/// assert_eq!((Pilot::TYPE.name(), fields), ("Pilot", vec!["name", "age"]));
/// let pilot = Pilot { id: 340, name: "Kara".into(), age: 25, seat: 1 };
/// assert_eq!(pilot.target_id(), "340");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no audited fields",
    label = "changes of this type are not on the record",
    note = "put `#[audited_fields(field, …; key = id)]` on the struct"
)]
pub trait AuditedFields {
    /// What is known of the type when the program is compiled.
    const TYPE: &'static TypeInfo;

    /// The audited fields of one object, as they were.
    #[doc(hidden)]
    type Snapshot;

    /// The type as it is recorded: its name, below the names of its parents: `Order/Line`.
    #[must_use]
    fn type_path() -> Cow<'static, str> {
        let name = Self::TYPE.name();
        if Self::TYPE.parent().is_none() {
            return name.into();
        }
        Self::type_paths().into_iter().next().map_or(name.into(), Cow::Owned)
    }

    /// [`type_path`](Self::type_path), and what it was under former names, also those of parents.
    #[doc(hidden)]
    #[must_use]
    fn type_paths() -> Vec<String> {
        Self::TYPE.names().map(str::to_owned).collect()
    }

    /// The object's id as it is recorded: its key, below the keys of its parents: `17/3`.
    fn target_id(&self) -> String;

    /// The object's name for people, if the attribute says which field that is.
    fn label(&self) -> Option<String> {
        None
    }

    #[doc(hidden)]
    fn snapshot(&self) -> Self::Snapshot;

    /// Gives `delta` the fields that differ from `before`.
    #[doc(hidden)]
    fn compare(&self, before: &Self::Snapshot, delta: &mut Delta<'_>);

    /// Gives `delta` every field: as it was if there is a `before`, else as it is.
    #[doc(hidden)]
    fn describe(&self, before: Option<&Self::Snapshot>, delta: &mut Delta<'_>);

    /// Brings `before` up to date, touching only what differs.
    #[doc(hidden)]
    fn refresh(&self, before: &mut Self::Snapshot);
}
