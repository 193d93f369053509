//! Loses power: at any moment of a workload, with any part of what was not synced, again while it is recovered.
//!
//! `AUDITED_CRASH_STATES` says how often in all, second losses not counted; 2,000 unless set, which makes some 4,000
//! states.
#![cfg(unix)]

mod common;

#[path = "common/crash.rs"]
mod crash;
#[path = "common/journal.rs"]
mod journal;
#[path = "common/vfs.rs"]
mod vfs;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use audit_record::Durability;
use audit_record::store::Sink as _;
use audit_sqlite::{SCHEMA_VERSION, SqliteStore};
use common::rows;
use crash::{Setup, Wrong, cut_power, run};
use journal::{Disk, LOSSES};
use tempfile::TempDir;

/// How often power is lost in one workload. More would find more of it, other workloads find more still.
const EACH: usize = 25;

/// How often power is lost, where a test does so `usually` times.
fn states(usually: usize) -> usize {
    let all: Option<usize> =
        std::env::var("AUDITED_CRASH_STATES").ok().map(|text| text.parse().expect("a number"));
    // This many are the usual ones of the whole file.
    all.map_or(usually, |all| usually * all / 2_000)
}

/// A directory in memory where there is one: nothing here depends on a disk.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

/// Loses power `usually` times, or as often as was asked for, in workloads by different seeds; returns what was wrong.
fn lose_power(setup: Setup, usually: usize) -> Vec<(u64, Wrong)> {
    let seeds = states(usually).div_ceil(EACH) as u64;
    let (next, looked_at, wrong) = (AtomicU64::new(0), AtomicUsize::new(0), Mutex::default());
    let work = || {
        let scratch = directory();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return;
            }
            let ran = directory();
            let recorded = run(ran.path(), seed, setup);
            let (count, found) = cut_power(&recorded, seed, EACH, scratch.path());
            looked_at.fetch_add(count, Ordering::Relaxed);
            let mut wrong: std::sync::MutexGuard<'_, Vec<_>> = wrong.lock().unwrap();
            wrong.extend(found.into_iter().map(|wrong| (seed, wrong)));
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().min(8));
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    eprintln!("{} states after a loss of power", looked_at.into_inner());
    wrong.into_inner().unwrap()
}

#[track_caller]
fn is_survived(setup: Setup, usually: usize) {
    let wrong = lose_power(setup, usually);
    assert!(wrong.is_empty(), "{}: {:#?}", wrong.len(), &wrong[..wrong.len().min(3)]);
}

#[test]
fn what_was_promised_survives_a_loss_of_power() {
    is_survived(Setup::default(), 800);
}

#[test]
fn a_trail_in_the_database_of_another_program_survives_it_too() {
    for mode in ["DELETE", "TRUNCATE", "PERSIST", "WAL"] {
        is_survived(Setup { shared: Some(mode), ..Setup::default() }, 100);
    }
}

/// After a sync that failed, the system takes what it should have written for written: nobody may rely on it.
///
/// Only here can be seen what the store writes to the log past SQLite.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn nothing_is_promised_behind_a_sync_that_failed() {
    is_survived(Setup { fails: true, ..Setup::default() }, 400);
}

/// Loses power at each moment of the step from an older schema, one of each release having been kept.
#[test]
fn an_older_trail_survives_a_loss_of_power_while_it_is_brought_up_to_date() {
    let mut rng = fastrand::Rng::with_seed(1);
    for version in 1..SCHEMA_VERSION {
        let (ran, scratch) = (directory(), directory());
        let golden = format!("tests/golden/v{version}.db");
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(golden);
        std::fs::copy(golden, ran.path().join("audit.db")).unwrap();
        let journal = vfs::record(ran.path(), || drop(open_and_read(ran.path())));
        let expected = open_and_read(ran.path());
        let (mut disk, mut looked_at) = (Disk::new(&journal.before), 0);
        let every = (journal.ops.len() * LOSSES.len()).div_ceil(states(100));
        for (cut, op) in journal.ops.iter().enumerate() {
            disk.apply(op);
            for (n, loss) in LOSSES.into_iter().enumerate() {
                if !(cut * LOSSES.len() + n).is_multiple_of(every) {
                    continue;
                }
                for (name, bytes) in disk.after_loss(loss, &mut rng) {
                    std::fs::write(scratch.path().join(name), bytes).unwrap();
                }
                let found = open_and_read(scratch.path());
                assert_eq!(found, expected, "version {version}, after {cut} changes, {loss:?}");
                looked_at += 1;
                for entry in std::fs::read_dir(scratch.path()).unwrap() {
                    std::fs::remove_file(entry.unwrap().path()).unwrap();
                }
            }
        }
        eprintln!("{looked_at} states of version {version} after a loss of power");
    }
}

/// Brings the trail in `directory` up to date; what then stands in it.
fn open_and_read(directory: &Path) -> Vec<Vec<Vec<rusqlite::types::Value>>> {
    let path = directory.join("audit.db");
    SqliteStore::open(&path).unwrap().close().unwrap();
    [
        "SELECT * FROM audit_log ORDER BY seq",
        "SELECT * FROM audit_changes",
        "PRAGMA integrity_check",
    ]
    .map(|sql| rows(&path, sql).1)
    .to_vec()
}

/// The test of the test: a store that says `power` and does less is found out.
#[test]
fn a_store_that_lies_is_found_out() {
    let claimed = Some(Durability::Power);
    let wrong = lose_power(Setup { claimed, ..Setup::default() }, 200);
    assert!(wrong.len() > 20, "only {wrong:#?}");
    let (_, first) = &wrong[0];
    assert!(format!("{first:?}").contains("batches were acknowledged"), "{first:?}");
}
