//! Records from odd places: destructors, unwinding, serializers, the store itself, and after `main`.

use std::path::Path;

use crate::parent::{self, Ended};
use crate::runner::tests;
use crate::trail::Trail;

tests![
    destructors_record_also_while_unwinding,
    serializers_may_be_audited,
    a_store_may_call_audited_functions,
    thread_locals_record_when_their_thread_ends,
    a_recorder_that_is_kept_records_after_main,
    after_the_recorder_is_closed_calls_go_on_unrecorded,
];

/// What is kept of a call: action, key, outcome.
type Kept = (String, String, String);

/// Runs `role` at each durability, and gives what was recorded to `check`.
fn at_each_durability(role: &str, check: impl Fn(Ended, Vec<Kept>)) {
    for durability in crate::LEVELS {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.db");
        let settings = [("AUDITED_TEST_DURABILITY", durability.to_owned())];
        let ended = parent::run(role, &path, &settings).in_order();
        check(ended, kept(&path));
    }
}

fn kept(path: &Path) -> Vec<Kept> {
    let lines = Trail::open(path).lines().into_iter();
    lines.map(|line| (line.action, line.key.unwrap_or_default(), line.outcome)).collect()
}

fn success(action: &str, key: &str) -> Kept {
    (action.to_owned(), key.to_owned(), "success".to_owned())
}

fn destructors_record_also_while_unwinding() {
    at_each_durability("drops", |_, kept| {
        let panicked = ("panics".to_owned(), "on purpose".to_owned(), "panic".to_owned());
        let expected = [
            success("step", "dropped in a body"),
            success("holds", "around"),
            success("step", "dropped by hand"),
            success("step", "dropped while unwinding"),
            panicked,
            success("step", "dropped while unwinding past it"),
        ];
        assert_eq!(kept, expected);
    });
}

fn serializers_may_be_audited() {
    at_each_durability("serializes", |ended, kept| {
        assert_eq!(ended.complained, "");
        // The argument and the result are written once each. What is called there is recorded without its input.
        let within = success("step", "");
        assert_eq!(kept, [within.clone(), within, success("tells", "all")]);
    });
}

fn a_store_may_call_audited_functions() {
    at_each_durability("writes", |ended, kept| {
        assert_eq!(ended.said, ["2 accepted, 0 dropped"]);
        assert_eq!(kept, [success("step", "one"), success("step", "two")]);
    });
}

fn thread_locals_record_when_their_thread_ends() {
    at_each_durability("thread ends", |_, kept| {
        let expected = ["alive", "after", "alive again", "after again"];
        assert_eq!(kept, expected.map(|key| success("step", key)));
    });
}

fn a_recorder_that_is_kept_records_after_main() {
    at_each_durability("main ends", |ended, kept| {
        assert_eq!(ended.said, ["at exit 7", "at exit 11"]);
        let expected = ["in main", "in a local of the main thread", "at exit"];
        assert_eq!(kept, expected.map(|key| success("step", key)));
    });
}

fn after_the_recorder_is_closed_calls_go_on_unrecorded() {
    at_each_durability("main ends in order", |ended, kept| {
        assert_eq!(ended.said, ["at exit 7"]);
        assert_eq!(kept, [success("step", "in main")]);
    });
}
