//! Makes each system call of a workload fail with each error, either once or from then on.
//!
//! `AUDITED_SYSCALL_CASES` sets the maximum number of cases. The default is 2,000.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

#[path = "../common/mod.rs"]
mod common;
mod interpose;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use audit_record::store::Store as _;
use audit_record::store::{Batch, RecorderSession};
use audit_record::{Durability, Error, Kind, Outcome, Record};
use audit_sqlite::SqliteStore;
use common::{actions, at, event, events, full, memory_directory, value};
use interpose::{Fault, Seen, forget_failed_sync, seen, watched};

const ERRORS: [i32; 4] = [libc::EIO, libc::ENOSPC, libc::EACCES, libc::EINTR];

/// A workload that retries each step that failed. The retry must succeed.
struct Workload<'w> {
    path: &'w Path,
    store: Option<SqliteStore>,
    expected: Vec<String>,
    /// The text of each failure.
    errors: Vec<String>,
    /// Whether it writes enough pages for a checkpoint.
    is_long: bool,
}

impl Workload<'_> {
    /// Repeats `step` until it succeeds. The fault ends after the first attempt.
    fn retry<T>(&mut self, mut step: impl FnMut(&mut Self) -> Result<T, Error>) -> T {
        let mut result = watched(|| step(self));
        for _ in 0..2 {
            let Err(error) = &result else { break };
            let text = error.to_string();
            assert!(
                text.starts_with("cannot ") && text.contains(&*self.path.to_string_lossy()),
                "{text}"
            );
            assert!(!text.contains("damaged;") && !text.contains("not a SQLite"), "{error:?}");
            self.errors.push(format!("{error:?}"));
            Fault::end();
            result = watched(|| step(self));
        }
        Fault::end();
        result.unwrap_or_else(|error| panic!("the fault has ended, but still: {error:?}"))
    }

    fn open(&mut self) {
        let store = self.retry(|workload| {
            SqliteStore::builder().busy_timeout(Duration::from_millis(5)).open(workload.path)
        });
        forget_failed_sync();
        self.store = Some(store);
        // Retries use the same session: remains of a failed attempt must not block it.
        let session = RecorderSession::new(8);
        self.retry(|workload| workload.store.as_mut().unwrap().begin(&session));
    }

    fn write(&mut self, durability: Durability, records: &[Record], intents: &[Record]) {
        let mut batch = Batch::new(records);
        batch.durability = durability;
        batch.intents = intents;
        self.retry(|workload| {
            let result = workload.store.as_mut().unwrap().write_batch(&batch);
            match &result {
                // Every error here ends with its fault.
                Err(error) => {
                    assert!(error.is_transient() && error.source().is_some(), "{error:?}")
                }
                Ok(()) => {
                    let unsynced = seen().unsynced;
                    let trusted = unsynced.as_ref().is_none_or(|(_, reopened)| *reopened);
                    assert!(trusted, "acknowledged after a failed sync of {unsynced:?}");
                    forget_failed_sync();
                }
            }
            result
        });
        self.expected.extend(records.iter().map(|record| record.action.to_string()));
    }

    fn close(&mut self) {
        let mut store = self.store.take().unwrap();
        // The close may fail, but all stored records remain stored.
        if let Err(error) = watched(|| store.close()) {
            self.errors.push(format!("{error:?}"));
        }
        watched(|| drop(store));
        Fault::end();
    }

    fn run(&mut self) {
        self.open();
        let mut first = events("first", 3);
        first[1].changes = full().changes;
        let intents = [intent("one"), intent("two")];
        self.write(Durability::Queued, &first, &intents);
        self.write(Durability::Power, &[event("power"), ended(&intents[0])], &[]);
        self.write(Durability::Process, &[event("process")], &[]);
        if self.is_long {
            let mut large = event("large");
            large.reason = Some("x".repeat(4_300_000));
            self.write(Durability::Process, &[large], &[]);
        }
        self.write(Durability::Power, &events("after the checkpoint", 2), &[]);
        self.close();
        self.open();
        self.write(Durability::Power, &[event("last")], &[]);
        self.close();
    }
}

fn intent(action: &str) -> Record {
    let mut record = Record::new(Kind::Call, action.to_owned(), at());
    record.outcome = Outcome::Unknown;
    record
}

fn ended(intent: &Record) -> Record {
    let mut record = intent.clone();
    record.outcome = Outcome::Success;
    record
}

/// Runs the workload with `fault`, and checks the trail. Returns the watched calls and the errors.
fn run(is_long: bool, fault: Option<Fault>) -> (Seen, Vec<String>) {
    let directory = memory_directory();
    let path = directory.path().join("audit.db");
    let (expected, errors) = (Vec::new(), Vec::new());
    let mut workload = Workload { path: &path, store: None, expected, errors, is_long };
    Fault::set(fault);
    workload.run();
    let seen = seen();
    Fault::set(None);
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
    let mut stored = actions(&path);
    // The second start closes the open intent. If the session could not be closed, it also adds a
    // gap record.
    stored.retain(|action| action != "two" && action != "records missing");
    assert_eq!(stored, workload.expected);
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_changes"), 3);
    (seen, workload.errors)
}

/// Runs the workload with one fault after the other, at most `most` times.
fn fail_each_call(is_long: bool, most: usize) {
    let (healthy, errors) = run(is_long, None);
    assert_eq!(errors, [""; 0]);
    assert!(healthy.calls > 200, "only {} calls", healthy.calls);
    let mut cases: Vec<Fault> = Vec::new();
    for lasts in [false, true] {
        for errno in ERRORS {
            // Interrupted calls are repeated. With a lasting EINTR, that would never end.
            if !(lasts && errno == libc::EINTR) {
                cases.extend((0..healthy.calls).map(|at| Fault { at, errno, lasts }));
            }
        }
    }
    let step = cases.len().div_ceil(most);
    let cases: Vec<Fault> = cases.into_iter().step_by(step).collect();
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let wrong: Mutex<Vec<(Fault, String)>> = Mutex::default();
    let work = || {
        while let Some(fault) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            match std::panic::catch_unwind(|| run(is_long, Some(*fault))) {
                Ok((seen, errors)) => {
                    let mut tally = tally.lock().unwrap();
                    let (cases, reported) =
                        tally.entry(seen.failed.unwrap_or("none")).or_insert((0, 0));
                    *cases += 1;
                    *reported += usize::from(!errors.is_empty());
                }
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                    let failed = interpose::disarm().failed;
                    wrong.lock().unwrap().push((*fault, format!("{failed:?}: {text}")));
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().min(8));
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    // Some failures have a fallback, and so cause no error.
    let (calls, cases) = (healthy.calls, cases.len());
    eprintln!("{calls} calls, {cases} cases; for each call (failures, reported errors): {tally:?}");
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {cases}: {wrong:#?}", wrong.len());
}

/// The maximum number of cases, with `default` if none is set.
fn max_cases(default: usize) -> usize {
    std::env::var("AUDITED_SYSCALL_CASES").map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn no_failing_system_call_loses_a_record() {
    fail_each_call(false, max_cases(2_000));
}

/// Most calls of this workload are alike, so fewer of them are tried.
#[test]
fn no_failing_system_call_during_a_checkpoint_loses_a_record() {
    fail_each_call(true, max_cases(2_000).div_ceil(40));
}
