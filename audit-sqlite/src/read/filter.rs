//! [`Filter`]: the conditions of a query that are checked row by row, because no index covers them.

use std::collections::HashMap;

use audit_record::private::json::write_str;
use audit_record::store::ChangeQuery;
use chrono::{DateTime, Utc};
use rusqlite::Connection;

use super::decode::{NameReader, has_submicros};

/// The period and the fields that a query asks for.
pub(super) struct Filter<'t, 'q> {
    from: Option<i64>,
    until: Option<i64>,
    fields: &'q [String],
    names: NameReader<'t>,
    /// Whether a field is wanted, by the number of its name.
    wanted: HashMap<i64, bool>,
}

impl<'t, 'q> Filter<'t, 'q> {
    pub(super) fn new(
        transaction: &'t Connection,
        query: &'q ChangeQuery,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            from: query.from.map(ceil_micros),
            until: query.until.map(ceil_micros),
            fields: &query.fields,
            names: NameReader::new(transaction)?,
            wanted: HashMap::new(),
        })
    }

    pub(super) fn admits(&mut self, time: i64, field: Option<i64>) -> rusqlite::Result<bool> {
        if self.from.is_some_and(|from| time < from)
            || self.until.is_some_and(|until| time >= until)
        {
            return Ok(false);
        }
        let Some(field) = field.filter(|_| !self.fields.is_empty()) else { return Ok(true) };
        if let Some(&wanted) = self.wanted.get(&field) {
            return Ok(wanted);
        }
        let path = self.names.text(field)?;
        let wanted = self.fields.iter().any(|name| is_in_field(&path, name));
        self.wanted.insert(field, wanted);
        Ok(wanted)
    }
}

/// The first whole microsecond that is not before `time`.
fn ceil_micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros() + i64::from(has_submicros(time))
}

/// Whether `path` is the path of the field `name`, or of something inside it.
fn is_in_field(path: &str, name: &str) -> bool {
    let starts_with = |name: &str| {
        path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    // A path starts like this if its first name is not a plain identifier.
    let quoted = || {
        let mut quoted = "[".to_owned();
        write_str(&mut quoted, name);
        quoted + "]"
    };
    path == name || !name.is_empty() && starts_with(name) || starts_with(&quoted())
}
