//! Recovery at the next start: a dead recorder's intents and losses are reported once, and a living
//! recorder is left alone.

mod common;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering;

use audit_record::process::{SessionCounters, read_counters, remove_dead_counters};
use audit_record::store::Batch;
use audit_record::store::Store as _;
use audit_sqlite::SqliteStore;
use common::session::{
    call, intents, lock_file_name, lock_files, session, states, store_intents, store_with_session,
};
use common::{actions, child_test, event, path_from_parent, read, texts, value};
use tempfile::tempdir;
use uuid::Uuid;

/// The child's part. It begins a session, sets its counters, stores two intents, and stores the
/// record of one of them. Then it prints its session, and waits.
#[test]
fn child_process_records_and_waits() {
    let Some(path) = path_from_parent() else { return };
    let mut store = SqliteStore::open(&path).unwrap();
    let session = session();
    let counts = std::env::var("AUDIT_TEST_COUNTERS").ok().map(|counters| {
        let counts = SessionCounters::shared(session.id);
        assert!(counts.is_shared());
        let (accepted, dropped) = counters.split_once(' ').unwrap();
        counts.accepted().fetch_add(accepted.parse().unwrap(), Ordering::Relaxed);
        counts.dropped().fetch_add(dropped.parse().unwrap(), Ordering::Relaxed);
        counts
    });
    store.begin(&session).unwrap();
    let calls = [call("transfer funds"), call("check")];
    store_intents(&mut store, &calls);
    let records = [calls[1].clone(), event("one"), event("two")];
    let mut batch = Batch::new(&records);
    (batch.tally.ended, batch.tally.dropped_reported) = (3, 1);
    store.write_batch(&batch).unwrap();
    // The test harness has started a line, so this starts a new one.
    println!("\nsession {}", session.id);
    // Waits until the parent kills this process or drops the pipe.
    std::io::stdin().read_line(&mut String::new()).unwrap();
    drop((store, counts));
    std::process::exit(0);
}

/// A child process with an open session.
struct RecordingChild {
    child: Child,
    session: Uuid,
}

impl RecordingChild {
    /// Starts the child. `counters` are the numbers of accepted and dropped records; without them,
    /// the session has no shared counters.
    fn start(path: &Path, counters: Option<&str>) -> Self {
        let mut command = child_test("child_process_records_and_waits");
        command.env("AUDIT_TEST_PATH", path);
        if let Some(counters) = counters {
            command.env("AUDIT_TEST_COUNTERS", counters);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let session = output
            .find_map(|line| line.unwrap().strip_prefix("session ").map(str::to_owned))
            .expect("the child prints its session");
        // Keeps reading, so that later output of the test harness does not fail.
        std::thread::spawn(move || output.count());
        Self { child, session: session.parse().unwrap() }
    }

    fn kill(mut self) -> (u32, Uuid) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child.id(), self.session)
    }
}

/// The reason of each gap record, and its output without times and ids.
fn gaps(path: &Path) -> Vec<String> {
    texts(
        path,
        "SELECT reason || ' ' || json_remove(output, '$.from', '$.to', '$.session_id', '$.pid')
         FROM audit_log WHERE kind = 'gap' AND outcome = 'unknown' AND service = 'billing' ORDER BY seq",
    )
}

/// How many records each gap record reports as lost, and whether that is an upper bound.
fn reported_losses(path: &Path) -> Vec<String> {
    let sql = "SELECT output ->> 'records', output ->> 'at_most' FROM audit_log WHERE kind = 'gap'";
    texts(path, sql)
}

/// The actions in the trail after the session of a [`RecordingChild`] was recovered.
const RECOVERED: [&str; 5] = ["check", "one", "two", "transfer funds", "records missing"];

