//! What a save and a delete put on the record, and when.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use audited::{
    Bulk, ChangeKind, Context, FieldChange, Kind, Outcome, Record, Redacted, Tracked,
    audited_fields, change, change_of, execute, testing,
};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::json;

type Stored = Result<(), String>;

fn stored<T>(_: &mut T) -> Stored {
    Ok(())
}

/// `change target_type target_id field before after`, with `-` for nothing.
fn line(change: &FieldChange) -> String {
    let text = |json: &Option<audited::Json>| json.as_ref().map_or("-".into(), ToString::to_string);
    format!(
        "{} {} {} {} {} {}",
        change.change,
        change.target_type,
        change.target_id,
        change.field,
        text(&change.before),
        text(&change.after)
    )
}

fn lines(record: &Record) -> Vec<String> {
    record.changes.iter().map(line).collect()
}

#[audited_fields(name, age, note; key = id, label = name)]
#[derive(Clone, Debug)]
struct Pilot {
    id: u64,
    name: String,
    age: u8,
    note: Option<String>,
    seat: u8,
}

fn kara() -> Pilot {
    Pilot { id: 340, name: "Kara".into(), age: 25, note: None, seat: 1 }
}

#[test]
fn the_first_save_tells_every_audited_field() {
    let records = testing::capture(|| {
        Context::new().actor("alice").scope(|| Tracked::new(kara()).save(stored).unwrap());
    });
    let [record] = &records[..] else { panic!("one record: {records:?}") };
    assert_eq!(
        lines(record),
        [
            r#"created Pilot 340 name - "Kara""#,
            "created Pilot 340 age - 25",
            "created Pilot 340 note - null",
        ]
    );
    assert_eq!((record.kind, record.outcome), (Kind::Change, Outcome::Success));
    assert_eq!(record.action, "create Pilot");
    assert_eq!(record.method, "tracked::Pilot::save");
    assert_eq!(record.actor.as_deref(), Some("alice"));
    assert_eq!(record.target_type.as_deref(), Some("Pilot"));
    assert_eq!(record.target_id.as_deref(), Some("340"));
    assert_eq!(record.target_label.as_deref(), Some("Kara"));
    assert!(record.changes.iter().all(|change| change.changed_at >= record.started_at));
}

