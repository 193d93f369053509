//! Records that are stored many at a time are stored as if each came by itself.

mod common;

use audit_record::store::Sink as _;
use audit_record::{ChangeKind, FieldChange, Json, Kind, LogEntry, Record};
use audit_sqlite::SqliteStore;
use common::{event, full, rows, value};
use tempfile::tempdir;

/// Enough for several groups and a rest; full and empty ones, some with changes, some too long for a group.
fn records() -> Vec<Record> {
    (0..150)
        .map(|number| {
            let mut record = match number % 7 {
                0 => full(),
                _ => event(&format!("look {}", number % 11)),
            };
            record.id = Record::new(Kind::Event, "", record.started_at).id;
            if number % 40 == 39 {
                let text = "x".repeat(20_000);
                let entry = LogEntry::new(record.started_at, "INFO", "tests", text, None);
                record.log.push(entry);
            }
            for n in 0..number % 3 {
                record.changes.push(FieldChange::new(
                    "account",
                    number.to_string(),
                    ChangeKind::Changed,
                    format!("field {n}"),
                    None,
                    Json::parse(n.to_string()).ok(),
                    record.started_at,
                ));
            }
            record
        })
        .collect()
}

#[test]
fn a_batch_is_stored_as_its_records_one_by_one() {
    let directory = tempdir().unwrap();
    let [one_by_one, at_once] = ["one.db", "all.db"].map(|name| directory.path().join(name));
    let records = records();
    let mut store = SqliteStore::open(&one_by_one).unwrap();
    records.iter().for_each(|record| store.write(std::slice::from_ref(record)).unwrap());
    SqliteStore::open(&at_once).unwrap().write(&records).unwrap();

    assert_eq!(value::<i64>(&at_once, "SELECT count(*) FROM audit_log"), 150);
    // 0, 1 and 2 changes in turn, each beside the record that it came with.
    let changes = "SELECT count(*) || ' ' || count(DISTINCT l.seq) FROM audit_changes AS c
        JOIN audit_log AS l ON l.id = c.record_id
        WHERE c.field LIKE 'field _' AND c.target_id = l.seq - 1 AND c.record_seq = l.seq";
    assert_eq!(value::<String>(&at_once, changes), "150 100");
    for sql in [
        "SELECT * FROM audit_log ORDER BY seq",
        "SELECT * FROM audit_changes ORDER BY record_seq, field",
        "SELECT text FROM audit_name ORDER BY text",
    ] {
        assert_eq!(rows(&at_once, sql), rows(&one_by_one, sql), "{sql}");
    }
}

#[test]
fn what_is_stored_of_a_group_is_not_stored_again() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let records = records();
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&records[70..75]).unwrap();
    store.write(&records).unwrap();
    store.write(&records).unwrap();
    let ids = "SELECT count(*) || ' ' || count(DISTINCT id) || ' ' || max(seq) FROM audit_log";
    assert_eq!(value::<String>(&path, ids), "150 150 150");
}

#[test]
fn a_group_that_holds_one_id_twice_is_refused_as_a_whole() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut records = records();
    records[20].id = records[3].id;
    let mut store = SqliteStore::open(&path).unwrap();
    let error = store.write(&records).unwrap_err();
    assert!(error.to_string().contains("holds another record with this id"), "{error}");
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_log"), 0);
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_name"), 0);
}
