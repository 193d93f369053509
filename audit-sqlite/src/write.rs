//! Stores one batch of records, in a transaction of its own or in the caller's.

use std::path::Path;
use std::sync::LazyLock;

use audit_record::{CorrelationId, Durability, Error, FieldChange, Record};
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{
    CachedStatement, Connection, OptionalExtension as _, ToSql, TransactionBehavior, params,
};

use crate::dictionary::{Dictionary, Names};
use crate::encode::Encoder;
use crate::error::Failure;
use crate::link::Link;
use crate::migrate::{check_unchanged, touch};
use crate::rows::{GROUPS, insert, insert_records, is_light};
use crate::savepoint::Savepoint;
use crate::schema::{change_number, kind_number, outcome_number};
use crate::session::{Work, close_recorded};

macro_rules! insert_change {
    ($conflict:literal) => {
        concat!(
            "INSERT OR ",
            $conflict,
            " INTO main.audit_field_change (record_seq, position, \
             target_type, target_id, change, field, before, after, changed_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        )
    };
}

/// Whose the transaction is that records are written into.
struct Mode {
    /// By the number of records that each stores.
    insert_records: Vec<(usize, String)>,
    insert_change: &'static str,
    /// Whether the statements stay in the connection's cache, for the next batch.
    keep: bool,
}

// OR FAIL: with an ABORT, SQLite copies each page that a statement touches into a statement journal first, which
// took a fifth of the time. A batch that fails is rolled back as a whole, so nothing is lost by it.
static OWN: LazyLock<Mode> = LazyLock::new(|| Mode {
    insert_records: GROUPS.map(|rows| (rows, insert_records("FAIL", rows))).into(),
    insert_change: insert_change!("FAIL"),
    keep: true,
});

// With that journal, a full disk undoes one statement. Without, it would undo all that the caller has done. One by one,
// for triggers run here: SQLite would copy a group into a table of its own first, and changes must follow their record.
static CALLERS: LazyLock<Mode> = LazyLock::new(|| Mode {
    insert_records: vec![(1, insert_records("ABORT", 1))],
    insert_change: insert_change!("ABORT"),
    keep: false,
});

/// Makes `connection` one that [`Writer::store`] may use.
///
/// The triggers keep others from changing the trail. What is written here changes nothing, takes the next `seq`,
/// and is refused by the table itself if the id is there already; so they would only cost time.
pub(crate) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).map(drop)
}

/// What the record with an id says, as far as two records with one id would differ in it.
const FIND_RECORD: &str = "SELECT kind = ?2 AND outcome = ?3 AND started_at = ?4 \
    AND duration_us = ?5 AND action = ?6 AND method = ?7 FROM main.audit_record WHERE id = ?1";

/// What is kept from batch to batch.
#[derive(Default)]
pub(crate) struct Writer {
    names: Names,
    encoder: Encoder,
}

