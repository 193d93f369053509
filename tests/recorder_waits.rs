//! Calls that wait until their record is stored.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use audited::{
    Audit, AuditBuilder, Batch, Context, Durability, Error, Kind, Record, Session, Sink, Status,
    Tally, audit_method,
};
use support::Kept;

mod support;

#[audit_method(action = "work")]
fn work(number: u64) -> u64 {
    number
}

fn number(record: &Record) -> u64 {
    record.output.as_ref().expect("an output").to().expect("a number")
}

/// What a store was given at once.
#[derive(Debug, PartialEq, Eq)]
struct Given {
    records: usize,
    durability: Durability,
    tally: Tally,
}

/// A store that waits for a word before each batch, refuses as it is told, and says what it was given.
struct Store {
    go: mpsc::Receiver<Result<(), Error>>,
    asks: mpsc::Sender<()>,
    given: Arc<Mutex<Vec<Given>>>,
    kept: Kept,
}

/// The test's hold on a [`Store`].
struct Hold {
    go: mpsc::Sender<Result<(), Error>>,
    asked: mpsc::Receiver<()>,
    given: Arc<Mutex<Vec<Given>>>,
    kept: Kept,
}

fn store() -> (Store, Hold) {
    let ((go, receiver), (asks, asked)) = (mpsc::channel(), mpsc::channel());
    let (given, kept) = (Arc::<Mutex<Vec<Given>>>::default(), Kept::default());
    let store = Store { go: receiver, asks, given: given.clone(), kept: kept.clone() };
    (store, Hold { go, asked, given, kept })
}

impl Sink for Store {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.kept.write(records)
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        let _ = self.asks.send(());
        self.go.recv().unwrap_or(Ok(()))?;
        self.given.lock().expect("nobody panics").push(Given {
            records: batch.records.len(),
            durability: batch.durability,
            tally: batch.tally,
        });
        self.write(batch.records)
    }
}

fn given(records: usize, durability: Durability, ended: u64) -> Given {
    let mut tally = Tally::default();
    tally.ended = ended;
    Given { records, durability, tally }
}

fn durable(durability: Durability) -> AuditBuilder {
    Audit::builder().durability(durability).wait_limit(Duration::MAX)
}

/// Returns when so many records are accepted.
fn until_accepted(audit: &Audit, accepted: u64) {
    while audit.counters().accepted < accepted {
        std::thread::yield_now();
    }
}

#[test]
fn a_call_returns_when_its_record_is_stored_and_not_before() {
    let (store, hold) = store();
    let audit = durable(Durability::Process).store(store).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    std::thread::scope(|threads| {
        let call = threads.spawn(|| context.scope(|| work(7)));
        hold.asked.recv().expect("the writer has it");
        assert!(!call.is_finished());
        assert_eq!(audit.counters().written, 0);
        hold.go.send(Ok(())).expect("the store waits");
        assert_eq!(call.join().expect("no panic"), 7);
        // No flush.
        assert_eq!(hold.kept.records().iter().map(number).collect::<Vec<_>>(), [7]);
        assert_eq!((audit.counters().written, audit.counters().unconfirmed), (1, 0));
    });
}

#[test]
fn all_that_wait_share_one_batch_and_each_batch_tells_how_far_it_is() {
    const CALLERS: u64 = 8;
    let (store, hold) = store();
    let audit = durable(Durability::Power).store(store).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    std::thread::scope(|threads| {
        threads.spawn(|| context.scope(|| work(0)));
        hold.asked.recv().expect("the writer has the first");
        for caller in 1..=CALLERS {
            let context = &context;
            threads.spawn(move || context.scope(|| work(caller)));
        }
        until_accepted(&audit, 1 + CALLERS);
        drop(hold.go);
    });
    assert_eq!(
        *hold.given.lock().expect("nobody panics"),
        [given(1, Durability::Power, 1), given(8, Durability::Power, 9)]
    );
    assert_eq!(audit.counters().unconfirmed, 0);
}

#[test]
fn queued_records_ask_for_no_more_than_the_end_of_the_process() {
    let (store, hold) = store();
    drop(hold.go);
    let audit = Audit::builder().store(store).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    audit.flush().expect("it is stored");
    assert_eq!(*hold.given.lock().expect("nobody panics"), [given(1, Durability::Process, 1)]);
}

#[test]
fn nothing_is_acknowledged_after_an_error_until_the_store_has_taken_it() {
    let (store, hold) = store();
    let audit = durable(Durability::Process).store(store).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    std::thread::scope(|threads| {
        let call = threads.spawn(|| context.scope(|| work(7)));
        for _ in 0..3 {
            hold.asked.recv().expect("an attempt");
            hold.go.send(Err(Error::transient("the disk is full"))).expect("the store waits");
        }
        hold.asked.recv().expect("an attempt");
        assert!(!call.is_finished());
        let health = audit.health();
        assert_eq!((health.status, health.waiting), (Status::Trying, 1));
        assert_eq!(health.latest_error.expect("one").to_string(), "the disk is full");
        hold.go.send(Ok(())).expect("the store waits");
        assert_eq!(call.join().expect("no panic"), 7);
    });
    assert_eq!((audit.counters().written, audit.counters().unconfirmed), (1, 0));
    assert_eq!(audit.health().status, Status::Working);
}

/// A store that can't stand odd numbers.
struct Even(Kept);

impl Sink for Even {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        let calls = records.iter().filter(|record| record.kind == Kind::Call);
        match calls.map(number).find(|number| number % 2 == 1) {
            Some(odd) => Err(Error::permanent(format!("{odd} is odd"))),
            None => self.0.write(records),
        }
    }
}

