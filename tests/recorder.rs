//! The recorder between calls and store: what is accepted is stored, what is not is counted and told.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use audited::{Audit, Context, Error, Kind, Outcome, Overflow, Record, Sink, audit_method};
use support::Kept;
use tracing_subscriber::layer::SubscriberExt as _;

mod support;

#[audit_method(action = "work")]
fn work(number: u64) -> u64 {
    number
}

fn numbers(records: &[Record]) -> Vec<u64> {
    records
        .iter()
        .filter(|record| record.kind == Kind::Call)
        .map(|record| record.output.as_ref().expect("an output").to().expect("a number"))
        .collect()
}

/// How many records a gap tells of.
fn missing(gap: &Record) -> u64 {
    assert_eq!(gap.kind, Kind::Gap);
    let output = gap.output.as_ref().expect("a number").to_value();
    output["records"].as_u64().expect("a number")
}

#[test]
fn after_flush_everything_is_in_the_store_in_order() {
    let kept = Kept::default();
    let audit = Audit::builder().store(kept.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| {
        for number in 0..10_000 {
            work(number);
        }
    });
    audit.flush().expect("a store that takes all");
    assert_eq!(numbers(&kept.records()), (0..10_000).collect::<Vec<_>>());
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.written), (10_000, 10_000));
    assert_eq!((counters.dropped, counters.failed), (0, 0));
}

#[test]
fn dropping_the_handle_stores_what_waits() {
    let kept = Kept::default();
    let audit = Audit::builder().store(kept.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| (0..100).for_each(|number| _ = work(number)));
    drop(audit);
    assert_eq!(numbers(&kept.records()), (0..100).collect::<Vec<_>>());
}

#[test]
fn unwinding_stores_what_waits() {
    let kept = Kept::default();
    let into = kept.clone();
    let panicked = std::panic::catch_unwind(move || {
        let audit = Audit::builder().store(into).build().expect("a recorder");
        Context::new().recorder(&audit).scope(|| work(7));
        panic!("the program fails");
    });
    panicked.expect_err("it panics");
    assert_eq!(numbers(&kept.records()), [7]);
}

/// One test at a time reports late calls: should two threads reach the same event for the first time, and one
/// of them have no subscriber, tracing may switch the event off for both.
static REPORTS: Mutex<()> = Mutex::new(());

#[test]
fn a_call_after_the_close_runs_and_is_counted() {
    let _alone = REPORTS.lock().unwrap_or_else(PoisonError::into_inner);
    let audit = Audit::builder().store(Kept::default()).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    audit.close().expect("closes in order");
    assert_eq!(context.scope(|| work(7)), 7);
}

/// Counts the events that say that a call came too late.
struct Late(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Late {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let meta = event.metadata();
        if (meta.target(), *meta.level()) == ("audited", tracing::Level::WARN) {
            self.0.fetch_add(1, Ordering::SeqCst);
            panic!("a subscriber that fails");
        }
    }
}

#[test]
fn a_call_that_ends_after_the_close_is_reported_once_for_each_recorder() {
    let _alone = REPORTS.lock().unwrap_or_else(PoisonError::into_inner);
    let late = Arc::new(AtomicUsize::new(0));
    let subscriber = tracing_subscriber::registry().with(Late(late.clone()));
    tracing::subscriber::with_default(subscriber, || {
        for recorders in 1..=2 {
            let audit = Audit::builder().store(Kept::default()).build().expect("a recorder");
            let at_close = Context::new().recorder(&audit).scope(|| {
                work(1);
                audited::execute("outer", "test::outer", (), || {
                    audited::execute("inner", "test::inner", (), || {
                        audit.close().expect("closes in order");
                        late.load(Ordering::SeqCst)
                    })
                })
            });
            assert_eq!(at_close, recorders - 1, "nothing is late yet");
            assert_eq!(late.load(Ordering::SeqCst), recorders);
        }
    });
}

/// A store that waits for a word before each batch, and says that it waits.
struct Held {
    go: mpsc::Receiver<()>,
    waiting: mpsc::Sender<()>,
    kept: Kept,
}

impl Held {
    fn new() -> (Self, mpsc::Sender<()>, mpsc::Receiver<()>, Kept) {
        let ((go, receiver), (waiting, waits)) = (mpsc::channel(), mpsc::channel());
        let kept = Kept::default();
        (Self { go: receiver, waiting, kept: kept.clone() }, go, waits, kept)
    }
}

impl Sink for Held {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        let _ = self.waiting.send(());
        let _ = self.go.recv();
        self.kept.write(records)
    }
}

