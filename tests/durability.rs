//! `durability = "…"` on functions: a call returns when its record is queued, or when it is stored
//! as durably as its action requires.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context as Task, Waker};
use std::thread;
use std::time::Duration;

use audited::store::{Batch, Store};
use audited::{
    Audit, Context, Durability, Error, Outcome, Record, Tracked, audit_method, audited_fields,
    testing,
};

#[path = "support/gate.rs"]
mod gate;

use gate::{ClosedSpans, GatedStore};

/// Longer than any test may take: a call that waits this long hangs.
const NEVER: Duration = Duration::from_secs(3_600);

fn recorder(store: &GatedStore, durability: Durability) -> Audit {
    Audit::builder()
        .store(store.clone())
        .durability(durability)
        .wait_limit(NEVER)
        .build()
        .expect("a recorder")
}

fn with_recorder<R>(audit: &Audit, f: impl FnOnce() -> R) -> R {
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

/// The recorder's default durability applies.
#[audit_method(action = "default")]
fn default_durability(n: u32) -> u32 {
    n + 1
}

#[test]
fn a_queued_call_returns_while_the_store_is_blocked() {
    let store = GatedStore::blocked();
    let audit = recorder(&store, Durability::Power);
    assert_eq!(with_recorder(&audit, || queued(1)), 2);
    assert!(store.batches().is_empty());
    store.unblock();
    audit.flush().expect("stored");
    let [seen] = &store.batches()[..] else { panic!("one batch") };
    assert_eq!((seen.durability, seen.records.len()), (Durability::Process, 1));
}

#[test]
fn durable_calls_return_once_their_record_is_stored() {
    let store = GatedStore::accepting();
    let audit = recorder(&store, Durability::Queued);
    with_recorder(&audit, || {
        assert_eq!(process(1), Ok(0));
        assert_eq!(store.actions(), ["process"]);
        assert_eq!(process(0), Err("nothing left".to_owned()));
        assert_eq!(store.actions(), ["process", "process"]);
        assert_eq!(power(1), 2);
        assert_eq!(store.actions(), ["process", "process", "power"]);
    });
    let requested: Vec<Durability> = store.batches().iter().map(|seen| seen.durability).collect();
    assert_eq!(requested, [Durability::Process, Durability::Process, Durability::Power]);
    assert_eq!(store.records()[1].outcome, Outcome::Failure);
    assert_eq!(audit.counters().unconfirmed, 0);
}

#[test]
fn a_durable_call_does_not_return_while_the_store_is_blocked() {
    for call in [|| assert_eq!(process(1), Ok(0)), || assert_eq!(power(1), 2)] {
        let store = GatedStore::blocked();
        let audit = recorder(&store, Durability::Queued);
        let (returned, has_returned) = channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                with_recorder(&audit, call);
                returned.send(store.batches().len()).expect("the test receives");
            });
            store.wait_for_batches(1);
            assert!(has_returned.try_recv().is_err(), "it returned before the record was stored");
            store.unblock();
            assert_eq!(has_returned.recv(), Ok(1));
        });
    }
}

#[test]
fn the_durability_argument_overrides_the_recorders_default() {
    for (default, expected) in [
        (Durability::Process, [Durability::Process, Durability::Process, Durability::Power]),
        (Durability::Power, [Durability::Power, Durability::Process, Durability::Power]),
    ] {
        let store = GatedStore::accepting();
        let audit = recorder(&store, default);
        with_recorder(&audit, || {
            default_durability(1);
            process(1).expect("enough");
            power(1);
        });
        let seen: Vec<Durability> = store.batches().iter().map(|seen| seen.durability).collect();
        assert_eq!(seen, expected);
    }
}

#[track_caller]
#[audit_method(action = "track caller")]
fn track_caller(n: u32) -> Result<u32, String> {
    if n == 0 {
        return Err("nothing".to_owned());
    }
    Ok(n)
}

#[audit_method(action = "impl trait")]
fn opaque_return(n: u32) -> impl Iterator<Item = u32> {
    0..n
}

