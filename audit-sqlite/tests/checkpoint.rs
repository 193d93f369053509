//! The log is moved into the database by the store itself, so that an error of that does not pass unseen.
#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use audit_record::store::Batch;
use audit_record::store::Sink as _;
use audit_record::{Durability, Record};
use audit_sqlite::SqliteStore;
use common::{actions, event, read, value};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::tempdir;

/// A record that takes some 256 pages.
fn large(n: u32) -> Record {
    let mut record = event(&format!("large {n}"));
    record.input = common::json(&format!("\"{}\"", "x".repeat(1 << 20)));
    record
}

/// How large a file may become.
fn limit(bytes: Option<u64>) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum }).unwrap();
}

/// 0 where there is no file yet.
fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |about| about.len())
}

/// Writes large records from the `n`-th on until the store moves the log into the database by itself; how many there are
/// then.
fn write_until_checkpoint(store: &mut SqliteStore, path: &Path, mut n: u32) -> u32 {
    let before = size(path);
    while size(path) == before {
        assert!(size(&log(path)) < 64 << 20, "the log grows and grows");
        store.write(&[large(n)]).unwrap();
        n += 1;
    }
    n
}

fn log(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// The part that runs in a process of its own, for which the disk fails.
#[test]
fn fail_for_parent() {
    let Some(path) = std::env::var_os("AUDIT_TEST_PATH").map(PathBuf::from) else { return };
    let mut store = SqliteStore::open(&path).unwrap();
    // Twice, so that the database is longer than the log gets.
    let n = write_until_checkpoint(&mut store, &path, 0);
    let mut n = write_until_checkpoint(&mut store, &path, n);
    let emptied = "PRAGMA wal_checkpoint(TRUNCATE)";
    read(&path).query_row(emptied, [], |_| Ok(())).unwrap();

    // The database can't grow any more, the log still can: it is shorter.
    limit(Some(size(&path)));
    let (last, failed) = loop {
        let record = [large(n)];
        match store.write(&record) {
            Ok(()) => n += 1,
            Err(error) => break (record, error),
        }
    };
    for error in [failed, store.write(&last).unwrap_err()] {
        assert!(error.is_transient());
        assert!(
            error
                .to_string()
                .ends_with("reading or writing failed; check the disk and the system log")
        );
    }
    // It was the checkpoint: the log had room for the record.
    assert_eq!(actions(&path).len() as u32, n + 1);
    limit(None);
    store.write(&last).unwrap();
    let records = [event("powerful")];
    let mut batch = Batch::new(&records);
    batch.durability = Durability::Power;
    store.write_batch(&batch).unwrap();
    println!("{} large ones", n + 1);
}

#[test]
fn an_error_of_a_checkpoint_is_seen_and_nothing_is_stored_twice() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    // What is beyond the limit is to fail, not to end the process.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" --exact fail_for_parent --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env("AUDIT_TEST_PATH", &path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let output = String::from_utf8(output.stdout).unwrap();
    let count = output.lines().find_map(|line| line.strip_suffix(" large ones")).unwrap();
    let count = count.rsplit(' ').next().unwrap().parse().unwrap();
    let mut expected: Vec<_> = (0..count).map(|n: u32| format!("large {n}")).collect();
    expected.push("powerful".to_owned());
    assert_eq!(actions(&path), expected);
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
}

#[test]
fn a_long_log_is_moved_into_the_database_without_being_asked() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    // The log stays as long as it is, and is written to from its beginning again.
    let mut n = write_until_checkpoint(&mut store, &path, 0);
    let long = size(&log(&path));
    for _ in 0..2 {
        n = write_until_checkpoint(&mut store, &path, n);
        assert_eq!(size(&log(&path)).div_ceil(2 << 20), long.div_ceil(2 << 20));
    }
    assert_eq!(actions(&path).len() as u32, n);
}
