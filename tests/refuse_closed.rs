//! A call that is refused because the last recorder of the process is closed. One test, for no other recorder may be at
//! work.

use audited::{Audit, Context, audit_method};
use gate::Gate;
use refusable::{BankError, why};

#[path = "support/gate.rs"]
mod gate;
#[path = "support/refusable.rs"]
mod refusable;

#[audit_method(on_audit_failure = "refuse")]
fn charge() -> Result<(), BankError> {
    Ok(())
}

#[test]
fn the_last_recorder_is_told_to_be_closed() {
    let audit = Audit::builder().store(Gate::open()).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    assert_eq!(context.scope(charge), Ok(()));
    audit.close().expect("closed");
    let why = why(context.scope(charge));
    assert!(why.ends_with("the recorder is closed: keep its handle until the last call"), "{why}");
}
