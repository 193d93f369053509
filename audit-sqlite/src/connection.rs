//! [`WriteConnection`]: the connection that a store writes with, its write-ahead log, and
//! checkpoints.
//!
//! SQLite reports no error of a checkpoint that it runs by itself. So automatic checkpoints are off
//! and this module runs them. It also rewrites the `-wal` file after a disk error, and replaces a
//! `-wal` file that somebody has deleted.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use audit_record::{Durability, Error};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::StoreError;
use crate::file::{self, FileId, rewrite, sibling};
use crate::log::LogFiles;
use crate::migrate::{DatabaseKind, check_unchanged};

/// A commit that leaves at least this many pages in the log, 16 MiB, is followed by a checkpoint.
///
/// This is four times SQLite's default. A full batch writes half of SQLite's default. Each
/// checkpoint syncs twice, and it also copies the last pages of each index, which the next batch
/// writes again.
const CHECKPOINT_PAGES: i64 = 4_000;

/// When the log has grown by this many pages, 64 MiB, overlapping readers keep it from being
/// reused. The checkpoint then waits for the readers that are active, while new readers and writers
/// wait.
const BLOCKED_LOG_PAGES: i64 = 16_384;

/// How long such a checkpoint waits for readers.
const READER_WAIT: Duration = Duration::from_millis(50);

/// How often [`WriteConnection::rewrite_wal`] tries. Each attempt writes the whole log, so one that
/// succeeds makes it complete.
const REWRITE_ATTEMPTS: usize = 3;

/// The values of `synchronous` below `Durability::Power`, and for `Power`.
const WAL_SYNCHRONOUS: [&str; 2] = ["NORMAL", "FULL"];
const ROLLBACK_SYNCHRONOUS: [&str; 2] = ["FULL", "EXTRA"];

/// Whether the `-wal` file on the disk is known to be complete, from most to least trusted.
///
/// If a sync failed earlier, the disk may lack a part of the log. A later commit would then not
/// survive a power loss, and a checkpoint could overwrite pages that the log can no longer repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WalTrust {
    /// The connection has seen every sync of the log, and all of them succeeded.
    Trusted,
    /// The log is older than the connection. A sync that failed before was reported to a connection
    /// that may no longer exist.
    Inherited,
    /// The disk has reported an error.
    DiskError,
}

/// A connection that the store writes with.
pub(crate) struct WriteConnection {
    pub(crate) connection: Connection,
    pub(crate) kind: DatabaseKind,
    synchronous: [&'static str; 2],
    /// Whether `synchronous` has the value for `Durability::Power` now.
    for_power: bool,
    busy_timeout: Duration,
    /// The length of the log, in pages, when a checkpoint last waited for readers.
    waited_at_pages: i64,
    /// Whether the database is in WAL mode, so that a `-wal` and a `-shm` file exist.
    has_wal: bool,
    /// Those two files, as this connection has opened them; `None` until it has.
    wal_files: Option<OpenLog>,
    /// The number of the schema that was found to be complete; see [`crate::restore`].
    pub(crate) checked_schema: Option<i64>,
}

/// The log that a connection writes to.
struct OpenLog {
    /// Of the `-wal` and of the `-shm` file.
    ids: [FileId; 2],
    /// The `-wal` file, opened to look at its content.
    file: File,
}

impl WriteConnection {
    /// Applies the settings that SQLite keeps per connection.
    pub(crate) fn new(
        connection: Connection,
        kind: DatabaseKind,
        busy_timeout: Duration,
    ) -> rusqlite::Result<Self> {
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        let has_wal = mode == "wal";
        // In WAL mode with NORMAL, a commit survives the end of the process, and the trail stays
        // intact after a power loss, but the last commits may be missing. FULL syncs the log at
        // each commit. With a rollback journal, NORMAL could damage the whole database. FULL could
        // undo a commit, because the directory may still show the journal; EXTRA syncs the
        // directory too.
        let synchronous = if has_wal { WAL_SYNCHRONOUS } else { ROLLBACK_SYNCHRONOUS };
        connection.pragma_update(None, "synchronous", synchronous[0])?;
        // The usual sync of macOS leaves data in the disk's cache. Other systems ignore this.
        connection.pragma_update(None, "fullfsync", true)?;
        // SQLite ignores an error of an automatic checkpoint. Later commits would count as synced
        // although the pages that the failed sync lost are missing. So checkpoints run here, and
        // their result is checked.
        connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
        // A long reader can make the `-wal` file grow; afterwards it shrinks to this size again.
        connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
        Ok(Self {
            connection,
            kind,
            synchronous,
            for_power: false,
            busy_timeout,
            waited_at_pages: 0,
            has_wal,
            wal_files: None,
            checked_schema: None,
        })
    }

