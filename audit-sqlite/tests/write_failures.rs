//! Writes that fail: a batch is never stored in part, and is stored exactly once after a retry.

mod common;

use std::sync::mpsc;
use std::time::Duration;

use audit_record::Record;
use audit_record::store::Store as _;
use audit_sqlite::SqliteStore;
use common::{actions, assert_transient, event, events, full, read, value};
use tempfile::tempdir;

/// Records that need much space. They have long inputs, and new names that must be rolled back with
/// the batch.
fn large(count: usize) -> Vec<Record> {
    (0..count)
        .map(|n| {
            let mut record = full();
            record.id = uuid::Uuid::from_u128(n as u128 + 1);
            record.action = format!("large {n}").into();
            record.actor = Some(format!("actor {n}").into());
            record.input = common::json(&format!("\"{}\"", "x".repeat(2000)));
            record
        })
        .collect()
}

#[test]
fn a_batch_that_does_not_fit_on_the_disk_is_stored_once_there_is_room() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&[event("first")]).unwrap();
    let pages: u32 = value(&path, "PRAGMA page_count");
    store.limit_pages(pages + 20).unwrap();

    let batch = large(100);
    for _ in 0..3 {
        let error = store.write(&batch).unwrap_err();
        assert_transient(&error, &path, "the disk is full, or a quota is used up; make room");
        assert_eq!(actions(&path), ["first"]);
    }
    store.write(&[event("small")]).unwrap();

    store.limit_pages(100_000).unwrap();
    store.write(&batch).unwrap();
    store.write(&batch).unwrap();
    let mut expected = vec!["first".to_owned(), "small".to_owned()];
    expected.extend((0..100).map(|n| format!("large {n}")));
    assert_eq!(actions(&path), expected);
    let wrong: i64 = value(
        &path,
        "SELECT count(*) FROM audit_log WHERE actor IS NOT 'actor ' || substr(action, 7)
         AND action LIKE 'large %'",
    );
    assert_eq!(wrong, 0, "the number of a name from the failed batch was used");
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_changes"), 300);
    assert_eq!(value::<i64>(&path, "SELECT max(seq) FROM audit_log"), 102);
}

#[test]
fn a_lock_held_too_long_is_a_transient_error() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store =
        SqliteStore::builder().busy_timeout(Duration::from_millis(20)).open(&path).unwrap();
    let holder = read(&path);
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.write(&events("e", 3)).unwrap_err();
    assert_transient(
        &error,
        &path,
        "another connection holds the lock; look for an open transaction",
    );
    // Opening needs no lock if there is nothing to migrate.
    SqliteStore::builder().busy_timeout(Duration::ZERO).open(&path).unwrap();
    holder.execute_batch("ROLLBACK").unwrap();
    store.write(&events("e", 3)).unwrap();
    assert_eq!(actions(&path), ["e 0", "e 1", "e 2"]);
}

#[test]
fn a_write_waits_for_a_lock_that_is_released_in_time() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store =
        SqliteStore::builder().busy_timeout(Duration::from_secs(60)).open(&path).unwrap();
    store.write(&[event("first")]).unwrap();
    let (locked, is_locked) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let holder = read(&path);
            holder.execute_batch("BEGIN IMMEDIATE").unwrap();
            locked.send(()).unwrap();
            holder.execute_batch("COMMIT").unwrap();
        });
        is_locked.recv().unwrap();
        store.write(&[event("second")]).unwrap();
    });
    assert_eq!(actions(&path), ["first", "second"]);
}

#[test]
fn opening_a_locked_new_trail_is_a_transient_error() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let holder = read(&path);
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let builder = SqliteStore::builder().busy_timeout(Duration::ZERO);
    let error = builder.clone().open(&path).unwrap_err();
    assert!(error.is_transient());
    assert!(error.to_string().contains("another connection holds the lock"), "{error}");
    holder.execute_batch("ROLLBACK").unwrap();
    builder.open(&path).unwrap();
}

#[test]
fn a_stored_record_is_not_stored_twice() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let mut batch = events("e", 4);
    batch[1].changes = full().changes;
    store.write(&batch[..2]).unwrap();
    store.write(&batch).unwrap();
    // Another store does not either, for example after a restart.
    SqliteStore::open(&path).unwrap().write(&batch[1..]).unwrap();
    assert_eq!(actions(&path), ["e 0", "e 1", "e 2", "e 3"]);
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_changes"), 3);
    assert_eq!(value::<i64>(&path, "SELECT max(seq) FROM audit_log"), 4);
}

#[test]
fn a_different_record_with_a_used_id_is_refused() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let first = event("first");
    let mut second = event("second");
    second.id = first.id;
    store.write(&[first]).unwrap();
    let id = second.id;
    let error = store.write(&[event("third"), second]).unwrap_err();
    assert!(!error.is_transient());
    let expected = format!(
        "cannot store the record {id}: the audit trail already holds a different record with \
         this id; give every record its own id"
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(actions(&path), ["first"]);
}

/// The child's part. Its file size is limited, which has the effect of a disk error.
#[cfg(target_os = "linux")]
#[test]
fn child_process_writes_until_the_disk_fails() {
    use audit_record::Durability;
    use audit_record::store::Batch;
    let Some(directory) = std::env::var_os("AUDIT_TEST_LIMITED") else { return };
    let path = std::path::Path::new(&directory).join("audit.db");
    let mut store =
        SqliteStore::builder().busy_timeout(Duration::from_millis(20)).open(&path).unwrap();
    store.write(&[event("first")]).unwrap();
    for _ in 0..2 {
        // The second write uses a new connection, because a failed connection is not trusted.
        let error = store.write(&large(200)).unwrap_err();
        assert_transient(&error, &path, "reading or writing failed; check the disk");
    }
    store.write(&[event("small")]).unwrap();

    // The content of the log may never reach the disk. The store writes it again first, even while
    // a reader uses the log.
    let reader = read(&path);
    reader.execute_batch("BEGIN; SELECT count(*) FROM audit_log").unwrap();
    let records = [event("power")];
    let mut batch = Batch::new(&records);
    batch.durability = Durability::Power;
    store.write_batch(&batch).unwrap();
    assert_eq!(reader.query_row("SELECT count(*) FROM audit_log", [], |row| row.get(0)), Ok(2));
    reader.execute_batch("COMMIT").unwrap();
    store.write(&[event("process")]).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_batch_that_fails_with_a_disk_error_can_be_written_again() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    // 600 blocks have 512 bytes each in most shells. That is enough for the empty trail, but not
    // for the batch. Ignoring the signal makes the write fail instead of ending the process.
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 600; exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg("child_process_writes_until_the_disk_fails")
        .env("AUDIT_TEST_LIMITED", directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(actions(&path), ["first", "small", "power", "process"]);

    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&large(200)).unwrap();
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_log"), 204);
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
}
