//! Audited calls in the destructors of thread-locals: the thread ends as it would without them.

use std::cell::RefCell;

use audited::{Audit, audit_method};
use support::Kept;
use tracing_subscriber::prelude::*;

mod support;

#[audit_method(action = "last words")]
fn last_words(who: &str) {
    let _ = who;
}

struct Speaks(&'static str);

impl Drop for Speaks {
    fn drop(&mut self) {
        last_words(self.0);
    }
}

thread_local! {
    static BEFORE: RefCell<Option<Speaks>> = const { RefCell::new(None) };
    static AFTER: RefCell<Option<Speaks>> = const { RefCell::new(None) };
}

#[test]
fn calls_while_a_thread_ends_are_recorded() {
    tracing_subscriber::registry().with(audited::layer()).init();
    let kept = Kept::default();
    let audit = Audit::builder().store(kept.clone()).install().expect("a recorder");
    std::thread::spawn(|| {
        // Used before the first span, so destroyed after the registry's own locals.
        BEFORE.set(Some(Speaks("before")));
        last_words("alive");
        AFTER.set(Some(Speaks("after")));
    })
    .join()
    .expect("the thread ends in order");
    audit.flush().expect("takes all");
    let said: Vec<_> = kept
        .records()
        .iter()
        .map(|record| record.input.as_ref().expect("an input").to_value()["who"].clone())
        .collect();
    assert_eq!(said, ["alive", "after", "before"]);
}
