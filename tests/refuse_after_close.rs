//! A call is refused because the last recorder of the process is closed.
//!
//! A test binary with one test, because no other recorder of the process may be open.

use audited::{Audit, Context, audit_method};
use gate::GatedStore;
use refusable::{BankError, refusal_text};

#[path = "support/gate.rs"]
mod gate;
#[path = "support/refusable.rs"]
mod refusable;

#[audit_method(on_audit_failure = "refuse")]
fn charge() -> Result<(), BankError> {
    Ok(())
}

#[test]
fn a_call_is_refused_with_a_hint_when_the_last_recorder_is_closed() {
    let audit = Audit::builder().store(GatedStore::accepting()).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    assert_eq!(context.scope(charge), Ok(()));
    audit.shutdown().expect("close succeeds");
    let why = refusal_text(context.scope(charge));
    assert!(why.ends_with("the recorder is closed; keep its handle until the last call"), "{why}");
}
