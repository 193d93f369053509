//! The contract of the `audited` crates: the [`Record`], its canonical text, and the traits that a
//! store implements.
//!
//! Programs that record use the crate `audited`. Depend on this crate alone to write a
//! [store](store::Store), or a program that reads records: it builds no tracing subscriber, no
//! queue and no database.
//!
//! ```
//! use std::io::Write as _;
//!
//! use audit_record::store::Store;
//! use audit_record::{Error, Record};
//!
//! /// Writes each record as one line of JSON.
//! struct JsonLines(std::fs::File);
//!
//! impl Store for JsonLines {
//!     fn write(&mut self, records: &[Record]) -> Result<(), Error> {
//!         let lines: String =
//!             records.iter().map(|record| format!("{}\n", record.to_json())).collect();
//!         let length = self.0.metadata().map_err(unwritable)?.len();
//!         // Not buffered: what is written here must survive the end of the process.
//!         self.0.write_all(lines.as_bytes()).map_err(|error| {
//!             // After a transient error, the recorder offers the batch again, so nothing of it may
//!             // stay in the file.
//!             match self.0.set_len(length) {
//!                 Ok(()) => unwritable(error),
//!                 Err(error) => Error::permanent("the file has a torn line").with_source(error),
//!             }
//!         })
//!     }
//! }
//!
//! fn unwritable(error: std::io::Error) -> Error {
//!     Error::transient("cannot write the JSON lines").with_source(error)
//! }
//! # fn is_store(_: impl Store) {}
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("audit.jsonl");
//! # let file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
//! # is_store(JsonLines(file));
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod process;
pub mod store;

mod attempt;
mod columns;
mod durability;
mod error;
mod gap;
mod id;
mod json;
mod name;
mod parts;
mod path;
mod record;
mod size;
mod text;

pub use durability::Durability;
pub use error::Error;
pub use gap::{Gap, GapBasis};
pub use json::Json;
pub use name::UnknownName;
pub use parts::{
    ChangeKind, CorrelationId, ErrorInfo, FieldChange, Kind, LogEntry, Note, Outcome, Truncation,
};
pub use record::Record;

/// Used by the other crates of this project. It may change with any release.
#[doc(hidden)]
pub mod private {
    pub use crate::attempt::{AttemptedField, write_attempted};
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
        //! How much memory records take.

        pub use crate::record::size_of_record;
        pub use crate::size::*;
    }

    pub mod json {
        //! Reading and writing JSON text.

        pub use crate::json::read::*;
        pub use crate::json::scan::{JsonError, check, is_number, string_end};
        pub use crate::json::serialize::*;
        pub use crate::json::write::*;
    }
}
