//! Tools that change the schema of a database may drop or replace what they do not know. The trail
//! restores it, and says so.

mod common;

use std::path::{Path, PathBuf};

use audit_record::store::Store as _;
use audit_sqlite::SqliteStore;
use common::session::store_with_session;
use common::{actions, copy_golden, event, read, rows, texts, value};
use tempfile::{TempDir, tempdir};

/// A trail with one record.
fn trail() -> (TempDir, PathBuf) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&[event("before")]).unwrap();
    store.close().unwrap();
    (directory, path)
}

/// Acts as the tool.
fn run(path: &Path, sql: &str) {
    read(path).execute_batch(sql).unwrap();
}

/// All objects of the trail with their definitions.
fn schema(path: &Path) -> Vec<String> {
    texts(
        path,
        "SELECT type, name, tbl_name, sql FROM sqlite_schema
         WHERE sql IS NOT NULL AND name LIKE 'audit%' ORDER BY type, name",
    )
}

/// The records that say what was restored.
fn reports(path: &Path) -> Vec<String> {
    texts(path, "SELECT seq, output FROM audit_log WHERE action = 'schema restored' ORDER BY seq")
}

#[test]
fn every_dropped_object_is_restored_and_reported() {
    let (_directory, path) = trail();
    let complete = schema(&path);
    let sql = "SELECT type || ' ' || name FROM sqlite_schema
        WHERE type IN ('trigger', 'view', 'index') AND sql IS NOT NULL ORDER BY rowid";
    let objects = texts(&path, sql);
    assert!(objects.len() > 40, "{objects:?}");
    for (n, object) in objects.iter().enumerate() {
        let triggers = "SELECT type || ' ' || name FROM sqlite_schema
            WHERE tbl_name = ?1 AND type = 'trigger' ORDER BY rowid";
        let connection = read(&path);
        let mut triggers = connection.prepare(triggers).unwrap();
        let (kind, name) = object.split_once(' ').unwrap();
        let mut missing = vec![object.clone()];
        if kind == "view" {
            let dropped = triggers.query_map([name], |row| row.get(0)).unwrap();
            missing.extend(dropped.map(Result::unwrap));
        }
        run(&path, &format!("DROP {object}"));
        assert!(schema(&path).len() < complete.len());

        SqliteStore::open(&path).unwrap().close().unwrap();
        assert_eq!(schema(&path), complete, "{object}");
        let expected = format!("{}|{{\"missing\":[\"{}\"]}}", n + 2, missing.join("\",\""));
        assert_eq!(reports(&path)[n], expected);
    }
    // Nothing is missing any more, so nothing is reported.
    SqliteStore::open(&path).unwrap().close().unwrap();
    assert_eq!(reports(&path).len(), objects.len());
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
}

#[test]
fn the_record_says_who_wrote_it_and_why() {
    let (_directory, path) = trail();
    run(&path, "DROP TRIGGER audit_record_update");
    SqliteStore::open(&path).unwrap().close().unwrap();
    let sql = "SELECT seq, kind, outcome, action, method, actor, reason, output, session_id,
        started_at > '2026' FROM audit_log WHERE seq > 1";
    let expected = "2|system|success|schema restored|audited|NULL|another program had dropped or \
        changed these parts of the trail's schema; until now, the trail may have accepted changes \
        that they prevent|{\"missing\":[\"trigger audit_record_update\"]}|NULL|1";
    assert_eq!(texts(&path, sql), [expected]);
    let error = read(&path).execute("UPDATE audit_record SET actor = NULL", []).unwrap_err();
    assert!(error.to_string().contains("append-only"), "{error}");
}

