//! The roles of programs that record from unusual places.

use std::cell::RefCell;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::thread;

use audited::store::{Batch, RecorderSession, Store};
use audited::{Audit, Error, Record, SqliteStore, audit_method};
use serde::{Serialize, Serializer};

use super::{builder, install_recorder, path, print_line};

#[audit_method(action = "step")]
fn step(key: &str) -> usize {
    key.len()
}

/// Makes an audited call when it is dropped.
struct CallsOnDrop(&'static str);

impl Drop for CallsOnDrop {
    fn drop(&mut self) {
        step(self.0);
    }
}

/// Makes another audited call at its end, in a destructor.
#[audit_method(action = "holds")]
fn holds(key: &str) -> Option<usize> {
    let _calls_on_drop = CallsOnDrop("dropped in a body");
    Some(key.len())
}

#[audit_method(action = "panics")]
fn panics(key: &str) {
    let _calls_on_drop = CallsOnDrop("dropped while unwinding");
    panic!("{key}");
}

pub(super) fn drops() {
    let _audit = install_recorder();
    holds("around");
    drop(CallsOnDrop("dropped explicitly"));
    std::panic::set_hook(Box::new(|_| ()));
    let panicked = catch_unwind(|| panics("on purpose"));
    assert!(panicked.is_err());
    let unwinding = catch_unwind(|| {
        let _calls_on_drop = CallsOnDrop("dropped while unwinding past it");
        panic!("on purpose");
    });
    assert!(unwinding.is_err());
}

/// Makes an audited call when it is serialized.
struct CallsOnSerialize;

impl Serialize for CallsOnSerialize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        step("while it is serialized");
        serializer.serialize_str("serialized")
    }
}

#[audit_method(action = "serializes")]
fn pass_through(key: &str, value: CallsOnSerialize) -> CallsOnSerialize {
    let _ = key;
    value
}

pub(super) fn serializes() {
    let _audit = install_recorder();
    pass_through("all", CallsOnSerialize);
}

/// A store that makes audited calls in each of its methods.
struct CallingStore(SqliteStore);

impl Store for CallingStore {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.write_batch(&Batch::new(records))
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        step("in write");
        audited::execute("execute", "sink::execute", (), || ());
        let _ =
            audited::append(Record::new(audited::record::Kind::Event, "step", chrono::Utc::now()));
        tracing::error!("an event of the store");
        self.0.write_batch(batch)
    }

    fn begin(&mut self, session: &RecorderSession) -> Result<(), Error> {
        step("in begin");
        self.0.begin(session)
    }

    fn maintain(&mut self) -> Result<(), Error> {
        self.0.maintain()
    }

    fn close(&mut self) -> Result<(), Error> {
        step("in close");
        self.0.close()
    }
}

pub(super) fn writes() {
    set_subscriber();
    let store = CallingStore(SqliteStore::open(path()).expect("the trail opens"));
    let audit = builder().store(store).install().expect("a recorder");
    step("one");
    audit.flush().expect("the store accepts everything");
    step("two");
    let counters = audit.counters();
    print_line(&format!("{} accepted, {} dropped", counters.accepted, counters.dropped));
    audit.shutdown().expect("close succeeds");
}

fn set_subscriber() {
    use tracing_subscriber::prelude::*;
    tracing_subscriber::registry().with(audited::layer()).init();
}

thread_local! {
    static LAST: RefCell<Option<CallsOnDrop>> = const { RefCell::new(None) };
}

pub(super) fn thread_ends() {
    let _audit = install_recorder();
    for keys in [["alive", "after"], ["alive again", "after again"]] {
        let ended = thread::spawn(move || {
            LAST.set(Some(CallsOnDrop(keys[1])));
            step(keys[0]);
        });
        ended.join().expect("the thread ends without a panic");
    }
}

static KEPT: Mutex<Option<Audit>> = Mutex::new(None);

/// Makes calls after the end of `main`: in a thread-local destructor of the main thread, and in an
/// `atexit` handler.
pub(super) fn main_ends() {
    extern "C" fn at_exit() {
        print_line(&format!("at exit {}", step("at exit")));
        let Some(audit) = KEPT.lock().expect("not poisoned").take() else { return };
        audit.shutdown().expect("close succeeds");
        print_line(&format!("at exit {}", step("after close")));
    }
    // SAFETY: the function does not unwind.
    assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
    let audit = install_recorder();
    LAST.set(Some(CallsOnDrop("in a local of the main thread")));
    step("in main");
    *KEPT.lock().expect("not poisoned") = Some(audit);
}

/// Like `main_ends`, but `main` drops the handle and so closes the recorder.
pub(super) fn main_ends_and_closes() {
    extern "C" fn at_exit() {
        print_line(&format!("at exit {}", step("at exit")));
    }
    // SAFETY: the function does not unwind.
    assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
    let _audit = install_recorder();
    LAST.set(Some(CallsOnDrop("in a local of the main thread")));
    step("in main");
}
