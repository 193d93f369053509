//! Calls are made of calls that are over. Somebody may still hold one of those: a task its span, a thread that is in
//! that span, a context its parent. What they do then must not come up in the calls that were made since. One test, for
//! the recorder is that of the process; only there are calls used again.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use audited::{Audit, Context, Error, Record, Sink, audit_method};
use support::Kept;
use tracing::{Span, dispatcher};
use tracing_subscriber::prelude::*;

mod support;

/// More than are kept to be used again.
const CALLS: usize = 6_000;
/// What each late one does at each of its turns.
const LATE: usize = 50;

/// A store that waits for the gate: until then, calls that have ended are not used again.
struct Gated {
    kept: Kept,
    gate: Arc<Mutex<()>>,
}

impl Sink for Gated {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        drop(self.gate.lock().expect("nobody panics with it"));
        self.kept.write(records)
    }
}

#[audit_method(action = "first", skip_output)]
fn first() -> (Span, Context) {
    tracing::info!("first");
    (Span::current(), Context::current())
}

#[audit_method(action = "left open", skip(begun, leave))]
fn left_open(begun: Sender<Span>, leave: Receiver<()>) {
    begun.send(Span::current()).expect("somebody waits for it");
    leave.recv().expect("somebody lets it go");
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

/// What may be done with a call that is over.
fn be_late(span: &Span, context: &Context) {
    for _ in 0..LATE {
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

/// Stays in `span` from before the end of its call until after many others.
fn stay_in(span: Span, turn: Receiver<()>, done: Sender<()>) {
    let entered = span.entered();
    tracing::info!("inside");
    done.send(()).expect("the test goes on");
    while turn.recv().is_ok() {
        (0..LATE).for_each(|_| tracing::info!("late"));
        audited::note("late", "late");
        done.send(()).expect("the test goes on");
    }
    drop(entered);
}

fn check(audit: &Audit, kept: &Kept, gate: &Mutex<()>) {
    let before = kept.records().len();
    let dispatch = dispatcher::get_default(Clone::clone);
    let elsewhere = |f: &mut (dyn FnMut() + Send)| dispatcher::with_default(&dispatch, f);

    let held = gate.lock().expect("nobody panics with it");
    let (span, context) = Context::new().actor("alice").scope(first);
    // Ended, and not taken by the writer yet.
    be_late(&span, &context);
    thread::scope(|threads| {
        let (turn, turns) = channel();
        let (done, is_done) = channel();
        let (begun, begins) = channel();
        let (leave, leaves) = channel();
        let mut call = Some((begun, leaves));
        let mut call = move || {
            let (begun, leaves) = call.take().expect("called once");
            left_open(begun, leaves);
        };
        let elsewhere = &elsewhere;
        let calling = threads.spawn(move || elsewhere(&mut call));
        let mut open = Some((begins.recv().expect("it begins"), turns, done));
        let mut stay = move || {
            let (open, turns, done) = open.take().expect("called once");
            stay_in(open, turns, done);
        };
        threads.spawn(move || elsewhere(&mut stay));
        is_done.recv().expect("it is in the span");
        leave.send(()).expect("the call waits for it");
        calling.join().expect("no panic");

        drop(held);
        audit.flush().expect("a store that takes all");
        for round in 0..3 {
            // At the same time as others.
            turn.send(()).expect("it waits for its turn");
            let mut late = || be_late(&span, &context);
            let late = threads.spawn(move || elsewhere(&mut late));
            (0..CALLS).for_each(|number| {
                assert_eq!(busy(round * CALLS + number), round * CALLS + number)
            });
            late.join().expect("no panic");
            is_done.recv().expect("it has had its turn");
            audit.flush().expect("a store that takes all");
        }
        drop(turn);
    });
    (0..CALLS).for_each(|number| assert_eq!(busy(3 * CALLS + number), 3 * CALLS + number));
    audit.flush().expect("a store that takes all");
    inspect(&kept.records()[before..]);
}

fn inspect(records: &[Record]) {
    let of = |action: &str| -> Vec<_> {
        records.iter().filter(|record| record.action == action).collect()
    };
    let messages = |record: &Record| -> Vec<_> {
        record.log.iter().map(|entry| entry.message.clone()).collect()
    };
    let (first, open) = (of("first"), of("left open"));
    assert_eq!((first.len(), open.len()), (1, 1));
    assert_eq!(messages(first[0]), ["first"]);
    assert_eq!(messages(open[0]), ["inside", "left open"]);

    let mut numbers = Vec::new();
    for record in of("busy") {
        let number = record.output.as_ref().expect("an output").to_value();
        assert_eq!(record.input.as_ref().expect("an input").to_value()["number"], number);
        assert_eq!(messages(record), ["busy"], "{record:?}");
        let fields = record.log[0].fields.as_ref().expect("a field");
        assert_eq!(fields.to_value()["number"], number);
        assert_eq!((record.parent_id, record.actor.as_deref()), (None, None));
        numbers.push(number.as_u64().expect("a number"));
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..4 * CALLS as u64), "each call once");

    let children = of("late child");
    assert_eq!(children.len(), 4 * 2);
    for child in children {
        assert_eq!(child.parent_id, Some(first[0].id), "its parent is still the one that it was");
        assert_eq!(messages(child), ["late child"]);
    }
    assert!(
        records.iter().all(|record| record.notes.is_empty()),
        "no note was for a call on record"
    );
    assert_eq!(records.len(), 2 + 4 * CALLS + 4 * 2);
}

#[test]
fn what_comes_too_late_for_its_call_comes_up_in_no_other() {
    let (kept, gate) = (Kept::default(), Arc::new(Mutex::new(())));
    let store = Gated { kept: kept.clone(), gate: gate.clone() };
    let audit = Audit::builder().store(store).install().expect("a recorder");
    let subscriber = tracing_subscriber::registry().with(audited::layer());
    tracing::subscriber::with_default(subscriber, || check(&audit, &kept, &gate));
    // As `audited::init` does it.
    audit_core::subscribe_if_none();
    check(&audit, &kept, &gate);
}
