//! A trail of each released schema is read and continued by today's code.

mod common;

use std::path::Path;

use audit_core::Sink as _;
use audit_sqlite::{SCHEMA_VERSION, SqliteStore};
use common::{actions, event, rows, value};
use rusqlite::types::Value;

const COLUMNS: &str = "seq, id, kind, started_at, duration_us, action, method, outcome, actor, ip, \
    target_type, target_id, correlation_id, parent_id, input, log";

fn row(seq: i64, texts: [Option<&str>; 3], duration: i64, rest: [Option<&str>; 11]) -> Vec<Value> {
    let value = |text: &Option<&str>| text.map_or(Value::Null, |t| Value::Text(t.to_owned()));
    let mut row = vec![Value::Integer(seq)];
    row.extend(texts.iter().map(value));
    row.push(Value::Integer(duration));
    row.extend(rest.iter().map(value));
    row
}

#[test]
fn version_1_is_read_and_continued() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1.db");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.db");
    std::fs::copy(golden, &path).unwrap();

    let mut store = SqliteStore::open(&path).unwrap();
    let mut record = event("transfer funds");
    record.actor = Some("alice".into());
    store.write(&[record, event("something new")]).unwrap();
    store.close().unwrap();

    let expected = [
        row(
            1,
            [
                Some("019b7ca1-7c1e-7cc3-9d4e-2f5b6c7d8e9f"),
                Some("call"),
                Some("2026-01-02T03:04:05.678901Z"),
            ],
            1234,
            [
                Some("transfer funds"),
                Some("bank::transfer"),
                Some("failure"),
                Some("alice"),
                Some("2001:db8::1"),
                Some("account"),
                Some("17"),
                Some("order 17"),
                None,
                Some(r#"{"amount":"101.67"}"#),
                Some(concat!(
                    r#"[{"time":"2026-01-02T03:04:05.678901Z","level":"WARN","target":"bank","#,
                    r#""message":"low funds","fields":{"left":3}}]"#
                )),
            ],
        ),
        row(
            2,
            [
                Some("019b7ca1-7c1f-7000-8000-000000000001"),
                Some("event"),
                Some("1969-12-31T23:59:59.500000Z"),
            ],
            0,
            [
                Some("check"),
                Some(""),
                Some("success"),
                Some("alice"),
                None,
                None,
                None,
                Some("019b7ca1-7c1f-7000-8000-000000000001"),
                Some("019b7ca1-7c1e-7cc3-9d4e-2f5b6c7d8e9f"),
                None,
                None,
            ],
        ),
    ];
    let (_, old) =
        rows(&path, &format!("SELECT {COLUMNS} FROM audit_log WHERE seq <= 2 ORDER BY seq"));
    assert_eq!(old, expected);
    let change =
        "SELECT record_id || ' ' || field || ' ' || before || ' ' || after FROM audit_changes";
    assert_eq!(value::<String>(&path, change), "019b7ca1-7c1e-7cc3-9d4e-2f5b6c7d8e9f balance 5 3");

    let all = ["transfer funds", "check", "transfer funds", "something new"];
    assert_eq!(actions(&path), all);
    let alices: i64 = value(&path, "SELECT count(*) FROM audit_log WHERE actor = 'alice'");
    assert_eq!(alices, 3);
    assert_eq!(value::<i32>(&path, "PRAGMA user_version"), SCHEMA_VERSION);
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
}

/// A step that has been released must stay as it is: files in the field were made by it.
#[test]
fn a_new_trail_has_the_schema_of_the_kept_one() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1.db");
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (directory.path().join("old.db"), directory.path().join("new.db"));
    std::fs::copy(golden, &old).unwrap();
    SqliteStore::open(&old).unwrap().close().unwrap();
    SqliteStore::open(&new).unwrap().close().unwrap();
    // Which tables of figures ANALYZE makes depends on how SQLite was built.
    let schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema
        WHERE name NOT LIKE 'sqlite_stat%' ORDER BY type, name";
    assert_eq!(rows(&old, schema), rows(&new, schema));
    let figures = "SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY tbl, idx";
    assert_eq!(rows(&old, figures), rows(&new, figures));
}
