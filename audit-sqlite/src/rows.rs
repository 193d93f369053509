//! Records as rows of their table, several by one statement.

use audit_record::Record;
use rusqlite::{CachedStatement, ToSql};

use crate::dictionary::Dictionary;
use crate::encode::Encoder;
use crate::error::Failure;
use crate::schema::{kind_number, outcome_number};
use crate::write::{Correlation, duration, numbered};

/// The columns of a record, in the order in which [`bind`] gives them.
const COLUMNS: [&str; 26] = [
    "id",
    "kind",
    "outcome",
    "started_at",
    "duration_us",
    "action",
    "method",
    "actor",
    "on_behalf_of",
    "ip",
    "site",
    "service",
    "target_type",
    "target_id",
    "correlation_id",
    "parent_id",
    "target_label",
    "reason",
    "input",
    "output",
    "log",
    "error",
    "traceback",
    "notes",
    "context",
    "truncated",
];

/// Records of one statement, the most that fit first. It opens the table and each index once for all of them, and finds
/// its place at the end of those that grow there without a search. Beyond this, nothing more is gained.
pub(crate) const GROUPS: [usize; 3] = [32, 8, 1];

/// Bytes of text of a record that may be one of a group: the statement holds a copy of it until it is done.
const LIGHT: usize = 16 * 1024;

/// The statement that stores so many.
pub(crate) fn insert_records(conflict: &str, rows: usize) -> String {
    let row = format!("({})", ["?"; COLUMNS.len()].join(", "));
    let (columns, rows) = (COLUMNS.join(", "), vec![row; rows].join(", "));
    format!("INSERT OR {conflict} INTO main.audit_record ({columns}) VALUES {rows}")
}

/// Whether the longest texts of a record are short.
pub(crate) fn is_light(record: &Record) -> bool {
    let json = [&record.input, &record.output, &record.context];
    let json = json.into_iter().flatten().map(|json| json.as_str().len()).sum::<usize>();
    let log = record.log.iter().map(|entry| {
        let fields = entry.fields.as_ref().map_or(0, |fields| fields.as_str().len());
        entry.message.len() + fields
    });
    let traceback = record.traceback.as_ref().map_or(0, String::len);
    json + log.sum::<usize>() + traceback <= LIGHT
}

/// Inserts as many records as `statement` takes.
pub(crate) fn insert(
    statement: &mut CachedStatement<'_>,
    names: &mut Dictionary<'_>,
    encoder: &mut Encoder,
    records: &[Record],
) -> Result<(), Failure> {
    statement.clear_bindings();
    for (n, record) in records.iter().enumerate() {
        bind(Row { statement, next: 1 + n * COLUMNS.len() }, names, encoder, record)?;
    }
    statement.raw_execute()?;
    Ok(())
}

/// The parameters of one row, bound one after the other.
struct Row<'s, 't> {
    statement: &'s mut CachedStatement<'t>,
    next: usize,
}

impl Row<'_, '_> {
    /// What is not bound is NULL, which most columns of most records are.
    fn bind(&mut self, value: Option<impl ToSql>) -> rusqlite::Result<()> {
        let place = self.next;
        self.next += 1;
        value.map_or(Ok(()), |value| self.statement.raw_bind_parameter(place, value))
    }
}

fn bind(
    mut row: Row<'_, '_>,
    names: &mut Dictionary<'_>,
    encoder: &mut Encoder,
    record: &Record,
) -> Result<(), Failure> {
    let json = encoder.encode(record);
    row.bind(Some(record.id.as_bytes()))?;
    row.bind(Some(numbered("kind", record.kind, kind_number(record.kind))?))?;
    row.bind(Some(numbered("outcome", record.outcome, outcome_number(record.outcome))?))?;
    row.bind(Some(record.started_at.timestamp_micros()))?;
    row.bind(Some(duration(record)))?;
    row.bind(Some(names.id(&record.action)?))?;
    row.bind(Some(names.id(&record.method)?))?;
    row.bind(names.id_if(record.actor.as_deref())?)?;
    row.bind(names.id_if(record.on_behalf_of.as_deref())?)?;
    row.bind(names.id_if(json.ip)?)?;
    row.bind(names.id_if(record.site.as_deref())?)?;
    row.bind(names.id_if(record.service.as_deref())?)?;
    row.bind(names.id_if(record.target_type.as_deref())?)?;
    row.bind(record.target_id.as_deref())?;
    row.bind(Some(Correlation(record)))?;
    row.bind(record.parent_id.as_ref().map(|id| id.as_bytes()))?;
    row.bind(record.target_label.as_deref())?;
    row.bind(record.reason.as_deref())?;
    row.bind(record.input.as_ref().map(|json| json.as_str()))?;
    row.bind(record.output.as_ref().map(|json| json.as_str()))?;
    row.bind(json.log)?;
    row.bind(json.error)?;
    row.bind(record.traceback.as_deref())?;
    row.bind(json.notes)?;
    row.bind(record.context.as_ref().map(|json| json.as_str()))?;
    row.bind(json.truncated)?;
    Ok(())
}
