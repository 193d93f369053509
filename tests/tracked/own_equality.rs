//! Parts of a value are compared by their own `==`, and sets as sets.

use std::collections::VecDeque;

use audited::CompareParts;
use chrono::{DateTime, FixedOffset};
use proptest::prelude::*;
use serde::{Deserialize, Serializer};

use super::*;

type Time = DateTime<FixedOffset>;

fn time(text: &str) -> Time {
    DateTime::parse_from_rfc3339(text).unwrap()
}

/// The same time twice, with two offsets.
fn at_eight() -> [Time; 2] {
    [time("2026-11-27T08:00:00Z"), time("2026-11-27T09:00:00+01:00")]
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// As `rust_decimal::serde::str` does.
fn as_text<S: Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[audited_fields(at, fee, room; key = room)]
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Slot {
    at: Time,
    #[serde(serialize_with = "as_text")]
    fee: Decimal,
    room: u8,
}

/// Before and after: equal, except for the room.
fn slots() -> [Slot; 2] {
    let [at, same] = at_eight();
    [Slot { at, fee: decimal("1.0"), room: 1 }, Slot { at: same, fee: decimal("1.00"), room: 2 }]
}

/// The recorded changes of a field of type `$ty` from `$before` to `$after`, without the type and
/// id of the object.
macro_rules! changes {
    ($ty:ty: $before:expr => $after:expr) => {{
        #[audited_fields(part; key = id)]
        struct Whole {
            id: u8,
            part: $ty,
        }
        let records = testing::capture(|| {
            let mut whole = Tracked::loaded(Whole { id: 1, part: $before });
            whole.part = $after;
            whole.save(accept).unwrap();
        });
        let lines: Vec<String> = records.iter().flat_map(change_lines).collect();
        let rows = lines.iter().map(|line| line.strip_prefix("changed Whole 1 part").unwrap());
        rows.map(str::to_owned).collect::<Vec<_>>()
    }};
}

#[test]
fn parts_of_a_nested_audited_type_are_compared_by_their_own_equality() {
    let [before, after] = slots();
    assert_eq!(changes!(Slot: before => after), [".room 1 2"]);
    let [before, mut after] = slots();
    after.room = 1;
    assert_eq!(changes!(Slot: before => after), [""; 0]);
    let [before, mut after] = slots();
    after.at = time("2026-11-27T09:00:00Z");
    assert_eq!(
        changes!(Slot: before => after),
        [r#".at "2026-11-27T08:00:00Z" "2026-11-27T09:00:00Z""#, ".room 1 2"]
    );
}

#[test]
fn parts_are_found_through_containers() {
    let [before, after] = slots();
    let pair = || (before.clone(), after.clone());
    let (b, a) = pair();
    assert_eq!(changes!(Option<Slot>: Some(b) => Some(a)), [".room 1 2"]);
    let (b, a) = pair();
    assert_eq!(changes!(Box<Rc<Slot>>: Box::new(b.into()) => Box::new(a.into())), [".room 1 2"]);
    let (b, a) = pair();
    assert_eq!(
        changes!((u8, Slot, Slot): (1, b.clone(), b) => (2, a.clone(), a)),
        ["[0] 1 2", "[1].room 1 2", "[2].room 1 2"]
    );
    let (b, a) = pair();
    assert_eq!(
        changes!(HashMap<String, Vec<Slot>>:
            HashMap::from([("x y".into(), vec![b.clone()])])
            => HashMap::from([("x y".into(), vec![a]), ("z".into(), vec![])])),
        [r#"["x y"][0].room 1 2"#, ".z - []"]
    );
    let (b, a) = pair();
    assert_eq!(
        changes!(BTreeMap<(u8, char), Slot>:
            BTreeMap::from([((1, 'a'), b)]) => BTreeMap::from([((1, 'a'), a)])),
        [r#"["[1,\"a\"]"].room 1 2"#]
    );
    let [at, same] = at_eight();
    assert_eq!(
        changes!([(Time, u8); 2]: [(at, 1), (at, 2)] => [(same, 1), (same, 3)]),
        ["[1][1] 2 3"]
    );
    assert_eq!(
        changes!(Result<(Time, u8), u8>: Ok((at, 1)) => Ok((same, 2))),
        [r#" {"Ok":["2026-11-27T08:00:00Z",1]} {"Ok":["2026-11-27T08:00:00Z",2]}"#]
    );
    // A type of another crate, without `CompareParts`.
    assert_eq!(changes!(Option<Decimal>: Some(decimal("1.0")) => Some(decimal("1.00"))), [""; 0]);
    assert_eq!(
        changes!(Vec<Decimal>: vec![decimal("1.0"), decimal("2")] => vec![decimal("1.00")]),
        [r#"[1] "2" -"#]
    );
}

#[test]
fn elements_of_a_list_are_found_again_by_their_own_equality() {
    let [before, mut equal] = slots();
    equal.room = 1;
    let other = Slot { room: 9, fee: decimal("7"), ..before.clone() };
    let text = r#"{"at":"2026-11-27T08:00:00Z","fee":"7","room":9}"#;
    assert_eq!(
        changes!(Vec<Slot>:
            vec![before.clone(), before.clone()]
            => vec![other.clone(), equal.clone(), equal.clone()]),
        [format!("[0] - {text}")]
    );
    assert_eq!(
        changes!(VecDeque<Slot>:
            VecDeque::from([other.clone(), before.clone(), other.clone(), before.clone()])
            => VecDeque::from([equal.clone(), equal.clone()])),
        [format!("[2] {text} -"), format!("[0] {text} -")]
    );
    let changed = Slot { room: 4, ..equal.clone() };
    assert_eq!(
        changes!(Vec<Slot>:
            vec![before.clone(), before.clone(), other.clone()]
            => vec![equal.clone(), changed, other.clone(), equal.clone()]),
        ["[1].room 1 4", r#"[3] - {"at":"2026-11-27T09:00:00+01:00","fee":"1.00","room":1}"#,]
    );
}

#[derive(Clone, Debug, PartialEq, Serialize, CompareParts)]
#[serde(rename_all = "camelCase")]
struct Named {
    starts_at: Time,
    #[serde(rename = "last-time", skip_serializing_if = "Option::is_none")]
    ends_at: Option<Time>,
    #[serde(skip)]
    cache: u8,
    #[serde(flatten)]
    inner: Inner,
    #[serde(serialize_with = "as_pair")]
    pair: (Time, u8),
    r#type: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, CompareParts)]
#[serde(rename_all(serialize = "SCREAMING-KEBAB-CASE"))]
struct Inner {
    inner_at: Time,
    room_number: u8,
}

fn as_pair<S: Serializer>(pair: &(Time, u8), serializer: S) -> Result<S::Ok, S::Error> {
    // Another order than that of the type.
    (pair.1, pair.0).serialize(serializer)
}

#[test]
fn serde_attributes_are_followed() {
    let [at, same] = at_eight();
    let named = |at, n| Named {
        starts_at: at,
        ends_at: Some(at),
        cache: n,
        inner: Inner { inner_at: at, room_number: n },
        pair: (at, 5),
        r#type: n,
    };
    assert_eq!(changes!(Named: named(at, 1) => named(same, 2)), [".ROOM-NUMBER 1 2", ".type 1 2"]);
    let changed = Named { ends_at: None, pair: (same, 6), ..named(same, 1) };
    assert_eq!(
        changes!(Named: named(at, 1) => changed),
        [
            r#".last-time "2026-11-27T08:00:00Z" -"#,
            ".pair[0] 5 6",
            // A field with a function of its own is compared as a whole.
            r#".pair[1] "2026-11-27T08:00:00Z" "2026-11-27T09:00:00+01:00""#,
        ]
    );
}

#[test]
fn enums_of_every_form_are_compared_part_by_part() {
    macro_rules! event {
        ($name:ident $(, $serde:meta)*) => {
            #[derive(Clone, PartialEq, Serialize, CompareParts)]
            $(#[$serde])*
            enum $name {
                Moved { at: Time, room: u8 },
                #[allow(dead_code)]
                Closed,
            }
        };
    }
    event!(External);
    event!(Internal, serde(tag = "kind"));
    event!(Adjacent, serde(tag = "kind", content = "data"));
    event!(Untagged, serde(untagged));
    event!(Renamed, serde(rename_all = "lowercase", rename_all_fields = "UPPERCASE"));
    let [at, same] = at_eight();
    macro_rules! moved {
        ($name:ident) => {
            changes!($name: $name::Moved { at, room: 1 } => $name::Moved { at: same, room: 2 })
        };
    }
    let whole = |key: &str, at: &str, room: &str| {
        let event =
            |n: u8| format!(r#"{{"{key}":{{"{at}":"2026-11-27T08:00:00Z","{room}":{n}}}}}"#);
        vec![format!(" {} {}", event(1), event(2))]
    };
    assert_eq!(moved!(External), whole("Moved", "at", "room"));
    assert_eq!(moved!(Internal), [".room 1 2"]);
    assert_eq!(moved!(Adjacent), [".data.room 1 2"]);
    assert_eq!(moved!(Untagged), [".room 1 2"]);
    assert_eq!(moved!(Renamed), whole("moved", "AT", "ROOM"));

    #[derive(Clone, PartialEq, Serialize, CompareParts)]
    enum Single {
        Only(#[serde(skip)] u8, Time, (u8, Time)),
    }
    assert_eq!(
        changes!(Single:
            Single::Only(1, at, (1, at)) => Single::Only(2, same, (2, same))),
        [concat!(
            r#" {"Only":["2026-11-27T08:00:00Z",[1,"2026-11-27T08:00:00Z"]]}"#,
            r#" {"Only":["2026-11-27T08:00:00Z",[2,"2026-11-27T08:00:00Z"]]}"#
        )]
    );
}

/// Equal if the letters are, in upper or lower case.
#[derive(Clone, Debug, Serialize, Deserialize, CompareParts)]
struct Code(String);

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Code {}

impl std::hash::Hash for Code {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_ascii_lowercase().hash(state);
    }
}

#[test]
fn whatever_the_equality_of_a_part_says_decides() {
    #[derive(Clone, PartialEq, Serialize, CompareParts)]
    struct Sample<T> {
        code: Code,
        float: f64,
        text: T,
        n: u8,
    }
    fn sample<T>(code: &str, float: f64, text: T, n: u8) -> Sample<T> {
        Sample { code: Code(code.into()), float, text, n }
    }
    assert_eq!(
        changes!(Sample<Code>:
            sample("ab", 0.0, Code("x".into()), 1) => sample("AB", -0.0, Code("X".into()), 2)),
        [".n 1 2"]
    );
    // NaN is not equal to itself, but it is recorded in the same way.
    assert_eq!(
        changes!(Sample<u8>: sample("ab", f64::NAN, 1, 1) => sample("AB", f64::NAN, 1, 2)),
        [".n 1 2"]
    );
    assert_eq!(
        changes!(Sample<u8>: sample("ab", 0.0, 1, 1) => sample("cd", 1.0, 1, 1)),
        [r#".code "ab" "cd""#, ".float 0.0 1.0"]
    );
    // Without `CompareParts` and without `PartialEq`, the recorded form decides.
    #[derive(Clone, Serialize, CompareParts)]
    struct NoEquality {
        code: Code,
        other: Uncomparable,
    }
    #[derive(Clone, Serialize)]
    struct Uncomparable(Code);
    let value =
        |text: &str| NoEquality { code: Code(text.into()), other: Uncomparable(Code(text.into())) };
    assert_eq!(changes!(NoEquality: value("a") => value("A")), [r#".other "a" "A""#]);
}

/// The recorded changes of a set in a list, of which another part has changed.
macro_rules! set_changes {
    ($ty:ty) => {{
        let set = |elements: std::ops::Range<u8>| <$ty>::from(elements.collect::<HashSet<u8>>());
        let same = changes!((u8, $ty): (1, set(0..50)) => (2, set(0..50)));
        let other = changes!((u8, $ty): (1, set(0..50)) => (2, set(1..51)));
        assert_eq!(same, ["[0] 1 2"]);
        assert_eq!(other, ["[0] 1 2", "[1][] 0 -", "[1][] - 50"]);
    }};
}

macro_rules! set_type {
    ($name:ident, $(#[$field:meta])* $inner:ty) => {
        #[derive(Clone, PartialEq, Serialize)]
        #[serde(transparent)]
        struct $name($(#[$field])* $inner);

        impl From<HashSet<u8>> for $name {
            fn from(set: HashSet<u8>) -> Self {
                Self(set.into_iter().collect())
            }
        }
    };
}

#[test]
fn equal_sets_are_no_change_however_they_are_serialised() {
    set_type!(Transparent, HashSet<u8>);
    set_type!(Iterated, #[serde(serialize_with = "by_iterator")] HashSet<u8>);
    set_type!(Mapped, #[serde(serialize_with = "by_adapter")] HashSet<u8>);
    set_type!(Btree, #[serde(serialize_with = "by_iterator")] BTreeSet<u8>);

    fn by_iterator<S: Serializer, T>(set: &T, serializer: S) -> Result<S::Ok, S::Error>
    where
        for<'s> &'s T: IntoIterator<Item = &'s u8>,
    {
        serializer.collect_seq(set)
    }
    fn by_adapter<S: Serializer>(set: &HashSet<u8>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(set.iter().map(|n| u16::from(*n)).filter(|n| *n < 100))
    }
    set_changes!(Transparent);
    set_changes!(Iterated);
    set_changes!(Mapped);
    set_changes!(Btree);

    // One element after the other: nothing tells it from a list, except the types.
    #[derive(Clone, PartialEq, Serialize, CompareParts)]
    struct ByType {
        #[serde(serialize_with = "by_loop")]
        set: HashSet<u8>,
        n: u8,
    }
    #[derive(Clone, PartialEq, Serialize, CompareParts)]
    struct Declared {
        #[compare(set)]
        set: Vec<u8>,
        n: u8,
    }
    fn by_loop<S: Serializer>(set: &HashSet<u8>, serializer: S) -> Result<S::Ok, S::Error> {
        set.iter().collect::<Vec<_>>().serialize(serializer)
    }
    let value = |n, set: std::ops::Range<u8>| ByType { set: set.collect(), n };
    assert_eq!(changes!(ByType: value(1, 0..50) => value(2, 0..50)), [".n 1 2"]);
    assert_eq!(changes!(ByType: value(1, 0..50) => value(1, 1..51)), [".set[] 0 -", ".set[] - 50"]);
    let value = |n, set: &[u8]| Declared { set: set.to_vec(), n };
    assert_eq!(changes!(Declared: value(1, &[1, 2, 3]) => value(2, &[3, 1, 2])), [".n 1 2"]);
    assert_eq!(
        changes!(Declared: value(1, &[1, 2, 3]) => value(1, &[3, 1, 4])),
        [".set[] 2 -", ".set[] - 4"]
    );
    // The order of a list is never ignored.
    assert_eq!(
        changes!((u8, Vec<u8>): (1, vec![1, 2]) => (1, vec![2, 1])),
        ["[1][0] 1 -", "[1][1] - 1"]
    );
}

#[test]
fn values_of_a_hash_map_in_a_list_have_no_order() {
    #[derive(Clone, PartialEq, Serialize)]
    struct People {
        #[serde(serialize_with = "values_only")]
        by_name: HashMap<String, u8>,
        n: u8,
    }
    fn values_only<S: Serializer>(
        map: &HashMap<String, u8>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map.values())
    }
    let people = |n| People { by_name: (0..50).map(|n| (n.to_string(), n)).collect(), n };
    assert_eq!(changes!(People: people(1) => people(2)), [".n 1 2"]);
}

#[audited_fields(all)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Codes {
    id: u8,
    list: Vec<(Code, Vec<Code>)>,
    map: BTreeMap<u8, Option<(Code, Group)>>,
    set: Option<Group>,
    tags: (HashSet<Code>, u8),
    name: Code,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CompareParts)]
struct Group {
    #[serde(serialize_with = "in_any_order")]
    members: HashSet<u8>,
    leader: Code,
}

fn in_any_order<S: Serializer>(set: &HashSet<u8>, serializer: S) -> Result<S::Ok, S::Error> {
    set.iter().collect::<Vec<_>>().serialize(serializer)
}

fn any_code() -> impl Strategy<Value = Code> + Clone {
    "[a-bA-B]".prop_map(Code)
}

fn any_codes() -> impl Strategy<Value = Codes> {
    let list = prop::collection::vec((any_code(), prop::collection::vec(any_code(), 0..3)), 0..6);
    let group = (prop::collection::hash_set(0_u8..9, 0..9), any_code())
        .prop_map(|(members, leader)| Group { members, leader });
    let value = prop::option::of((any_code(), group.clone()));
    let map = prop::collection::btree_map(0_u8..4, value, 0..4);
    let tags = (prop::collection::hash_set(any_code(), 0..3), 0_u8..2);
    (list, map, prop::option::of(group), tags, any_code())
        .prop_map(|(list, map, set, tags, name)| Codes { id: 1, list, map, set, tags, name })
}

proptest! {
    /// Equal values leave no rows, and the rows of a change lead to a value that is equal.
    #[test]
    fn the_rows_lead_to_a_value_that_is_equal(states in prop::collection::vec(any_codes(), 2..6)) {
        let mut expected = Vec::new();
        let records = testing::capture(|| {
            let mut object = Tracked::new(states[0].clone());
            for state in &states {
                if !expected.is_empty() && *object == *state {
                    assert!(object.changes().is_empty());
                }
                let is_new = expected.last() != Some(state);
                *object = state.clone();
                object.save(accept).unwrap();
                if is_new {
                    expected.push(state.clone());
                }
            }
        });
        prop_assert_eq!(records.len(), expected.len());
        let history = testing::history::<Codes>(&records, 1);
        for (record, expected) in records.iter().zip(&expected) {
            let state = history.as_of(record.changes[0].changed_at).unwrap().unwrap();
            prop_assert!(state.uncertain().is_empty(), "{:?}", state);
            prop_assert_eq!(&state.to::<Codes>().unwrap(), expected);
        }
    }
}
