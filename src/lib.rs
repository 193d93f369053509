#![doc = include_str!("crate.md")]

pub use audit_core::{
    Audit, AuditBuilder, AuditedFields, Bulk, CaptureLevel, Catalogue, ChangeOf, Collector,
    Context, Counters, FieldInfo, Health, History, InContext, IntoTarget, LevelFilter, Limits,
    Mask, ObjectKey, Overflow, Recorded, Redacted, Refused, Returned, SaveInfo, Status, Tracked,
    TypeInfo, append, catalogue, change, change_of, execute, execute_async, field, history, layer,
    note, reason, target, testing,
};
#[doc = include_str!("audit_method.md")]
pub use audit_macros::audit_method;
#[doc = include_str!("audited_fields.md")]
pub use audit_macros::audited_fields;
pub use audit_record::store::{Batch, Session, Sink, Tally};
pub use audit_record::{
    ChangeKind, CorrelationId, Durability, Error, ErrorInfo, FieldChange, Json, Kind, LogEntry,
    Note, Outcome, Record, Truncation,
};
#[cfg(feature = "sqlite")]
pub use audit_sqlite::{InTransaction, SqliteStore, SqliteStoreBuilder, record_in, transaction};

mod macros;
#[doc = include_str!("unseen_changes.md")]
pub mod unseen_changes {}
#[doc = include_str!("what_survives.md")]
pub mod what_survives {}
#[cfg(feature = "sqlite")]
mod start;

#[cfg(feature = "sqlite")]
pub use start::init;

/// What the expansion of the attributes names.
#[doc(hidden)]
pub mod __private {
    pub use audit_core::private::*;
    pub use audit_macros::AuditedFields;
}

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