#[test]
fn a_later_save_tells_what_changed_and_an_unchanged_one_nothing() {
    let records = testing::capture(|| {
        let mut pilot = Tracked::loaded(kara());
        pilot.save(stored).unwrap();
        pilot.seat = 2; // not audited
        pilot.save(stored).unwrap();
        pilot.age = 26;
        pilot.note = Some("promoted".into());
        pilot.save(stored).unwrap();
        pilot.save(stored).unwrap();
        pilot.note = None;
        pilot.save(stored).unwrap();
    });
    assert_eq!(records.len(), 2);
    assert_eq!(
        lines(&records[0]),
        ["changed Pilot 340 age 25 26", r#"changed Pilot 340 note null "promoted""#,]
    );
    assert_eq!(lines(&records[1]), [r#"changed Pilot 340 note "promoted" null"#]);
    assert_eq!(records[1].action, "change Pilot");
    assert!(records[0].changes[0].changed_at < records[1].changes[0].changed_at);
    assert_eq!(records[0].changes[0].changed_at, records[0].changes[1].changed_at);
}

#[test]
fn a_delete_tells_the_last_stored_values_and_then_it_is_new_again() {
    let records = testing::capture(|| {
        let mut pilot = Tracked::loaded(kara());
        pilot.age = 99; // never stored
        pilot.delete(stored).unwrap();
        assert!(!pilot.is_stored());
        pilot.save(stored).unwrap();
    });
    assert_eq!(
        lines(&records[0]),
        [
            r#"deleted Pilot 340 name "Kara" -"#,
            "deleted Pilot 340 age 25 -",
            "deleted Pilot 340 note null -",
        ]
    );
    assert_eq!(records[0].action, "delete Pilot");
    assert_eq!(lines(&records[1])[1], "created Pilot 340 age - 99");
}

#[test]
fn a_failed_save_is_told_as_an_attempt_and_the_next_carries_the_change() {
    let records = testing::capture(|| {
        let mut pilot = Tracked::loaded(kara());
        pilot.age = 26;
        pilot.info().operator("bob").notes("first try");
        let refused: Stored = pilot.save(|_| Err("disk full".to_owned()));
        assert_eq!(refused.unwrap_err(), "disk full");
        pilot.save(stored).unwrap();
        pilot.age = 27;
        pilot.save(stored).unwrap();
    });
    assert_eq!(records.len(), 3);
    let attempt = &records[0];
    assert_eq!((attempt.kind, attempt.outcome), (Kind::Change, Outcome::Failure));
    assert_eq!(attempt.changes, []);
    assert_eq!(
        *attempt.input.as_ref().unwrap(),
        json!({"attempted": "changed", "changes": [{"field": "age", "before": 25, "after": 26}]})
    );
    let error = attempt.error.as_ref().unwrap();
    assert_eq!((&*error.type_name, &*error.message), ("alloc::string::String", "disk full"));
    assert_eq!(lines(&records[1]), ["changed Pilot 340 age 25 26"]);
    // What is said counts for one attempt: the next may be somebody else's.
    let actors: Vec<_> = records.iter().map(|record| record.actor.as_deref()).collect();
    assert_eq!(actors, [Some("bob"), None, None]);
    assert_eq!((records[0].notes.len(), records[1].notes.len()), (1, 0));
}

#[test]
fn a_save_that_panics_is_told_and_the_panic_goes_on() {
    let records = testing::capture(|| {
        let mut pilot = Tracked::loaded(kara());
        pilot.age = 26;
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            pilot.save(|_| -> Stored { panic!("the pool is closed") })
        }));
        assert_eq!(*panicked.unwrap_err().downcast::<&str>().unwrap(), "the pool is closed");
        pilot.save(stored).unwrap();
    });
    assert_eq!(records[0].outcome, Outcome::Panic);
    assert_eq!(records[0].error.as_ref().unwrap().message, "the pool is closed");
    assert_eq!(lines(&records[1]), ["changed Pilot 340 age 25 26"]);
}

#[test]
fn a_cancelled_save_is_told_as_an_attempt() {
    let records = testing::capture(|| {
        let mut pilot = Tracked::loaded(kara());
        pilot.age = 26;
        {
            let mut save = Box::pin(pilot.save_async(async |_| {
                std::future::pending::<()>().await;
                Ok::<(), String>(())
            }));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(save.as_mut().poll(&mut cx).is_pending());
        }
        pilot.save(stored).unwrap();
    });
    assert_eq!((records[0].outcome, records[0].changes.len()), (Outcome::Cancelled, 0));
    assert_eq!(lines(&records[1]), ["changed Pilot 340 age 25 26"]);
}

#[test]
fn an_id_given_by_the_store_is_the_one_recorded() {
    let records = testing::capture(|| {
        let mut pilot = Tracked::new(Pilot { id: 0, ..kara() });
        let gives_id = |pilot: &mut Pilot| {
            pilot.id = 17;
            stored(pilot)
        };
        pilot.save(gives_id).unwrap();
        pilot.age = 26;
        pilot.save(stored).unwrap();
        pilot.id = 18; // the object moves: what happened is told of the one that was stored
        pilot.age = 27;
        pilot.save(stored).unwrap();
        pilot.age = 28;
        pilot.save(stored).unwrap();
    });
    let ids: Vec<_> = records.iter().map(|record| record.target_id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["17", "17", "17", "18"]);
}

#[test]
fn a_save_inside_a_call_is_its_child() {
    let records = testing::capture(|| {
        execute("promote", "fleet::promote", (), || {
            let mut pilot = Tracked::loaded(kara());
            pilot.age = 26;
            pilot.save(stored).unwrap();
        });
    });
    assert_eq!((records[0].kind, records[1].kind), (Kind::Change, Kind::Call));
    assert_eq!(records[0].parent_id, Some(records[1].id));
    assert_eq!(records[0].correlation_id, records[1].correlation_id);
}

