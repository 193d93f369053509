//! [`FileWatch`]: notices that the files of an open trail were cut or overwritten.
//!
//! SQLite does not read again what it has in memory. So it would continue to write to such a file,
//! and would report success. Before each use, the store compares what `stat` says, and the header
//! of the `-wal` file, with what it saw before. Only if they differ, it reads the content again.
//! This also happens after each checkpoint, which writes to the database.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use audit_record::Error;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::connection::WriteConnection;
use crate::error::{CUT_CONTENT, CUT_LOG, NO_CONTENT, StoreError};
use crate::file::sibling;
use crate::identity::TrailIdentity;
use crate::log::{
    LogFiles, LogHeader, ValidFrames, has_frame, is_header, read_header, read_valid_frames,
};

/// File systems store times in steps of up to 10 ms. A file that was written that recently may be
/// written again without getting a new time.
const TIME_STEP: Duration = Duration::from_millis(20);

/// What is done with which trail, for messages.
#[derive(Clone, Copy)]
pub(crate) struct Use<'p> {
    pub(crate) operation: &'p str,
    pub(crate) path: &'p Path,
}

/// What the files of a trail looked like when they were last checked.
#[derive(Debug, Default)]
pub(crate) struct FileWatch {
    /// `None` until the content was checked with the present connection.
    seen: Option<Seen>,
    /// The length of the database when all of its pages were last known to be there.
    database_len: u64,
    /// The length of the `-shm` file, which never shrinks while it is in use.
    index_len: u64,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// `None` if the file may be written again without getting a new time.
    database_time: Option<SystemTime>,
    log_len: u64,
    log_header: Option<LogHeader>,
}

impl Seen {
    fn now(
        writer: &WriteConnection,
        database: &Metadata,
        log: Option<LogFiles>,
    ) -> io::Result<Self> {
        let time = database.modified()?;
        // The system clock may have been set back.
        let age = time.elapsed().unwrap_or_else(|error| error.duration());
        Ok(Self {
            database_time: (age > TIME_STEP).then_some(time),
            log_len: log.map_or(0, |log| log.log_len),
            log_header: writer.log().map_or(Ok(None), read_header)?,
        })
    }

    /// Whether the files can have come from this state to `now` without a checkpoint or a fault.
    fn continues_in(&self, now: &Self, has_wal: bool) -> bool {
        // With a rollback journal, SQLite itself notices that the database was written.
        let is_unchanged = self.database_time.is_some() && self.database_time == now.database_time;
        (is_unchanged || !has_wal)
            && now.log_len >= self.log_len
            && now.log_header == self.log_header
    }
}

impl FileWatch {
    /// Makes the next [`check`](Self::check) read the content, because the connection is new.
    pub(crate) fn reset(&mut self) {
        self.seen = None;
    }

    /// Whether the `-shm` file is shorter than before. SQLite has it mapped, so using any
    /// connection to the trail would end the process with `SIGBUS`.
    pub(crate) fn is_index_cut(&self, log: Option<LogFiles>) -> bool {
        log.is_some_and(|log| log.index_len < self.index_len)
    }

    pub(crate) fn forget_index(&mut self) {
        self.index_len = 0;
    }

    /// Checks that `writer` still finds the content of `trail` in the files. `database` and `log`
    /// are what `stat` says now.
    pub(crate) fn check(
        &mut self,
        writer: &mut WriteConnection,
        trail: &TrailIdentity,
        at: Use<'_>,
        database: &Metadata,
        log: Option<LogFiles>,
    ) -> Result<(), StoreError> {
        let unreadable = |error: io::Error| unreadable(at, error);
        let mut now = Seen::now(writer, database, log).map_err(unreadable)?;
        let seen = self.seen.take();
        let is_shorter = database.len() < self.database_len;
        if is_shorter || !seen.is_some_and(|seen| seen.continues_in(&now, writer.has_wal())) {
            let known_header = seen.and_then(|seen| seen.log_header);
            check_content(writer, trail, at, Doubts { is_shorter, known_header })?;
            // The header of the log may have been repaired.
            now = Seen::now(writer, database, log).map_err(unreadable)?;
        }
        self.database_len = database.len();
        self.seen = Some(now);
        self.index_len = log.map_or(0, |log| log.index_len);
        Ok(())
    }

    /// Must be called after a commit. Returns whether a file has become shorter.
    pub(crate) fn note_commit(&mut self, database: &Metadata, log: Option<LogFiles>) -> bool {
        let Some(seen) = &mut self.seen else { return true };
        let (log_len, index_len) = log.map_or((0, 0), |log| (log.log_len, log.index_len));
        let is_shorter = database.len() < self.database_len || log_len < seen.log_len;
        seen.log_len = log_len;
        self.index_len = index_len;
        is_shorter
    }
}

