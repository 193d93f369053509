//! The health that a recorder reports, and that no caller waits for a writer thread that has ended.

use std::fmt;
use std::sync::mpsc;
use std::time::Duration;

use audited::record::Kind;
use audited::store::{Status, Store};
use audited::{Audit, AuditBuilder, Context, Durability, Error, Overflow, Record, audit_method};
use support::MemoryStore;

mod support;

#[audit_method(action = "work")]
fn work(number: u64) -> u64 {
    number
}

/// A store that announces each attempt, and takes its result from the test.
struct ScriptedStore {
    results: mpsc::Receiver<Result<(), Error>>,
    attempt: mpsc::Sender<()>,
    kept: MemoryStore,
}

fn scripted_store()
-> (ScriptedStore, mpsc::Sender<Result<(), Error>>, mpsc::Receiver<()>, MemoryStore) {
    let ((result, results), (attempt, attempts)) = (mpsc::channel(), mpsc::channel());
    let kept = MemoryStore::default();
    (ScriptedStore { results, attempt, kept: kept.clone() }, result, attempts, kept)
}

impl Store for ScriptedStore {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        let _ = self.attempt.send(());
        self.results.recv().unwrap_or(Ok(()))?;
        self.kept.write(records)
    }
}

fn builder(store: impl Store) -> AuditBuilder {
    Audit::builder().store(store).queue_records(2).overflow(Overflow::Drop)
}

#[test]
fn status_goes_from_working_to_trying_to_losing_and_back_to_working() {
    let (store, result, attempts, kept) = scripted_store();
    let audit = builder(store).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    let health = audit.health();
    let built = health.since;
    assert_eq!((health.status, health.waiting, health.waiting_bytes), (Status::Working, 0, 0));
    assert!(health.latest_error.is_none() && health.latest_stored_at.is_none());

    context.scope(|| work(1));
    attempts.recv().expect("the writer thread has it");
    result.send(Err(Error::transient("locked"))).expect("the store waits");
    attempts.recv().expect("the writer thread retries");
    let health = audit.health();
    assert_eq!((health.status, health.waiting), (Status::Trying, 1));
    assert_eq!(health.latest_error.as_ref().expect("an error").to_string(), "locked");
    assert!(health.since >= built);
    let trying_since = health.since;

    context.scope(|| (2..=5).for_each(|number| _ = work(number)));
    let health = audit.health();
    assert_eq!((health.status, health.waiting), (Status::Losing, 3));
    assert_eq!((health.counters.accepted, health.counters.dropped), (3, 2));
    assert!(health.waiting_bytes > 0 && health.since >= trying_since);

    drop(result);
    audit.flush().expect("the store accepts everything");
    while audit.health().status != Status::Working {
        std::thread::yield_now();
    }
    let after = audit.health();
    assert_eq!((after.waiting, after.waiting_bytes), (0, 0));
    assert!(after.since >= health.since && after.latest_stored_at.expect("a time") >= after.since);
    assert_eq!(after.latest_error.expect("the error is kept").to_string(), "locked");
    let kinds: Vec<_> = kept.records().iter().map(|record| record.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == Kind::Gap).count(), 1);
}

#[test]
fn status_is_trying_while_a_write_takes_longer_than_a_second() {
    let (store, result, attempts, _kept) = scripted_store();
    let audit = builder(store).build().expect("a recorder");
    let before = chrono::Utc::now();
    Context::new().recorder(&audit).scope(|| work(1));
    attempts.recv().expect("the writer thread has it");
    while audit.health().status == Status::Working {
        std::thread::yield_now();
    }
    let health = audit.health();
    assert_eq!((health.status, health.waiting), (Status::Trying, 1));
    // The status counts from the start of the write, which was at least a second ago.
    assert!(health.since >= before);
    assert!(chrono::Utc::now() - health.since >= chrono::TimeDelta::milliseconds(999));
    assert!(health.latest_error.is_none(), "the store has not returned an error");
    result.send(Ok(())).expect("the store waits");
    audit.flush().expect("it is stored");
    assert_eq!(audit.health().status, Status::Working);
}

#[test]
fn status_is_losing_until_the_gap_record_is_stored() {
    let (store, result, attempts, _kept) = scripted_store();
    let audit = builder(store).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    attempts.recv().expect("the writer thread has it");
    result.send(Err(Error::permanent("the table is gone"))).expect("the store waits");
    attempts.recv().expect("the gap record");
    let health = audit.health();
    assert_eq!((health.status, health.waiting, health.counters.failed), (Status::Losing, 0, 1));
    assert_eq!(health.latest_error.expect("an error").to_string(), "the table is gone");
    result.send(Ok(())).expect("the store waits");
    while audit.health().status == Status::Losing {
        std::thread::yield_now();
    }
    assert_eq!(audit.health().status, Status::Working);
}

/// An error that panics when it is dropped, so that the writer thread panics outside the store.
#[derive(Debug)]
struct PanicsOnDrop;

impl fmt::Display for PanicsOnDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("poison")
    }
}

impl std::error::Error for PanicsOnDrop {}

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("poison");
        }
    }
}

fn poison() -> Error {
    Error::transient("poison").with_source(PanicsOnDrop)
}

