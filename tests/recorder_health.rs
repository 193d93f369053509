//! How a recorder is doing, and that nobody waits for a writer that is no more.

use std::fmt;
use std::sync::mpsc;
use std::time::Duration;

use audited::{
    Audit, AuditBuilder, Context, Durability, Error, Kind, Overflow, Record, Sink, Status,
    audit_method,
};
use support::Kept;

mod support;

#[audit_method(action = "work")]
fn work(number: u64) -> u64 {
    number
}

/// A store that is told what to do with each attempt.
struct Told {
    answers: mpsc::Receiver<Result<(), Error>>,
    asks: mpsc::Sender<()>,
    kept: Kept,
}

fn told() -> (Told, mpsc::Sender<Result<(), Error>>, mpsc::Receiver<()>, Kept) {
    let ((answer, answers), (asks, asked)) = (mpsc::channel(), mpsc::channel());
    let kept = Kept::default();
    (Told { answers, asks, kept: kept.clone() }, answer, asked, kept)
}

impl Sink for Told {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        let _ = self.asks.send(());
        self.answers.recv().unwrap_or(Ok(()))?;
        self.kept.write(records)
    }
}

fn builder(store: impl Sink) -> AuditBuilder {
    Audit::builder().store(store).queue_records(2).overflow(Overflow::Drop)
}

#[test]
fn a_recorder_works_tries_loses_and_works_again() {
    let (store, answer, asked, kept) = told();
    let audit = builder(store).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    let health = audit.health();
    let built = health.since;
    assert_eq!((health.status, health.waiting, health.waiting_bytes), (Status::Working, 0, 0));
    assert!(health.latest_error.is_none() && health.latest_stored_at.is_none());

    context.scope(|| work(1));
    asked.recv().expect("the writer has it");
    answer.send(Err(Error::transient("locked"))).expect("the store waits");
    asked.recv().expect("the writer tries again");
    let health = audit.health();
    assert_eq!((health.status, health.waiting), (Status::Trying, 1));
    assert_eq!(health.latest_error.as_ref().expect("why").to_string(), "locked");
    assert!(health.since >= built);
    let tried = health.since;

    context.scope(|| (2..=5).for_each(|number| _ = work(number)));
    let health = audit.health();
    assert_eq!((health.status, health.waiting), (Status::Losing, 3));
    assert_eq!((health.counters.accepted, health.counters.dropped), (3, 2));
    assert!(health.waiting_bytes > 0 && health.since >= tried);

    drop(answer);
    audit.flush().expect("the store takes all");
    while audit.health().status != Status::Working {
        std::thread::yield_now();
    }
    let after = audit.health();
    assert_eq!((after.waiting, after.waiting_bytes), (0, 0));
    assert!(after.since >= health.since && after.latest_stored_at.expect("now") >= after.since);
    assert_eq!(after.latest_error.expect("it stays").to_string(), "locked");
    let kinds: Vec<_> = kept.records().iter().map(|record| record.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == Kind::Gap).count(), 1);
}

#[test]
fn a_store_that_does_not_come_back_is_trouble_until_it_does() {
    let (store, answer, asked, _kept) = told();
    let audit = builder(store).build().expect("a recorder");
    let before = chrono::Utc::now();
    Context::new().recorder(&audit).scope(|| work(1));
    asked.recv().expect("the writer has it");
    while audit.health().status == Status::Working {
        std::thread::yield_now();
    }
    let health = audit.health();
    assert_eq!((health.status, health.waiting), (Status::Trying, 1));
    // Since the store was given it, a second ago.
    assert!(health.since >= before);
    assert!(chrono::Utc::now() - health.since >= chrono::TimeDelta::milliseconds(999));
    assert!(health.latest_error.is_none(), "it has not said a word");
    answer.send(Ok(())).expect("the store waits");
    audit.flush().expect("it is stored");
    assert_eq!(audit.health().status, Status::Working);
}

#[test]
fn a_recorder_that_gives_records_up_is_losing_until_the_trail_tells_of_it() {
    let (store, answer, asked, _kept) = told();
    let audit = builder(store).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    asked.recv().expect("the writer has it");
    answer.send(Err(Error::permanent("the table is gone"))).expect("the store waits");
    asked.recv().expect("the gap");
    let health = audit.health();
    assert_eq!((health.status, health.waiting, health.counters.failed), (Status::Losing, 0, 1));
    assert_eq!(health.latest_error.expect("why").to_string(), "the table is gone");
    answer.send(Ok(())).expect("the store waits");
    while audit.health().status == Status::Losing {
        std::thread::yield_now();
    }
    assert_eq!(audit.health().status, Status::Working);
}

/// An error that panics when it is let go of: the writer itself dies of it, outside of the store.
#[derive(Debug)]
struct Poison;

impl fmt::Display for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("poison")
    }
}

impl std::error::Error for Poison {}

impl Drop for Poison {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("poison");
        }
    }
}

fn poison() -> Error {
    Error::transient("poison").with_source(Poison)
}