#[test]
fn each_call_learns_the_fate_of_its_own_record() {
    const CALLERS: u64 = 9;
    let kept = Kept::default();
    let audit = durable(Durability::Process).store(Even(kept.clone())).build().expect("a recorder");
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
fn a_call_whose_wait_is_over_keeps_its_result_and_its_record() {
    let (store, hold) = store();
    let audit = Audit::builder()
        .durability(Durability::Process)
        .wait_limit(Duration::from_millis(1))
        .store(store)
        .build()
        .expect("a recorder");
    assert_eq!(Context::new().recorder(&audit).scope(|| work(7)), 7);
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.written, counters.unconfirmed), (1, 0, 1));
    drop(hold.go);
    audit.flush().expect("it is stored later");
    assert_eq!((audit.counters().written, audit.counters().unconfirmed), (1, 1));
}

/// A store that panics always.
struct Panicking;

impl Sink for Panicking {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        panic!("the store panics");
    }
}

#[test]
fn a_store_that_panics_leaves_no_call_waiting() {
    let audit = durable(Durability::Process).store(Panicking).build().expect("a recorder");
    assert_eq!(Context::new().recorder(&audit).scope(|| work(7)), 7);
    let counters = audit.counters();
    assert_eq!((counters.failed, counters.unconfirmed), (1, 1));
}

#[test]
fn a_store_that_can_not_promise_power_does_not() {
    let kept = Kept::default();
    let audit = durable(Durability::Power).store(kept.clone()).build().expect("a recorder");
    assert_eq!(Context::new().recorder(&audit).scope(|| work(7)), 7);
    audit.flush().expect("nothing is lost");
    let counters = audit.counters();
    assert_eq!((counters.unconfirmed, counters.written, counters.failed), (1, 1, 0));
    assert_eq!(kept.records().len(), 1, "it is there all the same");
    let error = audit.health().latest_error.expect("the store says why").to_string();
    assert!(error.starts_with("this store does not promise to survive a loss of power"), "{error}");
}

#[test]
fn a_call_that_ends_after_the_close_does_not_wait() {
    let audit = durable(Durability::Process).store(Kept::default()).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    let result = context.scope(|| {
        audited::execute("outer", "test::outer", (), || {
            audit.close().expect("closes in order");
            work(7)
        })
    });
    assert_eq!(result, 7);
}

#[test]
fn records_of_the_programs_own_wait_as_well() {
    let kept = Kept::default();
    let audit = durable(Durability::Process).store(kept.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| {
        audited::append(Record::new(Kind::Event, "open the vault", chrono::Utc::now()));
        assert_eq!(kept.actions(), ["open the vault"]);
    });
}

/// A store that says in which order it is used.
struct Ordered(Arc<Mutex<Vec<String>>>, Result<(), &'static str>);

impl Ordered {
    fn say(&self, what: impl fmt::Display) {
        self.0.lock().expect("nobody panics").push(what.to_string());
    }
}

impl Sink for Ordered {
    fn begin(&mut self, session: &Session) -> Result<(), Error> {
        let thread = std::thread::current();
        let service = session.service.as_deref().unwrap_or_default();
        self.say(format_args!("begin {service} {} {:?}", session.in_flight, thread.name()));
        self.1.map_err(Error::permanent)
    }

    fn reader(&mut self) -> Result<Option<Box<dyn audited::history::ChangeReader>>, Error> {
        self.say("reader");
        Ok(None)
    }

    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.say(format_args!("write {}", records.len()));
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        self.say("close");
        Ok(())
    }
}

#[test]
fn a_store_is_told_of_the_session_first_on_the_thread_that_builds() {
    let said = Arc::<Mutex<Vec<String>>>::default();
    let builder = || Audit::builder().service("billing").queue_records(100);
    let audit = builder().store(Ordered(said.clone(), Ok(()))).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    audit.close().expect("closes in order");
    let error = builder().store(Ordered(said.clone(), Err("taken"))).build().expect_err("it fails");
    assert_eq!(error.to_string(), "taken");
    let began = format!("begin billing {} {:?}", 100 + 4_096, std::thread::current().name());
    assert_eq!(
        *said.lock().expect("nobody panics"),
        [began.as_str(), "reader", "write 1", "close", began.as_str()]
    );
}

#[test]
fn many_callers_wait_for_much_less_than_one_batch_each() {
    const CALLERS: usize = 8;
    const CALLS: u64 = 50;
    struct Slow(Arc<AtomicUsize>, Kept);
    impl Sink for Slow {
        fn write(&mut self, records: &[Record]) -> Result<(), Error> {
            self.1.write(records)
        }

        fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
            self.0.fetch_add(1, Ordering::SeqCst);
            self.write(batch.records)
        }
    }
    let (batches, kept) = (Arc::<AtomicUsize>::default(), Kept::default());
    let store = Slow(batches.clone(), kept.clone());
    let audit = durable(Durability::Power).store(store).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    std::thread::scope(|threads| {
        for caller in 0..CALLERS as u64 {
            let (context, kept) = (&context, &kept);
            threads.spawn(move || {
                for call in 0..CALLS {
                    let given = caller * CALLS + call;
                    context.scope(|| work(given));
                    assert!(kept.records().iter().any(|record| number(record) == given));
                }
            });
        }
    });
    let mut all: Vec<_> = kept.records().iter().map(number).collect();
    all.sort_unstable();
    assert_eq!(all, (0..CALLERS as u64 * CALLS).collect::<Vec<_>>());
    assert!(batches.load(Ordering::SeqCst) <= all.len(), "never an empty batch");
    assert_eq!(audit.counters().unconfirmed, 0);
}
