//! [`record_in`]: writes records into the caller's own transaction.

use std::path::Path;

use audit_record::{Error, Record};
use rusqlite::{Connection, ErrorCode, ffi};

use crate::error::StoreError;
use crate::insert::{CALLER_TRANSACTION, Inserter, retry_on_conflict};
use crate::schema::{APPLICATION_ID, SCHEMA_VERSION};
use crate::session::delete_recorded_intents;

/// Prepares to write records into the transaction that is open on `transaction`.
///
/// Pass a `rusqlite::Transaction` or a `rusqlite::Savepoint`, or a connection on which `BEGIN` was
/// executed. The trail must be in the same file (the schema `main`). Open it once before with
/// [`SqliteStore`](crate::SqliteStore), and with
/// [`shared(true)`](crate::SqliteStoreBuilder::shared) if the file is yours.
///
/// This takes the write lock, as `BEGIN IMMEDIATE` would, and waits for it up to the connection's
/// busy timeout. Other writers, the recorder included, wait until the transaction ends. So keep it
/// short. Do not flush the recorder inside it, and do not read a history: both would wait for the
/// same lock.
///
/// No statement stays prepared in the connection, and its settings are not changed.
/// [`last_insert_rowid`](Connection::last_insert_rowid) and [`changes`](Connection::changes) refer
/// to the records once those are written, so read the values of your own statements before.
///
/// # Errors
///
/// The error is permanent if no transaction is open, if the database holds no trail, or if the
/// schema version of the trail differs. It is transient if the lock can't be taken, or the database
/// can't be written to. The transaction stays open and unchanged.
///
/// ```
/// use audited::record::{ChangeKind, FieldChange, Kind};
/// use audited::{Json, Record, SqliteStore, record_in};
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
/// // Neither the order nor its record exists.
/// let count = "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM audit_log)";
/// assert_eq!(shop.query_row(count, [], |row| row.get::<_, i64>(0))?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn record_in(transaction: &Connection) -> Result<InTransaction<'_>, Error> {
    let writer = InTransaction { connection: transaction, inserter: Inserter::default() };
    writer.check()?;
    Ok(writer)
}

/// Writes records into a transaction of the caller; see [`record_in`].
#[must_use = "records are written by `write`"]
pub struct InTransaction<'t> {
    connection: &'t Connection,
    inserter: Inserter,
}

