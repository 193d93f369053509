//! Beside other attributes: 46 to 48.

use std::panic::Location;
use std::sync::{Arc, Mutex};

use audited::{Outcome, audit_method, testing};
use serde_json::json;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use crate::support::{input, log, message, named, one, only, output, panic_of};

// ---- 46 ---------------------------------------------------------------------------------------------

/// Documented once: it says so.
#[audit_method]
#[must_use = "the sum is all there is"]
#[inline]
pub(crate) fn documented(left: u32, right: u32) -> u32 {
    left + right
}

#[inline(always)]
#[cold]
#[doc = "Bears its attributes above and below."]
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
    // Safe intrinsics: callable only where the feature is known to be there.
    let all = _mm_set_epi32(numbers[0], numbers[1], numbers[2], numbers[3]);
    let pairs = _mm_add_epi32(all, _mm_shuffle_epi32::<0b01_00_11_10>(all));
    let sum = _mm_add_epi32(pairs, _mm_shuffle_epi32::<0b10_11_00_01>(pairs));
    _mm_cvtsi128_si32(sum)
}

#[test]
fn n46_attributes_of_the_function_stay_with_it() {
    let record = one(|| assert_eq!(documented(1, 2), 3));
    assert_eq!((input(&record), output(&record)), (json!({"left": 1, "right": 2}), json!(3)));
    let record = one(|| assert_eq!(around(1), 2));
    assert_eq!(output(&record), json!(2));
}

#[test]
fn n46_exported_name_is_there_once() {
    let record = one(|| assert_eq!(linked::audited_shapes_exported(4), 8));
    assert_eq!((input(&record), output(&record)), (json!({"n": 4}), json!(8)));
    assert_eq!(record.method, "shapes_attributes::stacking::audited_shapes_exported");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn n46_target_feature_reaches_the_body() {
    // SAFETY: every x86-64 has SSE2.
    let record = one(|| assert_eq!(unsafe { sum_of_four([1, 2, 3, 4]) }, 10));
    assert_eq!((input(&record), output(&record)), (json!({"numbers": [1, 2, 3, 4]}), json!(10)));
}

#[test]
#[audit_method]
fn n46_test_below_the_attribute_of_tests() {
    assert_eq!(audited_inside(), 3);
}

#[audit_method]
#[test]
fn n46_test_above_the_attribute_of_tests() {
    assert_eq!(audited_inside(), 3);
}

#[tokio::test]
#[audit_method]
async fn n46_tokio_test_above() {
    tokio::task::yield_now().await;
    assert_eq!(audited_inside(), 3);
}

#[audit_method]
#[tokio::test]
async fn n46_tokio_test_below() {
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

/// Keeps the names of the spans around each event of the level INFO.
#[derive(Clone, Default)]
struct Around(Arc<Mutex<Vec<Vec<&'static str>>>>);

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Around {
    fn on_event(&self, event: &tracing::Event<'_>, ctx: tracing_subscriber::layer::Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::INFO {
            let scope = ctx.event_scope(event).into_iter().flatten();
            self.0.lock().unwrap().push(scope.map(|span| span.name()).collect());
        }
    }
}

#[test]
fn n46_instrument_above_and_below() {
    let around = Around::default();
    let subscriber = tracing_subscriber::registry().with(audited::layer()).with(around.clone());
    let records = tracing::subscriber::with_default(subscriber, || {
        testing::capture(|| {
            assert_eq!(instrument_above(1), Ok(0));
            assert_eq!(instrument_below(0), Err("below zero".to_owned()));
        })
    });
    // The attribute above is expanded first, so it ends up inside: its `ret` event is in the call's log.
    let above = named(&records, "instrument_above");
    assert_eq!((input(above), output(above)), (json!({"n": 1}), json!(0)));
    assert_eq!(log(above), ["inside", ""]);
    assert_eq!(above.log[1].fields.as_ref().unwrap().to_value(), json!({"return": "Ok(0)"}));
    let below = named(&records, "instrument_below");
    assert_eq!((below.outcome, message(below)), (Outcome::Failure, "below zero"));
    assert_eq!(log(below), ["inside"]);
    let around = around.0.lock().unwrap();
    assert_eq!(around.first().unwrap(), &["instrument_above", "call"]);
    assert_eq!(around.last().unwrap(), &["call", "instrument_below"]);
}

#[tokio::test]
async fn n46_instrument_above_and_below_async() {
    let records = testing::capture_async(async {
        assert_eq!(async_above(1).await + async_below(2).await, 3);
    })
    .await;
    for (name, n) in [("async_above", 1), ("async_below", 2)] {
        let record = named(&records, name);
        assert_eq!((input(record), output(record)), (json!({"n": n}), json!(n)));
        assert_eq!(log(record), ["inside"]);
    }
}

// ---- 47 ---------------------------------------------------------------------------------------------

/// Decision: a `#[track_caller]` body stays where it is, under a guard, for a closure can't bear the
/// attribute. The price is that an end by `?` is not seen: it is `unknown` where it may be an `Err`.
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
fn n47_caller_is_the_bare_function_s_caller() {
    #[rustfmt::skip]
    let record = one(|| {
        let (bare, audited) = (tracked::bare(4).unwrap(), tracked::audited(4).unwrap());
        assert_eq!((bare.file(), bare.line()), (audited.file(), audited.line()));
    });
    assert_eq!((record.outcome, input(&record)), (Outcome::Success, json!({"n": 4})));
    #[rustfmt::skip]
    let record = one(|| {
        assert_eq!(tracked::bare_caller(), tracked::audited_caller());
    });
    assert_eq!(output(&record), json!(line!() - 2));
}

#[test]
fn n47_ends_of_a_body_in_its_place() {
    let records = testing::capture(|| {
        assert_eq!(tracked::audited(0), Err("zero".to_owned()));
        assert_eq!(tracked::audited(3), Err("odd".to_owned()));
        assert!(panic_of(|| tracked::audited(10)).contains("five"));
    });
    let [returned, question_mark, panicked] = &records[..] else { panic!("got {records:#?}") };
    assert_eq!((returned.outcome, message(returned)), (Outcome::Failure, "zero"));
    assert_eq!((question_mark.outcome, &question_mark.error), (Outcome::Unknown, &None));
    assert_eq!((panicked.outcome, message(panicked)), (Outcome::Panic, "five"));
}

#[test]
fn n47_panic_is_located_where_the_bare_function_s_is() {
    let places = Arc::new(Mutex::new(Vec::new()));
    let line = line!() + 3;
    let record = one(|| {
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

// ---- 48 ---------------------------------------------------------------------------------------------

#[deny(unused_variables, non_snake_case)]
mod inner_attributes {
    use super::audit_method;

    #[audit_method]
    pub(super) fn inner(n: u32) -> u32 {
        #![allow(unused_variables, non_snake_case)]
        //! Documented from the inside.
        let Unused = 3;
        n
    }
}

#[test]
fn n48_attributes_inside_the_body() {
    let record = one(|| assert_eq!(inner_attributes::inner(5), 5));
    assert_eq!((input(&record), output(&record)), (json!({"n": 5}), json!(5)));
    assert_eq!(only(vec![record]).outcome, Outcome::Success);
}
