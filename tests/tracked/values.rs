//! Values of every kind: what is told of a change in them.

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
