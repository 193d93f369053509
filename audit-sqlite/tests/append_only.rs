//! No SQL statement can change stored rows unless a trigger is dropped first.

mod common;

use audit_record::store::Store as _;
use audit_sqlite::SqliteStore;
use common::{event, full, read, rows};
use tempfile::tempdir;

const ALL: [&str; 4] = [
    "SELECT * FROM audit_log ORDER BY seq",
    "SELECT * FROM audit_changes",
    "SELECT * FROM audit_field_change",
    "SELECT * FROM audit_name ORDER BY id",
];

#[test]
fn every_statement_that_changes_a_row_is_refused() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&[full(), event("one more")]).unwrap();
    let before = ALL.map(|sql| rows(&path, sql));

    let columns = "kind, outcome, started_at, duration_us, action, method";
    let change = "target_type, target_id, change, field";
    for sql in [
        "UPDATE audit_record SET duration_us = 0",
        "UPDATE audit_record SET seq = seq + 10",
        "UPDATE OR IGNORE audit_record SET action = 2 WHERE seq = 1",
        "UPDATE audit_field_change SET after = '3'",
        "UPDATE audit_name SET text = 'mallory' WHERE text = 'alice'",
        "DELETE FROM audit_record",
        "DELETE FROM audit_record WHERE seq = 2",
        "DELETE FROM audit_field_change",
        "DELETE FROM audit_name",
        "UPDATE audit_log SET actor = 'mallory'",
        "DELETE FROM audit_log",
        "INSERT INTO audit_log (action) VALUES ('never happened')",
        "UPDATE audit_changes SET after = '3'",
        "DELETE FROM audit_changes",
        "INSERT INTO audit_changes (field) VALUES ('never changed')",
        // REPLACE deletes conflicting rows without firing DELETE triggers.
        &format!(
            "REPLACE INTO audit_record (seq, id, {columns}) SELECT seq, hex(randomblob(16)), {columns} FROM audit_record"
        ),
        &format!(
            "REPLACE INTO audit_record (seq, id, {columns}) SELECT 2, hex(randomblob(16)), {columns} FROM audit_record WHERE seq = 2"
        ),
        &format!(
            "REPLACE INTO audit_record (id, {columns}) SELECT id, {columns} FROM audit_record"
        ),
        &format!(
            "REPLACE INTO audit_record (seq, id, {columns}) SELECT 3, id, {columns} FROM audit_record"
        ),
        &format!(
            "INSERT OR IGNORE INTO audit_record (id, {columns}) SELECT id, {columns} FROM audit_record"
        ),
        &format!(
            "INSERT INTO audit_record (id, {columns}) SELECT id, {columns} FROM audit_record WHERE true \
             ON CONFLICT DO UPDATE SET duration_us = 0"
        ),
        // A chosen `seq`, before the others or far behind them.
        &format!(
            "INSERT INTO audit_record (seq, id, {columns}) SELECT -1, hex(randomblob(16)), {columns} FROM audit_record LIMIT 1"
        ),
        &format!(
            "INSERT INTO audit_record (seq, id, {columns}) SELECT 0, hex(randomblob(16)), {columns} FROM audit_record LIMIT 1"
        ),
        &format!(
            "INSERT INTO audit_record (seq, id, {columns}) SELECT 9, hex(randomblob(16)), {columns} FROM audit_record LIMIT 1"
        ),
        &format!(
            "REPLACE INTO audit_field_change (record_seq, position, {change}) SELECT record_seq, position, {change} FROM audit_field_change"
        ),
        &format!(
            "INSERT INTO audit_field_change (record_seq, position, {change}) SELECT 1, 99, {change} FROM audit_field_change"
        ),
        "REPLACE INTO audit_name (id, text) SELECT id, 'mallory' FROM audit_name WHERE text = 'alice'",
        "REPLACE INTO audit_name (id, text) VALUES (9999, 'alice')",
        "INSERT INTO audit_name (text) VALUES ('alice') ON CONFLICT DO UPDATE SET text = 'mallory'",
    ] {
        let connection = read(&path);
        let error = connection.execute(sql, []).expect_err(sql).to_string();
        let by_check = error.contains("CHECK constraint failed: seq > 0");
        assert!(error.starts_with("audit records are append-only: ") || by_check, "{sql}: {error}");
        drop(connection);
        assert_eq!(ALL.map(|sql| rows(&path, sql)), before, "{sql}");
    }

    store.write(&[event("last")]).unwrap();
    assert_eq!(common::actions(&path), ["transfer funds", "one more", "last"]);
}

#[test]
fn changes_of_the_newest_record_cannot_be_replaced() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    SqliteStore::open(&path).unwrap().write(&[full()]).unwrap();
    let before = ALL.map(|sql| rows(&path, sql));
    let error = read(&path)
        .execute(
            "REPLACE INTO audit_field_change
             SELECT record_seq, position, 1, 'x', 0, 1, NULL, NULL, 0 FROM audit_field_change",
            [],
        )
        .unwrap_err();
    assert!(error.to_string().starts_with("audit records are append-only: "), "{error}");
    assert_eq!(ALL.map(|sql| rows(&path, sql)), before);
}
