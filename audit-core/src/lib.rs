//! Records, context, capture and recorder behind the `audited` crate.
//!
//! Use `audited`; depend on this crate only to write a [`Sink`] of your own. It knows neither SQLite, nor an
//! async runtime, nor a web framework.

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
mod keyed_hash;
mod levels;
mod recorder;
mod refused;
mod scope;
mod scratch;
mod value;

#[doc(hidden)]
pub mod private;

pub use audit::{Audit, AuditBuilder, Collector, Health, Status, append};
pub use call::{
    IntoTarget, Recorded, Returned, execute, execute_async, field, note, reason, target,
};
pub use call_site::CaptureLevel;
pub use capture::{Limits, Mask, Redacted};
pub use change::{Bulk, ChangeOf, SaveInfo, Tracked, change, change_of};
pub use context::{Context, InContext};
pub use events::{layer, subscribe_if_none};
pub use fields::{AuditedFields, Catalogue, FieldInfo, ObjectKey, TypeInfo, catalogue};
pub use history::History;
pub use recorder::{Counters, Overflow};
pub use refused::Refused;
pub use tracing::level_filters::LevelFilter;
