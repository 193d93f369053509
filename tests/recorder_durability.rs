//! A recorder with a default durability: callers wait until their record is stored.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use audited::record::Kind;
use audited::store::{Batch, RecorderSession, SessionTally, Status, Store};
use audited::{Audit, AuditBuilder, Context, Durability, Error, Record, audit_method};
use support::MemoryStore;

mod support;

#[audit_method(action = "work")]
fn work(number: u64) -> u64 {
    number
}

fn number(record: &Record) -> u64 {
    record.output.as_ref().expect("an output").to().expect("a number")
}

/// One batch, as the store received it.
#[derive(Debug, PartialEq, Eq)]
struct StoredBatch {
    records: usize,
    durability: Durability,
    tally: SessionTally,
}

/// A store that announces each attempt, takes its result from the test, and remembers its batches.
struct ControlledStore {
    results: mpsc::Receiver<Result<(), Error>>,
    attempt: mpsc::Sender<()>,
    batches: Arc<Mutex<Vec<StoredBatch>>>,
    kept: MemoryStore,
}

/// The test's side of a [`ControlledStore`].
struct StoreControl {
    result: mpsc::Sender<Result<(), Error>>,
    attempts: mpsc::Receiver<()>,
    batches: Arc<Mutex<Vec<StoredBatch>>>,
    kept: MemoryStore,
}

fn controlled_store() -> (ControlledStore, StoreControl) {
    let ((result, results), (attempt, attempts)) = (mpsc::channel(), mpsc::channel());
    let (batches, kept) = (Arc::<Mutex<Vec<StoredBatch>>>::default(), MemoryStore::default());
    let store = ControlledStore { results, attempt, batches: batches.clone(), kept: kept.clone() };
    (store, StoreControl { result, attempts, batches, kept })
}

impl Store for ControlledStore {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.kept.write(records)
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        let _ = self.attempt.send(());
        self.results.recv().unwrap_or(Ok(()))?;
        self.batches.lock().expect("not poisoned").push(StoredBatch {
            records: batch.records.len(),
            durability: batch.durability,
            tally: batch.tally,
        });
        self.write(batch.records)
    }
}

fn stored_batch(records: usize, durability: Durability, ended: u64) -> StoredBatch {
    let mut tally = SessionTally::default();
    tally.ended = ended;
    StoredBatch { records, durability, tally }
}

/// A recorder whose calls wait for `durability`, without a time limit.
fn builder_with(durability: Durability) -> AuditBuilder {
    Audit::builder().durability(durability).wait_limit(Duration::MAX)
}

/// Waits until this many records are accepted.
fn wait_until_accepted(audit: &Audit, accepted: u64) {
    while audit.counters().accepted < accepted {
        std::thread::yield_now();
    }
}

#[test]
fn a_call_returns_only_after_its_record_is_stored() {
    let (store, control) = controlled_store();
    let audit = builder_with(Durability::Process).store(store).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    std::thread::scope(|threads| {
        let call = threads.spawn(|| context.scope(|| work(7)));
        control.attempts.recv().expect("the writer thread has it");
        assert!(!call.is_finished());
        assert_eq!(audit.counters().written, 0);
        control.result.send(Ok(())).expect("the store waits");
        assert_eq!(call.join().expect("no panic"), 7);
        // The record is stored without a flush.
        assert_eq!(control.kept.records().iter().map(number).collect::<Vec<_>>(), [7]);
        assert_eq!((audit.counters().written, audit.counters().unconfirmed), (1, 0));
    });
}

/// How long the store blocks in the tests of `wait_us`.
const BLOCKED: Duration = Duration::from_millis(20);

#[test]
fn wait_us_is_the_time_that_a_caller_waited_for_the_writer_thread() {
    let (store, control) = controlled_store();
    let audit = builder_with(Durability::Process).store(store).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    std::thread::scope(|threads| {
        threads.spawn(|| context.scope(|| work(1)));
        control.attempts.recv().expect("the writer thread has the first record");
        threads.spawn(|| context.scope(|| work(2)));
        wait_until_accepted(&audit, 2);
        // The second caller waits at least this long before the writer thread takes its record.
        std::thread::sleep(BLOCKED);
        drop(control.result);
    });
    let records = control.kept.records();
    assert_eq!(records.iter().map(number).collect::<Vec<_>>(), [1, 2]);
    assert!(records[0].wait_us.is_some());
    let wait = Duration::from_micros(records[1].wait_us.expect("its caller waited"));
    assert!(wait >= BLOCKED, "{wait:?}");
}

