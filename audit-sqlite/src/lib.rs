//! The SQLite store of the `audited` crate.
//!
//! [`SqliteStore`] writes [records](audit_record::Record) to a file that any SQLite tool can read,
//! through stable views:
//!
//! - `audit_log`, one row per record: `seq, id, kind, started_at, duration_us, action, method,
//!   outcome, actor, on_behalf_of, ip, site, service, target_type, target_id, target_label,
//!   correlation_id, parent_id, input, output, log, error, traceback, reason, notes, context,
//!   truncated, session_id, wait_us, parent_seq`. `session_id` names the recorder session that
//!   wrote the record. It is NULL for a record that was written into the caller's own transaction,
//!   or by a schema version before 4. `wait_us` says how long the call waited for durability, up to
//!   the attempt that stored its record, and `parent_seq` is the `seq` of the enclosing call;
//! - `audit_changes`, one row per changed field: `record_id, started_at, action, actor,
//!   target_type, target_id, change, field, before, after, changed_at, record_kind, record_outcome,
//!   record_seq, parent_seq`. `changed_at` says when the change took effect. Version 1 of the
//!   schema did not store it; it is `started_at` for its records;
//! - `audit_sessions`, one row per recorder session: `id, service, host, pid, started_at,
//!   latest_stored_at, state, ended_at`. The state is `open`, `closed` or `died`. Another
//!   recorder finds that a process has died: one that runs within a minute, otherwise the next one that
//!   begins. `ended_at` is then the time at which it found this;
//! - `audit_intents`, one row per call that is still running and was announced before its body ran
//!   (`on_audit_failure = "refuse"`): `id, kind, started_at, action, method, actor, on_behalf_of,
//!   ip, site, service, target_type, target_id, target_label, correlation_id, parent_id, input,
//!   reason, notes, context, truncated, session_id`. The record of the call has the same id and
//!   replaces it.
//!
//! Times are RFC 3339 in UTC with microseconds, so they sort as text (years 0 to 9999; NULL for
//! others). Ids are UUIDs as lower-case text. `input`, `output`, `log`, `error`, `notes`,
//! `context`, `truncated`, `before` and `after` are JSON, which SQLite's `->>` reads. A value that
//! a record does not have is NULL. `seq` counts 1, 2, 3 … without holes, in the order of storing.
//! No view guarantees an order, so use `ORDER BY seq`.
//!
//! ```sh
//! sqlite3 audit.db "SELECT started_at, actor, action, input ->> 'amount' FROM audit_log
//!                   WHERE outcome <> 'success' ORDER BY seq DESC LIMIT 20"
//! ```
//!
//! In `audit_log`, these columns have an index that a comparison with a value or a join uses: `actor`,
//! `action`, `target_type` together with `target_id`, `seq`, `parent_seq`, `id` and `parent_id`. In the
//! other views, `id`, `record_id` and `parent_id` have one. If a view is on the right side of a LEFT
//! JOIN, SQLite first reads it as a whole. Other columns are searched record by record. These include
//! `correlation_id`, `session_id` and `started_at`, because the view computes them. In ten million records, such a search takes 20 seconds if it
//! finds too few records to stop early. Limit it with `seq`: `AND seq > (SELECT max(seq) FROM
//! audit_log) - 100000`.
//!
//! With an index, SQLite reads all matches before it knows the newest. This takes seconds if a
//! hundred thousand records have the same action. If you want only the newest of many matches, put
//! a plus sign before the column, so that SQLite does not use the index:
//!
//! ```sh
//! sqlite3 audit.db "SELECT * FROM audit_log WHERE +action = 'transfer funds' ORDER BY seq DESC LIMIT 50"
//! ```
//!
//! The tables behind the views are private. Triggers refuse UPDATE, DELETE and REPLACE on them. The
//! exceptions are the progress of a session in its own row, and the deletion of an intent whose
//! record is stored. The triggers prevent mistakes. They do not stop the owner of the file, who can
//! drop them. The store restores triggers, indexes and views that another program has dropped or changed,
//! and adds a record of kind `system`: see [`SqliteStore::open`].
//!
//! [`SqliteReader`] reads the changes in a trail without a recorder, for example in a copy that can't be
//! written to.
//!
//! # The file
//!
//! On Unix, only the owner can read and write a file that the store creates (mode 0600). The same
//! is true for the `-wal`, `-shm` and `-session-…` files beside it. An existing file keeps its
//! mode. The database, the `-wal` file and the `-shm` file belong together: copy all three, or run
//! `sqlite3 audit.db ".backup copy.db"`.
//!
//! Symbolic links in the path are resolved first, so that one file never has two `-wal` files. The
//! store refuses a dangling symbolic link, a file with a second name (hard link), a pipe, and a
//! device. On Linux, it also refuses network and cluster file systems (NFS, SMB, AFS, 9P, Ceph,
//! Lustre, GFS2, OCFS2 and others). Some systems, such as gVisor and WSL, expose local folders as
//! one of these; [`network_file_system(true)`](SqliteStoreBuilder::network_file_system) allows
//! them. FUSE is always allowed, because most of its uses are local. Do not put a trail on a remote
//! one, such as sshfs.
//!
//! # What a commit survives
//!
//! A commit survives the end of the process at any moment (`synchronous = NORMAL`). The last
//! commits before a power loss may be missing. A batch for
//! [`Durability::Power`](audit_record::Durability::Power) is committed with `synchronous = FULL`.
//! When it is acknowledged, the disk has confirmed the `-wal` file with this batch and everything
//! before it. In a shared database with a rollback journal, the two settings are `FULL` and
//! `EXTRA`.
//!
//! The store runs checkpoints itself, from 4,000 pages on (16 MiB), because SQLite does not report
//! errors of its automatic ones. Another program that writes to the file with `synchronous = OFF`
//! breaks these guarantees.
//!
//! # When a recorder dies
//!
//! A recorder that begins ([`Store::begin`](audit_record::store::Store::begin)) closes the open
//! sessions of processes that have ended. Their intents become records with outcome `unknown`. If
//! records may be lost, a `gap` record says how many at most, of which process and service, and in
//! which period. The first recorder that begins does this, once, and so does a recorder
//! that runs, within a minute ([`Store::maintain`](audit_record::store::Store::maintain)). A session whose process runs is
//! never closed: it holds a lock on the file `<name of the trail>-session-<id>`. If that file was
//! deleted, the store looks for the process on Linux. You can delete a lock file that belongs to no
//! open session in `audit_sessions`.
//!
//! # What happens when …
//!
//! After a *transient* error, the recorder keeps the batch and offers it again. Each record is
//! stored once, however often it is offered. Every problem below is noticed within one batch, and
//! none needs a restart unless the table says so.
//!
//! | problem | what the store does |
//! |---|---|
//! | another connection holds the lock | waits up to the [busy timeout](SqliteStoreBuilder::busy_timeout), then returns a transient error |
//! | the disk is full | returns a transient error; nothing of the batch is stored; continues when there is space |
//! | reading, writing or syncing fails | returns a transient error, and replaces the connection. No later sync writes what a failed sync has lost. So the new connection writes the `-wal` file to the disk again before it promises `Power` or runs a checkpoint. A store that finds a `-wal` file when it is opened does the same, because an earlier process may have seen a sync fail. While this rewrite fails, `Power` returns a transient error, and lower levels continue. One risk remains: another program may run a checkpoint meanwhile; if the power then fails half-way, the trail may be damaged |
//! | the file is deleted or moved away | returns a transient error until it is back; never creates a new file in its place; restart to create one |
//! | another file replaces it | returns a transient error until the first file is back; restart to use the new one |
//! | the content of the file is deleted, cut, or replaced in place, so that its header, its session, pages, or the first or last record are missing | the same as for a deleted file: returns a transient error until the content is back, writes nothing to it, and `close` returns the error; restart to use the present content. An overwritten header is harmless while the first page is also in the `-wal` file. Damage to other parts of the content is not looked for |
//! | the `-wal` file is cut or its content replaced | the same. The next start reports the lost records in a `gap` record, if the row of the session is in the database. If only its header is overwritten, the store restores it |
//! | the `-shm` file is cut | opens a new connection, which makes SQLite write the file again; returns a transient error while another connection of this process uses the file. Between the cut and the next check, using SQLite ends the process with `SIGBUS`, because SQLite has this file mapped |
//! | the lock file of the session is deleted or replaced | creates and locks it again with the next batch |
//! | the file becomes read-only for all users | returns a transient error until it is writable |
//! | the file gets another owner | continues with the open file; after an error or a restart, access is denied |
//! | the process has no permission to enter the directory | returns a transient error until it has |
//! | no file can be created in the directory | continues, because all files exist; a recorder that begins is refused |
//! | the `-wal` or `-shm` file is deleted or replaced | moves its content into the database and creates a new one, if no other connection has the trail open; returns a transient error until then. Meanwhile, the content of the `-wal` file exists only in the open files of these programs, so do not kill them: close their connections normally. In a shared database, a file `<name>-log-rescue` exists during this. If the process is killed then, the next store that opens the database turns WAL mode on again |
//! | the file gets a second name (hard link) | returns a transient error until that name is removed |
//! | a symbolic link in its path is changed | returns a transient error until the link is restored |
//! | a reader stays for a long time | continues; the `-wal` file grows by what is written meanwhile, is reused afterwards, and shrinks to 64 MiB |
//! | readers overlap without a pause | as above; each time the `-wal` file has grown by 64 MiB, writers wait up to 50 ms for the active readers |
//! | a newer program changes the schema | returns a permanent error: update and restart |
//! | another program drops or changes triggers, indexes or views | restores them before the next batch, and records it; if a table has taken the name of a view, it continues, and the next opening is refused |
//! | the file is damaged | returns a permanent error |
//! | the process forks | in the child, the store returns errors, and dropping it leaves the connection alone; the parent continues. The child can open other trails, but not this one, because SQLite can't separate the locks of the two processes. Fork first, or close the trail before the fork |
//! | the process is killed | the next start reports it: see above |
//! | the file is copied while it is in use | in the copy, all recorders are considered dead; the original does not change |
//!
//! # In your own database
//!
//! With [`shared(true)`](SqliteStoreBuilder::shared), the trail is stored in the database of your
//! program, beside its tables. Then [`record_in()`] can write records into your own transaction.
//! They commit or roll back together with the changes that they describe. Only this part of the
//! public API has types of `rusqlite`. A program can link SQLite only once, so your `rusqlite` must
//! be the same version.
//!
//! # Features
//!
//! `bundled` (on by default) builds SQLite from source. Without it, the system's library is linked.
//! It must be 3.51.3 or later, but not 3.52.0. Other versions can damage a file that several
//! connections write to, and are refused when a trail is opened.
//!
//! `transaction` adds the functions `transaction` and `InTransaction::scope`, which record the
//! calls of a closure into a transaction of the caller. It needs the crate `audit-core`. The crate
//! `audited` enables it.

mod builder;
mod columns;
mod connect_options;
mod connection;
mod dictionary;
mod encode;
mod error;
mod file;
mod file_system;
mod fork;
mod identity;
mod insert;
mod log;
mod migrate;
mod read;
mod reader;
mod record_in;
mod restore;
mod schema;
mod session;
mod store;
#[cfg(feature = "transaction")]
mod transaction;
mod watch;

pub use builder::SqliteStoreBuilder;
pub use reader::SqliteReader;
pub use record_in::{InTransaction, record_in};
pub use schema::{APPLICATION_ID, SCHEMA_VERSION};
pub use store::SqliteStore;
#[cfg(feature = "transaction")]
pub use transaction::transaction;
