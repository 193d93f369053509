//! [`Inserter`]: adds records and their changes to an open transaction.

use std::sync::LazyLock;

use audit_record::{Error, FieldChange, Record};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use crate::columns::{bind_record, insert_records_sql, require_number, stored_micros};
use crate::dictionary::{Dictionary, NameCache};
use crate::encode::{Encoder, IdBuffer};
use crate::error::StoreError;
use crate::schema::{change_number, kind_number, outcome_number};

/// The statements for one kind of transaction.
pub(crate) struct InsertStatements {
    /// With the number of records that each statement inserts, the largest first.
    records: Vec<(usize, String)>,
    change: &'static str,
    /// Whether the statements stay in the connection's statement cache for the next batch.
    keep_prepared: bool,
}

macro_rules! insert_change {
    ($conflict:literal) => {
        concat!(
            "INSERT OR ",
            $conflict,
            " INTO main.audit_field_change (record_seq, position, target_type, target_id, \
             change, field, before, after, changed_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        )
    };
}

/// For a transaction of the store itself.
///
/// OR FAIL, because OR ABORT makes SQLite copy each page that a statement changes into a statement
/// journal first, which took a fifth of the time. A failed batch is rolled back as a whole, so
/// nothing is lost.
pub(crate) static STORE_TRANSACTION: LazyLock<InsertStatements> =
    LazyLock::new(|| InsertStatements {
        records: GROUP_SIZES.map(|rows| (rows, insert_records_sql("FAIL", rows))).into(),
        change: insert_change!("FAIL"),
        keep_prepared: true,
    });

/// For a transaction of the caller.
///
/// With the statement journal of OR ABORT, a full disk undoes one statement. Without it, SQLite
/// would undo the whole transaction of the caller. Records go in one by one, because triggers run
/// here: SQLite would copy a group into a temporary table first, and changes must follow their
/// record.
pub(crate) static CALLER_TRANSACTION: LazyLock<InsertStatements> =
    LazyLock::new(|| InsertStatements {
        records: vec![(1, insert_records_sql("ABORT", 1))],
        change: insert_change!("ABORT"),
        keep_prepared: false,
    });

/// Compares the record that has this id with the one to be stored, in columns where two different
/// records with one id would differ.
const FIND_RECORD: &str = "SELECT kind = ?2 AND outcome = ?3 AND started_at = ?4 \
    AND duration_us = ?5 AND action = ?6 AND method = ?7 FROM main.audit_record WHERE id = ?1";

/// How many records one statement inserts, the largest first. The statement opens the table and
/// each index once for all of them, and appends to those that grow at their end without a search.
/// Larger groups are not faster.
const GROUP_SIZES: [usize; 3] = [32, 8, 1];

/// The largest text, in bytes, of a record that may be inserted in a group. The statement holds a
/// copy of the text until it is done.
const MAX_GROUPED_TEXT: usize = 16 * 1024;

/// The state that is kept from batch to batch: cached names, and buffers.
#[derive(Default)]
pub(crate) struct Inserter {
    pub(crate) names: NameCache,
    pub(crate) encoder: Encoder,
}

impl Inserter {
    /// Must be called after a transaction that was not committed, because it may have added names.
    pub(crate) fn forget_names(&mut self) {
        self.names.clear();
    }

    /// Adds `records` to the open transaction. `session` is the row of the recorder session that
    /// writes them, if there is one.
    ///
    /// With `some_stored`, each record is looked up first and skipped if it is stored already.
    /// After an error, the caller must roll back and call [`forget_names`](Self::forget_names).
    pub(crate) fn insert(
        &mut self,
        transaction: &Connection,
        statements: &InsertStatements,
        session: Option<i64>,
        records: &[Record],
        some_stored: bool,
    ) -> Result<(), StoreError> {
        let mut prepared = Prepared {
            connection: transaction,
            session,
            names: Dictionary::new(transaction, &mut self.names)?,
            insert_records: statements
                .records
                .iter()
                .filter(|(rows, _)| *rows <= records.len())
                .map(|(rows, sql)| Ok((*rows, transaction.prepare_cached(sql)?)))
                .collect::<rusqlite::Result<_>>()?,
            insert_change: transaction.prepare_cached(statements.change)?,
            find_record: transaction.prepare_cached(FIND_RECORD)?,
        };
        let result = prepared.insert_all(&mut self.encoder, records, some_stored);
        prepared.clear_bindings();
        if !statements.keep_prepared {
            prepared.discard();
        }
        result
    }
}

/// Calls `attempt` with `false`: none of the records is stored yet. If that fails because one is,
/// calls it again with `true`, so that each record is looked up first. A record is rarely stored
/// already, so the lookups are rarely needed.
pub(crate) fn retry_on_conflict(
    mut attempt: impl FnMut(bool) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    match attempt(false) {
        Err(failure) if failure.is_conflict() => attempt(true),
        result => result,
    }
}

/// The prepared statements of one transaction.
struct Prepared<'t> {
    connection: &'t Connection,
    session: Option<i64>,
    names: Dictionary<'t>,
    insert_records: Vec<(usize, CachedStatement<'t>)>,
    insert_change: CachedStatement<'t>,
    find_record: CachedStatement<'t>,
}

impl Prepared<'_> {
    /// Removes the texts of the last records, which would stay in memory until the next batch.
    fn clear_bindings(&mut self) {
        self.insert_records.iter_mut().for_each(|(_, statement)| statement.clear_bindings());
    }

    /// Leaves no statement behind in a connection that belongs to the caller.
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
    ) -> Result<(), StoreError> {
        let mut remaining = records;
        while let Some(record) = remaining.first() {
            if some_stored && self.is_stored(record)? {
                remaining = &remaining[1..];
                continue;
            }
            let fits = |rows: usize| {
                let group = remaining.get(..rows).filter(|_| !some_stored);
                rows == 1 || group.is_some_and(|group| group.iter().all(may_be_grouped))
            };
            let statement = self.insert_records.iter_mut().find(|(rows, _)| fits(*rows));
            let (rows, statement) = statement.expect("one statement inserts a single record");
            let (group, rest) = remaining.split_at(*rows);
            insert_group(statement, &mut self.names, encoder, self.session, group)?;
            self.insert_changes(group)?;
            remaining = rest;
        }
        Ok(())
    }

    /// Inserts the changes of the records that were just inserted.
    fn insert_changes(&mut self, records: &[Record]) -> Result<(), StoreError> {
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

    fn is_stored(&mut self, record: &Record) -> Result<bool, StoreError> {
        let (action, method) = (self.names.id(&record.action)?, self.names.id(&record.method)?);
        let same: Option<bool> = self
            .find_record
            .query_row(
                params![
                    IdBuffer::default().fill(record.id),
                    require_number("kind", record.kind, kind_number(record.kind))?,
                    require_number("outcome", record.outcome, outcome_number(record.outcome))?,
                    record.started_at.timestamp_micros(),
                    stored_micros(record.duration_us),
                    action,
                    method,
                ],
                |row| row.get(0),
            )
            .optional()?;
        match same {
            None => Ok(false),
            Some(true) => Ok(true),
            Some(false) => Err(StoreError::Explained(Error::permanent(format!(
                "cannot store the record {}: the audit trail already holds a different record with \
                 this id; give every record its own id",
                record.id
            )))),
        }
    }

    fn insert_change(
        &mut self,
        seq: i64,
        position: usize,
        change: &FieldChange,
    ) -> Result<(), StoreError> {
        self.insert_change.execute(params![
            seq,
            position as i64,
            self.names.id(&change.target_type)?,
            change.target_id,
            require_number("change", change.change, change_number(change.change))?,
            self.names.id(&change.field)?,
            change.before.as_ref().map(|json| json.as_str()),
            change.after.as_ref().map(|json| json.as_str()),
            change.changed_at.timestamp_micros(),
        ])?;
        Ok(())
    }
}