#[test]
fn what_overflows_is_dropped_counted_and_told_in_the_trail() {
    let (held, go, waits, kept) = Held::new();
    let audit = Audit::builder()
        .store(held)
        .queue_records(8)
        .overflow(Overflow::Drop)
        .build()
        .expect("a recorder");
    let context = Context::new().recorder(&audit);
    context.scope(|| work(1_000));
    waits.recv().expect("the writer has taken the first record");
    context.scope(|| (0..100).for_each(|number| _ = work(number)));
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.dropped), (1 + 8, 92));
    drop(go);
    audit.flush().expect("the store takes them now");

    let records = kept.records();
    assert_eq!(numbers(&records), [1_000, 0, 1, 2, 3, 4, 5, 6, 7]);
    let gaps: Vec<_> = records.iter().filter(|record| record.kind == Kind::Gap).collect();
    assert_eq!(gaps.len(), 1);
    assert_eq!(missing(gaps[0]), 92);
    assert_eq!(gaps[0].outcome, Outcome::Unknown);
    assert_eq!(gaps[0].reason.as_deref(), Some("the queue was full or closed"));
    // Told before anything newer is stored: the first batch was taken before anything was dropped.
    assert_eq!(records[1].kind, Kind::Gap);
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.dropped, counters.written), (9, 92, 9));
}

#[test]
fn a_full_queue_blocks_until_there_is_room() {
    let (held, go, waits, kept) = Held::new();
    let audit = Audit::builder()
        .store(held)
        .queue_records(2)
        .overflow(Overflow::Block(Duration::from_secs(3_600)))
        .build()
        .expect("a recorder");
    let context = Context::new().recorder(&audit);
    let calls = std::thread::spawn(move || {
        context.scope(|| (0..50).for_each(|number| _ = work(number)));
    });
    waits.recv().expect("the writer is at work");
    drop(go);
    calls.join().expect("every call returns");
    audit.flush().expect("the store takes them");
    assert_eq!(numbers(&kept.records()), (0..50).collect::<Vec<_>>());
    assert_eq!(audit.counters().dropped, 0);
}

#[test]
fn the_longest_waits_are_no_deadline() {
    let (held, go, waits, kept) = Held::new();
    let audit = Audit::builder()
        .store(held)
        .queue_records(1)
        .overflow(Overflow::Block(Duration::MAX))
        .close_timeout(Duration::MAX)
        .build()
        .expect("a recorder");
    let context = Context::new().recorder(&audit);
    let calls = std::thread::spawn(move || {
        context.scope(|| (0..10).for_each(|number| _ = work(number)));
    });
    waits.recv().expect("the writer is at work");
    drop(go);
    calls.join().expect("every call returns");
    audit.close().expect("closes in order");
    assert_eq!(numbers(&kept.records()), (0..10).collect::<Vec<_>>());
}

#[test]
fn bytes_are_bounded_as_well() {
    let (held, go, waits, _kept) = Held::new();
    let audit = Audit::builder()
        .store(held)
        .queue_bytes(12_000)
        .overflow(Overflow::Drop)
        .build()
        .expect("a recorder");
    let context = Context::new().recorder(&audit);
    context.scope(|| work(0));
    waits.recv().expect("the writer has taken the first record");
    #[audit_method(action = "heavy")]
    fn heavy(_text: &str) {}
    let text = "x".repeat(4_000);
    context.scope(|| (0..10).for_each(|_| heavy(&text)));
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.dropped), (1 + 2, 8));
    drop(go);
}

/// A store that refuses for a while.
struct Refusing {
    refusals: Arc<AtomicUsize>,
    kept: Kept,
}

impl Sink for Refusing {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        let left = self.refusals.load(Ordering::SeqCst);
        if left > 0 {
            self.refusals.store(left - 1, Ordering::SeqCst);
            return Err(Error::transient("the disk is full"));
        }
        self.kept.write(records)
    }
}

#[test]
fn a_store_in_trouble_is_tried_again_and_nothing_is_lost() {
    let (kept, refusals) = (Kept::default(), Arc::new(AtomicUsize::new(usize::MAX)));
    let store = Refusing { refusals: refusals.clone(), kept: kept.clone() };
    let audit = Audit::builder().store(store).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| (0..10).for_each(|number| _ = work(number)));
    let error = audit.flush().expect_err("the store refuses");
    assert!(error.is_transient());
    assert_eq!(
        error.to_string(),
        "10 records are not stored yet, and are tried again: the disk is full"
    );
    refusals.store(0, Ordering::SeqCst);
    // An attempt that began before may still refuse.
    while audit.flush().is_err() {}
    assert_eq!(numbers(&kept.records()), (0..10).collect::<Vec<_>>());
    assert_eq!(audit.counters().written, 10);
}

#[test]
fn closing_gives_up_in_time_and_says_what_is_lost() {
    let store =
        Refusing { refusals: Arc::new(AtomicUsize::new(usize::MAX)), kept: Kept::default() };
    let audit = Audit::builder()
        .store(store)
        .close_timeout(Duration::from_millis(50))
        .build()
        .expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    let error = audit.close().expect_err("the store never takes it");
    assert!(error.to_string().contains("the disk is full"), "{error}");
}

#[test]
fn closing_without_end_tries_until_the_store_takes_it() {
    let kept = Kept::default();
    let store = Refusing { refusals: Arc::new(AtomicUsize::new(3)), kept: kept.clone() };
    let audit =
        Audit::builder().store(store).close_timeout(Duration::MAX).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    audit.close().expect("the store takes it in the end");
    assert_eq!(numbers(&kept.records()), [1]);
}

