//! Outcomes that the program decides: the argument `failed_if`, and the function `outcome`.

#[path = "shapes/record_access.rs"]
mod record_access;
#[path = "shapes/summary.rs"]
#[allow(dead_code, reason = "each test binary uses a part")]
mod summary;

use std::pin::Pin;

use audited::{Outcome, Record, audit_method, execute, testing};
use record_access::{output, single_record};
use serde_json::{Value, json};
use summary::{block_on, summary_of};

/// A reply of some protocol. Its type does not tell whether it is an error.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
struct Reply {
    code: u16,
}

impl Reply {
    fn is_error(&self) -> bool {
        self.code != 0
    }

    #[audit_method(failed_if = Self::is_error, skip_output)]
    fn bump(&mut self) -> Self {
        self.code += 1;
        self.clone()
    }
}

/// The outcome, the output, and the type and the message of the error.
fn ending(record: &Record) -> (Outcome, Value, Option<(&str, &str)>) {
    let error = record.error.as_ref().map(|error| (&*error.type_name, &*error.message));
    (record.outcome, output(record), error)
}

#[audit_method(failed_if = Reply::is_error)]
fn by_path(code: u16) -> Reply {
    Reply { code }
}

#[audit_method(failed_if = |found| found.is_empty())]
fn by_closure(n: usize) -> Vec<usize> {
    (0..n).collect()
}

#[test]
fn a_value_for_which_the_test_holds_is_a_failure() {
    let expected = (Outcome::Failure, json!({"code": 7}), Some(("failed_if", "Reply::is_error")));
    assert_eq!(ending(&single_record(|| by_path(7))), expected);
    assert_eq!(ending(&single_record(|| by_path(0))), (Outcome::Success, json!({"code": 0}), None));
    let error = Some(("failed_if", "|found|found.is_empty()"));
    assert_eq!(ending(&single_record(|| by_closure(0))), (Outcome::Failure, json!([]), error));
    assert_eq!(ending(&single_record(|| by_closure(1))), (Outcome::Success, json!([0]), None));
}

#[test]
fn of_a_result_the_test_gets_the_value_and_an_err_stays_a_failure() {
    #[audit_method(failed_if = Reply::is_error)]
    fn call(code: u16) -> Result<Reply, String> {
        if code == 9 { Err("no connection".to_owned()) } else { Ok(Reply { code }) }
    }
    let record = single_record(|| call(9).unwrap_err());
    let error = Some(("alloc::string::String", "no connection"));
    assert_eq!(ending(&record), (Outcome::Failure, Value::Null, error));
    let expected = (Outcome::Failure, json!({"code": 3}), Some(("failed_if", "Reply::is_error")));
    assert_eq!(ending(&single_record(|| call(3))), expected);
    assert_eq!(single_record(|| call(0)).outcome, Outcome::Success);
}

#[test]
fn every_kind_of_function_is_tested() {
    #[audit_method(failed_if = Reply::is_error)]
    async fn later(code: u16) -> Reply {
        tokio::task::yield_now().await;
        Reply { code }
    }
    #[audit_method(failed_if = Reply::is_error)]
    fn future(code: u16) -> impl Future<Output = Reply> {
        async move { Reply { code } }
    }
    #[audit_method(failed_if = Reply::is_error)]
    fn boxed(code: u16) -> Pin<Box<dyn Future<Output = Result<Reply, String>> + Send>> {
        Box::pin(async move { Ok(Reply { code }) })
    }
    #[audit_method(failed_if = Reply::is_error)]
    #[track_caller]
    fn in_place(code: u16) -> Reply {
        if code > 5 {
            return Reply { code };
        }
        Reply { code }
    }
    #[audit_method(failed_if = |value| *value == T::default())]
    fn generic<T: Default + PartialEq>(value: T) -> T {
        value
    }
    #[audit_method(failed_if = |value| value.starts_with('-'))]
    fn borrowed(text: &str) -> &str {
        text.trim()
    }

    let outcomes = testing::capture(|| {
        block_on(later(1));
        block_on(later(0));
        block_on(future(1));
        block_on(future(0));
        block_on(boxed(1)).unwrap();
        block_on(boxed(0)).unwrap();
        in_place(9);
        in_place(1);
        in_place(0);
        generic(0);
        generic(1);
        borrowed(" -1");
        borrowed(" 1");
        Reply { code: 0 }.bump();
        let mut wrapped = Reply { code: u16::MAX - 1 };
        wrapped.bump();
    });
    let failed: Vec<bool> =
        outcomes.iter().map(|record| record.outcome == Outcome::Failure).collect();
    assert_eq!(
        failed,
        [
            true, false, true, false, true, false, true, true, false, true, false, true, false,
            true, true
        ]
    );
}

/// The body of a `#[track_caller]` function stays in place: a value that is returned by `?` is not
/// seen.
#[test]
fn a_value_that_is_not_seen_has_an_unknown_outcome() {
    #[audit_method(failed_if = |value| *value == Some(0))]
    #[track_caller]
    fn half(n: Option<u8>) -> Option<u8> {
        let n = n?;
        Some(n / 2)
    }
    assert_eq!(single_record(|| half(None)).outcome, Outcome::Unknown);
    assert_eq!(single_record(|| half(Some(1))).outcome, Outcome::Failure);
    assert_eq!(single_record(|| half(Some(2))).outcome, Outcome::Success);
}

