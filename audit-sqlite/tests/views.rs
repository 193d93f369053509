//! The views `audit_log` and `audit_changes` show every stored value exactly.

mod common;

use audit_record::store::Store as _;
use audit_record::{ChangeKind, CorrelationId, FieldChange, Kind, Outcome, Record};
use audit_sqlite::SqliteStore;
use common::{at, event, full, json, read, rows, time, value};
use rusqlite::types::Value;
use tempfile::tempdir;

const LOG_COLUMNS: &str = "seq id kind started_at duration_us action method outcome actor \
    on_behalf_of ip site service target_type target_id target_label correlation_id parent_id \
    input output log error traceback reason notes context truncated session_id wait_us parent_seq";
const CHANGE_COLUMNS: &str = "record_id started_at action actor target_type target_id change \
     field before after changed_at record_kind record_outcome record_seq parent_seq";

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn every_field_is_shown_as_it_was_recorded() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&[full()]).unwrap();

    let (columns, log) = rows(&path, "SELECT * FROM audit_log");
    assert_eq!(columns.join(" "), LOG_COLUMNS.split_whitespace().collect::<Vec<_>>().join(" "));
    assert_eq!(
        log,
        [vec![
            Value::Integer(1),
            text("019b7ca1-0000-7000-8000-00000000abcd"),
            text("call"),
            text("2026-01-02T03:04:05.678901Z"),
            Value::Integer(1234),
            text("transfer funds"),
            text("bank::transfer"),
            text("failure"),
            text("alice"),
            text("bob"),
            text("2001:db8::1"),
            text("eu-1"),
            text("billing"),
            text("account"),
            text("17"),
            text("Savings"),
            text("order 17"),
            text("019b7ca0-ffff-7fff-bfff-fedcba987654"),
            text(r#"{"from":17, "amount":1.10}"#),
            text("null"),
            text(concat!(
                r#"[{"time":"2026-01-02T03:04:05.000000Z","level":"INFO","target":"bank","message":"begin"},"#,
                r#"{"time":"2026-01-02T03:04:05.123456Z","level":"WARN","target":"bank::check","#,
                r#""message":"say \"no\"","fields":{"n": 1.0}}]"#
            )),
            text(concat!(
                r#"{"type":"bank::Error","message":"no funds","sources":["limit"],"#,
                r#""location":"src/bank.rs:1:2"}"#
            )),
            text("0: main"),
            text("ticket 4"),
            text(r#"[{"title":"ticket","description":"approved by phone"}]"#),
            text(r#"{"request_id":"r1"}"#),
            text(concat!(
                r#"[{"path":"input.body","unit":"bytes","kept":10,"was":20},"#,
                r#"{"path":"log","unit":"entries","kept":2}]"#
            )),
            Value::Null,
            Value::Integer(310),
            Value::Null,
        ]]
    );

    let (columns, changes) = rows(&path, "SELECT * FROM audit_changes");
    assert_eq!(columns.join(" "), CHANGE_COLUMNS);
    let change = |target_type, target_id, change, field, before, after| {
        vec![
            text("019b7ca1-0000-7000-8000-00000000abcd"),
            text("2026-01-02T03:04:05.678901Z"),
            text("transfer funds"),
            text("alice"),
            text(target_type),
            text(target_id),
            text(change),
            text(field),
            before,
            after,
            text("2026-01-02T03:04:05.700000Z"),
            text("call"),
            text("failure"),
            Value::Integer(1),
            Value::Null,
        ]
    };
    assert_eq!(
        changes,
        [
            change("account", "17", "changed", "balance", text("1"), text("2")),
            change("account", "18", "created", "owner", Value::Null, text("\"bob\"")),
            change("note", "n1", "deleted", "text", text("null"), Value::Null),
        ]
    );
}

#[test]
fn unset_fields_are_null() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let record = event("look");
    SqliteStore::open(&path).unwrap().write(std::slice::from_ref(&record)).unwrap();

    let (columns, log) = rows(&path, "SELECT * FROM audit_log");
    let set: Vec<&str> = columns
        .iter()
        .zip(&log[0])
        .filter(|(_, value)| **value != Value::Null)
        .map(|(column, _)| column.as_str())
        .collect();
    assert_eq!(
        set,
        "seq id kind started_at duration_us action method outcome correlation_id"
            .split(' ')
            .collect::<Vec<_>>()
    );
    let correlation: String = value(&path, "SELECT correlation_id FROM audit_log");
    assert_eq!(
        correlation,
        record.id.to_string(),
        "a record without a context correlates with itself"
    );
}

/// A call is stored after the calls in it, and the call around a record may never be stored.
#[test]
fn the_call_around_a_record_is_found_by_its_seq() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut records = common::events("call", 4);
    let outer = records[2].id;
    records[0].parent_id = Some(outer);
    records[1].parent_id = Some(outer);
    records[3].parent_id = Some(event("never stored").id);
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&records[..1]).unwrap();
    let parents = "SELECT seq, parent_seq FROM audit_log ORDER BY seq";
    assert_eq!(common::texts(&path, parents), ["1|NULL"]);
    store.write(&records[1..]).unwrap();
    assert_eq!(common::texts(&path, parents), ["1|3", "2|3", "3|NULL", "4|NULL"]);
    let nested = "SELECT action FROM audit_log WHERE parent_seq = 3 ORDER BY seq";
    assert_eq!(common::texts(&path, nested), ["call 0", "call 1"]);
}