    /// Begins a transaction with the write lock. Fails if the schema has changed since the trail
    /// was opened.
    pub(crate) fn begin(
        &mut self,
        operation: &str,
        path: &Path,
    ) -> Result<Transaction<'_>, StoreError> {
        let kind = self.kind;
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        check_unchanged(&transaction, kind, operation, path)?;
        Ok(transaction)
    }

    /// Whether the `-wal` or `-shm` file was deleted or replaced. What is written then goes to a
    /// file that no other connection finds. `now` is what is found at their paths.
    pub(crate) fn has_lost_wal(&mut self, now: Option<LogFiles>, path: &Path) -> bool {
        if !self.has_wal {
            return false;
        }
        if self.wal_files.is_none()
            && let Some(now) = now
            && let Ok(file) = File::open(sibling(path, "-wal"))
        {
            self.wal_files = Some(OpenLog { ids: now.ids, file });
        }
        let opened = self.wal_files.as_ref().map(|log| log.ids);
        opened.is_some() && opened != now.map(|now| now.ids)
    }

    /// The `-wal` file, once this connection has one.
    pub(crate) fn log(&self) -> Option<&File> {
        self.wal_files.as_ref().map(|log| &log.file)
    }

    /// Moves the content of a lost log into the database and creates a new log.
    ///
    /// This works only while no other connection has the database open, because that connection may
    /// use the same lost log, or a newer one. SQLite enforces it: only a single connection can
    /// leave WAL mode.
    pub(crate) fn replace_lost_wal(&mut self, path: &Path) -> Result<(), StoreError> {
        // Another program's database must not stay in a different mode if the process ends
        // half-way.
        if self.kind == DatabaseKind::Shared {
            file::create_private(&sibling(path, RESCUE_MARK)).or_else(ignore_existing).map_err(
                |error| {
                    let text = format!(
                        "cannot write to the audit trail `{}`: the `-wal` or `-shm` file beside it \
                         was deleted or replaced, and the repair can't create a file beside it; \
                         check the permissions of its directory",
                        path.display()
                    );
                    StoreError::Explained(Error::transient(text).with_source(error))
                },
            )?;
        }
        let replaced = self.leave_and_reenter_wal_mode(path);
        // On failure the database is still in WAL mode, as it was before.
        if self.kind == DatabaseKind::Shared && self.has_wal {
            let _ = fs::remove_file(sibling(path, RESCUE_MARK));
        }
        replaced
    }

    fn leave_and_reenter_wal_mode(&mut self, path: &Path) -> Result<(), StoreError> {
        match self.set_journal_mode("DELETE") {
            Ok(mode) if mode == "delete" => self.has_wal = false,
            Err(failure) if !failure.is_busy() => return Err(failure),
            _ => {
                return Err(StoreError::Explained(Error::transient(format!(
                    "cannot write to the audit trail `{}`: the `-wal` or `-shm` file beside it was \
                     deleted or replaced while it was in use; its content is not lost yet: close \
                     the other programs and tools that have the trail open, and this program will \
                     repair it",
                    path.display()
                ))));
            }
        }
        self.set_journal_mode("WAL")?;
        (self.has_wal, self.wal_files) = (true, None);
        Ok(())
    }