#[test]
fn a_writer_that_panics_leaves_nobody_waiting() {
    let (store, answer, asked, kept) = told();
    let audit = Audit::builder()
        .store(store)
        .durability(Durability::Process)
        .wait_limit(Duration::MAX)
        .build()
        .expect("a recorder");
    let context = Context::new().recorder(&audit);
    std::thread::scope(|threads| {
        let first = threads.spawn(|| context.scope(|| work(1)));
        asked.recv().expect("the writer has it");
        let others = [2, 3].map(|number| {
            let context = &context;
            threads.spawn(move || context.scope(|| work(number)))
        });
        while audit.counters().accepted < 3 {
            std::thread::yield_now();
        }
        answer.send(Err(poison())).expect("the store waits");
        // The next error takes the place of the poison, and the writer lets go of that.
        answer.send(Err(Error::transient("locked"))).expect("the store waits");
        // Every call ends, with its own result.
        assert_eq!(first.join().expect("no panic"), 1);
        assert_eq!(others.map(|other| other.join().expect("no panic")), [2, 3]);
    });
    drop(answer);
    let error = audit.flush().expect_err("records are lost");
    assert!(
        error
            .to_string()
            .starts_with("3 records could not be stored: the writer thread has panicked"),
        "{error}"
    );
    let error = audit.flush().expect_err("nothing is recorded any more");
    assert!(error.to_string().starts_with("the writer thread has panicked"), "{error}");
    let health = audit.health();
    assert_eq!((health.status, health.waiting), (Status::Stopped, 0));
    let error = health.latest_error.expect("why").to_string();
    assert!(error.starts_with("the writer thread has panicked"), "{error}");

    assert_eq!(context.scope(|| work(4)), 4);
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.failed, counters.dropped), (3, 3, 1));
    assert_eq!(counters.unconfirmed, 4);
    let error = audit.close().expect_err("it has ended before");
    assert!(error.to_string().starts_with("the writer thread has panicked"), "{error}");
    // The store is at work, so that the trail is told.
    let is_told = |record: &&Record| {
        let why = "the store refused them: the writer thread has panicked";
        record.reason.as_ref().is_some_and(|reason| reason.starts_with(why))
    };
    let records = kept.records();
    let gap = records.iter().find(is_told).expect("a gap");
    let output = gap.output.as_ref().expect("what is missing").to_value();
    assert_eq!((gap.kind, output["records"].as_u64()), (Kind::Gap, Some(3)));
    assert_eq!(output["actions"]["work"].as_u64(), Some(3), "those in the writer's hands as well");
    assert!(records.iter().all(|record| record.kind == Kind::Gap), "no call is stored");
}

#[test]
fn a_close_tells_of_a_loss_unless_a_flush_has_told() {
    for flushes in [false, true] {
        let (store, answer, asked, _kept) = told();
        let audit = builder(store).build().expect("a recorder");
        Context::new().recorder(&audit).scope(|| work(1));
        asked.recv().expect("the writer has it");
        answer.send(Err(Error::permanent("the table is gone"))).expect("the store waits");
        drop(answer);
        if flushes {
            let error = audit.flush().expect_err("a record is lost");
            assert_eq!(error.to_string(), "1 records could not be stored: the table is gone");
            audit.close().expect("it was told");
        } else {
            let error = audit.close().expect_err("a record is lost");
            assert_eq!(error.to_string(), "the table is gone");
        }
    }
}

#[test]
fn a_flush_that_waits_for_a_writer_that_panics_ends() {
    let (store, answer, asked, _kept) = told();
    let audit = Audit::builder().store(store).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    asked.recv().expect("the writer has it");
    answer.send(Err(poison())).expect("the store waits");
    answer.send(Err(Error::transient("locked"))).expect("the store waits");
    drop(answer);
    while audit.counters().failed == 0 {
        // Each ends, now by the refusal, then by the loss.
        audit.flush().expect_err("the store refuses");
    }
    assert_eq!((audit.counters().failed, audit.health().status), (1, Status::Stopped));
}

#[test]
fn a_store_that_lets_go_of_the_recorder_does_not_wait_for_itself() {
    /// Holds the handle of the recorder that it belongs to, and closes it while it writes.
    struct Own(mpsc::Receiver<Audit>, mpsc::Sender<Result<(), Error>>);
    impl Sink for Own {
        fn write(&mut self, _: &[Record]) -> Result<(), Error> {
            if let Ok(audit) = self.0.recv() {
                let _ = self.1.send(audit.flush());
                let _ = self.1.send(audit.close());
            }
            Ok(())
        }
    }
    let ((give, given), (tell, told)) = (mpsc::channel(), mpsc::channel());
    let audit = Audit::builder().store(Own(given, tell)).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    give.send(audit).expect("the store is there");
    context.scope(|| work(1));
    let flushed = told.recv().expect("it returns").expect_err("not on this thread");
    assert!(flushed.to_string().starts_with("the writer thread can't wait for itself"));
    let closed = told.recv().expect("it returns").expect_err("not on this thread");
    assert!(closed.to_string().starts_with("the writer thread can't wait for itself"), "{closed}");
}
