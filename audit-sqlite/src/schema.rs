//! The SQL of the schema, its version, and the numbers that stand for names in it.

use audit_record::{ChangeKind, Kind, Outcome};

/// Marks a database as an audit trail: `PRAGMA application_id`, the letters `AUDT`.
///
/// ```
/// assert_eq!(audit_sqlite::APPLICATION_ID.to_be_bytes(), *b"AUDT");
/// ```
pub const APPLICATION_ID: i32 = 0x4155_4454;

/// The version of the schema that this crate writes: `PRAGMA user_version`, or, in the database of
/// another program, the column `version` of the table `audit_schema`.
///
/// A trail with an older schema is migrated when it is opened; a newer one is refused.
///
/// ```
/// assert_eq!(audit_sqlite::SCHEMA_VERSION, 5);
/// ```
pub const SCHEMA_VERSION: i32 = FIRST_VERSION + STEPS.len() as i32;

/// The version that the first of [`STEPS`] starts from.
const FIRST_VERSION: i32 = 1;

/// The first version that supports the database of another program.
pub(crate) const FIRST_SHARED_VERSION: i32 = 2;

/// The first version whose changes can be read without a migration.
pub(crate) const FIRST_READABLE_VERSION: i32 = 2;

/// Creates a trail of the newest version in a database that has none.
pub(crate) const NEW: &[&str] = &[include_str!("schema/v2_tables.sql"), V2, V3, V4, V5];

/// Migrates from `version` to the next one.
///
/// The statements of a released step must never be edited, because existing files were made with
/// it.
pub(crate) fn step_from(version: i32) -> &'static [&'static str] {
    STEPS[(version - FIRST_VERSION) as usize]
}

const STEPS: &[&[&str]] = &[&[include_str!("schema/v1_to_v2.sql"), V2], &[V3], &[V4], &[V5]];
const V2: &str = include_str!("schema/v2.sql");
const V3: &str = include_str!("schema/v3.sql");
const V4: &str = include_str!("schema/v4.sql");
const V5: &str = include_str!("schema/v5.sql");

/// The tables and views of version 2.
pub(crate) const NAMES_V2: &[&str] = &[
    "audit_schema",
    "audit_name",
    "audit_record",
    "audit_field_change",
    "audit_log",
    "audit_changes",
];
/// The tables and views that version 3 has added.
pub(crate) const NAMES_V3: &[&str] =
    &["audit_session", "audit_intent", "audit_sessions", "audit_intents"];

/// The numbers of `audit_session.state`, which the view `audit_sessions` shows as text. An open
/// session has 0.
pub(crate) mod session_state {
    pub(crate) const CLOSED: i64 = 1;
    pub(crate) const DIED: i64 = 2;
}

/// Version 1 as it was released. Files with it may exist.
#[cfg(test)]
pub(crate) const V1: &str = include_str!("schema/v1.sql");

/// The number stored for a kind, which the view `audit_log` shows as text. Never renumber.
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

/// The number stored for an outcome. The index `audit_record_by_outcome` relies on success being 0,
/// and the records of dead sessions on unknown being 4.
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

/// The number stored for the kind of a change. The most frequent one is 0, which takes no byte. The
/// index `audit_field_change_deleted` relies on deleted being 2.
pub(crate) fn change_number(change: ChangeKind) -> Option<i64> {
    Some(match change {
        ChangeKind::Changed => 0,
        ChangeKind::Created => 1,
        ChangeKind::Deleted => 2,
        _ => return None,
    })
}

/// The outcome that `number` stands for.
pub(crate) fn outcome_of(number: i64) -> Option<Outcome> {
    Outcome::ALL.iter().copied().find(|&outcome| outcome_number(outcome) == Some(number))
}

/// The kind that `number` stands for.
pub(crate) fn kind_of(number: i64) -> Option<Kind> {
    Kind::ALL.iter().copied().find(|&kind| kind_number(kind) == Some(number))
}

/// The kind of change that `number` stands for.
pub(crate) fn change_of(number: i64) -> Option<ChangeKind> {
    ChangeKind::ALL.iter().copied().find(|&change| change_number(change) == Some(number))
}
