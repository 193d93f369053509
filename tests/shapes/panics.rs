//! Shapes 43 and 44: how panics are recorded, and that they continue unchanged.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};

use audited::{Outcome, audit_method, testing};
use serde_json::json;

use crate::record_access::{
    error_message, find_record, input, output, panic_message, single_record,
};

/// Runs `f`, which must panic, and returns the payload.
fn panic_payload(f: impl FnOnce()) -> Box<dyn Any + Send> {
    catch_unwind(AssertUnwindSafe(f)).expect_err("a panic")
}

// ---- 44 -----------------------------------------------------------------------------------------

#[audit_method]
fn divide(left: u32, right: u32) -> u32 {
    left / right
}

#[audit_method]
fn panics_with_location(what: &str) {
    panic!("it says {what}");
}

#[derive(Debug, PartialEq)]
struct Code(u32);

#[audit_method]
fn with_code(code: u32) {
    panic_any(Code(code));
}

#[audit_method]
fn resumes_with_code(code: u32) {
    resume_unwind(Box::new(Code(code)));
}

#[audit_method]
fn resumes_with_text(text: &str) {
    resume_unwind(Box::new(text.to_owned()));
}

#[test]
fn n44_a_panic_is_recorded_with_message_location_and_traceback() {
    let record =
        single_record(|| assert_eq!(panic_message(|| panics_with_location("no")), "it says no"));
    assert_eq!((record.outcome, input(&record)), (Outcome::Panic, json!({"what": "no"})));
    assert_eq!(record.output, None);
    let error = record.error.as_ref().unwrap();
    assert_eq!((&*error.type_name, &*error.message), ("panic", "it says no"));
    let location = error.location.as_deref().unwrap();
    assert_eq!(location, format!("tests/shapes/panics.rs:{}:5", line_of("it says {what}")));
    let traceback = record.traceback.as_deref().unwrap();
    assert!(traceback.contains("shapes_control::panics::panics_with_location"), "{traceback}");
}

/// The line of this file that first holds `text`.
fn line_of(text: &str) -> usize {
    1 + include_str!("panics.rs").lines().position(|line| line.contains(text)).unwrap()
}

#[test]
fn n44_a_panic_of_an_arithmetic_operator_is_recorded() {
    let record =
        single_record(|| assert_eq!(panic_message(|| divide(1, 0)), "attempt to divide by zero"));
    assert_eq!(
        (record.outcome, error_message(&record)),
        (Outcome::Panic, "attempt to divide by zero")
    );
}

#[test]
fn n44_a_payload_that_is_not_text_continues_unchanged() {
    let record = single_record(|| {
        assert_eq!(panic_payload(|| with_code(7)).downcast_ref(), Some(&Code(7)));
    });
    assert_eq!(record.outcome, Outcome::Panic);
    assert_eq!(error_message(&record), "a panic whose payload is not text");
    let location = record.error.as_ref().unwrap().location.as_deref().unwrap();
    assert!(location.starts_with("tests/shapes/panics.rs:"), "{location}");
}

#[test]
fn n44_a_resumed_panic_has_no_location_of_an_earlier_one() {
    let records = testing::capture(|| {
        panic_payload(|| with_code(1));
        catches_a_panic();
        assert_eq!(panic_payload(|| resumes_with_code(8)).downcast_ref(), Some(&Code(8)));
        let text = panic_payload(|| resumes_with_text("again"));
        assert_eq!(text.downcast_ref::<String>().map(String::as_str), Some("again"));
    });
    let again = find_record(&records, "resumes_with_code");
    assert_eq!(again.outcome, Outcome::Panic);
    assert_eq!((&again.error.as_ref().unwrap().location, &again.traceback), (&None, &None));
    let text = find_record(&records, "resumes_with_text");
    assert_eq!((text.outcome, error_message(text)), (Outcome::Panic, "again"));
    assert_eq!(text.error.as_ref().unwrap().location, None);
}

#[audit_method]
fn catches_a_panic() {
    panic_message(|| panic!("caught inside"));
}

#[audit_method]
fn outer(n: u32) -> u32 {
    inner(n) + 1
}

#[audit_method]
fn inner(n: u32) -> u32 {
    assert!(n < 3, "{n} is not below 3");
    n
}

#[audit_method]
fn recovers(n: u32) -> Result<u32, String> {
    catch_unwind(|| inner(n)).map_err(|_| "inner panicked".to_owned())
}

#[test]
fn n44_a_panic_is_recorded_by_every_enclosing_call() {
    let records = testing::capture(|| assert_eq!(panic_message(|| outer(5)), "5 is not below 3"));
    let [inner, outer] = &records[..] else { panic!("two records, got {records:#?}") };
    for record in [inner, outer] {
        assert_eq!((record.outcome, error_message(record)), (Outcome::Panic, "5 is not below 3"));
    }
    assert_eq!(inner.parent_id, Some(outer.id));
    assert_eq!(inner.error.as_ref().unwrap().location, outer.error.as_ref().unwrap().location);
}

#[test]
fn n44_a_caught_panic_ends_only_the_calls_below_the_catch() {
    let records = testing::capture(|| {
        assert_eq!(recovers(5), Err("inner panicked".to_owned()));
        assert_eq!(recovers(1), Ok(1));
    });
    let outcomes: Vec<_> = records.iter().map(|record| record.outcome).collect();
    use Outcome::{Failure, Panic, Success};
    assert_eq!(outcomes, [Panic, Failure, Success, Success]);
}

