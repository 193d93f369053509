//! Batches of records: their durability, and that a batch is stored like its records one by one, or
//! not at all.

mod common;

use std::fs;

use audit_record::store::Batch;
use audit_record::store::Store as _;
use audit_record::{ChangeKind, Durability, FieldChange, Json, Kind, LogEntry, Record};
use audit_sqlite::SqliteStore;
use common::{actions, event, events, full, read, rows, value};
use tempfile::tempdir;

#[test]
fn a_batch_is_stored_at_every_durability() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    for durability in
        [Durability::Power, Durability::Queued, Durability::Power, Durability::Process]
    {
        let records = events(durability.as_str(), 2);
        let mut batch = Batch::new(&records);
        batch.durability = durability;
        store.write_batch(&batch).unwrap();
    }
    let expected = [
        "power 0",
        "power 1",
        "queued 0",
        "queued 1",
        "power 0",
        "power 1",
        "process 0",
        "process 1",
    ];
    assert_eq!(actions(&path), expected);
}

/// A commit without changes does not sync, although the rows stored earlier may not be synced yet.
#[test]
fn stored_records_are_synced_when_they_are_written_again_with_power_durability() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let records = events("e", 3);
    store.write(&records).unwrap();
    let log = directory.path().join("audit.db-wal");
    let truncate_log = || {
        read(&path).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        assert_eq!(fs::metadata(&log).unwrap().len(), 0);
    };
    let mut batch = Batch::new(&records);
    truncate_log();
    store.write_batch(&batch).unwrap();
    assert_eq!(fs::metadata(&log).unwrap().len(), 0, "lower durabilities write nothing");
    batch.durability = Durability::Power;
    store.write_batch(&batch).unwrap();
    assert!(fs::metadata(&log).unwrap().len() > 0);
    assert_eq!(actions(&path), ["e 0", "e 1", "e 2"]);
}

/// Enough records for several multi-row inserts and a remainder: full ones and minimal ones, some
/// with changes, some too long for a multi-row insert.
fn varied_records() -> Vec<Record> {
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
fn a_batch_is_stored_like_its_records_one_by_one() {
    let directory = tempdir().unwrap();
    let [one_by_one, at_once] = ["one.db", "all.db"].map(|name| directory.path().join(name));
    let records = varied_records();
    let mut store = SqliteStore::open(&one_by_one).unwrap();
    records.iter().for_each(|record| store.write(std::slice::from_ref(record)).unwrap());
    SqliteStore::open(&at_once).unwrap().write(&records).unwrap();

    assert_eq!(value::<i64>(&at_once, "SELECT count(*) FROM audit_log"), 150);
    // The records have 0, 1 and 2 extra changes in turn, and each change names its record.
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
fn records_of_a_batch_that_are_stored_already_are_not_stored_twice() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let records = varied_records();
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&records[70..75]).unwrap();
    store.write(&records).unwrap();
    store.write(&records).unwrap();
    let ids = "SELECT count(*) || ' ' || count(DISTINCT id) || ' ' || max(seq) FROM audit_log";
    assert_eq!(value::<String>(&path, ids), "150 150 150");
}

#[test]
fn a_batch_with_two_records_of_one_id_is_refused_as_a_whole() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut records = varied_records();
    records[20].id = records[3].id;
    let mut store = SqliteStore::open(&path).unwrap();
    let error = store.write(&records).unwrap_err();
    assert!(error.to_string().contains("already holds a different record with this id"), "{error}");
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_log"), 0);
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_name"), 0);
}