#[audit_method(action = "opaque in result")]
fn opaque_in_result(n: u32) -> Result<impl Iterator<Item = u32>, String> {
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
fn every_kind_of_record_is_waited_for() {
    let mut pilot = Pilot { id: 340, age: 25 };
    let mut tracked = Tracked::loaded(Pilot { id: 341, age: 25 });
    tracked.age = 26;
    let calls: [(&str, &mut dyn FnMut()); 10] = [
        ("default", &mut || assert_eq!(default_durability(1), 2)),
        ("track caller", &mut || assert_eq!(track_caller(1), Ok(1))),
        ("track caller", &mut || assert!(track_caller(0).is_err())),
        ("impl trait", &mut || assert_eq!(opaque_return(2).count(), 2)),
        ("opaque in result", &mut || {
            assert_eq!(opaque_in_result(2).map(Iterator::count), Ok(2));
        }),
        ("panic", &mut || assert!(catch_unwind(|| panics(7)).is_err())),
        ("grow", &mut || assert_eq!(pilot.grow(), 26)),
        ("direct", &mut || assert_eq!(audited::execute("direct", "m", (), || 3), 3)),
        ("direct", &mut || assert_eq!(audited::execute!("direct", "m", (), || 3), 3)),
        ("Pilot: changed", &mut || tracked.save(|_| Ok::<(), String>(())).expect("saved")),
    ];
    for (action, call) in calls {
        let store = GatedStore::accepting();
        let audit = recorder(&store, Durability::Power);
        with_recorder(&audit, call);
        assert_eq!(store.actions(), [action]);
        assert_eq!(store.batches()[0].durability, Durability::Power);
    }
}

#[test]
fn the_span_is_closed_before_the_call_waits_for_its_record() {
    for call in [
        || assert_eq!(default_durability(1), 2),
        || assert_eq!(track_caller(1), Ok(1)),
        || assert_eq!(opaque_return(1).count(), 1),
    ] {
        let (store, closed) = (GatedStore::blocked(), ClosedSpans::default());
        let audit = recorder(&store, Durability::Process);
        thread::scope(|scope| {
            scope.spawn(|| {
                tracing::subscriber::with_default(closed.subscriber(), || {
                    with_recorder(&audit, call)
                });
            });
            // If the span were closed only after the wait, this would never return.
            closed.wait_for(1);
            assert!(store.batches().is_empty());
            store.unblock();
        });
        assert_eq!(store.records().len(), 1);
    }
}

#[test]
fn sixteen_concurrent_callers_need_two_batches() {
    let (store, closed) = (GatedStore::blocked(), ClosedSpans::default());
    let audit = recorder(&store, Durability::Queued);
    thread::scope(|scope| {
        let caller = || {
            tracing::subscriber::with_default(closed.subscriber(), || {
                with_recorder(&audit, || assert_eq!(power(1), 2));
            });
        };
        scope.spawn(caller);
        store.wait_for_batches(1);
        for _ in 1..16 {
            scope.spawn(caller);
        }
        closed.wait_for(16);
        store.unblock();
    });
    let batches: Vec<_> =
        store.batches().iter().map(|seen| (seen.durability, seen.records.len())).collect();
    assert_eq!(batches, [(Durability::Power, 1), (Durability::Power, 15)]);
}

#[test]
fn a_storage_error_does_not_change_the_result() {
    let store = GatedStore::failing();
    let audit = recorder(&store, Durability::Queued);
    with_recorder(&audit, || {
        assert_eq!(process(1), Ok(0));
        assert_eq!(power(1), 2);
    });
    let counters = audit.counters();
    assert_eq!((counters.unconfirmed, counters.accepted, counters.written), (2, 2, 0));
}

#[test]
fn a_call_waits_no_longer_than_the_wait_limit() {
    let store = GatedStore::blocked();
    let audit = Audit::builder()
        .store(store.clone())
        .wait_limit(Duration::from_millis(1))
        .build()
        .expect("a recorder");
    assert_eq!(with_recorder(&audit, || power(1)), 2);
    assert_eq!(audit.counters().unconfirmed, 1);
    assert!(store.batches().is_empty());
    store.unblock();
    audit.flush().expect("stored in the end");
    assert_eq!(store.actions(), ["power"]);
    assert_eq!(audit.counters().written, 1);
}

#[test]
fn calls_do_not_wait_under_testing_capture() {
    let records = testing::capture(|| {
        assert_eq!(power(1), 2);
        assert_eq!(process(1), Ok(0));
    });
    assert_eq!(records.len(), 2);
}

// ---- on the writer thread ----------------------------------------------------------------------

type Boxed = Pin<Box<dyn Future<Output = u32> + Send>>;

#[audit_method(action = "started elsewhere", durability = "power")]
fn ready_at_second_poll(n: u32) -> Boxed {
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

/// A store that itself makes audited calls, and completes audited futures.
struct CallingStore {
    store: GatedStore,
    futures: Receiver<Boxed>,
    done: Sender<u32>,
}

impl Store for CallingStore {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.write_batch(&Batch::new(records))
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        self.done.send(power(6)).expect("the test receives");
        for mut future in self.futures.try_iter() {
            let poll = future.as_mut().poll(&mut Task::from_waker(Waker::noop()));
            assert!(poll.is_ready());
            self.done.send(41).expect("the test receives");
        }
        self.store.write_batch(batch)
    }
}

#[test]
fn the_writer_thread_does_not_wait_for_itself() {
    let ((give, futures), (done, is_done)) = (channel(), channel());
    let store = GatedStore::accepting();
    let audit = Audit::builder()
        .store(CallingStore { store: store.clone(), futures, done })
        .wait_limit(NEVER)
        .build()
        .expect("a recorder");
    let mut future = with_recorder(&audit, || ready_at_second_poll(40));
    assert!(future.as_mut().poll(&mut Task::from_waker(Waker::noop())).is_pending());
    give.send(future).expect("the store receives it");
    assert_eq!(with_recorder(&audit, || power(1)), 2);
    assert_eq!((is_done.recv(), is_done.recv()), (Ok(7), Ok(41)));
    audit.flush().expect("stored");
    assert_eq!(store.actions(), ["power", "started elsewhere"]);
}

#[test]
fn calls_ended_by_unwinding_wait_as_well() {
    #[audit_method(action = "outer", durability = "process")]
    fn outer() {
        panics(3);
    }
    let store = GatedStore::accepting();
    let audit = recorder(&store, Durability::Process);
    let caught = with_recorder(&audit, || catch_unwind(AssertUnwindSafe(outer)));
    assert!(caught.is_err());
    assert_eq!(store.actions(), ["panic", "outer"]);
    assert!(store.records().iter().all(|record| record.outcome == Outcome::Panic));
}

#[test]
fn the_catalogue_lists_durability_arguments() {
    let text = audited::catalogue().to_string();
    let line = |name: &str| {
        let found = text.lines().find(|line| line.contains(name));
        found.unwrap_or_else(|| panic!("{name} in {text}")).to_owned()
    };
    assert!(line("durability::power").contains("durability power"), "{text}");
    assert!(!line("durability::default_durability").contains("durability power"), "{text}");
}
