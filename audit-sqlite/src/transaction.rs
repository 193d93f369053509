//! [`transaction`] and [`InTransaction::scope`]: run a closure and write its records into the
//! caller's transaction.
//!
//! No queue is involved: a [`Collector`] keeps the records, and the caller's thread writes them.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use audit_core::Collector;
use audit_record::{Error, Record};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::record_in::{InTransaction, record_in};

impl InTransaction<'_> {
    /// Runs `f` and writes the records of everything that it does on this thread into the
    /// transaction: calls, changes, and events. Other threads are not included.
    ///
    /// The records follow the settings of the installed recorder (masks, limits, site, service),
    /// but do not go through it.
    ///
    /// A [`Tracked`](audit_core::Tracked) object that is saved inside `f` is considered saved. This
    /// method does not know how your transaction ends. After a rollback, load such objects again;
    /// otherwise their next save does not report the changes that were rolled back. The function
    /// [`transaction`] handles this by itself.
    ///
    /// # Errors
    ///
    /// See [`write`](InTransaction::write). It also fails if `f` produces more than 64 MiB of
    /// records, because some are then missing. Roll the transaction back in that case; otherwise it
    /// contains changes that are not recorded.
    ///
    /// # Panics
    ///
    /// If `f` panics, the panic is resumed with its payload, and nothing is written.
    ///
    /// ```
    /// use audited::{SqliteStore, Tracked, audited_fields, record_in};
    ///
    /// #[audited_fields(total; key = id)]
    /// struct Order { id: i64, total: u32 }
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("shop.db");
    /// let mut shop = rusqlite::Connection::open(&path)?;
    /// shop.execute_batch("CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER)")?;
    /// SqliteStore::builder().shared(true).open(&path)?; // adds the tables of the trail
    ///
    /// let transaction = shop.transaction()?;
    /// let mut order = Tracked::new(Order { id: 1, total: 500 });
    /// record_in(&transaction)?.scope(|| {
    ///     order.save(|order| transaction.execute("INSERT INTO orders VALUES (?1, ?2)", [order.id, order.total.into()]))
    /// })??;
    /// transaction.commit()?; // the order and its record, or neither
    ///
    /// let change = "SELECT target_id || ' ' || field || ' ' || after FROM audit_changes";
    /// assert_eq!(shop.query_row(change, [], |row| row.get::<_, String>(0))?, "1 total 500");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scope<R>(&mut self, f: impl FnOnce() -> R) -> Result<R, Error> {
        // Dropped without `committed`, it counts as rolled back: if the records are missing, or
        // after a panic, the transaction must not be committed.
        let collector = Collector::new();
        let value = collector.scope(f);
        self.write(&collector.take()?)?;
        collector.committed();
        Ok(value)
    }
}

/// Runs `f` in a new transaction on `connection` and records it there: changes and records commit
/// or roll back together. If it is rolled back, because `f` fails or panics, the *attempt* is still
/// recorded.
///
/// The trail must be in the same file, as for [`record_in`]. The transaction takes the write lock
/// at its start (`BEGIN IMMEDIATE`). The record of an attempt is written after the rollback, in a
/// separate transaction; see [`Record::rolled_back`]. A [`Tracked`](audit_core::Tracked) object
/// that was saved in it then returns to its previous state, so that the next save reports its
/// changes.
///
/// # Errors
///
/// Returns the error of `f`. Its type `E` must implement `From<audited::Error>`: `Box<dyn Error>` and
/// `anyhow::Error` do, `rusqlite::Error` does not. It also fails like [`InTransaction::scope`], with everything rolled
/// back, and if the transaction can't be begun or committed. If the record of a failed attempt
/// can't be written, the error of `f` is returned. The other error is logged as a `tracing`
/// warning.
///
/// # Panics
///
/// If `f` panics, the panic is resumed with its payload.
///
/// ```
/// use audited::{SqliteStore, audit_method, transaction};
///
/// #[audit_method(action = "place order", skip(db))]
/// fn place(db: &rusqlite::Connection, item: &str, count: u32) -> Result<i64, rusqlite::Error> {
///     db.execute("INSERT INTO orders VALUES (?1, ?2)", (item, count))?;
///     Ok(db.last_insert_rowid())
/// }
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("shop.db");
/// let mut shop = rusqlite::Connection::open(&path)?;
/// shop.execute_batch("CREATE TABLE orders (item TEXT, count INTEGER CHECK (count > 0))")?;
/// SqliteStore::builder().shared(true).open(&path)?;
///
/// let two = transaction(&mut shop, |db| {
///     place(db, "tea", 2)?;
///     Ok(place(db, "cup", 0)?) // refused by the table: the tea is not ordered either
/// });
/// assert!(two.is_err_and(|error: Box<dyn std::error::Error>| error.to_string().contains("CHECK")));
///
/// let count = |sql| shop.query_row(sql, [], |row| row.get::<_, i64>(0));
/// assert_eq!(count("SELECT count(*) FROM orders")?, 0);
/// assert_eq!(count("SELECT count(*) FROM audit_log WHERE outcome = 'failure'")?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn transaction<R, E: From<Error>>(
    connection: &mut Connection,
    f: impl FnOnce(&Transaction<'_>) -> Result<R, E>,
) -> Result<R, E> {
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let transaction = begun.map_err(|error| explain("begin", error))?;
    let mut writer = record_in(&transaction)?;
    let collector = Collector::new();
    let outcome = catch_unwind(AssertUnwindSafe(|| collector.scope(|| f(&transaction))));
    let records = collector.take();
    let (outcome, records, rolled_back) = match outcome {
        Ok(Ok(value)) => {
            let records = records?;
            writer.write(&records)?;
            match transaction.commit() {
                Ok(()) => {
                    collector.committed();
                    return Ok(value);
                }
                // For example a deferred constraint. Dropping the transaction has rolled it back.
                Err(error) => (Ok(Err(explain("commit", error).into())), Ok(records), Ok(())),
            }
        }
        other => (other, records, transaction.rollback()),
    };
    let attempts = records.map(|all| all.into_iter().map(Record::rolled_back).collect::<Vec<_>>());
    let written = rolled_back
        .map_err(|error| explain("roll back", error))
        .and(attempts)
        .and_then(|attempts| write_attempts(connection, &attempts));
    if let Err(error) = written {
        tracing::warn!(target: "audited", "cannot record a failed attempt: {error}");
    }
    match outcome {
        Ok(result) => result,
        Err(payload) => resume_unwind(payload),
    }
}

fn write_attempts(connection: &mut Connection, attempts: &[Record]) -> Result<(), Error> {
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let transaction = begun.map_err(|error| explain("begin", error))?;
    record_in(&transaction)?.write(attempts)?;
    transaction.commit().map_err(|error| explain("commit", error))
}

fn explain(operation: &str, error: rusqlite::Error) -> Error {
    let text = format!("cannot {operation} the transaction: {error}; nothing of it is stored");
    Error::transient(text).with_source(error)
}
