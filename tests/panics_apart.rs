//! A panic's record tells of that panic, and of no earlier one on the same thread.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use audited::{audit_method, testing};

#[audit_method(action = "panics")]
fn panics(text: &str) {
    panic!("{text}");
}

#[audit_method(action = "raises again")]
fn raises_again(text: &str) {
    resume_unwind(Box::new(text.to_owned()));
}

#[audit_method(action = "raises again in place")]
#[track_caller]
fn raises_again_in_place(text: &str) {
    resume_unwind(Box::new(text.to_owned()));
}

#[test]
fn an_earlier_panic_is_not_told_again() {
    let records = testing::capture(|| {
        let caught = |f: fn(&str), text| catch_unwind(AssertUnwindSafe(|| f(text))).unwrap_err();
        caught(panics, "of another request");
        caught(raises_again, "of another request");
        caught(raises_again_in_place, "new");
    });
    let error = |at: usize| records[at].error.as_ref().expect("a panic");
    assert_eq!(error(0).message, "of another request");
    assert!(error(0).location.is_some() && records[0].traceback.is_some());
    // Raised without a hook: what is known is its payload.
    assert_eq!(error(1).message, "of another request");
    assert_eq!((&error(1).location, &records[1].traceback), (&None, &None));
    assert_eq!(error(2).message, "a panic of which nothing is known");
}

#[test]
fn a_traceback_begins_at_the_panic() {
    let records = testing::capture(|| catch_unwind(|| panics("here")).unwrap_err());
    let traceback = records[0].traceback.as_deref().expect("a backtrace");
    assert!(!traceback.contains("audit_core::call::panic"), "{traceback}");
    assert!(traceback.contains("panics_apart::panics"), "{traceback}");
}

#[test]
fn a_very_long_message_is_cut() {
    let long = "x".repeat(100_000);
    let records = testing::capture(|| catch_unwind(|| panics(&long)).unwrap_err());
    let message = &records[0].error.as_ref().expect("a panic").message;
    assert_eq!(message, &format!("{}… [cut: 100000 bytes]", "x".repeat(16 * 1024)));
    assert!(records[0].traceback.is_some());
}

#[test]
fn a_future_is_as_safe_to_unwind_through_as_its_body() {
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
