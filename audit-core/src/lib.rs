//! Records, context, capture and recorder behind the `audited` crate.
//!
//! Use `audited`; depend on this crate only to write a [`Sink`] of your own. It knows neither SQLite, nor an
//! async runtime, nor a web framework.

pub mod capture;
pub mod history;
pub mod session;
pub mod testing;

mod call;
mod change;
mod clock;
mod context;
mod de;
mod durability;
mod error;
mod id;
mod json;
mod layer;
mod read;
mod record;
mod recorder;
mod refused;
mod scope;
mod scratch;
mod sink;
mod site;
mod subscriber;
mod value;

#[doc(hidden)]
pub mod private;

pub use call::IntoTarget;
pub use call::direct::{execute, execute_async};
pub use call::now::{field, note, reason, target};
pub use call::returned::{Recorded, Returned};
pub use capture::{Limits, Mask, Redacted};
pub use change::{
    AuditedFields, Bulk, Catalogue, ChangeOf, FieldInfo, ObjectKey, SaveInfo, Tracked, TypeInfo,
    catalogue, change, change_of,
};
pub use context::{Context, InContext};
pub use durability::Durability;
pub use error::Error;
pub use history::History;
pub use json::Json;
pub use layer::{layer, subscribe_if_none};
pub use record::{
    ChangeKind, CorrelationId, ErrorInfo, FieldChange, Kind, LogEntry, Note, Outcome, Record,
    Truncation, UnknownName,
};
pub use recorder::{Audit, AuditBuilder, Collector, Counters, Health, Overflow, Status, append};
pub use refused::Refused;
pub use sink::{Batch, Session, Sink, Tally};
pub use site::CaptureLevel;
pub use tracing::level_filters::LevelFilter;
