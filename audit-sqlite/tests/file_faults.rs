//! Faults of the files of an open trail: moved, deleted, linked or read-only files, and a lost log.
//!
//! Each fault is reported as an error, and loses nothing. Once it is repaired, the same store works
//! again.
#![cfg(unix)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use audit_record::store::Store as _;
use audit_sqlite::SqliteStore;
use common::{
    actions, assert_transient, child_test, event, events, file_names, full, query, read, value,
};
use tempfile::{TempDir, tempdir};

/// Opens a store that waits only briefly for locks.
fn impatient(path: &Path) -> SqliteStore {
    SqliteStore::builder().busy_timeout(Duration::from_millis(20)).open(path).unwrap()
}

fn new_trail() -> (TempDir, PathBuf, SqliteStore) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = impatient(&path);
    store.write(&[event("first")]).unwrap();
    (directory, path, store)
}

#[test]
fn writes_fail_while_the_file_is_read_only() {
    let (_directory, path, mut store) = new_trail();
    for mode in [0o444, 0o000] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let error = store.write(&[event("second")]).unwrap_err();
        assert_transient(
            &error,
            &path,
            "it was made read-only; make it writable for its owner \
                                         again",
        );
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    store.write(&[event("second")]).unwrap();
    assert_eq!(actions(&path), ["first", "second"]);
}

#[test]
fn writes_fail_while_the_file_is_moved_and_succeed_once_it_is_back() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let away = directory.path().join("away.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&[event("first")]).unwrap();

    fs::rename(&path, &away).unwrap();
    let batch = events("e", 2);
    let error = store.write(&batch).unwrap_err();
    assert_transient(
        &error,
        &path,
        "it was deleted or moved away since it was opened; put it back",
    );
    assert!(!path.exists(), "a missing trail must not be replaced silently");

    fs::write(&path, "").unwrap();
    let error = store.write(&batch).unwrap_err();
    assert_transient(&error, &path, "another file has replaced it since it was opened");
    assert_eq!(fs::read(&path).unwrap(), b"");

    fs::rename(&away, &path).unwrap();
    store.write(&batch).unwrap();
    assert_eq!(actions(&path), ["first", "e 0", "e 1"]);
}

#[test]
fn writes_fail_after_the_file_is_deleted() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let error = store.write(&[event("lost")]).unwrap_err();
    assert_transient(&error, &path, "it was deleted or moved away");
    let error = store.close().unwrap_err();
    assert!(error.to_string().contains("it was deleted or moved away"), "{error}");
    assert!(!path.exists());
}

/// The child's part. It changes its directory, after which the relative path would name another
/// file.
#[test]
fn child_process_changes_its_directory() {
    let Some(directory) = std::env::var_os("AUDIT_TEST_DIRECTORY") else { return };
    std::env::set_current_dir(&directory).unwrap();
    let mut store = SqliteStore::open("audit.db").unwrap();
    store.write(&[event("before")]).unwrap();
    std::env::set_current_dir("/").unwrap();
    store.write(&[event("after")]).unwrap();
    store.close().unwrap();
}

