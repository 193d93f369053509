//! What becomes of the files of a trail while it is written to: each trouble is told, nothing is lost by it, and once it is
//! mended, the same store goes on.
#![cfg(unix)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use audit_record::Error;
use audit_record::store::Sink as _;
use audit_sqlite::SqliteStore;
use common::{actions, event, events, full, query, read, value};
use tempfile::{TempDir, tempdir};

fn is_transient(error: &Error, path: &Path, what: &str) {
    assert!(error.is_transient(), "{error}");
    let expected = format!("cannot write to the audit trail `{}`: {what}", path.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
}

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

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_made_read_only_is_not_written_to_until_it_may_be() {
    let (_directory, path, mut store) = new_trail();
    for mode in [0o444, 0o000] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let error = store.write(&[event("second")]).unwrap_err();
        is_transient(&error, &path, "it was made read-only; let its owner write to it again");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    store.write(&[event("second")]).unwrap();
    assert_eq!(actions(&path), ["first", "second"]);
}

#[test]
fn a_second_name_of_the_file_is_refused_until_it_is_gone() {
    let (directory, path, mut store) = new_trail();
    let other = directory.path().join("other.db");
    fs::hard_link(&path, &other).unwrap();
    let expected = "it has more than one name (hard links), and by each of them SQLite would put a `-wal` file of its \
                    own beside it; remove the other names";
    is_transient(&store.write(&[event("second")]).unwrap_err(), &path, expected);
    for path in [&path, &other] {
        let error = SqliteStore::open(path).unwrap_err();
        assert!(!error.is_transient());
        let expected = format!("cannot open the audit trail `{}`: {expected}", path.display());
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(names(&directory), ["audit.db", "audit.db-shm", "audit.db-wal", "other.db"]);
    fs::remove_file(&other).unwrap();
    store.write(&[event("second")]).unwrap();
    assert_eq!(actions(&path), ["first", "second"]);
}

#[test]
fn by_symbolic_links_all_stores_write_to_one_file_with_one_log() {
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
    assert_eq!(names(&elsewhere), ["folder", "link.db"]);
    assert_eq!(names(&directory), ["audit.db", "audit.db-shm", "audit.db-wal"]);
    assert_eq!(actions(&path), ["first", "by link", "by folder", "by name"]);

    // What it was named by now leads elsewhere: who looks there would miss the records.
    let other = elsewhere.path().join("other.db");
    SqliteStore::open(&other).unwrap().close().unwrap();
    fs::remove_file(&link).unwrap();
    symlink(&other, &link).unwrap();
    let error = by_link.write(&[event("astray")]).unwrap_err();
    is_transient(&error, &link, "another file has taken its place");
    fs::remove_file(&link).unwrap();
    symlink(&path, &link).unwrap();
    by_link.write(&[event("by link again")]).unwrap();
    assert_eq!(actions(&path).len(), 5);

    // A new trail in a directory by another name is the same file as well.
    let mut new = SqliteStore::open(folder.join("new.db")).unwrap();
    new.write(&[event("new")]).unwrap();
    assert_eq!(actions(&directory.path().join("new.db")), ["new"]);
}

#[test]
fn a_symbolic_link_to_nothing_is_refused() {
    let directory = tempdir().unwrap();
    let (link, target) = (directory.path().join("link.db"), directory.path().join("gone.db"));
    symlink(&target, &link).unwrap();
    let error = SqliteStore::open(&link).unwrap_err();
    let expected = format!(
        "cannot open the audit trail `{}`: it is a symbolic link to `{}`, which does not exist; name the file itself, \
         or remove the link",
        link.display(),
        target.display()
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(names(&directory), ["link.db"]);
}

#[test]
fn a_pipe_is_refused() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let error = SqliteStore::open(&path).unwrap_err();
    assert!(error.to_string().ends_with("it is no regular file; choose another path"), "{error}");
}

const LOST: &str = "the `-wal` or `-shm` file beside it was deleted or replaced";

#[test]
fn what_is_in_a_deleted_log_is_put_in_order() {
    for lost in [&["audit.db-wal"][..], &["audit.db-shm"], &["audit.db-wal", "audit.db-shm"]] {
        let (directory, path, mut store) = new_trail();
        // A reader of the store's own is no reason to wait.
        let mut reader = store.reader().unwrap().unwrap();
        reader.changes(&query("account", "17")).unwrap();
        for name in lost {
            fs::remove_file(directory.path().join(name)).unwrap();
        }
        store.write(&[full()]).unwrap();
        assert_eq!(actions(&path), ["first", "transfer funds"], "{lost:?}");
        assert_eq!(names(&directory), ["audit.db", "audit.db-shm", "audit.db-wal"]);
        assert_eq!(reader.changes(&query("account", "17")).unwrap().len(), 1);
        assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
        store.write(&[event("last")]).unwrap();
        assert_eq!(actions(&path), ["first", "transfer funds", "last"]);
    }
}

#[test]
fn a_log_that_others_have_lost_as_well_is_left_alone() {
    let (directory, path, mut store) = new_trail();
    let mut other = impatient(&path);
    other.write(&[event("other")]).unwrap();
    fs::remove_file(directory.path().join("audit.db-wal")).unwrap();
    for store in [&mut store, &mut other] {
        let error = store.write(&[event("second")]).unwrap_err();
        is_transient(&error, &path, LOST);
        assert!(
            error.to_string().contains("end the other programs and tools that have the trail open")
        );
    }
    other.close().unwrap();
    store.write(&[event("second")]).unwrap();
    assert_eq!(actions(&path), ["first", "other", "second"]);
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
}

#[test]
fn in_the_database_of_another_program_the_log_stays_on() {
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
    assert_eq!(names(&directory), before);

    // A process that is killed meanwhile leaves the mode changed, and a file that says so.
    drop(store);
    let owner = read(&path);
    owner.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).unwrap();
    let impatient = || SqliteStore::builder().busy_timeout(Duration::from_millis(20));
    let open = || impatient().shared(true).open(&path).unwrap();
    drop(open());
    assert_eq!(value::<String>(&path, "PRAGMA journal_mode"), "delete");
    fs::write(directory.path().join("shop.db-log-rescue"), "").unwrap();
    // Somebody who is in the way makes it wait, and nothing else.
    owner.execute_batch("BEGIN; SELECT count(*) FROM orders").unwrap();
    drop(open());
    assert_eq!(value::<String>(&path, "PRAGMA journal_mode"), "delete");
    owner.execute_batch("COMMIT").unwrap();
    open().write(&[event("third")]).unwrap();
    assert_eq!(value::<String>(&path, "PRAGMA journal_mode"), "wal");
    assert_eq!(actions(&path), ["first", "second", "third"]);
    drop(owner);
    assert_eq!(names(&directory), ["shop.db"]);
}

#[test]
fn a_lock_that_is_given_up_in_time_is_waited_for() {
    let (_directory, path, _) = new_trail();
    let mut store =
        SqliteStore::builder().busy_timeout(Duration::from_secs(60)).open(&path).unwrap();
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

/// What is written while a reader reads stays in the log. Then it is used anew, and takes no more room than it may.
#[test]
fn the_log_grows_while_a_reader_reads_and_then_shrinks() {
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

/// The part that runs as a user who may not do everything.
#[test]
fn lose_the_directory_for_parent() {
    let Some(directory) = std::env::var_os("AUDIT_TEST_DIRECTORY").map(PathBuf::from) else {
        return;
    };
    let path = directory.join("audit.db");
    let mut store = impatient(&path);
    store.write(&[event("first")]).unwrap();

    // Nothing in it can be seen any more.
    fs::set_permissions(&directory, Permissions::from_mode(0o000)).unwrap();
    let error = store.write(&[event("second")]).unwrap_err();
    is_transient(&error, &path, "it can't be found any more; check its directory");
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
    store.write(&[event("second")]).unwrap();

    // Nothing can be added to it: the files are there.
    fs::set_permissions(&directory, Permissions::from_mode(0o500)).unwrap();
    store.write(&[event("third")]).unwrap();
    store.write(&events("more", 2)).unwrap();
    let error = SqliteStore::open(directory.join("new.db")).unwrap_err();
    assert!(
        error.to_string().ends_with("access is denied; check the permissions of its directory")
    );
    let error = impatient(&path).begin(&audit_record::store::Session::new(0)).unwrap_err();
    assert!(error.to_string().contains("no lock file can be made beside it"), "{error}");
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_directory_that_is_closed_is_waited_for() {
    use std::os::unix::fs::chown;
    use std::os::unix::process::CommandExt as _;
    let directory = tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "lose_the_directory_for_parent"]);
    command.env("AUDIT_TEST_DIRECTORY", directory.path());
    // To the superuser, no directory is closed.
    let nobody = 65_534;
    if chown(directory.path(), Some(nobody), Some(nobody)).is_ok() {
        command.uid(nobody).gid(nobody);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let path = directory.path().join("audit.db");
    assert_eq!(actions(&path), ["first", "second", "third", "more 0", "more 1"]);
}