#[test]
fn changed_objects_are_restored() {
    let (_directory, path) = trail();
    let complete = schema(&path);
    for (sql, changed) in [
        (
            "DROP TRIGGER audit_record_delete;
             CREATE TRIGGER audit_record_delete BEFORE DELETE ON audit_record BEGIN SELECT 1; END",
            "trigger audit_record_delete",
        ),
        (
            // On another table, and in other letters.
            "DROP TRIGGER audit_name_update;
             CREATE TRIGGER AUDIT_NAME_UPDATE BEFORE UPDATE ON audit_record
             BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_name cannot be updated'); END",
            "trigger audit_name_update",
        ),
        (
            "DROP INDEX audit_record_by_actor;
             CREATE INDEX audit_record_by_actor ON audit_record (actor)",
            "index audit_record_by_actor",
        ),
        (
            "DROP INDEX audit_session_by_id_text;
             CREATE INDEX audit_session_by_id_text ON audit_session (id_text)",
            "index audit_session_by_id_text",
        ),
    ] {
        run(&path, sql);
        SqliteStore::open(&path).unwrap().close().unwrap();
        assert_eq!(schema(&path), complete, "{sql}");
        let report = reports(&path).pop().unwrap();
        assert!(report.ends_with(&format!("|{{\"changed\":[\"{changed}\"]}}")), "{report}");
    }
    // The triggers of a view go with it. They did not change, but they are missing.
    run(
        &path,
        "DROP VIEW audit_sessions; CREATE VIEW audit_sessions AS SELECT 1 AS id;
         DROP INDEX audit_record_by_action; DROP TRIGGER audit_intent_delete",
    );
    SqliteStore::open(&path).unwrap().close().unwrap();
    assert_eq!(schema(&path), complete);
    let expected = "{\"missing\":[\"index audit_record_by_action\",\"trigger audit_intent_delete\",\
        \"trigger audit_sessions_insert\",\"trigger audit_sessions_update\",\
        \"trigger audit_sessions_delete\"],\"changed\":[\"view audit_sessions\"]}";
    let report = reports(&path).pop().unwrap();
    assert_eq!(report.split_once('|').unwrap().1, expected);
    assert_eq!(actions(&path).len(), 6, "one record for each opening that found something");
}

/// Tools write definitions in their own style.
#[test]
fn another_style_of_the_same_definition_is_no_change() {
    let (_directory, path) = trail();
    run(
        &path,
        "DROP INDEX audit_record_by_actor;
         CREATE INDEX \"audit_record_by_actor\" ON \"audit_record\" (
             seq >> 13, -- the run
             \"actor\"
         ) WHERE actor IS NOT NULL",
    );
    SqliteStore::open(&path).unwrap().close().unwrap();
    assert_eq!(reports(&path), <[String; 0]>::default());
}

#[test]
fn a_running_recorder_restores_what_is_dropped() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = store_with_session(&path);
    store.write(&[event("one")]).unwrap();
    let complete = schema(&path);
    run(&path, "DROP TRIGGER audit_record_update; DROP VIEW audit_changes");
    store.write(&[event("two")]).unwrap();
    assert_eq!(actions(&path), ["one", "schema restored", "two"]);
    assert_eq!(schema(&path), complete);
    // Also while nothing is recorded.
    run(&path, "DROP INDEX audit_record_by_actor");
    store.maintain().unwrap();
    store.maintain().unwrap();
    assert_eq!(actions(&path), ["one", "schema restored", "two", "schema restored"]);
    assert_eq!(schema(&path), complete);
    let writers =
        "SELECT count(*) FROM audit_log AS l JOIN audit_sessions AS s ON s.id = l.session_id";
    assert_eq!(value::<i64>(&path, writers), 4);
    store.close().unwrap();
}

#[test]
fn two_recorders_report_it_once() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut stores = [store_with_session(&path), store_with_session(&path)];
    run(&path, "DROP TRIGGER audit_record_update");
    for store in &mut stores {
        store.write(&[event("e")]).unwrap();
    }
    assert_eq!(actions(&path), ["schema restored", "e", "e"]);
}

