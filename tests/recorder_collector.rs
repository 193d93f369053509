//! A collector keeps the records of its scope. Objects that were saved in it are considered stored
//! only after `committed`.

use audited::store::Collector;
use audited::{Audit, Context, Tracked, audited_fields};
use support::MemoryStore;

mod support;

#[derive(Debug)]
#[audited_fields(age; key = id)]
struct Pilot {
    id: u64,
    age: u8,
}

/// A pilot with one change that is not saved.
fn changed_pilot() -> Tracked<Pilot> {
    let mut pilot = Tracked::loaded(Pilot { id: 340, age: 25 });
    pilot.age = 26;
    pilot
}

fn save(pilot: &mut Tracked<Pilot>) {
    pilot.save(|_| Ok::<(), String>(())).expect("the save succeeds");
}

/// The values of `age` after each change that `collector` has collected.
fn collected_ages(collector: &Collector) -> Vec<String> {
    let records = collector.take().expect("all records");
    let changes = records.into_iter().flat_map(|record| record.changes);
    changes.map(|change| change.after.expect("a value").as_str().to_owned()).collect()
}

#[test]
fn a_dropped_collector_counts_as_rolled_back() {
    let mut pilot = changed_pilot();
    let collector = Collector::new();
    collector.scope(|| save(&mut pilot));
    assert!(pilot.changes().is_empty(), "saved, as long as the transaction is open");
    assert_eq!(collected_ages(&collector), ["26"]);
    drop(collector);
    assert_eq!(pilot.changes().len(), 1);

    // The next save reports the change again.
    let collector = Collector::new();
    collector.scope(|| save(&mut pilot));
    assert_eq!(collected_ages(&collector), ["26"]);
}

#[test]
fn a_committed_save_is_final() {
    let mut pilot = changed_pilot();
    let collector = Collector::new();
    collector.scope(|| save(&mut pilot));
    collector.committed();
    drop(collector);
    assert!(pilot.changes().is_empty());
    let collector = Collector::new();
    collector.scope(|| save(&mut pilot));
    assert_eq!(collected_ages(&collector), [""; 0]);
}

#[test]
fn a_panic_before_the_commit_counts_as_rolled_back() {
    let mut pilot = changed_pilot();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let collector = Collector::new();
        collector.scope(|| save(&mut pilot));
        panic!("before the commit");
    }));
    panicked.expect_err("it panics");
    assert_eq!(pilot.changes().len(), 1);
}

#[test]
fn the_outcome_is_open_until_the_last_clone_is_dropped() {
    let mut pilot = changed_pilot();
    let collector = Collector::new();
    let clone = collector.clone();
    collector.scope(|| save(&mut pilot));
    drop(collector);
    assert!(pilot.changes().is_empty());
    clone.committed();
    drop(clone);
    assert!(pilot.changes().is_empty());
}

#[test]
fn a_context_that_outlives_the_collector_does_not_delay_the_outcome() {
    let (mut before, mut after) = (changed_pilot(), changed_pilot());
    let collector = Collector::new();
    let context = collector.scope(|| {
        save(&mut before);
        Context::current()
    });
    drop(collector);
    assert_eq!(before.changes().len(), 1);
    context.scope(|| save(&mut after));
    assert_eq!(after.changes().len(), 1, "nobody stores the records of this save");
}

#[test]
fn a_failed_save_has_no_outcome() {
    let mut pilot = changed_pilot();
    let collector = Collector::new();
    collector.scope(|| pilot.save(|_| Err::<(), _>("the disk is full"))).expect_err("it fails");
    collector.committed();
    assert_eq!(pilot.changes().len(), 1);
}

#[test]
fn collected_records_have_the_settings_of_the_recorder_and_do_not_reach_it() {
    let kept = MemoryStore::default();
    let builder = Audit::builder().store(kept.clone()).site("eu-1").skip_actions(["poll *"]);
    let audit = builder.build().expect("a recorder");
    let records = Context::new().recorder(&audit).scope(|| {
        let collector = Collector::new();
        collector.scope(|| {
            audited::execute("poll queue", "bank::poll", (), || ());
            audited::execute("pay invoice", "bank::pay", (), || ());
        });
        collector.take().expect("all records")
    });
    assert_eq!(records.len(), 1);
    assert_eq!((&*records[0].action, records[0].site.as_deref()), ("pay invoice", Some("eu-1")));
    audit.shutdown().expect("the shutdown succeeds");
    assert_eq!(kept.actions(), [""; 0]);
}