impl Writer {
    /// Stores all of `records` in one transaction, or none of them.
    ///
    /// A record that is stored already is not stored again, so a batch may be offered once more
    /// after an error that leaves open whether it was stored, such as a failed sync at commit.
    pub(crate) fn store(
        &mut self,
        link: &mut Link,
        path: &Path,
        batch: &audit_record::store::Batch<'_>,
        mut work: Option<&mut Work>,
    ) -> Result<(), Failure> {
        let (connection, home) = (&mut link.connection, link.home);
        let result = insisting(|some_stored| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            check_unchanged(&transaction, home, "write to", path)?;
            self.insert_all(&transaction, &OWN, batch.records, some_stored)?;
            if let Some(work) = &mut work {
                work.keep(&transaction, &mut self.names, &mut self.encoder, batch)?;
            }
            if some_stored && batch.durability >= Durability::Power {
                // What is stored already may not be synced, and a commit that writes nothing syncs nothing.
                touch(&transaction, home)?;
            }
            Ok(transaction.commit()?)
        });
        match (&result, work) {
            (Ok(()), Some(work)) => work.kept(batch),
            (Ok(()), None) => {}
            (Err(_), _) => self.names.forget(),
        }
        result
    }

    /// Adds `records` to the open transaction of the store itself; as [`insert_all`](Self::insert_all).
    pub(crate) fn insert_own(
        &mut self,
        transaction: &Connection,
        records: &[Record],
    ) -> Result<(), Failure> {
        self.insert_all(transaction, &OWN, records, false)
    }

    /// To be called when a transaction that may have given numbers to names was not committed.
    pub(crate) fn forget_names(&mut self) {
        self.names.forget();
    }

    /// Stores all of `records` in the transaction that `connection` has open, or none of them.
    pub(crate) fn store_within(
        &mut self,
        connection: &Connection,
        records: &[Record],
    ) -> Result<(), Failure> {
        // The caller may have gone back to a savepoint of its own, before names were given numbers.
        self.names.forget();
        insisting(|some_stored| {
            let savepoint = Savepoint::new(connection)?;
            self.insert_all(connection, &CALLERS, records, some_stored)?;
            close_recorded(connection, records)?;
            savepoint.release()
        })
    }

    /// Adds `records` to the open transaction; what fails is to be rolled back by the caller, and the names to
    /// be forgotten.
    fn insert_all(
        &mut self,
        transaction: &Connection,
        mode: &Mode,
        records: &[Record],
        some_stored: bool,
    ) -> Result<(), Failure> {
        let mut batch = Batch {
            connection: transaction,
            names: Dictionary::new(transaction, &mut self.names)?,
            insert_records: mode
                .insert_records
                .iter()
                .filter(|(rows, _)| *rows <= records.len())
                .map(|(rows, sql)| Ok((*rows, transaction.prepare_cached(sql)?)))
                .collect::<rusqlite::Result<_>>()?,
            insert_change: transaction.prepare_cached(mode.insert_change)?,
            find_record: transaction.prepare_cached(FIND_RECORD)?,
        };
        let result = batch.insert_all(&mut self.encoder, records, some_stored);
        batch.forget();
        if !mode.keep {
            batch.discard();
        }
        result
    }
}

/// Tries as if none of the records were stored already, and again, asking for each, if one is: that is
/// rare, so only then is each record looked for before it is stored.
fn insisting(mut attempt: impl FnMut(bool) -> Result<(), Failure>) -> Result<(), Failure> {
    match attempt(false) {
        Err(failure) if failure.is_conflict() => attempt(true),
        result => result,
    }
}

/// The statements of one transaction.
struct Batch<'t> {
    connection: &'t Connection,
    names: Dictionary<'t>,
    insert_records: Vec<(usize, CachedStatement<'t>)>,
    insert_change: CachedStatement<'t>,
    find_record: CachedStatement<'t>,
}

impl Batch<'_> {
    /// Leaves nothing of a record in the statements, which would keep it in memory until the next batch.
    fn forget(&mut self) {
        self.insert_records.iter_mut().for_each(|(_, statement)| statement.clear_bindings());
    }

    /// Leaves no statement behind in a connection that is somebody else's.
    fn discard(self) {
        self.names.discard();
        self.insert_records.into_iter().for_each(|(_, statement)| statement.discard());
        self.insert_change.discard();
        self.find_record.discard();
    }

    fn insert_all(
        &mut self,
        encoder: &mut Encoder,
        records: &[Record],
        some_stored: bool,
    ) -> Result<(), Failure> {
        let mut left = records;
        while let Some(record) = left.first() {
            if some_stored && self.is_stored(record)? {
                left = &left[1..];
                continue;
            }
            let fits = |rows: usize| {
                let group = left.get(..rows).filter(|_| !some_stored);
                rows == 1 || group.is_some_and(|group| group.iter().all(is_light))
            };
            let statement = self.insert_records.iter_mut().find(|(rows, _)| fits(*rows));
            let (rows, statement) = statement.expect("one is for a single record");
            let (group, rest) = left.split_at(*rows);
            insert(statement, &mut self.names, encoder, group)?;
            self.insert_changes(group)?;
            left = rest;
        }
        Ok(())
    }

    /// The changes of the records that were just inserted.
    fn insert_changes(&mut self, records: &[Record]) -> Result<(), Failure> {
        if records.iter().all(|record| record.changes.is_empty()) {
            return Ok(());
        }
        let last = self.connection.last_insert_rowid();
        for (record, seq) in records.iter().zip(last + 1 - records.len() as i64..) {
            for (position, change) in record.changes.iter().enumerate() {
                self.insert_change(seq, position, change)?;
            }
        }
        Ok(())
    }

    fn is_stored(&mut self, record: &Record) -> Result<bool, Failure> {
        let (action, method) = (self.names.id(&record.action)?, self.names.id(&record.method)?);
        let same: Option<bool> = self
            .find_record
            .query_row(
                params![
                    record.id.as_bytes(),
                    numbered("kind", record.kind, kind_number(record.kind))?,
                    numbered("outcome", record.outcome, outcome_number(record.outcome))?,
                    record.started_at.timestamp_micros(),
                    duration(record),
                    action,
                    method,
                ],
                |row| row.get(0),
            )
            .optional()?;
        match same {
            None => Ok(false),
            Some(true) => Ok(true),
            Some(false) => Err(Failure::Refused(Error::permanent(format!(
                "cannot store the record {}: the audit trail holds another record with this id; \
                 give every record an id of its own",
                record.id
            )))),
        }
    }

    fn insert_change(
        &mut self,
        seq: i64,
        position: usize,
        change: &FieldChange,
    ) -> Result<(), Failure> {
        self.insert_change.execute(params![
            seq,
            position as i64,
            self.names.id(&change.target_type)?,
            change.target_id,
            numbered("change", change.change, change_number(change.change))?,
            self.names.id(&change.field)?,
            change.before.as_ref().map(|json| json.as_str()),
            change.after.as_ref().map(|json| json.as_str()),
            change.changed_at.timestamp_micros(),
        ])?;
        Ok(())
    }
}

