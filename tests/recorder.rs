//! The recorder: accepted records are stored, others are counted and reported.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use audited::record::Kind;
use audited::store::Store;
use audited::{Audit, Context, Error, Outcome, Overflow, Record, audit_method};
use gate::GatedStore;
use support::MemoryStore;
use tracing_subscriber::layer::SubscriberExt as _;

#[path = "support/gate.rs"]
mod gate;
mod support;

#[audit_method(action = "work")]
fn work(number: u64) -> u64 {
    number
}

/// The outputs of the calls among `records`.
fn outputs(records: &[Record]) -> Vec<u64> {
    records
        .iter()
        .filter(|record| record.kind == Kind::Call)
        .map(|record| record.output.as_ref().expect("an output").to().expect("a number"))
        .collect()
}

/// How many lost records a gap record reports.
fn reported_losses(gap: &Record) -> u64 {
    assert_eq!(gap.kind, Kind::Gap);
    let output = gap.output.as_ref().expect("a number").to_value();
    output["records"].as_u64().expect("a number")
}

#[test]
fn flush_stores_every_queued_record_in_order() {
    let kept = MemoryStore::default();
    let audit = Audit::builder().store(kept.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| {
        for number in 0..10_000 {
            work(number);
        }
    });
    audit.flush().expect("the store accepts everything");
    assert_eq!(outputs(&kept.records()), (0..10_000).collect::<Vec<_>>());
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.written), (10_000, 10_000));
    assert_eq!((counters.dropped, counters.failed), (0, 0));
}

#[test]
fn dropping_the_handle_flushes_the_queue() {
    let kept = MemoryStore::default();
    let audit = Audit::builder().store(kept.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| (0..100).for_each(|number| _ = work(number)));
    drop(audit);
    assert_eq!(outputs(&kept.records()), (0..100).collect::<Vec<_>>());
}

#[test]
fn dropping_the_handle_during_unwinding_flushes_the_queue() {
    let kept = MemoryStore::default();
    let store = kept.clone();
    let panicked = std::panic::catch_unwind(move || {
        let audit = Audit::builder().store(store).build().expect("a recorder");
        Context::new().recorder(&audit).scope(|| work(7));
        panic!("the program fails");
    });
    panicked.expect_err("it panics");
    assert_eq!(outputs(&kept.records()), [7]);
}

/// Only one test at a time emits the warning about late calls. If two threads reach an event for
/// the first time and one of them has no subscriber, `tracing` may disable the event for both.
static LATE_CALL_WARNING: Mutex<()> = Mutex::new(());

#[test]
fn a_call_after_the_shutdown_still_runs() {
    let _guard = LATE_CALL_WARNING.lock().unwrap_or_else(PoisonError::into_inner);
    let audit = Audit::builder().store(MemoryStore::default()).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    audit.shutdown().expect("the shutdown succeeds");
    assert_eq!(context.scope(|| work(7)), 7);
}

/// Counts the warnings about calls that ended too late, and panics on each.
struct LateCallWarnings(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for LateCallWarnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let meta = event.metadata();
        if (meta.target(), *meta.level()) == ("audited", tracing::Level::WARN) {
            self.0.fetch_add(1, Ordering::SeqCst);
            panic!("a subscriber that fails");
        }
    }
}

#[test]
fn a_call_that_ends_after_the_shutdown_is_reported_once_per_recorder() {
    let _guard = LATE_CALL_WARNING.lock().unwrap_or_else(PoisonError::into_inner);
    let warnings = Arc::new(AtomicUsize::new(0));
    let subscriber = tracing_subscriber::registry().with(LateCallWarnings(warnings.clone()));
    tracing::subscriber::with_default(subscriber, || {
        for recorders in 1..=2 {
            let audit = Audit::builder().store(MemoryStore::default()).build().expect("a recorder");
            let at_close = Context::new().recorder(&audit).scope(|| {
                work(1);
                audited::execute("outer", "test::outer", (), || {
                    audited::execute("inner", "test::inner", (), || {
                        audit.shutdown().expect("the shutdown succeeds");
                        warnings.load(Ordering::SeqCst)
                    })
                })
            });
            assert_eq!(at_close, recorders - 1, "no call has ended late yet");
            assert_eq!(warnings.load(Ordering::SeqCst), recorders);
        }
    });
}

