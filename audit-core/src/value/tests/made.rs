//! Making trees, writing them, and when they are equal.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use secrecy::zeroize::Zeroize;
use secrecy::{SecretBox, SecretString, SerializableSecret};
use serde::Serializer;
use serde::ser::{Error as _, SerializeMap};
use serde_json::value::RawValue;

use super::*;
use crate::capture::Redacted;
use crate::value::tree::{Form, TOO_DEEP};

#[track_caller]
fn as_captured<T: ?Sized + Serialize>(value: &T) {
    let tree = of(value);
    assert_eq!(json(&tree), captured(&all(Mask::default()), value));
    assert_eq!(tree, of(value));
    assert_eq!(tree.clone().into_secret(), of(value).into_secret());
}

#[derive(Serialize)]
struct Unit;
#[derive(Serialize)]
struct Newtype<T>(T);
#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Shape {
    Empty,
    Circle(Option<u32>),
    Pair(u8, u8),
    Named { width: u8, password: &'static str },
    Token(&'static str),
    Secret(u8, u8),
    ResetPassword { user: u8 },
}

#[derive(Serialize)]
struct Pin(u64);

impl Zeroize for Pin {
    fn zeroize(&mut self) {
        self.0 = 0;
    }
}

impl SerializableSecret for Pin {}

fn secret(pin: u64) -> SecretBox<Pin> {
    SecretBox::new(Box::new(Pin(pin)))
}

struct Bytes(&'static [u8]);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(self.0)
    }
}

#[test]
fn every_value_is_written_as_it_is_captured() {
    as_captured(&(i64::MIN, u64::MAX, i128::MIN, u128::MAX, i128::from(i64::MIN), 7_i128));
    as_captured(&(1.0_f64, 0.1_f32, -2.5e-300_f64, -0.0_f64, 1e300_f64, f32::MAX));
    as_captured(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    as_captured(&("a\"b\n\u{1}é🦀", 'x', '"', format_args!("{}-{:?}", 1, "x")));
    as_captured(&((), Unit, None::<u8>, Some(Some(true)), Newtype(Newtype(Some(3)))));
    as_captured(&(Bytes(&[0, 255, 26]), Bytes(&[]), Vec::<u8>::new(), BTreeMap::<u8, u8>::new()));
    as_captured(&[
        Shape::Empty,
        Shape::Circle(Some(2)),
        Shape::Circle(None),
        Shape::Pair(3, 4),
        Shape::Named { width: 1, password: "x" },
        Shape::Token("x"),
        Shape::Secret(1, 2),
        Shape::ResetPassword { user: 7 },
    ]);
    as_captured(&(Redacted::new(5), secret(1), Some(secret(1))));
}

#[test]
fn json_in_other_hands_is_written_as_it_is_captured() {
    for text in [
        "1.50",
        "-0",
        "1e400",
        "[1, 2.0 ,{\"password\":[1],\"b\":\"\\u00e9\"}]",
        "null",
        "\"x\"",
        "18446744073709551616",
        "{}",
        "\"\\ud800\"",
    ] {
        let raw = RawValue::from_string(text.to_owned()).expect("JSON");
        as_captured(&(&raw, Some(&raw)));
        as_captured(&BTreeMap::from([("token", &raw), ("x", &raw)]));
        as_captured(&Json::parse(text).expect("JSON").exactly());
    }
    let deep = format!("{}1{}", "[".repeat(101), "]".repeat(101));
    as_captured(&RawValue::from_string(deep).expect("JSON"));
    let deeper = format!("{}1{}", "[".repeat(130), "]".repeat(130));
    as_captured(&audit_record::private::json::JsonText { text: &deeper[3..257], number: None });
}

#[test]
fn keys_are_written_as_they_are_captured() {
    struct Others;
    impl Serialize for Others {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            let mut map = s.serialize_map(None)?;
            map.serialize_entry(&1.5_f64, &1)?;
            map.serialize_entry(&f32::NAN, &2)?;
            map.serialize_entry(&format_args!("a{}", '\n'), &3)?;
            map.serialize_entry(&Bytes(&[1]), &4)?;
            map.serialize_entry(&RawValue::from_string("\"q\"".into()).expect("JSON"), &5)?;
            map.serialize_entry(&secret(1), &6)?;
            map.serialize_entry(&Unit, &7)?;
            map.serialize_entry(&HashMap::from([(Some("password"), Some("x"))]), &8)?;
            map.serialize_entry(&[f64::NAN, 0.5], &9)?;
            map.end()
        }
    }
    as_captured(&Others);
    as_captured(&BTreeMap::from([(Some("a"), 1), (None, 2)]));
    as_captured(&BTreeMap::from([((1, "a"), 1)]));
    as_captured(&BTreeMap::from([(true, 1)]));
    as_captured(&BTreeMap::from([(u128::MAX, -7)]));
    as_captured(&BTreeMap::from([('"', ["x"])]));
    as_captured(&BTreeMap::from([
        (Shape::Empty, 1),
        (Shape::Pair(1, 2), 2),
        (Shape::Token("t"), 3),
    ]));
    as_captured(&BTreeMap::from([(BTreeMap::from([(Some(1), ())]), 1)]));
}

