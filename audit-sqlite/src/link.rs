//! [`Link`]: a connection to write by, and what a commit on it survives.

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use audit_record::{Durability, Error};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use crate::error::Failure;
use crate::file::{self, FileId, sibling, write_again};
use crate::migrate::Home;

/// From so many pages on, 16 MiB of them, a commit is followed by a checkpoint, which moves them into the database.
///
/// Four times as many as in SQLite: a full batch writes half of those, and a checkpoint waits for the disk twice, and
/// moves the pages at the end of each index, which the next batch writes again.
const CHECKPOINT: i64 = 4_000;

/// A log of so many pages, 64 MiB of them, does not get shorter by itself: readers follow each other without a pause. Then,
/// and again for each time as many, writers and the readers that are there are waited for.
const LONG: i64 = 16_384;

/// How long.
const PATIENCE: Duration = Duration::from_millis(50);

/// What `synchronous` is to be, below `Durability::Power` and for it: with a log, and with a rollback journal.
const LOG_LEVELS: [&str; 2] = ["NORMAL", "FULL"];
const JOURNAL_LEVELS: [&str; 2] = ["FULL", "EXTRA"];

/// A connection to write by.
pub(crate) struct Link {
    pub(crate) connection: Connection,
    /// What the trail is in its database.
    pub(crate) home: Home,
    levels: [&'static str; 2],
    /// Which of the two it is now.
    for_power: bool,
    busy_timeout: Duration,
    /// How long the log was when readers were last waited for.
    waited_at: i64,
    /// Whether there is a log, by which there are a `-wal` and a `-shm` file.
    has_log: bool,
    /// These two as the connection has them open; `None` as long as it has not.
    companions: Option<[FileId; 2]>,
}

impl Link {
    /// Makes the settings that SQLite keeps by the connection.
    pub(crate) fn new(
        connection: Connection,
        home: Home,
        busy_timeout: Duration,
    ) -> rusqlite::Result<Self> {
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        // With the log, a commit survives the end of the process, and the trail survives the loss of power, but
        // the last commits before it may be missing; FULL syncs the log at each commit. With the journal that
        // another program keeps, NORMAL could cost it the whole database, and after FULL a journal that the
        // directory still shows undoes the commit: EXTRA syncs the directory too.
        let levels = if mode == "wal" { LOG_LEVELS } else { JOURNAL_LEVELS };
        connection.pragma_update(None, "synchronous", levels[0])?;
        // For macOS, whose usual sync leaves data in the disk's own memory. Elsewhere it means nothing.
        connection.pragma_update(None, "fullfsync", true)?;
        // SQLite keeps quiet about a checkpoint of its own that fails. What its failed sync has lost would then be
        // missing behind later commits that are taken for synced; so checkpoints are made here, and looked at.
        connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
        // The `-wal` file shrinks to this again after a reader that stayed long made it grow.
        connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
        let has_log = mode == "wal";
        Ok(Self {
            connection,
            home,
            levels,
            for_power: false,
            busy_timeout,
            waited_at: 0,
            has_log,
            companions: None,
        })
    }

    /// Whether the `-wal` or the `-shm` file has been deleted or replaced, so that what is written goes where no
    /// other connection finds it.
    pub(crate) fn has_lost_log(&mut self, path: &Path) -> bool {
        if !self.has_log {
            return false;
        }
        // What can't be looked at for now is not known to be lost.
        let Ok(now) = companions(path) else { return false };
        if self.companions.is_none() {
            self.companions = now;
        }
        self.companions != now
    }