#[cfg(target_os = "linux")]
#[test]
fn a_killed_process_reports_its_losses_once_at_the_next_start() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    // Of 5 accepted records, 3 are stored. Of 3 dropped records, a gap record has reported 1.
    let (pid, id) = RecordingChild::start(&path, Some("5 3")).kill();
    assert_eq!(
        (states(&path), intents(&path)),
        (vec!["open".into()], vec!["transfer funds".into()])
    );

    let mut store = store_with_session(&path);
    assert_eq!(actions(&path), RECOVERED);
    assert_eq!(states(&path), ["died", "open"]);
    // Each record names the session that wrote it: here, the one that has recovered the other.
    let writers = "SELECT action, s.state FROM audit_log AS l
        JOIN audit_sessions AS s ON s.id = l.session_id ORDER BY seq";
    let expected =
        ["check|died", "one|died", "two|died", "transfer funds|open", "records missing|open"];
    assert_eq!(texts(&path, writers), expected);
    assert_eq!(intents(&path), <[String; 0]>::default());
    let unknown = "SELECT kind, outcome, duration_us, actor, input, reason
        FROM audit_log WHERE action = 'transfer funds'";
    let expected = format!(
        "call|unknown|0|alice|{{\"from\":17, \"amount\":1.10}}|ticket 4; process {pid} of the \
         service `billing` ended before the call had ended"
    );
    assert_eq!(texts(&path, unknown), [expected]);
    let expected = format!(
        "process {pid} of the service `billing` ended without closing its recorder; the number was \
         counted up to its end {{\"records\":4,\"at_most\":true,\"dropped\":2,\"basis\":\"counted\",\
         \"service\":\"billing\"}}"
    );
    assert_eq!(gaps(&path), [expected]);
    let range = format!(
        "SELECT output ->> 'from' = latest_stored_at AND output ->> 'to' = l.started_at
             AND output ->> 'pid' = {pid} AND output ->> 'session_id' = s.id AND s.id = '{id}'
         FROM audit_log AS l, audit_sessions AS s WHERE kind = 'gap' AND state = 'died'"
    );
    assert_eq!(value::<i64>(&path, &range), 1);
    assert_eq!(read_counters(id), None, "the shared counters are removed");
    assert_eq!(lock_files(&directory).len(), 1, "only the lock file of the new session is left");

    store.close().unwrap();
    store_with_session(&path).close().unwrap();
    assert_eq!(actions(&path), RECOVERED);
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_process_that_lost_nothing_leaves_no_gap_record() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    RecordingChild::start(&path, Some("3 1")).kill();
    store_with_session(&path);
    assert_eq!(actions(&path), RECOVERED[..4]);
    assert_eq!(states(&path), ["died", "open"]);
}

#[test]
fn without_shared_counters_the_queue_limit_is_reported_as_the_loss() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let (pid, _) = RecordingChild::start(&path, None).kill();
    store_with_session(&path);
    let expected = format!(
        "process {pid} of the service `billing` ended without closing its recorder; the number is \
         the limit of its queue {{\"records\":7,\"at_most\":true,\"dropped\":0,\"basis\":\"queue limit\",\
         \"service\":\"billing\"}}"
    );
    assert_eq!(gaps(&path), [expected]);
}

#[cfg(target_os = "linux")]
#[test]
fn after_a_reboot_the_gap_record_warns_that_more_may_be_missing() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let (pid, _) = RecordingChild::start(&path, None).kill();
    read(&path)
        .execute_batch(
            "DROP TRIGGER audit_session_update_of; UPDATE audit_session SET boot_id = 'another'",
        )
        .unwrap();
    store_with_session(&path);
    let expected = format!(
        "process {pid} of the service `billing` ended without closing its recorder; the number is \
         the limit of its queue, and the machine has been restarted since, so that records which \
         were stored shortly before may be missing as well {{\"records\":7,\"at_most\":true,\"dropped\":0,\
         \"basis\":\"queue limit, other boot\",\"service\":\"billing\"}}"
    );
    assert_eq!(gaps(&path), [expected]);
}

/// A later version, or another operating system, may have written such values.
#[test]
fn a_session_with_unknown_process_data_is_judged_by_its_lock() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut other = store_with_session(&path);
    read(&path)
        .execute_batch(
            "DROP TRIGGER audit_session_update_of;
             UPDATE audit_session
             SET pid = -1, pid_namespace = 'job 7', file = 'volume 3', process_start = -9",
        )
        .unwrap();
    store_with_session(&path).close().unwrap();
    assert_eq!(states(&path), ["open", "closed"]);
    other.write(&[event("still here")]).unwrap();
    drop(other);
    store_with_session(&path).close().unwrap();
    assert_eq!(states(&path), ["died", "closed", "closed"]);
    let expected = ["schema restored", "still here", "records missing"];
    assert_eq!(actions(&path), expected);
}

#[test]
fn a_living_recorder_is_left_alone() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let other = RecordingChild::start(&path, None);
    // Another one is open in this process, and a third one is closed.
    let mut beside = store_with_session(&path);
    let mut last = store_with_session(&path);
    last.close().unwrap();
    assert_eq!(actions(&path), RECOVERED[..3]);
    assert_eq!(intents(&path), ["transfer funds"]);
    assert_eq!(states(&path), ["open", "open", "closed"]);
    beside.write(&[event("three")]).unwrap();

    #[cfg(target_os = "linux")]
    {
        // Its process is still found running, although its lock file was deleted.
        fs::remove_file(directory.path().join(lock_file_name(other.session))).unwrap();
        store_with_session(&path).close().unwrap();
        assert_eq!(intents(&path), ["transfer funds"]);
    }
    other.kill();
    store_with_session(&path).close().unwrap();
    assert_eq!(
        actions(&path),
        ["check", "one", "two", "three", "transfer funds", "records missing"]
    );
    assert_eq!(states(&path)[..2], ["died", "open"]);
}

