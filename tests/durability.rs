//! When a function goes on: with its record queued, or stored as its action's durability says.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context as Task, Waker};
use std::thread;
use std::time::Duration;

use audited::{
    Audit, Batch, Context, Durability, Error, Outcome, Record, Sink, Tracked, audit_method,
    audited_fields, testing,
};

#[path = "support/gate.rs"]
mod gate;

use gate::{Closed, Gate};

/// Longer than any test may last: what waits for so long, hangs.
const FOR_EVER: Duration = Duration::from_secs(3_600);

fn recorder(store: &Gate, durability: Durability) -> Audit {
    Audit::builder()
        .store(store.clone())
        .durability(durability)
        .wait_limit(FOR_EVER)
        .build()
        .expect("a recorder")
}

fn within<R>(audit: &Audit, f: impl FnOnce() -> R) -> R {
    Context::new().recorder(audit).scope(f)
}

#[audit_method(action = "queued", durability = "queued")]
fn queued(n: u32) -> u32 {
    n + 1
}

#[audit_method(action = "process", durability = "process")]
fn process(n: u32) -> Result<u32, String> {
    n.checked_sub(1).ok_or_else(|| "nothing left".to_owned())
}

#[audit_method(action = "power", durability = "power")]
fn power(n: u32) -> u32 {
    n + 1
}

#[audit_method(action = "unsaid")]
fn unsaid(n: u32) -> u32 {
    n + 1
}

#[test]
fn a_queued_call_returns_while_the_store_is_blocked() {
    let store = Gate::shut();
    let audit = recorder(&store, Durability::Power);
    assert_eq!(within(&audit, || queued(1)), 2);
    assert!(store.seen().is_empty());
    store.let_in();
    audit.flush().expect("stored");
    let [seen] = &store.seen()[..] else { panic!("one batch") };
    assert_eq!((seen.durability, seen.records.len()), (Durability::Process, 1));
}

#[test]
fn other_calls_return_once_the_store_has_taken_their_record() {
    let store = Gate::open();
    let audit = recorder(&store, Durability::Queued);
    within(&audit, || {
        assert_eq!(process(1), Ok(0));
        assert_eq!(store.actions(), ["process"]);
        assert_eq!(process(0), Err("nothing left".to_owned()));
        assert_eq!(store.actions(), ["process", "process"]);
        assert_eq!(power(1), 2);
        assert_eq!(store.actions(), ["process", "process", "power"]);
    });
    let asked: Vec<Durability> = store.seen().iter().map(|seen| seen.durability).collect();
    assert_eq!(asked, [Durability::Process, Durability::Process, Durability::Power]);
    assert_eq!(store.records()[1].outcome, Outcome::Failure);
    assert_eq!(audit.counters().unconfirmed, 0);
}

#[test]
fn a_call_that_waits_does_not_return_before() {
    for call in [|| assert_eq!(process(1), Ok(0)), || assert_eq!(power(1), 2)] {
        let store = Gate::shut();
        let audit = recorder(&store, Durability::Queued);
        let (returned, has_returned) = channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                within(&audit, call);
                returned.send(store.seen().len()).expect("the test listens");
            });
            store.until_somebody_came(1);
            assert!(
                has_returned.try_recv().is_err(),
                "it returned before the store had the record"
            );
            store.let_in();
            assert_eq!(has_returned.recv(), Ok(1));
        });
    }
}

#[test]
fn the_word_goes_before_the_recorders_default() {
    for (default, asked) in [
        (Durability::Process, [Durability::Process, Durability::Process, Durability::Power]),
        (Durability::Power, [Durability::Power, Durability::Process, Durability::Power]),
    ] {
        let store = Gate::open();
        let audit = recorder(&store, default);
        within(&audit, || {
            unsaid(1);
            process(1).expect("enough");
            power(1);
        });
        let seen: Vec<Durability> = store.seen().iter().map(|seen| seen.durability).collect();
        assert_eq!(seen, asked);
    }
}