/// The record is stored by the last of several attempts. It includes the time of the others.
#[test]
fn wait_us_includes_the_attempts_that_failed() {
    let (store, control) = controlled_store();
    let audit = builder_with(Durability::Process).store(store).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    std::thread::scope(|threads| {
        threads.spawn(|| context.scope(|| work(1)));
        control.attempts.recv().expect("the first attempt");
        std::thread::sleep(BLOCKED);
        control.result.send(Err(Error::transient("locked"))).expect("the store waits");
        control.attempts.recv().expect("the second attempt");
        drop(control.result);
    });
    let records = control.kept.records();
    let wait = Duration::from_micros(records[0].wait_us.expect("its caller waited"));
    assert!(wait >= BLOCKED, "{wait:?}");
    let duration = Duration::from_micros(records[0].duration_us);
    assert!(duration < wait, "the duration does not include the wait: {duration:?}");
}

/// At its limit, the call returns. It does not wait as long as its record does.
#[test]
fn wait_us_is_at_most_the_wait_limit() {
    let (store, control) = controlled_store();
    let limit = Duration::from_millis(1);
    let audit = builder_with(Durability::Process).wait_limit(limit).store(store);
    let audit = audit.build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    control.attempts.recv().expect("the first attempt");
    std::thread::sleep(BLOCKED);
    control.result.send(Err(Error::transient("locked"))).expect("the store waits");
    drop(control.result);
    audit.shutdown().expect("it is stored");
    assert_eq!(control.kept.records()[0].wait_us, Some(1_000));
    assert_eq!(audit.counters().unconfirmed, 1);
}

#[test]
fn wait_us_is_none_for_queued_records() {
    let (store, control) = controlled_store();
    let audit = Audit::builder().store(store).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    control.attempts.recv().expect("the writer thread has the first record");
    Context::new().recorder(&audit).scope(|| work(2));
    std::thread::sleep(BLOCKED);
    drop(control.result);
    audit.flush().expect("both are stored");
    let waits: Vec<_> = control.kept.records().iter().map(|record| record.wait_us).collect();
    assert_eq!(waits, [None, None]);
}

#[test]
fn wait_us_includes_an_earlier_wait_of_the_same_call() {
    const EARLIER_US: u64 = 3_600_000_000;
    let kept = MemoryStore::default();
    let mut record = Record::new(Kind::Event, "open the vault", chrono::Utc::now());
    record.wait_us = Some(EARLIER_US);
    for (durability, is_longer) in [(Durability::Process, true), (Durability::Queued, false)] {
        let audit = builder_with(durability).store(kept.clone()).build().expect("a recorder");
        Context::new().recorder(&audit).scope(|| {
            audited::append(record.clone()).expect("there is a recorder");
        });
        audit.shutdown().expect("the shutdown succeeds");
        let wait_us = kept.records().last().expect("a record").wait_us.expect("the earlier wait");
        assert!(if is_longer { wait_us >= EARLIER_US } else { wait_us == EARLIER_US }, "{wait_us}");
    }
}

#[test]
fn waiting_callers_share_one_batch_and_the_tally_counts_all_ended_calls() {
    const CALLERS: u64 = 8;
    let (store, control) = controlled_store();
    let audit = builder_with(Durability::Power).store(store).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    std::thread::scope(|threads| {
        threads.spawn(|| context.scope(|| work(0)));
        control.attempts.recv().expect("the writer thread has the first record");
        for caller in 1..=CALLERS {
            let context = &context;
            threads.spawn(move || context.scope(|| work(caller)));
        }
        wait_until_accepted(&audit, 1 + CALLERS);
        drop(control.result);
    });
    assert_eq!(
        *control.batches.lock().expect("not poisoned"),
        [stored_batch(1, Durability::Power, 1), stored_batch(8, Durability::Power, 9)]
    );
    assert_eq!(audit.counters().unconfirmed, 0);
}

