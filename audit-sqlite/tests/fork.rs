//! A store and a reader that a forked child inherits.
#![cfg(target_os = "linux")]

mod common;

use audit_record::store::RecorderSession;
use audit_record::store::Store as _;
use audit_sqlite::SqliteStore;
use common::{actions, child_test, event, path_from_parent, query, value};
use tempfile::tempdir;

/// The child's part. It forks in turn, while it has a store open.
#[test]
fn child_process_forks_with_an_open_store() {
    let Some(path) = path_from_parent() else { return };
    let mut store = SqliteStore::open(&path).unwrap();
    store.begin(&RecorderSession::new(0)).unwrap();
    let mut closed = SqliteStore::open(path.with_file_name("closed.db")).unwrap();
    closed.close().unwrap();
    let mut reader = store.reader().unwrap().unwrap();
    reader.changes(&query("account", "17")).unwrap();
    store.write(&[event("before")]).unwrap();
    let parent = std::process::id();

    // SAFETY: the forked process allocates, which glibc allows, and ends without destructors.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let refusal = |action: &str| {
            format!(
                "cannot {action} the audit trail `{}` in a forked child: the parent process \
                 {parent} opened it; open a trail here that the parent did not have open",
                path.display()
            )
        };
        let mut as_expected =
            store.write(&[event("child")]).unwrap_err().to_string() == refusal("write to");
        let read = reader.changes(&query("account", "17")).unwrap_err();
        as_expected &= read.to_string() == refusal("read");
        as_expected &= store.close().unwrap_err().to_string() == refusal("close");
        drop((store, reader));
        // SQLite would mistake the parent's locks for the child's.
        let again = SqliteStore::open(&path).unwrap_err();
        let expected = format!(
            "cannot open the audit trail `{}` in a forked child: its parent had it open at the \
             fork, and SQLite can't separate the locks of the two processes; fork before you \
             open the trail, or close it before the fork",
            path.display()
        );
        as_expected &= again.to_string() == expected;
        // A trail that was closed before the fork, or was never open, can be opened.
        for name in ["closed.db", "own.db"] {
            let mut own = SqliteStore::open(path.with_file_name(name)).unwrap();
            own.begin(&RecorderSession::new(0)).unwrap();
            own.write(&[event("from the child")]).unwrap();
            own.close().unwrap();
        }
        // SAFETY: a system call with a number. It ends the process.
        unsafe { libc::_exit(if as_expected { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: `status` is a valid pointer.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    store.write(&[event("after")]).unwrap();
    reader.changes(&query("account", "17")).unwrap();
    store.close().unwrap();
}

#[test]
fn a_forked_child_cannot_use_or_disturb_the_parents_store() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let output = child_test("child_process_forks_with_an_open_store")
        .env("AUDIT_TEST_PATH", &path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(actions(&path), ["before", "after"]);
    for name in ["closed.db", "own.db"] {
        assert_eq!(actions(&directory.path().join(name)), ["from the child"]);
    }
    let closed = "SELECT count(*) FROM audit_sessions WHERE state = 'closed'";
    assert_eq!(value::<i64>(&path, closed), 1);
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
}
