//! The bound of the queue in bytes counts all that waits there.

use audited::{Audit, Context, Overflow};
use gate::Gate;

#[path = "support/gate.rs"]
mod gate;

const LONG: usize = 100_000;

/// Bytes that wait once a call of no length has been made under `context`.
fn waiting(context: Context) -> usize {
    let store = Gate::shut();
    let audit =
        Audit::builder().store(store.clone()).overflow(Overflow::Drop).build().expect("a recorder");
    let call = |context: Context| {
        context.recorder(&audit).scope(|| audited::execute("call", "test", (), || ()));
    };
    call(Context::new());
    // Now the writer stands before the store.
    store.until_somebody_came(1);
    call(context);
    let waiting = audit.health().waiting_bytes;
    store.let_in();
    waiting
}

#[test]
fn every_text_of_the_context_counts() {
    let empty = waiting(Context::new());
    let long = || "x".repeat(LONG);
    for context in [
        Context::new().actor(long()),
        Context::new().on_behalf_of(long()),
        Context::new().site(long()),
        Context::new().service(long()),
        Context::new().correlation_id(long()),
        Context::new().request_id(long()),
        Context::new().session(long()),
        Context::new().user_agent(long()),
        Context::new().url(long()),
        Context::new().actor_details(vec![7; LONG]),
        Context::new().extra("tenant", vec![7; LONG]),
        Context::new().extra("secret", vec![7; LONG]),
    ] {
        let waiting = waiting(context.clone());
        // One value is cut to 64 KiB, or to 1,000 elements, before it comes here.
        assert!(waiting >= empty + 2_000, "{waiting} for {context:?}, {empty} for none");
    }
}
