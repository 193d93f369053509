//! Saves, bulk operations and changes told by hand in the cases where a trail easily says less than happened, or
//! more.

use std::panic::{AssertUnwindSafe, catch_unwind};

use audited::{
    Audit, Bulk, Context, FieldChange, History, Json, Mask, Outcome, Record, Redacted, SqliteStore,
    Tracked, audited_fields, change, change_of, testing,
};
use chrono::{DateTime, Duration, Utc};
use serde::{Serialize, Serializer};
use serde_json::json;

type Stored = Result<(), String>;

fn stored<T: ?Sized>(_: &mut T) -> Stored {
    Ok(())
}

#[audited_fields(rank; key = id)]
#[derive(Clone, Debug)]
struct Pilot {
    id: u64,
    rank: u8,
}

fn pilot(id: u64) -> Pilot {
    Pilot { id, rank: 1 }
}

/// `change target_id field before after`, with `-` for nothing.
fn line(change: &FieldChange) -> String {
    let text = |json: &Option<Json>| json.as_ref().map_or("-".into(), ToString::to_string);
    let FieldChange { change, target_id, field, before, after, .. } = change;
    format!("{change} {target_id} {field} {} {}", text(before), text(after))
}

fn lines(records: &[Record]) -> Vec<String> {
    records.iter().flat_map(|record| &record.changes).map(line).collect()
}

fn told(history: &History) -> Vec<String> {
    history.changes().map(|change| change.unwrap().to_string()).collect()
}

/// What `f` puts on record under `mask`, as one text.
fn under_mask(mask: Mask, f: impl FnOnce()) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.db");
    let audit =
        Audit::builder().store(SqliteStore::open(&path).unwrap()).mask(mask).build().unwrap();
    Context::new().recorder(&audit).scope(f);
    drop(audit);
    let db = rusqlite::Connection::open(path).unwrap();
    let all = "SELECT (SELECT group_concat(field || ifnull(before, '') || ifnull(after, '')) FROM audit_changes) \
        || (SELECT group_concat(ifnull(input, '') || ifnull(context, '')) FROM audit_log)";
    db.query_row(all, [], |row| row.get(0)).unwrap()
}

// ---- What must not be shown -------------------------------------------------------------------

/// No `Clone`, no `PartialEq`: what is recorded of it is kept, before it is known who will record it.
#[derive(Debug, Serialize)]
struct Account {
    iban: String,
}

#[audited_fields(text(debug), account; key = id)]
struct Customer {
    id: u8,
    text: Account,
    account: Account,
}

fn customer(iban: &str) -> Customer {
    let account = || Account { iban: iban.into() };
    Customer { id: 1, text: account(), account: account() }
}

#[test]
fn names_that_only_the_recorder_hides_are_hidden_in_what_was_kept() {
    let all = under_mask(Mask::default().name("iban"), || {
        let mut object = Tracked::loaded(customer("CH93"));
        *object = customer("CH94");
        object.save(|_| Err::<(), _>("no")).unwrap_err();
        object.save(stored).unwrap();
        object.delete(stored).unwrap();
        change(&customer("CH95"), &customer("CH96"));
    });
    assert!(!all.contains("CH9"), "{all}");
    assert!(all.contains("Account { iban: [redacted] }") && all.contains("account.iban"), "{all}");
}