    /// Moves what is in a lost log into the database, and begins a new one.
    ///
    /// Only if no other connection has the database open: it may have lost the same log, or begun another. To leave
    /// the mode of the log is what SQLite lets only a single connection do.
    pub(crate) fn rescue(&mut self, path: &Path) -> Result<(), Failure> {
        // The mode of a database that is not ours must not stay changed if the process ends half-way.
        if self.home == Home::Shared {
            file::create_private(&sibling(path, UNDER_WAY)).or_else(exists).map_err(|error| {
                let text = format!(
                    "cannot write to the audit trail `{}`: the `-wal` or `-shm` file beside it was deleted or replaced, \
                     and to put that in order, a file must be made beside it; check the permissions of its directory",
                    path.display()
                );
                Failure::Refused(Error::transient(text).with_source(error))
            })?;
        }
        let rescued = self.begin_log_anew(path);
        // Left as it is, the database is as it was.
        if self.home == Home::Shared && self.has_log {
            let _ = fs::remove_file(sibling(path, UNDER_WAY));
        }
        rescued
    }

    fn begin_log_anew(&mut self, path: &Path) -> Result<(), Failure> {
        match self.set_journal_mode("DELETE") {
            Ok(mode) if mode == "delete" => self.has_log = false,
            Err(failure) if !failure.is_busy() => return Err(failure),
            _ => {
                return Err(Failure::Refused(Error::transient(format!(
                    "cannot write to the audit trail `{}`: the `-wal` or `-shm` file beside it was deleted or replaced \
                     while it was in use; what is in it is not lost yet: end the other programs and tools that have \
                     the trail open, and this one will put it in order",
                    path.display()
                ))));
            }
        }
        self.set_journal_mode("WAL")?;
        (self.has_log, self.companions) = (true, None);
        Ok(())
    }

    fn set_journal_mode(&self, mode: &str) -> Result<String, Failure> {
        Ok(self.connection.pragma_update_and_check(None, "journal_mode", mode, |row| row.get(0))?)
    }

    /// Whether its settings are still those for the mode that the database is in.
    pub(crate) fn is_as_set(&self) -> bool {
        self.has_log == (self.levels == LOG_LEVELS)
    }

    /// Makes the next commits survive what `durability` says. Not within a transaction.
    pub(crate) fn survive(&mut self, durability: Durability) -> Result<(), Failure> {
        let for_power = durability >= Durability::Power;
        if for_power != self.for_power {
            let level = self.levels[usize::from(for_power)];
            self.connection.pragma_update(None, "synchronous", level)?;
            self.for_power = for_power;
        }
        Ok(())
    }

    /// Moves what is in the log into the database if it has grown long, as far as readers allow.
    ///
    /// An error is one that leaves in doubt what the disk holds. Others do no harm: the next commit tries again.
    pub(crate) fn checkpoint_if_due(&mut self) -> Result<(), Failure> {
        let pages = match self.pages_in_log() {
            Err(failure) if failure.spoils_connection() => return Err(failure),
            pages => pages.unwrap_or(0),
        };
        if pages < CHECKPOINT {
            self.waited_at = 0;
            return Ok(());
        }
        let result = if pages - self.waited_at < LONG {
            self.checkpoint("PASSIVE")
        } else {
            self.waited_at = pages;
            self.connection.busy_timeout(PATIENCE)?;
            let result = self.checkpoint("RESTART");
            self.connection.busy_timeout(self.busy_timeout)?;
            result
        };
        match result {
            Err(failure) if failure.spoils_connection() => Err(failure),
            _ => Ok(()),
        }
    }

    pub(crate) fn is_checkpoint_due(&self) -> Result<bool, Failure> {
        Ok(self.has_log && self.pages_in_log()? >= CHECKPOINT)
    }

    fn pages_in_log(&self) -> Result<i64, Failure> {
        let mut statement = self.connection.prepare_cached("PRAGMA main.wal_checkpoint(NOOP)")?;
        Ok(statement.query_row([], |row| row.get(1))?)
    }

