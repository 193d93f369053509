//! The role of a program that makes calls until it is killed.

use std::thread;

use audited::{Audit, Refused, SqliteStore, audit_method};

use super::crash_points::CrashPointStore;
use super::{path, print_line, setting};

/// Threads that make calls.
const THREADS: u64 = 3;

#[audit_method]
fn queued(key: &str) {
    let _ = key;
}

#[audit_method(durability = "process")]
fn process(key: &str) {
    let _ = key;
}

#[audit_method(durability = "power")]
fn power(key: &str) {
    let _ = key;
}

#[audit_method(action = "guarded", on_audit_failure = "refuse", durability = "process")]
fn guarded(key: &str) -> Result<(), Refused> {
    print_line(&format!("began {key}"));
    Ok(())
}

/// Makes calls of all kinds until it is killed, or has made as many as the parent requested.
///
/// The key of a call is `run-thread-number`. This process prints `returned KEY` when a call has
/// returned. It prints `stored KEY` when the record of this call, and of all earlier calls of the
/// thread, is acknowledged. It prints `began KEY` inside a call whose intent is stored.
pub(super) fn work() {
    let run = setting("AUDITED_TEST_RUN").expect("the parent sets it");
    let seed: u64 =
        setting("AUDITED_TEST_SEED").expect("the parent sets it").parse().expect("a number");
    let calls: u64 =
        setting("AUDITED_TEST_CALLS").map_or(u64::MAX, |calls| calls.parse().expect("a number"));
    print_line("started");
    let store = CrashPointStore::new(SqliteStore::open(path()).expect("the trail opens"));
    let audit = Audit::builder().store(store).install().expect("a recorder");
    print_line("ready");
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (audit, run) = (&audit, &run);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed ^ (thread << 32));
                for number in 0..calls {
                    make_call(audit, &mut random, &format!("{run}-{thread}-{number}"));
                }
            });
        }
    });
    audit.shutdown().expect("close succeeds");
    print_line("closed");
}

fn make_call(audit: &Audit, random: &mut fastrand::Rng, key: &str) {
    let mut is_acknowledged = true;
    match random.u8(..40) {
        0..=1 => process(key),
        2 => power(key),
        3..=4 => guarded(key).expect("the intent is stored"),
        _ => {
            queued(key);
            is_acknowledged = false;
        }
    }
    print_line(&format!("returned {key}"));
    if !is_acknowledged && random.u8(..40) == 0 {
        audit.flush().expect("the store accepts everything");
        is_acknowledged = true;
    }
    if is_acknowledged {
        print_line(&format!("stored {key}"));
    }
}
