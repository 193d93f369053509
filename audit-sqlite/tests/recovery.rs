//! What the next start makes of a recorder that has died: once, and never of one that is alive.

mod common;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;

use audit_record::process::{Counts, left_behind};
use audit_record::store::Batch;
use audit_record::store::Sink as _;
use audit_sqlite::SqliteStore;
use common::session::{
    begun, call, intend, intents, lock_files, lock_name, session, states, texts,
};
use common::{actions, event, read, value};
use tempfile::tempdir;
use uuid::Uuid;

/// What a child does: it begins, counts, announces two calls, ends one of them, and says so.
#[test]
fn record_for_parent() {
    let Some(path) = std::env::var_os("AUDIT_TEST_PATH").map(PathBuf::from) else { return };
    let mut store = SqliteStore::open(&path).unwrap();
    let session = session();
    let counts = std::env::var("AUDIT_TEST_COUNTED").ok().map(|counted| {
        let counts = Counts::shared(session.id);
        assert!(counts.is_shared());
        let (accepted, dropped) = counted.split_once(' ').unwrap();
        counts.accepted().fetch_add(accepted.parse().unwrap(), Ordering::Relaxed);
        counts.dropped().fetch_add(dropped.parse().unwrap(), Ordering::Relaxed);
        counts
    });
    store.begin(&session).unwrap();
    let calls = [call("transfer funds"), call("check")];
    intend(&mut store, &calls);
    let records = [calls[1].clone(), event("one"), event("two")];
    let mut batch = Batch::new(&records);
    (batch.tally.ended, batch.tally.dropped_told) = (3, 1);
    store.write_batch(&batch).unwrap();
    // On a line of its own: the test harness has begun one.
    println!("\nsession {}", session.id);
    // Until it is killed, or the parent has no more use for it.
    std::io::stdin().read_line(&mut String::new()).unwrap();
    drop((store, counts));
    std::process::exit(0);
}

struct Recording {
    child: Child,
    session: Uuid,
}

impl Recording {
    fn start(path: &Path, counted: Option<&str>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "record_for_parent", "--nocapture"]).env("AUDIT_TEST_PATH", path);
        if let Some(counted) = counted {
            command.env("AUDIT_TEST_COUNTED", counted);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let session = output
            .find_map(|line| line.unwrap().strip_prefix("session ").map(str::to_owned))
            .expect("the child says which session it has begun");
        // What the harness prints later must not fail for want of a reader.
        std::thread::spawn(move || output.count());
        Self { child, session: session.parse().unwrap() }
    }

    fn kill(mut self) -> (u32, Uuid) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child.id(), self.session)
    }
}

/// The `gap` record: its reason, and what `output` says but for times.
fn gaps(path: &Path) -> Vec<String> {
    texts(
        path,
        "SELECT reason || ' ' || json_remove(output, '$.from', '$.to', '$.session', '$.pid') FROM audit_log
         WHERE kind = 'gap' AND outcome = 'unknown' AND service = 'billing' ORDER BY seq",
    )
}

const RECOVERED: [&str; 5] = ["check", "one", "two", "transfer funds", "records missing"];