#[test]
fn a_relative_path_is_resolved_when_the_store_is_opened() {
    let directory = tempdir().unwrap();
    let output = child_test("child_process_changes_its_directory")
        .env("AUDIT_TEST_DIRECTORY", directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(actions(&directory.path().join("audit.db")), ["before", "after"]);
}

#[test]
fn a_hard_linked_file_is_refused_until_the_other_name_is_removed() {
    let (directory, path, mut store) = new_trail();
    let other = directory.path().join("other.db");
    fs::hard_link(&path, &other).unwrap();
    let expected = "it has more than one name (hard links), and SQLite would create a separate \
                    `-wal` file for each name; remove the other names";
    assert_transient(&store.write(&[event("second")]).unwrap_err(), &path, expected);
    for path in [&path, &other] {
        let error = SqliteStore::open(path).unwrap_err();
        assert!(!error.is_transient());
        let expected = format!("cannot open the audit trail `{}`: {expected}", path.display());
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(file_names(&directory), ["audit.db", "audit.db-shm", "audit.db-wal", "other.db"]);
    fs::remove_file(&other).unwrap();
    store.write(&[event("second")]).unwrap();
    assert_eq!(actions(&path), ["first", "second"]);
}

#[test]
fn stores_opened_by_symbolic_links_share_one_file_and_one_log() {
    let (directory, path, mut store) = new_trail();
    let elsewhere = tempdir().unwrap();
    let (link, folder) = (elsewhere.path().join("link.db"), elsewhere.path().join("folder"));
    symlink(&path, &link).unwrap();
    symlink(directory.path(), &folder).unwrap();
    let mut by_link = SqliteStore::open(&link).unwrap();
    let mut by_folder = SqliteStore::open(folder.join("audit.db")).unwrap();
    by_link.write(&[event("by link")]).unwrap();
    by_folder.write(&[event("by folder")]).unwrap();
    store.write(&[event("by name")]).unwrap();
    assert_eq!(file_names(&elsewhere), ["folder", "link.db"]);
    assert_eq!(file_names(&directory), ["audit.db", "audit.db-shm", "audit.db-wal"]);
    assert_eq!(actions(&path), ["first", "by link", "by folder", "by name"]);

    // The link now names another file. A reader that follows it would not find new records.
    let other = elsewhere.path().join("other.db");
    SqliteStore::open(&other).unwrap().close().unwrap();
    fs::remove_file(&link).unwrap();
    symlink(&other, &link).unwrap();
    let error = by_link.write(&[event("astray")]).unwrap_err();
    assert_transient(&error, &link, "another file has replaced it");
    fs::remove_file(&link).unwrap();
    symlink(&path, &link).unwrap();
    by_link.write(&[event("by link again")]).unwrap();
    assert_eq!(actions(&path).len(), 5);

    // A new trail created through a linked directory is also one file.
    let mut new = SqliteStore::open(folder.join("new.db")).unwrap();
    new.write(&[event("new")]).unwrap();
    assert_eq!(actions(&directory.path().join("new.db")), ["new"]);
}

#[test]
fn a_dangling_symbolic_link_is_refused() {
    let directory = tempdir().unwrap();
    let (link, target) = (directory.path().join("link.db"), directory.path().join("gone.db"));
    symlink(&target, &link).unwrap();
    let error = SqliteStore::open(&link).unwrap_err();
    let expected = format!(
        "cannot open the audit trail `{}`: it is a symbolic link to `{}`, which does not exist; \
         name the file itself, or remove the link",
        link.display(),
        target.display()
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(file_names(&directory), ["link.db"]);
}

#[test]
fn a_named_pipe_is_refused() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let error = SqliteStore::open(&path).unwrap_err();
    assert!(
        error.to_string().ends_with("it is not a regular file; choose another path"),
        "{error}"
    );
}

const LOG_DELETED: &str = "the `-wal` or `-shm` file beside it was deleted or replaced";

#[test]
fn records_in_a_deleted_log_are_recovered() {
    for deleted in [&["audit.db-wal"][..], &["audit.db-shm"], &["audit.db-wal", "audit.db-shm"]] {
        let (directory, path, mut store) = new_trail();
        // A reader of the same store does not prevent the recovery.
        let mut reader = store.reader().unwrap().unwrap();
        reader.changes(&query("account", "17")).unwrap();
        for name in deleted {
            fs::remove_file(directory.path().join(name)).unwrap();
        }
        store.write(&[full()]).unwrap();
        assert_eq!(actions(&path), ["first", "transfer funds"], "{deleted:?}");
        assert_eq!(file_names(&directory), ["audit.db", "audit.db-shm", "audit.db-wal"]);
        assert_eq!(reader.changes(&query("account", "17")).unwrap().len(), 1);
        assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
        store.write(&[event("last")]).unwrap();
        assert_eq!(actions(&path), ["first", "transfer funds", "last"]);
    }
}

#[test]
fn a_deleted_log_that_another_store_uses_is_recovered_after_that_store_closes() {
    let (directory, path, mut store) = new_trail();
    let mut other = impatient(&path);
    other.write(&[event("other")]).unwrap();
    fs::remove_file(directory.path().join("audit.db-wal")).unwrap();
    for store in [&mut store, &mut other] {
        let error = store.write(&[event("second")]).unwrap_err();
        assert_transient(&error, &path, LOG_DELETED);
        assert!(error.to_string().contains(
            "close the other programs and tools that have the trail \
                                        open"
        ));
    }
    other.close().unwrap();
    store.write(&[event("second")]).unwrap();
    assert_eq!(actions(&path), ["first", "other", "second"]);
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
}

#[test]
fn recovery_in_a_shared_database_keeps_the_wal_mode() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("shop.db");
    read(&path).execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE orders (id)").unwrap();
    let mut store = SqliteStore::builder().shared(true).open(&path).unwrap();
    store.write(&[event("first")]).unwrap();
    fs::remove_file(directory.path().join("shop.db-wal")).unwrap();
    store.write(&[event("second")]).unwrap();
    assert_eq!(actions(&path), ["first", "second"]);
    assert_eq!(value::<String>(&path, "PRAGMA journal_mode"), "wal");
    let before = ["shop.db", "shop.db-shm", "shop.db-wal"];
    assert_eq!(file_names(&directory), before);

    // A process killed during the recovery leaves another journal mode, and a marker file.
    drop(store);
    let owner = read(&path);
    owner.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).unwrap();
    let impatient = || SqliteStore::builder().busy_timeout(Duration::from_millis(20));
    let open = || impatient().shared(true).open(&path).unwrap();
    drop(open());
    assert_eq!(value::<String>(&path, "PRAGMA journal_mode"), "delete");
    fs::write(directory.path().join("shop.db-log-rescue"), "").unwrap();
    // Another connection delays the recovery, without an error.
    owner.execute_batch("BEGIN; SELECT count(*) FROM orders").unwrap();
    drop(open());
    assert_eq!(value::<String>(&path, "PRAGMA journal_mode"), "delete");
    owner.execute_batch("COMMIT").unwrap();
    open().write(&[event("third")]).unwrap();
    assert_eq!(value::<String>(&path, "PRAGMA journal_mode"), "wal");
    assert_eq!(actions(&path), ["first", "second", "third"]);
    drop(owner);
    assert_eq!(file_names(&directory), ["shop.db"]);
}

