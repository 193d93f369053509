//! Records in the caller's own transaction: the caller's rows and the records are stored together,
//! or not at all.

mod common;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use audit_core::{Audit, Context};
use audit_record::Error;
use audit_record::store::Store as _;
use audit_sqlite::{SCHEMA_VERSION, SqliteStore, record_in};
use common::{actions, copy_golden, event, events, full, read, texts, value};
use rusqlite::limits::Limit;
use rusqlite::{Connection, TransactionBehavior};
use tempfile::{TempDir, tempdir};

/// The database of a shop with a trail in it, and a connection of the shop.
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

fn insert_order(connection: &Connection, state: &str) {
    connection.execute("INSERT INTO orders (state) VALUES (?1)", [state]).unwrap();
}

fn orders(path: &Path) -> Vec<String> {
    texts(path, "SELECT state FROM orders ORDER BY id")
}

/// Asserts that the trail is consistent: `seq` has no gap, each name is stored once, and every
/// number has a name.
fn assert_consistent(path: &Path) {
    let gaps: i64 = value(path, "SELECT ifnull(max(seq), 0) - count(*) FROM audit_log");
    assert_eq!(gaps, 0);
    assert_eq!(
        value::<i64>(path, "SELECT count(*) FROM audit_log WHERE action IS NULL OR method IS NULL"),
        0
    );
    assert_eq!(value::<i64>(path, "SELECT count(DISTINCT text) - count(*) FROM audit_name"), 0);
    assert_eq!(value::<String>(path, "PRAGMA integrity_check"), "ok");
}

/// Whether the error of `result` is transient, and its text.
fn error_of(result: Result<(), Error>) -> (bool, String) {
    let error = result.unwrap_err();
    (error.is_transient(), error.to_string())
}

#[test]
fn a_commit_stores_rows_and_records() {
    let (_directory, path, mut shop) = shop();
    let transaction = shop.transaction().unwrap();
    insert_order(&transaction, "placed");
    record_in(&transaction).unwrap().write(&[full(), event("place order")]).unwrap();
    assert!(actions(&path).is_empty(), "other connections do not see it yet");
    transaction.commit().unwrap();
    assert_eq!(orders(&path), ["placed"]);
    assert_eq!(actions(&path), ["transfer funds", "place order"]);
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_changes"), 3);
    assert_consistent(&path);
}

