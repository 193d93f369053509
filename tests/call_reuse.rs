//! The recorder reuses the memory of ended calls. Nothing of an earlier call may appear in a later
//! one.
//!
//! A test binary with one test: only the recorder installed for the process reuses calls.

use std::sync::Arc;

use audited::{Audit, Context, Outcome, audit_method};
use support::MemoryStore;

mod support;

const CALLS: usize = 200;

#[audit_method(action = "full", target = ("invoice", number), reason = "asked for")]
fn full(number: usize, secret: &str) -> Result<Vec<usize>, String> {
    tracing::info!(number, length = secret.len(), "booked");
    tracing::info!("{}", "a long line ".repeat(200));
    audited::note("ticket", "by phone");
    audited::field("tenant", number);
    if number.is_multiple_of(2) { Err("no".to_owned()) } else { Ok(vec![7; 2_000]) }
}

#[audit_method(action = "plain")]
fn plain() {}

#[audit_method(action = "outer")]
fn outer() {
    plain();
}

#[test]
fn a_reused_call_holds_nothing_of_the_earlier_one() {
    let kept = MemoryStore::default();
    let audit = Audit::builder().store(kept.clone()).install().expect("a recorder");
    let actor: Arc<str> = "alice".into();
    for _ in 0..3 {
        Context::new().actor(actor.clone()).request_id("r-1").scope(|| {
            for number in 0..CALLS {
                full(number, "hunter2").ok();
                outer();
            }
        });
        audit.flush().expect("the store accepts everything");
        (0..3 * CALLS).for_each(|_| plain());
        audit.flush().expect("the store accepts everything");
    }
    let records = kept.records();
    assert_eq!(records.len(), 3 * 6 * CALLS);
    let mut ids: Vec<_> = records.iter().map(|record| record.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), records.len(), "every record has its own id");

    let root_calls =
        records.iter().filter(|record| record.action == "plain" && record.parent_id.is_none());
    assert_eq!(root_calls.clone().count(), 3 * 3 * CALLS);
    for record in root_calls {
        let mut expected = audited::Record::new(record.kind, "plain", record.started_at);
        expected.id = record.id;
        expected.correlation_id = record.id.into();
        expected.duration_us = record.duration_us;
        expected.method = "call_reuse::plain".into();
        expected.input = Some(audited::Json::parse("{}").expect("JSON"));
        assert_eq!(*record, expected);
    }
    let with_action = |action: &str| -> Vec<_> {
        records.iter().filter(|record| record.action == action).cloned().collect()
    };
    for (at, record) in with_action("full").iter().enumerate() {
        let number = at % CALLS;
        assert_eq!(record.target_id.as_deref(), Some(&*number.to_string()));
        assert_eq!(record.actor.as_deref(), Some("alice"));
        assert_eq!(record.outcome == Outcome::Failure, number.is_multiple_of(2));
        assert_eq!(
            (record.output.is_some(), record.error.is_some()),
            (!number.is_multiple_of(2), number.is_multiple_of(2))
        );
        assert_eq!(record.notes.len(), 1);
        assert_eq!(record.input.as_ref().expect("an input").to_value()["number"], number);
        assert!(!format!("{record:?}").contains("hunter2"));
    }
    for (outer, inner) in
        with_action("outer").iter().zip(records.iter().filter(|record| record.parent_id.is_some()))
    {
        assert_eq!(inner.parent_id, Some(outer.id));
        assert_eq!(inner.correlation_id, outer.correlation_id);
    }
}
