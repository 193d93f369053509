//! Warnings of the recorder reach the program's subscriber, which may do what it likes: nothing comes back.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use audited::{Audit, Durability, Error, Kind, Record, Sink, audit_method};
use support::Kept;
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

/// A subscriber that is itself audited, flushes the recorder, and panics.
struct Meddling;

struct Message(String);

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Meddling {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target() != "audited" {
            return;
        }
        DEPTH.set(DEPTH.get() + 1);
        assert_eq!(DEPTH.get(), 1, "a warning from within a warning");
        let mut message = Message(String::new());
        event.record(&mut message);
        report(&message.0);
        audited::append(Record::new(Kind::Event, "reported", chrono::Utc::now()));
        if let Some(audit) = AUDIT.get() {
            let _ = audit.flush();
            FLUSHES.fetch_add(1, Ordering::SeqCst);
        }
        DEPTH.set(0);
        panic!("a subscriber that fails");
    }
}

/// Refuses as it is told, then takes everything.
struct Store(mpsc::Receiver<Error>, Kept);

impl Sink for Store {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        match self.0.try_recv() {
            Ok(error) => Err(error),
            Err(_) => self.1.write(records),
        }
    }
}

#[test]
fn warnings_do_not_come_back_to_the_recorder() {
    let subscriber = tracing_subscriber::registry().with(audited::layer()).with(Meddling);
    tracing::subscriber::set_global_default(subscriber).expect("the first");
    let (refuse, refusals) = mpsc::channel();
    let kept = Kept::default();
    let audit = Audit::builder()
        .store(Store(refusals, kept.clone()))
        .durability(Durability::Process)
        .wait_limit(Duration::MAX)
        .install()
        .expect("a recorder");
    let audit = AUDIT.get_or_init(|| audit);
    let told = || std::mem::take(&mut *REPORTS.lock().expect("nobody panics"));

    // By the writer: it is tried again.
    refuse.send(Error::transient("the disk is full")).expect("the store is there");
    assert_eq!(work(1), 1);
    assert_eq!(told(), ["the store refused, trying again: the disk is full"]);
    // By the writer, then by the caller: a record is lost.
    refuse.send(Error::permanent("the table is gone")).expect("the store is there");
    assert_eq!(work(2), 2);
    let mut reports = told();
    while reports.len() < 3 {
        std::thread::yield_now();
        reports.extend(told());
    }
    reports.sort_unstable();
    assert!(reports[0].starts_with(
        "a call went on without knowing that its record is stored: the table is gone"
    ));
    assert_eq!(
        reports[1..],
        ["records are lost: the table is gone", "the store takes records again"]
    );

    assert_eq!(work(3), 3);
    assert_eq!(told(), [""; 0]);
    assert_eq!(FLUSHES.load(Ordering::SeqCst), 4);
    // None of what the subscriber did is on the record.
    assert_eq!(kept.actions(), ["work", "records missing", "work"]);
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.written, counters.failed), (3, 2, 1));
    assert_eq!((counters.dropped, counters.unconfirmed), (0, 1));
}
