//! One change of an object, and what differs between two of its states.

use std::fmt;
use std::sync::Arc;

use audit_record::store::ChangeRecord;
use audit_record::{ChangeKind, FieldChange, Json, Outcome};
use chrono::{DateTime, Utc};

/// What happened to one object at one time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ObjectChange {
    /// The object's type.
    pub target_type: String,
    /// The object's id.
    pub target_id: String,
    /// What happened to it.
    pub change: ChangeKind,
    /// When it took effect.
    pub changed_at: DateTime<Utc>,
    /// The fields concerned, under their names of today.
    pub fields: Vec<FieldChange>,
    /// The record that tells of it: who, by which action, why.
    pub record: Arc<ChangeRecord>,
}

/// A field that has two values at two times.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// The field, or the path to the value inside it.
    pub field: String,
    /// The value at the first time; `None` if there was none, or none is known.
    pub before: Option<Json>,
    /// The value at the second time; `None` if there was none, or none is known.
    pub after: Option<Json>,
    /// Whether the record does not say for certain what the field was at one of the times; see
    /// [`State::uncertain`].
    pub is_uncertain: bool,
}

impl fmt::Display for ObjectChange {
    /// On one line: `Pilot 340 changed: age 25 → 26`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.target_type, self.target_id, self.change)?;
        if self.record.outcome != Outcome::Success {
            write!(f, " in a call that ended in {}", self.record.outcome)?;
        }
        f.write_str(":")?;
        for (n, field) in self.fields.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            match (&field.before, &field.after) {
                (Some(before), Some(after)) => {
                    write!(f, "{comma} {} {before} → {after}", field.field)?;
                }
                (None, Some(after)) if self.change == ChangeKind::Created => {
                    write!(f, "{comma} {} = {after}", field.field)?;
                }
                (Some(before), None) if self.change == ChangeKind::Deleted => {
                    write!(f, "{comma} {} = {before}", field.field)?;
                }
                (None, Some(after)) => write!(f, "{comma} {} + {after}", field.field)?,
                (Some(before), None) => write!(f, "{comma} {} − {before}", field.field)?,
                (None, None) => write!(f, "{comma} {}", field.field)?,
            }
        }
        Ok(())
    }
}
