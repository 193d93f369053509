//! Converts stored values back: names, texts, JSON, ids and times.

use std::collections::HashMap;
use std::sync::Arc;

use audit_record::Json;
use audit_record::private::json::write_str;
use chrono::{DateTime, Utc};
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _};
use uuid::Uuid;

/// Looks up the strings that numbers stand for. It lives as long as one page is read.
pub(super) struct NameReader<'t> {
    statement: CachedStatement<'t>,
    known: HashMap<i64, Arc<str>>,
}

impl<'t> NameReader<'t> {
    pub(super) fn new(transaction: &'t Connection) -> rusqlite::Result<Self> {
        let statement =
            transaction.prepare_cached("SELECT text FROM main.audit_name WHERE id = ?1")?;
        Ok(Self { statement, known: HashMap::new() })
    }

    /// The string with the number `id`. It is empty if somebody has removed it from the trail.
    pub(super) fn text(&mut self, id: i64) -> rusqlite::Result<Arc<str>> {
        if let Some(text) = self.known.get(&id) {
            return Ok(Arc::clone(text));
        }
        let found = self.statement.query_row([id], |row| row.get_ref(0).map(text)).optional()?;
        let text: Arc<str> = found.flatten().unwrap_or_default().into();
        self.known.insert(id, Arc::clone(&text));
        Ok(text)
    }

    pub(super) fn text_if(&mut self, id: Option<i64>) -> rusqlite::Result<Option<Arc<str>>> {
        id.map(|id| self.text(id)).transpose()
    }
}

/// The text of a column. Invalid UTF-8, which only another program can have stored, is replaced.
pub(super) fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Null => None,
    }
}

/// The JSON of a column. Other text, which only another program can have stored, becomes a JSON
/// string.
pub(super) fn json(value: ValueRef<'_>) -> Option<Json> {
    let text = text(value)?;
    Json::parse(&*text).ok().or_else(|| {
        let mut string = String::new();
        write_str(&mut string, &text);
        Json::parse(string).ok()
    })
}

/// The id of a record. Before version 5 of the schema, and for correlation ids, it is stored as 16
/// bytes.
pub(super) fn uuid(value: ValueRef<'_>) -> Option<Uuid> {
    match value {
        ValueRef::Text(text) => Uuid::try_parse_ascii(text).ok(),
        ValueRef::Blob(bytes) => Uuid::from_slice(bytes).ok(),
        _ => None,
    }
}

pub(super) fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(clamp_micros(micros)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// Limits stored microseconds to the range of [`DateTime`].
pub(super) fn clamp_micros(micros: i64) -> i64 {
    micros.clamp(
        DateTime::<Utc>::MIN_UTC.timestamp_micros(),
        DateTime::<Utc>::MAX_UTC.timestamp_micros(),
    )
}

/// Whether `time` is between two microseconds. Stored times have whole microseconds.
pub(super) fn has_submicros(time: DateTime<Utc>) -> bool {
    !time.timestamp_subsec_nanos().is_multiple_of(1000)
}