#[test]
fn of_one_key_the_last_value_counts() {
    struct Twice(u32);
    impl Serialize for Twice {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            let mut map = s.serialize_map(None)?;
            for n in 0..self.0 {
                map.serialize_entry(&format!("k{}", n % (self.0 / 2)), &n)?;
            }
            map.end()
        }
    }
    assert_eq!(json(&of(&Twice(4))), r#"{"k0":2,"k1":3}"#);
    let Tree::Map(entries) = of(&Twice(40)) else { panic!("a map") };
    assert_eq!((entries.len(), &entries[19].1), (20, &Tree::Unsigned(39)));
    assert_eq!(Tree::from_json(r#"{"a":1,"b":2,"a":3}"#), map([("a", of(&3)), ("b", of(&2))]));
}

#[test]
fn sets_are_known_wherever_they_are() {
    #[derive(Serialize)]
    struct Team {
        members: HashSet<&'static str>,
        boxed: Option<std::rc::Rc<BTreeSet<u8>>>,
        groups: HashMap<&'static str, HashSet<u8>>,
        rounds: Vec<Newtype<HashSet<u8>>>,
        list: Vec<u8>,
    }
    let team = |list: Vec<u8>| Team {
        members: HashSet::from(["c", "a", "b"]),
        boxed: Some(BTreeSet::from([9, 10]).into()),
        groups: HashMap::from([("x", HashSet::from([3, 1, 20]))]),
        rounds: vec![Newtype(HashSet::from([5, 4]))],
        list,
    };
    assert_eq!(
        json(&of(&team(vec![2, 1]))),
        concat!(
            r#"{"members":["a","b","c"],"boxed":[9,10],"groups":{"x":[1,3,20]},"#,
            r#""rounds":[[4,5]],"list":[2,1]}"#
        )
    );
    assert_eq!(of(&team(vec![2, 1])), of(&team(vec![2, 1])));
    assert_ne!(of(&team(vec![2, 1])), of(&team(vec![1, 2])));
    assert_eq!(of(&HashSet::from([1, 2])), of(&[2, 1]).into_set());
    assert_ne!(of(&[1, 1, 2]).into_set(), of(&[1, 2, 2]).into_set());
    assert_ne!(of(&[1, 2]).into_set(), of(&[1, 2]));
    assert_eq!(of(&"x").into_set(), of(&"x"));
}

#[test]
fn decimals_are_equal_if_their_values_are() {
    let decimal = |text: &str| of(text).into_decimal();
    assert_eq!(decimal("1.0"), decimal("1.00"));
    assert_eq!(decimal("1.0").into_secret(), decimal("1.00").into_secret());
    assert_eq!(json(&decimal("101.670")), r#""101.670""#);
    assert_ne!(decimal("1.0"), decimal("1.01"));
    assert_eq!(decimal("none"), of("none"));
    assert_eq!(json(&of(&0.25).into_decimal()), "0.25");
    assert_eq!(of(&5).into_decimal(), of(&5));
    let set = Tree::List(["10", "9.0", "-1"].map(decimal).to_vec()).into_set();
    assert_eq!(json(&set), r#"["-1","9.0","10"]"#);
    assert_eq!(set, Tree::List(["9", "-1.0", "1e1"].map(decimal).to_vec()).into_set());
}

#[test]
fn what_looks_the_same_is_equal() {
    assert_eq!(of(&f64::NAN), of(&f64::NAN));
    assert_ne!(of(&f64::NAN), of(&f64::INFINITY));
    assert_ne!(of(&1), of(&"1"));
    assert_ne!(of(&Shape::Pair(1, 2)), of(&Shape::Secret(1, 2)));
    let one = map([("a", of(&1)), ("b", of(&2))]);
    assert_eq!(one, map([("b", of(&2)), ("a", of(&1))]));
    assert_eq!(one.clone().into_secret(), map([("b", of(&2)), ("a", of(&1))]).into_secret());
    assert_ne!(one, map([("b", of(&1)), ("a", of(&2))]));
    assert_ne!(one, map([("b", of(&2))]));
}

#[test]
fn of_a_secret_only_whether_it_changed_is_kept() {
    #[derive(Serialize)]
    struct Login {
        user: &'static str,
        password: Vec<&'static str>,
        pin: SecretBox<Pin>,
    }
    let login =
        |password, pin| of(&Login { user: "al", password: vec![password], pin: secret(pin) });
    let tree = login("hunter2", 4_711);
    let shown = json(&tree);
    assert_eq!(shown, r#"{"user":"al","password":"[redacted]","pin":"[redacted]"}"#);
    let debug = format!("{tree:?}");
    assert!(!debug.contains("hunter") && !debug.contains("4711"), "{debug}");
    assert_eq!(tree, login("hunter2", 4_711));
    assert_ne!(tree, login("hunter3", 4_711));
    assert_ne!(tree, login("hunter2", 4_712));
    assert!(tree.hides_something());
    assert!(of(&[Redacted::new(1)]).hides_something());
    assert!(of(&Shape::Token("a")).hides_something());
    assert_ne!(of(&Shape::Token("a")), of(&Shape::Token("b")));
    assert_ne!(of(&Shape::Secret(1, 1)), of(&Shape::Secret(1, 2)));
    assert!(!of(&Shape::Pair(1, 2)).hides_something());
}

#[test]
fn a_secret_that_fails_stays_one() {
    #[derive(Serialize)]
    struct Holder<T> {
        a: u8,
        secret: T,
    }
    assert_eq!(json(&of(&Holder { a: 1, secret: Panics })), r#"{"a":1,"secret":"[redacted]"}"#);
    assert_eq!(json(&of(&Holder { a: 1, secret: Fails })), r#"{"a":1,"secret":"[redacted]"}"#);
}

struct Panics;

impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("in Serialize")
    }
}

struct Fails;

impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("no\nway"))
    }
}

#[test]
fn a_value_that_fails_says_so() {
    as_captured(&(1, Panics));
    as_captured(&(1, Fails));
    assert_eq!(of(&Panics), Tree::Text("[not recorded: serialising it panicked]".into()));
    assert_eq!(of(&[Some(Fails)]), Tree::Text("[not recorded: no way]".into()));
    assert!(of(&Fails).hides_something());
    assert!(!crate::capture::in_progress());
    let unwound = catch_unwind(AssertUnwindSafe(|| of(&Panics)));
    assert!(unwound.is_ok());
}

#[test]
fn a_value_without_end_ends() {
    struct Endless;
    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            s.collect_seq(std::iter::repeat("x"))
        }
    }
    struct EndlessText;
    impl std::fmt::Display for EndlessText {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            loop {
                f.write_str("and so on ")?;
            }
        }
    }
    let too_large = Tree::Text("[not recorded: it is too large to be compared]".into());
    assert_eq!(Tree::within(10_000, &Endless, &Mask::none()), too_large);
    let endless = [format_args!("{EndlessText}")];
    assert_eq!(Tree::within(10_000, &endless, &Mask::none()), too_large);
    assert_eq!(Tree::within(10_000, &"x".repeat(10_000), &Mask::none()), too_large);
    assert_eq!(
        Tree::within(10_000, &BTreeMap::from([("token", Endless)]), &Mask::default()),
        too_large
    );
    assert!(too_large.hides_something());
}

