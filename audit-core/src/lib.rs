//! Gathers audit records: capture, context, calls, events and field changes, up to the writer
//! thread.
//!
//! Applications use the crate `audited`, which re-exports everything from here. This crate names no
//! database, no async runtime and no web framework. Stores implement the traits of `audit-record`.

pub mod capture;
pub mod history;
pub mod testing;

mod audit;
mod busy;
mod call;
mod call_site;
mod change;
mod clock;
mod context;
mod current;
mod events;
mod fields;
mod in_flight;
mod levels;
mod recorder;
mod refused;
mod scope;
mod scratch;
mod spare;
mod value;

#[doc(hidden)]
pub mod private;

pub use audit::{Audit, AuditBuilder, Collector, Health, Status, append};
pub use call::{
    IntoOutcome, IntoTarget, Recorded, Returned, declare_outcome as outcome, execute,
    execute_async, field, note, reason, target,
};
pub use call_site::CaptureLevel;
pub use capture::{Limits, Mask, Redacted};
pub use change::{Bulk, ChangeOf, SaveInfo, Tracked, change, change_of};
pub use context::{Context, ContextValues, InContext};
pub use events::{layer, subscribe_if_none};
pub use fields::{
    AuditedFields, Catalogue, CompareParts, FieldInfo, ObjectKey, TypeInfo, catalogue,
};
pub use history::History;
pub use recorder::{Counters, Overflow};
pub use refused::Refused;
pub use tracing::level_filters::LevelFilter;