    fn set_journal_mode(&self, mode: &str) -> Result<String, StoreError> {
        Ok(self.connection.pragma_update_and_check(None, "journal_mode", mode, |row| row.get(0))?)
    }

    /// Whether the database is in WAL mode.
    pub(crate) fn has_wal(&self) -> bool {
        self.has_wal
    }

    /// Whether the settings of this connection still fit the journal mode of the database.
    pub(crate) fn settings_fit_journal_mode(&self) -> bool {
        self.has_wal == (self.synchronous == WAL_SYNCHRONOUS)
    }

    /// Makes the next commits as durable as requested. Must not be called inside a transaction.
    pub(crate) fn set_durability(&mut self, durability: Durability) -> Result<(), StoreError> {
        let for_power = durability >= Durability::Power;
        if for_power != self.for_power {
            let level = self.synchronous[usize::from(for_power)];
            self.connection.pragma_update(None, "synchronous", level)?;
            self.for_power = for_power;
        }
        Ok(())
    }

    /// Runs a checkpoint if the log has become long, as far as readers allow.
    ///
    /// Only an error that makes the content of the disk uncertain is returned. Other errors are
    /// harmless, because the next commit tries again.
    pub(crate) fn checkpoint_if_due(&mut self) -> Result<(), StoreError> {
        let pages = match self.pages_in_wal() {
            Err(failure) if failure.invalidates_connection() => return Err(failure),
            pages => pages.unwrap_or(0),
        };
        if pages < CHECKPOINT_PAGES {
            self.waited_at_pages = 0;
            return Ok(());
        }
        let result = if pages - self.waited_at_pages < BLOCKED_LOG_PAGES {
            self.checkpoint("PASSIVE")
        } else {
            self.waited_at_pages = pages;
            self.connection.busy_timeout(READER_WAIT)?;
            let result = self.checkpoint("RESTART");
            self.connection.busy_timeout(self.busy_timeout)?;
            result
        };
        match result {
            Err(failure) if failure.invalidates_connection() => Err(failure),
            _ => Ok(()),
        }
    }

    pub(crate) fn is_checkpoint_due(&self) -> Result<bool, StoreError> {
        Ok(self.has_wal && self.pages_in_wal()? >= CHECKPOINT_PAGES)
    }

    /// The number of frames in the log.
    pub(crate) fn pages_in_wal(&self) -> Result<i64, StoreError> {
        let mut statement = self.connection.prepare_cached("PRAGMA main.wal_checkpoint(NOOP)")?;
        Ok(statement.query_row([], |row| row.get(1))?)
    }

    /// Writes the whole log to the disk again, so that it has no gap that a failed sync has left.
    ///
    /// After a failed sync, the system marks the pages that it could not write as clean, and no
    /// later sync writes them. If a checkpoint then overwrote pages of the database and the power
    /// failed half-way, the log that must repair them would have gaps. The content of the log is
    /// still in the system's page cache, so it is read from there.
    ///
    /// Other programs do not know about the gaps and may run a checkpoint at any time. So this is
    /// called as soon as a sync has failed, and tries several times.
    pub(crate) fn rewrite_wal(&mut self, path: &Path) -> Result<(), StoreError> {
        if !self.has_wal {
            return Ok(());
        }
        // The write lock keeps others from appending to the log or restarting it. Checkpoints of
        // other connections only read it.
        let lock = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let log = sibling(path, "-wal");
        let mut rewritten = rewrite(&log);
        for _ in 1..REWRITE_ATTEMPTS {
            rewritten = rewritten.or_else(|_| rewrite(&log));
        }
        // The transaction has changed nothing.
        lock.rollback()?;
        rewritten.map_err(|error| {
            let text = format!(
                "cannot write to the audit trail `{}`: after a disk error, its `-wal` file must be \
                 written to the disk again before records can survive a power loss, and that \
                 failed; check the disk and the system log",
                path.display()
            );
            StoreError::Explained(Error::transient(text).with_source(error))
        })
    }