#[tokio::test]
async fn n44_a_panic_in_an_async_call_is_recorded() {
    #[audit_method]
    async fn breaks(n: u32) -> u32 {
        tokio::task::yield_now().await;
        panic_any(Code(n))
    }
    let records = testing::capture_async(async {
        let task = tokio::spawn(audited::Context::current().wrap(breaks(4)));
        let payload = task.await.unwrap_err().into_panic();
        assert_eq!(payload.downcast_ref(), Some(&Code(4)));
    })
    .await;
    let record = find_record(&records, "breaks");
    assert_eq!(record.outcome, Outcome::Panic);
    assert!(record.traceback.is_some());
}

// ---- 43 -----------------------------------------------------------------------------------------

/// Makes audited calls while a panic unwinds.
struct Closes;

impl Drop for Closes {
    fn drop(&mut self) {
        assert!(std::thread::panicking());
        close(1).unwrap();
        // A second panic starts and is caught while the first one unwinds.
        assert_eq!(panic_message(|| close(0)), "nothing to close");
        let mut future = Box::pin(close_later(3));
        let waker = std::task::Waker::noop();
        assert!(future.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
    }
}

#[audit_method]
fn close(n: u32) -> Result<u32, String> {
    assert!(n > 0, "nothing to close");
    if n == 2 { Err("no".into()) } else { Ok(n) }
}

#[audit_method]
async fn close_later(n: u32) -> u32 {
    std::future::pending::<()>().await;
    n
}

#[audit_method]
fn falls(n: u32) {
    let _closes = Closes;
    panic!("fell {n} floors");
}

#[test]
fn n43_calls_made_by_a_drop_during_unwinding_keep_their_own_outcomes() {
    let records = testing::capture(|| assert_eq!(panic_message(|| falls(3)), "fell 3 floors"));
    let fell = find_record(&records, "falls");
    assert_eq!((fell.outcome, error_message(fell)), (Outcome::Panic, "fell 3 floors"));
    let closes: Vec<_> = records
        .iter()
        .filter(|record| record.parent_id == Some(fell.id))
        .map(|record| (record.outcome, output(record)))
        .collect();
    assert_eq!(
        closes,
        [
            (Outcome::Success, json!(1)),
            (Outcome::Panic, json!(null)),
            (Outcome::Cancelled, json!(null)),
        ]
    );
    // The inner panic did not overwrite the location of the outer one.
    let location = fell.error.as_ref().unwrap().location.as_deref();
    let line = line_of("fell {n}");
    assert_eq!(location, Some(&*format!("tests/shapes/panics.rs:{line}:5")));
    assert!(fell.traceback.as_deref().unwrap().contains("falls"));
}

#[test]
fn n43_a_future_dropped_by_an_unrelated_panic_is_cancelled() {
    let record = single_record(|| {
        panic_message(|| {
            let mut future = Box::pin(close_later(3));
            let waker = std::task::Waker::noop();
            let _ = future.as_mut().poll(&mut std::task::Context::from_waker(waker));
            panic!("unrelated");
        })
    });
    assert_eq!((record.outcome, &record.error), (Outcome::Cancelled, &None));
}

#[test]
fn n43_context_is_restored_after_a_panic() {
    let after = Cell::new(None);
    let records = testing::capture(|| {
        panic_message(|| falls(1));
        close(1).unwrap();
        after.set(Some(()));
    });
    assert_eq!(records.last().unwrap().parent_id, None);
    assert_eq!(after.get(), Some(()));
}

// ---- consecutive panics, tracebacks, long messages ----------------------------------------------

#[audit_method(action = "panics")]
fn panics_with(text: &str) {
    panic!("{text}");
}

#[audit_method(action = "resumes in place")]
#[track_caller]
fn resumes_in_place(text: &str) {
    resume_unwind(Box::new(text.to_owned()));
}

#[test]
fn a_panic_is_never_recorded_with_details_of_an_earlier_one() {
    let records = testing::capture(|| {
        let caught = |f: fn(&str), text| catch_unwind(AssertUnwindSafe(|| f(text))).unwrap_err();
        caught(panics_with, "of another request");
        caught(resumes_with_text, "of another request");
        caught(resumes_in_place, "new");
    });
    let error = |at: usize| records[at].error.as_ref().expect("a panic");
    assert_eq!(error(0).message, "of another request");
    assert!(error(0).location.is_some() && records[0].traceback.is_some());
    // `resume_unwind` does not run the panic hook, so only the payload is known.
    assert_eq!(error(1).message, "of another request");
    assert_eq!((&error(1).location, &records[1].traceback), (&None, &None));
    assert_eq!(error(2).message, "a panic without known details");
}

#[test]
fn a_traceback_starts_at_the_panic() {
    let records = testing::capture(|| catch_unwind(|| panics_with("here")).unwrap_err());
    let traceback = records[0].traceback.as_deref().expect("a backtrace");
    assert!(!traceback.contains("audit_core::call::panic"), "{traceback}");
    assert!(traceback.contains("shapes_control::panics::panics_with"), "{traceback}");
}

#[test]
fn a_long_panic_message_is_truncated() {
    let long = "x".repeat(100_000);
    let records = testing::capture(|| catch_unwind(|| panics_with(&long)).unwrap_err());
    let message = &records[0].error.as_ref().expect("a panic").message;
    assert_eq!(message, &format!("{}… [cut: 100000 bytes]", "x".repeat(16 * 1024)));
    assert!(records[0].traceback.is_some());
}

#[test]
fn an_audited_future_is_as_unwind_safe_as_its_body() {
    fn safe<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>(_: T) {}
    #[audit_method]
    async fn waits(n: u8) -> u8 {
        std::future::ready(n).await
    }
    #[audit_method]
    fn will(n: u8) -> impl Future<Output = u8> {
        async move { std::future::ready(n).await }
    }
    safe(waits(1));
    safe(will(1));
}
