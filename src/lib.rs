#![doc = include_str!("crate.md")]

pub use audit_core::{
    Audit, AuditBuilder, CaptureLevel, ChangeKind, Context, CorrelationId, Counters, Error,
    ErrorInfo, FieldChange, InContext, IntoTarget, Json, Kind, LevelFilter, Limits, LogEntry, Mask,
    Note, Outcome, Overflow, Record, Recorded, Redacted, Returned, Sink, Truncation, execute,
    execute_async, field, layer, note, reason, target, testing,
};
#[doc = include_str!("audit_method.md")]
pub use audit_macros::audit_method;
#[cfg(feature = "sqlite")]
pub use audit_sqlite::{SqliteStore, SqliteStoreBuilder};

mod macros;
#[cfg(feature = "sqlite")]
mod start;

#[cfg(feature = "sqlite")]
pub use start::init;

#[doc(hidden)]
pub use audit_core::private as __private;

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