/// A forked child inherits the open lock file, and so keeps the lock.
#[cfg(target_os = "linux")]
#[test]
fn a_lock_that_outlives_its_process_does_not_keep_the_session_open() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let (_, id) = RecordingChild::start(&path, None).kill();
    let inherited = File::open(directory.path().join(lock_file_name(id))).unwrap();
    inherited.try_lock().unwrap();
    store_with_session(&path).close().unwrap();
    assert_eq!(actions(&path), RECOVERED);
}

#[cfg(target_os = "linux")]
#[test]
fn recovering_a_copy_of_the_trail_does_not_affect_the_original() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let other = RecordingChild::start(&path, Some("5 1"));
    let elsewhere = tempdir().unwrap();
    let copy = elsewhere.path().join("audit.db");
    read(&path).execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    store_with_session(&copy).close().unwrap();
    assert_eq!(states(&copy), ["died", "closed"]);
    assert_eq!(actions(&copy), RECOVERED);
    assert_eq!(reported_losses(&copy), ["7|1"], "the counters belong to the original");

    assert_eq!(read_counters(other.session).map(|counts| counts.accepted), Some(5));
    assert_eq!(states(&path), ["open"]);
    assert_eq!(intents(&path), ["transfer funds"]);
    other.kill();
    store_with_session(&path).close().unwrap();
    assert_eq!(reported_losses(&path), ["2|1"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_living_recorder_finds_a_process_that_has_died_since() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut living = store_with_session(&path);
    let mut beside = store_with_session(&path);
    let other = RecordingChild::start(&path, Some("5 3"));
    living.maintain().unwrap();
    assert_eq!((states(&path), actions(&path).len()), (vec!["open".to_owned(); 3], 3));

    let (pid, id) = other.kill();
    living.maintain().unwrap();
    assert_eq!(states(&path), ["open", "open", "died"]);
    assert_eq!(actions(&path), RECOVERED);
    assert_eq!(intents(&path), <[String; 0]>::default());
    let expected = format!(
        "process {pid} of the service `billing` ended without closing its recorder; the number was \
         counted up to its end {{\"records\":4,\"at_most\":true,\"dropped\":2,\"basis\":\"counted\",\
         \"service\":\"billing\"}}"
    );
    assert_eq!(gaps(&path), [expected]);
    assert_eq!(read_counters(id), None, "the shared counters are removed");
    assert_eq!(lock_files(&directory).len(), 2, "those of the living sessions");

    // Once: neither again, nor by another, nor by the next start.
    living.maintain().unwrap();
    beside.maintain().unwrap();
    store_with_session(&path).close().unwrap();
    assert_eq!(actions(&path), RECOVERED);
    living.write(&[event("still here")]).unwrap();
    assert_eq!(actions(&path).last().unwrap(), "still here");
    living.close().unwrap();
    assert!(living.maintain().is_err(), "it is closed");
}

#[test]
fn without_anything_to_recover_maintenance_changes_nothing() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = store_with_session(&path);
    store_intents(&mut store, &[call("transfer funds")]);
    let _other = store_with_session(&path);
    let mut without_session = SqliteStore::open(&path).unwrap();
    let wal = || fs::metadata(directory.path().join("audit.db-wal")).unwrap().len();
    let before = wal();
    store.maintain().unwrap();
    without_session.maintain().unwrap();
    assert_eq!(wal(), before);
    assert_eq!((intents(&path), actions(&path).len()), (vec!["transfer funds".to_owned()], 0));
}

/// A call may still run when its recorder is closed. Nobody else records its end.
#[test]
fn maintenance_records_the_intents_of_a_session_that_was_closed() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut living = store_with_session(&path);
    let mut store = store_with_session(&path);
    store_intents(&mut store, &[call("transfer funds")]);
    store.close().unwrap();
    living.maintain().unwrap();
    living.maintain().unwrap();
    let sql = "SELECT action, outcome, reason FROM audit_log";
    let reason = "ticket 4; the recorder was closed before the call had ended";
    assert_eq!(texts(&path, sql), [format!("transfer funds|unknown|{reason}")]);
}

