//! `on_audit_failure = "refuse"`: no body runs before the intent of its call is stored.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use audited::record::Kind;
use audited::store::{Batch, Collector, Store};
use audited::{Audit, Context, Durability, Error, Outcome, Record, audit_method, testing};

#[path = "support/gate.rs"]
mod gate;
#[path = "support/refusable.rs"]
mod refusable;

use gate::GatedStore;
use refusable::{BankError, REFUSAL_PREFIX, build_recorder, in_context_of, refusal_text};

/// `effects` counts how often the body runs.
#[audit_method(action = "charge", skip(effects), target = ("account", account), reason = "a test",
    fields(currency = "EUR"), on_audit_failure = "refuse")]
fn charge(account: u64, cents: u32, effects: &Cell<u32>) -> Result<u32, BankError> {
    effects.set(effects.get() + 1);
    cents.checked_sub(1).ok_or(BankError::Empty)
}

// ---- calls that run ----------------------------------------------------------------------------

#[test]
fn the_intent_is_stored_before_the_body_runs_and_closed_by_the_record() {
    #[audit_method(action = "pay", skip(store), on_audit_failure = "refuse")]
    fn pay(_cents: u32, store: &GatedStore) -> Result<usize, BankError> {
        assert_eq!(store.records().len(), 0);
        Ok(store.intents().len())
    }
    let store = GatedStore::accepting();
    let audit = build_recorder(&store);
    assert_eq!(in_context_of(&audit, || pay(7, &store)), Ok(1), "the body saw its stored intent");
    audit.flush().expect("stored");
    let (intents, records) = (store.intents(), store.records());
    let ([intent], [record]) = (&intents[..], &records[..]) else { panic!("one of each") };
    assert_eq!((intent.id, intent.started_at), (record.id, record.started_at));
    assert_eq!((intent.outcome, record.outcome), (Outcome::Unknown, Outcome::Success));
    assert_eq!(audit.counters().accepted, 1, "an intent does not count as a record");
}

