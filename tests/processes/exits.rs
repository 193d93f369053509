//! Records survive unusual process ends: `exit`, `abort`, an aborting panic, a handled signal.

use std::os::unix::process::ExitStatusExt;

use crate::parent::{self, Ended};
use crate::runner::tests;
use crate::trail::{Line, Trail, restart};

tests![
    acknowledged_records_survive_an_exit_during_a_call,
    acknowledged_records_survive_an_abort,
    acknowledged_records_survive_an_aborting_panic,
    a_signal_handler_that_closes_the_recorder_stores_all_records,
    recorder_warnings_go_to_stderr_without_a_subscriber,
    records_lost_by_an_exit_are_counted_exactly,
    intents_of_a_living_process_stay_open,
];

/// Runs `role` at each durability. Passes how it ended, and the records after the next start, to
/// `check`.
fn check_at_each_durability(role: &str, check: impl Fn(Ended, Vec<Line>)) {
    parent::run_at_each_durability(role, |ended, path| {
        restart(path);
        check(ended, Trail::open(path).lines());
    });
}

fn acknowledged_line() -> Line {
    Line {
        action: "step".to_owned(),
        key: Some("acknowledged".to_owned()),
        outcome: "success".to_owned(),
    }
}

/// A call whose intent was stored, and whose process ended before the call did.
fn unknown_line() -> Line {
    Line {
        action: "ends".to_owned(),
        key: Some("during the call".to_owned()),
        outcome: "unknown".to_owned(),
    }
}

fn acknowledged_records_survive_an_exit_during_a_call() {
    check_at_each_durability("exits", |ended, lines| {
        assert_eq!(ended.status.code(), Some(7), "{}", ended.stderr);
        assert_eq!(lines, [acknowledged_line(), unknown_line()]);
    });
}

fn acknowledged_records_survive_an_abort() {
    check_at_each_durability("aborts", |ended, lines| {
        assert_eq!(ended.status.signal(), Some(libc::SIGABRT), "{}", ended.stderr);
        assert_eq!(lines, [acknowledged_line(), unknown_line()]);
    });
}

fn acknowledged_records_survive_an_aborting_panic() {
    check_at_each_durability("panics and aborts", |ended, lines| {
        assert_eq!(ended.status.signal(), Some(libc::SIGABRT), "{}", ended.stderr);
        assert_eq!(lines, [acknowledged_line(), unknown_line()]);
    });
}

fn a_signal_handler_that_closes_the_recorder_stores_all_records() {
    for durability in crate::DURABILITIES {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.db");
        let settings = [("AUDITED_TEST_DURABILITY", durability.to_owned())];
        let mut child = parent::start("terminates", &path, &settings);
        child.wait_for_line("returned 20");
        child.signal(libc::SIGTERM);
        let ended = child.wait().assert_success();
        let closing = ended.lines.iter().position(|line| line == "closing").expect("the line");
        assert!(ended.lines.iter().any(|line| line == "closed"));
        // A call that was in its body during the close may have ended too late. In that case a gap
        // record reports it, before the batch that was written next.
        let (gaps, lines): (Vec<_>, Vec<_>) =
            Trail::open(&path).lines().into_iter().partition(|line| line.key.is_none());
        assert!(gaps.len() <= 1 && gaps.iter().all(|line| line.action == "records missing"));
        let keys: Vec<_> = lines.into_iter().map(|line| line.key).collect();
        // All calls that had returned before are stored in order. Of those that returned during the
        // close, the first ones are.
        let expected: Vec<_> = (0..keys.len()).map(|number| Some(number.to_string())).collect();
        assert_eq!(keys, expected);
        assert!(keys.len() >= closing, "{closing} calls had returned, {} are stored", keys.len());
    }
}

fn recorder_warnings_go_to_stderr_without_a_subscriber() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let ended = parent::run("closes in a call", &path, &[]).assert_success();
    assert_eq!(
        ended.stderr,
        "audited: a call ended after its recorder was closed, so it is not in the audit trail; \
         close the recorder last (later calls are not reported)\n"
    );
}

fn records_lost_by_an_exit_are_counted_exactly() {
    for waiting in [1_u64, 2, 100] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.db");
        let settings = [("AUDITED_TEST_CALLS", waiting.to_string())];
        let ended = parent::run("exits while records wait", &path, &settings);
        assert_eq!(ended.status.code(), Some(7), "{}", ended.stderr);
        restart(&path);
        restart(&path);
        let gaps = Trail::open(&path).gaps();
        let [gap] = &*gaps else {
            panic!("{waiting} records are lost, and the gap records are {gaps:?}")
        };
        let records = gap.0["records"].as_u64();
        assert_eq!(records, Some(waiting).filter(|_| cfg!(target_os = "linux")).or(records));
        assert_eq!(gap.0["at_most"], true);
        assert_eq!(gap.0["pid"], ended.pid);
    }
}

/// Two processes are inside a call, and one of them is killed.
fn intents_of_a_living_process_stay_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let mut alive = parent::start("waits in a call", &path, &[]);
    alive.wait_for_line("in body");
    let mut killed = parent::start("waits in a call", &path, &[]);
    killed.wait_for_line("in body");
    killed.kill().assert_killed();
    let outcomes = || {
        let lines = Trail::open(&path).lines().into_iter();
        lines.map(|line| (line.key.unwrap_or_default(), line.outcome)).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(), []);
    let with_outcome = |outcome: &str| ("waits".to_owned(), outcome.to_owned());
    restart(&path);
    assert_eq!(outcomes(), [with_outcome("unknown")]);
    restart(&path);
    assert_eq!(outcomes(), [with_outcome("unknown")]);
    alive.resume();
    alive.wait().assert_success();
    restart(&path);
    assert_eq!(outcomes(), [with_outcome("unknown"), with_outcome("success")]);
}
