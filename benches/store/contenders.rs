//! Three ways to store the same records.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use audited::record::CorrelationId;
use audited::store::{Batch, Store as _};
use audited::{Outcome, Record, SqliteStore};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// Stores records and measures how long that takes.
pub(crate) trait Contender {
    fn name(&self) -> &'static str;
    /// Stores `batch` in one transaction and returns the time, without that of preparing the
    /// values.
    fn store(&mut self, batch: &[Record]) -> Duration;
    fn path(&self) -> &Path;

    /// Returns the size of the database file.
    fn bytes(&self) -> i64 {
        let connection = Connection::open(self.path()).expect("a database");
        let ask = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        ask("PRAGMA page_count").expect("a number") * ask("PRAGMA page_size").expect("a number")
    }
}

/// The store of this project.
pub(crate) struct Ours {
    store: SqliteStore,
    path: PathBuf,
}

impl Ours {
    pub(crate) fn new(folder: &Path) -> Self {
        let path = folder.join("audit.db");
        Self { store: SqliteStore::open(&path).expect("a store"), path }
    }
}

impl Contender for Ours {
    fn name(&self) -> &'static str {
        "`SqliteStore`, all indexes"
    }

    fn store(&mut self, batch: &[Record]) -> Duration {
        let begin = Instant::now();
        self.store.write_batch(&Batch::new(batch)).expect("the store accepts the records");
        begin.elapsed()
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens a connection with the settings of our store, so that only the tables differ.
fn connect(path: &Path, tables: &str) -> Connection {
    let connection = Connection::open(path).expect("a database");
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {SETTINGS} {tables}"
        ))
        .expect("tables");
    connection
}

/// The same as in `audit-sqlite/src/link.rs`.
const SETTINGS: &str = "PRAGMA wal_autocheckpoint = 4000;";

fn insert(connection: &mut Connection, sql: &str, rows: &[Vec<Value>]) -> Duration {
    let begin = Instant::now();
    let transaction = connection.transaction().expect("a transaction");
    {
        let mut statement = transaction.prepare_cached(sql).expect("a statement");
        for row in rows {
            statement.execute(params_from_iter(row)).expect("a row");
        }
    }
    transaction.commit().expect("a commit");
    begin.elapsed()
}

/// An upper limit: the columns of our table without any index. The numbers of names and all JSON
/// are computed before the clock starts.
pub(crate) struct Ceiling {
    connection: Connection,
    path: PathBuf,
    names: HashMap<String, i64>,
}

const COLUMNS: &str = "id BLOB, kind INTEGER, outcome INTEGER, started_at INTEGER, duration_us INTEGER, \
    action INTEGER, method INTEGER, actor INTEGER, ip INTEGER, site INTEGER, service INTEGER, \
    target_type INTEGER, target_id TEXT, correlation_id, parent_id BLOB, input TEXT, output TEXT, log TEXT, \
    error TEXT";

impl Ceiling {
    pub(crate) fn new(folder: &Path) -> Self {
        let path = folder.join("ceiling.db");
        let table = format!("CREATE TABLE record (seq INTEGER PRIMARY KEY, {COLUMNS})");
        Self { connection: connect(&path, &table), path, names: HashMap::new() }
    }

    fn number(&mut self, name: &str) -> Value {
        let next = self.names.len() as i64 + 1;
        Value::Integer(*self.names.entry(name.to_owned()).or_insert(next))
    }

    fn row(&mut self, record: &Record) -> Vec<Value> {
        let correlation = match &record.correlation_id {
            CorrelationId::Uuid(id) if *id == record.id => Value::Null,
            CorrelationId::Uuid(id) => Value::Blob(id.as_bytes().to_vec()),
            other => Value::Text(other.to_string()),
        };
        vec![
            Value::Blob(record.id.as_bytes().to_vec()),
            Value::Integer(0),
            Value::Integer(i64::from(record.outcome == Outcome::Failure)),
            Value::Integer(record.started_at.timestamp_micros()),
            Value::Integer(record.duration_us as i64),
            self.number(&record.action),
            self.number(&record.method),
            self.number(record.actor.as_deref().unwrap_or_default()),
            self.number(&record.ip.expect("has one").to_string()),
            self.number(record.site.as_deref().unwrap_or_default()),
            self.number(record.service.as_deref().unwrap_or_default()),
            self.number(record.target_type.as_deref().unwrap_or_default()),
            text(record.target_id.as_deref()),
            correlation,
            record.parent_id.map_or(Value::Null, |id| Value::Blob(id.as_bytes().to_vec())),
            text(record.input.as_ref().map(|json| json.as_str())),
            text(record.output.as_ref().map(|json| json.as_str())),
            json(&record.log),
            record.error.as_ref().map_or(Value::Null, json),
        ]
    }
}

impl Contender for Ceiling {
    fn name(&self) -> &'static str {
        "the same rows without an index"
    }

    fn store(&mut self, batch: &[Record]) -> Duration {
        let rows: Vec<_> = batch.iter().map(|record| self.row(record)).collect();
        let sql = "INSERT INTO record VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        insert(&mut self.connection, sql, &rows)
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// A first attempt: text in every column, and an index for each kind of query.
pub(crate) struct Naive {
    connection: Connection,
    path: PathBuf,
}

impl Naive {
    pub(crate) fn new(folder: &Path) -> Self {
        let path = folder.join("naive.db");
        let tables = "CREATE TABLE audit (seq INTEGER PRIMARY KEY, id TEXT, kind TEXT, outcome TEXT, \
                started_at TEXT, duration_us INTEGER, action TEXT, method TEXT, actor TEXT, ip TEXT, site TEXT, \
                service TEXT, target_type TEXT, target_id TEXT, correlation_id TEXT, parent_id TEXT, \
                input TEXT, output TEXT, log TEXT, error TEXT);
            CREATE INDEX by_action ON audit (action);
            CREATE INDEX by_actor ON audit (actor);
            CREATE INDEX by_target ON audit (target_type, target_id);
            CREATE INDEX by_correlation ON audit (correlation_id);";
        Self { connection: connect(&path, tables), path }
    }
}

impl Contender for Naive {
    fn name(&self) -> &'static str {
        "naive table: text columns, 4 text indexes"
    }

    fn store(&mut self, batch: &[Record]) -> Duration {
        let rows: Vec<_> = batch.iter().map(naive_row).collect();
        let sql = "INSERT INTO audit VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        insert(&mut self.connection, sql, &rows)
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

fn naive_row(record: &Record) -> Vec<Value> {
    let time = record.started_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    vec![
        Value::Text(record.id.to_string()),
        text(Some(record.kind.as_str())),
        text(Some(record.outcome.as_str())),
        Value::Text(time),
        Value::Integer(record.duration_us as i64),
        text(Some(&record.action)),
        text(Some(&record.method)),
        text(record.actor.as_deref()),
        Value::Text(record.ip.expect("has one").to_string()),
        text(record.site.as_deref()),
        text(record.service.as_deref()),
        text(record.target_type.as_deref()),
        text(record.target_id.as_deref()),
        Value::Text(record.correlation_id.to_string()),
        record.parent_id.map_or(Value::Null, |id| Value::Text(id.to_string())),
        text(record.input.as_ref().map(|json| json.as_str())),
        text(record.output.as_ref().map(|json| json.as_str())),
        json(&record.log),
        record.error.as_ref().map_or(Value::Null, json),
    ]
}

fn text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| Value::Text(text.to_owned()))
}

fn json(value: &impl serde::Serialize) -> Value {
    Value::Text(serde_json::to_string(value).expect("plain data"))
}
