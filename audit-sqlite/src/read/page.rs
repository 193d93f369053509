//! Reads the changes of a page, and the records that they belong to.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use audit_record::store::{ChangeRecord, StoredChange};
use audit_record::{CorrelationId, Error, FieldChange, Outcome};
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection};

use super::decode::{NameReader, json, text, time, uuid};
use super::location::ChangeLocation;
use crate::columns::Selection;
use crate::error::StoreError;
use crate::schema::{change_of, kind_of, outcome_of};

pub(super) const CHANGE: &str = "SELECT target_type, target_id, change, field, before, after, \
    changed_at FROM main.audit_field_change WHERE record_seq = ?1 AND position = ?2";

const RECORD_COLUMNS: Selection<13> = Selection::of_record([
    "id",
    "started_at",
    "action",
    "method",
    "outcome",
    "actor",
    "on_behalf_of",
    "reason",
    "notes",
    "context",
    "kind",
    "parent_id",
    "correlation_id",
]);

/// The index of a column in the rows of [`RECORD`].
macro_rules! column {
    ($name:literal) => {
        const { RECORD_COLUMNS.index($name) }
    };
}

pub(super) static RECORD: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {} FROM main.audit_record WHERE seq = ?1", RECORD_COLUMNS.sql())
});

/// Reads the changes at `locations`, in that order.
pub(super) fn read_changes(
    transaction: &Connection,
    locations: &[ChangeLocation],
) -> Result<Vec<StoredChange>, StoreError> {
    let mut reader = PageReader {
        change: transaction.prepare_cached(CHANGE)?,
        record: transaction.prepare_cached(&RECORD)?,
        names: NameReader::new(transaction)?,
        records: HashMap::new(),
    };
    locations.iter().map(|location| reader.stored_change(location)).collect()
}

struct PageReader<'t> {
    change: CachedStatement<'t>,
    record: CachedStatement<'t>,
    names: NameReader<'t>,
    /// The records of this page so far. A record may have many changes, which may be far apart in
    /// time.
    records: HashMap<i64, Arc<ChangeRecord>>,
}

impl PageReader<'_> {
    fn stored_change(&mut self, location: &ChangeLocation) -> Result<StoredChange, StoreError> {
        let record = match self.records.get(&location.seq) {
            Some(record) => Arc::clone(record),
            None => {
                let record = Arc::new(self.read_record(location.seq)?);
                self.records.insert(location.seq, Arc::clone(&record));
                record
            }
        };
        let mut rows = self.change.query([location.seq, location.position])?;
        let row =
            rows.next()?.ok_or_else(|| damaged(location.seq, "one of its changes is missing"))?;
        let change = change_of(row.get(2)?)
            .ok_or_else(|| damaged(location.seq, "the kind of a change has an unknown number"))?;
        let changed_at = row.get::<_, Option<i64>>(6)?.map_or(record.started_at, time);
        let change = FieldChange::new(
            self.names.text(row.get(0)?)?.to_string(),
            text(row.get_ref(1)?).unwrap_or_default(),
            change,
            self.names.text(row.get(3)?)?.to_string(),
            json(row.get_ref(4)?),
            json(row.get_ref(5)?),
            changed_at,
        );
        Ok(StoredChange::new(change, location.position as u64, record))
    }

    fn read_record(&mut self, seq: i64) -> Result<ChangeRecord, StoreError> {
        let mut rows = self.record.query([seq])?;
        let row =
            rows.next()?.ok_or_else(|| damaged(seq, "it is missing, but its changes exist"))?;
        let id = uuid(row.get_ref(column!("id"))?).unwrap_or_default();
        let action = self.names.text(row.get(column!("action"))?)?;
        let mut record =
            ChangeRecord::new(seq as u64, id, time(row.get(column!("started_at"))?), action);
        record.method = self.names.text(row.get(column!("method"))?)?;
        record.outcome = outcome_of(row.get(column!("outcome"))?).unwrap_or(Outcome::Unknown);
        record.actor = self.names.text_if(row.get(column!("actor"))?)?;
        record.on_behalf_of = self.names.text_if(row.get(column!("on_behalf_of"))?)?;
        record.reason = text(row.get_ref(column!("reason"))?);
        record.notes = json(row.get_ref(column!("notes"))?);
        record.context = json(row.get_ref(column!("context"))?);
        record.kind = kind_of(row.get(column!("kind"))?)
            .ok_or_else(|| damaged(seq, "its kind has an unknown number"))?;
        record.parent_id = uuid(row.get_ref(column!("parent_id"))?);
        // NULL stands for the record's own id.
        record.correlation_id = match row.get_ref(column!("correlation_id"))? {
            value @ ValueRef::Blob(_) => uuid(value).map(CorrelationId::from),
            value => text(value).map(|text| CorrelationId::Text((&*text).into())),
        }
        .unwrap_or(CorrelationId::Uuid(id));
        Ok(record)
    }
}

fn damaged(seq: i64, what: &str) -> StoreError {
    StoreError::Explained(Error::damaged(format!(
        "cannot read the record {seq} of the audit trail: {what}; another program has written to \
         the trail, so compare it with a backup"
    )))
}
