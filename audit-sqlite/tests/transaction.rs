//! Records in the caller's own transaction: both are stored, or neither.

mod common;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use audit_core::{Audit, Context};
use audit_record::Error;
use audit_record::store::Sink as _;
use audit_sqlite::{SCHEMA_VERSION, SqliteStore, record_in};
use common::{actions, event, events, full, read, rows, value};
use rusqlite::limits::Limit;
use rusqlite::{Connection, TransactionBehavior};
use tempfile::{TempDir, tempdir};

/// A database of a shop that has the trail in it, and a connection of the shop's.
fn shop() -> (TempDir, PathBuf, Connection) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let connection = read(&path);
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA user_version = 7;
             CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT UNIQUE)",
        )
        .unwrap();
    open(&path);
    (directory, path, connection)
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::builder().shared(true).busy_timeout(Duration::from_secs(60)).open(path).unwrap()
}

fn order(connection: &Connection, state: &str) {
    connection.execute("INSERT INTO orders (state) VALUES (?1)", [state]).unwrap();
}

fn orders(path: &Path) -> Vec<String> {
    let (_, rows) = rows(path, "SELECT state FROM orders ORDER BY id");
    rows.iter()
        .map(|row| format!("{:?}", row[0]))
        .map(|text| text.replace("Text(\"", "").replace("\")", ""))
        .collect()
}

/// The trail and the shop are whole: `seq` without a gap, each name once, every number with its name.
fn check_whole(path: &Path) {
    let gaps: i64 = value(path, "SELECT ifnull(max(seq), 0) - count(*) FROM audit_log");
    assert_eq!(gaps, 0);
    assert_eq!(
        value::<i64>(path, "SELECT count(*) FROM audit_log WHERE action IS NULL OR method IS NULL"),
        0
    );
    assert_eq!(value::<i64>(path, "SELECT count(DISTINCT text) - count(*) FROM audit_name"), 0);
    assert_eq!(value::<String>(path, "PRAGMA integrity_check"), "ok");
}

fn refused(result: Result<(), Error>) -> (bool, String) {
    let error = result.unwrap_err();
    (error.is_transient(), error.to_string())
}

#[test]
fn a_commit_stores_both() {
    let (_directory, path, mut shop) = shop();
    let transaction = shop.transaction().unwrap();
    order(&transaction, "placed");
    record_in(&transaction).unwrap().write(&[full(), event("place order")]).unwrap();
    assert!(actions(&path).is_empty(), "nobody else sees it yet");
    transaction.commit().unwrap();
    assert_eq!(orders(&path), ["placed"]);
    assert_eq!(actions(&path), ["transfer funds", "place order"]);
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_changes"), 3);
    check_whole(&path);
}

