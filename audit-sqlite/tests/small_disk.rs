//! Fills a real small disk, frees space on it, and fills it again.
//!
//! The disk is an ext4 image on a loop device if the test may mount one, otherwise a file system in
//! memory. The image has blocks of 4 KiB, because SQLite reserves one byte in each 4 KiB of the file
//! `-shm`. In smaller blocks, the rest would not be reserved, and a commit on a full disk would end
//! the process by SIGBUS. Both are mounted in their own mount namespace, so that nothing remains mounted. If
//! neither is allowed, the test prints that, and limits the file size instead.
//!
//! `AUDITED_DISK_CYCLES` sets the number of cycles. The default is 20.
#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use audit_record::store::Batch;
use audit_record::store::Store as _;
use audit_record::{Durability, Record};
use audit_sqlite::SqliteStore;
use audited::{Audit, Context, Overflow, audit_method};
use common::{actions, events, value};
use tempfile::tempdir;

fn cycles() -> usize {
    std::env::var("AUDITED_DISK_CYCLES").map_or(20, |text| text.parse().expect("a number"))
}

/// Runs the test `test` of this file in a process with a small disk. Returns `false` if no disk can
/// be mounted.
fn run_on_a_small_disk(test: &str) -> bool {
    let scratch = tempdir().unwrap();
    // Tries as root, and then as a user who is root only in the namespace and cannot mount images.
    for arguments in [&["--mount"][..], &["--mount", "--map-root-user"]] {
        let mut command = Command::new("unshare");
        command.args(arguments).args(["sh", "-c", MOUNT]).arg(std::env::current_exe().unwrap());
        command.arg(test).env("AUDIT_TEST_DISK", scratch.path());
        let Ok(output) = command.output() else { return false };
        if output.status.code() == Some(EXIT_NO_DISK) {
            continue;
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stdout));
        eprint!("{text}");
        return true;
    }
    eprintln!("NOT TESTED: no disk can be mounted here; only the file size is limited");
    false
}

/// The exit code of the script if it cannot mount a disk.
const EXIT_NO_DISK: i32 = 77;

const MOUNT: &str = r#"
    cd "$AUDIT_TEST_DISK" && mkdir -p disk || exit 77
    if truncate -s 4M image && mkfs.ext4 -q -m 0 -b 4096 image 2>>log && mount -o loop image disk 2>>log; then
        echo "the disk: 4 MiB of ext4 on a loop device" >&2
    elif mount -t tmpfs -o size=4m none disk 2>>log; then
        echo "the disk: 4 MiB of memory" >&2
    else
        exit 77
    fi
    "$0" --exact "$1" --nocapture
    result=$?
    umount disk
    exit $result
"#;

/// The directory of the disk that the parent mounted.
fn disk() -> Option<PathBuf> {
    std::env::var_os("AUDIT_TEST_DISK").map(|scratch| Path::new(&scratch).join("disk"))
}

/// Creates a file that fills the disk except for `left` bytes.
fn fill_all_but(disk: &Path, left: u64) -> PathBuf {
    let path = disk.join("ballast");
    let mut file = File::create(&path).unwrap();
    let mut size = 0;
    while let Ok(written) = file.write(&[0x5a; 4096]) {
        size += written as u64;
    }
    file.set_len(size.saturating_sub(left)).unwrap();
    file.sync_all().unwrap();
    path
}

fn batch(number: usize) -> Vec<Record> {
    let mut records = events(&format!("batch {number}"), 5);
    records.iter_mut().for_each(|record| record.reason = Some("why ".repeat(300)));
    records
}

fn write(store: &mut SqliteStore, number: usize) -> Result<(), audit_record::Error> {
    let records = batch(number);
    let mut batch = Batch::new(&records);
    batch.durability = [Durability::Queued, Durability::Process, Durability::Power][number % 3];
    store.write_batch(&batch)
}

#[track_caller]
fn assert_disk_full(error: &audit_record::Error) {
    let hint = "the disk is full, or a quota is used up; make room and try again";
    assert!(error.is_transient() && error.to_string().contains(hint), "{error:?}");
}