#[test]
fn what_is_said_before_the_recorder_is_known_is_masked_by_it() {
    let mut object = Tracked::new(pilot(1));
    object.info().field("bank", Account { iban: "CH93".into() }).field("count", 3);
    let all = under_mask(Mask::default().name("iban"), || object.save(stored).unwrap());
    assert!(all.contains(r#"{"bank":{"iban":"[redacted]"},"count":3}"#), "{all}");
}

#[test]
fn a_hidden_name_stays_hidden_under_another_one() {
    #[audited_fields(password(rename = "word"); key = id)]
    struct Login {
        id: u8,
        password: String,
    }
    let records = testing::capture(|| {
        Tracked::new(Login { id: 1, password: "hunter2".into() }).save(stored).unwrap();
    });
    assert_eq!(lines(&records), [r#"created 1 word - "[redacted]""#]);
}

#[test]
fn a_value_under_a_hidden_key_changes_and_it_is_told() {
    /// A map whose keys are secret.
    #[derive(Clone, PartialEq)]
    struct Keys([(Redacted<&'static str>, u8); 2]);
    impl Serialize for Keys {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
        }
    }
    #[audited_fields(keys; key = id)]
    struct Safe {
        id: u8,
        keys: Keys,
    }
    let records = testing::capture(|| {
        let keys = Keys([(Redacted::new("a"), 1), (Redacted::new("b"), 2)]);
        let mut safe = Tracked::loaded(Safe { id: 1, keys });
        safe.keys.0[0].1 = 9;
        safe.save(stored).unwrap();
    });
    assert_eq!(lines(&records), [r#"changed 1 keys {"[redacted]":2} {"[redacted]":2}"#]);
}

// ---- What has happened, and what has not ------------------------------------------------------

#[test]
fn a_bulk_store_that_fails_panics_or_is_cancelled_is_told_as_an_attempt() {
    let records = testing::capture(|| {
        let mut all = [Tracked::loaded(pilot(1)), Tracked::loaded(pilot(2))];
        all[0].rank = 2;
        Bulk::new("promote").save(&mut all, |_| Err::<(), _>("no")).unwrap_err();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            Bulk::new("promote").save(&mut all, |_| -> Stored { panic!("the pool is closed") })
        }));
        assert_eq!(*panicked.unwrap_err().downcast::<&str>().unwrap(), "the pool is closed");
        {
            let store = async |_: &mut [&mut Pilot]| std::future::pending::<Stored>().await;
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
    assert_eq!(lines(&records), ["changed 1 rank 1 2"]);
}

#[test]
fn what_was_said_of_one_object_is_not_said_of_a_later_save() {
    let records = testing::capture(|| {
        let mut all = [Tracked::loaded(pilot(1))];
        all[0].rank = 2;
        all[0].info().operator("bob");
        Bulk::new("promote").save(&mut all, |_| Ok::<(), String>(())).unwrap();
        all[0].rank = 3;
        Context::new().actor("alice").scope(|| all[0].save(stored).unwrap());
    });
    assert_eq!(records[1].actor.as_deref(), Some("alice"));
}

#[test]
fn another_key_is_told_although_it_is_no_audited_field() {
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
        moved.save(stored).unwrap();
        moved.save(stored).unwrap();
        moved.rank = 5;
        moved.save(stored).unwrap();
        let mut line = Tracked::loaded(Line { order: "a", line: 1, amount: 1 });
        line.line = 2;
        line.save(stored).unwrap();
        let mut listed = Tracked::loaded(Listed { id: 1, rank: 1 });
        listed.id = 2;
        listed.save(stored).unwrap();
        change(&pilot(1), &pilot(2));
    });
    assert_eq!(
        lines(&records),
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
fn a_deletion_of_which_no_field_is_told_is_a_deletion() {
    let records = testing::capture(|| {
        change_of("invoice", 1).created().value("total", 5).record();
        change_of("invoice", 1).deleted().record();
    });
    let history = testing::history_of(&records, "invoice", 1);
    assert_eq!(told(&history), ["invoice 1 created: total = 5", "invoice 1 deleted:"]);
    assert_eq!(history.deletions().count(), 1);
    assert_eq!(history.as_of(Utc::now()).unwrap(), None);
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("audit.db")).unwrap();
    let audit = Audit::builder().store(store).build().unwrap();
    Context::new().recorder(&audit).scope(|| records.into_iter().for_each(audited::append));
    assert_eq!(told(&audit.history_of("invoice", 1).unwrap()), told(&history));
}

#[test]
fn by_hand_the_order_of_words_does_not_matter() {
    let records = testing::capture(|| {
        change_of("invoice", 2).value("total", 5).deleted().record();
        change_of("invoice", 2).field("total", 5, 6).created().record();
        change_of("invoice", 2).deleted().field("lines", [1, 2], [1]).record();
        change_of("invoice", 2).redacted("pin").deleted().record();
    });
    assert_eq!(
        lines(&records),
        [
            "deleted 2 total 5 -",
            "created 2 total - 6",
            "deleted 2 lines [1,2] -",
            r#"deleted 2 pin "[redacted]" -"#,
        ]
    );
}

// ---- What is read back ------------------------------------------------------------------------

#[test]
fn a_place_inside_a_field_can_be_asked_for() {
    #[derive(Clone, PartialEq, Serialize)]
    struct Address {
        city: &'static str,
        zip: u16,
    }
    #[audited_fields(address(was = "home"); key = id)]
    struct Person {
        id: u8,
        address: Address,
    }
    let records = testing::capture(|| {
        let address = Address { city: "Bern", zip: 3000 };
        let mut person = Tracked::new(Person { id: 1, address });
        person.save(stored).unwrap();
        person.address.city = "Basel";
        person.save(stored).unwrap();
        change_of("Person", 1)
            .field("home", json!({"city": "Basel"}), json!({"city": "Genf"}))
            .record();
        person.address.zip = 4000;
        person.save(stored).unwrap();
    });
    let history = testing::history::<Person>(&records, 1);
    let last = history.last_change_of("address.city").unwrap().unwrap();
    assert_eq!(last.to_string(), r#"Person 1 changed: address.city "Basel" → "Genf""#);
    assert_eq!(told(&history.clone().field("address.city")).len(), 3, "created, and two changes");
    assert_eq!(told(&history.clone().field("address.cit")).len(), 1, "created");
    assert_eq!(told(&history.field("address")).len(), 4);
}

#[test]
fn children_are_found_under_the_former_name_of_their_parent() {
    mod v1 {
        #[audited::audited_fields(total; key = id)]
        pub(super) struct Purchase {
            pub(super) id: u8,
            pub(super) total: u8,
        }
        #[audited::audited_fields(amount; key = line, parent = Purchase(order))]
        pub(super) struct Item {
            pub(super) order: u8,
            pub(super) line: u8,
            pub(super) amount: u8,
        }
    }
    #[audited_fields(total; key = id, was = "Purchase")]
    struct Order {
        id: u8,
        total: u8,
    }
    #[audited_fields(amount; key = line, parent = Order(order), was = "Item")]
    struct Line {
        order: u8,
        line: u8,
        amount: u8,
    }
    let records = testing::capture(|| {
        Tracked::new(v1::Purchase { id: 1, total: 1 }).save(stored).unwrap();
        Tracked::new(v1::Item { order: 1, line: 2, amount: 3 }).save(stored).unwrap();
        Tracked::new(Order { id: 2, total: 1 }).save(stored).unwrap();
        Tracked::new(Line { order: 2, line: 2, amount: 3 }).save(stored).unwrap();
    });
    let old = testing::history::<Line>(&records, (1, 2));
    assert_eq!(told(&old), ["Purchase/Item 1/2 created: amount = 3"]);
    assert_eq!(told(&testing::history::<Order>(&records, 1).with_children()).len(), 2);
}

#[test]
fn the_ends_of_time_and_parts_of_a_microsecond() {
    let records = testing::capture(|| Tracked::new(pilot(1)).save(stored).unwrap());
    let at = records[0].changes[0].changed_at;
    let history = || testing::history::<Pilot>(&records, 1);
    let (before, behind) = (at - Duration::nanoseconds(500), at + Duration::nanoseconds(500));
    assert_eq!(told(&history().between(..=DateTime::<Utc>::MAX_UTC)).len(), 1);
    assert_eq!(told(&history().between(..=before)).len(), 0);
    assert_eq!(told(&history().between(..=behind)).len(), 1);
    let from = |time| (std::ops::Bound::Excluded(time), std::ops::Bound::Unbounded);
    assert_eq!(told(&history().between(from(before))).len(), 1);
    assert_eq!(told(&history().between(from(at))).len(), 0);
    assert_eq!(told(&history().between(from(DateTime::<Utc>::MAX_UTC))).len(), 0);
}

#[test]
fn a_value_that_was_cut_is_uncertain_until_it_is_told_as_a_whole() {
    let records = testing::capture(|| {
        change_of("doc", 1).created().value("text", "x".repeat(100_000)).value("n", 1).record();
        change_of("doc", 1).field("n", 1, 2).record();
        change_of("doc", 1).field("text", "x".repeat(100_000), "short").record();
    });
    let history = testing::history_of(&records, "doc", 1);
    let uncertain = |n: usize| {
        let state = history.as_of(records[n].changes[0].changed_at).unwrap().unwrap();
        state.uncertain().to_vec()
    };
    assert_eq!(uncertain(0), ["text"]);
    assert_eq!(uncertain(1), ["text"]);
    assert_eq!(uncertain(2), [""; 0]);
}

#[test]
fn a_change_that_is_not_on_record_makes_the_time_before_the_next_uncertain() {
    let records = testing::capture(|| {
        let mut object = Tracked::new(pilot(1));
        object.save(stored).unwrap();
        object.rank = 5;
        // Says how many, not what.
        let one = std::slice::from_mut(&mut object);
        Bulk::new("promote").summary().save(one, |_| Ok::<(), String>(())).unwrap();
        object.rank = 6;
        object.save(stored).unwrap();
    });
    let history = testing::history::<Pilot>(&records, 1);
    let (first, last) = (records[0].changes[0].changed_at, records[2].changes[0].changed_at);
    assert_eq!(history.as_of(first).unwrap().unwrap().uncertain(), ["rank"]);
    assert_eq!(history.as_of(last).unwrap().unwrap().uncertain(), [""; 0]);
    let differences = history.diff(first, last).unwrap();
    assert_eq!((differences.len(), differences[0].is_uncertain), (1, true));
}

#[test]
fn a_long_history_is_read_in_pages() {
    let records = testing::capture(|| {
        let mut object = Tracked::new(pilot(1));
        for n in 0..3_500_u32 {
            object.rank = (n % 200) as u8;
            object.save(stored).unwrap();
        }
    });
    let history = testing::history::<Pilot>(&records, 1);
    assert_eq!(history.changes().count(), 3_500);
    assert_eq!(history.newest_first().count(), 3_500);
    let state = history.as_of(Utc::now()).unwrap().unwrap();
    assert_eq!(state.to_string(), r#"{"rank":99}"#);
}

// ---- Between threads --------------------------------------------------------------------------

#[test]
fn tracked_objects_and_their_futures_go_to_other_threads() {
    fn both<T: Send + Sync>() {}
    fn save(pilot: &mut Tracked<Pilot>) -> impl Future<Output = Stored> + Send {
        pilot.save_async(async |pilot| {
            pilot.rank += 1;
            std::future::ready(()).await;
            Ok(())
        })
    }
    fn save_all(pilots: &mut [Tracked<Pilot>]) -> impl Future<Output = Stored> + Send {
        Bulk::new("promote").save_async(pilots, async |pilots| {
            pilots[0].rank += 1;
            std::future::ready(()).await;
            Ok(())
        })
    }
    both::<Tracked<Pilot>>();
    both::<Tracked<Customer>>();
    both::<History>();
    let mut pilots = [Tracked::new(pilot(1))];
    drop(save(&mut pilots[0]));
    drop(save_all(&mut pilots));
}
