//! Makes each system call of a workload fail once, by each error, alone and with all that follow.
//!
//! `AUDITED_SYSCALL_CASES` says how many cases at most; 2,000 unless set.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

#[path = "common/calls.rs"]
mod calls;
mod common;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use audit_record::store::Sink as _;
use audit_record::store::{Batch, Session};
use audit_record::{Durability, Error, Kind, Outcome, Record};
use audit_sqlite::SqliteStore;
use calls::{Fault, Seen, forgive, seen, watched};
use common::{actions, at, event, events, full, value};
use tempfile::TempDir;

const ERRORS: [i32; 4] = [libc::EIO, libc::ENOSPC, libc::EACCES, libc::EINTR];

/// A workload that is not given up: what failed is done again, and must succeed then.
struct Workload<'w> {
    path: &'w Path,
    store: Option<SqliteStore>,
    expected: Vec<String>,
    /// What was said about each failure.
    errors: Vec<String>,
    /// Whether it fills so many pages that a checkpoint is due.
    is_long: bool,
}

impl Workload<'_> {
    /// Does `step` until it succeeds; the fault is over after the first time.
    fn insist<T>(&mut self, mut step: impl FnMut(&mut Self) -> Result<T, Error>) -> T {
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
        result.unwrap_or_else(|error| panic!("the fault is over, and yet: {error:?}"))
    }

    fn open(&mut self) {
        let store = self.insist(|workload| {
            SqliteStore::builder().busy_timeout(Duration::from_millis(5)).open(workload.path)
        });
        forgive();
        self.store = Some(store);
        // The same one again: what has failed half-way must not be in its way.
        let session = Session::new(8);
        self.insist(|workload| workload.store.as_mut().unwrap().begin(&session));
    }

    fn write(&mut self, durability: Durability, records: &[Record], intents: &[Record]) {
        let mut batch = Batch::new(records);
        batch.durability = durability;
        batch.intents = intents;
        self.insist(|workload| {
            let result = workload.store.as_mut().unwrap().write_batch(&batch);
            match &result {
                // No error here stays when the fault is over.
                Err(error) => {
                    assert!(error.is_transient() && error.source().is_some(), "{error:?}")
                }
                Ok(()) => {
                    let unsynced = seen().unsynced;
                    let trusted = unsynced.as_ref().is_none_or(|(_, reopened)| *reopened);
                    assert!(trusted, "acknowledged after a failed sync of {unsynced:?}");
                    forgive();
                }
            }
            result
        });
        self.expected.extend(records.iter().map(|record| record.action.to_string()));
    }

    fn close(&mut self) {
        let mut store = self.store.take().unwrap();
        // It may say that it could not; what was stored is stored.
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

/// Runs the workload with `fault`, and checks what it leaves; returns what was seen and what was said.
fn run(is_long: bool, fault: Option<Fault>) -> (Seen, Vec<String>) {
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
    let path = directory.path().join("audit.db");
    let (expected, errors) = (Vec::new(), Vec::new());
    let mut workload = Workload { path: &path, store: None, expected, errors, is_long };
    Fault::set(fault);
    workload.run();
    let seen = seen();
    Fault::set(None);
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
    let mut stored = actions(&path);
    // The intent that nothing has closed is closed by the second opening. Which also tells what may be missing, where the
    // session could not be closed.
    stored.retain(|action| action != "two" && action != "records missing");
    assert_eq!(stored, workload.expected);
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_changes"), 3);
    (seen, workload.errors)
}

/// Runs the workload again and again, each time with another fault, at most `most` times.
fn fail_each(is_long: bool, most: usize) {
    let (healthy, errors) = run(is_long, None);
    assert_eq!(errors, [""; 0]);
    assert!(healthy.calls > 200, "only {} calls", healthy.calls);
    let mut cases: Vec<Fault> = Vec::new();
    for lasts in [false, true] {
        for errno in ERRORS {
            // Calls that are interrupted are made again: for ever, if it lasts.
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
                    let (cases, told) =
                        tally.entry(seen.failed.unwrap_or("none")).or_insert((0, 0));
                    *cases += 1;
                    *told += usize::from(!errors.is_empty());
                }
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                    let failed = calls::disarmed().failed;
                    wrong.lock().unwrap().push((*fault, format!("{failed:?}: {text}")));
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().min(8));
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    // Some calls have a way around when they fail, and are told of by no error.
    let (calls, cases) = (healthy.calls, cases.len());
    eprintln!("{calls} calls, {cases} cases; of each call the failures, and those told: {tally:?}");
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {cases}: {wrong:#?}", wrong.len());
}

/// How many cases to try, where a test tries `usually` so many.
fn most(usually: usize) -> usize {
    std::env::var("AUDITED_SYSCALL_CASES").map_or(usually, |text| text.parse().expect("a number"))
}

#[test]
fn no_failing_call_costs_a_record() {
    fail_each(false, most(2_000));
}

/// Most of its calls are alike, so fewer of them are tried.
#[test]
fn no_failing_call_costs_a_record_where_a_checkpoint_is_due() {
    fail_each(true, most(2_000).div_ceil(40));
}