    fn checkpoint(&self, mode: &str) -> Result<(), StoreError> {
        let sql = format!("PRAGMA main.wal_checkpoint({mode})");
        Ok(self.connection.query_row(&sql, [], |_| Ok(()))?)
    }

    /// Closes a connection that is no longer trusted.
    ///
    /// Its view of the log may differ from what the disk holds, so it must not copy that into the
    /// database. The next connection verifies the log before it uses it.
    pub(crate) fn close_without_checkpoint(self) {
        forbid_checkpoint_on_close(&self.connection);
    }

    /// Moves the content of the log into the database, as far as readers allow, and closes the
    /// connection.
    pub(crate) fn close(mut self, path: &Path, trust: WalTrust) -> Result<(), StoreError> {
        // Best effort: what stays in the log is stored as well. PASSIVE does not wait.
        let is_complete = trust == WalTrust::Trusted || self.rewrite_wal(path).is_ok();
        if !is_complete
            || self.checkpoint("PASSIVE").is_err_and(|failure| failure.invalidates_connection())
        {
            // The next process does not know that a sync has failed.
            let _ = is_complete.then(|| self.rewrite_wal(path));
            return Ok(());
        }
        // If it is the last connection, SQLite then deletes the log.
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        self.connection.close().map_err(|(_, error)| StoreError::Sqlite(error))
    }
}

/// SQLite runs a checkpoint when the last connection is closed, unless this is called before.
pub(crate) fn forbid_checkpoint_on_close(connection: &Connection) {
    let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
}

/// The suffix of a file that exists beside a shared database while its lost log is being replaced,
/// which changes the journal mode for a moment.
const RESCUE_MARK: &str = "-log-rescue";

fn ignore_existing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
}

/// Puts a shared database back into WAL mode if a process has ended in the middle of
/// [`WriteConnection::replace_lost_wal`].
///
/// Best effort: if another connection is in the way, the next open tries again. The trail also
/// works without WAL mode.
pub(crate) fn finish_wal_replacement(connection: &Connection, path: &Path) {
    let mark = sibling(path, RESCUE_MARK);
    if fs::exists(&mark).unwrap_or(false) {
        let set = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0));
        if set.is_ok_and(|mode: String| mode == "wal") {
            let _ = fs::remove_file(mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn synchronous_levels(mode: &str) -> Vec<i64> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.db");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update_and_check(None, "journal_mode", mode, |_| Ok(())).unwrap();
        let mut writer =
            WriteConnection::new(connection, DatabaseKind::Shared, Duration::ZERO).unwrap();
        let levels =
            [Durability::Queued, Durability::Power, Durability::Power, Durability::Process];
        levels
            .map(|durability| {
                writer.set_durability(durability).unwrap();
                writer.connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap()
            })
            .to_vec()
    }

    #[test]
    fn automatic_checkpoints_are_off() {
        let connection = Connection::open_in_memory().unwrap();
        let writer =
            WriteConnection::new(connection, DatabaseKind::Dedicated, Duration::ZERO).unwrap();
        let pages: i64 = writer
            .connection
            .pragma_query_value(None, "wal_autocheckpoint", |row| row.get(0))
            .unwrap();
        assert_eq!(pages, 0);
    }

    #[test]
    fn power_syncs_each_commit_and_lower_levels_only_what_needs_it() {
        let (normal, full, extra) = (1, 2, 3);
        assert_eq!(synchronous_levels("wal"), [normal, full, full, normal]);
        assert_eq!(synchronous_levels("delete"), [full, extra, extra, full]);
    }
}