/// The correlation id as it is stored: nothing for the record's own id, which most records have,
/// so that these take no room, in the index least of all.
pub(crate) struct Correlation<'r>(pub(crate) &'r Record);

impl ToSql for Correlation<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match &self.0.correlation_id {
            CorrelationId::Uuid(id) if *id == self.0.id => ValueRef::Null,
            CorrelationId::Uuid(id) => ValueRef::Blob(id.as_bytes()),
            CorrelationId::Text(text) => ValueRef::Text(text.as_bytes()),
            other => {
                return Err(rusqlite::Error::ToSqlConversionFailure(
                    format!("no way is known to store the correlation id {other}").into(),
                ));
            }
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

pub(crate) fn numbered(
    what: &str,
    name: impl std::fmt::Display,
    number: Option<i64>,
) -> Result<i64, Error> {
    number.ok_or_else(|| {
        Error::permanent(format!(
            "cannot store a record with the {what} `{name}`, which has no number in this schema; \
             update the crate `audit-sqlite`"
        ))
    })
}

/// SQLite has no unsigned integers: what is beyond 292,000 years counts as that.
pub(crate) fn duration(record: &Record) -> i64 {
    i64::try_from(record.duration_us).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use audit_record::Kind;
    use rusqlite::StatementStatus;

    use super::*;
    use crate::schema::NEW;

    /// Whether a statement that has been run before is in the connection's cache.
    fn is_cached(connection: &Connection, sql: &str) -> bool {
        let statement = connection.prepare_cached(sql).unwrap();
        let runs = statement.get_status(StatementStatus::Run);
        statement.discard();
        runs > 0
    }

    #[test]
    fn no_statement_stays_in_the_callers_connection() {
        let mut connection = Connection::open_in_memory().unwrap();
        NEW.iter().for_each(|step| connection.execute_batch(step).unwrap());
        let record = Record::new(Kind::Event, "look", "2026-01-02T03:04:05Z".parse().unwrap());
        let mut other = record.clone();
        other.action = "look away".into();
        let transaction = connection.transaction().unwrap();
        let mut writer = Writer::default();
        writer.store_within(&transaction, std::slice::from_ref(&record)).unwrap();
        writer.store_within(&transaction, &[record]).unwrap();
        writer.store_within(&transaction, &[other]).unwrap_err();
        transaction.commit().unwrap();
        for sql in [&*CALLERS.insert_records[0].1, CALLERS.insert_change, FIND_RECORD] {
            assert!(!is_cached(&connection, sql), "{sql}");
        }

        // Those of the store stay: preparing them takes longer than a small batch.
        let record = Record::new(Kind::Event, "look", "2026-01-02T03:04:05Z".parse().unwrap());
        let transaction = connection.transaction().unwrap();
        writer.insert_all(&transaction, &OWN, &[record], true).unwrap();
        transaction.commit().unwrap();
        for sql in [&*OWN.insert_records[GROUPS.len() - 1].1, FIND_RECORD] {
            assert!(is_cached(&connection, sql), "{sql}");
        }
    }
}
