//! [`Reader`]: changes are read back by a connection of their own, so that nobody waits for the recorder.
//!
//! In two steps: `search` finds where the changes of a page are, by an index; `page` reads them.

mod filter;
mod found;
mod names;
mod page;
mod search;

use std::path::{Path, PathBuf};

use audit_core::Error;
use audit_core::history::{ChangeQuery, ChangeReader, StoredChange};
use chrono::{DateTime, Utc};
use rusqlite::Connection;

use crate::builder::SqliteStoreBuilder;
use crate::error::Failure;
use crate::file::FileId;
use crate::migrate::{Home, check_unchanged};

/// Reads the trail that a [`SqliteStore`](crate::SqliteStore) writes.
pub(crate) struct Reader {
    path: PathBuf,
    file: FileId,
    options: SqliteStoreBuilder,
    /// `None` until it is needed, and after an error that leaves its view of the file in doubt.
    connection: Option<(Connection, Home)>,
}

impl Reader {
    pub(crate) fn new(path: PathBuf, file: FileId, options: SqliteStoreBuilder) -> Self {
        Self { path, file, options, connection: None }
    }

    fn try_changes(&mut self, query: &ChangeQuery) -> Result<Vec<StoredChange>, Failure> {
        // Taken out, so that it is gone if this panics half-way.
        let (mut connection, home) = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect_to_read(&self.path)?,
        };
        let result = changes(&mut connection, home, &self.path, query);
        if !result.as_ref().is_err_and(Failure::spoils_connection) {
            self.connection = Some((connection, home));
        }
        result
    }
}

impl ChangeReader for Reader {
    fn changes(&mut self, query: &ChangeQuery) -> Result<Vec<StoredChange>, Error> {
        if query.limit == 0 || query.target_types.is_empty() {
            return Ok(Vec::new());
        }
        self.file.check("read", &self.path)?;
        let result = self.try_changes(query);
        // Again, and before any other trouble is told: it may have been replaced just before it was opened.
        self.file.check("read", &self.path).inspect_err(|_| self.connection = None)?;
        result.map_err(|failure| failure.into_error("read", &self.path))
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
