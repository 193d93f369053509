//! The SQLite store of the `audited` crate.
//!
//! [`SqliteStore`] writes [records](audit_record::Record) to a file that any SQLite tool can read,
//! by views that stay as they are:
//!
//! - `audit_log`, one row a record: `seq, id, kind, started_at, duration_us, action, method,
//!   outcome, actor, on_behalf_of, ip, site, service, target_type, target_id, target_label,
//!   correlation_id, parent_id, input, output, log, error, traceback, reason, notes, context,
//!   truncated`;
//! - `audit_changes`, one row a changed field: `record_id, started_at, action, actor, target_type,
//!   target_id, change, field, before, after, changed_at`. The last says when the change took effect; for
//!   what version 1 of the schema has recorded, which did not keep it, it is `started_at`;
//! - `audit_sessions`, one row for each time that a recorder was at work: `id, service, host, pid, started_at,
//!   latest_stored_at, state, ended_at`. The state is `open`, `closed` or `died`; that one has died is found when the
//!   next one begins, which is what its `ended_at` says;
//! - `audit_intents`, one row a call under way that was announced before its body ran
//!   (`on_audit_failure = "refuse"`): `id, kind, started_at, action, method, actor, on_behalf_of, ip, site, service,
//!   target_type, target_id, target_label, correlation_id, parent_id, input, reason, notes, context, truncated,
//!   session_id`. Its record, which has the same id, takes its place.
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
//! Comparing `actor`, `action`, `target_type` with `target_id`, or `seq` with a value uses an index. Other columns are
//! searched record by record, `id`, `correlation_id`, `parent_id` and `started_at` among them, which the view puts
//! together: with ten million records, that takes 20 seconds where it finds nothing to stop at. `seq` narrows it:
//! `AND seq > (SELECT max(seq) FROM audit_log) - 100000`.
//!
//! By an index, all that match are read before the newest of them are known: seconds, where a hundred thousand records
//! have one action. For the newest few of many, tell SQLite to go without, by a plus sign:
//!
//! ```sh
//! sqlite3 audit.db "SELECT * FROM audit_log WHERE +action = 'transfer funds' ORDER BY seq DESC LIMIT 50"
//! ```
//!
//! The tables behind the views are private. Triggers refuse UPDATE, DELETE and REPLACE on them, but for what a session
//! adds to its own row, and for an intent whose record is there.
//! That stops mistakes, not an owner of the file, who can drop a trigger.
//!
//! # The file
//!
//! On Unix, a file that the store creates can be read and written by its owner only (mode 0600),
//! and so can the `-wal`, `-shm` and `-session-…` files beside it. A file that exists keeps its mode. The
//! first three belong together: copy them together, or copy by `sqlite3 audit.db ".backup copy.db"`.
//!
//! A path that leads through symbolic links is resolved first, so that two names never have two `-wal` files.
//! Refused are a link to nothing, a file with a second name (hard link), a pipe, a device, and, on Linux, network and
//! cluster file systems (NFS, SMB, AFS, 9P, Ceph, Lustre, GFS2, OCFS2 and others). Where such a one is but the way to a
//! local folder, as in gVisor and WSL, [`network_file_system(true)`](SqliteStoreBuilder::network_file_system) lets it
//! pass. FUSE is let pass, for most of what
//! it is used for is local; do not put a trail on one that is not, such as sshfs.
//!
//! # What a commit survives
//!
//! A commit survives the end of the process at any moment (`synchronous = NORMAL`); the last ones
//! before a loss of power may be missing. A batch for [`Durability::Power`](audit_core::Durability::Power) is
//! committed with `synchronous = FULL`: when it is acknowledged, the disk has said that it holds the `-wal` file, with
//! this batch and all before it. In a database of another program that keeps a rollback journal, these two are `FULL`
//! and `EXTRA`. The store moves the log into the database itself, from 4,000 pages on (16 MiB), because SQLite would keep quiet
//! about an error of that. Another program that writes to the file with `synchronous = OFF` takes the promise away.
//!
//! # When a recorder dies
//!
//! A recorder that begins ([`Sink::begin`](audit_core::Sink::begin)) closes what those before it have left open, if
//! their process is gone: their intents become records with outcome `unknown`, and where records of theirs may be
//! lost, a `gap` record says how many at most, of which process and service, and from when to when. This happens once,
//! whoever begins first, and never to a recorder that is alive: each holds a lock on a file
//! `<name of the trail>-session-<id>`. Where that was deleted, on Linux, its process is looked for. Such a file that
//! belongs to no open session of `audit_sessions` may be deleted.
//!
//! # What happens when …
//!
//! A *transient* error leaves the batch with the recorder, which offers it again; each record is stored once, however
//! often it is offered. All of this is noticed within one batch, and none of it needs a restart unless that is said.
//!
//! | trouble | what the store does |
//! |---|---|
//! | another connection holds the lock | waits for it, as long as the [busy timeout](SqliteStoreBuilder::busy_timeout) says; then a transient error |
//! | the disk is full | a transient error; nothing of the batch is stored; goes on when there is room |
//! | reading, writing or syncing fails | a transient error; the connection is given up, and nothing that it says counts any more. Before a new one promises `Power` or moves the log into the database, it writes the `-wal` file to the disk again, since no later sync would bring there what a failed one has lost; so does a store that finds such a file when it is opened, for those before it may have seen one fail. While that fails, `Power` is a transient error, and less goes on. What remains: another program may move the log into the database meanwhile; if the power then fails half-way, the trail may be damaged |
//! | the file is deleted or moved away | a transient error until it is put back; no new one is made in its place: restart for that |
//! | another file takes its place | a transient error until the first one is back; restart to go on with the new one |
//! | the file is made read-only, for all | a transient error until it may be written to |
//! | the file is given to another user | goes on by what is open; after an error or a restart, access is denied |
//! | the directory can't be entered | a transient error until it can |
//! | nothing can be added to the directory | goes on, for all files are there; a recorder that begins is refused |
//! | the `-wal` or `-shm` file is deleted or replaced | moves what is in it into the database and begins a new one, if no other connection has the trail open; otherwise a transient error until that is so. Until then, what was in the `-wal` file is in the open files of these programs alone: end them in order. In another program's database, a file `<name>-log-rescue` stands beside it meanwhile: if the process is killed then, the next store to open it turns the log on again |
//! | the file gets a second name (hard link) | a transient error until that is gone |
//! | a link that it was named by leads elsewhere | a transient error until it leads back |
//! | a reader reads for long | goes on; the `-wal` file grows by what is written meanwhile, then is used anew, and shrinks to 64 MiB |
//! | readers follow each other without a pause | as above; each time that the `-wal` file has grown by 64 MiB, writers wait up to 50 ms for those there |
//! | a newer program changes the schema | a permanent error: update and restart |
//! | the file is damaged | a permanent error |
//! | the process forks | in the child, the store refuses, and leaves the connection alone when it is dropped; the parent goes on. The child can open other trails, but not this one: SQLite would take the locks of the two for one. Fork first, or close the trail before |
//! | the process is killed | the next start tells: see above |
//! | the file is copied while it is in use | in the copy, all recorders count as dead; the original is not touched |
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
mod file_system;
mod link;
mod migrate;
mod process;
mod read;
mod rows;
mod savepoint;
mod schema;
mod scope;
mod session;
mod store;
mod transaction;
mod write;

pub use builder::SqliteStoreBuilder;
pub use schema::{APPLICATION_ID, SCHEMA_VERSION};
pub use scope::transaction;
pub use store::SqliteStore;
pub use transaction::{InTransaction, record_in};
