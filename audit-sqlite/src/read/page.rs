//! Reads the changes of a page, and the records that they belong to.

use std::collections::HashMap;
use std::sync::Arc;

use audit_record::private::json::write_str;
use audit_record::store::{ChangeRecord, StoredChange};
use audit_record::{CorrelationId, Error, FieldChange, Json, Outcome};
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, Row};
use uuid::Uuid;

use super::names::{Names, text};
use super::{Place, time};
use crate::error::Failure;
use crate::schema::{change_of, kind_of, outcome_of};

pub(super) const CHANGE: &str = "SELECT target_type, target_id, change, field, before, after, changed_at \
    FROM main.audit_field_change WHERE record_seq = ?1 AND position = ?2";

pub(super) const RECORD: &str = "SELECT id, started_at, action, method, outcome, actor, on_behalf_of, reason, \
    notes, context, kind, parent_id, correlation_id FROM main.audit_record WHERE seq = ?1";

/// The changes at `places`, in that order.
pub(super) fn read(
    transaction: &Connection,
    places: &[Place],
) -> Result<Vec<StoredChange>, Failure> {
    let mut page = Page {
        change: transaction.prepare_cached(CHANGE)?,
        record: transaction.prepare_cached(RECORD)?,
        names: Names::new(transaction)?,
        records: HashMap::new(),
    };
    places.iter().map(|place| page.stored_change(place)).collect()
}

struct Page<'t> {
    change: CachedStatement<'t>,
    record: CachedStatement<'t>,
    names: Names<'t>,
    /// The records of this page so far: a record may have many changes, and they may be far apart in time.
    records: HashMap<i64, Arc<ChangeRecord>>,
}

impl Page<'_> {
    fn stored_change(&mut self, place: &Place) -> Result<StoredChange, Failure> {
        let record = match self.records.get(&place.seq) {
            Some(record) => Arc::clone(record),
            None => {
                let record = Arc::new(self.read_record(place.seq)?);
                self.records.insert(place.seq, Arc::clone(&record));
                record
            }
        };
        let mut rows = self.change.query([place.seq, place.position])?;
        let row =
            rows.next()?.ok_or_else(|| damaged(place.seq, "one of its changes is missing"))?;
        let change = change_of(row.get(2)?).ok_or_else(|| {
            damaged(place.seq, "what happened to an object has an unknown number")
        })?;
        let changed_at = row.get::<_, Option<i64>>(6)?.map_or(record.started_at, time);
        let change = FieldChange::new(
            self.names.text(row.get(0)?)?.to_string(),
            text(row.get_ref(1)?).unwrap_or_default(),
            change,
            self.names.text(row.get(3)?)?.to_string(),
            json(row, 4)?,
            json(row, 5)?,
            changed_at,
        );
        Ok(StoredChange::new(change, place.position as u64, record))
    }

    fn read_record(&mut self, seq: i64) -> Result<ChangeRecord, Failure> {
        let mut rows = self.record.query([seq])?;
        let row =
            rows.next()?.ok_or_else(|| damaged(seq, "its changes are there, but it is missing"))?;
        let id =
            Uuid::from_slice(row.get_ref(0)?.as_blob().unwrap_or_default()).unwrap_or_default();
        let action = self.names.text(row.get(2)?)?;
        let mut record = ChangeRecord::new(seq as u64, id, time(row.get(1)?), action);
        record.method = self.names.text(row.get(3)?)?;
        record.outcome = outcome_of(row.get(4)?).unwrap_or(Outcome::Unknown);
        record.actor = row.get::<_, Option<i64>>(5)?.map(|id| self.names.text(id)).transpose()?;
        record.on_behalf_of =
            row.get::<_, Option<i64>>(6)?.map(|id| self.names.text(id)).transpose()?;
        record.reason = text(row.get_ref(7)?);
        record.notes = json(row, 8)?;
        record.context = json(row, 9)?;
        record.kind =
            kind_of(row.get(10)?).ok_or_else(|| damaged(seq, "its kind has an unknown number"))?;
        record.parent_id = uuid(row.get_ref(11)?);
        // The record's own id is not stored.
        record.correlation_id = match row.get_ref(12)? {
            value @ ValueRef::Blob(_) => uuid(value).map(CorrelationId::from),
            value => text(value).map(|text| CorrelationId::Text((&*text).into())),
        }
        .unwrap_or(CorrelationId::Uuid(id));
        Ok(record)
    }
}

fn uuid(value: ValueRef<'_>) -> Option<Uuid> {
    value.as_blob().ok().and_then(|bytes| Uuid::from_slice(bytes).ok())
}

/// A column of JSON. Other text, which only somebody else can have stored, becomes a JSON string.
fn json(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Json>> {
    let Some(text) = text(row.get_ref(column)?) else { return Ok(None) };
    Ok(Json::parse(&*text).ok().or_else(|| {
        let mut string = String::new();
        write_str(&mut string, &text);
        Json::parse(string).ok()
    }))
}

fn damaged(seq: i64, what: &str) -> Failure {
    Failure::Refused(Error::permanent(format!(
        "cannot read the record {seq} of the audit trail: {what}; somebody has written to the trail by \
         other means than the recorder, so compare it with a backup"
    )))
}