impl InTransaction<'_> {
    /// Writes all of `records` into the transaction, in their order, or none of them.
    ///
    /// They are in the trail once the transaction commits. After a rollback, they never were. In
    /// both cases, `seq` continues without holes. A record that is in the trail already is not
    /// stored again.
    ///
    /// # Errors
    ///
    /// See [`record_in`]. It also fails if a record is too large, if a different record has its id,
    /// and if the disk is full or fails. The transaction is then as it was before, with the
    /// caller's own changes, and can continue. There is one exception, which the message names: if
    /// a disk fails, or the caller interrupts its own statements, SQLite rolls back the whole
    /// transaction.
    ///
    /// ```
    /// # use audited::record::Kind;
    /// # use audited::Record;
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
        // Checked again: since the last write, the caller may have ended the transaction by SQL and
        // begun another.
        self.check()?;
        self.insert(records).map_err(|failure| self.explain(failure))
    }

    fn insert(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let Self { connection, inserter } = self;
        // The caller may have rolled back to its own savepoint, and with it names that were added.
        inserter.forget_names();
        retry_on_conflict(|some_stored| {
            let savepoint = Savepoint::new(connection)?;
            // `None`: no recorder writes these records.
            inserter.insert(connection, &CALLER_TRANSACTION, None, records, some_stored)?;
            delete_recorded_intents(connection, records)?;
            savepoint.release()
        })
    }

    /// Takes the write lock, and checks that the database holds a trail that this crate can write.
    fn check(&self) -> Result<(), Error> {
        if self.connection.is_autocommit() {
            return Err(Error::permanent(format!(
                "cannot write to the audit trail `{}`: the connection has no transaction open; \
                 begin one before `record_in`",
                self.path().display()
            )));
        }
        // Before anything is read: a transaction that has only read can no longer take the lock
        // once another connection has written.
        match self.connection.execute("DELETE FROM main.audit_record WHERE false", []) {
            Ok(_) => {}
            // Most likely the table does not exist.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => {
                return Err(self.no_trail(Some(error)));
            }
            Err(error) => return Err(self.explain(error.into())),
        }
        match self.version() {
            Ok(Some(SCHEMA_VERSION)) => Ok(()),
            Ok(Some(version)) if version > SCHEMA_VERSION => Err(Error::permanent(format!(
                "cannot write to the audit trail `{}`: its schema has version {version}, but this \
                 program supports versions up to {SCHEMA_VERSION}; update the `audited` crate",
                self.path().display()
            ))),
            Ok(_) => Err(self.no_trail(None)),
            Err(error) => Err(self.explain(error.into())),
        }
    }

    /// The version of the trail's schema. The statements are not cached, so that none stays in the
    /// caller's connection.
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
            "cannot write to the audit trail: the database `{}` has no trail with schema version \
             {SCHEMA_VERSION}; open the file once with `SqliteStore` before (with \
             `SqliteStore::builder().shared(true)` if it holds other tables too)",
            self.path().display()
        ));
        match source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }

    fn explain(&self, failure: StoreError) -> Error {
        let path = self.path().display();
        if let StoreError::Sqlite(error) = failure {
            let is_stale = error
                .sqlite_error()
                .is_some_and(|error| error.extended_code == ffi::SQLITE_BUSY_SNAPSHOT);
            if is_stale {
                return Error::transient(format!(
                    "cannot write to the audit trail `{path}`: another connection has written \
                     since this transaction began to read; roll it back, and begin it with \
                     `TransactionBehavior::Immediate`"
                ))
                .with_source(error);
            }
            if self.connection.is_autocommit() {
                return Error::transient(format!(
                    "cannot write to the audit trail `{path}`: SQLite has rolled back the whole \
                     transaction; the source of this error says why"
                ))
                .with_source(error);
            }
            return StoreError::Sqlite(error).into_error("write to", self.path());
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

/// A part of the caller's transaction that is undone on drop, unless it was released.
///
/// `rusqlite::Savepoint` needs a `&mut Connection`, which the caller's transaction holds.
struct Savepoint<'t> {
    connection: &'t Connection,
    released: bool,
}

impl<'t> Savepoint<'t> {
    fn new(connection: &'t Connection) -> Result<Self, StoreError> {
        connection.execute_batch("SAVEPOINT audit_records")?;
        Ok(Self { connection, released: false })
    }

    /// Keeps what was done, as a part of the surrounding transaction.
    fn release(mut self) -> Result<(), StoreError> {
        self.connection.execute_batch("RELEASE audit_records")?;
        self.released = true;
        Ok(())
    }
}

impl Drop for Savepoint<'_> {
    fn drop(&mut self) {
        // After some errors, such as a full disk, SQLite has rolled back the whole transaction.
        if !self.released && !self.connection.is_autocommit() {
            // If this fails, the commit fails as well, and reports it.
            let _ =
                self.connection.execute_batch("ROLLBACK TO audit_records; RELEASE audit_records");
        }
    }
}

#[cfg(test)]
mod tests {
    use audit_record::Kind;

    use super::*;
    use crate::insert::tests::{caller_statements, is_cached};
    use crate::schema::NEW;

    #[test]
    fn no_statement_stays_in_the_callers_connection() {
        let mut connection = Connection::open_in_memory().unwrap();
        NEW.iter().for_each(|step| connection.execute_batch(step).unwrap());
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.pragma_update(None, "user_version", SCHEMA_VERSION).unwrap();
        let record = Record::new(Kind::Event, "look", "2026-01-02T03:04:05Z".parse().unwrap());
        let mut other = record.clone();
        other.action = "look away".into();
        let transaction = connection.transaction().unwrap();
        let mut writer = record_in(&transaction).unwrap();
        writer.write(std::slice::from_ref(&record)).unwrap();
        writer.write(&[record]).unwrap();
        writer.write(&[other]).unwrap_err();
        transaction.commit().unwrap();
        for sql in caller_statements() {
            assert!(!is_cached(&connection, sql), "{sql}");
        }
    }
}
