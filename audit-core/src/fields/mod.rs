//! The audited fields of a type, and how a change of one is found.
//!
//! `#[audited_fields]` implements [`AuditedFields`]. Its methods pass each field to a probe
//! (`by_parts.rs`, `probe.rs`), which takes snapshots and compares. The result goes to a
//! [`FieldVisitor`], which makes [`ChangedFields`] of it. Recording them is the task of `change/`
//! and `call/watch/`. [`CompareParts`] compares the parts of a field by their own `==`.

mod audited;
mod by_parts;
mod catalogue;
mod changed;
mod compare_parts;
mod info;
mod key;
mod lock_probe;
mod part;
mod probe;
mod visitor;

pub use audited::{AuditedFields, TargetObject};
pub(crate) use audited::{ObjectAddress, changed_fields, described_fields, field_values};
pub use catalogue::{Catalogue, CatalogueEntry, catalogue};
pub(crate) use changed::{ChangedField, ChangedFields, NO_FIELD, change_time, redaction_mark};
pub use compare_parts::CompareParts;
pub use info::{FieldInfo, TypeInfo};
pub(crate) use key::is_assigned;
pub(crate) use key::part as key_text;
pub use key::{ObjectKey, child_path, key_part, target_id};
pub use lock_probe::field;
pub use part::{compare_set, part};
pub use probe::{FieldSnapshot, debug_field, redacted_field, redacted_with_field, with_field};
pub use visitor::FieldVisitor;
pub(crate) use visitor::{FieldValues, compare_values};
