//! `on_audit_failure = "refuse"`: no body runs before its intent is stored.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use audited::{
    Audit, Batch, Collector, Context, Durability, Error, Kind, Outcome, Record, Sink, audit_method,
    testing,
};

#[path = "support/gate.rs"]
mod gate;
#[path = "support/refusable.rs"]
mod refusable;

use gate::Gate;
use refusable::{BEGINS, BankError, recorder, why, within};

/// `effects` counts how often the body has run.
#[audit_method(action = "charge", skip(effects), target = ("account", account), reason = "a test",
    fields(currency = "EUR"), on_audit_failure = "refuse")]
fn charge(account: u64, cents: u32, effects: &Cell<u32>) -> Result<u32, BankError> {
    effects.set(effects.get() + 1);
    cents.checked_sub(1).ok_or(BankError::Empty)
}

// ---- admitted -------------------------------------------------------------------------------------------

#[test]
fn the_intent_is_stored_before_the_body_and_closed_by_the_record() {
    #[audit_method(action = "pay", skip(store), on_audit_failure = "refuse")]
    fn pay(_cents: u32, store: &Gate) -> Result<usize, BankError> {
        assert_eq!(store.records().len(), 0);
        Ok(store.intents().len())
    }
    let store = Gate::open();
    let audit = recorder(&store);
    assert_eq!(within(&audit, || pay(7, &store)), Ok(1), "the body has seen its intent");
    audit.flush().expect("stored");
    let (intents, records) = (store.intents(), store.records());
    let ([intent], [record]) = (&intents[..], &records[..]) else { panic!("one of each") };
    assert_eq!((intent.id, intent.started_at), (record.id, record.started_at));
    assert_eq!((intent.outcome, record.outcome), (Outcome::Unknown, Outcome::Success));
    assert_eq!(audit.counters().accepted, 1, "an intent is no record");
}

