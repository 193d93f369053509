//! A trail in the database of another program (the host). Neither program disturbs the other.

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use audit_record::Error;
use audit_record::store::Store as _;
use audit_sqlite::{SCHEMA_VERSION, SqliteStore, SqliteStoreBuilder, record_in};
use common::{actions, copy_golden, event, events, full, query, read, rows, value};
use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::{TempDir, tempdir};

fn shared() -> SqliteStoreBuilder {
    SqliteStore::builder().shared(true).busy_timeout(Duration::from_secs(60))
}

/// Creates the database of a host with the SQL in `setup`.
fn host(setup: &str) -> (TempDir, PathBuf) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("host.db");
    Connection::open(&path).unwrap().execute_batch(setup).unwrap();
    (directory, path)
}

/// The state of the host: its schema, its rows, and the settings stored in the file.
fn host_state(path: &Path) -> Vec<Vec<Vec<Value>>> {
    [
        "SELECT * FROM sqlite_schema
         WHERE name NOT LIKE '%audit%' AND name NOT LIKE 'sqlite_stat%' ORDER BY name",
        "SELECT * FROM t ORDER BY a",
        "PRAGMA application_id",
        "PRAGMA user_version",
        "PRAGMA journal_mode",
        "PRAGMA auto_vacuum",
        "PRAGMA encoding",
    ]
    .map(|sql| rows(path, sql).1)
    .into()
}

#[test]
fn the_schema_rows_and_settings_of_the_host_are_unchanged() {
    for setup in [
        "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)",
        "CREATE TABLE t (a); PRAGMA application_id = 77; PRAGMA user_version = 12",
        "CREATE TABLE t (a); PRAGMA journal_mode = WAL",
        "PRAGMA journal_mode = PERSIST; CREATE TABLE t (a);
         CREATE VIEW broken AS SELECT b FROM none",
        "PRAGMA auto_vacuum = FULL; PRAGMA encoding = 'UTF-16'; CREATE TABLE t (a)",
        // The names that the tables of schema version 1 had.
        "CREATE TABLE t (a); CREATE TABLE name (a); CREATE TABLE record (a);
         CREATE INDEX record_by_actor ON t (a)",
    ] {
        let (_directory, path) = host(setup);
        let before = host_state(&path);
        let mut store = shared().open(&path).unwrap();
        let mut reader = store.reader().unwrap().unwrap();
        store.write(&[full()]).unwrap();
        assert_eq!(reader.changes(&query("account", "17")).unwrap().len(), 1);
        drop(reader);
        store.close().unwrap();
        assert_eq!(host_state(&path), before, "{setup}");
        let mut store = shared().open(&path).unwrap();
        store.write(&[event("again")]).unwrap();
        assert_eq!(host_state(&path), before, "{setup}");
        assert_eq!(actions(&path), ["transfer funds", "again"]);
        assert_eq!(value::<i32>(&path, "SELECT version FROM audit_schema"), SCHEMA_VERSION);
        assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
    }
}

#[test]
fn the_statistics_of_the_host_are_kept() {
    let (_directory, path) = host(
        "CREATE TABLE t (a); CREATE INDEX t_a ON t (a); INSERT INTO t VALUES (1), (2), (2);
         ANALYZE",
    );
    let figures = "SELECT * FROM sqlite_stat1 WHERE tbl = 't'";
    let before = rows(&path, figures);
    assert_eq!(before.1.len(), 1);
    shared().open(&path).unwrap();
    assert_eq!(rows(&path, figures), before);
    assert_eq!(
        value::<i64>(&path, "SELECT count(*) FROM sqlite_stat1 WHERE tbl LIKE 'audit%'"),
        12
    );
}

#[test]
fn an_empty_file_can_still_become_the_database_of_the_host() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("host.db");
    shared().open(&path).unwrap().write(&[event("first")]).unwrap();
    for pragma in ["PRAGMA application_id", "PRAGMA user_version"] {
        assert_eq!(value::<i32>(&path, pragma), 0);
    }
    assert_eq!(value::<String>(&path, "PRAGMA journal_mode"), "delete");
    // The host now sets up its database.
    read(&path)
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA application_id = 5; PRAGMA user_version = 99;
             CREATE TABLE t (a)",
        )
        .unwrap();
    shared().open(&path).unwrap().write(&[event("second")]).unwrap();
    assert_eq!(actions(&path), ["first", "second"]);
    assert_eq!(value::<String>(&path, "PRAGMA journal_mode"), "wal");
}

