//! The SQL of the schema, and the numbers that stand for names in it.

use audit_core::{ChangeKind, Kind, Outcome};

/// Marks a database as an audit trail: `PRAGMA application_id`, the letters `AUDT`.
///
/// ```
/// assert_eq!(audit_sqlite::APPLICATION_ID.to_be_bytes(), *b"AUDT");
/// ```
pub const APPLICATION_ID: i32 = 0x4155_4454;

/// The version of the schema that this crate writes: `PRAGMA user_version`.
///
/// An older trail is brought up to it when it is opened; a newer one is refused.
///
/// ```
/// assert_eq!(audit_sqlite::SCHEMA_VERSION, 1);
/// ```
pub const SCHEMA_VERSION: i32 = STEPS.len() as i32;

/// `STEPS[n]` leads from version `n` to version `n + 1`.
///
/// A step that has been released is never edited: files in the field were made by it.
pub(crate) const STEPS: &[&str] = &[include_str!("schema/v1.sql")];

/// The number stored for a kind; the view `audit_log` turns it back. Never renumber.
///
/// `None` for a kind that this schema has no number for.
pub(crate) fn kind_number(kind: Kind) -> Option<i64> {
    Some(match kind {
        Kind::Call => 0,
        Kind::Change => 1,
        Kind::Event => 2,
        Kind::Request => 3,
        Kind::External => 4,
        Kind::Login => 5,
        Kind::Export => 6,
        Kind::System => 7,
        Kind::Note => 8,
        Kind::Gap => 9,
        _ => return None,
    })
}

/// The number stored for an outcome; the index `record_by_outcome` relies on success being 0.
pub(crate) fn outcome_number(outcome: Outcome) -> Option<i64> {
    Some(match outcome {
        Outcome::Success => 0,
        Outcome::Failure => 1,
        Outcome::Panic => 2,
        Outcome::Cancelled => 3,
        Outcome::Unknown => 4,
        _ => return None,
    })
}

/// The number stored for what happened to an object; the commonest is 0, which takes no byte.
pub(crate) fn change_number(change: ChangeKind) -> Option<i64> {
    Some(match change {
        ChangeKind::Changed => 0,
        ChangeKind::Created => 1,
        ChangeKind::Deleted => 2,
        _ => return None,
    })
}
