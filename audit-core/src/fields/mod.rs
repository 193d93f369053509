//! Which fields of a type are audited, and how a change of one is found.

mod audited;
mod catalogue;
mod clock;
mod compare;
mod delta;
mod info;
mod kept;
mod key;
mod probe;

pub use audited::AuditedFields;
pub use catalogue::{Catalogue, Entry, catalogue};
pub(crate) use clock::change_time;
pub(crate) use compare::{compared, difference, values};
pub use delta::Delta;
pub(crate) use delta::{ITSELF, RowParts, Rows, Values, redacted};
pub use info::{FieldInfo, TypeInfo};
pub use kept::Kept;
pub(crate) use key::part as key_text;
pub use key::{ObjectKey, child_path, target_id};
pub use probe::{debug_field, field, key_part, redacted_field, redacted_with_field, with_field};
