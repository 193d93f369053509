//! [`SqliteStoreBuilder`]: how the file is opened, and the settings of a connection.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use audit_core::Error;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::SqliteStore;
use crate::error::{Failure, explain_create};
use crate::file::{self, FileId};
use crate::migrate::{self, Home};

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
    shared: bool,
}

impl Default for SqliteStoreBuilder {
    fn default() -> Self {
        Self { busy_timeout: Duration::from_secs(5), shared: false }
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

    /// Whether the database may be another program's, such as your own, which then holds the trail beside
    /// its own tables: no unless told.
    ///
    /// It is what records need that shall commit or roll back together with your own changes. What is
    /// added are the views `audit_log` and `audit_changes`, and tables, indexes and triggers whose names begin with
    /// `audit_`; the version of their schema is kept in the table `audit_schema`. `application_id`,
    /// `user_version`, the journal mode and everything else in the database stay as they are. A trail that
    /// has its file to itself stays that as well, and an empty file is left for you to make yours.
    ///
    /// In a database that keeps a rollback journal, SQLite's default, a reader makes writers wait, the
    /// recorder among them. `PRAGMA journal_mode = WAL`, executed once by you, ends that.
    ///
    /// ```
    /// # use audited::{Kind, Record, Sink, SqliteStore};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("shop.db");
    /// let shop = rusqlite::Connection::open(&path)?;
    /// shop.execute_batch("PRAGMA user_version = 7; CREATE TABLE orders (id INTEGER PRIMARY KEY)")?;
    ///
    /// assert!(SqliteStore::open(&path).is_err());
    /// let mut store = SqliteStore::builder().shared(true).open(&path)?;
    /// store.write(&[Record::new(Kind::Event, "open the shop", "2026-01-02T03:04:05Z".parse()?)])?;
    ///
    /// let version: i64 = shop.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    /// let action: String = shop.query_row("SELECT action FROM audit_log", [], |row| row.get(0))?;
    /// assert_eq!((version, &*action), (7, "open the shop"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }

    /// Opens the trail at `path`.
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open`]; with [`shared`](Self::shared), a database of another program is refused
    /// only where it has a table or view of a name that the trail needs.
    pub fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore, Error> {
        migrate::check_library(rusqlite::version_number())?;
        let path = file::resolve(path.as_ref())?;
        file::ensure(&path)?;
        let connection = self.connect(&path)?;
        let file = FileId::of(&path).map_err(|error| explain_create(&path, error))?;
        Ok(SqliteStore::new(path, file, self, connection))
    }

    /// A connection to write by, and what the trail is in its database.
    pub(crate) fn connect(&self, path: &Path) -> Result<(Connection, Home), Error> {
        self.try_connect(path).map_err(|failure| failure.into_error("open", path))
    }

    fn try_connect(&self, path: &Path) -> Result<(Connection, Home), Failure> {
        let has_log = sibling(path, "-wal").exists();
        let mut connection = self.raw_connect(path)?;
        // Should the file turn out to be another program's, a log that it has left stays its own.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
        let home = self.patiently(|| migrate::migrate(&mut connection, path, self.shared))?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        if home == Home::Own {
            self.patiently(|| use_log(&connection, path))?;
        }
        configure(&connection)?;
        Ok((connection, home))
    }

    /// A connection to read by.
    ///
    /// It could write, but for `query_only`: a connection that can't is unable to recover the file after a
    /// crash, and leaves the `-wal` file behind when it is the last to close.
    pub(crate) fn connect_to_read(&self, path: &Path) -> Result<(Connection, Home), Failure> {
        let connection = self.raw_connect(path)?;
        connection.pragma_update(None, "query_only", true)?;
        let (home, _) = migrate::identify(&connection, path, self.shared)?;
        Ok((connection, home))
    }

    fn raw_connect(&self, path: &Path) -> rusqlite::Result<Connection> {
        // Neither CREATE nor URI: the file is there, and the path is a path.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(self.busy_timeout)?;
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
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    // With the log, a commit survives the end of the process, and the trail survives the loss of power, but the
    // last commits before it may be missing. With the journal that another program keeps, NORMAL could
    // cost it the whole database.
    let synchronous = if mode == "wal" { "NORMAL" } else { "FULL" };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // The `-wal` file shrinks to this again after a reader that stayed long made it grow.
    connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
