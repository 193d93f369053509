//! Simulates a loss of power at any moment of a workload. Any part of the unsynced changes is lost,
//! and power may be lost again during the recovery.
//!
//! `AUDITED_CRASH_STATES` sets the total number of losses, without the second ones. The default is
//! 2,000, which makes about 4,000 states.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;
mod cut;
mod disk;
mod vfs;
mod workload;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use audit_record::Durability;
use audit_record::store::Store as _;
use audit_sqlite::{SCHEMA_VERSION, SqliteStore};
use common::{copy_golden, memory_directory, rows};
use cut::{Violation, cut_power, cut_power_at_each};
use disk::{Disk, LOSSES, Op};
use workload::{Setup, run};

/// The number of power losses per workload. Different workloads find more than more losses in one.
const LOSSES_PER_WORKLOAD: usize = 25;

/// The number of power losses for a test that simulates `default` of them by default.
fn states(default: usize) -> usize {
    let all: Option<usize> =
        std::env::var("AUDITED_CRASH_STATES").ok().map(|text| text.parse().expect("a number"));
    // The defaults of all tests here add up to about 2,000.
    all.map_or(default, |all| default * all / 2_000)
}

/// Simulates `default` power losses, or the number set by the environment, in workloads with
/// different seeds. Returns the seeds and the violated promises.
fn lose_power(setup: Setup, default: usize) -> Vec<(u64, Violation)> {
    let seeds = states(default).div_ceil(LOSSES_PER_WORKLOAD) as u64;
    let (next, checked, violations) = (AtomicU64::new(0), AtomicUsize::new(0), Mutex::default());
    let work = || {
        let scratch = memory_directory();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return;
            }
            let directory = memory_directory();
            let recorded = run(directory.path(), seed, setup);
            let (count, found) = cut_power(&recorded, seed, LOSSES_PER_WORKLOAD, scratch.path());
            checked.fetch_add(count, Ordering::Relaxed);
            let mut violations: std::sync::MutexGuard<'_, Vec<_>> = violations.lock().unwrap();
            violations.extend(found.into_iter().map(|violation| (seed, violation)));
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().min(8));
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    eprintln!("{} states after a loss of power", checked.into_inner());
    violations.into_inner().unwrap()
}

#[track_caller]
fn assert_survives(setup: Setup, default: usize) {
    let violations = lose_power(setup, default);
    let first = &violations[..violations.len().min(3)];
    assert!(violations.is_empty(), "{}: {first:#?}", violations.len());
}

#[test]
fn acknowledged_batches_survive_a_loss_of_power() {
    assert_survives(Setup::default(), 800);
}

#[test]
fn a_trail_in_a_shared_database_survives_a_loss_of_power() {
    for mode in ["DELETE", "TRUNCATE", "PERSIST", "WAL"] {
        assert_survives(Setup { shared: Some(mode), ..Setup::default() }, 100);
    }
}

/// After a failed sync, the operating system treats the pages as written, although they may be
/// lost.
///
/// The workload can only see what the store writes to the log past SQLite with glibc on Linux.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn no_batch_is_acknowledged_based_on_a_failed_sync() {
    assert_survives(Setup { fails: true, ..Setup::default() }, 400);
}

/// In this workload, the sync fails with which a closing store writes the log again. The next step
/// is a checkpoint of an external tool. It must not find a log with gaps on the disk.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn a_closing_store_leaves_no_gap_in_the_log_after_a_failed_sync() {
    let (directory, scratch) = (memory_directory(), memory_directory());
    let recorded = run(directory.path(), 71, Setup { fails: true, ..Setup::default() });
    let ops = &recorded.journal.ops;
    let failed = ops.iter().position(|op| matches!(op, Op::SyncFailed { .. })).unwrap();
    let violations = cut_power_at_each(&recorded, failed..failed + 65, scratch.path());
    assert!(violations.is_empty(), "{}: {:#?}", violations.len(), violations[0]);
}

/// Loses power at each moment of a migration, starting from the golden file of each older version.
#[test]
fn a_trail_survives_a_loss_of_power_during_its_migration() {
    let mut rng = fastrand::Rng::with_seed(1);
    for version in 1..SCHEMA_VERSION {
        let (directory, scratch) = (memory_directory(), memory_directory());
        let golden = copy_golden(&directory, version);
        std::fs::rename(golden, directory.path().join("audit.db")).unwrap();
        let journal = vfs::record(directory.path(), || drop(migrate_and_read(directory.path())));
        let expected = migrate_and_read(directory.path());
        let (mut disk, mut checked) = (Disk::new(&journal.before), 0);
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
                let found = migrate_and_read(scratch.path());
                assert_eq!(found, expected, "version {version}, after {cut} changes, {loss:?}");
                checked += 1;
                for entry in std::fs::read_dir(scratch.path()).unwrap() {
                    std::fs::remove_file(entry.unwrap().path()).unwrap();
                }
            }
        }
        eprintln!("{checked} states of version {version} after a loss of power");
    }
}

/// Opens and so migrates the trail in `directory`. Returns its content.
fn migrate_and_read(directory: &Path) -> Vec<Vec<Vec<rusqlite::types::Value>>> {
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

/// Checks the simulation itself with a store that acknowledges `power`, but does less.
#[test]
fn the_simulation_detects_a_store_that_acknowledges_too_early() {
    let claimed = Some(Durability::Power);
    let violations = lose_power(Setup { claimed, ..Setup::default() }, 200);
    assert!(violations.len() > 20, "only {violations:#?}");
    let (_, first) = &violations[0];
    assert!(format!("{first:?}").contains("batches were acknowledged"), "{first:?}");
}
