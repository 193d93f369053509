//! [`SqliteStore`]: opens the trail, and keeps the connection in good order.

use std::fmt;
use std::path::{Path, PathBuf};

use audit_core::history::ChangeReader;
use audit_core::{Error, Record, Sink};
use rusqlite::Connection;

use crate::builder::SqliteStoreBuilder;
use crate::error::{Failure, explain};
use crate::file::FileId;
use crate::migrate::Home;
use crate::read::Reader;
use crate::write::Writer;

/// An audit trail in a SQLite file.
///
/// Any number of stores, of any number of processes on one machine, may write to one file, and
/// any tool may read it meanwhile. The store starts no thread of its own.
///
/// ```
/// use audited::{Kind, Record, Sink};
/// use audited::SqliteStore;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("audit.db");
/// let mut store = SqliteStore::open(&path)?;
/// let mut record = Record::new(Kind::Event, "open the vault", "2026-01-02T03:04:05.678Z".parse()?);
/// record.actor = Some("alice".into());
/// store.write(&[record])?;
/// store.close()?;
///
/// // Whatever can read SQLite can read the trail.
/// let trail = rusqlite::Connection::open(&path)?;
/// let line: String = trail.query_row(
///     "SELECT started_at || ' ' || actor || ': ' || action FROM audit_log WHERE seq = 1",
///     [],
///     |row| row.get(0),
/// )?;
/// assert_eq!(line, "2026-01-02T03:04:05.678000Z alice: open the vault");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SqliteStore {
    path: PathBuf,
    file: FileId,
    options: SqliteStoreBuilder,
    /// `None` once closed, and after an error that leaves the connection's view of the file in
    /// doubt: then the next write makes a new one.
    connection: Option<(Connection, Home)>,
    closed: bool,
    writer: Writer,
}

impl SqliteStore {
    /// Opens the trail at `path`, with the settings of [`SqliteStore::builder`] as they are.
    ///
    /// A file that does not exist is created; on Unix, only its owner may read and write it. A
    /// file that exists keeps its permissions. An empty file becomes a trail; a trail with an
    /// older schema is brought up to date.
    ///
    /// # Errors
    ///
    /// When `path` is empty, `:memory:`, a URI, a directory, or in a directory that does not
    /// exist; when the file is no database, or another program's; when its schema is newer than
    /// `SCHEMA_VERSION`; when it can't be read and written; and when
    /// the SQLite library is one that can damage it. A file that is refused is not changed.
    ///
    /// ```
    /// let error = audited::SqliteStore::open(":memory:").unwrap_err();
    /// assert!(error.to_string().contains("lost when the program ends"));
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().open(path)
    }

    pub(crate) fn new(
        path: PathBuf,
        file: FileId,
        options: SqliteStoreBuilder,
        connection: (Connection, Home),
    ) -> Self {
        let writer = Writer::default();
        Self { path, file, options, connection: Some(connection), closed: false, writer }
    }

    /// Settings for a store, to be changed before it is opened.
    #[must_use]
    pub fn builder() -> SqliteStoreBuilder {
        SqliteStoreBuilder::default()
    }

    /// Limits the size of the file for this store's own writes, to see what a full disk does.
    #[doc(hidden)]
    pub fn limit_pages(&mut self, pages: u32) -> Result<(), Error> {
        let Some((connection, _)) = &self.connection else { return Err(self.closed_error()) };
        connection
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .map_err(|error| explain("limit", &self.path, error))
    }

    fn closed_error(&self) -> Error {
        Error::permanent(format!(
            "cannot write to the audit trail `{}`: the store is closed; open it again",
            self.path.display()
        ))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path)
            .field("options", &self.options)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl Sink for SqliteStore {
    /// Stores `records` in one transaction.
    ///
    /// A record whose id the trail holds already is not stored again, so after an error the same
    /// records may be offered once more, to this store or to another of the same file.
    ///
    /// # Errors
    ///
    /// Transient ones when another connection holds the lock for longer than the
    /// [busy timeout](SqliteStoreBuilder::busy_timeout), when the disk is full or fails, and, on
    /// Unix, when the path no longer names the file that was opened. Permanent ones when the file
    /// is damaged, when a newer program has changed its schema, when a record is too large, when
    /// another record has its id, and after [`close`](Sink::close).
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        if self.closed {
            return Err(self.closed_error());
        }
        if records.is_empty() {
            return Ok(());
        }
        self.file.check("write to", &self.path)?;
        // Taken out, so that it is gone if this panics half-way.
        let (mut connection, home) = match self.connection.take() {
            Some(connection) => connection,
            None => {
                self.writer = Writer::default();
                self.options.connect(&self.path)?
            }
        };
        let result = self.writer.store(&mut connection, home, &self.path, records);
        let spoilt = result.as_ref().is_err_and(Failure::spoils_connection);
        if !spoilt && connection.is_autocommit() {
            self.connection = Some((connection, home));
        }
        result.map_err(|failure| failure.into_error("write to", &self.path))?;
        // Again: it may have been moved away while this batch was on its way.
        self.file.check("write to", &self.path)
    }

    /// A reader with a connection of its own, which it opens when it is first asked. It goes on after the
    /// store is closed.
    fn reader(&mut self) -> Result<Option<Box<dyn ChangeReader>>, Error> {
        Ok(Some(Box::new(Reader::new(self.path.clone(), self.file, self.options.clone()))))
    }

    /// Moves what is in the `-wal` file into the trail as far as readers allow, and closes it.
    fn close(&mut self) -> Result<(), Error> {
        self.closed = true;
        let Some((connection, _)) = self.connection.take() else { return Ok(()) };
        // Best effort: what stays in the `-wal` file is no less stored. PASSIVE waits for nobody.
        let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        connection.close().map_err(|(_, error)| explain("close", &self.path, error))
    }
}
