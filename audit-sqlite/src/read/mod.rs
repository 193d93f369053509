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
use crate::connection::forbid_checkpoint_on_close;
use crate::error::{CUT_INDEX, StoreError};
use crate::file::TrailFile;
use crate::fork::{ConnectionOwner, OpenFile};
use crate::log::{index_len, is_index_mapped};
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
            close_without_checkpoint(connection.take());
        }
    }

    /// Locks the connection for use. A panic has left `None` in it.
    fn lock(&self) -> MutexGuard<'_, Option<(Connection, DatabaseKind)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For files that may have been cut: a checkpoint would use them.
fn close_without_checkpoint(connection: Option<(Connection, DatabaseKind)>) {
    if let Some((connection, _)) = connection {
        forbid_checkpoint_on_close(&connection);
    }
}

/// Reads the changes in a trail that a [`SqliteStore`](crate::SqliteStore) writes.
pub(crate) struct Reader {
    path: PathBuf,
    file: TrailFile,
    options: ConnectOptions,
    connection: Arc<ReadConnection>,
    /// The length of the `-shm` file after the last use.
    index_len: u64,
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
            index_len: 0,
            owner: ConnectionOwner::current(),
            _open_file: open_file,
        })
    }

    pub(crate) fn connection(&self) -> &Arc<ReadConnection> {
        &self.connection
    }

    fn try_changes(&mut self, query: &ChangeQuery) -> Result<Vec<StoredChange>, StoreError> {
        let mut slot = self.connection.lock();
        if index_len(&self.path) < self.index_len {
            close_without_checkpoint(slot.take());
            if is_index_mapped(&self.path) {
                return Err(StoreError::lost("read", &self.path, CUT_INDEX));
            }
        }
        // The connection is taken out, so that a panic half-way drops it.
        let (mut connection, kind) = match slot.take() {
            Some(connection) => connection,
            None => self.options.connect_for_reading(&self.path)?,
        };
        let result = find_changes(&mut connection, kind, &self.path, query);
        if !result.as_ref().is_err_and(StoreError::invalidates_connection) {
            *slot = Some((connection, kind));
            self.index_len = index_len(&self.path);
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
        let mut connection = self.connection.lock();
        if self.file.check("read", &self.path).is_err() || index_len(&self.path) < self.index_len {
            close_without_checkpoint(connection.take());
        }
        *connection = None;
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