/// A recorder of another trail removes the shared counters. They are kept beside their own trail.
#[cfg(target_os = "linux")]
#[test]
fn counters_that_another_recorder_has_removed_are_still_reported() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let (_, id) = RecordingChild::start(&path, Some("5 3")).kill();
    remove_dead_counters();
    assert_eq!(read_counters(id), None);
    let copy = directory.path().join("copy.db");
    read(&path).execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    store_with_session(&path).close().unwrap();
    assert_eq!(reported_losses(&path), ["4|1"]);
    assert_eq!(lock_files(&directory), <[String; 0]>::default());
    store_with_session(&copy).close().unwrap();
    assert_eq!(reported_losses(&copy), ["7|1"]);
}

/// Nobody will open a trail again that was deleted.
#[cfg(target_os = "linux")]
#[test]
fn counters_of_a_deleted_trail_are_removed() {
    let directory = tempdir().unwrap();
    let child = RecordingChild::start(&directory.path().join("audit.db"), Some("5 3"));
    remove_dead_counters();
    assert_eq!(read_counters(child.session).map(|counters| counters.accepted), Some(5));
    let (_, id) = child.kill();
    drop(directory);
    remove_dead_counters();
    assert_eq!(read_counters(id), None);
}

/// The child's part.
#[test]
fn child_process_begins_a_session() {
    let Some(path) = std::env::var_os("AUDIT_TEST_BEGIN").map(PathBuf::from) else { return };
    // All children start together, when the parent closes their pipes.
    std::io::stdin().read_line(&mut String::new()).unwrap();
    store_with_session(&path).close().unwrap();
}

#[test]
fn only_one_of_many_concurrent_starts_reports_the_losses() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    for _ in 0..3 {
        RecordingChild::start(&path, None).kill();
    }
    let children: Vec<_> = (0..8)
        .map(|_| {
            child_test("child_process_begins_a_session")
                .env("AUDIT_TEST_BEGIN", &path)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
    let unknown =
        "SELECT count(*) FROM audit_log WHERE action = 'transfer funds' AND outcome = 'unknown'";
    assert_eq!(value::<i64>(&path, unknown), 3);
    assert_eq!(gaps(&path).len(), 3);
    let mut expected = vec!["died"; 3];
    expected.extend(["closed"; 8]);
    assert_eq!(states(&path), expected);
    assert_eq!(lock_files(&directory), <[String; 0]>::default());
}

#[test]
fn a_store_dropped_without_close_is_recovered_as_dead() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = store_with_session(&path);
    store_intents(&mut store, &[call("transfer funds")]);
    drop(store);
    store_with_session(&path);
    let pid = std::process::id();
    let reason =
        "SELECT reason FROM audit_log WHERE action = 'transfer funds' AND outcome = 'unknown'";
    let expected = format!(
        "ticket 4; process {pid} of the service `billing` {} before the call had ended",
        if cfg!(target_os = "linux") { "ended its recorder" } else { "ended" }
    );
    assert_eq!(texts(&path, reason), [expected]);
    assert_eq!(gaps(&path).len(), 1);
}

#[test]
fn a_call_that_outlives_its_recorder_gets_the_outcome_unknown() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = store_with_session(&path);
    let mut transfer = call("transfer funds");
    transfer.reason = None;
    store_intents(&mut store, &[transfer]);
    store.close().unwrap();
    assert_eq!(intents(&path), ["transfer funds"]);
    store_with_session(&path);
    let reason = "SELECT outcome || ' ' || reason FROM audit_log WHERE action = 'transfer funds'";
    assert_eq!(texts(&path, reason), ["unknown the recorder was closed before the call had ended"]);
    let writer = "SELECT s.state FROM audit_log JOIN audit_sessions AS s ON s.id = session_id";
    assert_eq!(texts(&path, writer), ["open"], "the session that found it");
    assert_eq!(gaps(&path), <[String; 0]>::default());
}

/// A recorder can be closed although it could not store everything. The next start reports that.
#[cfg(target_os = "linux")]
#[test]
fn a_close_with_missing_records_leaves_the_session_open_for_recovery() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let session = session();
    let counts = SessionCounters::shared(session.id);
    counts.accepted().fetch_add(2, Ordering::Relaxed);
    let mut store = SqliteStore::open(&path).unwrap();
    store.begin(&session).unwrap();
    store.close().unwrap();
    assert_eq!(states(&path), ["open"]);
    store_with_session(&path);
    assert_eq!(reported_losses(&path), ["2|1"]);
}