#[test]
fn queued_records_are_written_with_process_durability() {
    let (store, control) = controlled_store();
    drop(control.result);
    let audit = Audit::builder().store(store).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    audit.flush().expect("it is stored");
    assert_eq!(
        *control.batches.lock().expect("not poisoned"),
        [stored_batch(1, Durability::Process, 1)]
    );
}

#[test]
fn a_call_keeps_waiting_through_transient_errors() {
    let (store, control) = controlled_store();
    let audit = builder_with(Durability::Process).store(store).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    std::thread::scope(|threads| {
        let call = threads.spawn(|| context.scope(|| work(7)));
        for _ in 0..3 {
            control.attempts.recv().expect("an attempt");
            control
                .result
                .send(Err(Error::transient("the disk is full")))
                .expect("the store waits");
        }
        control.attempts.recv().expect("an attempt");
        assert!(!call.is_finished());
        let health = audit.health();
        assert_eq!((health.status, health.waiting), (Status::Trying, 1));
        assert_eq!(health.latest_error.expect("an error").to_string(), "the disk is full");
        control.result.send(Ok(())).expect("the store waits");
        assert_eq!(call.join().expect("no panic"), 7);
    });
    assert_eq!((audit.counters().written, audit.counters().unconfirmed), (1, 0));
    assert_eq!(audit.health().status, Status::Working);
}

/// A store that rejects batches in which a call returned an odd number.
struct RejectsOdd(MemoryStore);

impl Store for RejectsOdd {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        let calls = records.iter().filter(|record| record.kind == Kind::Call);
        match calls.map(number).find(|number| number % 2 == 1) {
            Some(odd) => Err(Error::permanent(format!("{odd} is odd"))),
            None => self.0.write(records),
        }
    }
}

#[test]
fn each_caller_is_confirmed_only_if_its_own_record_is_stored() {
    const CALLERS: u64 = 9;
    let kept = MemoryStore::default();
    let audit = builder_with(Durability::Process)
        .store(RejectsOdd(kept.clone()))
        .build()
        .expect("a recorder");
    let context = Context::new().recorder(&audit);
    std::thread::scope(|threads| {
        for caller in 0..CALLERS {
            let (context, audit, kept) = (&context, &audit, &kept);
            threads.spawn(move || {
                assert_eq!(context.scope(|| work(caller)), caller);
                let is_stored = kept
                    .records()
                    .iter()
                    .any(|record| record.kind == Kind::Call && number(record) == caller);
                assert_eq!(is_stored, caller % 2 == 0);
                assert!(is_stored || audit.counters().unconfirmed > 0);
            });
        }
    });
    let counters = audit.counters();
    assert_eq!((counters.written, counters.failed, counters.unconfirmed), (5, 4, 4));
}

#[test]
fn a_call_that_reaches_the_wait_limit_keeps_its_result_and_its_record() {
    let (store, control) = controlled_store();
    let audit = Audit::builder()
        .durability(Durability::Process)
        .wait_limit(Duration::from_millis(1))
        .store(store)
        .build()
        .expect("a recorder");
    assert_eq!(Context::new().recorder(&audit).scope(|| work(7)), 7);
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.written, counters.unconfirmed), (1, 0, 1));
    drop(control.result);
    audit.flush().expect("it is stored later");
    assert_eq!((audit.counters().written, audit.counters().unconfirmed), (1, 1));
}

/// A store that always panics.
struct PanickingStore;

impl Store for PanickingStore {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        panic!("the store panics");
    }
}

#[test]
fn a_call_returns_when_the_store_panics() {
    let audit =
        builder_with(Durability::Process).store(PanickingStore).build().expect("a recorder");
    assert_eq!(Context::new().recorder(&audit).scope(|| work(7)), 7);
    let counters = audit.counters();
    assert_eq!((counters.failed, counters.unconfirmed), (1, 1));
}

#[test]
fn a_store_without_power_durability_leaves_calls_unconfirmed() {
    let kept = MemoryStore::default();
    let audit = builder_with(Durability::Power).store(kept.clone()).build().expect("a recorder");
    assert_eq!(Context::new().recorder(&audit).scope(|| work(7)), 7);
    audit.flush().expect("nothing is lost");
    let counters = audit.counters();
    assert_eq!((counters.unconfirmed, counters.written, counters.failed), (1, 1, 0));
    assert_eq!(kept.records().len(), 1, "the record is stored nevertheless");
    let error = audit.health().latest_error.expect("the store gives a reason").to_string();
    assert!(error.starts_with("this store does not promise to survive a loss of power"), "{error}");
}