#[test]
fn the_objects_of_a_host_are_left_alone() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("shop.db");
    run(
        &path,
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT);
         CREATE INDEX by_state ON orders (state)",
    );
    let open = || SqliteStore::builder().shared(true).open(&path).unwrap();
    let mut store = open();
    store.write(&[event("one")]).unwrap();
    let complete = schema(&path);
    run(
        &path,
        "CREATE VIEW my_log AS SELECT * FROM audit_log WHERE actor = 'me';
         CREATE TRIGGER audit_copy AFTER INSERT ON orders BEGIN SELECT 1; END;
         DROP TRIGGER audit_record_delete; DROP INDEX audit_field_change_by_target",
    );
    let host =
        "SELECT name, sql FROM sqlite_schema WHERE name IN ('my_log', 'audit_copy', 'by_state')";
    let before = rows(&path, host);
    store.write(&[event("two")]).unwrap();
    store.close().unwrap();
    run(&path, "DROP VIEW audit_log");
    open().write(&[event("three")]).unwrap();
    assert_eq!(actions(&path), ["one", "schema restored", "two", "schema restored", "three"]);
    assert_eq!(rows(&path, host), before);
    run(&path, "DROP TRIGGER audit_copy");
    assert_eq!(schema(&path), complete);
}

/// The definitions differ in comments and quotes.
#[test]
fn a_migrated_trail_is_complete() {
    let directory = tempdir().unwrap();
    for version in 1..=4 {
        let path = copy_golden(&directory, version);
        SqliteStore::open(&path).unwrap().close().unwrap();
        assert_eq!(reports(&path), <[String; 0]>::default(), "version {version}");
    }
    // What was dropped before the migration is found by it.
    let directory = tempdir().unwrap();
    let path = copy_golden(&directory, 4);
    run(
        &path,
        "DROP TRIGGER audit_name_update; DROP VIEW audit_log; DROP INDEX audit_record_by_parent",
    );
    SqliteStore::open(&path).unwrap().close().unwrap();
    assert_eq!(reports(&path), ["3|{\"missing\":[\"trigger audit_name_update\"]}"]);
}

#[test]
fn a_trail_that_cannot_be_restored_is_refused_and_unchanged() {
    for (sql, damaged, expected) in [
        (
            "DROP VIEW audit_log; CREATE TABLE audit_log (a)",
            false,
            "another program has replaced a part of its schema by the table `audit_log`; rename or \
             drop that, and the trail will restore its own",
        ),
        (
            "DROP INDEX audit_record_by_actor; CREATE VIEW Audit_Record_By_Actor AS SELECT 1",
            false,
            "another program has replaced a part of its schema by the view `Audit_Record_By_Actor`; \
             rename or drop that, and the trail will restore its own",
        ),
        (
            "PRAGMA foreign_keys = OFF; DROP TABLE audit_session",
            true,
            "another program has dropped its table `audit_session`, and the records in it; restore \
             the file from a backup",
        ),
    ] {
        let (_directory, path) = trail();
        run(&path, "DROP TRIGGER audit_session_delete");
        run(&path, sql);
        let before = schema(&path);
        let error = SqliteStore::open(&path).unwrap_err();
        let shown = path.display();
        assert_eq!(error.to_string(), format!("cannot open the audit trail `{shown}`: {expected}"));
        assert_eq!((error.is_damaged(), error.is_transient()), (damaged, false));
        assert_eq!(schema(&path), before);
    }
}

/// Records are more important than views.
#[test]
fn a_running_recorder_goes_on_if_it_cannot_restore_something() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = store_with_session(&path);
    run(&path, "DROP VIEW audit_changes; CREATE TABLE audit_changes (a)");
    store.write(&[event("one")]).unwrap();
    store.maintain().unwrap();
    assert_eq!(actions(&path), ["one"]);
    run(&path, "DROP TABLE audit_changes");
    store.write(&[event("two")]).unwrap();
    assert_eq!(actions(&path), ["one", "schema restored", "two"]);
}
