//! [`transaction`] and [`InTransaction::scope`]: what runs in the caller's transaction is recorded in it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use audit_core::Collector;
use audit_record::{Error, Record};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::transaction::{InTransaction, record_in};

impl InTransaction<'_> {
    /// Runs `f`, and writes the records of what runs in it into the transaction: calls, changes, and
    /// whatever else it records on this thread. No other thread takes part in it.
    ///
    /// The records are made under the settings of the recorder in place (its masks, limits, site and service),
    /// but they don't go there.
    ///
    /// A [`Tracked`](audit_core::Tracked) object that was saved in it takes itself for stored. This does not learn
    /// what becomes of your transaction: after a rollback, load such objects anew, or what was taken back will not be told
    /// when it is saved again. [`transaction`] takes care of that by itself.
    ///
    /// # Errors
    ///
    /// As [`write`](InTransaction::write), and when `f` makes more than 64 MiB of records: some are missing
    /// then. Roll the transaction back, or it holds changes that are not on the record.
    ///
    /// # Panics
    ///
    /// When `f` panics, with its payload. Nothing is written then.
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
        let collector = Collector::new();
        // Without its records, or after a panic, the transaction is not to be committed.
        let undo = Undo(&collector);
        let value = collector.scope(f);
        self.write(&collector.take()?)?;
        undo.not();
        Ok(value)
    }
}

/// Runs `f` in a transaction of its own on `connection`, and records it there: changes and records commit or roll
/// back together. If it is rolled back, for `f` failed or panicked, that it was *tried* is recorded all the same.
///
/// The trail must be in the same file, as for [`record_in`]. The transaction begins with the write lock (`BEGIN IMMEDIATE`).
/// The record of an attempt is written after the rollback, in a transaction of its own: see
/// [`Record::rolled_back`]. A [`Tracked`](audit_core::Tracked) object that was saved in it is then as before, so
/// that the next save tells its changes.
///
/// # Errors
///
/// Those of `f`; and as [`InTransaction::scope`], with everything rolled back, and when the transaction can't
/// be begun or committed. Where the record of a failed attempt can't be written, the error of `f` is returned and
/// the other is a warning of `tracing`.
///
/// # Panics
///
/// When `f` panics, with its payload.
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
    let transaction = begun.map_err(|error| failed("begin", error))?;
    let mut within = record_in(&transaction)?;
    let collector = Collector::new();
    let outcome = catch_unwind(AssertUnwindSafe(|| collector.scope(|| f(&transaction))));
    let records = collector.take();
    // Whatever goes wrong from here on: only a commit keeps what was done.
    let undo = Undo(&collector);
    let (outcome, records, rolled_back) = match outcome {
        Ok(Ok(value)) => {
            let records = records?;
            within.write(&records)?;
            match transaction.commit() {
                Ok(()) => {
                    undo.not();
                    return Ok(value);
                }
                // A constraint that waits for the commit, for one. It was rolled back when it was dropped.
                Err(error) => (Ok(Err(failed("commit", error).into())), Ok(records), Ok(())),
            }
        }
        other => (other, records, transaction.rollback()),
    };
    let attempts = records.map(|all| all.into_iter().map(Record::rolled_back).collect::<Vec<_>>());
    let written = rolled_back
        .map_err(|error| failed("roll back", error))
        .and(attempts)
        .and_then(|attempts| write_attempts(connection, &attempts));
    if let Err(error) = written {
        tracing::warn!(target: "audited", "a failed attempt is not on the record: {error}");
    }
    match outcome {
        Ok(result) => result,
        Err(payload) => resume_unwind(payload),
    }
}

/// Says of the objects saved in the scope of a collector that they are as before, unless told otherwise.
struct Undo<'c>(&'c Collector);

impl Undo<'_> {
    fn not(self) {
        std::mem::forget(self);
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        self.0.rolled_back();
    }
}

fn write_attempts(connection: &mut Connection, attempts: &[Record]) -> Result<(), Error> {
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let transaction = begun.map_err(|error| failed("begin", error))?;
    record_in(&transaction)?.write(attempts)?;
    transaction.commit().map_err(|error| failed("commit", error))
}

fn failed(what: &str, error: rusqlite::Error) -> Error {
    let text = format!("cannot {what} the transaction: {error}; nothing of it is stored");
    Error::transient(text).with_source(error)
}
