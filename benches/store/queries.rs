//! Measures how long it takes to read the newest 50 records, by filter.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params, params_from_iter};

use crate::common::{Table, percentile};
use crate::rows::{ACTIONS, ACTORS, TARGETS_OF_TYPE, actor};

/// Queries of each kind.
const QUERIES: usize = 200;
/// After this time, no more queries of the same kind are made.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Records per page.
const PAGE: usize = 50;

/// All runs of a trail, the newest first. Each index begins with the run of the record.
const RUNS: &str = "WITH RECURSIVE run (n) AS (
    SELECT max(seq) >> 13 FROM audit_record UNION ALL SELECT n - 1 FROM run WHERE n > 0)
    SELECT r.seq, run.n FROM run CROSS JOIN audit_record AS r WHERE r.seq >> 13 = run.n AND ";

pub(crate) fn run(path: &Path) {
    let connection = Connection::open(path).expect("the trail");
    connection.execute_batch("PRAGMA query_only = true").expect("a setting");
    let mut trail = Trail::new(&connection);
    let mut table =
        Table::new(["newest 50 records", "p50, ms", "p95, ms", "queries", "records found"]);
    trail.by_runs(&mut table);
    trail.by_view(&mut table);
    table.print();
}

struct Trail<'c> {
    connection: &'c Connection,
    random: fastrand::Rng,
    /// Reads a record of the view by its `seq`.
    record: CachedStatement<'c>,
}

impl<'c> Trail<'c> {
    fn new(connection: &'c Connection) -> Self {
        let record = connection
            .prepare_cached("SELECT * FROM audit_log WHERE seq = ?1")
            .expect("a statement");
        Self { connection, random: fastrand::Rng::with_seed(17), record }
    }

    /// Queries as the store makes them: run by run, until the page is full.
    fn by_runs(&mut self, table: &mut Table) {
        self.measure(table, "table `audit_record`, no filter", |trail| {
            trail.seqs("SELECT seq, 0 FROM audit_record ORDER BY seq DESC LIMIT 50", &[])
        });
        self.measure(table, "table `audit_record`, by action", |trail| {
            let name = trail.random.choice(ACTIONS).expect("not empty").0;
            let number = trail.number(name);
            trail.seqs(&format!("{RUNS} r.action = ?1"), &[number])
        });
        self.measure(table, "table `audit_record`, by actor", |trail| {
            let name = actor(trail.random.u64(..ACTORS));
            let number = trail.number(&name);
            trail.seqs(&format!("{RUNS} r.actor = ?1"), &[number])
        });
        self.measure(table, "table `audit_record`, by target", |trail| {
            let (kind, id) = trail.target();
            let kind = trail.number(&kind);
            trail.seqs(&format!("{RUNS} r.target_type = ?1 AND r.target_id = ?2"), &[kind, id])
        });
        self.measure(table, "table `audit_record`, by outcome `failure`", |trail| {
            trail.seqs(&format!("{RUNS} r.outcome = ?1 AND r.outcome <> 0"), &[Value::Integer(1)])
        });
        self.measure(table, "table `audit_record`, by outcome `panic` (no such record)", |trail| {
            trail.seqs(&format!("{RUNS} r.outcome = ?1 AND r.outcome <> 0"), &[Value::Integer(2)])
        });
        self.measure(table, "table `audit_record`, by correlation id", |trail| {
            let id = trail.of_random_record::<Option<Value>>(
                "SELECT correlation_id FROM audit_record WHERE seq >= ?1 AND correlation_id IS NOT NULL LIMIT 1",
            );
            trail.seqs(&format!("{RUNS} r.correlation_id = ?1"), &[id.expect("has one")])
        });
        self.measure(table, "table `audit_record`, by time, one hour", |trail| {
            let from = trail.of_random_record::<i64>(
                "SELECT started_at FROM audit_record WHERE seq >= ?1 LIMIT 1",
            );
            trail.seqs(
                "SELECT seq, 0 FROM audit_record WHERE started_at >= ?1 AND started_at < ?2
                 ORDER BY started_at DESC LIMIT 50",
                &[Value::Integer(from), Value::Integer(from + 3_600_000_000)],
            )
        });
    }

