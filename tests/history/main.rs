//! `History`: the changes and past states of one object or of all objects of a type.

mod queries;

use std::collections::{BTreeMap, BTreeSet};

use audited::history::History;
use audited::history::State;
use audited::record::ChangeKind;
use audited::{
    Audit, Context, Record, SqliteStore, Tracked, append, audit_method, audited_fields, change_of,
    testing,
};
use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

fn accept<T>(_: &mut T) -> Result<(), String> {
    Ok(())
}

#[audited_fields(name, age, tags; key = id)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pilot {
    #[serde(default)]
    id: u64,
    name: String,
    age: u8,
    tags: BTreeSet<String>,
    #[serde(default)]
    seat: u8,
}

fn kara() -> Pilot {
    Pilot { id: 340, name: "Kara".into(), age: 25, tags: BTreeSet::new(), seat: 1 }
}

fn lines(history: &History) -> Vec<String> {
    history.changes().map(|change| change.unwrap().to_string()).collect()
}

fn times(records: &[Record]) -> Vec<DateTime<Utc>> {
    records.iter().map(|record| record.changes[0].changed_at).collect()
}

/// Created, changed by alice, changed by bob, deleted, created again.
fn life() -> Vec<Record> {
    testing::capture(|| {
        let mut pilot = Tracked::new(kara());
        pilot.save(accept).unwrap();
        Context::new().actor("alice").scope(|| {
            pilot.age = 26;
            pilot.tags.insert("ace".into());
            pilot.save(accept).unwrap();
        });
        Context::new().actor("bob").scope(|| {
            pilot.name = "Starbuck".into();
            pilot.save(accept).unwrap();
            pilot.delete(accept).unwrap();
        });
        pilot.save(accept).unwrap();
    })
}

#[test]
fn a_history_lists_every_change_of_an_object() {
    let records = life();
    let history = testing::history::<Pilot>(&records, 340);
    assert_eq!(
        lines(&history),
        [
            r#"Pilot 340 created: name = "Kara", age = 25, tags = []"#,
            r#"Pilot 340 changed: age 25 → 26, tags[] + "ace""#,
            r#"Pilot 340 changed: name "Kara" → "Starbuck""#,
            r#"Pilot 340 deleted: name = "Starbuck", age = 26, tags = ["ace"]"#,
            r#"Pilot 340 created: name = "Starbuck", age = 26, tags = ["ace"]"#,
        ]
    );
    let creation = history.creation().unwrap().unwrap();
    assert_eq!((creation.change, creation.changed_at), (ChangeKind::Created, times(&records)[0]));
    let deletion = history.deletions().next().unwrap().unwrap();
    assert_eq!(deletion.record.actor.as_deref(), Some("bob"));
    assert_eq!(deletion.record.id, records[3].id);
    assert_eq!(lines(&testing::history::<Pilot>(&records, 341)), [""; 0]);
}

#[test]
fn filters_select_changes_by_actor_time_and_field() {
    let records = life();
    let times = times(&records);
    let history = || testing::history::<Pilot>(&records, 340);
    assert_eq!(lines(&history().by("alice")).len(), 1);
    assert_eq!(lines(&history().by("nobody")), [""; 0]);
    assert_eq!(lines(&history().between(times[1]..times[3])).len(), 2);
    assert_eq!(lines(&history().between(times[1]..=times[3])).len(), 3);
    assert_eq!(lines(&history().between(..times[1])).len(), 1);
    assert_eq!(
        lines(&history().field("tags")),
        [
            "Pilot 340 created: tags = []",
            r#"Pilot 340 changed: tags[] + "ace""#,
            r#"Pilot 340 deleted: tags = ["ace"]"#,
            r#"Pilot 340 created: tags = ["ace"]"#,
        ]
    );
    let last = history().between(..times[3]).last_change_of("age").unwrap().unwrap();
    assert_eq!(last.to_string(), "Pilot 340 changed: age 25 → 26");
    let error = history().last_change_of("seat").unwrap_err().to_string();
    assert_eq!(
        error,
        "`Pilot` has no audited field `seat`, and no change of such a field is recorded; its fields are \
         `name`, `age`, `tags`"
    );
    let newest: Vec<_> = history().newest_first().map(|change| change.unwrap().change).collect();
    assert_eq!(newest[..2], [ChangeKind::Created, ChangeKind::Deleted]);
    let newest = history().newest_first().nth(3).unwrap().unwrap();
    assert_eq!(newest.to_string(), r#"Pilot 340 changed: age 25 → 26, tags[] + "ace""#);
}

#[test]
fn pages_return_each_change_once() {
    let records = life();
    let history = testing::history::<Pilot>(&records, 340);
    for size in 1..=6 {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = history.page(after, size).unwrap();
            all.extend(page.changes.iter().map(ToString::to_string));
            after = page.next;
            if after.is_none() {
                break;
            }
            assert_eq!(page.changes.len(), size);
        }
        assert_eq!(all, lines(&history));
    }
}

