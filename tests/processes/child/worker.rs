//! The role of a program at work, which is killed in its midst.

use std::thread;

use audited::{Audit, Refused, SqliteStore, audit_method};

use super::staged::Staged;
use super::{path, say, setting};

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
    say(&format!("began {key}"));
    Ok(())
}

/// Makes calls of all kinds until it is killed, or has made as many as the parent wants.
///
/// A call's key is `run-thread-number`. The parent hears `returned KEY` when a call is over, and `stored KEY` when it
/// was promised that the record stays, for this call and all before it on its thread. `began KEY` comes from within a
/// call that was announced.
pub(super) fn work() {
    let run = setting("AUDITED_TEST_RUN").expect("the parent sets it");
    let seed: u64 =
        setting("AUDITED_TEST_SEED").expect("the parent sets it").parse().expect("a number");
    let calls: u64 =
        setting("AUDITED_TEST_CALLS").map_or(u64::MAX, |calls| calls.parse().expect("a number"));
    say("started");
    let store = Staged::new(SqliteStore::open(path()).expect("the trail opens"));
    let audit = Audit::builder().store(store).install().expect("a recorder");
    say("ready");
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (audit, run) = (&audit, &run);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed ^ (thread << 32));
                for number in 0..calls {
                    step(audit, &mut random, &format!("{run}-{thread}-{number}"));
                }
            });
        }
    });
    audit.close().expect("it closes in order");
    say("closed");
}

fn step(audit: &Audit, random: &mut fastrand::Rng, key: &str) {
    let mut is_stored = true;
    match random.u8(..40) {
        0..=1 => process(key),
        2 => power(key),
        3..=4 => guarded(key).expect("it can be put on record"),
        _ => {
            queued(key);
            is_stored = false;
        }
    }
    say(&format!("returned {key}"));
    if !is_stored && random.u8(..40) == 0 {
        audit.flush().expect("the store takes all");
        is_stored = true;
    }
    if is_stored {
        say(&format!("stored {key}"));
    }
}
