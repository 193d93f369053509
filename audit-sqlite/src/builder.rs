//! [`SqliteStoreBuilder`]: how the file is opened, and the settings of a connection.

use std::path::Path;
use std::time::{Duration, Instant};

use audit_record::Error;
use audit_record::process::hold_off_forks;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{Failure, explain_create};
use crate::file::{self, TrailFile};
use crate::link::{Link, finish_rescue};
use crate::migrate::{self, Home};
use crate::process::OpenFile;
use crate::store::Doubt;
use crate::{SqliteStore, write};

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
    network_file_system: bool,
}

impl Default for SqliteStoreBuilder {
    fn default() -> Self {
        Self { busy_timeout: Duration::from_secs(5), shared: false, network_file_system: false }
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
    /// added are the views `audit_log`, `audit_changes`, `audit_sessions` and `audit_intents`, and tables, indexes and
    /// triggers whose names begin with `audit_`; the version of their schema is kept in the table `audit_schema`. `application_id`,
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

    /// Whether the trail may be on what Linux calls a network or cluster file system, which is refused unless told: you
    /// vouch that its locks and syncs work.
    ///
    /// Some sandboxes and virtual machines hand local folders through by such a protocol: gVisor, WSL and Kata by 9P.
    /// There, a trail is safe as long as only programs of this one system open it, and as the other side writes to its
    /// disk what it is told to sync. On a share that several machines write to, nobody can vouch for it: the index of
    /// the `-wal` file is shared memory, which machines have not in common, and the trail will be damaged.
    ///
    /// ```
    /// # use audited::SqliteStore;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("audit.db");
    /// // On a local disk, it changes nothing.
    /// let store = SqliteStore::builder().network_file_system(true).open(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn network_file_system(mut self, allowed: bool) -> Self {
        self.network_file_system = allowed;
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
        let _forks = hold_off_forks();
        let names = file::resolve(path.as_ref())?;
        file::ensure(&names.real, self.network_file_system)?;
        let file = TrailFile::of(&names).map_err(|error| explain_create(&names.real, error))?;
        let open = OpenFile::new(file.id(), &names.real)?;
        let log = std::fs::metadata(file::sibling(&names.real, "-wal"));
        let doubt = if log.is_ok_and(|log| log.len() > 0) { Doubt::Older } else { Doubt::None };
        let link = self.connect(&names.real)?;
        // It may have been replaced just before it was opened.
        file.check("open", &names.real)?;
        Ok(SqliteStore::new(names.real, (file, open), self, link, doubt))
    }

    /// A connection to write by.
    pub(crate) fn connect(&self, path: &Path) -> Result<Link, Error> {
        self.try_connect(path).map_err(|failure| failure.into_error("open", path))
    }

    fn try_connect(&self, path: &Path) -> Result<Link, Failure> {
        let has_log = file::sibling(path, "-wal").exists();
        let mut connection = self.raw_connect(path)?;
        // Should the file turn out to be another program's, a log that it has left stays its own.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
        let home = self.patiently(|| migrate::migrate(&mut connection, path, self.shared))?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        match home {
            Home::Own => self.patiently(|| use_log(&connection, path))?,
            Home::Shared => finish_rescue(&connection, path),
        }
        write::prepare(&connection)?;
        Ok(Link::new(connection, home, self.busy_timeout)?)
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
