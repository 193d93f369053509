//! The SQLite store of the `audited` crate.
//!
//! [`SqliteStore`] writes [records](audit_core::Record) to a file that any SQLite tool can read,
//! by two views that stay as they are:
//!
//! - `audit_log`, one row a record: `seq, id, kind, started_at, duration_us, action, method,
//!   outcome, actor, on_behalf_of, ip, site, service, target_type, target_id, target_label,
//!   correlation_id, parent_id, input, output, log, error, traceback, reason, notes, context,
//!   truncated`;
//! - `audit_changes`, one row a changed field: `record_id, started_at, action, actor, target_type,
//!   target_id, change, field, before, after, changed_at`. The last says when the change took effect; for
//!   what version 1 of the schema has recorded, which did not keep it, it is `started_at`.
//!
//! Times are RFC 3339 in UTC with six digits of a second, so they sort as text (years 0 to 9999;
//! NULL beyond). Ids are UUIDs as lower-case text. `input`, `output`, `log`, `error`, `notes`,
//! `context`, `truncated`, `before` and `after` are JSON, for SQLite's `->>`. What a record does
//! not say is NULL. `seq` counts 1, 2, 3 … without gaps, in the order of storing. Neither view
//! promises an order: say `ORDER BY seq`.
//!
//! ```sh
//! sqlite3 audit.db "SELECT started_at, actor, action, input ->> 'amount' FROM audit_log
//!                   WHERE outcome <> 'success' ORDER BY seq DESC LIMIT 20"
//! ```
//!
//! Comparing `actor`, `action`, `target_type` with `target_id`, or `seq` with a value uses an index;
//! other columns are searched record by record.
//!
//! The tables behind the views are private. Triggers refuse UPDATE, DELETE and REPLACE on them.
//! That stops mistakes, not an owner of the file, who can drop a trigger.
//!
//! # The file
//!
//! On Unix, a file that the store creates can be read and written by its owner only (mode 0600),
//! and so can the `-wal` and `-shm` files beside it. A file that exists keeps its mode. The
//! three belong together: copy them together, or copy by `sqlite3 audit.db ".backup copy.db"`.
//! Do not put the file on a network file system.
//!
//! A commit survives the end of the process at any moment (`synchronous = NORMAL`); the last ones
//! before a loss of power may be missing. In a database of another program that keeps a rollback journal,
//! none is (`synchronous = FULL`).
//!
//! # In your own database
//!
//! By [`shared(true)`](SqliteStoreBuilder::shared), the trail stands among the tables of another program: yours,
//! so that [`record_in`] can write records into your own transaction, to commit or roll back together with what
//! they tell of. This is the one place where types of `rusqlite` are part of a public interface. Only one crate
//! of a program may link SQLite, so yours is the same one.
//!
//! # Features
//!
//! `bundled` (on by default) builds SQLite from source. Without it, the system's library is
//! linked, which must be 3.51.3 or later, but not 3.52.0: others can damage a file that several
//! connections write to, and are refused when a trail is opened.

mod builder;
mod dictionary;
mod encode;
mod error;
mod file;
mod migrate;
mod read;
mod savepoint;
mod schema;
mod scope;
mod store;
mod transaction;
mod write;

pub use builder::SqliteStoreBuilder;
pub use schema::{APPLICATION_ID, SCHEMA_VERSION};
pub use scope::transaction;
pub use store::SqliteStore;
pub use transaction::{InTransaction, record_in};