#[test]
fn kinds_outcomes_and_change_kinds_keep_their_names() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut records = Vec::new();
    for &kind in Kind::ALL {
        for &outcome in Outcome::ALL {
            let mut record = event(&format!("{kind} {outcome} changed created deleted"));
            record.kind = kind;
            record.outcome = outcome;
            record.changes = [ChangeKind::Changed, ChangeKind::Created, ChangeKind::Deleted]
                .map(|change| FieldChange::new("t", "1", change, change.as_str(), None, None, at()))
                .into();
            records.push(record);
        }
    }
    SqliteStore::open(&path).unwrap().write(&records).unwrap();

    let wrong: i64 = value(
        &path,
        "SELECT count(*) FROM audit_log
         WHERE action IS NOT kind || ' ' || outcome || ' changed created deleted'",
    );
    assert_eq!(wrong, 0);
    let changes: (i64, i64) = read(&path)
        .query_row("SELECT count(*), sum(change = field) FROM audit_changes", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(changes, (150, 150));
}

#[test]
fn times_are_exact_to_the_microsecond_and_sort_as_text() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let times = [
        "0000-01-01T00:00:00.000000Z",
        "0999-12-31T23:59:59.999999Z",
        "1969-12-31T23:59:58.000001Z",
        "1969-12-31T23:59:59.000000Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00.000000Z",
        "1970-01-01T00:00:00.000001Z",
        "2024-02-29T12:00:00.100000Z",
        "2026-01-02T03:04:05.678901Z",
        "9999-12-31T23:59:59.999999Z",
    ];
    let records: Vec<Record> =
        times.iter().rev().map(|text| Record::new(Kind::Event, "tick", time(text))).collect();
    SqliteStore::open(&path).unwrap().write(&records).unwrap();

    let (_, sorted) = rows(&path, "SELECT started_at FROM audit_log ORDER BY started_at");
    assert_eq!(sorted.concat(), times.map(text));
}

#[test]
fn a_correlation_id_keeps_its_exact_text() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let other = "019b7ca1-0000-7000-8000-00000000abcd";
    let mut records = common::events("call", 4);
    records[1].correlation_id = records[0].id.into();
    records[2].correlation_id = CorrelationId::from(other);
    records[3].correlation_id = CorrelationId::from("019B7CA1-0000-7000-8000-00000000ABCD");
    SqliteStore::open(&path).unwrap().write(&records).unwrap();

    let (_, stored) = rows(&path, "SELECT correlation_id FROM audit_log ORDER BY seq");
    let first = records[0].id.to_string();
    let expected = [&*first, &*first, other, "019B7CA1-0000-7000-8000-00000000ABCD"];
    assert_eq!(stored.concat(), expected.map(text));
}

#[test]
fn a_duration_too_long_for_sqlite_becomes_the_maximum() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut record = event("wait");
    record.duration_us = u64::MAX;
    record.wait_us = Some(u64::MAX);
    SqliteStore::open(&path).unwrap().write(&[record]).unwrap();
    assert_eq!(value::<i64>(&path, "SELECT duration_us FROM audit_log"), i64::MAX);
    assert_eq!(value::<i64>(&path, "SELECT wait_us FROM audit_log"), i64::MAX);
}

