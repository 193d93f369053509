//! [`SqliteStoreBuilder`]: the settings of a [`SqliteStore`], and how a trail is opened.

use std::path::Path;
use std::time::Duration;

use audit_record::Error;
use audit_record::process::hold_off_forks;

use crate::connect_options::ConnectOptions;
use crate::connection::WalTrust;
use crate::error::explain_create;
use crate::file::{self, TrailFile};
use crate::fork::OpenFile;
use crate::migrate;
use crate::store::SqliteStore;

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
#[derive(Clone, Debug, Default)]
pub struct SqliteStoreBuilder {
    options: ConnectOptions,
}

impl SqliteStoreBuilder {
    /// Sets how long to wait for a lock that another connection holds: 5 seconds by default, 24
    /// days at most.
    ///
    /// After that, a write or an open fails with a transient error.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use audited::record::Kind;
    /// # use audited::store::Store;
    /// # use audited::Record;
    /// # use audited::SqliteStore;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("audit.db");
    /// let mut store = SqliteStore::builder().busy_timeout(Duration::ZERO).open(&path)?;
    ///
    /// let other = rusqlite::Connection::open(&path)?;
    /// other.execute_batch("BEGIN IMMEDIATE")?;
    /// let record = Record::new(Kind::Event, "lock up", "2026-01-02T03:04:05Z".parse()?);
    /// assert!(store.write(std::slice::from_ref(&record)).unwrap_err().is_transient());
    ///
    /// other.execute_batch("ROLLBACK")?;
    /// store.write(&[record])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        // SQLite counts milliseconds in an `int`.
        self.options.busy_timeout = timeout.min(Duration::from_millis(i32::MAX as u64));
        self
    }

    /// Allows the database to belong to another program, such as your own. It then holds the trail
    /// beside the tables of that program. The default is `false`.
    ///
    /// Use it for records that must commit or roll back together with your own changes. The store
    /// adds the views `audit_log`, `audit_changes`, `audit_sessions` and `audit_intents`, and
    /// tables, indexes and triggers whose names begin with `audit_`. The version of their schema is
    /// in the table `audit_schema`. `application_id`, `user_version`, the journal mode and
    /// everything else in the database stay as they are. A trail that has its own file stays as it
    /// is. An empty file is treated as yours.
    ///
    /// In a database with a rollback journal, SQLite's default, a reader makes writers wait, the
    /// recorder included. Execute `PRAGMA journal_mode = WAL` once to avoid that.
    ///
    /// ```
    /// # use audited::record::Kind;
    /// # use audited::store::Store;
    /// # use audited::{Record, SqliteStore};
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
        self.options.shared = shared;
        self
    }

    /// Allows the trail to be on what Linux calls a network or cluster file system. The default is
    /// `false`: such a path is refused. Allow it only if you know that its locks and syncs work.
    ///
    /// Some sandboxes and virtual machines expose local folders through such a protocol: gVisor,
    /// WSL and Kata use 9P. There a trail is safe if only programs of this one system open it, and
    /// if the host syncs its disk when asked to. On a share that several machines write to, the
    /// trail **will** be damaged. The index of the `-wal` file is in shared memory, which works
    /// only within one machine.
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
        self.options.network_file_system = allowed;
        self
    }

    /// Opens the trail at `path`.
    ///
    /// # Errors
    ///
    /// See [`SqliteStore::open`]. With [`shared`](Self::shared), a database of another program is
    /// refused only if it has a table or view of a name that the trail needs.
    pub fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore, Error> {
        let options = self.options;
        migrate::check_library(rusqlite::version_number())?;
        let _forks = hold_off_forks();
        let paths = file::resolve(path.as_ref())?;
        file::ensure_exists(&paths.resolved, options.network_file_system)?;
        let file = TrailFile::of(&paths).map_err(|error| explain_create(&paths.resolved, error))?;
        let open_file = OpenFile::register(file.id(), &paths.resolved)?;
        let connection = options.connect_for_writing(&paths.resolved)?;
        // The connection has the log open now, so it will be told about a sync that fails from now
        // on.
        let wal = std::fs::metadata(file::sibling(&paths.resolved, "-wal"));
        let is_inherited = wal.is_ok_and(|wal| wal.len() > 0);
        let trust = if is_inherited { WalTrust::Inherited } else { WalTrust::Trusted };
        // The file may have been replaced just before it was opened.
        file.check("open", &paths.resolved)?;
        let mut store =
            SqliteStore::new(paths.resolved, (file, open_file), options, connection, trust)?;
        store.check_schema()?;
        Ok(store)
    }
}

impl SqliteStore {
    /// Opens the trail at `path` with the default settings of [`SqliteStore::builder`].
    ///
    /// A file that does not exist is created; on Unix, only its owner can read and write it. An
    /// existing file keeps its permissions. An empty file becomes a trail. A trail with an older
    /// schema is migrated.
    ///
    /// If another program has dropped or changed triggers, indexes or views of the trail, they are
    /// restored. A record of kind `system` with the action `schema restored` says which:
    /// `{"missing":["trigger audit_record_update"],"changed":["view audit_log"]}`. A store that is
    /// open does the same before its next batch, and about every 20 seconds.
    ///
    /// # Errors
    ///
    /// The path is refused if it is
    ///
    /// - empty, `:memory:`, a URI, a directory, a dangling symbolic link, or in a directory that
    ///   does not exist;
    /// - a file with a second name (hard link), or, on Linux, a file on a network file system (but
    ///   see [`network_file_system`](SqliteStoreBuilder::network_file_system));
    /// - not a database, or another program's database;
    /// - a trail whose schema is newer than `SCHEMA_VERSION`;
    /// - a trail that lacks a table, or in which a table of another program has the name of a view;
    /// - a file that can't be read and written.
    ///
    /// A SQLite library that can damage the file is refused as well. A refused file is not changed.
    ///
    /// ```
    /// let error = audited::SqliteStore::open(":memory:").unwrap_err();
    /// assert!(error.to_string().contains("lost when the program ends"));
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().open(path)
    }

    /// Returns settings for a store, which can be changed before it is opened.
    #[must_use]
    pub fn builder() -> SqliteStoreBuilder {
        SqliteStoreBuilder::default()
    }
}