/// Whether the texts of a record are short enough to insert it in a group.
fn may_be_grouped(record: &Record) -> bool {
    let json = [&record.input, &record.output, &record.context];
    let json = json.into_iter().flatten().map(|json| json.as_str().len()).sum::<usize>();
    let log = record.log.iter().map(|entry| {
        let fields = entry.fields.as_ref().map_or(0, |fields| fields.as_str().len());
        entry.message.len() + fields
    });
    let traceback = record.traceback.as_ref().map_or(0, String::len);
    json + log.sum::<usize>() + traceback <= MAX_GROUPED_TEXT
}

/// Inserts as many records as `statement` takes.
fn insert_group(
    statement: &mut CachedStatement<'_>,
    names: &mut Dictionary<'_>,
    encoder: &mut Encoder,
    session: Option<i64>,
    records: &[Record],
) -> Result<(), StoreError> {
    statement.clear_bindings();
    for (n, record) in records.iter().enumerate() {
        bind_record(statement, n, names, encoder, session, record)?;
    }
    statement.raw_execute()?;
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use audit_record::Kind;
    use rusqlite::StatementStatus;

    use super::*;
    use crate::schema::NEW;

    /// Whether a statement that was executed before is in the connection's statement cache.
    pub(crate) fn is_cached(connection: &Connection, sql: &str) -> bool {
        let statement = connection.prepare_cached(sql).unwrap();
        let runs = statement.get_status(StatementStatus::Run);
        statement.discard();
        runs > 0
    }

    /// The statements that write to the caller's transaction.
    pub(crate) fn caller_statements() -> [&'static str; 3] {
        [&CALLER_TRANSACTION.records[0].1, CALLER_TRANSACTION.change, FIND_RECORD]
    }

    #[test]
    fn the_store_keeps_its_statements() {
        let mut connection = Connection::open_in_memory().unwrap();
        NEW.iter().for_each(|step| connection.execute_batch(step).unwrap());
        let record = Record::new(Kind::Event, "look", "2026-01-02T03:04:05Z".parse().unwrap());
        let transaction = connection.transaction().unwrap();
        Inserter::default()
            .insert(&transaction, &STORE_TRANSACTION, None, &[record], true)
            .unwrap();
        transaction.commit().unwrap();
        // Preparing them takes longer than a small batch.
        for sql in [&*STORE_TRANSACTION.records[GROUP_SIZES.len() - 1].1, FIND_RECORD] {
            assert!(is_cached(&connection, sql), "{sql}");
        }
    }
}
