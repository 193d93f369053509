//! Only the process that has built a recorder records; a child made by `fork` is told so, and hangs nowhere.

use crate::parent;
use crate::runner::tests;
use crate::trail::Trail;

tests![
    a_forked_child_records_nothing_until_it_has_a_recorder_of_its_own,
    a_forked_child_does_not_wait_for_locks_that_nobody_gives_back,
    forks_do_not_disturb_who_records_meanwhile,
    a_child_may_open_a_trail_whatever_the_store_was_at,
    a_child_can_not_have_a_trail_that_its_parent_has_open,
];

const TEXT: &str = "this process was forked from the one that built the recorder, so it records nothing: build a \
                    recorder in each process, after the fork";

/// The keys on record, in their order.
fn keys(path: &std::path::Path) -> Vec<String> {
    let lines = Trail::open(path).lines();
    assert!(lines.iter().all(|line| line.outcome == "success"), "{lines:?}");
    lines.into_iter().map(|line| line.key.expect("all have one")).collect()
}

fn a_forked_child_records_nothing_until_it_has_a_recorder_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let ended = parent::run("forks", &path, &[]).in_order();
    let expected = [
        "result 8".to_owned(),
        "warned 1 times".to_owned(),
        format!("flush {TEXT}"),
        format!("history {TEXT}"),
        format!("all {TEXT}"),
        "health Stopped".to_owned(),
        "counts 1".to_owned(),
        "child ends".to_owned(),
        "parent has 3 accepted, 0 dropped".to_owned(),
        "parent was warned 0 times".to_owned(),
    ];
    assert_eq!(ended.said, expected);
    assert_eq!(ended.complained, format!("audited: {TEXT}\n"));
    assert_eq!(keys(&path), ["before", "fork", "after"]);
    assert_eq!(keys(&path.with_extension("child.db")), ["own"]);
}

fn a_forked_child_does_not_wait_for_locks_that_nobody_gives_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let ended = parent::run("forks while locked", &path, &[]).in_order();
    assert_eq!(ended.said, ["result 8", "child ends"]);
    assert_eq!(ended.complained, format!("audited: {TEXT}\n"));
    assert_eq!(keys(&path), ["before", "after"]);
}

fn forks_do_not_disturb_who_records_meanwhile() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let ended = parent::run("forks while recording", &path, &[]).in_order();
    let calls: usize = ended.after("calls").next().expect("it says so").parse().expect("a number");
    assert!(calls > 0);
    assert_eq!(keys(&path), vec!["parent"; calls]);
    let warnings = ended.complained.lines().filter(|line| line.contains(TEXT)).count();
    assert_eq!(warnings, 50, "{}", ended.complained);
}

fn a_child_may_open_a_trail_whatever_the_store_was_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let ended = parent::run("forks while the store is at work", &path, &[]).in_order();
    // Where storing took so long that a fork did not wait for its end, the child is told.
    let refusal = format!(
        "cannot open the audit trail `{}`: this process was forked while its parent was at work in SQLite, \
         whose own locks may be taken here for ever; fork before the first trail is opened, or execute a program",
        path.with_extension("child.db").display()
    );
    let refused = ended.after("refused").map(|text| assert_eq!(text, refusal)).count();
    assert!(refused < 60, "no fork has waited for the store");
    assert_eq!(keys(&path.with_extension("child.db")), vec!["child"; 60 - refused]);
    let parents = keys(&path);
    assert_eq!(parents, vec!["parent"; parents.len()]);
}

/// SQLite would take the parent's locks for the child's: what the child commits could be gone without a word.
fn a_child_can_not_have_a_trail_that_its_parent_has_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let ended = parent::run("forks and opens the same trail", &path, &[]).in_order();
    let expected = format!(
        "cannot open the audit trail `{}` in a forked child: its parent had it open at the fork, and SQLite takes the \
         locks of the two for one; fork before it is opened, or close it before the fork",
        path.display(),
    );
    assert_eq!(ended.said, [expected, ended.pid.to_string()]);
    assert_eq!(keys(&path), ["before", "in child"]);
}
