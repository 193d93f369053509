//! Shape 64: a global subscriber, whose layers may be entered again on the same thread. The test
//! has its own binary, because a process has only one global subscriber.

#[path = "shapes/record_access.rs"]
mod record_access;

use std::sync::Mutex;

use audited::{Outcome, audit_method, testing};
use record_access::{find_record, input, log_messages, output};
use serde::{Serialize, Serializer};
use serde_json::json;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// Holds a lock while it handles an event, like a layer that writes to a file.
struct Locks(Mutex<Vec<String>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Locks {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut seen = self.0.try_lock().expect("an event was emitted while another was handled");
        seen.push(event.metadata().target().to_owned());
    }
}

struct Chatty(u32);

impl Serialize for Chatty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        tracing::warn!("serialising");
        serializer.serialize_u32(self.0)
    }
}

#[audit_method]
fn outer(value: &Chatty) -> Result<u32, String> {
    tracing::info!("in the outer call");
    log::warn!("through the log crate");
    let inner = std::thread::scope(|threads| {
        let context = audited::Context::current();
        threads.spawn(move || context.scope(|| inner(value.0))).join().unwrap()
    });
    Err(format!("failed with {inner}"))
}

#[audit_method]
fn inner(n: u32) -> u32 {
    tracing::info!("in the inner call");
    n + 1
}

#[test]
fn n64_a_global_subscriber_neither_deadlocks_nor_mixes_up_calls() {
    let subscriber =
        tracing_subscriber::registry().with(audited::layer()).with(Locks(Mutex::default()));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    tracing_log::LogTracer::init().unwrap();

    let records = testing::capture(|| {
        assert_eq!(outer(&Chatty(4)), Err("failed with 5".to_owned()));
    });
    let (inner, outer) = (find_record(&records, "inner"), find_record(&records, "outer"));
    assert_eq!((outer.outcome, input(outer)), (Outcome::Failure, json!({"value": 4})));
    assert_eq!(log_messages(outer), ["in the outer call", "through the log crate"]);
    assert_eq!(outer.log[1].level, "WARN");
    assert_eq!((inner.parent_id, output(inner)), (Some(outer.id), json!(5)));
    assert_eq!(log_messages(inner), ["in the inner call"]);
}
