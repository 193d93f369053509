//! Writing that fails: nothing half-stored, and each record exactly once in the end.

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use audit_record::store::Batch;
use audit_record::store::Sink as _;
use audit_record::{Durability, Error, Record};
use audit_sqlite::SqliteStore;
use common::{actions, event, events, full, read, value};
use tempfile::tempdir;

fn is_transient(error: &Error, path: &Path, what: &str) {
    assert!(error.is_transient(), "{error}");
    let expected = format!("cannot write to the audit trail `{}`: {what}", path.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
}

/// Records that need room: new names, which must be forgotten with the batch, and long inputs.
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
fn a_full_disk_stores_nothing_and_everything_once_there_is_room() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&[event("first")]).unwrap();
    let pages: u32 = value(&path, "PRAGMA page_count");
    store.limit_pages(pages + 20).unwrap();

    let batch = large(100);
    for _ in 0..3 {
        let error = store.write(&batch).unwrap_err();
        is_transient(&error, &path, "the disk is full, or a quota is used up; make room");
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
    assert_eq!(wrong, 0, "a number handed out in a batch that failed was used again");
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
    is_transient(&error, &path, "another connection holds the lock; look for an open transaction");
    // Opening needs no lock where there is nothing to migrate.
    SqliteStore::builder().busy_timeout(Duration::ZERO).open(&path).unwrap();
    holder.execute_batch("ROLLBACK").unwrap();
    store.write(&events("e", 3)).unwrap();
    assert_eq!(actions(&path), ["e 0", "e 1", "e 2"]);
}

#[test]
fn a_new_trail_that_is_locked_is_a_transient_error() {
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
fn a_record_that_is_stored_is_not_stored_again() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let mut batch = events("e", 4);
    batch[1].changes = full().changes;
    store.write(&batch[..2]).unwrap();
    store.write(&batch).unwrap();
    // By another store too, as after a restart that can't tell what was stored.
    SqliteStore::open(&path).unwrap().write(&batch[1..]).unwrap();
    assert_eq!(actions(&path), ["e 0", "e 1", "e 2", "e 3"]);
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_changes"), 3);
    assert_eq!(value::<i64>(&path, "SELECT max(seq) FROM audit_log"), 4);
}

#[test]
fn two_different_records_with_one_id_are_told_apart() {
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
        "cannot store the record {id}: the audit trail holds another record with this id; give \
         every record an id of its own"
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(actions(&path), ["first"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_is_moved_away_is_missed_and_found_again() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let away = directory.path().join("away.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&[event("first")]).unwrap();

    fs::rename(&path, &away).unwrap();
    let batch = events("e", 2);
    let error = store.write(&batch).unwrap_err();
    is_transient(&error, &path, "it was deleted or moved away since it was opened; put it back");
    assert!(!path.exists(), "a missing trail is not replaced in silence");

    fs::write(&path, "").unwrap();
    let error = store.write(&batch).unwrap_err();
    is_transient(&error, &path, "another file has taken its place since it was opened");
    assert_eq!(fs::read(&path).unwrap(), b"");

    fs::rename(&away, &path).unwrap();
    store.write(&batch).unwrap();
    assert_eq!(actions(&path), ["first", "e 0", "e 1"]);
}

#[cfg(unix)]
#[test]
fn a_deleted_file_is_missed() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let error = store.write(&[event("lost")]).unwrap_err();
    is_transient(&error, &path, "it was deleted or moved away");
    store.close().unwrap();
    assert!(!path.exists());
}

/// In a directory to which the program has changed, a relative path must not name another file.
#[cfg(unix)]
#[test]
fn change_directory_for_parent() {
    let Some(directory) = std::env::var_os("AUDIT_TEST_DIRECTORY") else { return };
    std::env::set_current_dir(&directory).unwrap();
    let mut store = SqliteStore::open("audit.db").unwrap();
    store.write(&[event("before")]).unwrap();
    std::env::set_current_dir("/").unwrap();
    store.write(&[event("after")]).unwrap();
    store.close().unwrap();
}

#[cfg(unix)]
#[test]
fn a_relative_path_is_that_of_the_opening() {
    let directory = tempdir().unwrap();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "change_directory_for_parent"])
        .env("AUDIT_TEST_DIRECTORY", directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(actions(&directory.path().join("audit.db")), ["before", "after"]);
}

/// Writes under a limit of the file size, which fails as a disk error does.
#[cfg(target_os = "linux")]
#[test]
fn write_for_parent_until_the_disk_fails() {
    let Some(directory) = std::env::var_os("AUDIT_TEST_LIMITED") else { return };
    let path = Path::new(&directory).join("audit.db");
    let mut store =
        SqliteStore::builder().busy_timeout(Duration::from_millis(20)).open(&path).unwrap();
    store.write(&[event("first")]).unwrap();
    for _ in 0..2 {
        // The second time on a new connection: the first is not trusted any more.
        let error = store.write(&large(200)).unwrap_err();
        is_transient(&error, &path, "reading or writing failed; check the disk");
    }
    store.write(&[event("small")]).unwrap();

    // What the log holds may never reach the disk: first it is written there again, even if a reader is in it.
    let reader = read(&path);
    reader.execute_batch("BEGIN; SELECT count(*) FROM audit_log").unwrap();
    let records = [event("powerful")];
    let mut batch = Batch::new(&records);
    batch.durability = Durability::Power;
    store.write_batch(&batch).unwrap();
    assert_eq!(reader.query_row("SELECT count(*) FROM audit_log", [], |row| row.get(0)), Ok(2));
    reader.execute_batch("COMMIT").unwrap();
    store.write(&[event("less")]).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_error_stores_nothing_and_the_batch_can_be_offered_again() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    // 600 blocks of 512 bytes in most shells: enough for the empty trail, not for the batch. Ignoring the
    // signal makes the write fail instead of ending the process.
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 600; exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg("write_for_parent_until_the_disk_fails")
        .env("AUDIT_TEST_LIMITED", directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(actions(&path), ["first", "small", "powerful", "less"]);

    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&large(200)).unwrap();
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_log"), 204);
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
}
