//! [`Reader`]: changes are read back by a connection of their own, so that nobody waits for the recorder.
//!
//! In two steps: `search` finds where the changes of a page are, by an index; `page` reads them.

mod filter;
mod found;
mod names;
mod page;
mod search;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use audit_record::Error;
use audit_record::process::hold_off_forks;
use audit_record::store::{ChangeQuery, ChangeReader, StoredChange};
use chrono::{DateTime, Utc};
use rusqlite::Connection;

use crate::builder::SqliteStoreBuilder;
use crate::error::Failure;
use crate::file::TrailFile;
use crate::migrate::{Home, check_unchanged};
use crate::process::{InProcess, OpenFile};

/// The connection of a reader: `None` until it is needed, and after an error that leaves its view of the file in
/// doubt.
#[derive(Default)]
pub(crate) struct Slot(Mutex<Option<(Connection, Home)>>);

impl Slot {
    /// Closes the connection, unless it is in use.
    pub(crate) fn let_go(&self) {
        let _forks = hold_off_forks();
        if let Ok(mut connection) = self.0.try_lock() {
            *connection = None;
        }
    }

    /// Held while it is in use. A panic has left nothing in it.
    fn get(&self) -> MutexGuard<'_, Option<(Connection, Home)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the trail that a [`SqliteStore`](crate::SqliteStore) writes.
pub(crate) struct Reader {
    path: PathBuf,
    file: TrailFile,
    options: SqliteStoreBuilder,
    slot: Arc<Slot>,
    process: InProcess,
    _open: OpenFile,
}

impl Reader {
    pub(crate) fn new(
        path: PathBuf,
        file: TrailFile,
        options: SqliteStoreBuilder,
    ) -> Result<Self, Error> {
        let open = OpenFile::new(file.id(), &path)?;
        Ok(Self {
            path,
            file,
            options,
            slot: Arc::default(),
            process: InProcess::here(),
            _open: open,
        })
    }

    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    fn try_changes(&mut self, query: &ChangeQuery) -> Result<Vec<StoredChange>, Failure> {
        // Taken out, so that it is gone if this panics half-way.
        let mut slot = self.slot.get();
        let (mut connection, home) = match slot.take() {
            Some(connection) => connection,
            None => self.options.connect_to_read(&self.path)?,
        };
        let result = changes(&mut connection, home, &self.path, query);
        if !result.as_ref().is_err_and(Failure::spoils_connection) {
            *slot = Some((connection, home));
        }
        result
    }
}

impl ChangeReader for Reader {
    fn changes(&mut self, query: &ChangeQuery) -> Result<Vec<StoredChange>, Error> {
        self.process.check("read", &self.path)?;
        if query.limit == 0 || query.target_types.is_empty() {
            return Ok(Vec::new());
        }
        let _forks = hold_off_forks();
        self.file.check("read", &self.path)?;
        let result = self.try_changes(query);
        // Again, and before any other trouble is told: it may have been replaced just before it was opened.
        self.file.check("read", &self.path).inspect_err(|_| *self.slot.get() = None)?;
        result.map_err(|failure| failure.into_error("read", &self.path))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.process.is_here() {
            std::mem::forget(self.slot.clone());
            return;
        }
        let _forks = hold_off_forks();
        *self.slot.get() = None;
    }
}

/// All within one transaction, so that it sees one state of the trail.
fn changes(
    connection: &mut Connection,
    home: Home,
    path: &Path,
    query: &ChangeQuery,
) -> Result<Vec<StoredChange>, Failure> {
    let transaction = connection.transaction()?;
    check_unchanged(&transaction, home, "read", path)?;
    let places = search::places(&transaction, query)?;
    page::read(&transaction, &places)
}

/// Where a change is: when it took effect, in microseconds since 1970, its record, and its position in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    time: i64,
    seq: i64,
    position: i64,
}

/// The microseconds that are stored, as far as a [`DateTime`] goes.
fn in_range(micros: i64) -> i64 {
    micros.clamp(
        DateTime::<Utc>::MIN_UTC.timestamp_micros(),
        DateTime::<Utc>::MAX_UTC.timestamp_micros(),
    )
}

fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(in_range(micros)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}
