//! The roles of programs that end in an unusual way.

use std::panic;
use std::process;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use audited::{Audit, Refused, SqliteStore, audit_method};
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

use super::staged::Staged;
use super::{begin, builder, is_queued, path, say, setting, wait_for_parent};

#[audit_method(action = "step")]
fn step(key: &str) {
    let _ = key;
}

#[audit_method(action = "ends", on_audit_failure = "refuse")]
fn ends(key: &str, end: fn()) -> Result<(), Refused> {
    let _ = key;
    end();
    Ok(())
}

/// A call that was acknowledged; then one in whose midst the process ends.
fn acknowledge_then(end: fn()) {
    let audit = begin();
    step("acknowledged");
    if is_queued() {
        audit.flush().expect("the store takes all");
    }
    ends("in its midst", end).expect("it can be put on record");
}

pub(super) fn exits() {
    acknowledge_then(|| process::exit(7));
}

pub(super) fn aborts() {
    acknowledge_then(|| process::abort());
}

/// As a program built with `panic = "abort"`, which this one may be: the hooks run, and nothing else.
pub(super) fn panics_and_aborts() {
    if cfg!(panic = "unwind") {
        panic::set_hook(Box::new(|_| process::abort()));
    }
    acknowledge_then(|| panic!("on purpose"));
}

/// Closes the recorder of a program without a subscriber in the midst of a call.
pub(super) fn closes_in_a_call() {
    let audit = audited::init(path()).expect("a recorder");
    step("before");
    audited::execute("close", "processes::close", (), || audit.close().expect("all is stored"));
}

/// Ends while the store takes nothing, and as many records wait as the parent wants.
pub(super) fn exits_while_records_wait() {
    let store = Staged::new(SqliteStore::open(path()).expect("the trail opens"));
    let (arrived, stops) = mpsc::channel();
    let store = store.stops_at("before write", move || arrived.send(()).expect("it is waited for"));
    let audit = builder().store(store).install().expect("a recorder");
    let waiting: u32 =
        setting("AUDITED_TEST_CALLS").expect("the parent sets it").parse().expect("a number");
    step("0");
    stops.recv().expect("the writer arrives");
    for key in 1..waiting {
        step(&key.to_string());
    }
    assert_eq!(audit.counters().accepted, u64::from(waiting));
    process::exit(7);
}

/// Stays in a call that was announced until the parent lets it go on.
pub(super) fn waits_in_a_call() {
    let _audit = begin();
    let in_body = || {
        say("in body");
        wait_for_parent();
    };
    ends("waits", in_body).expect("it can be put on record");
}

static AUDIT: Mutex<Option<Audit>> = Mutex::new(None);

/// Works until it is told to end, as a server is by its supervisor.
pub(super) fn terminates() {
    let mut signals = Signals::new([SIGTERM]).expect("a handler");
    *AUDIT.lock().expect("not poisoned") = Some(begin());
    thread::spawn(move || {
        let signal = signals.forever().next().expect("a signal");
        assert_eq!(signal, SIGTERM);
        say("closing");
        let audit = AUDIT.lock().expect("not poisoned").take().expect("it is there");
        audit.close().expect("it closes in order");
        say("closed");
        process::exit(0);
    });
    for number in 0_u64.. {
        step(&number.to_string());
        say(&format!("returned {number}"));
    }
}
