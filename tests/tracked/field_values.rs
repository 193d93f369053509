//! Which changes are recorded for values of each kind.

use super::*;

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

/// Neither `Clone` nor `PartialEq`, so it is compared by its recorded form.
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

/// The recorded changes that `edit` makes, without the type and id of the object.
fn changes(edit: impl FnOnce(&mut Everything)) -> Vec<String> {
    let records = testing::capture(|| {
        let mut object = Tracked::loaded(everything());
        edit(&mut object);
        object.save(accept).unwrap();
    });
    let prefix = "changed Everything a%2Fb/7 ";
    let lines: Vec<String> = records.iter().flat_map(change_lines).collect();
    lines.iter().map(|line| line.strip_prefix(prefix).unwrap().to_owned()).collect()
}

#[test]
fn equal_values_are_not_recorded_as_a_change() {
    assert_eq!(changes(|_| ()), [""; 0]);
    assert_eq!(changes(|o| o.price = "101.670".parse().unwrap()), [""; 0]);
    assert_eq!(changes(|o| o.ratio = f64::NAN), [""; 0]);
    assert_eq!(changes(|o| o.ids = vec![1, 2, 3]), [""; 0]);
    assert_eq!(changes(|o| o.set = HashSet::from(["y", "x"])), [""; 0]);
}

#[test]
fn scalars_and_variants_are_recorded_as_a_whole() {
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
fn only_the_changed_parts_of_structs_lists_and_maps_are_recorded() {
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
fn sets_and_id_lists_record_removed_and_added_elements() {
    assert_eq!(
        changes(|o| o.set = HashSet::from(["y", "z"])),
        [r#"set[] "x" -"#, r#"set[] - "z""#]
    );
    assert_eq!(changes(|o| _ = o.nested.as_mut().unwrap().insert(3)), ["nested[] - 3"]);
    assert_eq!(changes(|o| o.ids = vec![4, 3, 1]), ["ids[] 2 -", "ids[] - 4"]);
    assert_eq!(changes(|o| o.nested = None), ["nested [1,2] null"]);
}

#[test]
fn a_change_of_a_hidden_value_is_recorded_without_the_value() {
    let hidden = |field: &str| format!(r#"{field} "[redacted]" "[redacted]""#);
    assert_eq!(changes(|o| o.secret = "s2".into()), [hidden("secret")]);
    assert_eq!(changes(|o| o.password = "p2".into()), [hidden("password")]);
    assert_eq!(changes(|o| o.hidden = Redacted::new(2)), [hidden("hidden")]);
    assert_eq!(changes(|o| o.address.password = "new".into()), [hidden("address.password")]);
}

#[test]
fn a_created_object_is_recorded_without_hidden_values() {
    let records = testing::capture(|| Tracked::new(everything()).save(accept).unwrap());
    let all = change_lines(&records[0]).join("\n");
    for secret in ["s1", "p1", "old"] {
        assert!(!all.contains(&format!("\"{secret}\"")), "{all}");
    }
    assert!(all.contains(r#"address - {"city":"Bern","zip":"3000","password":"[redacted]"}"#));
    assert!(all.contains(r#"ids - [1,2,3]"#), "a set is recorded in a fixed order: {all}");
    assert_eq!(records[0].changes.len(), 18);
}

#[test]
fn user_code_that_panics_during_comparison_is_recorded_as_a_truncation() {
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
        holder.save(accept).unwrap();
    });
    assert_eq!(change_lines(&records[0]), ["changed Holder 1 age 1 2"]);
    let cut = &records[0].truncated[0];
    assert_eq!((&*cut.path, &*cut.unit, cut.kept, cut.was), ("changes", "fields", 1, None));
}

#[test]
fn a_value_beyond_the_limits_is_truncated_and_marked() {
    #[audited_fields(text; key = id)]
    struct Page {
        id: u8,
        text: String,
    }
    let records = testing::capture(|| {
        let mut page = Tracked::loaded(Page { id: 1, text: "a".repeat(20_000) });
        page.text.push('b'); // beyond the recorded part of both values
        page.save(accept).unwrap();
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

#[test]
fn a_hash_map_is_compared_by_its_keys() {
    #[audited_fields(map; key = id)]
    struct Holder {
        id: u8,
        map: HashMap<u32, Vec<String>>,
    }
    let records = testing::capture(|| {
        let map = (0..50).map(|n| (n, vec![n.to_string()])).collect();
        let mut holder = Tracked::loaded(Holder { id: 1, map });
        holder.map.get_mut(&7).unwrap().push("more".into());
        holder.save(accept).unwrap();
    });
    assert_eq!(change_lines(&records[0]), [r#"changed Holder 1 map.7[1] - "more""#]);
}