    /// Writes all that is in the log to the disk once more, so that nothing stands behind something that a failed sync
    /// has lost.
    ///
    /// After a sync that failed, the system takes for written what it could not write: no later sync brings it to the
    /// disk. A checkpoint would write over pages of the database, and after a loss of power half-way, the log that is
    /// to repair them would have holes. What the log holds is still in the system's memory, so it is taken from there.
    pub(crate) fn mend_log(&mut self, path: &Path) -> Result<(), Failure> {
        if !self.has_log {
            return Ok(());
        }
        // Meanwhile nobody adds to the log, or begins it anew. Checkpoints of others only read it.
        let lock = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mended = write_again(&sibling(path, "-wal"));
        // It has changed nothing.
        lock.rollback()?;
        mended.map_err(|error| {
            let text = format!(
                "cannot write to the audit trail `{}`: after an error of the disk, its `-wal` file must be brought to \
                 the disk before a record can be promised to survive a loss of power, and that fails; check the disk \
                 and the system log",
                path.display()
            );
            Failure::Refused(Error::transient(text).with_source(error))
        })
    }

    fn checkpoint(&self, mode: &str) -> Result<(), Failure> {
        let sql = format!("PRAGMA main.wal_checkpoint({mode})");
        Ok(self.connection.query_row(&sql, [], |_| Ok(()))?)
    }

    /// Closes a connection that is not trusted any more.
    pub(crate) fn abandon(self) {
        // What it takes for the content of the log may not be what the disk holds: it must not move it into
        // the database. The next connection checks the log before it takes anything from it.
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }

    /// Moves what is in the log into the database as far as readers allow, and closes the connection.
    ///
    /// `in_doubt`: a sync of the log may have failed before.
    pub(crate) fn close(mut self, path: &Path, in_doubt: bool) -> Result<(), Failure> {
        // Best effort: what stays in the log is no less stored. PASSIVE waits for nobody.
        let is_mended = !in_doubt || self.mend_log(path).is_ok();
        if !is_mended
            || self.checkpoint("PASSIVE").is_err_and(|failure| failure.spoils_connection())
        {
            // Whoever comes next knows nothing of the sync that failed.
            let _ = is_mended.then(|| self.mend_log(path));
            self.abandon();
            return Ok(());
        }
        self.connection.close().map_err(|(_, error)| Failure::Sqlite(error))
    }
}

/// Beside the database of another program as long as its log is being replaced, for which the mode has to be changed.
const UNDER_WAY: &str = "-log-rescue";

fn exists(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
}

/// Gives the database of another program its log back, if a process has ended in the middle of a [`rescue`](Link::rescue).
///
/// Best effort: if somebody is in the way, the next one to open it tries again. Without the log, the trail works as well.
pub(crate) fn finish_rescue(connection: &Connection, path: &Path) {
    let mark = sibling(path, UNDER_WAY);
    if fs::exists(&mark).unwrap_or(false) {
        let set = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0));
        if set.is_ok_and(|mode: String| mode == "wal") {
            let _ = fs::remove_file(mark);
        }
    }
}

/// Which files the `-wal` and the `-shm` file are; `None` if one of them is missing.
fn companions(path: &Path) -> io::Result<Option<[FileId; 2]>> {
    let of = |suffix| match FileId::of(&sibling(path, suffix)) {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let (log, index) = (of("-wal")?, of("-shm")?);
    Ok(log.zip(index).map(<[FileId; 2]>::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(mode: &str) -> Vec<i64> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.db");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update_and_check(None, "journal_mode", mode, |_| Ok(())).unwrap();
        let mut link = Link::new(connection, Home::Shared, Duration::ZERO).unwrap();
        let levels =
            [Durability::Queued, Durability::Power, Durability::Power, Durability::Process];
        levels
            .map(|durability| {
                link.survive(durability).unwrap();
                link.connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap()
            })
            .to_vec()
    }

    #[test]
    fn sqlite_makes_no_checkpoints_by_itself() {
        let link =
            Link::new(Connection::open_in_memory().unwrap(), Home::Own, Duration::ZERO).unwrap();
        let pages: i64 = link
            .connection
            .pragma_query_value(None, "wal_autocheckpoint", |row| row.get(0))
            .unwrap();
        assert_eq!(pages, 0);
    }

    #[test]
    fn power_syncs_each_commit_and_less_only_what_needs_it() {
        let (normal, full, extra) = (1, 2, 3);
        assert_eq!(levels("wal"), [normal, full, full, normal]);
        assert_eq!(levels("delete"), [full, extra, extra, full]);
    }
}
