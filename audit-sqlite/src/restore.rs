//! [`restore_schema`]: restores triggers, indexes and views that another program has dropped or
//! changed, and records it in the trail.
//!
//! Tools that rebuild a table, or that remove what they do not know, drop such objects silently. The
//! trail would then accept updates, or queries would become slow. The store checks the schema when it
//! opens a connection, and again when SQLite's number of the schema has changed.

use std::path::Path;
use std::sync::OnceLock;

use audit_record::private::text::member;
use audit_record::{Error, Json, Kind, Outcome, Record};
use chrono::Utc;
use rusqlite::Connection;

use crate::connection::WriteConnection;
use crate::error::StoreError;
use crate::insert::{Inserter, STORE_TRANSACTION};
use crate::schema::NEW;

/// A table, index, trigger or view.
struct Object {
    kind: String,
    name: String,
    sql: String,
}

impl Object {
    /// How a record names it.
    fn label(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

/// The objects of a trail that differ from those of a new one.
#[derive(Default)]
struct Damage {
    missing: Vec<&'static Object>,
    changed: Vec<&'static Object>,
}

/// Restores what is missing or changed. If nothing is, it only reads.
///
/// `session` is the row of the recorder session that writes the record about it.
pub(crate) fn restore_schema(
    writer: &mut WriteConnection,
    inserter: &mut Inserter,
    session: Option<i64>,
    path: &Path,
) -> Result<(), StoreError> {
    let number = schema_number(&writer.connection)?;
    if writer.checked_schema == Some(number) {
        return Ok(());
    }
    match restore_if_damaged(writer, inserter, session, path) {
        Ok(restored) => {
            writer.checked_schema = Some(restored.unwrap_or(number));
            Ok(())
        }
        Err(failure) => {
            inserter.forget_names();
            // This lasts until the schema changes again, so the next batch need not try.
            if matches!(failure, StoreError::Explained(_)) || failure.is_conflict() {
                writer.checked_schema = Some(number);
            }
            Err(failure)
        }
    }
}

/// Returns the number of the restored schema; `None` if nothing had to be restored.
fn restore_if_damaged(
    writer: &mut WriteConnection,
    inserter: &mut Inserter,
    session: Option<i64>,
    path: &Path,
) -> Result<Option<i64>, StoreError> {
    if find_damage(&writer.connection, path)?.is_none() {
        return Ok(None);
    }
    let transaction = writer.begin("open", path)?;
    // Another process may have restored it meanwhile.
    if let Some(damage) = find_damage(&transaction, path)? {
        restore(&transaction, &damage)?;
        let record = [damage.to_record()];
        inserter.insert(&transaction, &STORE_TRANSACTION, session, &record, false)?;
    }
    let number = schema_number(&transaction)?;
    transaction.commit()?;
    Ok(Some(number))
}

/// A number that SQLite increments whenever the schema changes.
fn schema_number(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA main.schema_version")?.query_row([], |row| row.get(0))
}

/// Compares the schema with that of a new trail. `None` if they agree.
fn find_damage(connection: &Connection, path: &Path) -> Result<Option<Damage>, StoreError> {
    let found = objects(connection)?;
    let find = |kind: &str, name: &str| {
        found.iter().find(|object| object.kind == kind && object.name.eq_ignore_ascii_case(name))
    };
    let mut damage = Damage::default();
    for expected in new_schema()? {
        match find(&expected.kind, &expected.name) {
            Some(_) if expected.kind == "table" => {}
            Some(object) if tokens(&object.sql).eq(tokens(&expected.sql)) => {}
            Some(_) => damage.changed.push(expected),
            None if expected.kind == "table" => return Err(missing_table(path, expected)),
            // The names of triggers are separate from those of other objects.
            None if expected.kind != "trigger" => {
                let other = ["table", "view", "index"]
                    .into_iter()
                    .find_map(|kind| find(kind, &expected.name));
                match other {
                    Some(other) => return Err(taken_name(path, other)),
                    None => damage.missing.push(expected),
                }
            }
            None => damage.missing.push(expected),
        }
    }
    let is_damaged = !damage.missing.is_empty() || !damage.changed.is_empty();
    Ok(is_damaged.then_some(damage))
}

/// Drops what was changed, and creates what does not exist then.
fn restore(transaction: &Connection, damage: &Damage) -> Result<(), StoreError> {
    for object in &damage.changed {
        let drop = format!("DROP {} IF EXISTS main.{}", object.kind, object.name);
        transaction.execute_batch(&drop)?;
    }
    // The triggers of a view are dropped with it.
    let left = objects(transaction)?;
    let exists = |wanted: &Object| {
        left.iter().any(|object| {
            object.kind == wanted.kind && object.name.eq_ignore_ascii_case(&wanted.name)
        })
    };
    for object in new_schema()?.iter().filter(|object| !exists(object)) {
        transaction.execute_batch(&object.sql)?;
    }
    Ok(())
}

impl Damage {
    fn to_record(&self) -> Record {
        let mut record = Record::new(Kind::System, "schema restored", Utc::now());
        record.method = "audited".into();
        record.outcome = Outcome::Success;
        record.reason = Some(
            "another program had dropped or changed these parts of the trail's schema; until now, \
             the trail may have accepted changes that they prevent"
                .to_owned(),
        );
        let mut output = String::from("{");
        for (key, objects) in [("missing", &self.missing), ("changed", &self.changed)] {
            let labels: Vec<String> = objects.iter().map(|object| object.label()).collect();
            member(&mut output, key, &labels);
        }
        output.push('}');
        record.output = Some(Json::trusted(output));
        record
    }
}

/// The objects of a new trail, in the order in which they are created.
fn new_schema() -> rusqlite::Result<&'static [Object]> {
    static NEW_SCHEMA: OnceLock<Vec<Object>> = OnceLock::new();
    if let Some(schema) = NEW_SCHEMA.get() {
        return Ok(schema);
    }
    let connection = Connection::open_in_memory()?;
    for step in NEW {
        connection.execute_batch(step)?;
    }
    let schema = objects(&connection)?;
    Ok(NEW_SCHEMA.get_or_init(|| schema))
}

/// All objects of a database that have a definition.
fn objects(connection: &Connection) -> rusqlite::Result<Vec<Object>> {
    let mut statement = connection.prepare(
        "SELECT type, name, sql FROM main.sqlite_schema
         WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid",
    )?;
    let object = |row: &rusqlite::Row<'_>| {
        Ok(Object { kind: row.get(0)?, name: row.get(1)?, sql: row.get(2)? })
    };
    statement.query_map([], object)?.collect()
}

