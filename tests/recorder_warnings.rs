//! The recorder's own warnings reach the program's subscriber. Nothing that the subscriber does in
//! response is recorded or blocks the recorder.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use audited::record::Kind;
use audited::store::Store;
use audited::{Audit, Durability, Error, Record, audit_method};
use support::MemoryStore;
use tracing_subscriber::layer::SubscriberExt as _;

mod support;

#[audit_method(action = "work")]
fn work(number: u64) -> u64 {
    number
}

#[audit_method(action = "report")]
fn report(message: &str) {
    REPORTS.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
}

static REPORTS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static AUDIT: OnceLock<Audit> = OnceLock::new();
static FLUSHES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// A layer that makes audited calls, flushes the recorder, and panics.
struct ReentrantLayer;

struct Message(String);

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for ReentrantLayer {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target() != "audited" {
            return;
        }
        DEPTH.set(DEPTH.get() + 1);
        assert_eq!(DEPTH.get(), 1, "a warning caused a nested warning");
        let mut message = Message(String::new());
        event.record(&mut message);
        report(&message.0);
        let _ = audited::append(Record::new(Kind::Event, "reported", chrono::Utc::now()));
        if let Some(audit) = AUDIT.get() {
            let _ = audit.flush();
            FLUSHES.fetch_add(1, Ordering::SeqCst);
        }
        DEPTH.set(0);
        panic!("a subscriber that fails");
    }
}

/// A store that returns the errors sent by the test, and otherwise accepts everything.
struct FailingStore(mpsc::Receiver<Error>, MemoryStore);

impl Store for FailingStore {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        match self.0.try_recv() {
            Ok(error) => Err(error),
            Err(_) => self.1.write(records),
        }
    }
}

#[test]
fn reactions_of_the_subscriber_to_warnings_are_not_recorded() {
    let subscriber = tracing_subscriber::registry().with(audited::layer()).with(ReentrantLayer);
    tracing::subscriber::set_global_default(subscriber).expect("no subscriber is set yet");
    let (fail, errors) = mpsc::channel();
    let kept = MemoryStore::default();
    let audit = Audit::builder()
        .store(FailingStore(errors, kept.clone()))
        .durability(Durability::Process)
        .wait_limit(Duration::MAX)
        .install()
        .expect("a recorder");
    let audit = AUDIT.get_or_init(|| audit);
    let take_reports = || std::mem::take(&mut *REPORTS.lock().expect("not poisoned"));

    // The writer thread warns that it retries.
    fail.send(Error::transient("the disk is full")).expect("the store is open");
    assert_eq!(work(1), 1);
    assert_eq!(
        take_reports(),
        ["the store returned an error, and the write is retried: the disk is full"]
    );
    // The writer thread, then the caller, warns that a record is lost.
    fail.send(Error::permanent("the table is gone")).expect("the store is open");
    assert_eq!(work(2), 2);
    let mut reports = take_reports();
    while reports.len() < 3 {
        std::thread::yield_now();
        reports.extend(take_reports());
    }
    reports.sort_unstable();
    assert!(reports[0].starts_with(
        "a call returned without a confirmation that its record is stored: the table is gone"
    ));
    assert_eq!(
        reports[1..],
        ["records are lost: the table is gone", "the store takes records again"]
    );

    assert_eq!(work(3), 3);
    assert_eq!(take_reports(), [""; 0]);
    assert_eq!(FLUSHES.load(Ordering::SeqCst), 4);
    // The subscriber's own calls, events and flushes are not recorded.
    assert_eq!(kept.actions(), ["work", "records missing", "work"]);
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.written, counters.failed), (3, 2, 1));
    assert_eq!((counters.dropped, counters.unconfirmed), (0, 1));
}