#[test]
fn a_rollback_and_a_drop_store_neither() {
    let (_directory, path, mut shop) = shop();
    let mut store = open(&path);
    for by_drop in [false, true] {
        let transaction = shop.transaction().unwrap();
        order(&transaction, "placed");
        record_in(&transaction).unwrap().write(&[full(), event("place order")]).unwrap();
        if by_drop {
            drop(transaction)
        } else {
            transaction.rollback().unwrap()
        }
        assert!(orders(&path).is_empty() && actions(&path).is_empty());
        // The names went as well, and their numbers are given to others.
        assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_name"), 0);
    }
    store.write(&[event("later")]).unwrap();
    let transaction = shop.transaction().unwrap();
    record_in(&transaction).unwrap().write(&[event("last")]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(actions(&path), ["later", "last"]);
    check_whole(&path);
}

#[test]
fn a_savepoint_takes_its_records_along() {
    let (_directory, path, mut shop) = shop();
    let mut transaction = shop.transaction().unwrap();
    record_in(&transaction).unwrap().write(&[event("before")]).unwrap();
    let mut inner = transaction.savepoint().unwrap();
    order(&inner, "taken back");
    record_in(&inner).unwrap().write(&[event("taken back")]).unwrap();
    inner.rollback().unwrap();
    inner.commit().unwrap();
    let inner = transaction.savepoint().unwrap();
    order(&inner, "kept");
    record_in(&inner).unwrap().write(&[event("kept")]).unwrap();
    inner.commit().unwrap();
    transaction.commit().unwrap();
    assert_eq!(orders(&path), ["kept"]);
    assert_eq!(actions(&path), ["before", "kept"]);
    check_whole(&path);
}

/// The numbers given to names before going back must not be used after it.
#[test]
fn a_savepoint_by_sql_may_be_gone_back_to_between_two_writes() {
    let (_directory, path, mut shop) = shop();
    let transaction = shop.transaction().unwrap();
    let mut within = record_in(&transaction).unwrap();
    within.write(&[event("before")]).unwrap();
    transaction.execute_batch("SAVEPOINT own").unwrap();
    within.write(&[event("first name"), event("second name")]).unwrap();
    transaction.execute_batch("ROLLBACK TO own").unwrap();
    within.write(&[event("second name"), event("first name")]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(actions(&path), ["before", "second name", "first name"]);
    check_whole(&path);
}

#[test]
fn every_kind_of_transaction_will_do() {
    let (_directory, path, mut shop) = shop();
    for (behavior, name) in [
        (TransactionBehavior::Deferred, "deferred"),
        (TransactionBehavior::Immediate, "immediate"),
        (TransactionBehavior::Exclusive, "exclusive"),
    ] {
        let transaction = shop.transaction_with_behavior(behavior).unwrap();
        order(&transaction, name);
        record_in(&transaction).unwrap().write(&[event(name)]).unwrap();
        transaction.commit().unwrap();
    }
    shop.execute_batch("BEGIN").unwrap();
    record_in(&shop).unwrap().write(&[event("by SQL")]).unwrap();
    shop.execute_batch("COMMIT").unwrap();
    let all = ["deferred", "immediate", "exclusive", "by SQL"];
    assert_eq!(actions(&path), all);
    assert_eq!(orders(&path), all[..3]);
}

#[test]
fn without_a_transaction_nothing_is_written() {
    let (_directory, path, mut shop) = shop();
    let no_transaction = format!(
        "cannot write to the audit trail `{}`: the connection has no transaction open; begin one before \
         `record_in`",
        path.display()
    );
    assert_eq!(refused(record_in(&shop).map(drop)), (false, no_transaction.clone()));
    let transaction = shop.transaction().unwrap();
    let mut within = record_in(&transaction).unwrap();
    transaction.execute_batch("COMMIT").unwrap();
    assert_eq!(refused(within.write(&[event("too late")])), (false, no_transaction));
    drop(transaction);
    assert!(actions(&path).is_empty());
}

#[test]
fn a_record_that_is_refused_leaves_the_transaction_as_it_was() {
    let (_directory, path, mut shop) = shop();
    shop.set_limit(Limit::SQLITE_LIMIT_LENGTH, 100_000).unwrap();
    let transaction = shop.transaction().unwrap();
    order(&transaction, "placed");
    let mut within = record_in(&transaction).unwrap();
    within.write(&[event("before")]).unwrap();

    let mut large = full();
    large.traceback = Some("x".repeat(200_000));
    let (transient, message) = refused(within.write(&[event("half"), full(), large]));
    assert!(
        !transient && message.contains("a record is larger than SQLite can store"),
        "{message}"
    );
    // A change is refused after its record was stored.
    let mut large = event("half");
    large.changes = full().changes;
    large.changes[2].before = common::json(&format!("\"{}\"", "x".repeat(200_000)));
    let (transient, _) = refused(within.write(&[large]));
    assert!(!transient);
    // Another record has the id.
    let mut other = event("other");
    other.id = full().id;
    let (transient, message) = refused(within.write(&[full(), other]));
    assert!(!transient && message.contains("holds another record with this id"), "{message}");

    order(&transaction, "paid");
    within.write(&[event("after")]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(orders(&path), ["placed", "paid"]);
    assert_eq!(actions(&path), ["before", "after"]);
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_changes"), 0);
    check_whole(&path);
}

#[test]
fn a_record_that_is_stored_is_not_stored_again() {
    let (_directory, path, mut shop) = shop();
    let batch = events("e", 3);
    open(&path).write(&batch[..1]).unwrap();
    let transaction = shop.transaction().unwrap();
    let mut within = record_in(&transaction).unwrap();
    within.write(&batch[..2]).unwrap();
    within.write(&batch).unwrap();
    transaction.commit().unwrap();
    open(&path).write(&batch).unwrap();
    assert_eq!(actions(&path), ["e 0", "e 1", "e 2"]);
    check_whole(&path);
}

#[test]
fn a_full_disk_is_an_error_of_the_transaction() {
    let (_directory, path, mut shop) = shop();
    let pages: u32 = value(&path, "PRAGMA page_count");
    shop.pragma_update_and_check(None, "max_page_count", pages + 5, |_| Ok(())).unwrap();
    let transaction = shop.transaction().unwrap();
    order(&transaction, "placed");
    let mut large = event("large");
    large.traceback = Some("x".repeat(200_000));
    let (transient, _) = refused(record_in(&transaction).unwrap().write(&[large]));
    assert!(transient);
    assert!(!transaction.is_autocommit(), "SQLite has not rolled back all of it");
    record_in(&transaction).unwrap().write(&[event("small")]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(orders(&path), ["placed"]);
    assert_eq!(actions(&path), ["small"]);
    check_whole(&path);
}

/// What SQLite does not undo by the statement, it undoes by the transaction, and that is said.
#[test]
fn a_transaction_that_sqlite_has_rolled_back_is_over() {
    let (_directory, path, mut shop) = shop();
    let interrupt = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&interrupt);
    shop.progress_handler(1, Some(move || asked.load(Ordering::Relaxed))).unwrap();
    let transaction = shop.transaction().unwrap();
    order(&transaction, "placed");
    let mut within = record_in(&transaction).unwrap();
    interrupt.store(true, Ordering::Relaxed);
    let (transient, message) = refused(within.write(&[event("interrupted")]));
    let expected = format!(
        "cannot write to the audit trail `{}`: SQLite has rolled back the whole transaction; the source of \
         this error says why",
        path.display()
    );
    assert_eq!((transient, message), (true, expected));
    interrupt.store(false, Ordering::Relaxed);
    assert!(transaction.is_autocommit());
    assert!(refused(within.write(&[event("after")])).1.contains("no transaction open"));
    drop(transaction);
    assert!(orders(&path).is_empty() && actions(&path).is_empty());
}

#[test]
fn a_connection_that_only_reads_is_refused_at_once() {
    let (_directory, path, shop) = shop();
    shop.execute_batch("PRAGMA query_only = ON; BEGIN").unwrap();
    let (transient, message) = refused(record_in(&shop).map(drop));
    assert!(transient);
    let expected =
        format!("cannot write to the audit trail `{}`: it can't be written to", path.display());
    assert!(message.starts_with(&expected), "{message}");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let mut connection = Connection::open_with_flags(&path, flags).unwrap();
    let transaction = connection.transaction().unwrap();
    assert!(refused(record_in(&transaction).map(drop)).1.starts_with(&expected));
}

#[test]
fn a_transaction_that_has_read_too_early_says_so() {
    let (_directory, path, mut shop) = shop();
    let transaction = shop.transaction().unwrap();
    transaction.query_row("SELECT count(*) FROM orders", [], |_| Ok(())).unwrap();
    open(&path).write(&[event("meanwhile")]).unwrap();
    let (transient, message) = refused(record_in(&transaction).map(drop));
    let expected = format!(
        "cannot write to the audit trail `{}`: another connection has written since this transaction began \
         to read; roll it back, and begin it with `TransactionBehavior::Immediate`",
        path.display()
    );
    assert_eq!((transient, message), (true, expected));
    drop(transaction);
    // One that has not read yet sees what was written meanwhile.
    let transaction = shop.transaction().unwrap();
    open(&path).write(&[event("meanwhile, again")]).unwrap();
    record_in(&transaction).unwrap().write(&[event("third")]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(actions(&path), ["meanwhile", "meanwhile, again", "third"]);
}

#[test]
fn a_database_without_the_trail_is_refused() {
    let directory = tempdir().unwrap();
    let old = directory.path().join("old.db");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1.db"), &old).unwrap();
    let plain = directory.path().join("plain.db");
    let other = directory.path().join("other.db");
    read(&other).execute_batch("CREATE TABLE audit_record (a)").unwrap();
    for path in [&plain, &old, &other] {
        let mut connection = Connection::open(path).unwrap();
        let transaction = connection.transaction().unwrap();
        let expected = format!(
            "cannot write to the audit trail: the database `{}` holds none of schema version \
             {SCHEMA_VERSION}; open the file once with `SqliteStore` before (by \
             `SqliteStore::builder().shared(true)` if it is not the trail's alone)",
            path.display()
        );
        assert_eq!(refused(record_in(&transaction).map(drop)), (false, expected));
        transaction.execute_batch("CREATE TABLE t (a)").unwrap();
        transaction.commit().unwrap();
    }
}

#[test]
fn tables_of_the_user_may_stand_in_a_trail_of_its_own() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let mut connection = read(&path);
    connection.execute_batch("CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT)").unwrap();
    let transaction = connection.transaction().unwrap();
    order(&transaction, "placed");
    record_in(&transaction).unwrap().write(&[event("place order")]).unwrap();
    transaction.commit().unwrap();
    store.write(&[event("by the store")]).unwrap();
    open(&path).write(&[event("opened as shared")]).unwrap();
    assert_eq!(value::<i32>(&path, "PRAGMA user_version"), SCHEMA_VERSION);
    assert_eq!(
        value::<i64>(&path, "SELECT count(*) FROM sqlite_schema WHERE name = 'audit_schema'"),
        0
    );
    assert_eq!(orders(&path), ["placed"]);
    assert_eq!(actions(&path), ["place order", "by the store", "opened as shared"]);
}

/// A temporary table or an attached database of the same names is not taken for the trail.
#[test]
fn only_the_main_database_is_written_to() {
    let (_directory, path, mut shop) = shop();
    let other = tempdir().unwrap();
    let other = other.path().join("other.db");
    SqliteStore::open(&other).unwrap();
    shop.execute_batch(&format!(
        "CREATE TEMP TABLE audit_record (id); CREATE TEMP TABLE audit_name (id, text);
         CREATE TEMP TABLE audit_schema (version); ATTACH '{}' AS other",
        other.display()
    ))
    .unwrap();
    let transaction = shop.transaction().unwrap();
    record_in(&transaction).unwrap().write(&[full()]).unwrap();
    transaction.commit().unwrap();
    // No statement is left in the connection that would hold the other database.
    shop.execute_batch("DETACH other; DROP TABLE temp.audit_record").unwrap();
    assert_eq!(actions(&path), ["transfer funds"]);
    assert!(actions(&other).is_empty());

    // Nor is the trail of an attached database taken where the main one has none.
    let mut connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(&format!("ATTACH '{}' AS other", path.display())).unwrap();
    let transaction = connection.transaction().unwrap();
    assert!(refused(record_in(&transaction).map(drop)).1.contains("holds none of schema version"));
}

#[test]
fn other_writers_wait_and_seq_has_no_gaps() {
    const EACH: usize = 40;
    let (_directory, path, _) = shop();
    let (go_on, wait) = mpsc::channel();
    std::thread::scope(|scope| {
        let path = &path;
        scope.spawn(move || {
            let mut store = open(path);
            go_on.send(()).unwrap();
            for n in 0..EACH {
                store.write(&events(&format!("store {n}"), 3)).unwrap();
            }
        });
        wait.recv().unwrap();
        for thread in 0..2 {
            scope.spawn(move || {
                let mut connection = read(path);
                for n in 0..EACH {
                    let name = format!("caller {thread} {n}");
                    let transaction = connection.transaction().unwrap();
                    let mut within = record_in(&transaction).unwrap();
                    order(&transaction, &name);
                    within.write(&[event(&name)]).unwrap();
                    if n % 2 == 0 {
                        transaction.commit().unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(actions(&path).len(), EACH * 3 + EACH);
    let apart: i64 = value(
        &path,
        "SELECT (SELECT count(*) FROM orders)
             - (SELECT count(*) FROM orders JOIN audit_log ON action = state)",
    );
    assert_eq!((orders(&path).len(), apart), (EACH, 0));
    check_whole(&path);
}

#[test]
fn the_recorder_of_the_same_file_waits_and_goes_on() {
    let (_directory, path, mut shop) = shop();
    let audit = Audit::builder().store(open(&path)).build().unwrap();
    for (n, commit) in [true, false, true].into_iter().enumerate() {
        let name = n.to_string();
        let transaction = shop.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        Context::new().recorder(&audit).scope(|| {
            audit_core::execute(format!("recorder {n}"), "", (), || Ok::<(), String>(())).unwrap();
        });
        order(&transaction, &name);
        record_in(&transaction).unwrap().write(&[event(&format!("caller {n}"))]).unwrap();
        if commit {
            transaction.commit().unwrap()
        } else {
            transaction.rollback().unwrap()
        }
        audit.flush().unwrap();
    }
    audit.close().unwrap();
    assert_eq!(orders(&path), ["0", "2"]);
    assert_eq!(actions(&path), ["caller 0", "recorder 0", "recorder 1", "caller 2", "recorder 2"]);
    check_whole(&path);
}