#[test]
fn a_rollback_or_a_drop_stores_neither_rows_nor_records() {
    let (_directory, path, mut shop) = shop();
    let mut store = open(&path);
    for by_drop in [false, true] {
        let transaction = shop.transaction().unwrap();
        insert_order(&transaction, "placed");
        record_in(&transaction).unwrap().write(&[full(), event("place order")]).unwrap();
        if by_drop {
            drop(transaction)
        } else {
            transaction.rollback().unwrap()
        }
        assert!(orders(&path).is_empty() && actions(&path).is_empty());
        // The names are rolled back as well, and their numbers are used for other names.
        assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_name"), 0);
    }
    store.write(&[event("later")]).unwrap();
    let transaction = shop.transaction().unwrap();
    record_in(&transaction).unwrap().write(&[event("last")]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(actions(&path), ["later", "last"]);
    assert_consistent(&path);
}

#[test]
fn a_rolled_back_savepoint_takes_its_records_along() {
    let (_directory, path, mut shop) = shop();
    let mut transaction = shop.transaction().unwrap();
    record_in(&transaction).unwrap().write(&[event("before")]).unwrap();
    let mut inner = transaction.savepoint().unwrap();
    insert_order(&inner, "rolled back");
    record_in(&inner).unwrap().write(&[event("rolled back")]).unwrap();
    inner.rollback().unwrap();
    inner.commit().unwrap();
    let inner = transaction.savepoint().unwrap();
    insert_order(&inner, "kept");
    record_in(&inner).unwrap().write(&[event("kept")]).unwrap();
    inner.commit().unwrap();
    transaction.commit().unwrap();
    assert_eq!(orders(&path), ["kept"]);
    assert_eq!(actions(&path), ["before", "kept"]);
    assert_consistent(&path);
}

/// The numbers given to names before the rollback must not be used after it.
#[test]
fn a_savepoint_can_be_rolled_back_by_sql_between_two_writes() {
    let (_directory, path, mut shop) = shop();
    let transaction = shop.transaction().unwrap();
    let mut writer = record_in(&transaction).unwrap();
    writer.write(&[event("before")]).unwrap();
    transaction.execute_batch("SAVEPOINT own").unwrap();
    writer.write(&[event("first name"), event("second name")]).unwrap();
    transaction.execute_batch("ROLLBACK TO own").unwrap();
    writer.write(&[event("second name"), event("first name")]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(actions(&path), ["before", "second name", "first name"]);
    assert_consistent(&path);
}

#[test]
fn every_kind_of_transaction_is_accepted() {
    let (_directory, path, mut shop) = shop();
    for (behavior, name) in [
        (TransactionBehavior::Deferred, "deferred"),
        (TransactionBehavior::Immediate, "immediate"),
        (TransactionBehavior::Exclusive, "exclusive"),
    ] {
        let transaction = shop.transaction_with_behavior(behavior).unwrap();
        insert_order(&transaction, name);
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
fn writes_without_an_open_transaction_are_refused() {
    let (_directory, path, mut shop) = shop();
    let no_transaction = format!(
        "cannot write to the audit trail `{}`: the connection has no transaction open; begin one \
         before `record_in`",
        path.display()
    );
    assert_eq!(error_of(record_in(&shop).map(drop)), (false, no_transaction.clone()));
    let transaction = shop.transaction().unwrap();
    let mut writer = record_in(&transaction).unwrap();
    transaction.execute_batch("COMMIT").unwrap();
    assert_eq!(error_of(writer.write(&[event("too late")])), (false, no_transaction));
    drop(transaction);
    assert!(actions(&path).is_empty());
}

#[test]
fn a_rejected_record_leaves_the_transaction_unchanged() {
    let (_directory, path, mut shop) = shop();
    shop.set_limit(Limit::SQLITE_LIMIT_LENGTH, 100_000).unwrap();
    let transaction = shop.transaction().unwrap();
    insert_order(&transaction, "placed");
    let mut writer = record_in(&transaction).unwrap();
    writer.write(&[event("before")]).unwrap();

    let mut large = full();
    large.traceback = Some("x".repeat(200_000));
    let (transient, message) = error_of(writer.write(&[event("half"), full(), large]));
    assert!(
        !transient && message.contains("a record is larger than SQLite can store"),
        "{message}"
    );
    // Here a change is rejected after its record was inserted.
    let mut large = event("half");
    large.changes = full().changes;
    large.changes[2].before = common::json(&format!("\"{}\"", "x".repeat(200_000)));
    let (transient, _) = error_of(writer.write(&[large]));
    assert!(!transient);
    // Here another record already has the id.
    let mut other = event("other");
    other.id = full().id;
    let (transient, message) = error_of(writer.write(&[full(), other]));
    assert!(
        !transient && message.contains("already holds a different record with this id"),
        "{message}"
    );

    insert_order(&transaction, "paid");
    writer.write(&[event("after")]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(orders(&path), ["placed", "paid"]);
    assert_eq!(actions(&path), ["before", "after"]);
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_changes"), 0);
    assert_consistent(&path);
}

#[test]
fn a_stored_record_is_not_stored_twice() {
    let (_directory, path, mut shop) = shop();
    let batch = events("e", 3);
    open(&path).write(&batch[..1]).unwrap();
    let transaction = shop.transaction().unwrap();
    let mut writer = record_in(&transaction).unwrap();
    writer.write(&batch[..2]).unwrap();
    writer.write(&batch).unwrap();
    transaction.commit().unwrap();
    open(&path).write(&batch).unwrap();
    assert_eq!(actions(&path), ["e 0", "e 1", "e 2"]);
    assert_consistent(&path);
}

#[test]
fn a_full_disk_fails_the_write_but_not_the_transaction() {
    let (_directory, path, mut shop) = shop();
    let pages: u32 = value(&path, "PRAGMA page_count");
    shop.pragma_update_and_check(None, "max_page_count", pages + 5, |_| Ok(())).unwrap();
    let transaction = shop.transaction().unwrap();
    insert_order(&transaction, "placed");
    let mut large = event("large");
    large.traceback = Some("x".repeat(200_000));
    let (transient, _) = error_of(record_in(&transaction).unwrap().write(&[large]));
    assert!(transient);
    assert!(!transaction.is_autocommit(), "SQLite has not rolled back the transaction");
    record_in(&transaction).unwrap().write(&[event("small")]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(orders(&path), ["placed"]);
    assert_eq!(actions(&path), ["small"]);
    assert_consistent(&path);
}

/// For some errors, SQLite rolls back the whole transaction and not only the statement.
#[test]
fn a_transaction_rolled_back_by_sqlite_is_reported() {
    let (_directory, path, mut shop) = shop();
    let interrupt = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&interrupt);
    shop.progress_handler(1, Some(move || asked.load(Ordering::Relaxed))).unwrap();
    let transaction = shop.transaction().unwrap();
    insert_order(&transaction, "placed");
    let mut writer = record_in(&transaction).unwrap();
    interrupt.store(true, Ordering::Relaxed);
    let (transient, message) = error_of(writer.write(&[event("interrupted")]));
    let expected = format!(
        "cannot write to the audit trail `{}`: SQLite has rolled back the whole transaction; the \
         source of this error says why",
        path.display()
    );
    assert_eq!((transient, message), (true, expected));
    interrupt.store(false, Ordering::Relaxed);
    assert!(transaction.is_autocommit());
    assert!(error_of(writer.write(&[event("after")])).1.contains("no transaction open"));
    drop(transaction);
    assert!(orders(&path).is_empty() && actions(&path).is_empty());
}

#[test]
fn a_read_only_connection_is_refused_at_once() {
    let (_directory, path, shop) = shop();
    shop.execute_batch("PRAGMA query_only = ON; BEGIN").unwrap();
    let (transient, message) = error_of(record_in(&shop).map(drop));
    assert!(transient);
    let expected =
        format!("cannot write to the audit trail `{}`: it can't be written to", path.display());
    assert!(message.starts_with(&expected), "{message}");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let mut connection = Connection::open_with_flags(&path, flags).unwrap();
    let transaction = connection.transaction().unwrap();
    assert!(error_of(record_in(&transaction).map(drop)).1.starts_with(&expected));
}

#[test]
fn a_transaction_with_an_outdated_read_is_refused() {
    let (_directory, path, mut shop) = shop();
    let transaction = shop.transaction().unwrap();
    transaction.query_row("SELECT count(*) FROM orders", [], |_| Ok(())).unwrap();
    open(&path).write(&[event("meanwhile")]).unwrap();
    let (transient, message) = error_of(record_in(&transaction).map(drop));
    let expected = format!(
        "cannot write to the audit trail `{}`: another connection has written since this \
         transaction began to read; roll it back, and begin it with \
         `TransactionBehavior::Immediate`",
        path.display()
    );
    assert_eq!((transient, message), (true, expected));
    drop(transaction);
    // A transaction that has not read yet sees the new rows.
    let transaction = shop.transaction().unwrap();
    open(&path).write(&[event("meanwhile, again")]).unwrap();
    record_in(&transaction).unwrap().write(&[event("third")]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(actions(&path), ["meanwhile", "meanwhile, again", "third"]);
}

#[test]
fn a_database_without_a_current_trail_is_refused() {
    let directory = tempdir().unwrap();
    let old = copy_golden(&directory, 1);
    let plain = directory.path().join("plain.db");
    let other = directory.path().join("other.db");
    read(&other).execute_batch("CREATE TABLE audit_record (a)").unwrap();
    for path in [&plain, &old, &other] {
        let mut connection = Connection::open(path).unwrap();
        let transaction = connection.transaction().unwrap();
        let expected = format!(
            "cannot write to the audit trail: the database `{}` has no trail with schema \
             version {SCHEMA_VERSION}; open the file once with `SqliteStore` before (with \
             `SqliteStore::builder().shared(true)` if it holds other tables too)",
            path.display()
        );
        assert_eq!(error_of(record_in(&transaction).map(drop)), (false, expected));
        transaction.execute_batch("CREATE TABLE t (a)").unwrap();
        transaction.commit().unwrap();
    }
}

#[test]
fn user_tables_can_be_added_to_a_trail_in_its_own_file() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let mut connection = read(&path);
    connection.execute_batch("CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT)").unwrap();
    let transaction = connection.transaction().unwrap();
    insert_order(&transaction, "placed");
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

/// Temporary tables and attached databases with the same names are not mistaken for the trail.
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
    // No cached statement keeps the other database attached.
    shop.execute_batch("DETACH other; DROP TABLE temp.audit_record").unwrap();
    assert_eq!(actions(&path), ["transfer funds"]);
    assert!(actions(&other).is_empty());

    // The trail of an attached database is not used if the main database has none.
    let mut connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(&format!("ATTACH '{}' AS other", path.display())).unwrap();
    let transaction = connection.transaction().unwrap();
    assert!(error_of(record_in(&transaction).map(drop)).1.contains(
        "has no trail with schema \
                                                                    version"
    ));
}

#[test]
fn other_writers_wait_and_seq_has_no_gaps() {
    const EACH: usize = 40;
    let (_directory, path, _) = shop();
    let (opened, is_open) = mpsc::channel();
    std::thread::scope(|scope| {
        let path = &path;
        scope.spawn(move || {
            let mut store = open(path);
            opened.send(()).unwrap();
            for n in 0..EACH {
                store.write(&events(&format!("store {n}"), 3)).unwrap();
            }
        });
        is_open.recv().unwrap();
        for thread in 0..2 {
            scope.spawn(move || {
                let mut connection = read(path);
                for n in 0..EACH {
                    let name = format!("caller {thread} {n}");
                    let transaction = connection.transaction().unwrap();
                    let mut writer = record_in(&transaction).unwrap();
                    insert_order(&transaction, &name);
                    writer.write(&[event(&name)]).unwrap();
                    if n % 2 == 0 {
                        transaction.commit().unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(actions(&path).len(), EACH * 3 + EACH);
    let unmatched: i64 = value(
        &path,
        "SELECT (SELECT count(*) FROM orders)
             - (SELECT count(*) FROM orders JOIN audit_log ON action = state)",
    );
    assert_eq!((orders(&path).len(), unmatched), (EACH, 0));
    assert_consistent(&path);
}

#[test]
fn a_recorder_on_the_same_file_waits_for_the_transaction() {
    let (_directory, path, mut shop) = shop();
    let audit = Audit::builder().store(open(&path)).build().unwrap();
    for (n, commit) in [true, false, true].into_iter().enumerate() {
        let name = n.to_string();
        let transaction = shop.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        Context::new().recorder(&audit).scope(|| {
            audit_core::execute(format!("recorder {n}"), "", (), || Ok::<(), String>(())).unwrap();
        });
        insert_order(&transaction, &name);
        record_in(&transaction).unwrap().write(&[event(&format!("caller {n}"))]).unwrap();
        if commit {
            transaction.commit().unwrap()
        } else {
            transaction.rollback().unwrap()
        }
        audit.flush().unwrap();
    }
    audit.shutdown().unwrap();
    assert_eq!(orders(&path), ["0", "2"]);
    assert_eq!(actions(&path), ["caller 0", "recorder 0", "recorder 1", "caller 2", "recorder 2"]);
    assert_consistent(&path);
}
