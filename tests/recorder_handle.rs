//! The handle of a recorder: clones, shutdown, and the warning about a handle that is dropped at
//! once. Also `append`, and the wait for a record, as a program sees them.

use std::process::Command;
use std::sync::Barrier;
use std::time::Duration;

use audited::record::Kind;
use audited::store::Status;
use audited::{Audit, AuditBuilder, Context, Record, append, audit_method};
use gate::GatedStore;
use support::MemoryStore;

#[path = "support/gate.rs"]
mod gate;
mod support;

#[audit_method(action = "work")]
fn work(number: u64) -> u64 {
    number
}

fn recorder() -> (Audit, MemoryStore) {
    let kept = MemoryStore::default();
    (Audit::builder().store(kept.clone()).build().expect("a recorder"), kept)
}

fn event() -> Record {
    Record::new(Kind::Event, "open the vault", chrono::Utc::now())
}

#[test]
fn the_recorder_closes_when_the_last_handle_is_dropped() {
    let (audit, kept) = recorder();
    let clone = audit.clone();
    let context = Context::new().recorder(&audit);
    drop(audit);
    context.scope(|| work(1));
    assert_eq!(clone.health().status, Status::Working);
    clone.flush().expect("it is still open");
    context.scope(|| work(2));
    drop(clone);
    assert_eq!(kept.actions(), ["work"; 2], "the drop flushed the queue");
    context.scope(|| work(3));
    assert_eq!(kept.actions(), ["work"; 2]);
}

#[test]
fn handles_are_shared_between_threads() {
    let (audit, kept) = recorder();
    std::thread::scope(|threads| {
        for number in 0..4 {
            let audit = audit.clone();
            threads.spawn(move || Context::new().recorder(&audit).scope(|| work(number)));
        }
    });
    audit.shutdown().expect("the shutdown succeeds");
    assert_eq!(kept.actions(), ["work"; 4]);
}

#[test]
fn shutdown_flushes_and_closes_for_all_handles() {
    let (audit, kept) = recorder();
    let clone = audit.clone();
    let context = Context::new().recorder(&audit);
    context.scope(|| work(1));
    clone.shutdown().expect("the shutdown succeeds");
    assert_eq!(kept.actions(), ["work"]);
    assert_eq!(audit.health().status, Status::Stopped);
    assert_eq!((audit.counters().accepted, audit.counters().written), (1, 1));
    audit.shutdown().expect("a second shutdown does nothing");
    audit.flush().expect("nothing is left to store");
}

#[test]
fn a_call_that_ends_after_the_shutdown_is_counted_as_dropped() {
    let (audit, kept) = recorder();
    Context::new().recorder(&audit).scope(|| {
        audited::execute("outer", "test::outer", (), || {
            audit.shutdown().expect("the shutdown succeeds");
        });
    });
    assert_eq!(kept.actions(), [""; 0]);
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.dropped), (0, 1));
}

#[test]
fn a_concurrent_shutdown_waits_until_the_store_is_closed() {
    let store = GatedStore::blocked();
    let audit = Audit::builder().store(store.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    store.wait_for_batches(1);
    let start = Barrier::new(3);
    std::thread::scope(|threads| {
        let shutdowns = [(); 2].map(|()| {
            threads.spawn(|| {
                start.wait();
                audit.shutdown().expect("the shutdown succeeds");
                store.actions()
            })
        });
        start.wait();
        // If a shutdown did not wait, it would have returned by now.
        (0..1_000).for_each(|_| std::thread::yield_now());
        assert!(shutdowns.iter().all(|shutdown| !shutdown.is_finished()));
        store.unblock();
        for shutdown in shutdowns {
            assert_eq!(shutdown.join().expect("no panic"), ["work"]);
        }
    });
}

#[test]
fn a_second_shutdown_does_not_repeat_the_error_of_the_first() {
    let builder = Audit::builder().store(GatedStore::failing());
    let audit = builder.close_timeout(Duration::ZERO).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| work(1));
    let error = audit.shutdown().expect_err("the record is lost");
    assert_eq!(error.to_string(), "the disk is gone");
    audit.shutdown().expect("the first shutdown has reported it");
}