#[test]
fn annotations_made_after_the_end_of_a_call_are_not_in_its_record() {
    let store = GatedStore::blocked();
    let audit = Audit::builder().store(store.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| {
        audited::execute("first", "test", (), || ());
        // From here on the writer thread is blocked, so the next record stays in the queue.
        store.wait_for_batches(1);
        let mut carried = Context::new();
        audited::execute("second", "test", (), || {
            audited::note("in time", "said while it ran");
            carried = Context::current();
        });
        carried.scope(|| {
            audited::note("late", "said after its end");
            audited::reason("late");
            audited::target("late", 1);
            audited::field("late", "x".repeat(1_000_000));
        });
    });
    store.unblock();
    audit.flush().expect("stored");
    let records = store.records();
    let [_, second] = &records[..] else { panic!("two records: {records:?}") };
    let titles: Vec<_> = second.notes.iter().map(|note| &*note.title).collect();
    assert_eq!(titles, ["in time"]);
    assert_eq!((&second.reason, &second.target_type), (&None, &None));
    assert_eq!((&second.context, &second.truncated[..]), (&None, &[][..]));
}

/// A store that announces each batch, and waits for permission before it stores it.
struct SteppedStore {
    permission: mpsc::Receiver<()>,
    arrived: mpsc::Sender<()>,
    kept: MemoryStore,
}

impl SteppedStore {
    fn new() -> (Self, mpsc::Sender<()>, mpsc::Receiver<()>, MemoryStore) {
        let ((permit, permission), (arrived, arrivals)) = (mpsc::channel(), mpsc::channel());
        let kept = MemoryStore::default();
        (Self { permission, arrived, kept: kept.clone() }, permit, arrivals, kept)
    }
}

impl Store for SteppedStore {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        let _ = self.arrived.send(());
        let _ = self.permission.recv();
        self.kept.write(records)
    }
}

#[test]
fn records_that_overflow_are_dropped_counted_and_reported_in_a_gap() {
    let (store, permit, arrivals, kept) = SteppedStore::new();
    let audit = Audit::builder()
        .store(store)
        .queue_records(8)
        .overflow(Overflow::Drop)
        .build()
        .expect("a recorder");
    let context = Context::new().recorder(&audit);
    context.scope(|| work(1_000));
    arrivals.recv().expect("the writer thread took the first record");
    context.scope(|| (0..100).for_each(|number| _ = work(number)));
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.dropped), (1 + 8, 92));
    drop(permit);
    audit.flush().expect("the store accepts them now");

    let records = kept.records();
    assert_eq!(outputs(&records), [1_000, 0, 1, 2, 3, 4, 5, 6, 7]);
    let gaps: Vec<_> = records.iter().filter(|record| record.kind == Kind::Gap).collect();
    assert_eq!(gaps.len(), 1);
    assert_eq!(reported_losses(gaps[0]), 92);
    assert_eq!(gaps[0].outcome, Outcome::Unknown);
    assert_eq!(gaps[0].reason.as_deref(), Some("the queue was full or closed"));
    // The gap precedes all newer records. Only the first batch was taken before the first drop.
    assert_eq!(records[1].kind, Kind::Gap);
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.dropped, counters.written), (9, 92, 9));
}

#[test]
fn a_full_queue_blocks_until_there_is_room() {
    let (store, permit, arrivals, kept) = SteppedStore::new();
    let audit = Audit::builder()
        .store(store)
        .queue_records(2)
        .overflow(Overflow::Block(Duration::from_secs(3_600)))
        .build()
        .expect("a recorder");
    let context = Context::new().recorder(&audit);
    let calls = std::thread::spawn(move || {
        context.scope(|| (0..50).for_each(|number| _ = work(number)));
    });
    arrivals.recv().expect("the writer thread is writing");
    drop(permit);
    calls.join().expect("every call returns");
    audit.flush().expect("the store accepts them");
    assert_eq!(outputs(&kept.records()), (0..50).collect::<Vec<_>>());
    assert_eq!(audit.counters().dropped, 0);
}

#[test]
fn a_maximal_duration_means_no_deadline() {
    let (store, permit, arrivals, kept) = SteppedStore::new();
    let audit = Audit::builder()
        .store(store)
        .queue_records(1)
        .overflow(Overflow::Block(Duration::MAX))
        .close_timeout(Duration::MAX)
        .build()
        .expect("a recorder");
    let context = Context::new().recorder(&audit);
    let calls = std::thread::spawn(move || {
        context.scope(|| (0..10).for_each(|number| _ = work(number)));
    });
    arrivals.recv().expect("the writer thread is writing");
    drop(permit);
    calls.join().expect("every call returns");
    audit.shutdown().expect("the shutdown succeeds");
    assert_eq!(outputs(&kept.records()), (0..10).collect::<Vec<_>>());
}