/// What is known before the content is read.
#[derive(Clone, Copy)]
struct Doubts {
    /// Whether the database has become shorter, as `VACUUM` makes it too.
    is_shorter: bool,
    /// The header that the log had.
    known_header: Option<LogHeader>,
}

/// Reads the content as a new connection would.
fn check_content(
    writer: &mut WriteConnection,
    trail: &TrailIdentity,
    at: Use<'_>,
    doubts: Doubts,
) -> Result<(), StoreError> {
    // The pages that SQLite has in memory are no proof.
    writer.connection.execute_batch("PRAGMA shrink_memory")?;
    loop {
        let frames = writer.pages_in_wal()?;
        let checked = check_log(writer, at, u64::try_from(frames).unwrap_or(0), doubts)
            .and_then(|log| check_database(writer, trail, at, log));
        // Another connection may have started the log again in the meantime.
        let is_lost = matches!(checked, Err(StoreError::LostContent(_)));
        if !is_lost || writer.pages_in_wal()? == frames {
            return checked;
        }
    }
}

/// Checks that the log holds at least `frames`, and repairs its header. Returns its content if the
/// database is shorter than before.
fn check_log(
    writer: &mut WriteConnection,
    at: Use<'_>,
    frames: u64,
    doubts: Doubts,
) -> Result<Option<ValidFrames>, StoreError> {
    let unreadable = |error: io::Error| unreadable(at, error);
    let path = sibling(at.path, "-wal");
    let none = || Ok(doubts.is_shorter.then(ValidFrames::default));
    if frames == 0 {
        return none();
    }
    let log = File::open(&path).map_err(unreadable)?;
    let header = read_header(&log).map_err(unreadable)?;
    if !doubts.is_shorter && has_frame(&log, header, frames).map_err(unreadable)? {
        return Ok(None);
    }
    let read = |header: LogHeader| read_valid_frames(&log, &header).map_err(unreadable);
    let valid = header.map_or(Ok(ValidFrames::default()), read)?;
    if valid.count >= frames {
        return Ok(Some(valid));
    }
    let lost = || StoreError::lost(at.operation, at.path, CUT_LOG);
    let known = doubts.known_header.ok_or_else(lost)?;
    // Whether the frames are there, and only the header was overwritten.
    let is_repairable = || -> Result<bool, StoreError> {
        let header = read_header(&log).map_err(unreadable)?;
        Ok(!header.is_none_or(|header| is_header(&header)) && read(known)?.count >= frames)
    };
    if !is_repairable()? {
        return Err(lost());
    }
    // Nobody writes to the log while this lock is held.
    let lock = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !is_repairable()? {
        return Err(lost());
    }
    let restore = |mut log: File| {
        log.seek(SeekFrom::Start(0))?;
        log.write_all(&known)?;
        log.sync_all()
    };
    OpenOptions::new().write(true).open(&path).and_then(restore).map_err(unreadable)?;
    lock.rollback()?;
    Ok(Some(read(known)?))
}

/// Checks that the rows are there by which the store recognises its trail. With `log`, also checks
/// that each page of the database is in its file or in the log.
fn check_database(
    writer: &mut WriteConnection,
    trail: &TrailIdentity,
    at: Use<'_>,
    log: Option<ValidFrames>,
) -> Result<(), StoreError> {
    // No other connection can start the log again during it.
    let transaction = writer.connection.transaction()?;
    if let Some(log) = log {
        check_pages(&transaction, at, &log)?;
    }
    trail.check(&transaction, at.operation, at.path)?;
    Ok(transaction.rollback()?)
}

fn check_pages(transaction: &Connection, at: Use<'_>, log: &ValidFrames) -> Result<(), StoreError> {
    let pages =
        pragma(transaction, "page_count").map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => StoreError::lost(at.operation, at.path, NO_CONTENT),
            _ => error.into(),
        })?;
    let page_size = pragma(transaction, "page_size")?;
    let in_file = fs::metadata(at.path).map_err(|error| unreadable(at, error))?.len() / page_size;
    // SQLite never uses the page at this offset, which its locks are on.
    let lock_page = 0x4000_0000 / page_size + 1;
    let is_missing = |page: u64| {
        page != lock_page && u32::try_from(page).is_ok_and(|page| !log.pages.contains(&page))
    };
    if (in_file + 1..=pages).any(is_missing) {
        return Err(StoreError::lost(at.operation, at.path, CUT_CONTENT));
    }
    Ok(())
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    let number: i64 = connection.pragma_query_value(None, name, |row| row.get(0))?;
    Ok(u64::try_from(number).unwrap_or(0))
}

fn unreadable(at: Use<'_>, error: io::Error) -> StoreError {
    let Use { operation, path } = at;
    let text = format!(
        "cannot {operation} the audit trail `{}`: the file, or the `-wal` file beside it, can't be \
         read; check the disk and the permissions",
        path.display()
    );
    StoreError::Explained(Error::transient(text).with_source(error))
}