#[track_caller]
#[audit_method(action = "track caller")]
fn in_place(n: u32) -> Result<u32, String> {
    if n == 0 {
        return Err("nothing".to_owned());
    }
    Ok(n)
}

#[audit_method(action = "impl trait")]
fn opaque(n: u32) -> impl Iterator<Item = u32> {
    0..n
}

#[audit_method(action = "partly")]
fn partly(n: u32) -> Result<impl Iterator<Item = u32>, String> {
    Ok(0..n)
}

#[audit_method(action = "panic")]
fn panics(n: u32) -> u32 {
    panic!("{n} is too much")
}

#[audited_fields(age; key = id)]
struct Pilot {
    id: u64,
    age: u8,
}

impl Pilot {
    #[audit_method(action = "grow", skip(self))]
    fn grow(&mut self) -> u8 {
        self.age += 1;
        self.age
    }
}

#[test]
fn whatever_makes_a_record_waits_for_it() {
    let mut pilot = Pilot { id: 340, age: 25 };
    let mut tracked = Tracked::loaded(Pilot { id: 341, age: 25 });
    tracked.age = 26;
    let calls: [(&str, &mut dyn FnMut()); 10] = [
        ("unsaid", &mut || assert_eq!(unsaid(1), 2)),
        ("track caller", &mut || assert_eq!(in_place(1), Ok(1))),
        ("track caller", &mut || assert!(in_place(0).is_err())),
        ("impl trait", &mut || assert_eq!(opaque(2).count(), 2)),
        ("partly", &mut || assert_eq!(partly(2).map(Iterator::count), Ok(2))),
        ("panic", &mut || assert!(catch_unwind(|| panics(7)).is_err())),
        ("grow", &mut || assert_eq!(pilot.grow(), 26)),
        ("direct", &mut || assert_eq!(audited::execute("direct", "m", (), || 3), 3)),
        ("direct", &mut || assert_eq!(audited::execute!("direct", "m", (), || 3), 3)),
        ("change Pilot", &mut || tracked.save(|_| Ok::<(), String>(())).expect("saved")),
    ];
    for (action, call) in calls {
        let store = Gate::open();
        let audit = recorder(&store, Durability::Power);
        within(&audit, call);
        assert_eq!(store.actions(), [action]);
        assert_eq!(store.seen()[0].durability, Durability::Power);
    }
}

#[test]
fn a_call_waits_when_its_record_is_queued_and_its_span_is_closed() {
    for call in [
        || assert_eq!(unsaid(1), 2),
        || assert_eq!(in_place(1), Ok(1)),
        || assert_eq!(opaque(1).count(), 1),
    ] {
        let (store, closed) = (Gate::shut(), Closed::default());
        let audit = recorder(&store, Durability::Process);
        thread::scope(|scope| {
            scope.spawn(|| {
                tracing::subscriber::with_default(closed.subscriber(), || within(&audit, call));
            });
            // Were it closed after the wait, this would never end.
            closed.until(1);
            assert!(store.seen().is_empty());
            store.let_in();
        });
        assert_eq!(store.records().len(), 1);
    }
}

#[test]
fn sixteen_callers_share_two_syncs() {
    let (store, closed) = (Gate::shut(), Closed::default());
    let audit = recorder(&store, Durability::Queued);
    thread::scope(|scope| {
        let caller = || {
            tracing::subscriber::with_default(closed.subscriber(), || {
                within(&audit, || assert_eq!(power(1), 2));
            });
        };
        scope.spawn(caller);
        store.until_somebody_came(1);
        for _ in 1..16 {
            scope.spawn(caller);
        }
        closed.until(16);
        store.let_in();
    });
    let batches: Vec<_> =
        store.seen().iter().map(|seen| (seen.durability, seen.records.len())).collect();
    assert_eq!(batches, [(Durability::Power, 1), (Durability::Power, 15)]);
}

