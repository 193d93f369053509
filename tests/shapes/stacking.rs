//! Shapes 46 to 48: other attributes on the same function.

use std::panic::Location;
use std::sync::{Arc, Mutex};

use audited::{Outcome, audit_method, testing};
use serde_json::json;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use crate::record_access::{
    error_message, find_record, input, log_messages, only_record, output, panic_message,
    single_record,
};

// ---- 46 -----------------------------------------------------------------------------------------

/// Has this comment once.
#[audit_method]
#[must_use = "the function has no other effect"]
#[inline]
pub(crate) fn documented(left: u32, right: u32) -> u32 {
    left + right
}

#[inline(always)]
#[cold]
#[doc = "Has attributes above and below."]
#[audit_method]
#[doc(alias = "surrounded")]
#[allow(clippy::inline_always)]
fn around(n: u32) -> u32 {
    n + 1
}

#[audit_method]
#[unsafe(no_mangle)]
extern "C" fn audited_shapes_exported(n: u32) -> u32 {
    n * 2
}

mod linked {
    unsafe extern "C" {
        pub(super) safe fn audited_shapes_exported(n: u32) -> u32;
    }
}

#[cfg(target_arch = "x86_64")]
#[audit_method]
#[target_feature(enable = "sse2")]
fn sum_of_four(numbers: [i32; 4]) -> i32 {
    use std::arch::x86_64::{_mm_add_epi32, _mm_cvtsi128_si32, _mm_set_epi32, _mm_shuffle_epi32};
    // These intrinsics are safe only where the feature is known to be enabled.
    let all = _mm_set_epi32(numbers[0], numbers[1], numbers[2], numbers[3]);
    let pairs = _mm_add_epi32(all, _mm_shuffle_epi32::<0b01_00_11_10>(all));
    let sum = _mm_add_epi32(pairs, _mm_shuffle_epi32::<0b10_11_00_01>(pairs));
    _mm_cvtsi128_si32(sum)
}

#[test]
fn n46_other_attributes_stay_on_the_function() {
    let record = single_record(|| assert_eq!(documented(1, 2), 3));
    assert_eq!((input(&record), output(&record)), (json!({"left": 1, "right": 2}), json!(3)));
    let record = single_record(|| assert_eq!(around(1), 2));
    assert_eq!(output(&record), json!(2));
}

