//! Shape 63: events, notes and audited calls that values make while they are captured.

#[path = "shapes/record_access.rs"]
mod record_access;

use std::fmt;

use audited::{audit_method, testing};
use record_access::{find_record, input, log_messages, output, single_record};
use serde::{Serialize, Serializer};
use serde_json::json;

/// Emits events, notes and audited calls while it is captured.
struct Chatty(u32);

impl Serialize for Chatty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        tracing::warn!("serialising {}", self.0);
        audited::note("from", "serialize");
        serializer.serialize_u32(self.0)
    }
}

impl fmt::Debug for Chatty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tracing::warn!("formatting {}", self.0);
        audited::execute("inside", "chatty::fmt", (), || ());
        write!(f, "Chatty {}", self.0)
    }
}

#[audit_method(debug(second), fields(third = first))]
fn talk(first: Chatty, second: Chatty) -> Chatty {
    tracing::info!(value = ?second, "talking");
    Chatty(first.0 + second.0)
}

#[test]
fn n63_events_emitted_during_capture_belong_to_no_call() {
    let records = testing::capture(|| talk(Chatty(1), Chatty(2)));
    let call = find_record(&records, "talk");
    assert_eq!(input(call), json!({"first": 1, "second": "Chatty 2"}));
    assert_eq!(output(call), json!(3));
    assert_eq!(log_messages(call), ["talking"]);
    assert_eq!(call.log[0].fields.as_ref().unwrap().to_value(), json!({"value": "Chatty 2"}));
}

#[test]
fn n63_a_layer_that_makes_audited_calls_does_not_recurse() {
    use tracing_subscriber::layer::SubscriberExt;

    struct Calls;
    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Calls {
        fn on_event(
            &self,
            event: &tracing::Event<'_>,
            _: tracing_subscriber::layer::Context<'_, S>,
        ) {
            if event.metadata().target() == "start" {
                counted(1);
            }
        }
        fn on_close(&self, _: tracing::span::Id, _: tracing_subscriber::layer::Context<'_, S>) {
            tracing::info!("closed");
        }
    }

    #[audit_method]
    fn counted(n: u32) -> u32 {
        tracing::info!("counted");
        n
    }

    #[audit_method]
    fn starts() {
        tracing::info!(target: "start", "started");
    }

    let subscriber = tracing_subscriber::registry().with(audited::layer()).with(Calls);
    let records = tracing::subscriber::with_default(subscriber, || testing::capture(starts));
    let (outer, inner) = (find_record(&records, "starts"), find_record(&records, "counted"));
    assert_eq!(records.len(), 2);
    assert_eq!(inner.parent_id, Some(outer.id));
    assert!(log_messages(outer).contains(&"started"));
}

#[test]
fn n63_notes_made_during_capture_are_ignored() {
    let record = single_record(|| {
        #[audit_method]
        fn quiet(value: &Chatty) -> u32 {
            value.0
        }
        quiet(&Chatty(4))
    });
    assert_eq!(input(&record), json!({"value": 4}));
    assert!(record.notes.is_empty(), "{:?}", record.notes);
}
