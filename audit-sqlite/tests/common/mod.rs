//! Helpers that several test binaries share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod session;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use audit_record::store::ChangeQuery;
use audit_record::{
    ChangeKind, CorrelationId, Error, ErrorInfo, FieldChange, Json, Kind, LogEntry, Note, Outcome,
    Record, Truncation,
};
use chrono::{DateTime, Utc};
use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;

pub(crate) fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time in RFC 3339")
}

pub(crate) fn json(text: &str) -> Option<Json> {
    Some(Json::parse(text).expect("valid JSON"))
}

/// A record with only its required fields set.
pub(crate) fn event(action: &str) -> Record {
    Record::new(Kind::Event, action.to_owned(), time("2026-01-02T03:04:05.678901Z"))
}

/// `count` records whose actions are `prefix 0`, `prefix 1` …
pub(crate) fn events(prefix: &str, count: usize) -> Vec<Record> {
    (0..count).map(|n| event(&format!("{prefix} {n}"))).collect()
}

/// The time of changes whose time does not matter to the test.
pub(crate) fn at() -> DateTime<Utc> {
    time("2026-01-02T03:04:05.700000999Z")
}

/// A record in which every field is set.
pub(crate) fn full() -> Record {
    let mut record =
        Record::new(Kind::Call, "transfer funds", time("2026-01-02T03:04:05.678901234Z"));
    record.id = "019b7ca1-0000-7000-8000-00000000abcd".parse().unwrap();
    record.duration_us = 1234;
    record.wait_us = Some(310);
    record.method = "bank::transfer".into();
    record.outcome = Outcome::Failure;
    record.actor = Some("alice".into());
    record.on_behalf_of = Some("bob".into());
    record.ip = Some("2001:db8::1".parse().unwrap());
    record.site = Some("eu-1".into());
    record.service = Some("billing".into());
    record.target_type = Some("account".into());
    record.target_id = Some("17".into());
    record.target_label = Some("Savings".into());
    record.correlation_id = CorrelationId::from("order 17");
    record.parent_id = Some("019b7ca0-ffff-7fff-bfff-fedcba987654".parse().unwrap());
    record.input = json(r#"{"from":17, "amount":1.10}"#);
    record.output = json("null");
    record.log = vec![
        LogEntry::new(time("2026-01-02T03:04:05Z"), "INFO", "bank", "begin", None),
        LogEntry::new(
            time("2026-01-02T03:04:05.123456789Z"),
            "WARN",
            "bank::check",
            "say \"no\"",
            json(r#"{"n": 1.0}"#),
        ),
    ];
    record.error = Some(ErrorInfo::new(
        "bank::Error",
        "no funds",
        vec!["limit".to_owned()],
        Some("src/bank.rs:1:2".to_owned()),
    ));
    record.traceback = Some("0: main".into());
    record.reason = Some("ticket 4".into());
    record.notes = vec![Note::new("ticket", "approved by phone")];
    record.context = json(r#"{"request_id":"r1"}"#);
    record.truncated = vec![
        Truncation::new("input.body", "bytes", 10, Some(20)),
        Truncation::new("log", "entries", 2, None),
    ];
    record.changes = vec![
        FieldChange::new(
            "account",
            "17",
            ChangeKind::Changed,
            "balance",
            json("1"),
            json("2"),
            at(),
        ),
        FieldChange::new(
            "account",
            "18",
            ChangeKind::Created,
            "owner",
            None,
            json("\"bob\""),
            at(),
        ),
        FieldChange::new("note", "n1", ChangeKind::Deleted, "text", json("null"), None, at()),
    ];
    record
}

/// A plain SQLite connection to the file at `path`.
pub(crate) fn read(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
    connection
}

/// The column names and the rows of the result of `sql`.
pub(crate) fn rows(path: &Path, sql: &str) -> (Vec<String>, Vec<Vec<Value>>) {
    let connection = read(path);
    let mut statement = connection.prepare(sql).unwrap();
    let columns: Vec<String> =
        (0..statement.column_count()).map(|n| statement.column_name(n).unwrap().into()).collect();
    let rows = statement
        .query_map([], |row| (0..columns.len()).map(|n| row.get(n)).collect())
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    (columns, rows)
}

/// The only value in the result of `sql`.
pub(crate) fn value<T: rusqlite::types::FromSql>(path: &Path, sql: &str) -> T {
    read(path).query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The rows of the result of `sql` as text, with `|` between the columns.
pub(crate) fn texts(path: &Path, sql: &str) -> Vec<String> {
    let (_, rows) = rows(path, sql);
    let plain = |value: Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text,
        other => panic!("{other:?}"),
    };
    rows.into_iter().map(|row| row.into_iter().map(plain).collect::<Vec<_>>().join("|")).collect()
}

/// The actions of all records, in the order of `seq`.
pub(crate) fn actions(path: &Path) -> Vec<String> {
    let (_, rows) = rows(path, "SELECT action FROM audit_log ORDER BY seq");
    rows.into_iter()
        .map(|row| match &row[0] {
            Value::Text(text) => text.clone(),
            other => panic!("the action is {other:?}"),
        })
        .collect()
}

/// A query for all changes of one object, oldest first.
pub(crate) fn query(target_type: &str, target_id: &str) -> ChangeQuery {
    let mut query = ChangeQuery::default();
    query.target_types = vec![target_type.to_owned()];
    query.target_id = Some(target_id.to_owned());
    query.limit = usize::MAX;
    query
}

/// The names of the files in `directory`, sorted.
pub(crate) fn file_names(directory: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Copies the trail that a release with schema `version` wrote into `directory`.
pub(crate) fn copy_golden(directory: &TempDir, version: i32) -> PathBuf {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v{version}.db"));
    let path = directory.path().join(format!("v{version}.db"));
    std::fs::copy(golden, &path).unwrap();
    path
}

/// A temporary directory in memory where possible, for tests that do not depend on a disk.
pub(crate) fn memory_directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap()
}

/// Asserts that a write to the trail at `path` failed with a transient error that starts with
/// `reason`.
#[track_caller]
pub(crate) fn assert_transient(error: &Error, path: &Path, reason: &str) {
    assert!(error.is_transient(), "{error}");
    let expected = format!("cannot write to the audit trail `{}`: {reason}", path.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
}

/// A command that runs one test of this test binary in a child process.
///
/// Such a test does the child's part. Run without the environment of the child, it does nothing.
pub(crate) fn child_test(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]);
    command
}

/// The path that the parent passed to this child process in `AUDIT_TEST_PATH`, if this is one.
pub(crate) fn path_from_parent() -> Option<PathBuf> {
    std::env::var_os("AUDIT_TEST_PATH").map(PathBuf::from)
}

/// Starts `count` child processes that run the test `name` on the trail at `path`. Each finds its
/// number in `AUDIT_TEST_PROCESS`.
pub(crate) fn start_children(name: &str, count: u64, path: &Path) -> Vec<Child> {
    (0..count)
        .map(|process| {
            child_test(name)
                .env("AUDIT_TEST_PATH", path)
                .env("AUDIT_TEST_PROCESS", process.to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect()
}
