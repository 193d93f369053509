//! The columns of the tables `audit_record` and `audit_intent`, in one list.
//!
//! The INSERT of records, the INSERT of intents, the statement that turns intents into records, and
//! the check of columns that are read are all generated from the list `columns!` below. To add a
//! column, add one line there, a migration step in `schema/`, and the column in the views. A test
//! compares the list with the schema.

use std::sync::LazyLock;

use audit_record::{CorrelationId, Error, Record};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, ToSql};

use crate::dictionary::Dictionary;
use crate::encode::{Encoded, Encoder};
use crate::error::StoreError;
use crate::schema::{kind_number, outcome_number};

/// A column of one or both of the tables.
struct Column {
    name: &'static str,
    tables: Tables,
    /// SQL for the value in the record of a call whose end is unknown, over the columns of its
    /// intent. Without it, a column of both tables is copied, and any other is NULL.
    when_unknown: Option<&'static str>,
}

/// The tables that have a column.
#[derive(Clone, Copy)]
enum Tables {
    Record,
    Intent,
    Both,
}

#[derive(Clone, Copy)]
enum Table {
    Record,
    Intent,
}

impl Tables {
    const fn include(self, table: Table) -> bool {
        matches!(
            (self, table),
            (Self::Both, _) | (Self::Record, Table::Record) | (Self::Intent, Table::Intent)
        )
    }
}

/// Generates [`COLUMNS`] and [`bind_columns`] from one line per column: its name, the tables that
/// have it, [`Column::when_unknown`] if needed, and the value to bind.
macro_rules! columns {
    (
        |$record:ident, $session:ident, $names:ident, $text:ident|
        $($name:literal in $tables:ident $(when_unknown $sql:literal)? = $value:expr;)*
    ) => {
        const COLUMNS: &[Column] = &[$(Column {
            name: $name,
            tables: Tables::$tables,
            when_unknown: columns!(@optional $($sql)?),
        }),*];

        /// Binds the values of all columns of `table`. Inlined, so that the checks of `table` are
        /// made at compile time.
        #[inline(always)]
        fn bind_columns(
            mut row: Row<'_, '_>,
            table: Table,
            $record: &Record,
            $session: Option<i64>,
            $names: &mut Dictionary<'_>,
            $text: &Encoded<'_>,
        ) -> Result<(), StoreError> {
            $(if Tables::$tables.include(table) {
                row.bind($value)?;
            })*
            Ok(())
        }
    };
    (@optional) => { None };
    (@optional $sql:literal) => { Some($sql) };
}

// The order is that of the tables. A value is an `Option`, and NULL if it is `None`.
columns! { |record, session, names, text|
    "session" in Intent = session;
    "id" in Both = Some(text.id);
    "kind" in Both = Some(require_number("kind", record.kind, kind_number(record.kind))?);
    "outcome" in Record when_unknown "4" =
        Some(require_number("outcome", record.outcome, outcome_number(record.outcome))?);
    "started_at" in Both = Some(record.started_at.timestamp_micros());
    "duration_us" in Record when_unknown "0" = Some(stored_micros(record.duration_us));
    "action" in Both = Some(names.id(&record.action)?);
    "method" in Both = Some(names.id(&record.method)?);
    "actor" in Both = names.id_if(record.actor.as_deref())?;
    "on_behalf_of" in Both = names.id_if(record.on_behalf_of.as_deref())?;
    "ip" in Both = names.id_if(text.ip)?;
    "site" in Both = names.id_if(record.site.as_deref())?;
    "service" in Both = names.id_if(record.service.as_deref())?;
    "target_type" in Both = names.id_if(record.target_type.as_deref())?;
    "target_id" in Both = record.target_id.as_deref();
    "correlation_id" in Both = Some(StoredCorrelation(record));
    "parent_id" in Both = text.parent_id;
    "target_label" in Both = record.target_label.as_deref();
    "reason" in Both when_unknown "ifnull(reason || '; ', '') || ?2" = record.reason.as_deref();
    "input" in Both = record.input.as_ref().map(|json| json.as_str());
    "output" in Record = record.output.as_ref().map(|json| json.as_str());
    "log" in Record = text.log;
    "error" in Record = text.error;
    "traceback" in Record = record.traceback.as_deref();
    "notes" in Both = text.notes;
    "context" in Both = record.context.as_ref().map(|json| json.as_str());
    "truncated" in Both = text.truncated;
    "session" in Record when_unknown "?3" = session;
    "wait_us" in Record = record.wait_us.map(stored_micros);
}

