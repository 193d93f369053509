//! [`Reader`]: reads changes back, with its own connection, so that it never waits for the
//! recorder.
//!
//! It works in two steps: `search` finds the locations of a page of changes with an index, and
//! `page` reads the changes there.

mod decode;
mod filter;
mod location;
mod page;
mod search;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use audit_record::Error;
use audit_record::process::hold_off_forks;
use audit_record::store::{ChangeQuery, ChangeReader, StoredChange};
use rusqlite::Connection;

use crate::connect_options::ConnectOptions;
use crate::error::StoreError;
use crate::file::TrailFile;
use crate::fork::{ConnectionOwner, OpenFile};
use crate::migrate::{DatabaseKind, check_unchanged};

/// The connection of a reader: `None` until it is needed, and after an error that makes its view of
/// the file unreliable.
#[derive(Default)]
pub(crate) struct ReadConnection(Mutex<Option<(Connection, DatabaseKind)>>);

impl ReadConnection {
    /// Closes the connection, unless it is in use.
    pub(crate) fn close_if_idle(&self) {
        let _forks = hold_off_forks();
        if let Ok(mut connection) = self.0.try_lock() {
            *connection = None;
        }
    }

    /// Locks the connection for use. A panic has left `None` in it.
    fn lock(&self) -> MutexGuard<'_, Option<(Connection, DatabaseKind)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the changes in a trail that a [`SqliteStore`](crate::SqliteStore) writes.
pub(crate) struct Reader {
    path: PathBuf,
    file: TrailFile,
    options: ConnectOptions,
    connection: Arc<ReadConnection>,
    owner: ConnectionOwner,
    _open_file: OpenFile,
}

impl Reader {
    pub(crate) fn new(
        path: PathBuf,
        file: TrailFile,
        options: ConnectOptions,
    ) -> Result<Self, Error> {
        let open_file = OpenFile::register(file.id(), &path)?;
        Ok(Self {
            path,
            file,
            options,
            connection: Arc::default(),
            owner: ConnectionOwner::current(),
            _open_file: open_file,
        })
    }

    pub(crate) fn connection(&self) -> &Arc<ReadConnection> {
        &self.connection
    }

    fn try_changes(&mut self, query: &ChangeQuery) -> Result<Vec<StoredChange>, StoreError> {
        let mut slot = self.connection.lock();
        // The connection is taken out, so that a panic half-way drops it.
        let (mut connection, kind) = match slot.take() {
            Some(connection) => connection,
            None => self.options.connect_for_reading(&self.path)?,
        };
        let result = find_changes(&mut connection, kind, &self.path, query);
        if !result.as_ref().is_err_and(StoreError::invalidates_connection) {
            *slot = Some((connection, kind));
        }
        result
    }
}

impl ChangeReader for Reader {
    fn changes(&mut self, query: &ChangeQuery) -> Result<Vec<StoredChange>, Error> {
        self.owner.check("read", &self.path)?;
        if query.limit == 0 || query.target_types.is_empty() {
            return Ok(Vec::new());
        }
        let _forks = hold_off_forks();
        self.file.check("read", &self.path)?;
        let result = self.try_changes(query);
        // Checked again, and before any other error is reported: the file may have been replaced
        // just before it was opened.
        self.file.check("read", &self.path).inspect_err(|_| *self.connection.lock() = None)?;
        result.map_err(|failure| failure.into_error("read", &self.path))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.owner.is_current() {
            std::mem::forget(self.connection.clone());
            return;
        }
        let _forks = hold_off_forks();
        *self.connection.lock() = None;
    }
}

/// Runs in one transaction, so that it sees one state of the trail.
fn find_changes(
    connection: &mut Connection,
    kind: DatabaseKind,
    path: &Path,
    query: &ChangeQuery,
) -> Result<Vec<StoredChange>, StoreError> {
    let transaction = connection.transaction()?;
    check_unchanged(&transaction, kind, "read", path)?;
    select_changes(&transaction, query)
}

/// The changes that `query` selects, in an open transaction.
pub(crate) fn select_changes(
    transaction: &Connection,
    query: &ChangeQuery,
) -> Result<Vec<StoredChange>, StoreError> {
    let locations = search::find_locations(transaction, query)?;
    page::read_changes(transaction, &locations)
}