/// Writes batches until the disk is full. Returns the number of the batch that failed.
fn fill(store: &mut SqliteStore, mut number: usize) -> usize {
    loop {
        if let Err(error) = write(store, number) {
            assert_disk_full(&error);
            return number;
        }
        number += 1;
        assert!(number < 100_000, "the disk never gets full");
    }
}

#[track_caller]
fn assert_holds(path: &Path, batches: usize) {
    let expected: Vec<String> = (0..batches)
        .flat_map(|number| (0..5).map(move |n| format!("batch {number} {n}")))
        .collect();
    assert_eq!(actions(path), expected);
    assert_eq!(value::<String>(path, "PRAGMA integrity_check"), "ok");
}

/// The child's part.
#[test]
fn child_process_fills_the_disk_repeatedly() {
    let Some(disk) = disk() else { return };
    let path = disk.join("audit.db");
    let mut done = 0;
    while done < cycles() {
        // A trail only grows, so after some cycles a new one is started.
        let mut store = SqliteStore::open(&path).unwrap();
        let mut number = 0;
        for round in 0..8_u64.min((cycles() - done) as u64) {
            let ballast = fill_all_but(&disk, 40_000 + 9_000 * round);
            number = fill(&mut store, number);
            // A retry fails in the same way.
            assert_disk_full(&write(&mut store, number).unwrap_err());
            assert_holds(&path, number);
            fs::remove_file(ballast).unwrap();
            write(&mut store, number).unwrap();
            number += 1;
            assert_holds(&path, number);
            done += 1;
        }
        store.close().unwrap();
        assert_holds(&path, number);
        fs::remove_file(&path).unwrap();
    }
    eprintln!("the disk was filled and freed {done} times");
}

#[test]
fn batches_acknowledged_before_the_disk_was_full_are_stored() {
    if run_on_a_small_disk("child_process_fills_the_disk_repeatedly") {
        return;
    }
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let mut number = 0;
    for cycle in 1..=10 {
        let pages: u32 = value(&path, "PRAGMA page_count");
        store.limit_pages(pages + 10 * cycle).unwrap();
        number = fill(&mut store, number);
        assert_holds(&path, number);
    }
}

#[audit_method(action = "fill the disk")]
fn audited_call(_number: usize, _text: &str) {}

/// The child's part.
#[test]
fn child_process_records_on_a_full_disk() {
    let Some(disk) = disk() else { return };
    let path = disk.join("audit.db");
    let store = SqliteStore::open(&path).unwrap();
    let audit = Audit::builder()
        .store(store)
        .queue_records(50)
        .overflow(Overflow::Drop)
        .close_timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    let text = "x".repeat(1_000);
    let mut offered = 0;
    for round in 0..4 {
        let ballast = fill_all_but(&disk, 60_000 + 9_000 * round);
        let before = audit.counters().dropped;
        // Continues until the queue is full too.
        while audit.counters().dropped < before + 100 {
            Context::new().recorder(&audit).scope(|| audited_call(offered as usize, &text));
            offered += 1;
        }
        fs::remove_file(ballast).unwrap();
        audit.flush().unwrap();
    }
    let counters = audit.counters();
    audit.shutdown().unwrap();
    assert_eq!(counters.accepted + counters.dropped, offered);
    assert_eq!((counters.written, counters.failed), (counters.accepted, 0));
    let number = |sql: &str| value::<i64>(&path, sql) as u64;
    assert_eq!(number("SELECT count(*) FROM audit_log WHERE kind = 'call'"), counters.written);
    let reported = "SELECT sum(output ->> 'records') FROM audit_log WHERE kind = 'gap'";
    assert_eq!(number(reported), counters.dropped);
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
    eprintln!(
        "{offered} calls, {} stored, {} reported as dropped",
        counters.written, counters.dropped
    );
}

#[test]
fn a_recorder_on_a_full_disk_counts_and_reports_dropped_records() {
    run_on_a_small_disk("child_process_records_on_a_full_disk");
}
