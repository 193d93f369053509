//! The contract of the `audited` crates: what a [`Record`] is, how it is written as text, and what a
//! store implements.
//!
//! Use `audited`. Depend on this crate alone to write a [`store::Sink`] or a program that reads
//! records: it builds no tracing subscriber, no queue and no database.

pub mod process;
pub mod store;

mod attempt;
mod columns;
mod durability;
mod error;
mod gap;
mod id;
mod json;
mod path;
mod record;
mod size;
mod text;

pub use durability::Durability;
pub use error::Error;
pub use gap::{Gap, GapBasis};
pub use json::Json;
pub use record::{
    ChangeKind, CorrelationId, ErrorInfo, FieldChange, Kind, LogEntry, Note, Outcome, Record,
    Truncation, UnknownName,
};

/// What the other crates of this project share. It changes with any release.
#[doc(hidden)]
pub mod private {
    pub use crate::attempt::{Tried, write_attempted};
    pub use crate::id::record_id;

    pub mod path {
        //! Paths of values inside a field.

        pub use crate::path::*;
    }

    pub mod text {
        //! The canonical text of a record and its parts.

        pub use crate::text::*;
    }

    pub mod size {
        //! What records take in memory.

        pub use crate::size::*;
    }

    pub mod json {
        //! Reading and writing JSON text.

        pub use crate::json::read::*;
        pub use crate::json::write::*;
    }
}
