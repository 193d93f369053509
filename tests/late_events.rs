//! Events, notes and child calls that arrive after the end of their call must not appear in another
//! call.
//!
//! The recorder reuses the memory of ended calls. Other code may still hold an ended call: a task
//! holds its span, a thread is inside that span, a context names it as the parent. A test binary
//! with one test: only the recorder installed for the process reuses calls.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use audited::store::Store;
use audited::{Audit, Context, Error, Record, audit_method};
use support::MemoryStore;
use tracing::{Span, dispatcher};
use tracing_subscriber::prelude::*;

mod support;

/// More calls than the pool of reusable calls holds.
const CALLS: usize = 6_000;
/// How often each late user repeats its actions in one round.
const REPETITIONS: usize = 50;

/// A store that waits for a lock. While the test holds the lock, no ended call is reused.
struct LockedStore {
    kept: MemoryStore,
    gate: Arc<Mutex<()>>,
}

impl Store for LockedStore {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        drop(self.gate.lock().expect("not poisoned"));
        self.kept.write(records)
    }
}

#[audit_method(action = "first", skip_output)]
fn first() -> (Span, Context) {
    tracing::info!("first");
    (Span::current(), Context::current())
}

#[audit_method(action = "left open", skip(started, finish))]
fn left_open(started: Sender<Span>, finish: Receiver<()>) {
    started.send(Span::current()).expect("the test receives it");
    finish.recv().expect("the test ends the call");
    tracing::info!("left open");
}

#[audit_method(action = "busy")]
fn busy(number: usize) -> usize {
    tracing::info!(number, "busy");
    number
}

#[audit_method(action = "late child")]
fn late_child() {
    tracing::info!("late child");
}

/// Uses an ended call in every possible way.
fn use_ended_call(span: &Span, context: &Context) {
    for _ in 0..REPETITIONS {
        span.in_scope(|| tracing::info!("late"));
        tracing::info!(parent: span, "late");
        let carried = span.in_scope(|| tracing::info_span!("work"));
        carried.in_scope(|| tracing::info!("late"));
        context.scope(|| {
            tracing::info!("late");
            audited::note("late", "late");
        });
    }
    context.scope(late_child);
    span.in_scope(late_child);
}

/// Stays inside `span` from before the end of its call until many later calls have ended.
fn stay_in_span(span: Span, rounds: Receiver<()>, done: Sender<()>) {
    let entered = span.entered();
    tracing::info!("inside");
    done.send(()).expect("the test waits");
    while rounds.recv().is_ok() {
        (0..REPETITIONS).for_each(|_| tracing::info!("late"));
        audited::note("late", "late");
        done.send(()).expect("the test waits");
    }
    drop(entered);
}

fn check(audit: &Audit, kept: &MemoryStore, gate: &Mutex<()>) {
    let before = kept.records().len();
    let dispatch = dispatcher::get_default(Clone::clone);
    let with_subscriber = |f: &mut (dyn FnMut() + Send)| dispatcher::with_default(&dispatch, f);

    let guard = gate.lock().expect("not poisoned");
    let (span, context) = Context::new().actor("alice").scope(first);
    // The call has ended, and the writer thread has not taken it yet.
    use_ended_call(&span, &context);
    thread::scope(|threads| {
        let (round_start, rounds) = channel();
        let (done, is_done) = channel();
        let (started, has_started) = channel();
        let (finish, finished) = channel();
        let mut call = Some((started, finished));
        let mut call = move || {
            let (started, finished) = call.take().expect("called once");
            left_open(started, finished);
        };
        let with_subscriber = &with_subscriber;
        let caller = threads.spawn(move || with_subscriber(&mut call));
        let mut arguments = Some((has_started.recv().expect("the call starts"), rounds, done));
        let mut stay = move || {
            let (span, rounds, done) = arguments.take().expect("called once");
            stay_in_span(span, rounds, done);
        };
        threads.spawn(move || with_subscriber(&mut stay));
        is_done.recv().expect("the thread is in the span");
        finish.send(()).expect("the call waits");
        caller.join().expect("no panic");

        drop(guard);
        audit.flush().expect("the store accepts everything");
        for round in 0..3 {
            // Both late users run concurrently with the new calls.
            round_start.send(()).expect("the thread waits for the next round");
            let mut late = || use_ended_call(&span, &context);
            let late = threads.spawn(move || with_subscriber(&mut late));
            (0..CALLS).for_each(|number| {
                assert_eq!(busy(round * CALLS + number), round * CALLS + number)
            });
            late.join().expect("no panic");
            is_done.recv().expect("the thread has finished the round");
            audit.flush().expect("the store accepts everything");
        }
        drop(round_start);
    });
    (0..CALLS).for_each(|number| assert_eq!(busy(3 * CALLS + number), 3 * CALLS + number));
    audit.flush().expect("the store accepts everything");
    check_records(&kept.records()[before..]);
}

fn check_records(records: &[Record]) {
    let with_action = |action: &str| -> Vec<_> {
        records.iter().filter(|record| record.action == action).collect()
    };
    let messages = |record: &Record| -> Vec<_> {
        record.log.iter().map(|entry| entry.message.clone()).collect()
    };
    let (first, open) = (with_action("first"), with_action("left open"));
    assert_eq!((first.len(), open.len()), (1, 1));
    assert_eq!(messages(first[0]), ["first"]);
    assert_eq!(messages(open[0]), ["inside", "left open"]);

    let mut numbers = Vec::new();
    for record in with_action("busy") {
        let number = record.output.as_ref().expect("an output").to_value();
        assert_eq!(record.input.as_ref().expect("an input").to_value()["number"], number);
        assert_eq!(messages(record), ["busy"], "{record:?}");
        let fields = record.log[0].fields.as_ref().expect("a field");
        assert_eq!(fields.to_value()["number"], number);
        assert_eq!((record.parent_id, record.actor.as_deref()), (None, None));
        numbers.push(number.as_u64().expect("a number"));
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..4 * CALLS as u64), "every call is recorded once");

    let children = with_action("late child");
    assert_eq!(children.len(), 4 * 2);
    for child in children {
        assert_eq!(child.parent_id, Some(first[0].id), "the parent is still the ended call");
        assert_eq!(messages(child), ["late child"]);
    }
    assert!(records.iter().all(|record| record.notes.is_empty()), "no record holds a late note");
    assert_eq!(records.len(), 2 + 4 * CALLS + 4 * 2);
}

#[test]
fn late_events_and_notes_appear_in_no_other_call() {
    let (kept, gate) = (MemoryStore::default(), Arc::new(Mutex::new(())));
    let store = LockedStore { kept: kept.clone(), gate: gate.clone() };
    let audit = Audit::builder().store(store).install().expect("a recorder");
    let subscriber = tracing_subscriber::registry().with(audited::layer());
    tracing::subscriber::with_default(subscriber, || check(&audit, &kept, &gate));
    // The same subscriber that `audited::init` sets.
    audit_core::subscribe_if_none();
    check(&audit, &kept, &gate);
}