/// The characters of a definition without comments, white space and the quotes of names: SQLite and
/// tools may change these.
fn tokens(sql: &str) -> impl Iterator<Item = char> {
    let mut rest = sql.chars().peekable();
    let mut in_text = false;
    std::iter::from_fn(move || {
        loop {
            let next = rest.next()?;
            if next == '\'' {
                in_text = !in_text;
            } else if !in_text && next == '-' && rest.peek() == Some(&'-') {
                rest.find(|&char| char == '\n')?;
                continue;
            } else if !in_text && (next.is_whitespace() || next == '"') {
                continue;
            }
            return Some(next);
        }
    })
}

fn missing_table(path: &Path, table: &Object) -> StoreError {
    StoreError::Explained(Error::damaged(format!(
        "cannot open the audit trail `{}`: another program has dropped its table `{}`, and the \
         records in it; restore the file from a backup",
        path.display(),
        table.name
    )))
}

fn taken_name(path: &Path, other: &Object) -> StoreError {
    StoreError::Explained(Error::permanent(format!(
        "cannot open the audit trail `{}`: another program has replaced a part of its schema by \
         the {} `{}`; rename or drop that, and the trail will restore its own",
        path.display(),
        other.kind,
        other.name
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(sql: &str) -> String {
        tokens(sql).collect()
    }

    #[test]
    fn comments_white_space_and_quotes_do_not_count() {
        let sql = "CREATE INDEX \"i\" -- it's for 'x'\n  ON t (a)\n";
        assert_eq!(plain(sql), "CREATEINDEXiONt(a)");
        assert_eq!(plain("SELECT 'a -- \"b\"  c', 1 - -1 -- end"), "SELECT'a -- \"b\"  c',1--1");
        assert_ne!(plain("RAISE(ABORT, 'a b')"), plain("RAISE(ABORT, 'ab')"));
    }
}