#[test]
fn a_store_that_is_not_shared_refuses_the_database() {
    let (_directory, path) = host("PRAGMA application_id = 77; CREATE TABLE t (a)");
    shared().open(&path).unwrap().close().unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    let expected = format!(
        "cannot open the audit trail `{}`: it is the database of another program \
         (application_id 77); nothing in it was changed; choose another path, or open it with \
         `SqliteStore::builder().shared(true)` to keep the trail in that database",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_database_that_uses_a_needed_name_is_refused_and_unchanged() {
    for (setup, taken) in [
        ("CREATE TABLE audit_log (id INTEGER PRIMARY KEY, who TEXT)", "table `audit_log`"),
        ("CREATE TABLE Audit_Log (who TEXT)", "table `Audit_Log`"),
        (
            "CREATE TABLE t (a); CREATE VIEW audit_changes AS SELECT a FROM t",
            "view `audit_changes`",
        ),
        ("CREATE TABLE audit_schema (version)", "table `audit_schema`"),
        ("CREATE TABLE audit_record (version)", "table `audit_record`"),
        ("CREATE TABLE t (a); CREATE INDEX audit_name ON t (a)", "index `audit_name`"),
    ] {
        let (directory, path) = host(setup);
        let before = std::fs::read(&path).unwrap();
        let error = shared().open(&path).unwrap_err();
        let expected = format!(
            "cannot open the audit trail `{}`: the database holds a {taken} of another program, and \
             the trail needs that name; rename it, or keep the trail in a file of its own",
            path.display()
        );
        assert_eq!(error.to_string(), expected);
        assert!(!error.is_transient());
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_program_with_an_older_crate_refuses_a_newer_schema() {
    let (_directory, path) = host("CREATE TABLE t (a)");
    let mut store = shared().open(&path).unwrap();
    let mut reader = store.reader().unwrap().unwrap();
    let mut connection = read(&path);
    let transaction = connection.transaction().unwrap();
    let mut writer = record_in(&transaction).unwrap();
    writer.write(&[event("before")]).unwrap();
    // A newer program migrates the schema. Here this happens in the same transaction.
    let newer = SCHEMA_VERSION + 1;
    transaction.execute("UPDATE audit_schema SET version = ?1", [newer]).unwrap();
    let known = format!(
        "its schema has version {newer}, but this program supports versions up to \
         {SCHEMA_VERSION}; update the `audited` crate"
    );
    let assert_refused = |error: Error, action: &str, reason: &str| {
        assert!(!error.is_transient() && !error.is_closed());
        let expected = format!("cannot {action} the audit trail `{}`: {reason}", path.display());
        assert_eq!(error.to_string(), expected);
    };
    assert_refused(writer.write(&[event("after")]).unwrap_err(), "write to", &known);
    transaction.commit().unwrap();
    let transaction = connection.transaction().unwrap();
    assert_refused(record_in(&transaction).unwrap_err(), "write to", &known);
    drop(transaction);
    assert_refused(shared().open(&path).unwrap_err(), "open", &known);
    let changed = format!(
        "another program has changed its schema from version {SCHEMA_VERSION} to {newer} since it \
         was opened; update the `audited` crate and restart"
    );
    assert_refused(store.write(&[event("after")]).unwrap_err(), "write to", &changed);
    // The reader opens its connection only now.
    assert_refused(reader.changes(&query("t", "1")).unwrap_err(), "open", &known);

    connection.execute_batch("DELETE FROM audit_schema").unwrap();
    let none = "its schema has version 0, which this crate has never written; restore the file \
                from a backup";
    let error = shared().open(&path).unwrap_err();
    assert!(error.is_damaged());
    assert_refused(error, "open", none);
    connection.execute("INSERT INTO audit_schema VALUES (?1)", [SCHEMA_VERSION]).unwrap();
    store.write(&[event("after")]).unwrap();
    assert_eq!(actions(&path), ["before", "after"]);
}

#[test]
fn a_trail_in_its_own_file_stays_unshared() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    SqliteStore::open(&path).unwrap().write(&[event("first")]).unwrap();
    let schema = "SELECT * FROM sqlite_schema ORDER BY name";
    let before = rows(&path, schema);
    shared().open(&path).unwrap().write(&[event("second")]).unwrap();
    assert_eq!(rows(&path, schema), before);
    SqliteStore::open(&path).unwrap().write(&[event("third")]).unwrap();
    assert_eq!(actions(&path), ["first", "second", "third"]);
    // A trail of schema version 1 is migrated, and also stays unshared.
    let old = copy_golden(&directory, 1);
    shared().open(&old).unwrap();
    assert_eq!(rows(&old, "PRAGMA user_version").1, [[Value::Integer(SCHEMA_VERSION.into())]]);
    SqliteStore::open(&old).unwrap();
}

#[test]
fn many_threads_can_open_a_shared_trail_at_the_same_time() {
    for setup in ["CREATE TABLE t (a)", "PRAGMA journal_mode = WAL; CREATE TABLE t (a)"] {
        let (_directory, path) = host(setup);
        std::thread::scope(|scope| {
            for n in 0..6 {
                let path = &path;
                scope.spawn(move || {
                    shared().open(path).unwrap().write(&events(&n.to_string(), 2)).unwrap();
                });
            }
        });
        assert_eq!(value::<i64>(&path, "SELECT max(seq) FROM audit_log"), 12);
        assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_schema"), 1);
    }
}

/// The host and the trail share transactions even if the host uses a rollback journal.
#[test]
fn transactions_are_shared_with_a_rollback_journal() {
    let (_directory, path) = host("CREATE TABLE t (a)");
    let mut store = shared().open(&path).unwrap();
    let mut reader = store.reader().unwrap().unwrap();
    let mut connection = read(&path);
    for (n, commit) in [true, false, true].into_iter().enumerate() {
        let transaction = connection.transaction().unwrap();
        transaction.execute("INSERT INTO t VALUES (?1)", [n as i64]).unwrap();
        let mut record = full();
        record.id = uuid::Uuid::from_u128(n as u128 + 1);
        record_in(&transaction).unwrap().write(&[record]).unwrap();
        if commit {
            transaction.commit().unwrap()
        } else {
            transaction.rollback().unwrap()
        }
        store.write(&[event(&n.to_string())]).unwrap();
        reader.changes(&query("account", "17")).unwrap();
    }
    assert_eq!(reader.changes(&query("account", "17")).unwrap().len(), 2);
    assert_eq!(actions(&path), ["transfer funds", "0", "1", "transfer funds", "2"]);
    assert_eq!(value::<i64>(&path, "SELECT sum(a) FROM t"), 2);
    assert_eq!(value::<String>(&path, "PRAGMA journal_mode"), "delete");
}
