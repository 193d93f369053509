//! [`Names`]: the strings that stand behind numbers.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _};

/// The other way round than the writer's dictionary, and only for as long as one page is read.
pub(super) struct Names<'t> {
    statement: CachedStatement<'t>,
    known: HashMap<i64, Arc<str>>,
}

impl<'t> Names<'t> {
    pub(super) fn new(transaction: &'t Connection) -> rusqlite::Result<Self> {
        let statement =
            transaction.prepare_cached("SELECT text FROM main.audit_name WHERE id = ?1")?;
        Ok(Self { statement, known: HashMap::new() })
    }

    /// What `id` stands for: nothing, if somebody has taken it out of a trail by force.
    pub(super) fn text(&mut self, id: i64) -> rusqlite::Result<Arc<str>> {
        if let Some(text) = self.known.get(&id) {
            return Ok(Arc::clone(text));
        }
        let found = self.statement.query_row([id], |row| row.get_ref(0).map(text)).optional()?;
        let text: Arc<str> = found.flatten().unwrap_or_default().into();
        self.known.insert(id, Arc::clone(&text));
        Ok(text)
    }
}

/// The text of a column. Bytes that are no UTF-8, which only somebody else can have stored, are replaced.
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
