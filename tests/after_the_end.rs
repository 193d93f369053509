//! What is said of a call that has ended comes too late, whether or not its record is made already.

use audited::{Audit, Context};
use gate::Gate;

#[path = "support/gate.rs"]
mod gate;

#[test]
fn what_is_said_of_a_call_after_its_end_is_not_in_its_record() {
    let store = Gate::shut();
    let audit = Audit::builder().store(store.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| {
        audited::execute("first", "test", (), || ());
        // Now the writer stands before the store, and the next call waits in the queue.
        store.until_somebody_came(1);
        let mut carried = Context::new();
        audited::execute("second", "test", (), || {
            audited::note("in time", "said while it ran");
            carried = Context::current();
        });
        carried.scope(|| {
            audited::note("late", "said after its end");
            audited::reason("late");
            audited::target("late", 1);
            audited::field("late", "x".repeat(1_000_000));
        });
    });
    store.let_in();
    audit.flush().expect("stored");
    let records = store.records();
    let [_, second] = &records[..] else { panic!("two records: {records:?}") };
    let titles: Vec<_> = second.notes.iter().map(|note| &*note.title).collect();
    assert_eq!(titles, ["in time"]);
    assert_eq!((&second.reason, &second.target_type), (&None, &None));
    assert_eq!((&second.context, &second.truncated[..]), (&None, &[][..]));
}
