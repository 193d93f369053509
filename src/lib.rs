#![doc = include_str!("crate.md")]

pub use audit_core::{
    Audit, AuditBuilder, AuditedFields, Batch, Bulk, CaptureLevel, Catalogue, ChangeKind, ChangeOf,
    Collector, Context, CorrelationId, Counters, Durability, Error, ErrorInfo, FieldChange,
    FieldInfo, Health, History, InContext, IntoTarget, Json, Kind, LevelFilter, Limits, LogEntry,
    Mask, Note, ObjectKey, Outcome, Overflow, Record, Recorded, Redacted, Refused, Returned,
    SaveInfo, Session, Sink, Status, Tally, Tracked, Truncation, TypeInfo, append, catalogue,
    change, change_of, execute, execute_async, field, history, layer, note, reason, target,
    testing,
};
#[doc = include_str!("audit_method.md")]
pub use audit_macros::audit_method;
#[doc = include_str!("audited_fields.md")]
pub use audit_macros::audited_fields;
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
