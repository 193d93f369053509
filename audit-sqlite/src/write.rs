//! Stores one batch of records.

use std::path::Path;

use audit_core::{CorrelationId, Error, FieldChange, Record};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{
    CachedStatement, Connection, OptionalExtension as _, ToSql, Transaction, TransactionBehavior,
    params,
};

use crate::dictionary::{Dictionary, Names};
use crate::encode::Encoder;
use crate::error::Failure;
use crate::migrate::check_unchanged;
use crate::schema::{change_number, kind_number, outcome_number};

// OR FAIL, and `seq` left to SQLite: with either an ABORT or a given rowid, and a trigger on the
// table, SQLite copies each page that a statement touches into a statement journal first, which
// took a fifth of the time. A batch that fails is rolled back as a whole, so nothing is lost by it.
const INSERT_RECORD: &str = "INSERT OR FAIL INTO record (id, kind, outcome, started_at, duration_us, \
    action, method, actor, on_behalf_of, ip, site, service, target_type, target_id, \
    correlation_id, parent_id, target_label, reason, input, output, log, error, traceback, notes, \
    context, truncated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, \
    ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)";

const INSERT_CHANGE: &str = "INSERT OR FAIL INTO field_change (record_seq, position, target_type, \
    target_id, change, field, before, after) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// What the record with an id says, as far as two records with one id would differ in it.
const FIND_RECORD: &str = "SELECT kind = ?2 AND outcome = ?3 AND started_at = ?4 \
    AND duration_us = ?5 AND action = ?6 AND method = ?7 FROM record WHERE id = ?1";

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
        path: &Path,
        records: &[Record],
    ) -> Result<(), Failure> {
        match self.attempt(connection, path, records, false) {
            // Rare, so only now is each record looked for before it is stored.
            Err(failure) if failure.is_conflict() => self.attempt(connection, path, records, true),
            result => result,
        }
    }

    fn attempt(
        &mut self,
        connection: &mut Connection,
        path: &Path,
        records: &[Record],
        some_stored: bool,
    ) -> Result<(), Failure> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = check_unchanged(&transaction, path)
            .and_then(|()| self.insert_all(&transaction, records, some_stored))
            .and_then(|()| Ok(transaction.commit()?));
        if result.is_err() {
            self.names.forget();
        }
        result
    }

    fn insert_all(
        &mut self,
        transaction: &Transaction<'_>,
        records: &[Record],
        some_stored: bool,
    ) -> Result<(), Failure> {
        let mut batch = Batch {
            names: Dictionary::new(transaction, &mut self.names)?,
            insert_record: transaction.prepare_cached(INSERT_RECORD)?,
            insert_change: transaction.prepare_cached(INSERT_CHANGE)?,
            find_record: transaction.prepare_cached(FIND_RECORD)?,
        };
        for record in records {
            if some_stored && batch.is_stored(record)? {
                continue;
            }
            batch.insert(&mut self.encoder, record)?;
        }
        Ok(())
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