/// A store that can't stand the number 3.
struct Picky(Kept);

impl Sink for Picky {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        if numbers(records).contains(&3) {
            return Err(Error::permanent("there is a 3 in it"));
        }
        self.0.write(records)
    }
}

#[test]
fn a_record_that_is_refused_for_good_takes_no_other_with_it() {
    let kept = Kept::default();
    let audit = Audit::builder().store(Picky(kept.clone())).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| (0..6).for_each(|number| _ = work(number)));
    let error = audit.flush().expect_err("one can't be stored");
    assert_eq!(error.to_string(), "1 records could not be stored: there is a 3 in it");
    let mut stored = numbers(&kept.records());
    stored.sort_unstable();
    assert_eq!(stored, [0, 1, 2, 4, 5]);
    let counters = audit.counters();
    assert_eq!((counters.written, counters.failed), (5, 1));
    audit.flush().expect("told once");
    let gaps: Vec<_> =
        kept.records().into_iter().filter(|record| record.kind == Kind::Gap).collect();
    assert_eq!(missing(&gaps[0]), 1);
}

/// A store that takes nothing, and keeps what it was asked to take.
struct Gone(Arc<Mutex<Vec<Vec<Kind>>>>);

impl Sink for Gone {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.0.lock().expect("nobody panics").push(records.iter().map(|r| r.kind).collect());
        Err(Error::permanent("the table is gone"))
    }
}

#[test]
fn a_store_that_is_gone_is_left_alone_and_closing_ends() {
    let writes = Arc::default();
    let audit = Audit::builder().store(Gone(Arc::clone(&writes))).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    audit.flush().expect_err("the record is lost");
    let counters = audit.counters();
    audit.close().expect_err("the record is lost");
    let writes = writes.lock().expect("nobody panics");
    assert_eq!((counters.accepted, counters.failed), (1, 1), "gaps are not counted");
    assert_eq!(writes[0], [Kind::Call]);
    // One while closing; before it, at most a few if the machine was slow.
    let gaps = &writes[1..];
    assert!((1..20).contains(&gaps.len()), "{} writes", writes.len());
    assert!(gaps.iter().all(|kinds| kinds == &[Kind::Gap]), "{gaps:?}");
}

/// A store that has room for gaps only.
struct GapsOnly(Kept);

impl Sink for GapsOnly {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        if records.iter().any(|record| record.kind != Kind::Gap) {
            return Err(Error::transient("the disk is full"));
        }
        self.0.write(records)
    }
}

#[test]
fn what_closing_gives_up_is_told_in_the_trail() {
    let kept = Kept::default();
    let audit = Audit::builder()
        .store(GapsOnly(kept.clone()))
        .close_timeout(Duration::ZERO)
        .build()
        .expect("a recorder");
    Context::new().recorder(&audit).scope(|| (0..10).for_each(|number| _ = work(number)));
    let error = audit.close().expect_err("the records are lost");
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert_eq!(kept.records().iter().map(missing).collect::<Vec<_>>(), [10]);
}

/// A store that panics once.
struct Panicking(AtomicBool, Kept);

impl Sink for Panicking {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        assert!(!self.0.swap(false, Ordering::SeqCst), "the store panics");
        self.1.write(records)
    }
}

#[test]
fn a_store_that_panics_is_used_again() {
    let kept = Kept::default();
    let store = Panicking(AtomicBool::new(true), kept.clone());
    let audit = Audit::builder().store(store).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    context.scope(|| work(1));
    audit.flush().expect_err("the record is lost");
    context.scope(|| work(2));
    audit.flush().expect("the store is at work again");
    assert_eq!(numbers(&kept.records()), [2]);
}

/// A store that itself calls an audited function.
struct Audited(Kept, Arc<Mutex<u64>>);

impl Sink for Audited {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        *self.1.lock().expect("nobody panics") += work(1);
        self.0.write(records)
    }
}

#[test]
fn calls_on_the_writer_thread_are_not_recorded() {
    let (kept, sum) = (Kept::default(), Arc::default());
    let audit = Audit::builder()
        .store(Audited(kept.clone(), Arc::clone(&sum)))
        .queue_records(1)
        .build()
        .expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(2));
    audit.flush().expect("no deadlock");
    assert_eq!(numbers(&kept.records()), [2]);
    assert!(*sum.lock().expect("nobody panics") >= 1, "the function itself ran");
}

#[test]
fn a_recorder_needs_a_store() {
    let error = Audit::builder().build().expect_err("there is none");
    assert_eq!(error.to_string(), "no store was given: call `store` before `build` or `install`");
}

#[test]
fn many_threads_lose_nothing() {
    const THREADS: u64 = 8;
    const CALLS: u64 = 5_000;
    let kept = Kept::default();
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
    audit.flush().expect("the store takes them");
    let mut all = numbers(&kept.records());
    all.sort_unstable();
    assert_eq!(all, (0..THREADS * CALLS).collect::<Vec<_>>());
}
