//! Records from unusual places: destructors, unwinding, serializers, the store itself, and code
//! that runs after `main`.

use crate::parent::{self, Ended};
use crate::runner::tests;
use crate::trail::Trail;

tests![
    calls_in_destructors_are_recorded_even_while_unwinding,
    calls_in_serializers_are_recorded,
    a_store_can_call_audited_functions,
    calls_in_thread_local_destructors_are_recorded,
    calls_after_main_are_recorded_while_the_recorder_is_open,
    calls_after_the_recorder_is_closed_run_unrecorded,
];

/// The action, key and outcome of a recorded call.
type RecordedCall = (String, String, String);

/// Runs `role` at each durability, and passes the recorded calls to `check`.
fn check_at_each_durability(role: &str, check: impl Fn(Ended, Vec<RecordedCall>)) {
    parent::run_at_each_durability(role, |ended, path| {
        let lines = Trail::open(path).lines().into_iter();
        let calls =
            lines.map(|line| (line.action, line.key.unwrap_or_default(), line.outcome)).collect();
        check(ended.assert_success(), calls);
    });
}

fn success(action: &str, key: &str) -> RecordedCall {
    (action.to_owned(), key.to_owned(), "success".to_owned())
}

fn calls_in_destructors_are_recorded_even_while_unwinding() {
    check_at_each_durability("drops", |_, calls| {
        let panicked = ("panics".to_owned(), "on purpose".to_owned(), "panic".to_owned());
        let expected = [
            success("step", "dropped in a body"),
            success("holds", "around"),
            success("step", "dropped explicitly"),
            success("step", "dropped while unwinding"),
            panicked,
            success("step", "dropped while unwinding past it"),
        ];
        assert_eq!(calls, expected);
    });
}

fn calls_in_serializers_are_recorded() {
    check_at_each_durability("serializes", |ended, calls| {
        assert_eq!(ended.stderr, "");
        // The argument and the return value are serialized once each. Calls made meanwhile are
        // recorded without their input.
        let nested = success("step", "");
        assert_eq!(calls, [nested.clone(), nested, success("serializes", "all")]);
    });
}

fn a_store_can_call_audited_functions() {
    check_at_each_durability("writes", |ended, calls| {
        assert_eq!(ended.lines, ["2 accepted, 0 dropped"]);
        assert_eq!(calls, [success("step", "one"), success("step", "two")]);
    });
}

fn calls_in_thread_local_destructors_are_recorded() {
    check_at_each_durability("thread ends", |_, calls| {
        let expected = ["alive", "after", "alive again", "after again"];
        assert_eq!(calls, expected.map(|key| success("step", key)));
    });
}

fn calls_after_main_are_recorded_while_the_recorder_is_open() {
    check_at_each_durability("main ends", |ended, calls| {
        assert_eq!(ended.lines, ["at exit 7", "at exit 11"]);
        let expected = ["in main", "in a local of the main thread", "at exit"];
        assert_eq!(calls, expected.map(|key| success("step", key)));
    });
}

fn calls_after_the_recorder_is_closed_run_unrecorded() {
    check_at_each_durability("main ends and closes", |ended, calls| {
        assert_eq!(ended.lines, ["at exit 7"]);
        assert_eq!(calls, [success("step", "in main")]);
    });
}