/// The number of parameters of one record.
const RECORD_PARAMETERS: usize = count(Table::Record);

const fn count(table: Table) -> usize {
    let (mut n, mut count) = (0, 0);
    while n < COLUMNS.len() {
        count += COLUMNS[n].tables.include(table) as usize;
        n += 1;
    }
    count
}

fn names_in(table: Table) -> Vec<&'static str> {
    COLUMNS.iter().filter(|column| column.tables.include(table)).map(|column| column.name).collect()
}

/// The parameters of one row, bound one after the other.
struct Row<'s, 't> {
    statement: &'s mut CachedStatement<'t>,
    next: usize,
}

impl Row<'_, '_> {
    /// A parameter that is not bound is NULL, as are most columns of most records.
    #[inline]
    fn bind(&mut self, value: Option<impl ToSql>) -> rusqlite::Result<()> {
        let parameter = self.next;
        self.next += 1;
        match value {
            Some(value) => self.statement.raw_bind_parameter(parameter, value),
            None => Ok(()),
        }
    }
}

/// The statement that inserts `rows` records.
pub(crate) fn insert_records_sql(conflict: &str, rows: usize) -> String {
    let row = format!("({})", ["?"; RECORD_PARAMETERS].join(", "));
    let (columns, rows) = (names_in(Table::Record).join(", "), vec![row; rows].join(", "));
    format!("INSERT OR {conflict} INTO main.audit_record ({columns}) VALUES {rows}")
}

/// Binds record number `n`, from 0, of a statement of [`insert_records_sql`]. `session` is the row
/// of the recorder session that writes it.
pub(crate) fn bind_record(
    statement: &mut CachedStatement<'_>,
    n: usize,
    names: &mut Dictionary<'_>,
    encoder: &mut Encoder,
    session: Option<i64>,
    record: &Record,
) -> Result<(), StoreError> {
    let row = Row { statement, next: 1 + n * RECORD_PARAMETERS };
    bind_columns(row, Table::Record, record, session, names, &encoder.encode(record))
}

/// Inserts one intent, unless it is stored already, or its record is. A batch may be offered twice,
/// and the record of a call that no longer waits may arrive first.
pub(crate) static INSERT_INTENT: LazyLock<String> = LazyLock::new(|| {
    let columns = names_in(Table::Intent);
    let parameters: Vec<String> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
    let id = columns.iter().position(|&name| name == "id").map_or(0, |position| position + 1);
    format!(
        "INSERT OR FAIL INTO main.audit_intent ({}) SELECT {} \
         WHERE NOT EXISTS (SELECT 1 FROM main.audit_record WHERE id = ?{id}) \
         AND NOT EXISTS (SELECT 1 FROM main.audit_intent WHERE id = ?{id})",
        columns.join(", "),
        parameters.join(", ")
    )
});

/// Binds the parameters of [`INSERT_INTENT`]. `session` is the number of its row.
pub(crate) fn bind_intent(
    statement: &mut CachedStatement<'_>,
    names: &mut Dictionary<'_>,
    encoder: &mut Encoder,
    session: i64,
    intent: &Record,
) -> Result<(), StoreError> {
    statement.clear_bindings();
    let row = Row { statement, next: 1 };
    bind_columns(row, Table::Intent, intent, Some(session), names, &encoder.encode(intent))
}

/// Inserts a record with outcome `unknown` for each intent of the session `?1` that has no record,
/// and adds `?2` to its reason. The session `?3` writes it.
pub(crate) static RECORD_INTENTS_AS_UNKNOWN: LazyLock<String> = LazyLock::new(|| {
    let (columns, values): (Vec<_>, Vec<_>) = COLUMNS
        .iter()
        .filter_map(|column| {
            let copied = matches!(column.tables, Tables::Both).then_some(column.name);
            Some((column.name, column.when_unknown.or(copied)?))
        })
        .unzip();
    format!(
        "INSERT OR FAIL INTO main.audit_record ({}) SELECT {} FROM main.audit_intent AS i \
         WHERE session = ?1 \
         AND NOT EXISTS (SELECT 1 FROM main.audit_record AS r WHERE r.id = i.id) ORDER BY number",
        columns.join(", "),
        values.join(", ")
    )
});