#[cfg(target_os = "linux")]
#[test]
fn what_a_killed_recorder_has_lost_is_told_once_and_counted() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    // Of 5 that were accepted, 3 are stored; of 3 that were dropped, a gap has told of 1.
    let (pid, id) = Recording::start(&path, Some("5 3")).kill();
    assert_eq!(
        (states(&path), intents(&path)),
        (vec!["open".into()], vec!["transfer funds".into()])
    );

    let mut store = begun(&path);
    assert_eq!(actions(&path), RECOVERED);
    assert_eq!(states(&path), ["died", "open"]);
    assert_eq!(intents(&path), <[String; 0]>::default());
    let unknown = "SELECT kind, outcome, duration_us, actor, input, reason FROM audit_log WHERE action = 'transfer funds'";
    let expected = format!(
        "call|unknown|0|alice|{{\"from\":17, \"amount\":1.10}}|ticket 4; process {pid} of the service `billing` ended \
         before the call had ended"
    );
    assert_eq!(texts(&path, unknown), [expected]);
    let expected = format!(
        "process {pid} of the service `billing` ended without closing its recorder; the number was counted up to its \
         end {{\"records_at_most\":4,\"dropped\":2,\"basis\":\"counted\",\"service\":\"billing\"}}"
    );
    assert_eq!(gaps(&path), [expected]);
    let range = format!(
        "SELECT output ->> 'from' = latest_stored_at AND output ->> 'to' = l.started_at
             AND output ->> 'pid' = {pid} AND output ->> 'session' = s.id AND s.id = '{id}'
         FROM audit_log AS l, audit_sessions AS s WHERE kind = 'gap' AND state = 'died'"
    );
    assert_eq!(value::<i64>(&path, &range), 1);
    assert_eq!(left_behind(id), None, "the page of its counters is gone");
    assert_eq!(lock_files(&directory).len(), 1, "that of the new session");

    store.close().unwrap();
    begun(&path).close().unwrap();
    assert_eq!(actions(&path), RECOVERED);
}

#[cfg(target_os = "linux")]
#[test]
fn a_recorder_that_has_died_and_lost_nothing_leaves_no_gap() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    Recording::start(&path, Some("3 1")).kill();
    begun(&path);
    assert_eq!(actions(&path), RECOVERED[..4]);
    assert_eq!(states(&path), ["died", "open"]);
}

#[test]
fn without_counters_the_limit_of_the_queue_is_told() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let (pid, _) = Recording::start(&path, None).kill();
    begun(&path);
    let expected = format!(
        "process {pid} of the service `billing` ended without closing its recorder; the number is the limit of its \
         queue {{\"records_at_most\":7,\"dropped\":0,\"basis\":\"queue limit\",\"service\":\"billing\"}}"
    );
    assert_eq!(gaps(&path), [expected]);
}

#[cfg(target_os = "linux")]
#[test]
fn after_another_boot_more_may_be_missing() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let (pid, _) = Recording::start(&path, None).kill();
    read(&path)
        .execute_batch(
            "DROP TRIGGER audit_session_update_of; UPDATE audit_session SET boot_id = 'another'",
        )
        .unwrap();
    begun(&path);
    let expected = format!(
        "process {pid} of the service `billing` ended without closing its recorder; the number is the limit of its \
         queue, and the machine has been restarted since, so that records which were stored shortly before may be \
         missing as well {{\"records_at_most\":7,\"dropped\":0,\"basis\":\"queue limit, other boot\",\"service\":\"billing\"}}"
    );
    assert_eq!(gaps(&path), [expected]);
}

/// What a later version, or a system of another kind, may have written there.
#[test]
fn a_session_that_says_what_is_not_understood_goes_by_its_lock() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut other = begun(&path);
    read(&path)
        .execute_batch(
            "DROP TRIGGER audit_session_update_of;
             UPDATE audit_session SET pid = -1, pid_namespace = 'job 7', file = 'volume 3', process_start = -9",
        )
        .unwrap();
    begun(&path).close().unwrap();
    assert_eq!(states(&path), ["open", "closed"]);
    other.write(&[event("still here")]).unwrap();
    drop(other);
    begun(&path).close().unwrap();
    assert_eq!(states(&path), ["died", "closed", "closed"]);
    assert_eq!(actions(&path), ["still here", "records missing"]);
}

#[test]
fn a_recorder_that_is_alive_is_left_alone() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let other = Recording::start(&path, None);
    // One in this process too, and one that is gone in order.
    let mut beside = begun(&path);
    let mut last = begun(&path);
    last.close().unwrap();
    assert_eq!(actions(&path), RECOVERED[..3]);
    assert_eq!(intents(&path), ["transfer funds"]);
    assert_eq!(states(&path), ["open", "open", "closed"]);
    beside.write(&[event("three")]).unwrap();

    #[cfg(target_os = "linux")]
    {
        // Its process is seen to run, though somebody has deleted its lock file.
        fs::remove_file(directory.path().join(lock_name(other.session))).unwrap();
        begun(&path).close().unwrap();
        assert_eq!(intents(&path), ["transfer funds"]);
    }
    other.kill();
    begun(&path).close().unwrap();
    assert_eq!(
        actions(&path),
        ["check", "one", "two", "three", "transfer funds", "records missing"]
    );
    assert_eq!(states(&path)[..2], ["died", "open"]);
}

