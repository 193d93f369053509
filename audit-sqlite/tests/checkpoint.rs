//! The store runs checkpoints itself, so that their errors are reported.
#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use audit_record::store::Batch;
use audit_record::store::Store as _;
use audit_record::{Durability, Record};
use audit_sqlite::SqliteStore;
use common::{actions, event, path_from_parent, read, value};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::tempdir;

/// A record that takes about 256 pages.
fn large(n: u32) -> Record {
    let mut record = event(&format!("large {n}"));
    record.input = common::json(&format!("\"{}\"", "x".repeat(1 << 20)));
    record
}

/// Limits the size of every file that this process writes.
fn limit_file_size(bytes: Option<u64>) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum }).unwrap();
}

/// The size of the file in bytes, or 0 if it does not exist.
fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Writes large records, starting with the `n`-th, until the store runs a checkpoint by itself.
/// Returns the number of records after that.
fn write_until_checkpoint(store: &mut SqliteStore, path: &Path, mut n: u32) -> u32 {
    let before = size(path);
    while size(path) == before {
        assert!(size(&log(path)) < 64 << 20, "the log grows without a checkpoint");
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

/// The child's part. Its file size is limited, so that a checkpoint fails.
#[test]
fn child_process_writes_while_checkpoints_fail() {
    let Some(path) = path_from_parent() else { return };
    let mut store = SqliteStore::open(&path).unwrap();
    // Two checkpoints, so that the database is longer than the log will be.
    let n = write_until_checkpoint(&mut store, &path, 0);
    let mut n = write_until_checkpoint(&mut store, &path, n);
    let truncate_log = "PRAGMA wal_checkpoint(TRUNCATE)";
    read(&path).query_row(truncate_log, [], |_| Ok(())).unwrap();

    // The database cannot grow any more. The log can, because it is shorter.
    limit_file_size(Some(size(&path)));
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
    // The checkpoint failed, not the write: the log had room for the record.
    assert_eq!(actions(&path).len() as u32, n + 1);
    limit_file_size(None);
    store.write(&last).unwrap();
    let records = [event("power")];
    let mut batch = Batch::new(&records);
    batch.durability = Durability::Power;
    store.write_batch(&batch).unwrap();
    println!("{} large records", n + 1);
}

#[test]
fn a_failed_checkpoint_is_reported_and_nothing_is_stored_twice() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    // Ignoring the signal makes writes beyond the limit fail instead of ending the process.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg("child_process_writes_while_checkpoints_fail")
        .env("AUDIT_TEST_PATH", &path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let output = String::from_utf8(output.stdout).unwrap();
    let count = output.lines().find_map(|line| line.strip_suffix(" large records")).unwrap();
    let count = count.rsplit(' ').next().unwrap().parse().unwrap();
    let mut expected: Vec<_> = (0..count).map(|n: u32| format!("large {n}")).collect();
    expected.push("power".to_owned());
    assert_eq!(actions(&path), expected);
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
}

#[test]
fn a_long_log_is_checkpointed_automatically() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    // The log file keeps its length, and is overwritten from its start.
    let mut n = write_until_checkpoint(&mut store, &path, 0);
    let long = size(&log(&path));
    for _ in 0..2 {
        n = write_until_checkpoint(&mut store, &path, n);
        assert_eq!(size(&log(&path)).div_ceil(2 << 20), long.div_ceil(2 << 20));
    }
    assert_eq!(actions(&path).len() as u32, n);
}
