//! Audited calls in the destructors of thread-locals are recorded, and the thread ends normally.

use std::cell::RefCell;

use audited::{Audit, audit_method};
use support::MemoryStore;
use tracing_subscriber::prelude::*;

mod support;

#[audit_method(action = "step")]
fn step(name: &str) {
    let _ = name;
}

/// Makes an audited call when it is dropped.
struct CallsOnDrop(&'static str);

impl Drop for CallsOnDrop {
    fn drop(&mut self) {
        step(self.0);
    }
}

thread_local! {
    static BEFORE: RefCell<Option<CallsOnDrop>> = const { RefCell::new(None) };
    static AFTER: RefCell<Option<CallsOnDrop>> = const { RefCell::new(None) };
}

#[test]
fn calls_in_thread_local_destructors_are_recorded() {
    tracing_subscriber::registry().with(audited::layer()).init();
    let kept = MemoryStore::default();
    let audit = Audit::builder().store(kept.clone()).install().expect("a recorder");
    std::thread::spawn(|| {
        // Used before the first span, so destroyed after the thread-locals of the registry.
        BEFORE.set(Some(CallsOnDrop("before")));
        step("alive");
        AFTER.set(Some(CallsOnDrop("after")));
    })
    .join()
    .expect("the thread ends without a panic");
    audit.flush().expect("the store accepts everything");
    let names: Vec<_> = kept
        .records()
        .iter()
        .map(|record| record.input.as_ref().expect("an input").to_value()["name"].clone())
        .collect();
    assert_eq!(names, ["alive", "after", "before"]);
}