/// Columns of `audit_record` that one statement reads. Names are checked at compile time.
pub(crate) struct Selection<const N: usize>([&'static str; N]);

impl<const N: usize> Selection<N> {
    /// Panics, which is a compile error in a constant, if `audit_record` has no such column.
    pub(crate) const fn of_record(names: [&'static str; N]) -> Self {
        let mut n = 0;
        while n < N {
            let mut column = 0;
            while !(equal(COLUMNS[column].name, names[n])
                && COLUMNS[column].tables.include(Table::Record))
            {
                column += 1;
                assert!(column < COLUMNS.len(), "`audit_record` has no such column");
            }
            n += 1;
        }
        Self(names)
    }

    /// The index of a column in the rows of the statement. Panics if it is not selected.
    pub(crate) const fn index(&self, name: &str) -> usize {
        let mut n = 0;
        while !equal(self.0[n], name) {
            n += 1;
            assert!(n < N, "the column is not selected");
        }
        n
    }

    /// The columns as SQL.
    pub(crate) fn sql(&self) -> String {
        self.0.join(", ")
    }
}

/// `==` for strings does not work in constants.
const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut n = 0;
    while n < a.len() && n < b.len() && a[n] == b[n] {
        n += 1;
    }
    n == a.len() && n == b.len()
}

/// The correlation id as it is stored. A record's own id, which is what most records have, is
/// stored as NULL, so that it takes no space in the table and in the index.
pub(crate) struct StoredCorrelation<'r>(pub(crate) &'r Record);

impl ToSql for StoredCorrelation<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match &self.0.correlation_id {
            CorrelationId::Uuid(id) if *id == self.0.id => ValueRef::Null,
            CorrelationId::Uuid(id) => ValueRef::Blob(id.as_bytes()),
            CorrelationId::Text(text) => ValueRef::Text(text.as_bytes()),
            other => {
                return Err(rusqlite::Error::ToSqlConversionFailure(
                    format!(
                        "cannot store the correlation id `{other}`: it is of an unknown kind; \
                         update the crate `audit-sqlite`"
                    )
                    .into(),
                ));
            }
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

/// The number that stands for `name` in the schema, or an error if the schema has none.
pub(crate) fn require_number(
    what: &str,
    name: impl std::fmt::Display,
    number: Option<i64>,
) -> Result<i64, Error> {
    number.ok_or_else(|| {
        Error::permanent(format!(
            "cannot store a record with the {what} `{name}`: this schema has no number for it; \
             update the crate `audit-sqlite`"
        ))
    })
}

/// SQLite has no unsigned integers. A duration of more than 292,000 years is stored as that.
pub(crate) fn stored_micros(duration_us: u64) -> i64 {
    i64::try_from(duration_us).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::schema::NEW;

    /// The columns of a table, without the one that SQLite numbers by itself.
    fn columns_of(connection: &Connection, table: &str) -> Vec<String> {
        let sql = "SELECT name FROM pragma_table_info(?1) WHERE pk = 0";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn the_list_has_the_columns_of_the_schema() {
        let connection = Connection::open_in_memory().unwrap();
        NEW.iter().for_each(|step| connection.execute_batch(step).unwrap());
        assert_eq!(columns_of(&connection, "audit_record"), names_in(Table::Record));
        assert_eq!(columns_of(&connection, "audit_intent"), names_in(Table::Intent));
    }

    #[test]
    fn the_statements_are_complete() {
        let connection = Connection::open_in_memory().unwrap();
        NEW.iter().for_each(|step| connection.execute_batch(step).unwrap());
        for (sql, parameters) in [
            (&insert_records_sql("FAIL", 2), 2 * RECORD_PARAMETERS),
            (&INSERT_INTENT, count(Table::Intent)),
            (&RECORD_INTENTS_AS_UNKNOWN, 3),
        ] {
            assert_eq!(connection.prepare(sql).unwrap().parameter_count(), parameters, "{sql}");
        }
        assert!(
            RECORD_INTENTS_AS_UNKNOWN.starts_with(
                "INSERT OR FAIL INTO main.audit_record (id, kind, outcome, started_at, \
                 duration_us, action, method, actor, on_behalf_of, ip, site, service, target_type, \
                 target_id, correlation_id, parent_id, target_label, reason, input, notes, \
                 context, truncated, session) \
                 SELECT id, kind, 4, started_at, 0, action, method, actor, on_behalf_of, ip, site, \
                 service, target_type, target_id, correlation_id, parent_id, target_label, \
                 ifnull(reason || '; ', '') || ?2, input, notes, context, truncated, ?3 \
                 FROM"
            ),
            "{}",
            *RECORD_INTENTS_AS_UNKNOWN
        );
    }
}
