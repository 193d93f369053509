//! [`record_in`]: records that commit or roll back together with the caller's own changes.

use std::path::Path;

use audit_record::{Error, Record};
use rusqlite::{Connection, ErrorCode, ffi};

use crate::error::Failure;
use crate::schema::{APPLICATION_ID, SCHEMA_VERSION};
use crate::write::Writer;

/// Takes part in the transaction that `transaction` has open, to write records into it.
///
/// Pass a `rusqlite::Transaction` or a `rusqlite::Savepoint`, or a connection on which `BEGIN` was
/// executed. The trail must be in the same file (the schema `main`); open it once with
/// [`SqliteStore`](crate::SqliteStore) before, by
/// [`shared(true)`](crate::SqliteStoreBuilder::shared) if the file is yours.
///
/// The transaction now takes the write lock, as `BEGIN IMMEDIATE` would, waiting for it as long as the
/// connection's busy timeout says; other writers, the recorder among them, wait until it ends. So keep it
/// short, and do not flush the recorder inside it, nor ask it for a history: that would wait for this very lock.
///
/// No statement stays prepared in the connection, and none of its settings is changed. What
/// [`last_insert_rowid`](Connection::last_insert_rowid) and [`changes`](Connection::changes) tell is
/// about the records after they were written: ask for your own before.
///
/// # Errors
///
/// Permanent ones when no transaction is open, when the database holds no trail, and when the trail's schema is
/// another than this crate's. Transient ones when the lock is not to be had, or the database can't be written
/// to. The transaction goes on as it was.
///
/// ```
/// use audited::{ChangeKind, FieldChange, Json, Kind, Record, SqliteStore, record_in};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("shop.db");
/// let mut shop = rusqlite::Connection::open(&path)?;
/// shop.execute_batch("CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT)")?;
/// SqliteStore::builder().shared(true).open(&path)?;
///
/// let at = "2026-01-02T03:04:05Z".parse()?;
/// let mut record = Record::new(Kind::Change, "place order", at);
/// let after = Some(Json::parse(r#""placed""#)?);
/// record.changes =
///     vec![FieldChange::new("Order", "1", ChangeKind::Created, "state", None, after, at)];
///
/// let transaction = shop.transaction()?;
/// transaction.execute("INSERT INTO orders (state) VALUES ('placed')", [])?;
/// record_in(&transaction)?.write(&[record])?;
/// transaction.rollback()?;
///
/// // Neither the order nor a record of it.
/// let count = "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM audit_log)";
/// assert_eq!(shop.query_row(count, [], |row| row.get::<_, i64>(0))?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn record_in(transaction: &Connection) -> Result<InTransaction<'_>, Error> {
    let within = InTransaction { connection: transaction, writer: Writer::default() };
    within.check()?;
    Ok(within)
}

/// A transaction of the caller's that records can be written into; see [`record_in`].
#[must_use = "records are written by `write`"]
pub struct InTransaction<'t> {
    connection: &'t Connection,
    writer: Writer,
}