#[test]
fn an_intent_tells_what_is_known_before_the_body() {
    let (store, effects) = (Gate::open(), Cell::new(0));
    let audit = recorder(&store);
    #[audit_method(action = "outer")]
    fn outer(effects: &Cell<u32>) {
        charge(4711, 0, effects).expect_err("nothing to charge");
    }
    within(&audit, || outer(&effects));
    audit.flush().expect("stored");
    let (intents, records) = (store.intents(), store.records());
    let ([intent], [record, outer]) = (&intents[..], &records[..]) else { panic!("one and two") };
    assert_eq!(
        (intent.kind, &*intent.action, &*intent.method),
        (Kind::Call, "charge", "refuse::charge")
    );
    assert_eq!(intent.input, record.input);
    assert_eq!(intent.input.as_ref().unwrap().as_str(), r#"{"account":4711,"cents":0}"#);
    assert_eq!(intent.actor.as_deref(), Some("alice"));
    assert_eq!(intent.target_id.as_deref(), Some("4711"));
    assert_eq!(intent.reason.as_deref(), Some("a test"));
    assert_eq!((intent.parent_id, &intent.correlation_id), (Some(outer.id), &outer.correlation_id));
    assert_eq!(intent.context, record.context);
    assert_eq!((&intent.output, &intent.error, intent.duration_us), (&None, &None, 0));
    assert_eq!((record.outcome, record.method.clone()), (Outcome::Failure, intent.method.clone()));
}

#[test]
fn an_intent_is_as_durable_as_the_record_but_never_only_queued() {
    #[audit_method(durability = "power", on_audit_failure = "refuse")]
    fn power() -> Result<(), BankError> {
        Ok(())
    }
    #[audit_method(durability = "queued", on_audit_failure = "refuse")]
    fn queued() -> Result<(), BankError> {
        Ok(())
    }
    for (call, asked) in [
        (power as fn() -> _, [Durability::Power, Durability::Power]),
        (queued as fn() -> _, [Durability::Process, Durability::Process]),
    ] {
        let store = Gate::open();
        let audit = recorder(&store);
        assert_eq!(within(&audit, call), Ok(()));
        audit.flush().expect("stored");
        let seen: Vec<Durability> = store.seen().iter().map(|seen| seen.durability).collect();
        assert_eq!(seen, asked);
    }
}

#[test]
fn a_panic_closes_the_intent_as_well() {
    #[audit_method(on_audit_failure = "refuse")]
    fn panics() -> Result<(), BankError> {
        panic!("too much")
    }
    let store = Gate::open();
    let audit = recorder(&store);
    within(&audit, || catch_unwind(AssertUnwindSafe(panics)).expect_err("a panic"));
    audit.flush().expect("stored");
    assert_eq!(store.records()[0].id, store.intents()[0].id);
    assert_eq!(store.records()[0].outcome, Outcome::Panic);
}

// ---- refused --------------------------------------------------------------------------------------------

/// Calls, and gives what the caller was told.
#[track_caller]
fn refused(audit: &Audit) -> String {
    let effects = Cell::new(0);
    let why = why(within(audit, || charge(1, 2, &effects)));
    assert_eq!(effects.get(), 0, "the body has run");
    why
}

#[test]
fn a_store_that_takes_no_intent_refuses_the_call_and_tells_it() {
    let store = Gate::without_intents();
    let audit = recorder(&store);
    let why = refused(&audit);
    assert_eq!(why, format!("{BEGINS}the store has not confirmed its intent: the disk is gone"));
    audit.flush().expect("records are stored");
    let [record] = &store.records()[..] else { panic!("one record") };
    assert_eq!(record.outcome, Outcome::Failure);
    let error = record.error.as_ref().expect("an error");
    assert_eq!((&*error.type_name, &*error.message), ("refuse::refusable::BankError", &*why));
    assert_eq!(record.input.as_ref().unwrap().as_str(), r#"{"account":1,"cents":2}"#);
}

#[test]
fn a_refused_call_does_not_wait_for_its_record() {
    #[audit_method(durability = "power", on_audit_failure = "refuse")]
    fn power(effects: &Cell<u32>) -> Result<(), BankError> {
        effects.set(1);
        Ok(())
    }
    let (store, effects) = (Gate::shut(), Cell::new(0));
    let audit = Audit::builder()
        .store(store.clone())
        .wait_limit(Duration::from_millis(1))
        .build()
        .expect("a recorder");
    let why = why(within(&audit, || power(&effects)));
    assert_eq!(
        why,
        format!(
            "{BEGINS}the store has not confirmed its intent: the store has not taken it within 1ms; `Audit::health` says how it is doing"
        )
    );
    assert_eq!((effects.get(), audit.counters().unconfirmed), (0, 0));
    store.let_in();
    audit.flush().expect("stored");
    let [record] = &store.records()[..] else { panic!("one record") };
    assert_eq!(record.outcome, Outcome::Failure);
    // The intent was stored late, if at all: then the record closes it.
    assert!(store.intents().iter().all(|intent| intent.id == record.id));
}

#[test]
fn a_store_that_takes_nothing_refuses_the_call() {
    let store = Gate::broken();
    let audit = recorder(&store);
    assert_eq!(
        refused(&audit),
        format!("{BEGINS}the store has not confirmed its intent: the disk is gone")
    );
    assert!(store.seen().is_empty());
}

#[test]
fn a_store_that_knows_no_intents_refuses_the_call() {
    struct Plain;
    impl Sink for Plain {
        fn write(&mut self, _: &[Record]) -> Result<(), Error> {
            Ok(())
        }
    }
    let audit = Audit::builder().store(Plain).build().expect("a recorder");
    let why = refused(&audit);
    assert!(why.contains("this store keeps no intents"), "{why}");
}

#[test]
fn without_a_recorder_the_call_is_refused() {
    let effects = Cell::new(0);
    let why = why(charge(1, 2, &effects));
    assert!(why.starts_with(BEGINS), "{why}");
    assert!(why.contains("no recorder is at work in this process: install one"), "{why}");
    assert!(why.contains("in tests, use `audited::testing::capture`"), "{why}");
    assert_eq!(effects.get(), 0);
}

#[test]
fn where_nothing_is_recorded_the_call_is_refused() {
    let store = Gate::open();
    let audit = recorder(&store);
    audit.set_enabled(false);
    let why = refused(&audit);
    assert!(why.ends_with("recording is switched off: call `Audit::set_enabled(true)`"), "{why}");

    let audit = Audit::builder().store(store.clone()).skip_actions(["ch*"]).build().expect("one");
    let why = refused(&audit);
    assert!(
        why.contains("the recorder leaves this action out: take it off `skip_actions`"),
        "{why}"
    );

    let audit = Audit::builder()
        .store(store.clone())
        .capture(audited::CaptureLevel::None)
        .build()
        .expect("one");
    assert!(refused(&audit).contains("the recorder leaves this action out"));
    assert!(store.seen().is_empty());
}

#[test]
fn a_closed_recorder_refuses_the_call() {
    let store = Gate::open();
    let audit = recorder(&store);
    let context = Context::new().recorder(&audit);
    audit.close().expect("closed");
    let effects = Cell::new(0);
    // Another one at work keeps calls looking for theirs.
    let other = recorder(&store);
    let why = why(context.scope(|| charge(1, 2, &effects)));
    assert!(why.ends_with("the recorder is closed"), "{why}");
    assert_eq!(effects.get(), 0);
    drop(other);
}

static BODIES: AtomicUsize = AtomicUsize::new(0);

#[audit_method(on_audit_failure = "refuse")]
fn by_the_store() -> Result<(), BankError> {
    BODIES.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

#[test]
fn on_the_writer_thread_the_call_is_refused() {
    struct Calls(std::sync::mpsc::Sender<String>);
    impl Sink for Calls {
        fn write(&mut self, _: &[Record]) -> Result<(), Error> {
            self.0.send(why(by_the_store())).expect("the test listens");
            Ok(())
        }
        fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
            self.write(batch.records)
        }
    }
    let (told, tells) = std::sync::mpsc::channel();
    let audit = Audit::builder().store(Calls(told)).build().expect("a recorder");
    within(&audit, || audited::execute("any", "m", (), || ()));
    audit.flush().expect("stored");
    let why = tells.recv().expect("it was called");
    assert!(why.contains("while the audit itself is at work on this thread"), "{why}");
    assert_eq!(BODIES.load(Ordering::SeqCst), 0);
}

// ---- in memory ------------------------------------------------------------------------------------------

#[test]
fn in_memory_calls_are_admitted_without_an_intent() {
    let effects = Cell::new(0);
    let records = testing::capture(|| assert_eq!(charge(1, 2, &effects), Ok(1)));
    assert_eq!((records.len(), records[0].outcome, effects.get()), (1, Outcome::Success, 1));

    let collector = Collector::new();
    collector.scope(|| assert_eq!(charge(1, 0, &effects), Err(BankError::Empty)));
    let records = collector.take().expect("kept");
    assert_eq!((records.len(), records[0].outcome, effects.get()), (1, Outcome::Failure, 2));
}
