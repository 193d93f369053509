//! What survives an unusual end: `exit`, `abort`, a panic that aborts, a signal that is handled.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use audited::{Audit, SqliteStore};

use crate::parent::{self, Ended};
use crate::runner::tests;
use crate::trail::{Line, Trail};

tests![
    what_was_acknowledged_survives_an_exit_in_the_midst_of_a_call,
    what_was_acknowledged_survives_an_abort,
    what_was_acknowledged_survives_a_panic_that_aborts,
    a_handled_signal_ends_with_all_records_stored,
    what_the_recorder_warns_of_is_seen_without_a_subscriber,
    what_an_exit_takes_along_is_counted_exactly,
    calls_of_a_process_that_is_alive_stay_open,
];

/// Runs `role` at each durability; gives how it ended, and what is on record after the next start.
fn at_each_durability(role: &str, check: impl Fn(Ended, Vec<Line>)) {
    for durability in crate::LEVELS {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.db");
        let settings = [("AUDITED_TEST_DURABILITY", durability.to_owned())];
        let ended = parent::run(role, &path, &settings);
        restart(&path);
        check(ended, Trail::open(&path).lines());
    }
}

/// The next start of a program, in this process.
fn restart(path: &Path) {
    let store = SqliteStore::open(path).expect("the trail opens");
    let audit = Audit::builder().store(store).build().expect("a recorder");
    audit.close().expect("it closes in order");
}

fn acknowledged() -> Line {
    Line {
        action: "step".to_owned(),
        key: Some("acknowledged".to_owned()),
        outcome: "success".to_owned(),
    }
}

/// A call that was announced, and did not come to its end.
fn unknown() -> Line {
    Line {
        action: "ends".to_owned(),
        key: Some("in its midst".to_owned()),
        outcome: "unknown".to_owned(),
    }
}

fn what_was_acknowledged_survives_an_exit_in_the_midst_of_a_call() {
    at_each_durability("exits", |ended, lines| {
        assert_eq!(ended.status.code(), Some(7), "{}", ended.complained);
        assert_eq!(lines, [acknowledged(), unknown()]);
    });
}

fn what_was_acknowledged_survives_an_abort() {
    at_each_durability("aborts", |ended, lines| {
        assert_eq!(ended.status.signal(), Some(libc::SIGABRT), "{}", ended.complained);
        assert_eq!(lines, [acknowledged(), unknown()]);
    });
}

fn what_was_acknowledged_survives_a_panic_that_aborts() {
    at_each_durability("panics and aborts", |ended, lines| {
        assert_eq!(ended.status.signal(), Some(libc::SIGABRT), "{}", ended.complained);
        assert_eq!(lines, [acknowledged(), unknown()]);
    });
}

fn a_handled_signal_ends_with_all_records_stored() {
    for durability in crate::LEVELS {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.db");
        let settings = [("AUDITED_TEST_DURABILITY", durability.to_owned())];
        let mut child = parent::start("terminates", &path, &settings);
        child.hears("returned 20");
        child.signal(libc::SIGTERM);
        let ended = child.wait().in_order();
        let closing = ended.said.iter().position(|line| line == "closing").expect("it says so");
        assert!(ended.said.iter().any(|line| line == "closed"));
        // The one call that was in its body meanwhile may have come too late. Then the trail tells it, ahead of the
        // batch that was written next.
        let (told, lines): (Vec<_>, Vec<_>) =
            Trail::open(&path).lines().into_iter().partition(|line| line.key.is_none());
        assert!(told.len() <= 1 && told.iter().all(|line| line.action == "records missing"));
        let keys: Vec<_> = lines.into_iter().map(|line| line.key).collect();
        // All that had returned before, in their order; of those that returned meanwhile, the first.
        let expected: Vec<_> = (0..keys.len()).map(|number| Some(number.to_string())).collect();
        assert_eq!(keys, expected);
        assert!(
            keys.len() >= closing,
            "{closing} calls had returned, {} are on record",
            keys.len()
        );
    }
}

fn what_the_recorder_warns_of_is_seen_without_a_subscriber() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let ended = parent::run("closes in a call", &path, &[]).in_order();
    assert_eq!(
        ended.complained,
        "audited: a call ended after its recorder was closed, so it is not in the audit trail; close the recorder last \
         (later calls are not reported)\n"
    );
}

fn what_an_exit_takes_along_is_counted_exactly() {
    for waiting in [1_u64, 2, 100] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.db");
        let settings = [("AUDITED_TEST_CALLS", waiting.to_string())];
        let ended = parent::run("exits while records wait", &path, &settings);
        assert_eq!(ended.status.code(), Some(7), "{}", ended.complained);
        restart(&path);
        restart(&path);
        let gaps = Trail::open(&path).gaps();
        let [gap] = &*gaps else {
            panic!("{waiting} are missing, and the trail tells of {gaps:?}")
        };
        let at_most = gap.0["records_at_most"].as_u64();
        assert_eq!(at_most, Some(waiting).filter(|_| cfg!(target_os = "linux")).or(at_most));
        assert_eq!(gap.0["pid"], ended.pid);
    }
}

/// Two processes are in a call; one of them is killed.
fn calls_of_a_process_that_is_alive_stay_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let mut alive = parent::start("waits in a call", &path, &[]);
    alive.hears("in body");
    let mut killed = parent::start("waits in a call", &path, &[]);
    killed.hears("in body");
    killed.kill().killed();
    let outcomes = || {
        let lines = Trail::open(&path).lines().into_iter();
        lines.map(|line| (line.key.unwrap_or_default(), line.outcome)).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(), []);
    let of = |outcome: &str| ("waits".to_owned(), outcome.to_owned());
    restart(&path);
    assert_eq!(outcomes(), [of("unknown")]);
    restart(&path);
    assert_eq!(outcomes(), [of("unknown")]);
    alive.go_on();
    alive.wait().in_order();
    restart(&path);
    assert_eq!(outcomes(), [of("unknown"), of("success")]);
}