#[test]
fn the_byte_limit_of_the_queue_drops_records() {
    let (store, permit, arrivals, _kept) = SteppedStore::new();
    let audit = Audit::builder()
        .store(store)
        .queue_bytes(12_000)
        .overflow(Overflow::Drop)
        .build()
        .expect("a recorder");
    let context = Context::new().recorder(&audit);
    context.scope(|| work(0));
    arrivals.recv().expect("the writer thread took the first record");
    #[audit_method(action = "heavy")]
    fn heavy(_text: &str) {}
    let text = "x".repeat(4_000);
    context.scope(|| (0..10).for_each(|_| heavy(&text)));
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.dropped), (1 + 2, 8));
    drop(permit);
}

/// A store that returns a transient error for its next `failures` batches.
struct FailingStore {
    failures: Arc<AtomicUsize>,
    kept: MemoryStore,
}

impl Store for FailingStore {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        let left = self.failures.load(Ordering::SeqCst);
        if left > 0 {
            self.failures.store(left - 1, Ordering::SeqCst);
            return Err(Error::transient("the disk is full"));
        }
        self.kept.write(records)
    }
}

#[test]
fn a_batch_is_retried_after_transient_errors_and_nothing_is_lost() {
    let (kept, failures) = (MemoryStore::default(), Arc::new(AtomicUsize::new(usize::MAX)));
    let store = FailingStore { failures: failures.clone(), kept: kept.clone() };
    let audit = Audit::builder().store(store).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| (0..10).for_each(|number| _ = work(number)));
    let error = audit.flush().expect_err("the store fails");
    assert!(error.is_transient());
    assert_eq!(
        error.to_string(),
        "10 records are not stored yet, and are tried again: the disk is full"
    );
    failures.store(0, Ordering::SeqCst);
    // An attempt that has already begun may still fail.
    while audit.flush().is_err() {}
    assert_eq!(outputs(&kept.records()), (0..10).collect::<Vec<_>>());
    assert_eq!(audit.counters().written, 10);
}

#[test]
fn shutdown_gives_up_after_its_timeout_and_reports_the_loss() {
    let store = FailingStore {
        failures: Arc::new(AtomicUsize::new(usize::MAX)),
        kept: MemoryStore::default(),
    };
    let audit = Audit::builder()
        .store(store)
        .close_timeout(Duration::from_millis(50))
        .build()
        .expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    let error = audit.shutdown().expect_err("the store never accepts it");
    assert!(error.to_string().contains("the disk is full"), "{error}");
}

#[test]
fn shutdown_without_timeout_retries_until_the_store_accepts_the_records() {
    let kept = MemoryStore::default();
    let store = FailingStore { failures: Arc::new(AtomicUsize::new(3)), kept: kept.clone() };
    let audit =
        Audit::builder().store(store).close_timeout(Duration::MAX).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    audit.shutdown().expect("the store accepts it in the end");
    assert_eq!(outputs(&kept.records()), [1]);
}

/// A store that rejects every batch in which a call returned 3.
struct RejectsThree(MemoryStore);

impl Store for RejectsThree {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        if outputs(records).contains(&3) {
            return Err(Error::permanent("there is a 3 in it"));
        }
        self.0.write(records)
    }
}

#[test]
fn a_permanently_rejected_record_does_not_affect_the_others() {
    let kept = MemoryStore::default();
    let audit = Audit::builder().store(RejectsThree(kept.clone())).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| (0..6).for_each(|number| _ = work(number)));
    let error = audit.flush().expect_err("one can't be stored");
    assert_eq!(error.to_string(), "1 records could not be stored: there is a 3 in it");
    let mut stored = outputs(&kept.records());
    stored.sort_unstable();
    assert_eq!(stored, [0, 1, 2, 4, 5]);
    let counters = audit.counters();
    assert_eq!((counters.written, counters.failed), (5, 1));
    audit.flush().expect("the loss was reported once already");
    let gaps: Vec<_> =
        kept.records().into_iter().filter(|record| record.kind == Kind::Gap).collect();
    assert_eq!(reported_losses(&gaps[0]), 1);
}

/// A store that rejects everything, and remembers the kinds of the records in each batch.
struct RejectsAll(Arc<Mutex<Vec<Vec<Kind>>>>);