#[test]
fn what_is_too_deep_is_cut() {
    #[derive(Serialize)]
    struct Deep(Option<Box<Node>>);
    #[derive(Serialize)]
    struct Node {
        next: Deep,
    }
    #[derive(Serialize)]
    enum Chain {
        Link(Box<Chain>),
        Pair(Box<Chain>, u8),
        End,
    }
    struct Hops(u32);
    impl Serialize for Hops {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            s.serialize_some(&Hops(self.0 + 1))
        }
    }
    let deep =
        |levels: usize| (0..levels).fold(Deep(None), |next, _| Deep(Some(Box::new(Node { next }))));
    as_captured(&deep(100));
    as_captured(&deep(101));
    as_captured(&deep(300));
    assert!(!of(&deep(100)).hides_something());
    assert!(of(&deep(101)).hides_something());
    let chain = (0..150).fold(Chain::End, |chain, _| Chain::Link(Box::new(chain)));
    as_captured(&chain);
    let pairs = (0..70).fold(Chain::End, |chain, _| Chain::Pair(Box::new(chain), 1));
    as_captured(&pairs);
    as_captured(&Chain::Link(Box::new(pairs)));
    assert_eq!(of(&Hops(0)), Tree::Text(TOO_DEEP.into()));
    let keys = (0..3).fold(String::new(), |_, n| format!("{n}"));
    as_captured(&BTreeMap::from([(keys, deep(101))]));
    // Read by others, it may be deeper.
    let text = format!("{}{}", "[".repeat(127), "]".repeat(127));
    assert_eq!(json(&Tree::from_json(&text)).len(), 100 * 2 + TOO_DEEP.len() + 2);
    let none = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert_eq!(Tree::from_json(&none), Tree::Text(none.into()));
}

