//! Stores one batch of records, in a transaction of its own or in the caller's.

use std::path::Path;

use audit_core::{CorrelationId, Error, FieldChange, Record};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{
    CachedStatement, Connection, OptionalExtension as _, ToSql, TransactionBehavior, params,
};

use crate::dictionary::{Dictionary, Names};
use crate::encode::Encoder;
use crate::error::Failure;
use crate::migrate::{Home, check_unchanged};
use crate::savepoint::Savepoint;
use crate::schema::{change_number, kind_number, outcome_number};

macro_rules! insert_record {
    ($conflict:literal) => {
        concat!(
            "INSERT OR ", $conflict, " INTO main.audit_record (id, kind, outcome, started_at, \
             duration_us, action, method, actor, on_behalf_of, ip, site, service, target_type, \
             target_id, correlation_id, parent_id, target_label, reason, input, output, log, error, \
             traceback, notes, context, truncated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
             ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)"
        )
    };
}

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
    insert_record: &'static str,
    insert_change: &'static str,
    /// Whether the statements stay in the connection's cache, for the next batch.
    keep: bool,
}

// OR FAIL, and `seq` left to SQLite: with either an ABORT or a given rowid, and a trigger on the
// table, SQLite copies each page that a statement touches into a statement journal first, which
// took a fifth of the time. A batch that fails is rolled back as a whole, so nothing is lost by it.
const OWN: Mode = Mode {
    insert_record: insert_record!("FAIL"),
    insert_change: insert_change!("FAIL"),
    keep: true,
};

// With that journal, a full disk undoes one statement. Without, it would undo all that the caller has done.
const CALLERS: Mode = Mode {
    insert_record: insert_record!("ABORT"),
    insert_change: insert_change!("ABORT"),
    keep: false,
};

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
        connection: &mut Connection,
        home: Home,
        path: &Path,
        records: &[Record],
    ) -> Result<(), Failure> {
        let result = insisting(|some_stored| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            check_unchanged(&transaction, home, "write to", path)?;
            self.insert_all(&transaction, &OWN, records, some_stored)?;
            Ok(transaction.commit()?)
        });
        if result.is_err() {
            self.names.forget();
        }
        result
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
            names: Dictionary::new(transaction, &mut self.names)?,
            insert_record: transaction.prepare_cached(mode.insert_record)?,
            insert_change: transaction.prepare_cached(mode.insert_change)?,
            find_record: transaction.prepare_cached(FIND_RECORD)?,
        };
        let result = batch.insert_all(&mut self.encoder, records, some_stored);
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
    names: Dictionary<'t>,
    insert_record: CachedStatement<'t>,
    insert_change: CachedStatement<'t>,
    find_record: CachedStatement<'t>,
}

impl Batch<'_> {
    /// Leaves no statement behind in a connection that is somebody else's.
    fn discard(self) {
        self.names.discard();
        self.insert_record.discard();
        self.insert_change.discard();
        self.find_record.discard();
    }

    fn insert_all(
        &mut self,
        encoder: &mut Encoder,
        records: &[Record],
        some_stored: bool,
    ) -> Result<(), Failure> {
        for record in records {
            if some_stored && self.is_stored(record)? {
                continue;
            }
            self.insert(encoder, record)?;
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

    fn insert(&mut self, encoder: &mut Encoder, record: &Record) -> Result<(), Failure> {
        let json = encoder.encode(record);
        let ip = record.ip.map(|ip| ip.to_string());
        let seq = self.insert_record.insert(params![
            record.id.as_bytes(),
            numbered("kind", record.kind, kind_number(record.kind))?,
            numbered("outcome", record.outcome, outcome_number(record.outcome))?,
            record.started_at.timestamp_micros(),
            duration(record),
            self.names.id(&record.action)?,
            self.names.id(&record.method)?,
            self.names.id_if(record.actor.as_deref())?,
            self.names.id_if(record.on_behalf_of.as_deref())?,
            self.names.id_if(ip.as_deref())?,
            self.names.id_if(record.site.as_deref())?,
            self.names.id_if(record.service.as_deref())?,
            self.names.id_if(record.target_type.as_deref())?,
            record.target_id,
            Correlation(record),
            record.parent_id.as_ref().map(|id| id.as_bytes()),
            record.target_label,
            record.reason,
            record.input.as_ref().map(|json| json.as_str()),
            record.output.as_ref().map(|json| json.as_str()),
            json.log,
            json.error,
            record.traceback,
            json.notes,
            record.context.as_ref().map(|json| json.as_str()),
            json.truncated,
        ])?;
        for (position, change) in record.changes.iter().enumerate() {
            self.insert_change(seq, position, change)?;
        }
        Ok(())
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
struct Correlation<'r>(&'r Record);

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

fn numbered(what: &str, name: impl std::fmt::Display, number: Option<i64>) -> Result<i64, Error> {
    number.ok_or_else(|| {
        Error::permanent(format!(
            "cannot store a record with the {what} `{name}`, which has no number in this schema; \
             update the crate `audit-sqlite`"
        ))
    })
}

/// SQLite has no unsigned integers: what is beyond 292,000 years counts as that.
fn duration(record: &Record) -> i64 {
    i64::try_from(record.duration_us).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use audit_core::Kind;
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
        for sql in [CALLERS.insert_record, CALLERS.insert_change, FIND_RECORD] {
            assert!(!is_cached(&connection, sql), "{sql}");
        }

        // Those of the store stay: preparing them takes longer than a small batch.
        let record = Record::new(Kind::Event, "look", "2026-01-02T03:04:05Z".parse().unwrap());
        let transaction = connection.transaction().unwrap();
        writer.insert_all(&transaction, &OWN, &[record], true).unwrap();
        transaction.commit().unwrap();
        for sql in [OWN.insert_record, FIND_RECORD] {
            assert!(is_cached(&connection, sql), "{sql}");
        }
    }
}
