//! Checks the logs of interleaved calls whose child tasks and threads carry their spans. Not part
//! of `mod.rs`, because the binaries that use it set a global subscriber.

use std::sync::Arc;

use audited::{Context, audit_method, testing};
use tokio::sync::Barrier;
use tracing::Instrument as _;

const CALLS: usize = 1_000;
const CHILDREN: usize = 3;
const EVENTS: usize = 4;

#[audit_method(action = "interleaved")]
async fn interleaved(call: usize, together: Arc<Barrier>) -> usize {
    tracing::info!(call, "begins");
    // All calls have begun before any of them continues.
    together.wait().await;
    let children: Vec<_> = (0..CHILDREN)
        .map(|child| {
            tokio::spawn(
                async move {
                    for event in 0..EVENTS {
                        tracing::info!(call, child, event, "works");
                        tokio::task::yield_now().await;
                    }
                }
                .in_current_span(),
            )
        })
        .collect();
    let thread = {
        let span = tracing::Span::current();
        std::thread::spawn(move || span.in_scope(|| tracing::info!(call, "from a thread")))
    };
    for child in children {
        child.await.expect("a child does not panic");
        tracing::info!(call, "a child is done");
    }
    thread.join().expect("the thread does not panic");
    call
}

/// Panics unless the log of each call has all of its events, and no event of another call.
pub(crate) fn check() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().expect("a runtime");
    let records = testing::capture(|| {
        let context = Context::current();
        runtime.block_on(async {
            let together = Arc::new(Barrier::new(CALLS));
            let calls: Vec<_> = (0..CALLS)
                .map(|call| tokio::spawn(context.wrap(interleaved(call, together.clone()))))
                .collect();
            tracing::info!("belongs to no call");
            for call in calls {
                call.await.expect("a call does not panic");
            }
        });
    });

    assert_eq!(records.len(), CALLS);
    for record in &records {
        let call = record.output.as_ref().expect("an output").to_value();
        for entry in &record.log {
            let fields = entry.fields.as_ref().expect("every event names its call").to_value();
            assert_eq!(fields["call"], call, "{} of {call}", entry.message);
        }
        let count = |message| record.log.iter().filter(|entry| entry.message == message).count();
        assert_eq!(count("begins"), 1, "{call}");
        assert_eq!(count("works"), CHILDREN * EVENTS, "{call}");
        assert_eq!(count("a child is done"), CHILDREN, "{call}");
        assert_eq!(count("from a thread"), 1, "{call}");
        assert_eq!(record.log.len(), 2 + CHILDREN * EVENTS + CHILDREN, "{call}");
    }
}