#[test]
fn debug_texts_hide_names_and_still_show_that_they_changed() {
    #[derive(Debug)]
    #[allow(dead_code)] // Read by `Debug`.
    struct Login {
        user: &'static str,
        password: &'static str,
    }
    let tree = |password| Tree::of_debug(&Login { user: "al", password }, &Mask::default());
    assert_eq!(json(&tree("x")), r#""Login { user: \"al\", password: [redacted] }""#);
    assert_eq!(tree("x"), tree("x"));
    assert_ne!(tree("x"), tree("y"));
    assert!(tree("x").hides_something());
    assert_eq!(Tree::of_debug(&(1..3), &Mask::default()), Tree::Text("1..3".into()));
    assert!(matches!(Tree::of_debug(&SecretString::from("x"), &Mask::default()), Tree::Secret(_)));
}

#[test]
fn a_wider_mask_hides_later() {
    let value = (
        BTreeMap::from([("iban", vec!["DE02"]), ("n", vec!["x"])]),
        Shape::Pair(1, 2),
        BTreeSet::from([BTreeMap::from([("n", BTreeMap::from([("iban", 1)]))])]),
    );
    let mask = Mask::none().name("iban").name("pair");
    let wider = Tree::of(&value, &mask);
    let later = Tree::of(&value, &Mask::none()).masked(&mask);
    assert_eq!(later, wider);
    assert_eq!(
        json(&later),
        concat!(
            r#"[{"iban":"[redacted]","n":["x"]},{"Pair":"[redacted]"},"#,
            r#"[{"n":{"iban":"[redacted]"}}]]"#
        )
    );
    // What is written passes a mask in any case.
    assert_eq!(
        Tree::of(&value, &Mask::none()).to_json(&all(mask), "v", &mut Vec::new()).as_str(),
        json(&later)
    );
}

#[test]
fn limits_hold_where_it_is_written() {
    let rules = Rules { limits: Limits::default().length(2), mask: Mask::none() };
    let mut cuts = Vec::new();
    let written = map([("a", of(&[1, 2, 3]))]).to_json(&rules, "changes.x", &mut cuts);
    assert_eq!(written.as_str(), r#"{"a":[1,2,"… [cut: 1 more elements]"]}"#);
    assert_eq!(cuts[0].path, "changes.x.a");
}

#[test]
fn any_serializer_takes_it() {
    let tree = map([("a", of(&(1.5, -2, u64::MAX, "x", ()))), ("b", of(&Shape::Pair(1, 2)))]);
    assert_eq!(
        serde_json::to_string(&tree).expect("serializable"),
        r#"{"a":[1.5,-2,18446744073709551615,"x",null],"b":{"Pair":[1,2]}}"#
    );
}

#[test]
fn json_text_is_read_as_it_was_written() {
    let text = r#"{"a":[1,-2,1.50,-0,1e3,18446744073709551616,true,null,"x\n"],"":{}}"#;
    assert_eq!(json(&Tree::from_json(text)), text);
    for text in ["", "[1", "[1,]", "{\"a\":}", "1 2", "{\"a\":1]", "nul", "[}", "]", "{1:2}"] {
        assert_eq!(Tree::from_json(text), Tree::Text(text.into()));
    }
    assert!(matches!(of(&Shape::Circle(None)), Tree::Variant("Circle", Form::Newtype, _)));
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Into::into),
            btree_map(any_key(), inner, 0..8)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_tree_is_written_as_the_value_is_captured(
        value in any_value(),
        bytes in 0_usize..4_000,
        depth in 0_usize..8,
        length in 0_usize..10,
    ) {
        let mask = Mask::default().name("a");
        let limits = Limits::default().bytes(bytes).depth(depth).length(length);
        for rules in [all(mask.clone()), all(Mask::none()), Rules { limits, mask }] {
            let tree = Tree::of(&value, &rules.mask);
            let (mut cuts, mut text, mut others) = (Vec::new(), String::new(), Vec::new());
            let written = tree.to_json(&rules, "v", &mut cuts);
            write_serialize(&mut text, &mut others, "v", &rules, &value);
            prop_assert_eq!(written.as_str(), text);
            prop_assert_eq!(cuts, others);
            prop_assert_eq!(&tree, &Tree::of(&value, &rules.mask));
        }
        let tree = Tree::of(&value, &Mask::none());
        prop_assert_eq!(Tree::from_json(&super::super::write::json(&tree)), tree);
    }

    #[test]
    fn equality_order_and_hash_agree(a in any_tree(), b in any_tree(), c in any_tree()) {
        for (a, b) in [(&a, &b), (&b, &c), (&a, &a.clone())] {
            prop_assert_eq!(a == b, a.order(b).is_eq());
            prop_assert_eq!(a == b, a.clone().into_secret() == b.clone().into_secret()
                && matches!(a, Tree::Secret(_)) == matches!(b, Tree::Secret(_)));
            prop_assert_eq!(a.order(b), b.order(a).reverse());
        }
        let mut sorted = [&a, &b, &c];
        sorted.sort_by(|a, b| a.order(b));
        prop_assert!(sorted[0].order(sorted[2]).is_le());
    }
}