/// A record with the text `hostile` in every field that holds text.
fn filled_with(hostile: &str) -> Record {
    use audit_record::{ErrorInfo, LogEntry, Note, Truncation};
    let owned = || hostile.to_owned();
    let as_json = || json(&serde_json::json!({ hostile: [hostile] }).to_string());
    let mut record = event(hostile);
    record.method = owned().into();
    record.actor = Some(hostile.into());
    record.on_behalf_of = Some(hostile.into());
    record.site = Some(hostile.into());
    record.service = Some(hostile.into());
    record.target_type = Some(owned().into());
    record.target_id = Some(owned());
    record.target_label = Some(owned());
    record.correlation_id = CorrelationId::from(hostile);
    record.input = as_json();
    record.output = as_json();
    record.log = vec![LogEntry::new(record.started_at, owned(), owned(), owned(), as_json())];
    record.error = Some(ErrorInfo::new(owned(), owned(), vec![owned()], Some(owned())));
    record.traceback = Some(owned());
    record.reason = Some(owned());
    record.notes = vec![Note::new(owned(), owned())];
    record.context = as_json();
    record.truncated = vec![Truncation::new(owned(), owned(), 1, None)];
    record.changes = vec![FieldChange::new(
        owned(),
        owned(),
        ChangeKind::Changed,
        owned(),
        as_json(),
        as_json(),
        at(),
    )];
    record
}

#[test]
fn hostile_text_is_shown_as_it_was_recorded() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let long = "long ".repeat(1 << 18);
    let hostile = [
        "",
        "'); DROP TABLE record; --",
        "\" ' ` ; \\ % _ ?1 :a @b $c",
        "nul \0 in the middle",
        "\0",
        "line\r\nbreak\ttab \u{1b}[31m red \u{202e} turned \u{feff}",
        "emoji 🦀👩‍👩‍👧 e\u{301} \u{10ffff}",
        r#"{"not": "closed"#,
        r#""},{"a":"b"#,
        &long,
    ];
    let plain_columns = "action method actor on_behalf_of site service target_type target_id \
        target_label correlation_id traceback reason";
    for text in hostile {
        store.write(&[filled_with(text)]).unwrap();
        let connection = read(&path);
        let newest = "seq = (SELECT max(seq) FROM audit_log)";
        for column in plain_columns.split_whitespace() {
            let sql = format!("SELECT {column} FROM audit_log WHERE {newest}");
            let stored: String = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
            assert!(stored == text, "{column} of {:.40?}", text);
        }
        for (column, expected) in [
            ("input", serde_json::json!({ text: [text] })),
            ("output", serde_json::json!({ text: [text] })),
            ("context", serde_json::json!({ text: [text] })),
            ("notes", serde_json::json!([{"title": text, "description": text}])),
            ("truncated", serde_json::json!([{"path": text, "unit": text, "kept": 1}])),
            (
                "error",
                serde_json::json!({
                    "type": text, "message": text, "sources": [text], "location": text
                }),
            ),
            (
                "log",
                serde_json::json!([{
                    "time": "2026-01-02T03:04:05.678901Z", "level": text, "target": text,
                    "message": text, "fields": { text: [text] }
                }]),
            ),
        ] {
            let sql =
                format!("SELECT {column}, json_valid({column}) FROM audit_log WHERE {newest}");
            let (stored, valid): (String, bool) =
                connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            assert!(valid, "{column} of {:.40?}", text);
            let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
            assert!(stored == expected, "{column} of {:.40?}", text);
        }
    }

    let (_, changes) = rows(
        &path,
        "SELECT c.target_type, c.target_id, field, before, after FROM audit_changes AS c \
         JOIN audit_log ON audit_log.id = record_id ORDER BY seq",
    );
    for (row, text) in changes.iter().zip(hostile) {
        let json = serde_json::json!({ text: [text] }).to_string();
        let expected = [text, text, text, &json, &json].map(|text| Value::Text(text.to_owned()));
        assert!(row[..] == expected, "{:.40?}", text);
    }
    assert_eq!(changes.len(), hostile.len());
}

#[test]
fn json_is_stored_digit_by_digit() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let exact = r#"{ "b":1.10,"a":12345678901234567890123, "b": "\u00e9" }"#;
    let mut record = event("pay");
    record.input = json(exact);
    SqliteStore::open(&path).unwrap().write(&[record]).unwrap();
    assert_eq!(value::<String>(&path, "SELECT input FROM audit_log"), exact);
}
