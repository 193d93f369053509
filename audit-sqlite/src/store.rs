//! [`SqliteStore`]: opens the trail, and keeps the connection in good order.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use audit_core::{Error, Record, Sink};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{Failure, explain, explain_create};
use crate::file::{self, FileId};
use crate::migrate;
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
    connection: Option<Connection>,
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

    /// Settings for a store, to be changed before it is opened.
    #[must_use]
    pub fn builder() -> SqliteStoreBuilder {
        SqliteStoreBuilder::default()
    }

    /// Limits the size of the file for this store's own writes, to see what a full disk does.
    #[doc(hidden)]
    pub fn limit_pages(&mut self, pages: u32) -> Result<(), Error> {
        let Some(connection) = &self.connection else { return Err(self.closed_error()) };
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
        self.file.check(&self.path)?;
        // Taken out, so that it is gone if this panics half-way.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                self.writer = Writer::default();
                self.options.connect(&self.path)?
            }
        };
        let result = self.writer.store(&mut connection, &self.path, records);
        let spoilt = result.as_ref().is_err_and(Failure::spoils_connection);
        if !spoilt && connection.is_autocommit() {
            self.connection = Some(connection);
        }
        result.map_err(|failure| failure.into_error("write to", &self.path))?;
        // Again: it may have been moved away while this batch was on its way.
        self.file.check(&self.path)
    }

    /// Moves what is in the `-wal` file into the trail as far as readers allow, and closes it.
    fn close(&mut self) -> Result<(), Error> {
        self.closed = true;
        let Some(connection) = self.connection.take() else { return Ok(()) };
        // Best effort: what stays in the `-wal` file is no less stored. PASSIVE waits for nobody.
        let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        connection.close().map_err(|(_, error)| explain("close", &self.path, error))
    }
}

/// Settings for a [`SqliteStore`].
///
/// ```
/// use std::time::Duration;
/// use audited::SqliteStore;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("audit.db");
/// let store = SqliteStore::builder().busy_timeout(Duration::from_secs(30)).open(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStoreBuilder {
    busy_timeout: Duration,
}

impl Default for SqliteStoreBuilder {
    fn default() -> Self {
        Self { busy_timeout: Duration::from_secs(5) }
    }
}

impl SqliteStoreBuilder {
    /// How long to wait for a lock that another connection holds, before a write or an opening
    /// fails with a transient error: 5 seconds unless told, 24 days at most.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use audited::{Kind, Record, Sink};
    /// # use audited::SqliteStore;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("audit.db");
    /// let mut store = SqliteStore::builder().busy_timeout(Duration::ZERO).open(&path)?;
    ///
    /// let someone = rusqlite::Connection::open(&path)?;
    /// someone.execute_batch("BEGIN IMMEDIATE")?;
    /// let record = Record::new(Kind::Event, "lock up", "2026-01-02T03:04:05Z".parse()?);
    /// assert!(store.write(std::slice::from_ref(&record)).unwrap_err().is_transient());
    ///
    /// someone.execute_batch("ROLLBACK")?;
    /// store.write(&[record])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        // What SQLite can count, in milliseconds.
        self.busy_timeout = timeout.min(Duration::from_millis(i32::MAX as u64));
        self
    }

    /// Opens the trail at `path`.
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore, Error> {
        migrate::check_library(rusqlite::version_number())?;
        let path = file::resolve(path.as_ref())?;
        file::ensure(&path)?;
        let connection = self.connect(&path)?;
        let file = FileId::of(&path).map_err(|error| explain_create(&path, error))?;
        Ok(SqliteStore {
            path,
            file,
            options: self,
            connection: Some(connection),
            closed: false,
            writer: Writer::default(),
        })
    }

    fn connect(&self, path: &Path) -> Result<Connection, Error> {
        self.try_connect(path).map_err(|failure| failure.into_error("open", path))
    }

    fn try_connect(&self, path: &Path) -> Result<Connection, Failure> {
        let has_log = sibling(path, "-wal").exists();
        // Neither CREATE nor URI: the file is there, and the path is a path.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(self.busy_timeout)?;
        // Should the file turn out to be another program's, a log that it has left stays its own.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
        self.patiently(|| migrate::migrate(&mut connection, path))?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        self.patiently(|| use_log(&connection, path))?;
        configure(&connection)?;
        Ok(connection)
    }

    /// Repeats `step` while it fails for a lock, for as long as the busy timeout: SQLite itself
    /// does not wait where two connections change the journal mode of one file.
    fn patiently<T>(&self, mut step: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        let began = Instant::now();
        loop {
            match step() {
                Err(failure) if failure.is_busy() && began.elapsed() < self.busy_timeout => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                result => return result,
            }
        }
    }
}

/// Turns on the write-ahead log: readers and the writer do not wait for each other.
fn use_log(connection: &Connection, path: &Path) -> Result<(), Failure> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode == "wal" {
        return Ok(());
    }
    Err(Failure::Refused(Error::permanent(format!(
        "cannot open the audit trail `{}`: its file system does not support a write-ahead log \
         (journal mode `{mode}`); move it to a local disk",
        path.display()
    ))))
}

/// The settings that SQLite keeps by the connection. What a commit survives is decided here.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // A commit survives the end of the process, and the trail survives the loss of power, but
    // the last commits before it may be missing.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // The `-wal` file shrinks to this again after a reader that stayed long made it grow.
    connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