#[test]
fn a_past_state_is_restored_from_the_changes() {
    let records = life();
    let times = times(&records);
    let history = testing::history::<Pilot>(&records, 340);
    let at = |time| history.as_of(time).unwrap().map(|state| state.to_string());
    let instant = chrono::Duration::microseconds(1);
    assert_eq!(at(times[0] - instant), None);
    assert_eq!(at(times[0]).unwrap(), r#"{"name":"Kara","age":25,"tags":[]}"#);
    assert_eq!(at(times[1] - instant), at(times[0]));
    assert_eq!(at(times[1]).unwrap(), r#"{"name":"Kara","age":26,"tags":["ace"]}"#);
    assert_eq!(at(times[3]), None);
    assert_eq!(at(Utc::now()).unwrap(), r#"{"name":"Starbuck","age":26,"tags":["ace"]}"#);
    let state = history.as_of(times[1]).unwrap().unwrap();
    let partial: Pilot = state.to().unwrap();
    assert_eq!((partial.id, partial.age, partial.seat), (0, 26, 0));
    let now = Pilot { seat: 9, age: 80, ..kara() };
    let restored = state.onto(&now).unwrap();
    assert_eq!((restored.id, restored.age, restored.seat), (340, 26, 9));
    assert_eq!(state.get("age").unwrap().to::<u8>().unwrap(), 26);
    let differences = history.diff(times[0], times[2]).unwrap();
    let fields: Vec<&str> = differences.iter().map(|difference| &*difference.field).collect();
    assert_eq!(fields, ["name", "age", "tags[]"]);
    let gone = history.diff(times[2], times[3]).unwrap();
    assert!(gone.iter().all(|difference| difference.after.is_none()) && gone.len() == 3);
}

#[test]
fn the_state_before_the_first_record_is_derived_from_later_records() {
    let records = testing::capture(|| {
        let mut pilot = Tracked::loaded(kara());
        pilot.age = 26;
        pilot.save(accept).unwrap();
        pilot.name = "Starbuck".into();
        pilot.save(accept).unwrap();
    });
    let history = testing::history::<Pilot>(&records, 340);
    let at = |time| history.as_of(time).unwrap().map(|state| state.to_string());
    assert_eq!(history.creation().unwrap(), None);
    assert_eq!(at(DateTime::UNIX_EPOCH).unwrap(), r#"{"age":25,"name":"Kara"}"#);
    assert_eq!(at(times(&records)[0]).unwrap(), r#"{"age":26,"name":"Kara"}"#);
}

#[test]
fn former_names_are_found_and_shown_as_the_current_ones() {
    mod v1 {
        #[audited::audited_fields(years, city; key = id)]
        pub(super) struct Aviator {
            pub(super) id: u8,
            pub(super) years: u8,
            pub(super) city: String,
        }
    }
    mod v2 {
        #[audited::audited_fields(age(was = "years"), rank; key = id, name = "Pilot", was = "Aviator")]
        pub(super) struct Person {
            pub(super) id: u8,
            pub(super) age: f32,           // retyped
            pub(super) rank: &'static str, // added; `city` is gone
        }
    }
    let records = testing::capture(|| {
        let old = v1::Aviator { id: 1, years: 25, city: "Bern".into() };
        let mut old = Tracked::new(old);
        old.save(accept).unwrap();
        old.years = 26;
        old.save(accept).unwrap();
        let mut new = Tracked::loaded(v2::Person { id: 1, age: 26.0, rank: "captain" });
        new.age = 26.5;
        new.save(accept).unwrap();
    });
    let history = testing::history::<v2::Person>(&records, 1);
    assert_eq!(
        lines(&history),
        [
            r#"Aviator 1 created: age = 25, city = "Bern""#,
            "Aviator 1 changed: age 25 → 26",
            "Pilot 1 changed: age 26.0 → 26.5",
        ]
    );
    assert_eq!(lines(&history.clone().field("age")).len(), 3);
    assert_eq!(
        history.as_of(Utc::now()).unwrap().unwrap().to_string(),
        r#"{"age":26.5,"city":"Bern"}"#
    );
}

#[test]
fn inconsistent_changes_make_the_field_uncertain() {
    let records = testing::capture(|| {
        change_of("doc", 1).created().value("lines", ["a", "b"]).value("title", "t").record();
        // As if the records between were missing.
        change_of("doc", 1).change("lines", [1, 2, 3, 4, 5], [1, 2, 3, 4, 6]).record();
        change_of("doc", 1).change("title", "t", "u").record();
    });
    let reader = testing::history_of(&records, "doc", 1);
    let state = reader.as_of(Utc::now()).unwrap().unwrap();
    assert_eq!(state.uncertain(), ["lines"]);
    assert_eq!(state.get("title").unwrap().as_str(), r#""u""#);
}

#[test]
fn sqlite_and_memory_return_the_same_history() {
    let records = life();
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("audit.db")).unwrap();
    let audit = Audit::builder().store(store).build().unwrap();
    Context::new().recorder(&audit).scope(|| {
        records.iter().cloned().for_each(|record| append(record).expect("there is a recorder"))
    });
    let (accept, memory) =
        (audit.history::<Pilot>(340).unwrap(), testing::history::<Pilot>(&records, 340));
    let all = |history: &History| history.changes().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(all(&accept), all(&memory));
    assert_eq!(audit.history_of_all::<Pilot>().unwrap().deletions().count(), 1);
    assert_eq!(lines(&audit.history_of("Pilot", "340").unwrap()), lines(&memory));
    let error = audit.history_of_all::<Pilot>().unwrap().as_of(Utc::now()).unwrap_err();
    assert!(error.to_string().contains("ask for the history of one object"));
}

#[test]
fn changes_made_by_calls_but_not_stored_can_be_excluded() {
    #[audit_method(action = "promote")]
    fn promote(pilot: &mut Pilot) -> Result<(), String> {
        pilot.age += 1;
        Err("not allowed".into())
    }
    let records = testing::capture(|| {
        let mut pilot = Tracked::new(kara());
        pilot.save(accept).unwrap();
        promote(&mut pilot).unwrap_err();
    });
    let history = testing::history::<Pilot>(&records, 340);
    assert_eq!(
        lines(&history)[1],
        "Pilot 340 changed in a call that ended in failure: age 25 → 26"
    );
    assert_eq!(lines(&history.clone().stored()).len(), 1);
    let age = |history: &History| {
        history.as_of(Utc::now()).unwrap().unwrap().get("age").unwrap().to::<u8>().unwrap()
    };
    assert_eq!((age(&history), age(&history.stored())), (26, 25));
}

#[test]
fn a_state_never_writes_redaction_marks_into_an_object() {
    #[audited_fields(name(rename = "title"), pin(redact), auth(with = Auth::name), kind; key = id)]
    #[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
    struct Card {
        id: u8,
        name: String,
        pin: String,
        auth: Auth,
        #[serde(rename = "type")]
        kind: Option<u8>,
    }
    #[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
    struct Auth(String);
    impl Auth {
        fn name(&self) -> BTreeMap<&str, &str> {
            BTreeMap::from([("name", "n"), ("password", &*self.0)])
        }
    }
    let card = |name: &str, kind| Card {
        id: 1,
        name: name.into(),
        pin: "1234".into(),
        auth: Auth("a".into()),
        kind,
    };
    let state = |kind| {
        let records = testing::capture(|| Tracked::new(card("old", kind)).save(accept).unwrap());
        testing::history::<Card>(&records, 1).as_of(Utc::now()).unwrap().unwrap()
    };
    let plain = state(None);
    assert_eq!(plain.hidden(), ["pin", "auth"]);
    assert_eq!(plain.onto(&card("new", Some(7))).unwrap(), card("old", Some(7)));
    let error = plain.to::<Card>().unwrap_err().to_string();
    assert!(error.contains("values of `pin`, `auth` are redacted"), "{error}");
    // A field that cannot be restored is an error, not an omission.
    let error = state(Some(3)).onto(&card("new", Some(7))).unwrap_err().to_string();
    assert!(error.contains("does not serialise the field `kind` under this name"), "{error}");
}

#[test]
fn a_key_with_a_wrong_number_of_parts_is_rejected() {
    #[audited_fields(total; key = (tenant, number))]
    struct Order {
        tenant: u8,
        number: u8,
        total: u8,
    }
    #[audited_fields(amount; key = line, parent = Order(tenant, order))]
    struct Line {
        tenant: u8,
        order: u8,
        line: u8,
        amount: u8,
    }
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("audit.db")).unwrap();
    let audit = Audit::builder().store(store).build().unwrap();
    assert!(audit.history::<Order>((1, 2)).is_ok());
    assert!(audit.history::<Line>((1, 2, 3)).is_ok());
    let error = audit.history::<Line>((2, 3)).unwrap_err().to_string();
    assert_eq!(
        error,
        "the key of `Order/Line` has 3 part(s), those of its parents first, and 2 were given; own key: (line)"
    );
}

#[test]
fn a_store_that_cannot_be_read_returns_an_error() {
    struct Null;
    impl audited::store::Store for Null {
        fn write(&mut self, _: &[Record]) -> Result<(), audited::Error> {
            Ok(())
        }
    }
    let audit = Audit::builder().store(Null).build().unwrap();
    let error = audit.history::<Pilot>(1).unwrap_err().to_string();
    assert!(error.contains("can't be read back"), "{error}");
}

// ---- random histories ---------------------------------------------------------------------------

#[audited_fields(all; key = id)]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Thing {
    id: u8,
    number: i64,
    text: Option<String>,
    list: Vec<Part>,
    map: BTreeMap<String, Vec<u8>>,
    set: BTreeSet<u8>,
    part: Part,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Part {
    a: u8,
    b: Option<bool>,
}

fn part() -> impl Strategy<Value = Part> {
    (0..4_u8, any::<Option<bool>>()).prop_map(|(a, b)| Part { a, b })
}

prop_compose! {
    fn thing()(
        number in -3..3_i64,
        text in proptest::option::of("[a\"\\[.]{0,2}"),
        list in proptest::collection::vec(part(), 0..6),
        map in proptest::collection::btree_map("[ab.\\[\"]{0,2}", proptest::collection::vec(0..3_u8, 0..4), 0..4),
        set in proptest::collection::btree_set(0..6_u8, 0..5),
        part in part(),
    ) -> Thing {
        Thing { id: 1, number, text, list, map, set, part }
    }
}

/// The object that the state restores.
fn restored(state: &State) -> Thing {
    assert!(state.uncertain().is_empty(), "{state:?}");
    state.to().expect("all fields are there")
}

proptest! {
    /// The object is created and changed, and sometimes deleted and created again. The state at
    /// each time equals the object at that time, even if its creation is not recorded.
    #[test]
    fn the_state_at_every_time_equals_the_object_at_that_time(
        states in proptest::collection::vec((thing(), 0..6_u8), 1..12),
        is_loaded in any::<bool>(),
    ) {
        let first = states[0].0.clone();
        let mut expected = Vec::new();
        let records = testing::capture(|| {
            let mut tracked =
                if is_loaded { Tracked::loaded(first.clone()) } else { Tracked::new(first.clone()) };
            for (thing, dice) in &states {
                if *dice == 0 && tracked.is_stored() {
                    tracked.delete(accept).unwrap();
                    expected.push(None);
                }
                *tracked = thing.clone();
                // A save that changes nothing leaves no record.
                if !tracked.changes().is_empty() {
                    expected.push(Some(thing.clone()));
                }
                tracked.save(accept).unwrap();
            }
        });
        prop_assert_eq!(records.len(), expected.len());
        let history = testing::history::<Thing>(&records, 1);
        for (time, thing) in times(&records).iter().zip(&expected) {
            let state = history.as_of(*time).unwrap();
            if is_loaded {
                // A field that never changed is not recorded.
                if let (Some(state), Some(thing)) = (&state, thing) {
                    for field in ["number", "part", "list", "map"] {
                        if let Some(value) = state.get(field) {
                            let whole = serde_json::to_value(thing).unwrap();
                            prop_assert_eq!(&value, &whole[field], "{}", field);
                        }
                    }
                }
            } else {
                prop_assert_eq!(state.as_ref().map(restored), thing.clone());
            }
        }
    }
}
