//! The roles of programs that end in an unusual way.

use std::panic;
use std::process;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use audited::{Audit, Refused, SqliteStore, audit_method};
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

use super::crash_points::CrashPointStore;
use super::{builder, install_recorder, is_queued, path, print_line, setting, wait_for_parent};

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

/// Makes a call that is acknowledged, and then one whose body calls `end` to end the process.
fn end_in_a_call(end: fn()) {
    let audit = install_recorder();
    step("acknowledged");
    if is_queued() {
        audit.flush().expect("the store accepts everything");
    }
    ends("during the call", end).expect("the intent is stored");
}

pub(super) fn exits() {
    end_in_a_call(|| process::exit(7));
}

pub(super) fn aborts() {
    end_in_a_call(|| process::abort());
}

/// Behaves like a program built with `panic = "abort"`, which this program may be. Only the panic
/// hook runs, and no destructors.
pub(super) fn panics_and_aborts() {
    if cfg!(panic = "unwind") {
        panic::set_hook(Box::new(|_| process::abort()));
    }
    end_in_a_call(|| panic!("on purpose"));
}

/// Closes the recorder during a call, in a program without a subscriber.
pub(super) fn closes_in_a_call() {
    let audit = audited::init(path()).expect("a recorder");
    step("before");
    audited::execute("close", "processes::close", (), || audit.shutdown().expect("close succeeds"));
}

/// Exits while the store is blocked, and as many records wait as the parent requested.
pub(super) fn exits_while_records_wait() {
    let store = CrashPointStore::new(SqliteStore::open(path()).expect("the trail opens"));
    let (arrived, arrivals) = mpsc::channel();
    let store =
        store.block_at("before write", move || arrived.send(()).expect("this thread receives it"));
    let audit = builder().store(store).install().expect("a recorder");
    let waiting: u32 =
        setting("AUDITED_TEST_CALLS").expect("the parent sets it").parse().expect("a number");
    step("0");
    arrivals.recv().expect("the writer thread arrives");
    for key in 1..waiting {
        step(&key.to_string());
    }
    assert_eq!(audit.counters().accepted, u64::from(waiting));
    process::exit(7);
}

/// Waits for the parent inside a call whose intent is stored.
pub(super) fn waits_in_a_call() {
    let _audit = install_recorder();
    let in_body = || {
        print_line("in body");
        wait_for_parent();
    };
    ends("waits", in_body).expect("the intent is stored");
}

static AUDIT: Mutex<Option<Audit>> = Mutex::new(None);

/// Makes calls until it receives SIGTERM, like a server that its supervisor stops.
pub(super) fn terminates() {
    let mut signals = Signals::new([SIGTERM]).expect("a handler");
    *AUDIT.lock().expect("not poisoned") = Some(install_recorder());
    thread::spawn(move || {
        let signal = signals.forever().next().expect("a signal");
        assert_eq!(signal, SIGTERM);
        print_line("closing");
        let audit = AUDIT.lock().expect("not poisoned").take().expect("a recorder");
        audit.shutdown().expect("close succeeds");
        print_line("closed");
        process::exit(0);
    });
    for number in 0_u64.. {
        step(&number.to_string());
        print_line(&format!("returned {number}"));
    }
}
