//! How much of the queue's bound in bytes a record takes.

use std::mem::size_of;

use crate::record::{CorrelationId, FieldChange, LogEntry, Note, Truncation};
use crate::{ErrorInfo, Json, Record};

/// What a record takes in memory, near enough for a bound.
///
/// Every text that comes from outside is counted with its length, and every element of a list with its
/// own size. Not counted: spare capacity, the allocator's own overhead, and that texts of the context are
/// shared between records. A text that is part of the program is counted as if it were the record's own.
pub fn size_of_record(record: &Record) -> usize {
    let texts = [
        record.action.len(),
        record.method.len(),
        opt(&record.actor),
        opt(&record.on_behalf_of),
        opt(&record.site),
        opt(&record.service),
        opt(&record.target_type),
        opt(&record.target_id),
        opt(&record.target_label),
        correlation(&record.correlation_id),
        opt(&record.traceback),
        opt(&record.reason),
    ];
    size_of::<Record>()
        + texts.iter().sum::<usize>()
        + json(&record.input)
        + json(&record.output)
        + json(&record.context)
        + record.error.as_ref().map_or(0, error)
        + list(&record.log, |entry: &LogEntry| {
            entry.level.len() + entry.target.len() + entry.message.len() + json(&entry.fields)
        })
        + list(&record.notes, note)
        + list(&record.truncated, truncation)
        + list(&record.changes, change)
}

pub fn note(note: &Note) -> usize {
    note.title.len() + note.description.len()
}

pub fn truncation(cut: &Truncation) -> usize {
    cut.path.len() + cut.unit.len()
}

pub fn error(error: &ErrorInfo) -> usize {
    error.type_name.len()
        + error.message.len()
        + list(&error.sources, String::len)
        + opt(&error.location)
}

pub fn change(change: &FieldChange) -> usize {
    change.target_type.len()
        + change.target_id.len()
        + change.field.len()
        + json(&change.before)
        + json(&change.after)
}

fn correlation(id: &CorrelationId) -> usize {
    match id {
        CorrelationId::Uuid(_) => 0,
        CorrelationId::Text(text) => text.len(),
    }
}

fn json(json: &Option<Json>) -> usize {
    json.as_ref().map_or(0, |json| json.as_str().len())
}

pub fn opt<T: std::ops::Deref<Target = str>>(text: &Option<T>) -> usize {
    text.as_ref().map_or(0, |text| text.len())
}

pub fn list<T>(list: &[T], of_one: impl Fn(&T) -> usize) -> usize {
    list.iter().map(|one| size_of::<T>() + of_one(one)).sum()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::{ChangeKind, Kind};

    const LONG: usize = 1_000_000;

    fn long() -> String {
        "x".repeat(LONG)
    }

    fn long_json() -> Option<Json> {
        Some(Json::trusted(serde_json::json!(long()).to_string()))
    }

    /// What `fill` adds to an empty record.
    fn added(fill: impl FnOnce(&mut Record)) -> usize {
        let mut record = Record::new(Kind::Call, "", Utc::now());
        let empty = size_of_record(&record);
        fill(&mut record);
        size_of_record(&record) - empty
    }

    #[test]
    fn an_empty_record_takes_its_own_size() {
        assert_eq!(size_of_record(&Record::new(Kind::Call, "", Utc::now())), size_of::<Record>());
    }

    #[test]
    fn every_text_counts() {
        let fills: [fn(&mut Record); 13] = [
            |record| record.action = long().into(),
            |record| record.method = long().into(),
            |record| record.actor = Some(long().into()),
            |record| record.on_behalf_of = Some(long().into()),
            |record| record.site = Some(long().into()),
            |record| record.service = Some(long().into()),
            |record| record.target_type = Some(long().into()),
            |record| record.target_id = Some(long()),
            |record| record.target_label = Some(long()),
            |record| record.correlation_id = CorrelationId::Text(long().into()),
            |record| record.traceback = Some(long()),
            |record| record.reason = Some(long()),
            |record| record.error = Some(ErrorInfo::new(long(), "", Vec::new(), None)),
        ];
        assert_eq!(fills.map(added), [LONG; 13]);
    }

    #[test]
    fn every_value_counts() {
        let fills: [fn(&mut Record); 3] = [
            |record| record.input = long_json(),
            |record| record.output = long_json(),
            |record| record.context = long_json(),
        ];
        assert_eq!(fills.map(added), [LONG + 2; 3]);
    }

    #[test]
    fn the_elements_of_lists_count_with_what_they_hold() {
        let error = added(|record| {
            let sources = vec![long(), long()];
            record.error = Some(ErrorInfo::new("", long(), sources, Some(long())));
        });
        assert_eq!(error, 4 * LONG + 2 * size_of::<String>());
        let log = added(|record| {
            record.log = vec![LogEntry::new(Utc::now(), long(), long(), long(), long_json())];
        });
        assert_eq!(log, 4 * LONG + 2 + size_of::<LogEntry>());
        let notes = added(|record| record.notes = vec![Note::new(long(), long())]);
        assert_eq!(notes, 2 * LONG + size_of::<Note>());
        let truncated =
            added(|record| record.truncated = vec![Truncation::new(long(), long(), 0, None)]);
        assert_eq!(truncated, 2 * LONG + size_of::<Truncation>());
        let at = DateTime::UNIX_EPOCH;
        let changes = added(|record| {
            let (before, after) = (long_json(), long_json());
            record.changes = vec![FieldChange::new(
                long(),
                long(),
                ChangeKind::Changed,
                long(),
                before,
                after,
                at,
            )];
        });
        assert_eq!(changes, 5 * LONG + 4 + size_of::<FieldChange>());
    }
}
