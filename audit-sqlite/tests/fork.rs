//! A store, or a reader, that a forked child has inherited.
#![cfg(target_os = "linux")]

mod common;

use std::path::PathBuf;
use std::process::Command;

use audit_record::store::Session;
use audit_record::store::Sink as _;
use audit_sqlite::SqliteStore;
use common::{actions, event, query, value};
use tempfile::tempdir;

/// The part that runs in a process of its own: it forks.
#[test]
fn fork_for_parent() {
    let Some(path) = std::env::var_os("AUDIT_TEST_PATH").map(PathBuf::from) else { return };
    let mut store = SqliteStore::open(&path).unwrap();
    store.begin(&Session::new(0)).unwrap();
    let mut closed = SqliteStore::open(path.with_file_name("closed.db")).unwrap();
    closed.close().unwrap();
    let mut reader = store.reader().unwrap().unwrap();
    reader.changes(&query("account", "17")).unwrap();
    store.write(&[event("before")]).unwrap();
    let parent = std::process::id();

    // SAFETY: the child allocates, which glibc allows after a fork, and ends without destructors.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let refused = |doing: &str| {
            format!(
                "cannot {doing} the audit trail `{}` in a forked child: it was opened by the parent, process {parent}; \
                 open one here that the parent had not open",
                path.display()
            )
        };
        let mut good =
            store.write(&[event("child")]).unwrap_err().to_string() == refused("write to");
        let read = reader.changes(&query("account", "17")).unwrap_err();
        good &= read.to_string() == refused("read");
        good &= store.close().unwrap_err().to_string() == refused("close");
        drop((store, reader));
        // SQLite would take the parent's locks for the child's.
        let again = SqliteStore::open(&path).unwrap_err();
        let expected = format!(
            "cannot open the audit trail `{}` in a forked child: its parent had it open at the fork, and SQLite takes \
             the locks of the two for one; fork before it is opened, or close it before the fork",
            path.display()
        );
        good &= again.to_string() == expected;
        // What was closed before the fork, or was never open, may be opened.
        for name in ["closed.db", "own.db"] {
            let mut own = SqliteStore::open(path.with_file_name(name)).unwrap();
            own.begin(&Session::new(0)).unwrap();
            own.write(&[event("of the child")]).unwrap();
            own.close().unwrap();
        }
        // SAFETY: ends the process.
        unsafe { libc::_exit(if good { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: waits for the child.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    store.write(&[event("after")]).unwrap();
    reader.changes(&query("account", "17")).unwrap();
    store.close().unwrap();
}

#[test]
fn a_child_refuses_and_leaves_the_parents_store_alone() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fork_for_parent"])
        .env("AUDIT_TEST_PATH", &path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(actions(&path), ["before", "after"]);
    for name in ["closed.db", "own.db"] {
        assert_eq!(actions(&directory.path().join(name)), ["of the child"]);
    }
    let closed = "SELECT count(*) FROM audit_sessions WHERE state = 'closed'";
    assert_eq!(value::<i64>(&path, closed), 1);
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
}