#[test]
fn without_a_recorder_nothing_breaks_and_the_state_stays_right() {
    let mut pilot = Tracked::new(kara());
    pilot.save(stored).unwrap();
    pilot.age = 26;
    pilot.save(stored).unwrap();
    let records = testing::capture(|| {
        pilot.age = 27;
        pilot.save(stored).unwrap();
    });
    assert_eq!(lines(&records[0]), ["changed Pilot 340 age 26 27"]);
}

#[test]
fn further_keys_are_masked_by_their_name() {
    let records = testing::capture(|| {
        let mut pilot = Tracked::new(kara());
        pilot.info().field("age", "no clash").field("api_key", "s3cret").reason("asked for");
        pilot.save(stored).unwrap();
    });
    assert_eq!(
        *records[0].context.as_ref().unwrap(),
        json!({"extra": {"age": "no clash", "api_key": "[redacted]"}})
    );
    assert_eq!(records[0].reason.as_deref(), Some("asked for"));
}

// ---- Values ---------------------------------------------------------------------------------

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Address {
    city: String,
    zip: String,
    password: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
enum Rank {
    Cadet,
    Captain { since: u16 },
}

#[audited_fields(all, ids(set), secret(redact), shared(with = read), kind(debug); key = (fleet, number))]
struct Everything {
    fleet: &'static str,
    number: u32,
    price: Decimal,
    ratio: f64,
    rank: Rank,
    address: Address,
    list: Vec<u32>,
    people: Vec<Address>,
    map: BTreeMap<String, u32>,
    set: HashSet<&'static str>,
    nested: Option<BTreeSet<u8>>,
    ids: Vec<u32>,
    secret: String,
    password: String,
    hidden: Redacted<u32>,
    shared: Rc<std::cell::Cell<u32>>,
    kind: std::ops::Range<u8>,
    plain: NoClone,
}

fn read(shared: &Rc<std::cell::Cell<u32>>) -> u32 {
    shared.get()
}

/// Neither `Clone` nor `PartialEq`: compared by what is recorded of it.
#[derive(Serialize)]
struct NoClone(u32);

fn everything() -> Everything {
    Everything {
        fleet: "a/b",
        number: 7,
        price: "101.67".parse().unwrap(),
        ratio: f64::NAN,
        rank: Rank::Cadet,
        address: Address { city: "Bern".into(), zip: "3000".into(), password: "old".into() },
        list: vec![1, 2, 3],
        people: vec![Address::default(), Address { city: "Rome".into(), ..Address::default() }],
        map: BTreeMap::from([("a".into(), 1), ("b c".into(), 2)]),
        set: HashSet::from(["x", "y"]),
        nested: Some(BTreeSet::from([1, 2])),
        ids: vec![3, 1, 2],
        secret: "s1".into(),
        password: "p1".into(),
        hidden: Redacted::new(1),
        shared: Rc::default(),
        kind: 0..3,
        plain: NoClone(1),
    }
}

/// The changes that `edit` makes, without the object's type and id.
fn changes(edit: impl FnOnce(&mut Everything)) -> Vec<String> {
    let records = testing::capture(|| {
        let mut object = Tracked::loaded(everything());
        edit(&mut object);
        object.save(stored).unwrap();
    });
    let prefix = "changed Everything a%2Fb/7 ";
    let lines: Vec<String> = records.iter().flat_map(lines).collect();
    lines.iter().map(|line| line.strip_prefix(prefix).unwrap().to_owned()).collect()
}

#[test]
fn equal_values_are_no_change() {
    assert_eq!(changes(|_| ()), [""; 0]);
    assert_eq!(changes(|o| o.price = "101.670".parse().unwrap()), [""; 0]);
    assert_eq!(changes(|o| o.ratio = f64::NAN), [""; 0]);
    assert_eq!(changes(|o| o.ids = vec![1, 2, 3]), [""; 0]);
    assert_eq!(changes(|o| o.set = HashSet::from(["y", "x"])), [""; 0]);
}

#[test]
fn scalars_and_variants_are_told_whole() {
    assert_eq!(changes(|o| o.price = "99.50".parse().unwrap()), [r#"price "101.67" "99.50""#]);
    assert_eq!(changes(|o| o.ratio = 0.5), [r#"ratio "NaN" 0.5"#]);
    assert_eq!(
        changes(|o| o.rank = Rank::Captain { since: 2020 }),
        [r#"rank "Cadet" {"Captain":{"since":2020}}"#]
    );
    assert_eq!(changes(|o| o.kind = 0..4), [r#"kind "0..3" "0..4""#]);
    assert_eq!(changes(|o| o.plain = NoClone(2)), ["plain 1 2"]);
    assert_eq!(changes(|o| o.shared.set(5)), ["shared 0 5"]);
}

#[test]
fn inside_structs_lists_and_maps_only_what_changed_is_told() {
    assert_eq!(changes(|o| o.address.city = "Basel".into()), [r#"address.city "Bern" "Basel""#]);
    assert_eq!(changes(|o| o.list = vec![1, 9, 2, 3]), ["list[1] - 9"]);
    assert_eq!(changes(|o| o.list = vec![1, 3]), ["list[1] 2 -"]);
    assert_eq!(changes(|o| o.list[2] = 4), ["list[2] 3 4"]);
    assert_eq!(changes(|o| o.people[1].zip = "00100".into()), [r#"people[1].zip "" "00100""#]);
    assert_eq!(
        changes(|o| {
            o.map.remove("a");
            o.map.insert("b c".into(), 3);
            o.map.insert("d".into(), 4);
        }),
        ["map.a 1 -", r#"map["b c"] 2 3"#, "map.d - 4"]
    );
}

#[test]
fn sets_and_id_lists_tell_what_was_taken_out_and_put_in() {
    assert_eq!(
        changes(|o| o.set = HashSet::from(["y", "z"])),
        [r#"set[] "x" -"#, r#"set[] - "z""#]
    );
    assert_eq!(changes(|o| _ = o.nested.as_mut().unwrap().insert(3)), ["nested[] - 3"]);
    assert_eq!(changes(|o| o.ids = vec![4, 3, 1]), ["ids[] 2 -", "ids[] - 4"]);
    assert_eq!(changes(|o| o.nested = None), ["nested [1,2] null"]);
}

#[test]
fn of_hidden_values_it_is_told_that_they_changed() {
    let hidden = |field: &str| format!(r#"{field} "[redacted]" "[redacted]""#);
    assert_eq!(changes(|o| o.secret = "s2".into()), [hidden("secret")]);
    assert_eq!(changes(|o| o.password = "p2".into()), [hidden("password")]);
    assert_eq!(changes(|o| o.hidden = Redacted::new(2)), [hidden("hidden")]);
    assert_eq!(changes(|o| o.address.password = "new".into()), [hidden("address.password")]);
}

#[test]
fn a_created_object_shows_no_hidden_value() {
    let records = testing::capture(|| Tracked::new(everything()).save(stored).unwrap());
    let all = lines(&records[0]).join("\n");
    for secret in ["s1", "p1", "old"] {
        assert!(!all.contains(&format!("\"{secret}\"")), "{all}");
    }
    assert!(all.contains(r#"address - {"city":"Bern","zip":"3000","password":"[redacted]"}"#));
    assert!(all.contains(r#"ids - [1,2,3]"#), "a set has one order: {all}");
    assert_eq!(records[0].changes.len(), 18);
}

#[test]
fn code_of_the_user_that_panics_breaks_nothing_and_is_told() {
    #[derive(Clone)]
    struct Fragile(u8);
    impl PartialEq for Fragile {
        fn eq(&self, other: &Self) -> bool {
            assert!(self.0 != 13 && other.0 != 13, "thirteen");
            self.0 == other.0
        }
    }
    impl Serialize for Fragile {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_u8(self.0)
        }
    }
    #[audited_fields(age, fragile; key = id)]
    struct Holder {
        id: u8,
        age: u8,
        fragile: Fragile,
    }

    let records = testing::capture(|| {
        let mut holder = Tracked::loaded(Holder { id: 1, age: 1, fragile: Fragile(1) });
        holder.age = 2;
        holder.fragile = Fragile(13);
        holder.save(stored).unwrap();
    });
    assert_eq!(lines(&records[0]), ["changed Holder 1 age 1 2"]);
    let cut = &records[0].truncated[0];
    assert_eq!((&*cut.path, &*cut.unit, cut.kept, cut.was), ("changes", "fields", 1, None));
}

#[test]
fn a_value_beyond_the_limits_is_cut_and_says_so() {
    #[audited_fields(text; key = id)]
    struct Page {
        id: u8,
        text: String,
    }
    let records = testing::capture(|| {
        let mut page = Tracked::loaded(Page { id: 1, text: "a".repeat(20_000) });
        page.text.push('b'); // beyond what is shown of either
        page.save(stored).unwrap();
    });
    let change = &records[0].changes[0];
    let [before, after] =
        [&change.before, &change.after].map(|json| json.as_ref().unwrap().as_str());
    assert!(
        before.ends_with("… [cut: 20000 bytes]\"") && after.ends_with("… [cut: 20001 bytes]\"")
    );
    let paths: Vec<_> = records[0].truncated.iter().map(|cut| &*cut.path).collect();
    assert_eq!(paths, ["changes.text", "changes.text"]);
}

// ---- Many objects, and none -------------------------------------------------------------------

fn crew(ids: std::ops::Range<u64>) -> Vec<Tracked<Pilot>> {
    ids.map(|id| Tracked::loaded(Pilot { id, ..kara() })).collect()
}

#[test]
fn a_bulk_save_is_one_record_with_the_changes_of_each() {
    let records = testing::capture(|| {
        let mut crew = crew(1..4);
        crew[0].age = 30;
        crew[2].note = Some("x".into());
        crew.push(Tracked::new(Pilot { id: 9, ..kara() }));
        let all = |all: &mut [&mut Pilot]| Ok::<usize, String>(all.len());
        assert_eq!(Bulk::new("reshuffle").operator("hr").save(&mut crew, all), Ok(4));
        assert_eq!(Bulk::new("again").save(&mut crew, all), Ok(4)); // nothing changed
    });
    let [record] = &records[..] else { panic!("one record: {records:?}") };
    assert_eq!((&*record.action, record.actor.as_deref()), ("reshuffle", Some("hr")));
    assert_eq!(
        lines(record),
        [
            "changed Pilot 1 age 25 30",
            r#"changed Pilot 3 note null "x""#,
            r#"created Pilot 9 name - "Kara""#,
            "created Pilot 9 age - 25",
            "created Pilot 9 note - null",
        ]
    );
}

#[test]
fn a_bulk_of_many_changes_goes_on_in_records_below_the_first() {
    let records = testing::capture(|| {
        let mut crew = crew(0..5_000);
        crew.iter_mut().for_each(|pilot| pilot.age = 30);
        Bulk::new("birthday").save(&mut crew, |_| Ok::<(), String>(())).unwrap();
    });
    let counts: Vec<_> = records.iter().map(|record| record.changes.len()).collect();
    assert_eq!(counts, [4_096, 904]);
    assert_eq!(records[1].parent_id, Some(records[0].id));
    assert_eq!(records[1].correlation_id, records[0].correlation_id);
    assert_eq!(line(&records[1].changes[903]), "changed Pilot 4999 age 25 30");
}

#[test]
fn a_bulk_that_fails_is_an_attempt_with_its_keys() {
    let records = testing::capture(|| {
        let mut crew = crew(1..4);
        crew[1].age = 30;
        Bulk::new("birthday").save(&mut crew, |_| Err::<(), _>("locked")).unwrap_err();
        Bulk::new("birthday").delete(&mut crew, |_| Ok::<(), String>(())).unwrap();
        assert!(crew.iter().all(|pilot| !pilot.is_stored()));
    });
    assert_eq!(records[0].outcome, Outcome::Failure);
    assert_eq!(
        *records[0].input.as_ref().unwrap(),
        json!({"attempted": {"type": "Pilot", "changed": 1, "keys": ["2"]}})
    );
    assert_eq!(records[1].changes.len(), 9);
    assert_eq!(line(&records[1].changes[4]), "deleted Pilot 2 age 25 -");
}

#[test]
fn by_hand_between_two_values_and_without_a_type() {
    let records = testing::capture(|| {
        change(&kara(), &kara());
        change(&kara(), &Pilot { age: 26, ..kara() });
        change_of("setting", "theme").field("value", "dark", "dark").record();
        change_of("setting", "theme")
            .action("switch theme")
            .field(
                "value",
                json!({"name": "dark", "password": 1}),
                json!({"name": "light", "password": 2}),
            )
            .reason("asked for")
            .record();
        change_of("file", "/etc/motd").created().value("size", 12).value("token", "t").record();
    });
    assert_eq!(lines(&records[0]), ["changed Pilot 340 age 25 26"]);
    assert_eq!(
        lines(&records[1]),
        [
            r#"changed setting theme value.name "dark" "light""#,
            r#"changed setting theme value.password "[redacted]" "[redacted]""#,
        ]
    );
    assert_eq!(
        (&*records[1].action, records[1].reason.as_deref()),
        ("switch theme", Some("asked for"))
    );
    assert_eq!(
        lines(&records[2]),
        ["created file /etc/motd size - 12", r#"created file /etc/motd token - "[redacted]""#]
    );
    assert_eq!(records[2].changes[0].change, ChangeKind::Created);
    assert_eq!(records.len(), 3);
}

#[test]
fn a_child_names_its_parent() {
    #[audited_fields(total; key = (tenant, number), name = "order")]
    struct Order {
        tenant: &'static str,
        number: u32,
        total: u32,
    }
    #[audited_fields(amount; key = line, parent = Order(tenant, order), name = "line")]
    struct Line {
        tenant: &'static str,
        order: u32,
        line: u8,
        amount: u32,
    }

    let records = testing::capture(|| {
        let mut order = Tracked::loaded(Order { tenant: "a/b", number: 17, total: 5 });
        order.total = 6;
        order.save(stored).unwrap();
        let mut line = Tracked::loaded(Line { tenant: "a/b", order: 17, line: 3, amount: 1 });
        line.amount = 2;
        line.save(stored).unwrap();
        let mut other = Tracked::loaded(Line { tenant: "a/b", order: 171, line: 3, amount: 1 });
        other.amount = 2;
        other.save(stored).unwrap();
    });
    assert_eq!(lines(&records[1]), ["changed order/line a%2Fb/17/3 amount 1 2"]);
    let history = testing::history::<Order>(&records, ("a/b", 17));
    let own: Vec<String> = history.changes().map(|change| change.unwrap().to_string()).collect();
    assert_eq!(own, ["order a%2Fb/17 changed: total 5 → 6"]);
    let all = history.with_children();
    let all: Vec<String> = all.changes().map(|change| change.unwrap().to_string()).collect();
    assert_eq!(all[1..], ["order/line a%2Fb/17/3 changed: amount 1 → 2"]);
}

#[test]
fn a_map_of_an_unordered_kind_is_compared_by_its_keys() {
    #[audited_fields(map; key = id)]
    struct Holder {
        id: u8,
        map: HashMap<u32, Vec<String>>,
    }
    let records = testing::capture(|| {
        let map = (0..50).map(|n| (n, vec![n.to_string()])).collect();
        let mut holder = Tracked::loaded(Holder { id: 1, map });
        holder.map.get_mut(&7).unwrap().push("more".into());
        holder.save(stored).unwrap();
    });
    assert_eq!(lines(&records[0]), [r#"changed Holder 1 map.7[1] - "more""#]);
}