#[test]
fn a_test_that_panics_changes_nothing_but_the_record() {
    #[audit_method(failed_if = |values| values[0] == 0)]
    fn first(values: Vec<u8>) -> Vec<u8> {
        values
    }
    let record = single_record(|| assert!(first(Vec::new()).is_empty()));
    let error = Some(("failed_if", "`|values|values[0]==0` panicked"));
    assert_eq!(ending(&record), (Outcome::Unknown, json!([]), error));
}

#[test]
fn the_test_runs_only_if_the_call_is_recorded() {
    #[audit_method(failed_if = |_| panic!("not recorded"))]
    fn quiet() -> u8 {
        1
    }
    assert_eq!(quiet(), 1);
}

#[test]
fn a_declared_outcome_is_that_of_the_innermost_call() {
    #[audit_method]
    fn outer() -> u8 {
        inner();
        1
    }
    #[audit_method]
    fn inner() -> u8 {
        audited::outcome(Outcome::Success);
        audited::outcome((Outcome::Failure, format_args!("{} of 5", 3)));
        2
    }
    let records = testing::capture(outer);
    assert_eq!(ending(&records[0]), (Outcome::Failure, json!(2), Some(("outcome", "3 of 5"))));
    assert_eq!(ending(&records[1]), (Outcome::Success, json!(1), None));
}

#[test]
fn an_outcome_is_declared_without_a_text() {
    let declare =
        |outcome| single_record(|| execute("try", "shop::try", (), || audited::outcome(outcome)));
    assert_eq!(
        ending(&declare(Outcome::Failure)),
        (Outcome::Failure, Value::Null, Some(("outcome", "")))
    );
    assert_eq!(ending(&declare(Outcome::Success)), (Outcome::Success, Value::Null, None));
    assert_eq!(ending(&declare(Outcome::Unknown)), (Outcome::Unknown, Value::Null, None));
    // Only the call itself shows that it panics or is cancelled.
    assert_eq!(declare(Outcome::Panic).outcome, Outcome::Failure);
    assert_eq!(declare(Outcome::Cancelled).outcome, Outcome::Failure);
}

#[test]
fn a_declared_outcome_takes_precedence_over_the_value() {
    #[audit_method(failed_if = Reply::is_error)]
    fn tested(code: u16) -> Reply {
        audited::outcome(Outcome::Success);
        Reply { code }
    }
    assert_eq!(ending(&single_record(|| tested(4))), (Outcome::Success, json!({"code": 4}), None));

    #[audit_method]
    fn not_found(outcome: Outcome) -> Result<u8, String> {
        audited::outcome((outcome, "an expected answer"));
        Err("not found".to_owned())
    }
    for outcome in [Outcome::Success, Outcome::Failure] {
        let record = single_record(|| not_found(outcome).unwrap_err());
        let error = Some(("alloc::string::String", "not found"));
        assert_eq!(ending(&record), (outcome, Value::Null, error));
        let [note] = &record.notes[..] else { panic!("{:?}", record.notes) };
        assert_eq!((&*note.title, &*note.description), ("outcome", "an expected answer"));
    }
}

#[test]
fn a_panic_and_a_cancellation_are_recorded_as_such() {
    #[audit_method]
    fn panics() {
        audited::outcome(Outcome::Success);
        panic!("broken");
    }
    let record = single_record(|| {
        std::panic::catch_unwind(panics).unwrap_err();
    });
    assert_eq!(ending(&record), (Outcome::Panic, Value::Null, Some(("panic", "broken"))));

    #[audit_method]
    async fn waits() {
        audited::outcome(Outcome::Success);
        std::future::pending::<()>().await;
    }
    let record = single_record(|| {
        let mut future = Box::pin(waits());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
    });
    assert_eq!(record.outcome, Outcome::Cancelled);
}

#[test]
fn a_declaration_outside_of_a_call_or_after_its_end_does_nothing() {
    audited::outcome(Outcome::Failure);
    let mut carried = None;
    let record = single_record(|| {
        execute("begin", "shop::begin", (), || carried = Some(audited::Context::current()));
        carried.take().unwrap().scope(|| audited::outcome(Outcome::Failure));
    });
    assert_eq!(record.outcome, Outcome::Success);
}

#[test]
fn a_long_text_is_cut_and_a_text_that_panics_is_replaced() {
    struct Panics;
    impl std::fmt::Display for Panics {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no text")
        }
    }
    let record = single_record(|| {
        execute("long", "shop::long", (), || {
            audited::outcome((Outcome::Failure, "x".repeat(100_000)));
        });
    });
    let message = &record.error.as_ref().unwrap().message;
    assert!(message.ends_with("… [cut: 100000 bytes]"), "{}", &message[message.len() - 40..]);
    assert_eq!(record.truncated[0].path, "error.message");
    let record = single_record(|| {
        execute("bad", "shop::bad", (), || audited::outcome((Outcome::Failure, Panics)));
    });
    let message = "[not recorded: formatting it panicked]";
    assert_eq!(ending(&record).2, Some(("outcome", message)));
}

#[test]
fn shapes_with_a_test_stay_what_they_are() {
    #[audit_method(failed_if = |n: &u8| *n > 3)]
    fn typed(n: u8) -> u8 {
        n
    }
    assert_eq!(
        summary_of(|| typed(9)),
        json!([{
            "call": "typed", "outcome": "failure", "in": {"n": 9}, "out": 9,
            "error": "failed_if: |n:&u8|*n>3"
        }])
    );
}
