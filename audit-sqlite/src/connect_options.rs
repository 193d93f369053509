//! [`ConnectOptions`]: the settings of a store, and how they are applied to a new connection.

use std::path::Path;
use std::time::{Duration, Instant};

use audit_record::Error;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::connection::{WriteConnection, finish_wal_replacement, forbid_checkpoint_on_close};
use crate::error::{OTHER_CONTENT, StoreError};
use crate::file::sibling;
use crate::identity::TrailIdentity;
use crate::migrate::{self, DatabaseKind};
use crate::schema::SCHEMA_VERSION;

/// What [`SqliteStoreBuilder`](crate::SqliteStoreBuilder) sets. The store and its readers keep a
/// copy, because they open new connections later.
#[derive(Clone, Debug)]
pub(crate) struct ConnectOptions {
    pub(crate) busy_timeout: Duration,
    pub(crate) shared: bool,
    pub(crate) network_file_system: bool,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { busy_timeout: Duration::from_secs(5), shared: false, network_file_system: false }
    }
}

impl ConnectOptions {
    /// Opens a connection for writing. Migrates the schema and turns on WAL mode where the database
    /// belongs to the trail.
    pub(crate) fn connect_for_writing(&self, path: &Path) -> Result<WriteConnection, Error> {
        self.try_connect(path).map_err(|failure| failure.into_error("open", path))
    }

    fn try_connect(&self, path: &Path) -> Result<WriteConnection, StoreError> {
        let has_wal = sibling(path, "-wal").exists();
        let mut connection = self.open(path)?;
        // If the file turns out to be another program's, the log that it has left stays as it is.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_wal)?;
        let kind =
            self.retry_while_busy(|| migrate::migrate(&mut connection, path, self.shared))?;
        self.prepare_for_writing(connection, kind, path)
    }

    /// Opens a new connection to the trail that a store had open before. Nothing is written to a
    /// file that has lost the content of that trail.
    pub(crate) fn reconnect_for_writing(
        &self,
        operation: &str,
        path: &Path,
        trail: &TrailIdentity,
    ) -> Result<WriteConnection, StoreError> {
        let connection = self.open(path)?;
        forbid_checkpoint_on_close(&connection);
        trail.check(&connection, operation, path)?;
        let found = migrate::identify(&connection, path, self.shared)?;
        if found != (trail.kind, SCHEMA_VERSION) {
            return Err(StoreError::lost(operation, path, OTHER_CONTENT));
        }
        self.prepare_for_writing(connection, trail.kind, path)
    }

    fn prepare_for_writing(
        &self,
        connection: Connection,
        kind: DatabaseKind,
        path: &Path,
    ) -> Result<WriteConnection, StoreError> {
        // `WriteConnection::close` runs the checkpoint.
        forbid_checkpoint_on_close(&connection);
        match kind {
            DatabaseKind::Dedicated => self.retry_while_busy(|| use_wal(&connection, path))?,
            DatabaseKind::Shared => finish_wal_replacement(&connection, path),
        }
        // The triggers keep other programs from changing the trail. The store itself only adds rows
        // with the next `seq`, and the table refuses an id that exists. Triggers would only cost
        // time.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        Ok(WriteConnection::new(connection, kind, self.busy_timeout)?)
    }

    /// Opens a connection for reading.
    ///
    /// Only `query_only` keeps it from writing. A connection that was opened read-only could not
    /// recover the file after a crash, and would leave the `-wal` file behind when it closes last.
    pub(crate) fn connect_for_reading(
        &self,
        path: &Path,
    ) -> Result<(Connection, DatabaseKind), StoreError> {
        let connection = self.open(path)?;
        connection.pragma_update(None, "query_only", true)?;
        let (kind, _) = migrate::identify(&connection, path, self.shared)?;
        Ok((connection, kind))
    }

    fn open(&self, path: &Path) -> rusqlite::Result<Connection> {
        // Neither CREATE nor URI: the file exists, and the path is a path.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(self.busy_timeout)?;
        Ok(connection)
    }

    /// Repeats `step` while another connection holds a lock, at most for the busy timeout. SQLite
    /// itself does not wait when two connections change the journal mode of one file.
    fn retry_while_busy<T>(
        &self,
        mut step: impl FnMut() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        loop {
            match step() {
                Err(failure) if failure.is_busy() && started.elapsed() < self.busy_timeout => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                result => return result,
            }
        }
    }
}

/// Turns on the write-ahead log, so that readers and the writer do not wait for each other.
fn use_wal(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode == "wal" {
        return Ok(());
    }
    Err(StoreError::Explained(Error::permanent(format!(
        "cannot open the audit trail `{}`: its file system does not support a write-ahead log \
         (journal mode `{mode}`); move it to a local disk",
        path.display()
    ))))
}