#[cfg(feature = "sqlite")]
#[test]
fn history_of_a_closed_recorder_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = audited::SqliteStore::open(folder.path().join("audit.db")).expect("a trail");
    let audit = Audit::builder().store(store).build().expect("a recorder");
    drop(audit.history_of("pilot", 1).expect("the store can be read"));
    audit.shutdown().expect("the shutdown succeeds");
    let error = audit.history_of("pilot", 1).expect_err("the store is closed").to_string();
    assert!(error.starts_with("the recorder is closed"), "{error}");
}

#[test]
fn builders_handles_and_their_parts_have_debug_output() {
    let (audit, _kept) = recorder();
    let builder: AuditBuilder = Audit::builder().site("eu-1");
    assert!(format!("{builder:?}").contains("eu-1"));
    assert!(format!("{audit:?}").contains("accepted: 0"));
    assert!(format!("{:?}", audit.health()).contains("Working"));
    assert_eq!(format!("{:?}", audited::store::Collector::new()), "Collector { .. }");
}

// ---- append -------------------------------------------------------------------------------------

#[test]
fn append_is_an_error_where_no_recorder_applies() {
    let error = append(event()).expect_err("there is no recorder").to_string();
    assert!(error.contains("no recorder applies here"), "{error}");
}

#[test]
fn append_is_an_error_while_the_recorder_is_switched_off() {
    let (audit, kept) = recorder();
    audit.set_enabled(false);
    let result = Context::new().recorder(&audit).scope(|| append(event()));
    let error = result.expect_err("it is switched off").to_string();
    assert_eq!(error, "the record was not appended: the recorder is switched off");
    audit.flush().expect("nothing is lost");
    assert_eq!(kept.actions(), [""; 0]);
}

#[test]
fn append_is_an_error_after_the_shutdown_and_counts_as_dropped() {
    let (audit, kept) = recorder();
    // Keeps recording active, so that the context's recorder is looked up.
    let (_other, _) = recorder();
    let context = Context::new().recorder(&audit);
    context.scope(|| append(event())).expect("it is open");
    audit.shutdown().expect("the shutdown succeeds");
    let error = context.scope(|| append(event())).expect_err("it is closed").to_string();
    assert_eq!(error, "the record was not appended: the recorder is closed");
    assert_eq!((kept.actions().len(), audit.counters().dropped), (1, 1));
}

#[test]
fn an_appended_record_is_stored_as_it_is() {
    let (audit, kept) = recorder();
    let record = event();
    Context::new().actor("alice").recorder(&audit).scope(|| {
        append(record.clone()).expect("there is a recorder");
    });
    audit.flush().expect("it is stored");
    assert_eq!(kept.records(), [record], "not even the actor is added");
}

// ---- a handle that is dropped at once -----------------------------------------------------------

const CHILD: &str = "AUDITED_TEST_CHILD";

/// Runs this test binary again with one test, in which [`CHILD`] is set, and returns its standard
/// error.
fn stderr_of_child(test: &str, mode: &str) -> String {
    let binary = std::env::current_exe().expect("this test binary");
    let mut command = Command::new(binary);
    command.args(["--exact", test, "--nocapture"]).env(CHILD, mode);
    let output = command.output().expect("the child runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn a_handle_that_is_dropped_at_once_is_reported_on_stderr() {
    const TEST: &str = "a_handle_that_is_dropped_at_once_is_reported_on_stderr";
    const WARNING: &str = "the recorder was dropped soon after it was installed";
    if let Ok(mode) = std::env::var(CHILD) {
        let audit = Audit::builder().store(MemoryStore::default()).install().expect("a recorder");
        match &*mode {
            "dropped" => drop(audit),
            "shut down" => audit.shutdown().expect("the shutdown succeeds"),
            "cloned" => {
                let clone = audit.clone();
                drop(audit);
                work(1);
                drop(clone);
            }
            _ => unreachable!("no such mode: {mode}"),
        }
        return;
    }
    assert!(stderr_of_child(TEST, "dropped").contains(WARNING));
    assert!(!stderr_of_child(TEST, "shut down").contains(WARNING));
    assert!(!stderr_of_child(TEST, "cloned").contains(WARNING));
}
