//! The log of a call holds the events of that call and of the children that carry its span: all of them, and
//! no other's, however the calls interleave.

#[path = "support/interleaved.rs"]
mod interleaved;

#[test]
fn a_thousand_interleaved_calls_keep_their_lines_apart() {
    let subscriber = tracing_subscriber::layer::SubscriberExt::with(
        tracing_subscriber::registry(),
        audited::layer(),
    );
    // Worker threads take the global subscriber; this binary is here for that.
    tracing::subscriber::set_global_default(subscriber).expect("none is set yet");
    interleaved::check();
}
