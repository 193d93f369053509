//! Shape 45: values whose `Serialize` or `Debug` panics, fails, or makes audited calls during
//! capture.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use audited::record::Truncation;
use audited::{Outcome, audit_method, testing};
use serde::ser::{Error, Serialize, SerializeStruct, Serializer};
use serde_json::json;

use crate::record_access::{find_record, input, output, single_record};

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
        Err(S::Error::custom("no value"))
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
fn returns_panics(n: u32) -> Panics {
    let _ = n;
    Panics
}

#[audit_method]
fn fails_with_unprintable_error() -> Result<u32, UnprintableError> {
    Err(UnprintableError)
}

#[derive(Debug)]
struct UnprintableError;

impl fmt::Display for UnprintableError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no words for this")
    }
}

impl std::error::Error for UnprintableError {}

#[test]
fn n45_a_panic_in_serialize_or_debug_never_reaches_the_caller() {
    let record = single_record(|| assert_eq!(keeps(1, Panics, PanicsInDebug, 2), 3));
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
fn n45_a_value_that_panics_halfway_leaves_valid_json() {
    let record = single_record(|| assert_eq!(keeps(1, PanicsHalfway, 5, 2), 3));
    let lost = Truncation::not_recorded("input.first.second", "serialising it panicked");
    assert_eq!(record.truncated, [lost]);
    let input = input(&record);
    assert_eq!(
        input,
        json!({
            "before": 1,
            "first": { "first": 1, "second": "[not recorded: serialising it panicked]" },
            "second": "5",
            "after": 2,
        })
    );
}

#[test]
fn n45_an_error_of_serialize_is_recorded_in_place_of_the_value() {
    let record = single_record(|| assert_eq!(keeps(1, Fails, (), 2), 3));
    assert_eq!(input(&record)["first"], "[not recorded: no value]");
    assert_eq!(record.truncated, [Truncation::not_recorded("input.first", "no value")]);
    assert_eq!(record.outcome, Outcome::Success);
}

#[test]
fn n45_an_output_or_error_that_panics_during_capture_keeps_the_outcome() {
    let record = single_record(|| returns_panics(1));
    assert_eq!(record.outcome, Outcome::Success);
    assert_eq!(output(&record), json!("[not recorded: serialising it panicked]"));

    let record = single_record(|| assert!(fails_with_unprintable_error().is_err()));
    assert_eq!(record.outcome, Outcome::Failure);
    assert_eq!(
        crate::record_access::error_message(&record),
        "[not recorded: formatting it panicked]"
    );
}

#[test]
fn n45_a_serialize_implementation_may_call_an_audited_function() {
    let records = testing::capture(|| assert_eq!(keeps(1, Audited(7), (), 2), 3));
    let outer = find_record(&records, "keeps");
    assert_eq!(input(outer)["first"], 7);
    // The inner call is recorded without values, because a capture is in progress.
    let inner = find_record(&records, "number_of");
    assert_eq!((inner.outcome, &inner.input, &inner.output), (Outcome::Success, &None, &None));
    assert_eq!(CALLED.load(Ordering::Relaxed), 1);
    assert!(outer.log.is_empty() && inner.log.is_empty());
}

#[test]
fn n45_values_that_panic_during_unwinding_do_not_abort() {
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            assert_eq!(keeps(1, Panics, PanicsInDebug, 2), 3);
        }
    }
    let record = single_record(|| {
        let text = crate::record_access::panic_message(|| {
            let _last = Last;
            panic!("first");
        });
        assert_eq!(text, "first");
    });
    assert_eq!((record.outcome, output(&record)), (Outcome::Success, json!(3)));
}