impl Store for RejectsAll {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.0.lock().expect("not poisoned").push(records.iter().map(|r| r.kind).collect());
        Err(Error::permanent("the table is gone"))
    }
}

#[test]
fn a_store_that_rejects_everything_gets_few_retries_and_shutdown_returns() {
    let writes = Arc::default();
    let audit =
        Audit::builder().store(RejectsAll(Arc::clone(&writes))).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    audit.flush().expect_err("the record is lost");
    let counters = audit.counters();
    audit.shutdown().expect_err("the record is lost");
    let writes = writes.lock().expect("not poisoned");
    assert_eq!((counters.accepted, counters.failed), (1, 1), "gaps are not counted");
    assert_eq!(writes[0], [Kind::Call]);
    // One gap record while closing. A slow machine may write a few more before that.
    let gaps = &writes[1..];
    assert!((1..20).contains(&gaps.len()), "{} writes", writes.len());
    assert!(gaps.iter().all(|kinds| kinds == &[Kind::Gap]), "{gaps:?}");
}

/// A store that accepts gap records only.
struct GapsOnly(MemoryStore);

impl Store for GapsOnly {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        if records.iter().any(|record| record.kind != Kind::Gap) {
            return Err(Error::transient("the disk is full"));
        }
        self.0.write(records)
    }
}

#[test]
fn records_given_up_by_shutdown_are_reported_in_a_gap() {
    let kept = MemoryStore::default();
    let audit = Audit::builder()
        .store(GapsOnly(kept.clone()))
        .close_timeout(Duration::ZERO)
        .build()
        .expect("a recorder");
    Context::new().recorder(&audit).scope(|| (0..10).for_each(|number| _ = work(number)));
    let error = audit.shutdown().expect_err("the records are lost");
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert_eq!(kept.records().iter().map(reported_losses).collect::<Vec<_>>(), [10]);
}

/// A store that panics once.
struct PanicsOnce(AtomicBool, MemoryStore);

impl Store for PanicsOnce {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        assert!(!self.0.swap(false, Ordering::SeqCst), "the store panics");
        self.1.write(records)
    }
}

#[test]
fn a_store_that_panicked_is_used_again() {
    let kept = MemoryStore::default();
    let store = PanicsOnce(AtomicBool::new(true), kept.clone());
    let audit = Audit::builder().store(store).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    context.scope(|| work(1));
    audit.flush().expect_err("the record is lost");
    context.scope(|| work(2));
    audit.flush().expect("the store works again");
    assert_eq!(outputs(&kept.records()), [2]);
}

/// A store that itself calls an audited function.
struct CallingStore(MemoryStore, Arc<Mutex<u64>>);

impl Store for CallingStore {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        *self.1.lock().expect("not poisoned") += work(1);
        self.0.write(records)
    }
}

#[test]
fn calls_on_the_writer_thread_are_not_recorded() {
    let (kept, sum) = (MemoryStore::default(), Arc::default());
    let audit = Audit::builder()
        .store(CallingStore(kept.clone(), Arc::clone(&sum)))
        .queue_records(1)
        .build()
        .expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(2));
    audit.flush().expect("no deadlock");
    assert_eq!(outputs(&kept.records()), [2]);
    assert!(*sum.lock().expect("not poisoned") >= 1, "the function itself ran");
}

#[test]
fn a_recorder_needs_a_store() {
    let error = Audit::builder().build().expect_err("there is none");
    assert_eq!(error.to_string(), "no store was given: call `store` before `build` or `install`");
}

#[test]
fn concurrent_callers_lose_nothing() {
    const THREADS: u64 = 8;
    const CALLS: u64 = 5_000;
    let kept = MemoryStore::default();
    let audit = Audit::builder()
        .store(kept.clone())
        .queue_records(64)
        .overflow(Overflow::Block(Duration::from_secs(3_600)))
        .build()
        .expect("a recorder");
    let context = Context::new().recorder(&audit);
    std::thread::scope(|threads| {
        for thread in 0..THREADS {
            let context = &context;
            threads.spawn(move || {
                context.scope(|| {
                    (0..CALLS).for_each(|call| _ = work(thread * CALLS + call));
                });
            });
        }
    });
    audit.flush().expect("the store accepts them");
    let mut all = outputs(&kept.records());
    all.sort_unstable();
    assert_eq!(all, (0..THREADS * CALLS).collect::<Vec<_>>());
}
