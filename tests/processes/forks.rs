//! Only the process that built a recorder can use it. A forked child gets errors and one warning,
//! and never hangs.

use crate::parent;
use crate::runner::tests;
use crate::trail::Trail;

tests![
    a_forked_child_records_nothing_until_it_builds_its_own_recorder,
    a_forked_child_does_not_wait_for_locks_held_by_parent_threads,
    forks_do_not_disturb_threads_that_record,
    forked_children_can_record_while_threads_of_the_parent_record,
    a_forked_child_can_open_its_own_trail_while_the_parent_writes,
    a_forked_child_cannot_open_the_trail_that_its_parent_has_open,
];

const FORKED: &str = "this process was forked from the one that built the recorder, so it records \
                      nothing: build a recorder in each process, after the fork";

/// The keys of all records, in order of `seq`.
fn keys(path: &std::path::Path) -> Vec<String> {
    let lines = Trail::open(path).lines();
    assert!(lines.iter().all(|line| line.outcome == "success"), "{lines:?}");
    lines.into_iter().map(|line| line.key.expect("every call has a key")).collect()
}

fn a_forked_child_records_nothing_until_it_builds_its_own_recorder() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let ended = parent::run("forks", &path, &[]).assert_success();
    let expected = [
        "result 8".to_owned(),
        "warned 1 times".to_owned(),
        format!("flush {FORKED}"),
        format!("history {FORKED}"),
        format!("all {FORKED}"),
        "health Stopped".to_owned(),
        "counts 1".to_owned(),
        "child ends".to_owned(),
        "parent has 3 accepted, 0 dropped".to_owned(),
        "parent was warned 0 times".to_owned(),
    ];
    assert_eq!(ended.lines, expected);
    assert_eq!(ended.stderr, format!("audited: {FORKED}\n"));
    assert_eq!(keys(&path), ["before", "fork", "after"]);
    assert_eq!(keys(&path.with_extension("child.db")), ["own"]);
}

fn a_forked_child_does_not_wait_for_locks_held_by_parent_threads() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let ended = parent::run("forks while locked", &path, &[]).assert_success();
    assert_eq!(ended.lines, ["result 8", "child ends"]);
    assert_eq!(ended.stderr, format!("audited: {FORKED}\n"));
    assert_eq!(keys(&path), ["before", "after"]);
}

fn forked_children_can_record_while_threads_of_the_parent_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let ended = parent::run("forks that record", &path, &[]).assert_success();
    assert_eq!(ended.lines, ["parent ends"]);
}

fn forks_do_not_disturb_threads_that_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let ended = parent::run("forks while recording", &path, &[]).assert_success();
    let calls: usize =
        ended.texts_after("calls").next().expect("the line").parse().expect("a number");
    assert!(calls > 0);
    assert_eq!(keys(&path), vec!["parent"; calls]);
    let warnings = ended.stderr.lines().filter(|line| line.contains(FORKED)).count();
    assert_eq!(warnings, 50, "{}", ended.stderr);
}

fn a_forked_child_can_open_its_own_trail_while_the_parent_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let ended = parent::run("forks while the store writes", &path, &[]).assert_success();
    // A fork waits for the store only for a limited time. After that, the child gets this error.
    let refusal = format!(
        "cannot open the audit trail `{}`: this process was forked while its parent was using \
         SQLite, so SQLite's internal locks may be held forever; fork before you open the first \
         trail, or execute a new program after the fork",
        path.with_extension("child.db").display()
    );
    let refused = ended.texts_after("refused").map(|text| assert_eq!(text, refusal)).count();
    assert!(refused < 60, "no fork waited for the store");
    assert_eq!(keys(&path.with_extension("child.db")), vec!["child"; 60 - refused]);
    let parents = keys(&path);
    assert_eq!(parents, vec!["parent"; parents.len()]);
}

/// SQLite would mistake the parent's locks for the child's. Commits of the child could be lost
/// silently.
fn a_forked_child_cannot_open_the_trail_that_its_parent_has_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let ended = parent::run("forks and opens the same trail", &path, &[]).assert_success();
    let expected = format!(
        "cannot open the audit trail `{}` in a forked child: its parent had it open at the \
         fork, and SQLite can't separate the locks of the two processes; fork before you open \
         the trail, or close it before the fork",
        path.display(),
    );
    assert_eq!(ended.lines, [expected, ended.pid.to_string()]);
    assert_eq!(keys(&path), ["before", "in child"]);
}