/// A child that it has forked has the lock file open, and holds the lock by that.
#[cfg(target_os = "linux")]
#[test]
fn a_lock_that_outlives_its_process_does_not_keep_the_session_alive() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let (_, id) = Recording::start(&path, None).kill();
    let inherited = File::open(directory.path().join(lock_name(id))).unwrap();
    inherited.try_lock().unwrap();
    begun(&path).close().unwrap();
    assert_eq!(actions(&path), RECOVERED);
}

#[cfg(target_os = "linux")]
#[test]
fn in_a_copy_nobody_is_alive_and_nothing_is_taken_from_the_original() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let other = Recording::start(&path, Some("5 1"));
    let elsewhere = tempdir().unwrap();
    let copy = elsewhere.path().join("audit.db");
    read(&path).execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    begun(&copy).close().unwrap();
    assert_eq!(states(&copy), ["died", "closed"]);
    assert_eq!(actions(&copy), RECOVERED);
    let lost: i64 =
        value(&copy, "SELECT output ->> 'records_at_most' FROM audit_log WHERE kind = 'gap'");
    assert_eq!(lost, 7, "the counters are those of the original");

    assert_eq!(left_behind(other.session).map(|counted| counted.accepted), Some(5));
    assert_eq!(states(&path), ["open"]);
    assert_eq!(intents(&path), ["transfer funds"]);
    other.kill();
    begun(&path).close().unwrap();
    let lost: i64 =
        value(&path, "SELECT output ->> 'records_at_most' FROM audit_log WHERE kind = 'gap'");
    assert_eq!(lost, 2);
}

#[test]
fn begin_for_parent() {
    let Some(path) = std::env::var_os("AUDIT_TEST_BEGIN").map(PathBuf::from) else { return };
    // All at once, as soon as the parent closes the pipe.
    std::io::stdin().read_line(&mut String::new()).unwrap();
    begun(&path).close().unwrap();
}

#[test]
fn of_many_that_begin_at_once_one_tells_what_was_lost() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    for _ in 0..3 {
        Recording::start(&path, None).kill();
    }
    let children: Vec<_> = (0..8)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "begin_for_parent"])
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
fn a_store_that_is_dropped_without_a_close_has_died() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = begun(&path);
    intend(&mut store, &[call("transfer funds")]);
    drop(store);
    begun(&path);
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
fn a_call_under_way_when_its_recorder_is_closed_ends_unknown() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = begun(&path);
    let mut transfer = call("transfer funds");
    transfer.reason = None;
    intend(&mut store, &[transfer]);
    store.close().unwrap();
    assert_eq!(intents(&path), ["transfer funds"]);
    begun(&path);
    let reason = "SELECT outcome || ' ' || reason FROM audit_log WHERE action = 'transfer funds'";
    assert_eq!(texts(&path, reason), ["unknown the recorder was closed before the call had ended"]);
    assert_eq!(gaps(&path), <[String; 0]>::default());
}

/// A recorder that could not store everything may be closed all the same: then the next start tells.
#[cfg(target_os = "linux")]
#[test]
fn a_recorder_that_is_closed_with_records_missing_has_not_ended_in_order() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let session = session();
    let counts = Counts::shared(session.id);
    counts.accepted().fetch_add(2, Ordering::Relaxed);
    let mut store = SqliteStore::open(&path).unwrap();
    store.begin(&session).unwrap();
    store.close().unwrap();
    assert_eq!(states(&path), ["open"]);
    begun(&path);
    let lost: i64 =
        value(&path, "SELECT output ->> 'records_at_most' FROM audit_log WHERE kind = 'gap'");
    assert_eq!(lost, 2);
}