    /// Queries on the view, as people write them.
    fn by_view(&mut self, table: &mut Table) {
        self.measure(table, "view `audit_log`, no filter", |trail| trail.view("true", &[]));
        self.measure(table, "view `audit_log`, by action", |trail| {
            let action = trail.random.choice(ACTIONS).expect("not empty").0;
            trail.view("action = ?1", &[Value::Text(action.to_owned())])
        });
        self.measure(table, "view `audit_log`, by actor", |trail| {
            let actor = actor(trail.random.u64(..ACTORS));
            trail.view("actor = ?1", &[Value::Text(actor)])
        });
        self.measure(table, "view `audit_log`, by target", |trail| {
            let (kind, id) = trail.target();
            trail.view("target_type = ?1 AND target_id = ?2", &[Value::Text(kind), id])
        });
        self.measure(table, "view `audit_log`, by outcome `failure`", |trail| {
            trail.view("outcome = ?1", &[Value::Text("failure".to_owned())])
        });
        self.measure(table, "view `audit_log`, by correlation id", |trail| {
            let id = trail.of_random_record::<String>(
                "SELECT correlation_id FROM audit_log WHERE seq >= ?1 LIMIT 1",
            );
            trail.view("correlation_id = ?1", &[Value::Text(id)])
        });
    }

    fn measure(&mut self, table: &mut Table, name: &str, query: impl Fn(&mut Self) -> usize) {
        let mut times = Vec::with_capacity(QUERIES);
        let mut found = 0;
        let began = Instant::now();
        while times.len() < QUERIES && (times.is_empty() || began.elapsed() < TIME_LIMIT) {
            let begin = Instant::now();
            found += query(self);
            times.push(begin.elapsed().as_secs_f64() * 1_000.0);
        }
        table.row([
            name.to_owned(),
            format!("{:.2}", percentile(&mut times, 50)),
            format!("{:.2}", percentile(&mut times, 95)),
            times.len().to_string(),
            format!("{:.1}", found as f64 / times.len() as f64),
        ]);
    }

    /// Reads the records whose `seq` and run the statement selects, and returns their number.
    fn seqs(&mut self, sql: &str, values: &[Value]) -> usize {
        let mut statement = self.connection.prepare_cached(sql).expect("a statement");
        let mut rows = statement.query(params_from_iter(values)).expect("rows");
        let (mut seqs, mut latest) = (Vec::new(), None);
        while let Some(row) = rows.next().expect("a row") {
            let (seq, run) = (row.get::<_, i64>(0).expect("a seq"), row.get::<_, i64>(1).ok());
            // A run begins with its oldest record, so it must be read to its end.
            if seqs.len() >= PAGE && run != latest {
                break;
            }
            latest = run;
            seqs.push(seq);
        }
        seqs.sort_unstable_by(|left, right| right.cmp(left));
        seqs.truncate(PAGE);
        seqs.iter().map(|seq| read_all(self.record.query(params![seq]).expect("a record"))).sum()
    }

    fn view(&mut self, filter: &str, values: &[Value]) -> usize {
        let sql = format!("SELECT * FROM audit_log WHERE {filter} ORDER BY seq DESC LIMIT 50");
        let mut statement = self.connection.prepare_cached(&sql).expect("a statement");
        read_all(statement.query(params_from_iter(values)).expect("rows"))
    }

    fn number(&self, name: &str) -> Value {
        let mut find = self
            .connection
            .prepare_cached("SELECT id FROM audit_name WHERE text = ?1")
            .expect("sql");
        let found: Option<i64> =
            find.query_row([name], |row| row.get(0)).optional().expect("a row");
        Value::Integer(found.unwrap_or(-1))
    }

    fn target(&mut self) -> (String, Value) {
        let kind = self.random.choice(ACTIONS).expect("not empty").2;
        (kind.to_owned(), Value::Text(self.random.u64(..TARGETS_OF_TYPE).to_string()))
    }

    fn of_random_record<T: rusqlite::types::FromSql>(&mut self, sql: &str) -> T {
        let newest: i64 = self
            .connection
            .query_row("SELECT max(seq) FROM audit_record", [], |row| row.get(0))
            .expect("a record");
        let seq = self.random.i64(1..newest * 9 / 10);
        let mut statement = self.connection.prepare_cached(sql).expect("a statement");
        statement.query_row([seq], |row| row.get(0)).expect("a record")
    }
}

/// Reads every column of every row, as a program that shows them does.
fn read_all(mut rows: rusqlite::Rows<'_>) -> usize {
    let mut count = 0;
    while let Some(row) = rows.next().expect("a row") {
        let columns = row.as_ref().column_count();
        (0..columns).for_each(|column| {
            std::hint::black_box(row.get_ref(column).expect("a column"));
        });
        count += 1;
    }
    count
}
