//! Values whose `Serialize` or `Debug` misbehaves while they are captured; 45.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use audited::{Outcome, audit_method, testing};
use serde::ser::{Error, Serialize, SerializeStruct, Serializer};
use serde_json::json;

use crate::support::{input, named, one, output};

struct Panics;

impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("no text for this")
    }
}

struct PanicsHalfway;

impl Serialize for PanicsHalfway {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut whole = serializer.serialize_struct("PanicsHalfway", 2)?;
        whole.serialize_field("first", &1)?;
        whole.serialize_field("second", &Panics)?;
        whole.end()
    }
}

struct Fails;

impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("out of words"))
    }
}

struct PanicsInDebug;

impl fmt::Debug for PanicsInDebug {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no shape for this")
    }
}

/// Calls an audited function to serialise itself.
struct Audited(u32);

static CALLED: AtomicU32 = AtomicU32::new(0);

#[audit_method]
fn number_of(value: &Audited) -> u32 {
    tracing::info!("asked for the number");
    CALLED.fetch_add(1, Ordering::Relaxed);
    value.0
}

impl Serialize for Audited {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(number_of(self))
    }
}

#[audit_method]
fn keeps<A, B>(before: u32, first: A, second: B, after: u32) -> u32
where
    A: Serialize,
    B: fmt::Debug,
{
    let _ = (first, second);
    before + after
}

#[audit_method]
fn gives_panics(n: u32) -> Panics {
    let _ = n;
    Panics
}

#[audit_method]
fn fails_unspeakably() -> Result<u32, UnspeakableError> {
    Err(UnspeakableError)
}

#[derive(Debug)]
struct UnspeakableError;

impl fmt::Display for UnspeakableError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no words for this")
    }
}

impl std::error::Error for UnspeakableError {}

#[test]
fn n45_panicking_serialize_and_debug_never_reach_the_caller() {
    let record = one(|| assert_eq!(keeps(1, Panics, PanicsInDebug, 2), 3));
    assert_eq!(
        input(&record),
        json!({
            "before": 1,
            "first": "[not recorded: serialising it panicked]",
            "second": "[not recorded: formatting it panicked]",
            "after": 2,
        })
    );
    assert_eq!((record.outcome, output(&record)), (Outcome::Success, json!(3)));
}

#[test]
fn n45_value_that_breaks_off_halfway_leaves_valid_json() {
    let record = one(|| assert_eq!(keeps(1, PanicsHalfway, 5, 2), 3));
    let input = input(&record);
    assert_eq!(
        input,
        json!({
            "before": 1,
            "first": "[not recorded: serialising it panicked]",
            "second": "5",
            "after": 2,
        })
    );
}

#[test]
fn n45_serialize_that_returns_an_error() {
    let record = one(|| assert_eq!(keeps(1, Fails, (), 2), 3));
    assert_eq!(input(&record)["first"], "[not recorded: out of words]");
    assert_eq!(record.outcome, Outcome::Success);
}

#[test]
fn n45_output_and_error_that_panic_while_they_are_recorded() {
    let record = one(|| gives_panics(1));
    assert_eq!(record.outcome, Outcome::Success);
    assert_eq!(output(&record), json!("[not recorded: serialising it panicked]"));

    let record = one(|| assert!(fails_unspeakably().is_err()));
    assert_eq!(record.outcome, Outcome::Failure);
    assert_eq!(crate::support::message(&record), "[not recorded: formatting it panicked]");
}

#[test]
fn n45_serialize_that_calls_an_audited_function() {
    let records = testing::capture(|| assert_eq!(keeps(1, Audited(7), (), 2), 3));
    let outer = named(&records, "keeps");
    assert_eq!(input(outer)["first"], 7);
    // The inner call is on record, without the value that is just being captured.
    let inner = named(&records, "number_of");
    assert_eq!((inner.outcome, &inner.input, &inner.output), (Outcome::Success, &None, &None));
    assert_eq!(CALLED.load(Ordering::Relaxed), 1);
    assert!(outer.log.is_empty() && inner.log.is_empty());
}

#[test]
fn n45_panicking_values_during_an_unwinding_do_not_abort() {
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            assert_eq!(keeps(1, Panics, PanicsInDebug, 2), 3);
        }
    }
    let record = one(|| {
        let text = crate::support::panic_of(|| {
            let _last = Last;
            panic!("first");
        });
        assert_eq!(text, "first");
    });
    assert_eq!((record.outcome, output(&record)), (Outcome::Success, json!(3)));
}
