//! Panics on record: what they say, and that they go on as they were; 43 and 44.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};

use audited::{Outcome, audit_method, testing};
use serde_json::json;

use crate::support::{input, message, named, one, output, panic_of};

/// The payload of `f`'s panic.
fn payload(f: impl FnOnce()) -> Box<dyn Any + Send> {
    catch_unwind(AssertUnwindSafe(f)).expect_err("a panic")
}

// ---- 44 ---------------------------------------------------------------------------------------------

#[audit_method]
fn divide(left: u32, right: u32) -> u32 {
    left / right
}

#[audit_method]
fn says(what: &str) {
    panic!("it says {what}");
}

#[derive(Debug, PartialEq)]
struct Code(u32);

#[audit_method]
fn with_code(code: u32) {
    panic_any(Code(code));
}

#[audit_method]
fn raised_again(code: u32) {
    resume_unwind(Box::new(Code(code)));
}

#[audit_method]
fn with_text_raised_again(text: &str) {
    resume_unwind(Box::new(text.to_owned()));
}

#[test]
fn n44_panic_with_message_location_and_traceback() {
    let record = one(|| assert_eq!(panic_of(|| says("no")), "it says no"));
    assert_eq!((record.outcome, input(&record)), (Outcome::Panic, json!({"what": "no"})));
    assert_eq!(record.output, None);
    let error = record.error.as_ref().unwrap();
    assert_eq!((&*error.type_name, &*error.message), ("panic", "it says no"));
    let location = error.location.as_deref().unwrap();
    assert_eq!(location, format!("tests/shapes/panics.rs:{}:5", line_of("it says {what}")));
    let traceback = record.traceback.as_deref().unwrap();
    assert!(traceback.contains("shapes_control::panics::says"), "{traceback}");
}

/// The line of this file that first holds `text`.
fn line_of(text: &str) -> usize {
    1 + include_str!("panics.rs").lines().position(|line| line.contains(text)).unwrap()
}

#[test]
fn n44_panic_of_the_language_itself() {
    let record = one(|| assert_eq!(panic_of(|| divide(1, 0)), "attempt to divide by zero"));
    assert_eq!((record.outcome, message(&record)), (Outcome::Panic, "attempt to divide by zero"));
}

#[test]
fn n44_payload_that_is_no_text_goes_on_as_it_was() {
    let record = one(|| {
        assert_eq!(payload(|| with_code(7)).downcast_ref(), Some(&Code(7)));
    });
    assert_eq!(record.outcome, Outcome::Panic);
    assert_eq!(message(&record), "a panic whose payload is no text");
    let location = record.error.as_ref().unwrap().location.as_deref().unwrap();
    assert!(location.starts_with("tests/shapes/panics.rs:"), "{location}");
}

#[test]
fn n44_panic_raised_again_claims_no_place_of_another_one() {
    let records = testing::capture(|| {
        payload(|| with_code(1));
        says_quietly();
        assert_eq!(payload(|| raised_again(8)).downcast_ref(), Some(&Code(8)));
        let text = payload(|| with_text_raised_again("again"));
        assert_eq!(text.downcast_ref::<String>().map(String::as_str), Some("again"));
    });
    let again = named(&records, "raised_again");
    assert_eq!(again.outcome, Outcome::Panic);
    assert_eq!((&again.error.as_ref().unwrap().location, &again.traceback), (&None, &None));
    let text = named(&records, "with_text_raised_again");
    assert_eq!((text.outcome, message(text)), (Outcome::Panic, "again"));
    assert_eq!(text.error.as_ref().unwrap().location, None);
}

#[audit_method]
fn says_quietly() {
    panic_of(|| panic!("caught inside"));
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
fn n44_panic_passes_through_every_call_around_it() {
    let records = testing::capture(|| assert_eq!(panic_of(|| outer(5)), "5 is not below 3"));
    let [inner, outer] = &records[..] else { panic!("two records, got {records:#?}") };
    for record in [inner, outer] {
        assert_eq!((record.outcome, message(record)), (Outcome::Panic, "5 is not below 3"));
    }
    assert_eq!(inner.parent_id, Some(outer.id));
    assert_eq!(inner.error.as_ref().unwrap().location, outer.error.as_ref().unwrap().location);
}

#[test]
fn n44_caught_panic_ends_only_the_calls_below_it() {
    let records = testing::capture(|| {
        assert_eq!(recovers(5), Err("inner panicked".to_owned()));
        assert_eq!(recovers(1), Ok(1));
    });
    let outcomes: Vec<_> = records.iter().map(|record| record.outcome).collect();
    use Outcome::{Failure, Panic, Success};
    assert_eq!(outcomes, [Panic, Failure, Success, Success]);
}

#[tokio::test]
async fn n44_panic_in_an_async_call() {
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
    let record = named(&records, "breaks");
    assert_eq!(record.outcome, Outcome::Panic);
    assert!(record.traceback.is_some());
}

// ---- 43 ---------------------------------------------------------------------------------------------

/// Makes audited calls while a panic unwinds.
struct Closes;

impl Drop for Closes {
    fn drop(&mut self) {
        assert!(std::thread::panicking());
        close(1).unwrap();
        // A panic inside, caught inside, while the other one is on its way.
        assert_eq!(panic_of(|| close(0)), "nothing to close");
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
fn n43_calls_made_in_a_drop_during_unwinding_end_as_they_end() {
    let records = testing::capture(|| assert_eq!(panic_of(|| falls(3)), "fell 3 floors"));
    let fell = named(&records, "falls");
    assert_eq!((fell.outcome, message(fell)), (Outcome::Panic, "fell 3 floors"));
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
    // The place of the outer panic was not lost to the inner one.
    let location = fell.error.as_ref().unwrap().location.as_deref();
    let line = line_of("fell {n}");
    assert_eq!(location, Some(&*format!("tests/shapes/panics.rs:{line}:5")));
    assert!(fell.traceback.as_deref().unwrap().contains("falls"));
}

#[test]
fn n43_future_dropped_while_another_panic_unwinds_is_cancelled() {
    let record = one(|| {
        panic_of(|| {
            let mut future = Box::pin(close_later(3));
            let waker = std::task::Waker::noop();
            let _ = future.as_mut().poll(&mut std::task::Context::from_waker(waker));
            panic!("on another's account");
        })
    });
    assert_eq!((record.outcome, &record.error), (Outcome::Cancelled, &None));
}

#[test]
fn n43_context_is_restored_after_a_panic() {
    let after = Cell::new(None);
    let records = testing::capture(|| {
        panic_of(|| falls(1));
        close(1).unwrap();
        after.set(Some(()));
    });
    assert_eq!(records.last().unwrap().parent_id, None);
    assert_eq!(after.get(), Some(()));
}
