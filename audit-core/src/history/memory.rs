//! [`MemoryReader`]: reads changes from records in memory, for tests.

use std::cmp::Ordering;
use std::sync::Arc;

use audit_record::private::text::Canonical as _;
use audit_record::store::{
    ChangePosition, ChangeQuery, ChangeReader, ChangeRecord, Children, StoredChange,
};
use audit_record::{Error, Json, Record};

/// The changes of some records, in the form in which a store returns them.
pub(crate) struct MemoryReader(Vec<StoredChange>);

impl MemoryReader {
    pub(crate) fn new(records: &[Record]) -> Self {
        let mut changes = Vec::new();
        for (n, record) in records.iter().enumerate() {
            let seq = record.seq.unwrap_or(n as u64 + 1);
            let mut info = ChangeRecord::new(seq, record.id, record.started_at, &*record.action);
            info.method = record.method.as_ref().into();
            info.outcome = record.outcome;
            info.kind = record.kind;
            info.correlation_id.clone_from(&record.correlation_id);
            info.parent_id = record.parent_id;
            info.actor.clone_from(&record.actor);
            info.on_behalf_of.clone_from(&record.on_behalf_of);
            info.reason.clone_from(&record.reason);
            info.context.clone_from(&record.context);
            info.notes = notes(record);
            let info = Arc::new(info);
            for (position, change) in record.changes.iter().enumerate() {
                changes.push(StoredChange::new(change.clone(), position as u64, info.clone()));
            }
        }
        Self(changes)
    }
}

fn notes(record: &Record) -> Option<Json> {
    if record.notes.is_empty() {
        return None;
    }
    let mut text = String::new();
    record.notes.write(&mut text);
    Some(Json::trusted(text))
}

impl ChangeReader for MemoryReader {
    fn changes(&mut self, query: &ChangeQuery) -> Result<Vec<StoredChange>, Error> {
        let order = |a: &ChangePosition, b: &ChangePosition| -> Ordering {
            let order = match query.target_id {
                Some(_) => a.cmp(b),
                None => (a.seq, a.position).cmp(&(b.seq, b.position)),
            };
            if query.newest_first { order.reverse() } else { order }
        };
        let is_after = |row: &StoredChange| {
            query.after.is_none_or(|after| order(&row.place(), &after).is_gt())
        };
        let mut found: Vec<StoredChange> =
            self.0.iter().filter(|row| selects(query, row) && is_after(row)).cloned().collect();
        found.sort_by(|a, b| order(&a.place(), &b.place()));
        found.truncate(query.limit);
        Ok(found)
    }
}

/// Whether the query selects `row`, apart from its position.
fn selects(query: &ChangeQuery, row: &StoredChange) -> bool {
    let change = &row.change;
    let is_type = |name: &String| *change.target_type == **name;
    let is_inside = |name: &String| {
        change
            .field
            .strip_prefix(&**name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with('['))
    };
    let id = query.target_id.as_deref();
    let own = query.target_types.iter().any(is_type) && id.is_none_or(|id| change.target_id == id);
    let below = |text: &str, above: &str| {
        text.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
    };
    let child = query.children.as_ref().is_some_and(|children| {
        let is_of_parent = match children {
            Children::Of(id) => below(&change.target_id, id),
            _ => true,
        };
        is_of_parent && query.target_types.iter().any(|name| below(&change.target_type, name))
    });
    (own || child)
        && query.change.is_none_or(|kind| change.change == kind)
        && (query.fields.is_empty() || query.fields.iter().any(is_inside))
        && query.actor.as_deref().is_none_or(|actor| row.record.actor.as_deref() == Some(actor))
        && query.kind.is_none_or(|kind| row.record.kind == kind)
        && query.from.is_none_or(|from| change.changed_at >= from)
        && query.until.is_none_or(|until| change.changed_at < until)
}
