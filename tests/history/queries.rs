//! Queries with paths inside a field, former names, extreme times, incomplete changes, and many
//! pages.

use audited::Bulk;
use chrono::Duration;
use serde_json::json;

use super::*;

#[audited_fields(rank; key = id)]
#[derive(Clone, Debug)]
struct Pilot {
    id: u64,
    rank: u8,
}

fn pilot(id: u64) -> Pilot {
    Pilot { id, rank: 1 }
}

#[test]
fn a_deletion_without_fields_is_a_deletion() {
    let records = testing::capture(|| {
        change_of("invoice", 1).created().value("total", 5).record();
        change_of("invoice", 1).deleted().record();
    });
    let history = testing::history_of(&records, "invoice", 1);
    assert_eq!(lines(&history), ["invoice 1 created: total = 5", "invoice 1 deleted:"]);
    assert_eq!(history.deletions().count(), 1);
    assert_eq!(history.as_of(Utc::now()).unwrap(), None);
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("audit.db")).unwrap();
    let audit = Audit::builder().store(store).build().unwrap();
    Context::new().recorder(&audit).scope(|| {
        records.into_iter().for_each(|record| audited::append(record).expect("there is a recorder"))
    });
    assert_eq!(lines(&audit.history_of("invoice", 1).unwrap()), lines(&history));
}

#[test]
fn a_query_may_name_a_path_inside_a_field() {
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
        person.save(accept).unwrap();
        person.address.city = "Basel";
        person.save(accept).unwrap();
        change_of("Person", 1)
            .change("home", json!({"city": "Basel"}), json!({"city": "Genf"}))
            .record();
        person.address.zip = 4000;
        person.save(accept).unwrap();
    });
    let history = testing::history::<Person>(&records, 1);
    let last = history.last_change_of("address.city").unwrap().unwrap();
    assert_eq!(last.to_string(), r#"Person 1 changed: address.city "Basel" → "Genf""#);
    assert_eq!(lines(&history.clone().field("address.city")).len(), 3, "created, and two changes");
    assert_eq!(lines(&history.clone().field("address.cit")).len(), 1, "created");
    assert_eq!(lines(&history.field("address")).len(), 4);
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
        Tracked::new(v1::Purchase { id: 1, total: 1 }).save(accept).unwrap();
        Tracked::new(v1::Item { order: 1, line: 2, amount: 3 }).save(accept).unwrap();
        Tracked::new(Order { id: 2, total: 1 }).save(accept).unwrap();
        Tracked::new(Line { order: 2, line: 2, amount: 3 }).save(accept).unwrap();
    });
    let old = testing::history::<Line>(&records, (1, 2));
    assert_eq!(lines(&old), ["Purchase/Item 1/2 created: amount = 3"]);
    assert_eq!(lines(&testing::history::<Order>(&records, 1).with_children()).len(), 2);
}

#[test]
fn time_bounds_may_be_extreme_or_fractions_of_a_microsecond() {
    let records = testing::capture(|| Tracked::new(pilot(1)).save(accept).unwrap());
    let at = records[0].changes[0].changed_at;
    let history = || testing::history::<Pilot>(&records, 1);
    let (before, behind) = (at - Duration::nanoseconds(500), at + Duration::nanoseconds(500));
    assert_eq!(lines(&history().between(..=DateTime::<Utc>::MAX_UTC)).len(), 1);
    assert_eq!(lines(&history().between(..=before)).len(), 0);
    assert_eq!(lines(&history().between(..=behind)).len(), 1);
    let from = |time| (std::ops::Bound::Excluded(time), std::ops::Bound::Unbounded);
    assert_eq!(lines(&history().between(from(before))).len(), 1);
    assert_eq!(lines(&history().between(from(at))).len(), 0);
    assert_eq!(lines(&history().between(from(DateTime::<Utc>::MAX_UTC))).len(), 0);
}

#[test]
fn a_truncated_value_is_uncertain_until_it_is_recorded_in_full() {
    let records = testing::capture(|| {
        change_of("doc", 1).created().value("text", "x".repeat(100_000)).value("n", 1).record();
        change_of("doc", 1).change("n", 1, 2).record();
        change_of("doc", 1).change("text", "x".repeat(100_000), "short").record();
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
fn an_unrecorded_change_makes_the_state_before_the_next_change_uncertain() {
    let records = testing::capture(|| {
        let mut object = Tracked::new(pilot(1));
        object.save(accept).unwrap();
        object.rank = 5;
        // A summary records the number of changes, but not the changes.
        let one = std::slice::from_mut(&mut object);
        Bulk::new("promote").summary().save(one, |_| Ok::<(), String>(())).unwrap();
        object.rank = 6;
        object.save(accept).unwrap();
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
            object.save(accept).unwrap();
        }
    });
    let history = testing::history::<Pilot>(&records, 1);
    assert_eq!(history.changes().count(), 3_500);
    assert_eq!(history.newest_first().count(), 3_500);
    let state = history.as_of(Utc::now()).unwrap().unwrap();
    assert_eq!(state.to_string(), r#"{"rank":99}"#);
}

#[test]
fn a_former_name_that_the_attribute_omits_can_be_added() {
    let records = testing::capture(|| {
        change_of("Aviator", 1).created().value("rank", 1).record();
        let mut pilot = Tracked::loaded(pilot(1));
        pilot.rank = 2;
        pilot.save(accept).unwrap();
    });
    let history = testing::history::<Pilot>(&records, 1);
    assert_eq!(lines(&history), ["Pilot 1 changed: rank 1 → 2"]);
    assert_eq!(
        lines(&history.with_former_name("Aviator")),
        ["Aviator 1 created: rank = 1", "Pilot 1 changed: rank 1 → 2"]
    );
}

#[test]
fn an_empty_key_is_a_key_like_any_other() {
    #[audited_fields(total; key = id)]
    struct Order {
        id: String,
        total: u8,
    }
    #[audited_fields(amount; key = line, parent = Order(order))]
    struct Line {
        order: String,
        line: u8,
        amount: u8,
    }
    let records = testing::capture(|| {
        for id in ["", "1", "/", "%"] {
            let id = id.to_owned();
            Tracked::new(Order { id: id.clone(), total: 1 }).save(accept).unwrap();
            Tracked::new(Line { order: id, line: 2, amount: 3 }).save(accept).unwrap();
        }
    });
    let family = |key: &str| lines(&testing::history::<Order>(&records, key).with_children());
    assert_eq!(family(""), ["Order  created: total = 1", "Order/Line /2 created: amount = 3"]);
    let expected = ["Order / created: total = 1", "Order/Line %2F/2 created: amount = 3"];
    assert_eq!(family("/"), expected);
    assert_eq!(family("2"), [""; 0]);
}