/// New records stay in the log while a reader holds a transaction. Later the log is truncated to
/// its size limit.
#[test]
fn the_log_grows_during_a_read_transaction_and_shrinks_afterwards() {
    let (directory, path, mut store) = new_trail();
    let log = || fs::metadata(directory.path().join("audit.db-wal")).unwrap().len();
    let mut large = || {
        let mut record = event("large");
        record.input = common::json(&format!("\"{}\"", "x".repeat(5 << 20)));
        store.write(&[record]).unwrap();
    };
    let reader = read(&path);
    reader.execute_batch("BEGIN; SELECT count(*) FROM audit_log").unwrap();
    (0..15).for_each(|_| large());
    assert!(log() > 75 << 20, "{}", log());
    assert_eq!(reader.query_row("SELECT count(*) FROM audit_log", [], |row| row.get(0)), Ok(1));
    reader.execute_batch("COMMIT").unwrap();
    (0..2).for_each(|_| large());
    assert!(log() <= 64 << 20, "{}", log());
    assert_eq!(actions(&path).len(), 18);
}

/// The child's part. It runs as an unprivileged user.
#[test]
fn child_process_loses_access_to_its_directory() {
    let Some(directory) = std::env::var_os("AUDIT_TEST_DIRECTORY").map(PathBuf::from) else {
        return;
    };
    let path = directory.join("audit.db");
    let mut store = impatient(&path);
    store.write(&[event("first")]).unwrap();

    // The directory can no longer be searched.
    fs::set_permissions(&directory, Permissions::from_mode(0o000)).unwrap();
    let error = store.write(&[event("second")]).unwrap_err();
    assert_transient(&error, &path, "it can no longer be found; check its directory");
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
    store.write(&[event("second")]).unwrap();

    // No file can be created in the directory, but the existing files can be used.
    fs::set_permissions(&directory, Permissions::from_mode(0o500)).unwrap();
    store.write(&[event("third")]).unwrap();
    store.write(&events("more", 2)).unwrap();
    let error = SqliteStore::open(directory.join("new.db")).unwrap_err();
    assert!(
        error.to_string().ends_with("access is denied; check the permissions of its directory")
    );
    let error = impatient(&path).begin(&audit_record::store::RecorderSession::new(0)).unwrap_err();
    assert!(error.to_string().contains("no lock file can be created beside it"), "{error}");
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn writes_fail_while_the_directory_is_inaccessible() {
    use std::os::unix::fs::chown;
    use std::os::unix::process::CommandExt as _;
    let directory = tempdir().unwrap();
    let mut command = child_test("child_process_loses_access_to_its_directory");
    command.env("AUDIT_TEST_DIRECTORY", directory.path());
    // Permissions do not restrict the superuser.
    let nobody = 65_534;
    if chown(directory.path(), Some(nobody), Some(nobody)).is_ok() {
        command.uid(nobody).gid(nobody);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let path = directory.path().join("audit.db");
    assert_eq!(actions(&path), ["first", "second", "third", "more 0", "more 1"]);
}