#[test]
fn n46_an_exported_name_is_defined_once() {
    let record = single_record(|| assert_eq!(linked::audited_shapes_exported(4), 8));
    assert_eq!((input(&record), output(&record)), (json!({"n": 4}), json!(8)));
    assert_eq!(record.method, "shapes_attributes::stacking::audited_shapes_exported");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn n46_target_feature_applies_to_the_body() {
    // SAFETY: every x86-64 has SSE2.
    let record = single_record(|| assert_eq!(unsafe { sum_of_four([1, 2, 3, 4]) }, 10));
    assert_eq!((input(&record), output(&record)), (json!({"numbers": [1, 2, 3, 4]}), json!(10)));
}

#[test]
#[audit_method]
fn n46_the_attribute_works_below_test() {
    assert_eq!(audited_inside(), 3);
}

#[audit_method]
#[test]
fn n46_the_attribute_works_above_test() {
    assert_eq!(audited_inside(), 3);
}

#[tokio::test]
#[audit_method]
async fn n46_the_attribute_works_below_tokio_test() {
    tokio::task::yield_now().await;
    assert_eq!(audited_inside(), 3);
}

#[audit_method]
#[tokio::test]
async fn n46_the_attribute_works_above_tokio_test() {
    tokio::task::yield_now().await;
    assert_eq!(audited_inside(), 3);
}

fn audited_inside() -> u32 {
    documented(1, 2)
}

#[tracing::instrument(ret)]
#[audit_method]
fn instrument_above(n: u32) -> Result<u32, String> {
    tracing::info!("inside");
    n.checked_sub(1).ok_or_else(|| "below zero".to_owned())
}

#[audit_method]
#[tracing::instrument(err)]
fn instrument_below(n: u32) -> Result<u32, String> {
    tracing::info!("inside");
    n.checked_sub(1).ok_or_else(|| "below zero".to_owned())
}

#[tracing::instrument]
#[audit_method]
async fn async_above(n: u32) -> u32 {
    tokio::task::yield_now().await;
    tracing::info!("inside");
    n
}

#[audit_method]
#[tracing::instrument]
async fn async_below(n: u32) -> u32 {
    tokio::task::yield_now().await;
    tracing::info!("inside");
    n
}

/// Collects the names of the spans around each INFO event.
#[derive(Clone, Default)]
struct SpanNames(Arc<Mutex<Vec<Vec<&'static str>>>>);

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for SpanNames {
    fn on_event(&self, event: &tracing::Event<'_>, ctx: tracing_subscriber::layer::Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::INFO {
            let scope = ctx.event_scope(event).into_iter().flatten();
            self.0.lock().unwrap().push(scope.map(|span| span.name()).collect());
        }
    }
}

#[test]
fn n46_instrument_works_above_and_below() {
    let around = SpanNames::default();
    let subscriber = tracing_subscriber::registry().with(audited::layer()).with(around.clone());
    let records = tracing::subscriber::with_default(subscriber, || {
        testing::capture(|| {
            assert_eq!(instrument_above(1), Ok(0));
            assert_eq!(instrument_below(0), Err("below zero".to_owned()));
        })
    });
    // The upper attribute expands first, so it ends up inside: its `ret` event is in the log of the
    // call.
    let above = find_record(&records, "instrument_above");
    assert_eq!((input(above), output(above)), (json!({"n": 1}), json!(0)));
    assert_eq!(log_messages(above), ["inside", ""]);
    assert_eq!(above.log[1].fields.as_ref().unwrap().to_value(), json!({"return": "Ok(0)"}));
    let below = find_record(&records, "instrument_below");
    assert_eq!((below.outcome, error_message(below)), (Outcome::Failure, "below zero"));
    assert_eq!(log_messages(below), ["inside"]);
    let around = around.0.lock().unwrap();
    assert_eq!(around.first().unwrap(), &["instrument_above", "call"]);
    assert_eq!(around.last().unwrap(), &["call", "instrument_below"]);
}

#[tokio::test]
async fn n46_instrument_works_above_and_below_on_async_functions() {
    let records = testing::capture_async(async {
        assert_eq!(async_above(1).await + async_below(2).await, 3);
    })
    .await;
    for (name, n) in [("async_above", 1), ("async_below", 2)] {
        let record = find_record(&records, name);
        assert_eq!((input(record), output(record)), (json!({"n": n}), json!(n)));
        assert_eq!(log_messages(record), ["inside"]);
    }
}

// ---- 47 -----------------------------------------------------------------------------------------

/// A `#[track_caller]` body runs in place under a guard, because a closure cannot have the
/// attribute. Therefore an exit by `?` is not seen: the outcome is `unknown` where it may be an
/// `Err`.
mod tracked {
    use super::{Location, audit_method};

    #[track_caller]
    pub(super) fn bare(n: u32) -> Result<&'static Location<'static>, String> {
        let n = if n == 0 { return Err("zero".to_owned()) } else { n };
        let half = halve(n)?;
        assert!(half != 5, "five");
        Some(()).filter(|()| half != 6).unwrap();
        Ok(Location::caller())
    }

    #[audit_method(skip_output)]
    #[track_caller]
    pub(super) fn audited(n: u32) -> Result<&'static Location<'static>, String> {
        let n = if n == 0 { return Err("zero".to_owned()) } else { n };
        let half = halve(n)?;
        assert!(half != 5, "five");
        Some(()).filter(|()| half != 6).unwrap();
        Ok(Location::caller())
    }

    fn halve(n: u32) -> Result<u32, String> {
        if n % 2 == 1 { Err("odd".to_owned()) } else { Ok(n / 2) }
    }

    #[track_caller]
    pub(super) fn bare_caller() -> u32 {
        Location::caller().line()
    }

    #[audit_method]
    #[cfg_attr(all(), track_caller)]
    pub(super) fn audited_caller() -> u32 {
        Location::caller().line()
    }

    #[track_caller]
    pub(super) fn bare_expects(value: Option<u32>) -> u32 {
        value.expect("a value")
    }

    #[audit_method]
    #[track_caller]
    pub(super) fn audited_expects(value: Option<u32>) -> u32 {
        value.expect("a value")
    }
}

#[test]
fn n47_the_caller_is_that_of_the_bare_function() {
    #[rustfmt::skip]
    let record = single_record(|| {
        let (bare, audited) = (tracked::bare(4).unwrap(), tracked::audited(4).unwrap());
        assert_eq!((bare.file(), bare.line()), (audited.file(), audited.line()));
    });
    assert_eq!((record.outcome, input(&record)), (Outcome::Success, json!({"n": 4})));
    #[rustfmt::skip]
    let record = single_record(|| {
        assert_eq!(tracked::bare_caller(), tracked::audited_caller());
    });
    assert_eq!(output(&record), json!(line!() - 2));
}

#[test]
fn n47_a_body_that_runs_in_place_records_the_exits_that_it_sees() {
    let records = testing::capture(|| {
        assert_eq!(tracked::audited(0), Err("zero".to_owned()));
        assert_eq!(tracked::audited(3), Err("odd".to_owned()));
        assert!(panic_message(|| tracked::audited(10)).contains("five"));
    });
    let [returned, question_mark, panicked] = &records[..] else { panic!("got {records:#?}") };
    assert_eq!((returned.outcome, error_message(returned)), (Outcome::Failure, "zero"));
    assert_eq!((question_mark.outcome, &question_mark.error), (Outcome::Unknown, &None));
    assert_eq!((panicked.outcome, error_message(panicked)), (Outcome::Panic, "five"));
}

#[test]
fn n47_a_panic_has_the_location_of_the_bare_function() {
    let places = Arc::new(Mutex::new(Vec::new()));
    let line = line!() + 3;
    let record = single_record(|| {
        #[rustfmt::skip]
        let calls: [fn() -> u32; 2] = [|| tracked::bare_expects(None), || tracked::audited_expects(None)];
        for call in calls {
            let _ = std::panic::catch_unwind(call);
            places.lock().unwrap().push(());
        }
    });
    let location = record.error.as_ref().unwrap().location.clone().unwrap();
    assert!(location.starts_with(&format!("tests/shapes/stacking.rs:{line}:")), "{location}");
    assert_eq!(places.lock().unwrap().len(), 2);
}

// ---- 48 -----------------------------------------------------------------------------------------

#[deny(unused_variables, non_snake_case)]
mod inner_attributes {
    use super::audit_method;

    #[audit_method]
    pub(super) fn inner(n: u32) -> u32 {
        #![allow(unused_variables, non_snake_case)]
        //! An inner doc comment.
        let Unused = 3;
        n
    }
}

#[test]
fn n48_inner_attributes_of_the_body_are_preserved() {
    let record = single_record(|| assert_eq!(inner_attributes::inner(5), 5));
    assert_eq!((input(&record), output(&record)), (json!({"n": 5}), json!(5)));
    assert_eq!(only_record(vec![record]).outcome, Outcome::Success);
}
