//! [`ObjectChange`], what happened to an object at one time, and [`Difference`], between two of its
//! states.

use std::fmt;
use std::sync::Arc;

use audit_record::store::ChangeRecord;
use audit_record::{ChangeKind, FieldChange, Json, Outcome};
use chrono::{DateTime, Utc};

/// What happened to one object at one time.
///
/// Its `Display` is one line, such as `Pilot 340 changed: age 25 → 26`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ObjectChange {
    /// The type of the object, as it was recorded.
    pub target_type: String,
    /// The id of the object.
    pub target_id: String,
    /// What happened to the object.
    pub change: ChangeKind,
    /// When the change took effect.
    pub changed_at: DateTime<Utc>,
    /// The changed fields, under their current names.
    pub fields: Vec<FieldChange>,
    /// The record of the change: the actor, the action, the reason.
    pub record: Arc<ChangeRecord>,
}

/// A field with different values at two times; from [`History::diff`](crate::History::diff).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// The field, or the path of a value inside it.
    pub field: String,
    /// The value at the first time. `None` if it did not exist or is unknown.
    pub before: Option<Json>,
    /// The value at the second time. `None` if it did not exist or is unknown.
    pub after: Option<Json>,
    /// Whether the value at one of the times is uncertain; see
    /// [`State::uncertain`](crate::history::State::uncertain).
    pub is_uncertain: bool,
}

impl fmt::Display for ObjectChange {
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
