//! The log of a call has all events of the call and of the tasks that carry its span, and no event
//! of another call. The test has its own binary, because it sets the global subscriber.

#[path = "support/interleaved.rs"]
mod interleaved;

#[test]
fn a_thousand_interleaved_calls_keep_their_logs_apart() {
    let subscriber = tracing_subscriber::layer::SubscriberExt::with(
        tracing_subscriber::registry(),
        audited::layer(),
    );
    // Worker threads use the global subscriber.
    tracing::subscriber::set_global_default(subscriber).expect("no subscriber is set yet");
    interleaved::check();
}
