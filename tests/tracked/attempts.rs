//! Bulk operations that fail, annotations of one operation, changed keys, and use from other
//! threads.

use audited::history::History;

use super::masking::Customer;
use super::*;

#[audited_fields(rank; key = id)]
#[derive(Clone, Debug)]
pub(super) struct Pilot {
    id: u64,
    rank: u8,
}

pub(super) fn pilot(id: u64) -> Pilot {
    Pilot { id, rank: 1 }
}

#[test]
fn a_bulk_operation_that_fails_panics_or_is_cancelled_is_recorded_as_an_attempt() {
    let records = testing::capture(|| {
        let mut all = [Tracked::loaded(pilot(1)), Tracked::loaded(pilot(2))];
        all[0].rank = 2;
        Bulk::new("promote").save(&mut all, |_| Err::<(), _>("no")).unwrap_err();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            Bulk::new("promote").save(&mut all, |_| -> StoreResult { panic!("the pool is closed") })
        }));
        assert_eq!(*panicked.unwrap_err().downcast::<&str>().unwrap(), "the pool is closed");
        {
            let store = async |_: &mut [&mut Pilot]| std::future::pending::<StoreResult>().await;
            let mut save = Box::pin(Bulk::new("promote").save_async(&mut all, store));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(save.as_mut().poll(&mut cx).is_pending());
        }
        Bulk::new("promote").delete(&mut all, |_| Err::<(), _>("no")).unwrap_err();
        Bulk::new("promote").save(&mut all, |_| Ok::<(), String>(())).unwrap();
    });
    let outcomes: Vec<_> = records.iter().map(|record| record.outcome).collect();
    use Outcome::{Cancelled, Failure, Panic, Success};
    assert_eq!(outcomes, [Failure, Panic, Cancelled, Failure, Success]);
    let attempt = json!({"attempted": {"type": "Pilot", "changed": 1, "keys": ["1"]}});
    for record in &records[..3] {
        assert_eq!(*record.input.as_ref().unwrap(), attempt);
    }
    assert_eq!(records[1].error.as_ref().unwrap().message, "the pool is closed");
    assert_eq!(short_change_lines(&records), ["changed 1 rank 1 2"]);
}

#[test]
fn annotations_of_a_bulk_save_do_not_apply_to_a_later_save() {
    let records = testing::capture(|| {
        let mut all = [Tracked::loaded(pilot(1))];
        all[0].rank = 2;
        all[0].info().operator("bob");
        Bulk::new("promote").save(&mut all, |_| Ok::<(), String>(())).unwrap();
        all[0].rank = 3;
        Context::new().actor("alice").scope(|| all[0].save(accept).unwrap());
    });
    assert_eq!(records[1].actor.as_deref(), Some("alice"));
}

#[test]
fn a_changed_key_is_recorded_although_it_is_not_an_audited_field() {
    #[audited_fields(amount; key = (order, line))]
    struct Line {
        order: &'static str,
        line: u8,
        amount: u8,
    }
    #[audited_fields(id, rank; key = id)]
    struct Listed {
        id: u8,
        rank: u8,
    }
    let records = testing::capture(|| {
        let mut moved = Tracked::loaded(pilot(1));
        moved.id = 2;
        assert_eq!(moved.changes().len(), 1);
        moved.save(accept).unwrap();
        moved.save(accept).unwrap();
        moved.rank = 5;
        moved.save(accept).unwrap();
        let mut line = Tracked::loaded(Line { order: "a", line: 1, amount: 1 });
        line.line = 2;
        line.save(accept).unwrap();
        let mut listed = Tracked::loaded(Listed { id: 1, rank: 1 });
        listed.id = 2;
        listed.save(accept).unwrap();
        change(&pilot(1), &pilot(2));
    });
    assert_eq!(
        short_change_lines(&records),
        [
            "changed 1 id 1 2",
            "changed 2 rank 1 5",
            r#"changed a/1 ["order/line"] "a/1" "a/2""#,
            "changed 1 id 1 2",
            "changed 1 id 1 2",
        ]
    );
}

#[test]
fn tracked_objects_and_their_futures_can_move_to_other_threads() {
    fn assert_send_and_sync<T: Send + Sync>() {}
    fn save(pilot: &mut Tracked<Pilot>) -> impl Future<Output = StoreResult> + Send {
        pilot.save_async(async |pilot| {
            pilot.rank += 1;
            std::future::ready(()).await;
            Ok(())
        })
    }
    fn save_all(pilots: &mut [Tracked<Pilot>]) -> impl Future<Output = StoreResult> + Send {
        Bulk::new("promote").save_async(pilots, async |pilots| {
            pilots[0].rank += 1;
            std::future::ready(()).await;
            Ok(())
        })
    }
    assert_send_and_sync::<Tracked<Pilot>>();
    assert_send_and_sync::<Tracked<Customer>>();
    assert_send_and_sync::<History>();
    let mut pilots = [Tracked::new(pilot(1))];
    drop(save(&mut pilots[0]));
    drop(save_all(&mut pilots));
}
