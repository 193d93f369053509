//! The roles of programs that record from odd places.

use std::cell::RefCell;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::thread;

use audited::{Audit, Batch, Error, Record, Session, Sink, SqliteStore, audit_method};
use serde::{Serialize, Serializer};

use super::{begin, builder, path, say};

#[audit_method(action = "step")]
fn step(key: &str) -> usize {
    key.len()
}

/// Makes an audited call when it is dropped.
struct Speaks(&'static str);

impl Drop for Speaks {
    fn drop(&mut self) {
        step(self.0);
    }
}

/// The result of a call made before lives on until after the next.
#[audit_method(action = "holds")]
fn holds(key: &str) -> Option<usize> {
    let _speaks = Speaks("dropped in a body");
    Some(key.len())
}

#[audit_method(action = "panics")]
fn panics(key: &str) {
    let _speaks = Speaks("dropped while unwinding");
    panic!("{key}");
}

pub(super) fn drops() {
    let _audit = begin();
    holds("around");
    drop(Speaks("dropped by hand"));
    std::panic::set_hook(Box::new(|_| ()));
    let panicked = catch_unwind(|| panics("on purpose"));
    assert!(panicked.is_err());
    let unwinding = catch_unwind(|| {
        let _speaks = Speaks("dropped while unwinding past it");
        panic!("on purpose");
    });
    assert!(unwinding.is_err());
}

/// Makes an audited call when it is written.
struct Told;

impl Serialize for Told {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        step("while it is serialized");
        serializer.serialize_str("told")
    }
}

#[audit_method(action = "tells")]
fn tells(key: &str, told: Told) -> Told {
    let _ = key;
    told
}

pub(super) fn serializes() {
    let _audit = begin();
    tells("all", Told);
}

/// A store that makes audited calls in each of its steps.
struct Recursive(SqliteStore);

impl Sink for Recursive {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.write_batch(&Batch::new(records))
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        step("in write");
        audited::execute("execute", "sink::execute", (), || ());
        audited::append(Record::new(audited::Kind::Event, "step", chrono::Utc::now()));
        tracing::error!("an event of the store");
        self.0.write_batch(batch)
    }

    fn begin(&mut self, session: &Session) -> Result<(), Error> {
        step("in begin");
        self.0.begin(session)
    }

    fn close(&mut self) -> Result<(), Error> {
        step("in close");
        self.0.close()
    }
}

pub(super) fn writes() {
    audited_layer();
    let store = Recursive(SqliteStore::open(path()).expect("the trail opens"));
    let audit = builder().store(store).install().expect("a recorder");
    step("one");
    audit.flush().expect("the store takes all");
    step("two");
    let counters = audit.counters();
    say(&format!("{} accepted, {} dropped", counters.accepted, counters.dropped));
    audit.close().expect("it closes in order");
}

fn audited_layer() {
    use tracing_subscriber::prelude::*;
    tracing_subscriber::registry().with(audited::layer()).init();
}

thread_local! {
    static LAST: RefCell<Option<Speaks>> = const { RefCell::new(None) };
}

pub(super) fn thread_ends() {
    let _audit = begin();
    for keys in [["alive", "after"], ["alive again", "after again"]] {
        let ended = thread::spawn(move || {
            LAST.set(Some(Speaks(keys[1])));
            step(keys[0]);
        });
        ended.join().expect("it ends in order");
    }
}

static KEPT: Mutex<Option<Audit>> = Mutex::new(None);

/// Calls after the end of `main`: from a thread-local of the main thread, and from a handler of `exit`.
pub(super) fn main_ends() {
    extern "C" fn at_exit() {
        say(&format!("at exit {}", step("at exit")));
        let Some(audit) = KEPT.lock().expect("not poisoned").take() else { return };
        audit.close().expect("it closes in order");
        say(&format!("at exit {}", step("after close")));
    }
    // SAFETY: the function does not unwind.
    assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
    let audit = begin();
    LAST.set(Some(Speaks("in a local of the main thread")));
    step("in main");
    *KEPT.lock().expect("not poisoned") = Some(audit);
}

/// As `main_ends`, with a handle that `main` drops in order.
pub(super) fn main_ends_in_order() {
    extern "C" fn at_exit() {
        say(&format!("at exit {}", step("at exit")));
    }
    // SAFETY: the function does not unwind.
    assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
    let _audit = begin();
    LAST.set(Some(Speaks("in a local of the main thread")));
    step("in main");
}