#[test]
fn an_intent_holds_everything_known_before_the_body_runs() {
    let (store, effects) = (GatedStore::accepting(), Cell::new(0));
    let audit = build_recorder(&store);
    #[audit_method(action = "outer")]
    fn outer(effects: &Cell<u32>) {
        charge(4711, 0, effects).expect_err("nothing to charge");
    }
    in_context_of(&audit, || outer(&effects));
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
fn an_intent_has_the_durability_of_its_record_but_at_least_process() {
    #[audit_method(durability = "power", on_audit_failure = "refuse")]
    fn power() -> Result<(), BankError> {
        Ok(())
    }
    #[audit_method(durability = "queued", on_audit_failure = "refuse")]
    fn queued() -> Result<(), BankError> {
        Ok(())
    }
    for (call, expected) in [
        (power as fn() -> _, [Durability::Power, Durability::Power]),
        (queued as fn() -> _, [Durability::Process, Durability::Process]),
    ] {
        let store = GatedStore::accepting();
        let audit = build_recorder(&store);
        assert_eq!(in_context_of(&audit, call), Ok(()));
        audit.flush().expect("stored");
        let seen: Vec<Durability> = store.batches().iter().map(|seen| seen.durability).collect();
        assert_eq!(seen, expected);
    }
}

#[test]
fn a_panic_closes_the_intent() {
    #[audit_method(on_audit_failure = "refuse")]
    fn panics() -> Result<(), BankError> {
        panic!("too much")
    }
    let store = GatedStore::accepting();
    let audit = build_recorder(&store);
    in_context_of(&audit, || catch_unwind(AssertUnwindSafe(panics)).expect_err("a panic"));
    audit.flush().expect("stored");
    assert_eq!(store.records()[0].id, store.intents()[0].id);
    assert_eq!(store.records()[0].outcome, Outcome::Panic);
}

#[test]
fn the_record_of_a_call_tells_how_long_it_waited_for_its_intent() {
    let (store, effects) = (GatedStore::blocked(), AtomicUsize::new(0));
    let audit = build_recorder(&store);
    #[audit_method(skip(effects), on_audit_failure = "refuse")]
    fn pay(effects: &AtomicUsize) -> Result<(), BankError> {
        effects.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
    let blocked_for = std::thread::scope(|threads| {
        let call = threads.spawn(|| in_context_of(&audit, || pay(&effects)));
        while !store.has_received(1) {
            std::thread::yield_now();
        }
        let since = Instant::now();
        std::thread::sleep(Duration::from_millis(20));
        let blocked_for = since.elapsed();
        assert_eq!(effects.load(Ordering::SeqCst), 0);
        store.unblock();
        assert_eq!(call.join().expect("no panic"), Ok(()));
        blocked_for
    });
    audit.flush().expect("stored");
    assert_eq!(store.intents()[0].wait_us, None);
    let wait_us = store.records()[0].wait_us.expect("the call has waited");
    assert!(u128::from(wait_us) >= blocked_for.as_micros(), "{wait_us} µs, {blocked_for:?}");
}

#[test]
fn the_record_of_a_call_without_an_intent_tells_no_wait() {
    let records = testing::capture(|| assert_eq!(charge(1, 2, &Cell::new(0)), Ok(1)));
    assert_eq!(records[0].wait_us, None);
}

// ---- calls that are refused --------------------------------------------------------------------

/// Makes a call that must be refused, and returns the text of the refusal.
#[track_caller]
fn refusal(audit: &Audit) -> String {
    let effects = Cell::new(0);
    let why = refusal_text(in_context_of(audit, || charge(1, 2, &effects)));
    assert_eq!(effects.get(), 0, "the body must not run");
    why
}

#[test]
fn a_call_is_refused_and_recorded_when_its_intent_is_not_stored() {
    let store = GatedStore::rejecting_intents();
    let audit = build_recorder(&store);
    let why = refusal(&audit);
    assert_eq!(why, format!("{REFUSAL_PREFIX}the disk is gone"));
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
    let (store, effects) = (GatedStore::blocked(), Cell::new(0));
    let audit = Audit::builder()
        .store(store.clone())
        .wait_limit(Duration::from_millis(1))
        .build()
        .expect("a recorder");
    let why = refusal_text(in_context_of(&audit, || power(&effects)));
    assert_eq!(
        why,
        format!(
            "{REFUSAL_PREFIX}the store has not stored it within 1ms; \
             see `Audit::health`"
        )
    );
    assert_eq!((effects.get(), audit.counters().unconfirmed), (0, 0));
    store.unblock();
    audit.flush().expect("stored");
    let [record] = &store.records()[..] else { panic!("one record") };
    assert_eq!(record.outcome, Outcome::Failure);
    // If the intent was stored late, the record closes it.
    assert!(store.intents().iter().all(|intent| intent.id == record.id));
}

#[test]
fn a_call_is_refused_when_the_store_is_broken() {
    let store = GatedStore::failing();
    let audit = build_recorder(&store);
    assert_eq!(refusal(&audit), format!("{REFUSAL_PREFIX}the disk is gone"));
    assert!(store.batches().is_empty());
}

#[test]
fn a_call_is_refused_when_the_store_does_not_support_intents() {
    struct StoreWithoutIntents;
    impl Store for StoreWithoutIntents {
        fn write(&mut self, _: &[Record]) -> Result<(), Error> {
            Ok(())
        }
    }
    let audit = Audit::builder().store(StoreWithoutIntents).build().expect("a recorder");
    let why = refusal(&audit);
    assert!(why.contains("this store does not support intents"), "{why}");
}

#[test]
fn a_call_without_a_recorder_is_refused() {
    let effects = Cell::new(0);
    let why = refusal_text(charge(1, 2, &effects));
    assert!(why.starts_with(REFUSAL_PREFIX), "{why}");
    assert!(why.contains("this process has no active recorder; install one"), "{why}");
    assert!(why.contains("in tests, use `audited::testing::capture`"), "{why}");
    assert_eq!(effects.get(), 0);
}

#[test]
fn a_call_is_refused_when_its_recording_is_disabled() {
    let store = GatedStore::accepting();
    let audit = build_recorder(&store);
    audit.set_enabled(false);
    let why = refusal(&audit);
    assert!(why.ends_with("recording is disabled; call `Audit::set_enabled(true)`"), "{why}");

    let audit = Audit::builder().store(store.clone()).skip_actions(["ch*"]).build().expect("one");
    let why = refusal(&audit);
    assert!(
        why.contains("the recorder skips this action; remove it from `AuditBuilder::skip_actions`"),
        "{why}"
    );

    let audit = Audit::builder()
        .store(store.clone())
        .capture(audited::CaptureLevel::None)
        .build()
        .expect("one");
    assert!(refusal(&audit).contains("the recorder skips this action"));
    assert!(store.batches().is_empty());
}

#[test]
fn a_call_is_refused_when_its_recorder_is_closed() {
    let store = GatedStore::accepting();
    let audit = build_recorder(&store);
    let context = Context::new().recorder(&audit);
    audit.shutdown().expect("close succeeds");
    let effects = Cell::new(0);
    // While another recorder is open, calls still look up their own recorder.
    let other = build_recorder(&store);
    let why = refusal_text(context.scope(|| charge(1, 2, &effects)));
    assert!(why.ends_with("the recorder is closed"), "{why}");
    assert_eq!(effects.get(), 0);
    drop(other);
}

static BODIES_RUN: AtomicUsize = AtomicUsize::new(0);

#[audit_method(on_audit_failure = "refuse")]
fn called_by_the_store() -> Result<(), BankError> {
    BODIES_RUN.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

#[test]
fn a_call_on_the_writer_thread_is_refused() {
    struct CallingStore(std::sync::mpsc::Sender<String>);
    impl Store for CallingStore {
        fn write(&mut self, _: &[Record]) -> Result<(), Error> {
            self.0.send(refusal_text(called_by_the_store())).expect("the test receives");
            Ok(())
        }
        fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
            self.write(batch.records)
        }
    }
    let (send, refusals) = std::sync::mpsc::channel();
    let audit = Audit::builder().store(CallingStore(send)).build().expect("a recorder");
    in_context_of(&audit, || audited::execute("any", "m", (), || ()));
    audit.flush().expect("stored");
    let why = refusals.recv().expect("the store made a call");
    assert!(why.contains("code that the audit itself runs on this thread"), "{why}");
    assert_eq!(BODIES_RUN.load(Ordering::SeqCst), 0);
}

// ---- records kept in memory --------------------------------------------------------------------

#[test]
fn calls_recorded_in_memory_run_without_an_intent() {
    let effects = Cell::new(0);
    let records = testing::capture(|| assert_eq!(charge(1, 2, &effects), Ok(1)));
    assert_eq!((records.len(), records[0].outcome, effects.get()), (1, Outcome::Success, 1));

    let collector = Collector::new();
    collector.scope(|| assert_eq!(charge(1, 0, &effects), Err(BankError::Empty)));
    let records = collector.take().expect("the records");
    assert_eq!((records.len(), records[0].outcome, effects.get()), (1, Outcome::Failure, 2));
}