#[test]
fn a_call_that_ends_after_the_shutdown_does_not_wait() {
    let audit = builder_with(Durability::Process)
        .store(MemoryStore::default())
        .build()
        .expect("a recorder");
    let context = Context::new().recorder(&audit);
    let result = context.scope(|| {
        audited::execute("outer", "test::outer", (), || {
            audit.shutdown().expect("the shutdown succeeds");
            work(7)
        })
    });
    assert_eq!(result, 7);
}

#[test]
fn appended_records_wait_as_well() {
    let kept = MemoryStore::default();
    let audit = builder_with(Durability::Process).store(kept.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| {
        let record = Record::new(Kind::Event, "open the vault", chrono::Utc::now());
        audited::append(record).expect("there is a recorder");
        assert_eq!(kept.actions(), ["open the vault"]);
    });
}

/// A store that logs the order in which its methods are called.
struct LoggingStore(Arc<Mutex<Vec<String>>>, Result<(), &'static str>);

impl LoggingStore {
    fn log(&self, line: impl fmt::Display) {
        self.0.lock().expect("not poisoned").push(line.to_string());
    }
}

impl Store for LoggingStore {
    fn begin(&mut self, session: &RecorderSession) -> Result<(), Error> {
        let thread = std::thread::current();
        let service = session.service.as_deref().unwrap_or_default();
        self.log(format_args!("begin {service} {} {:?}", session.in_flight, thread.name()));
        self.1.map_err(Error::permanent)
    }

    fn reader(&mut self) -> Result<Option<Box<dyn audited::store::ChangeReader>>, Error> {
        self.log("reader");
        Ok(None)
    }

    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.log(format_args!("write {}", records.len()));
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        self.log("close");
        Ok(())
    }
}

#[test]
fn begin_is_the_first_call_and_runs_on_the_building_thread() {
    let log = Arc::<Mutex<Vec<String>>>::default();
    let builder = || Audit::builder().service("billing").queue_records(100);
    let audit = builder().store(LoggingStore(log.clone(), Ok(()))).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    audit.shutdown().expect("the shutdown succeeds");
    let store = LoggingStore(log.clone(), Err("taken"));
    let error = builder().store(store).build().expect_err("`begin` fails");
    assert_eq!(error.to_string(), "taken");
    let begin = format!("begin billing {} {:?}", 100 + 4_096, std::thread::current().name());
    assert_eq!(
        *log.lock().expect("not poisoned"),
        [begin.as_str(), "reader", "write 1", "close", begin.as_str()]
    );
}

#[test]
fn concurrent_callers_never_need_more_batches_than_records() {
    const CALLERS: usize = 8;
    const CALLS: u64 = 50;
    struct CountsBatches(Arc<AtomicUsize>, MemoryStore);
    impl Store for CountsBatches {
        fn write(&mut self, records: &[Record]) -> Result<(), Error> {
            self.1.write(records)
        }

        fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
            self.0.fetch_add(1, Ordering::SeqCst);
            self.write(batch.records)
        }
    }
    let (batches, kept) = (Arc::<AtomicUsize>::default(), MemoryStore::default());
    let store = CountsBatches(batches.clone(), kept.clone());
    let audit = builder_with(Durability::Power).store(store).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    std::thread::scope(|threads| {
        for caller in 0..CALLERS as u64 {
            let (context, kept) = (&context, &kept);
            threads.spawn(move || {
                for call in 0..CALLS {
                    let expected = caller * CALLS + call;
                    context.scope(|| work(expected));
                    assert!(kept.records().iter().any(|record| number(record) == expected));
                }
            });
        }
    });
    let mut all: Vec<_> = kept.records().iter().map(number).collect();
    all.sort_unstable();
    assert_eq!(all, (0..CALLERS as u64 * CALLS).collect::<Vec<_>>());
    assert!(batches.load(Ordering::SeqCst) <= all.len(), "no batch is empty");
    assert_eq!(audit.counters().unconfirmed, 0);
}
