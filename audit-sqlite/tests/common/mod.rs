//! What several tests share.
#![allow(dead_code, reason = "each test file uses its own part of it")]

pub(crate) mod session;

use std::path::Path;

use audit_record::store::ChangeQuery;
use audit_record::{
    ChangeKind, CorrelationId, ErrorInfo, FieldChange, Json, Kind, LogEntry, Note, Outcome, Record,
    Truncation,
};
use chrono::{DateTime, Utc};
use rusqlite::Connection;
use rusqlite::types::Value;

pub(crate) fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time in RFC 3339")
}

pub(crate) fn json(text: &str) -> Option<Json> {
    Some(Json::parse(text).expect("valid JSON"))
}

/// A record that says as little as possible.
pub(crate) fn event(action: &str) -> Record {
    Record::new(Kind::Event, action.to_owned(), time("2026-01-02T03:04:05.678901Z"))
}

/// `count` records whose actions are `prefix 0`, `prefix 1` …
pub(crate) fn events(prefix: &str, count: usize) -> Vec<Record> {
    (0..count).map(|n| event(&format!("{prefix} {n}"))).collect()
}

/// When a change took effect that a test says nothing about.
pub(crate) fn at() -> DateTime<Utc> {
    time("2026-01-02T03:04:05.700000999Z")
}

/// A record in which every field says something.
pub(crate) fn full() -> Record {
    let mut record =
        Record::new(Kind::Call, "transfer funds", time("2026-01-02T03:04:05.678901234Z"));
    record.id = "019b7ca1-0000-7000-8000-00000000abcd".parse().unwrap();
    record.duration_us = 1234;
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

pub(crate) fn read(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
    connection
}

/// The names of the columns, and each row's values, of `sql`.
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

/// The one value that `sql` gives.
pub(crate) fn value<T: rusqlite::types::FromSql>(path: &Path, sql: &str) -> T {
    read(path).query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The actions on record, in the order of `seq`.
pub(crate) fn actions(path: &Path) -> Vec<String> {
    let (_, rows) = rows(path, "SELECT action FROM audit_log ORDER BY seq");
    rows.into_iter()
        .map(|row| match &row[0] {
            Value::Text(text) => text.clone(),
            other => panic!("the action is {other:?}"),
        })
        .collect()
}

/// Asks for all changes of one object, the oldest first.
pub(crate) fn query(target_type: &str, target_id: &str) -> ChangeQuery {
    let mut query = ChangeQuery::default();
    query.target_types = vec![target_type.to_owned()];
    query.target_id = Some(target_id.to_owned());
    query.limit = usize::MAX;
    query
}
