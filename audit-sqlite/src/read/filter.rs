//! [`Filter`]: what no index answers.

use std::collections::HashMap;

use audit_record::private::json::write_str;
use audit_record::store::ChangeQuery;
use chrono::{DateTime, Utc};
use rusqlite::Connection;

use super::names::Names;

/// What is asked of each change that no index answers.
pub(super) struct Filter<'t, 'q> {
    from: Option<i64>,
    until: Option<i64>,
    fields: &'q [String],
    names: Names<'t>,
    /// Which fields, by the numbers of their names, are wanted.
    wanted: HashMap<i64, bool>,
}

impl<'t, 'q> Filter<'t, 'q> {
    pub(super) fn new(
        transaction: &'t Connection,
        query: &'q ChangeQuery,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            from: query.from.map(whole_micros),
            until: query.until.map(whole_micros),
            fields: &query.fields,
            names: Names::new(transaction)?,
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
        let wanted = self.fields.iter().any(|name| is_of(&path, name));
        self.wanted.insert(field, wanted);
        Ok(wanted)
    }
}

pub(super) fn is_between_micros(time: DateTime<Utc>) -> bool {
    !time.timestamp_subsec_nanos().is_multiple_of(1000)
}

/// The first microsecond that is not before `time`: what is stored has no finer part.
fn whole_micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros() + i64::from(is_between_micros(time))
}

/// Whether `path` is that of the field `name` or of something inside it.
fn is_of(path: &str, name: &str) -> bool {
    let begins_with = |name: &str| {
        path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    // How a path begins whose first name is not plain.
    let quoted = || {
        let mut quoted = "[".to_owned();
        write_str(&mut quoted, name);
        quoted + "]"
    };
    path == name || !name.is_empty() && begins_with(name) || begins_with(&quoted())
}