#[test]
fn callers_return_when_the_writer_thread_panics() {
    let (store, result, attempts, kept) = scripted_store();
    let audit = Audit::builder()
        .store(store)
        .durability(Durability::Process)
        .wait_limit(Duration::MAX)
        .build()
        .expect("a recorder");
    let context = Context::new().recorder(&audit);
    std::thread::scope(|threads| {
        let first = threads.spawn(|| context.scope(|| work(1)));
        attempts.recv().expect("the writer thread has it");
        let others = [2, 3].map(|number| {
            let context = &context;
            threads.spawn(move || context.scope(|| work(number)))
        });
        while audit.counters().accepted < 3 {
            std::thread::yield_now();
        }
        result.send(Err(poison())).expect("the store waits");
        // The recorder replaces the poison with the next error, and so drops it.
        result.send(Err(Error::transient("locked"))).expect("the store waits");
        // Every call returns its own result.
        assert_eq!(first.join().expect("no panic"), 1);
        assert_eq!(others.map(|other| other.join().expect("no panic")), [2, 3]);
    });
    drop(result);
    let error = audit.flush().expect_err("records are lost");
    assert!(
        error
            .to_string()
            .starts_with("3 records could not be stored: the writer thread has panicked"),
        "{error}"
    );
    let error = audit.flush().expect_err("the recorder has stopped");
    assert!(error.to_string().starts_with("the writer thread has panicked"), "{error}");
    let health = audit.health();
    assert_eq!((health.status, health.waiting), (Status::Stopped, 0));
    let error = health.latest_error.expect("an error").to_string();
    assert!(error.starts_with("the writer thread has panicked"), "{error}");

    assert_eq!(context.scope(|| work(4)), 4);
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.failed, counters.dropped), (3, 3, 1));
    assert_eq!(counters.unconfirmed, 4);
    let error = audit.shutdown().expect_err("the writer thread has ended already");
    assert!(error.to_string().starts_with("the writer thread has panicked"), "{error}");
    // The store still works, so the loss is reported in the trail.
    let reports_the_panic = |record: &&Record| {
        let prefix = "the store rejected them: the writer thread has panicked";
        record.reason.as_ref().is_some_and(|reason| reason.starts_with(prefix))
    };
    let records = kept.records();
    let gap = records.iter().find(reports_the_panic).expect("a gap record");
    let output = gap.output.as_ref().expect("a loss report").to_value();
    assert_eq!((gap.kind, output["records"].as_u64()), (Kind::Gap, Some(3)));
    assert_eq!(
        output["actions"]["work"].as_u64(),
        Some(3),
        "records in the current batch count as well"
    );
    assert!(records.iter().all(|record| record.kind == Kind::Gap), "no call is stored");
}

#[test]
fn shutdown_reports_a_loss_unless_flush_has_reported_it() {
    for flushes in [false, true] {
        let (store, result, attempts, _kept) = scripted_store();
        let audit = builder(store).build().expect("a recorder");
        Context::new().recorder(&audit).scope(|| work(1));
        attempts.recv().expect("the writer thread has it");
        result.send(Err(Error::permanent("the table is gone"))).expect("the store waits");
        drop(result);
        if flushes {
            let error = audit.flush().expect_err("a record is lost");
            assert_eq!(error.to_string(), "1 records could not be stored: the table is gone");
            audit.shutdown().expect("the flush has reported the loss");
        } else {
            let error = audit.shutdown().expect_err("a record is lost");
            assert_eq!(error.to_string(), "the table is gone");
        }
    }
}

#[test]
fn flush_returns_when_the_writer_thread_panics() {
    let (store, result, attempts, _kept) = scripted_store();
    let audit = Audit::builder().store(store).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    attempts.recv().expect("the writer thread has it");
    result.send(Err(poison())).expect("the store waits");
    result.send(Err(Error::transient("locked"))).expect("the store waits");
    drop(result);
    while audit.counters().failed == 0 {
        // Each flush returns: first the store's error, later the loss.
        audit.flush().expect_err("the store fails");
    }
    assert_eq!((audit.counters().failed, audit.health().status), (1, Status::Stopped));
}

#[test]
fn closing_the_recorder_from_its_own_store_does_not_deadlock() {
    /// Holds the handle of its own recorder, and closes that recorder during a write.
    struct ClosesItsRecorder(mpsc::Receiver<Audit>, mpsc::Sender<Result<(), Error>>);
    impl Store for ClosesItsRecorder {
        fn write(&mut self, _: &[Record]) -> Result<(), Error> {
            if let Ok(audit) = self.0.recv() {
                let _ = self.1.send(audit.flush());
                let _ = self.1.send(audit.shutdown());
            }
            Ok(())
        }
    }
    let ((give, given), (send, results)) = (mpsc::channel(), mpsc::channel());
    let store = ClosesItsRecorder(given, send);
    let audit = Audit::builder().store(store).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    give.send(audit).expect("the store receives it");
    context.scope(|| work(1));
    let flushed = results.recv().expect("it returns").expect_err("not on this thread");
    assert!(flushed.to_string().starts_with("the writer thread can't wait for itself"));
    let closed = results.recv().expect("it returns").expect_err("not on this thread");
    assert!(closed.to_string().starts_with("the writer thread can't wait for itself"), "{closed}");
}