#[test]
fn a_store_that_fails_does_not_change_the_result() {
    let store = Gate::broken();
    let audit = recorder(&store, Durability::Queued);
    within(&audit, || {
        assert_eq!(process(1), Ok(0));
        assert_eq!(power(1), 2);
    });
    let counters = audit.counters();
    assert_eq!((counters.unconfirmed, counters.accepted, counters.written), (2, 2, 0));
}

#[test]
fn a_call_waits_no_longer_than_the_limit() {
    let store = Gate::shut();
    let audit = Audit::builder()
        .store(store.clone())
        .wait_limit(Duration::from_millis(1))
        .build()
        .expect("a recorder");
    assert_eq!(within(&audit, || power(1)), 2);
    assert_eq!(audit.counters().unconfirmed, 1);
    assert!(store.seen().is_empty());
    store.let_in();
    audit.flush().expect("stored in the end");
    assert_eq!(store.actions(), ["power"]);
    assert_eq!(audit.counters().written, 1);
}

#[test]
fn in_memory_nothing_is_waited_for() {
    let records = testing::capture(|| {
        assert_eq!(power(1), 2);
        assert_eq!(process(1), Ok(0));
    });
    assert_eq!(records.len(), 2);
}

// ---- on the writer thread -------------------------------------------------------------------------------

type Boxed = Pin<Box<dyn Future<Output = u32> + Send>>;

#[audit_method(action = "begun elsewhere", durability = "power")]
fn in_two_steps(n: u32) -> Boxed {
    Box::pin(async move {
        let mut is_second = false;
        std::future::poll_fn(|_| match std::mem::replace(&mut is_second, true) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        })
        .await;
        n + 1
    })
}

/// A store that itself makes audited calls, and polls audited futures to their end.
struct Curious {
    store: Gate,
    futures: Receiver<Boxed>,
    done: Sender<u32>,
}

impl Sink for Curious {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.write_batch(&Batch::new(records))
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        self.done.send(power(6)).expect("the test listens");
        for mut future in self.futures.try_iter() {
            let poll = future.as_mut().poll(&mut Task::from_waker(Waker::noop()));
            assert!(poll.is_ready());
            self.done.send(41).expect("the test listens");
        }
        self.store.write_batch(batch)
    }
}

#[test]
fn the_writer_thread_does_not_wait_for_itself() {
    let ((give, futures), (done, is_done)) = (channel(), channel());
    let store = Gate::open();
    let audit = Audit::builder()
        .store(Curious { store: store.clone(), futures, done })
        .wait_limit(FOR_EVER)
        .build()
        .expect("a recorder");
    let mut future = within(&audit, || in_two_steps(40));
    assert!(future.as_mut().poll(&mut Task::from_waker(Waker::noop())).is_pending());
    give.send(future).expect("the store listens");
    assert_eq!(within(&audit, || power(1)), 2);
    assert_eq!((is_done.recv(), is_done.recv()), (Ok(7), Ok(41)));
    audit.flush().expect("stored");
    assert_eq!(store.actions(), ["power", "begun elsewhere"]);
}

#[test]
fn a_call_that_ends_by_unwinding_through_others_waits_as_well() {
    #[audit_method(action = "outer", durability = "process")]
    fn outer() {
        panics(3);
    }
    let store = Gate::open();
    let audit = recorder(&store, Durability::Process);
    let caught = within(&audit, || catch_unwind(AssertUnwindSafe(outer)));
    assert!(caught.is_err());
    assert_eq!(store.actions(), ["panic", "outer"]);
    assert!(store.records().iter().all(|record| record.outcome == Outcome::Panic));
}

#[test]
fn the_catalogue_tells_the_words() {
    let text = audited::catalogue().to_string();
    let line = |name: &str| {
        let found = text.lines().find(|line| line.contains(name));
        found.unwrap_or_else(|| panic!("{name} in {text}")).to_owned()
    };
    assert!(line("durability::power").contains("durability power"), "{text}");
    assert!(!line("durability::unsaid").contains("durability power"), "{text}");
}
