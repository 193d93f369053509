//! A tree is written as the value that it was made of is captured, except for `Some(null)`.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use audit_record::Json;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::ser::{Error as _, SerializeMap, SerializeSeq, SerializeTupleVariant};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::support::*;
use crate::capture::{Limits, Mask, Redacted, Rules, ValueWriter};
use crate::value::tree::TOO_DEEP;
use crate::value::{Tree, serialize};

#[track_caller]
fn assert_like_captured<T: ?Sized + Serialize>(value: &T) {
    let tree = of(value);
    let written = json(&tree.clone().without_some_marks());
    assert_eq!(written, captured(&unlimited(Mask::default()), value));
    assert_eq!(tree, of(value));
    assert_eq!(tree.clone().into_secret(), of(value).into_secret());
}

#[test]
fn every_value_is_written_as_it_is_captured() {
    assert_like_captured(&(i64::MIN, u64::MAX, i128::MIN, u128::MAX, i128::from(i64::MIN), 7_i128));
    assert_like_captured(&(1.0_f64, 0.1_f32, -2.5e-300_f64, -0.0_f64, 1e300_f64, f32::MAX));
    assert_like_captured(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    assert_like_captured(&("a\"b\n\u{1}é🦀", 'x', '"', format_args!("{}-{:?}", 1, "x")));
    assert_like_captured(&((), Unit, None::<u8>, Some(Some(true)), Newtype(Newtype(Some(3)))));
    assert_like_captured(&(
        Bytes(&[0, 255, 26]),
        Bytes(&[]),
        Vec::<u8>::new(),
        BTreeMap::<u8, u8>::new(),
    ));
    assert_like_captured(&[
        Figure::Empty,
        Figure::Circle(Some(2)),
        Figure::Circle(None),
        Figure::Pair(3, 4),
        Figure::Named { width: 1, password: "x" },
        Figure::Token("x"),
        Figure::Secret(1, 2),
        Figure::ResetPassword { user: 7 },
    ]);
    assert_like_captured(&(Redacted::new(5), secret(1), Some(secret(1))));
}

#[test]
fn json_in_values_is_written_as_it_is_captured() {
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
        assert_like_captured(&(&raw, Some(&raw)));
        assert_like_captured(&BTreeMap::from([("token", &raw), ("x", &raw)]));
        assert_like_captured(&Json::parse(text).expect("JSON").exactly());
    }
    let deep = format!("{}1{}", "[".repeat(101), "]".repeat(101));
    assert_like_captured(&RawValue::from_string(deep).expect("JSON"));
    let deeper = format!("{}1{}", "[".repeat(130), "]".repeat(130));
    assert_like_captured(&audit_record::private::json::JsonText {
        text: &deeper[3..257],
        number: None,
    });
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
    assert_like_captured(&Others);
    assert_like_captured(&BTreeMap::from([(Some("a"), 1), (None, 2)]));
    assert_like_captured(&BTreeMap::from([((1, "a"), 1)]));
    assert_like_captured(&BTreeMap::from([(true, 1)]));
    assert_like_captured(&BTreeMap::from([(u128::MAX, -7)]));
    assert_like_captured(&BTreeMap::from([('"', ["x"])]));
    assert_like_captured(&BTreeMap::from([
        (Figure::Empty, 1),
        (Figure::Pair(1, 2), 2),
        (Figure::Token("t"), 3),
    ]));
    assert_like_captured(&BTreeMap::from([(BTreeMap::from([(Some(1), ())]), 1)]));
}

#[test]
fn the_last_value_of_a_repeated_key_counts() {
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
fn a_value_that_cannot_be_serialised_is_replaced_by_the_reason() {
    assert_like_captured(&(1, Panics));
    assert_like_captured(&(1, Fails));
    assert_like_captured(&(HalfWay::Map, HalfWay::List, HalfWay::Variant, 1));
    assert_like_captured(&HalfWay::Map);
    assert_like_captured(&Some(HalfWay::Variant));
    let rest = Tree::NotRecorded("no way".into());
    assert_eq!(of(&HalfWay::List), Tree::List(vec![of(&1), rest]));
    assert_eq!(of(&Panics), Tree::NotRecorded("serialising it panicked".into()));
    assert_eq!(of(&[Some(Fails)]), Tree::List(vec![Tree::NotRecorded("no way".into())]));
    assert!(of(&Fails).hides_something());
    assert!(!crate::capture::in_progress());
    let unwound = catch_unwind(AssertUnwindSafe(|| of(&Panics)));
    assert!(unwound.is_ok());
}

/// Fails after its first part.
enum HalfWay {
    List,
    Map,
    Variant,
}

impl Serialize for HalfWay {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::List => s.serialize_seq(None)?.serialize_element(&1)?,
            Self::Map => s.serialize_map(None)?.serialize_entry("a", &1)?,
            Self::Variant => s.serialize_tuple_variant("", 0, "V", 2)?.serialize_field(&1)?,
        }
        Err(S::Error::custom("no way"))
    }
}

#[test]
fn an_endless_value_is_not_recorded() {
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
    let too_large = Tree::NotRecorded("it is too large to be compared".into());
    assert_eq!(Tree::of_limited(10_000, &Endless, &Mask::none()), too_large);
    let endless = [format_args!("{EndlessText}")];
    assert_eq!(Tree::of_limited(10_000, &endless, &Mask::none()), too_large);
    assert_eq!(Tree::of_limited(10_000, &"x".repeat(10_000), &Mask::none()), too_large);
    assert_eq!(
        Tree::of_limited(10_000, &BTreeMap::from([("token", Endless)]), &Mask::default()),
        too_large
    );
    assert!(too_large.hides_something());
}

#[test]
fn parts_that_are_too_deep_are_cut() {
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
    assert_like_captured(&deep(100));
    assert_like_captured(&deep(101));
    assert_like_captured(&deep(300));
    assert!(!of(&deep(100)).hides_something());
    assert!(of(&deep(101)).hides_something());
    let chain = (0..150).fold(Chain::End, |chain, _| Chain::Link(Box::new(chain)));
    assert_like_captured(&chain);
    let pairs = (0..70).fold(Chain::End, |chain, _| Chain::Pair(Box::new(chain), 1));
    assert_like_captured(&pairs);
    assert_like_captured(&Chain::Link(Box::new(pairs)));
    assert_eq!(of(&Hops(0)), Tree::Text(TOO_DEEP.into()));
    let keys = (0..3).fold(String::new(), |_, n| format!("{n}"));
    assert_like_captured(&BTreeMap::from([(keys, deep(101))]));
    // JSON text of other writers may be deeper.
    let text = format!("{}{}", "[".repeat(127), "]".repeat(127));
    assert_eq!(json(&Tree::from_json(&text)).len(), 100 * 2 + TOO_DEEP.len() + 2);
    let none = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert_eq!(Tree::from_json(&none), Tree::Text(none.into()));
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
        for rules in [unlimited(mask.clone()), unlimited(Mask::none()), Rules { limits, mask }] {
            let tree = Tree::of(&value, &rules.mask);
            let (mut cuts, mut text, mut others) = (Vec::new(), String::new(), Vec::new());
            let written = tree.to_json(&rules, "v", &mut cuts);
            ValueWriter::new(&mut text, &mut others, "v", &rules).serialize(&value);
            prop_assert_eq!(written.as_str(), text);
            prop_assert_eq!(cuts, others);
            prop_assert_eq!(&tree, &Tree::of(&value, &rules.mask));
        }
        let tree = Tree::of(&value, &Mask::none());
        prop_assert_eq!(Tree::from_json(&serialize::json(&tree)), tree);
    }
}