impl InTransaction<'_> {
    /// Writes all of `records` into the transaction, in their order, or none of them.
    ///
    /// They are in the trail when the transaction commits, and never were when it rolls back. `seq` goes on
    /// without a gap in both cases. A record that the trail holds already is not stored again.
    ///
    /// # Errors
    ///
    /// As [`record_in`]; and when a record is too large, when another record has its id, and when the disk is
    /// full or fails. The transaction is then as it was before, with the caller's own changes in it, and may
    /// go on. There is one exception, which the message names: where a disk fails, or the caller interrupts
    /// its own statements, SQLite rolls back all of the transaction.
    ///
    /// ```
    /// # use audited::{Kind, Record};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("audit.db");
    /// # audited::SqliteStore::open(&path)?;
    /// let mut connection = rusqlite::Connection::open(&path)?;
    /// let transaction = connection.transaction()?;
    /// let record = Record::new(Kind::Event, "open the vault", "2026-01-02T03:04:05Z".parse()?);
    /// audited::record_in(&transaction)?.write(&[record])?;
    /// transaction.commit()?;
    /// # let newest = "SELECT action FROM audit_log WHERE seq = 1";
    /// # let newest: String = connection.query_row(newest, [], |row| row.get(0))?;
    /// # assert_eq!(newest, "open the vault");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        // Again: between two writes, the caller may have ended the transaction by SQL, and begun another.
        self.check()?;
        let result = self.writer.store_within(self.connection, records);
        result.map_err(|failure| self.explain(failure))
    }

    /// Takes the write lock, and makes sure that the trail is there and is one that this crate can write.
    fn check(&self) -> Result<(), Error> {
        if self.connection.is_autocommit() {
            return Err(Error::permanent(format!(
                "cannot write to the audit trail `{}`: the connection has no transaction open; begin one \
                 before `record_in`",
                self.path().display()
            )));
        }
        // First of all, before anything is read: a transaction that has only read can no longer be given
        // the lock once another one has written.
        match self.connection.execute("DELETE FROM main.audit_record WHERE false", []) {
            Ok(_) => {}
            // Most likely there is no such table.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => {
                return Err(self.no_trail(Some(error)));
            }
            Err(error) => return Err(self.explain(error.into())),
        }
        match self.version() {
            Ok(Some(SCHEMA_VERSION)) => Ok(()),
            Ok(Some(version)) if version > SCHEMA_VERSION => Err(Error::permanent(format!(
                "cannot write to the audit trail `{}`: its schema has version {version}, and this program \
                 knows versions up to {SCHEMA_VERSION}; update the `audited` crate",
                self.path().display()
            ))),
            Ok(_) => Err(self.no_trail(None)),
            Err(error) => Err(self.explain(error.into())),
        }
    }

    /// The version of the trail's schema. Statements are prepared anew, so that none stays in the cache.
    fn version(&self) -> rusqlite::Result<Option<i32>> {
        let number = |sql| self.connection.query_row(sql, [], |row| row.get(0));
        if number("PRAGMA main.application_id")? == Some(APPLICATION_ID) {
            return number("PRAGMA main.user_version");
        }
        let has_table = "SELECT count(*) FROM main.sqlite_schema WHERE name = 'audit_schema'";
        if number(has_table)? == Some(0) {
            return Ok(None);
        }
        number("SELECT max(version) FROM main.audit_schema")
    }

    fn no_trail(&self, source: Option<rusqlite::Error>) -> Error {
        let error = Error::permanent(format!(
            "cannot write to the audit trail: the database `{}` holds none of schema version \
             {SCHEMA_VERSION}; open the file once with `SqliteStore` before (by \
             `SqliteStore::builder().shared(true)` if it is not the trail's alone)",
            self.path().display()
        ));
        match source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }

    fn explain(&self, failure: Failure) -> Error {
        let path = self.path().display();
        if let Failure::Sqlite(error) = failure {
            let stale = error
                .sqlite_error()
                .is_some_and(|error| error.extended_code == ffi::SQLITE_BUSY_SNAPSHOT);
            if stale {
                return Error::transient(format!(
                    "cannot write to the audit trail `{path}`: another connection has written since this \
                     transaction began to read; roll it back, and begin it with \
                     `TransactionBehavior::Immediate`"
                ))
                .with_source(error);
            }
            if self.connection.is_autocommit() {
                return Error::transient(format!(
                    "cannot write to the audit trail `{path}`: SQLite has rolled back the whole transaction; \
                     the source of this error says why"
                ))
                .with_source(error);
            }
            return Failure::Sqlite(error).into_error("write to", self.path());
        }
        failure.into_error("write to", self.path())
    }

    fn path(&self) -> &Path {
        Path::new(self.connection.path().unwrap_or_default())
    }
}

impl std::fmt::Debug for InTransaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InTransaction").field("path", &self.path()).finish_non_exhaustive()
    }
}
