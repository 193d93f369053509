//! Which values are read from JSON text, and the messages of errors.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;

use audit_core::capture::{Limits, Mask, Rules, ValueWriter};
use proptest::prelude::*;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::from_text;

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    from_text(text).map_err(|error| error.to_string())
}

#[track_caller]
fn reads<T: DeserializeOwned + PartialEq + Debug>(text: &str, expected: T) {
    assert_eq!(parse::<T>(text), Ok(expected), "{text}");
}

#[track_caller]
fn fails<T: DeserializeOwned + PartialEq + Debug>(text: &str, expected: &str) {
    assert_eq!(parse::<T>(text), Err(expected.to_owned()), "{text}");
}

/// Checks that a captured value is read back unchanged.
#[track_caller]
fn round_trips<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let limits = Limits::default().bytes(usize::MAX).length(usize::MAX).depth(usize::MAX);
    let rules = Rules { limits, mask: Mask::none() };
    let mut text = String::new();
    ValueWriter::new(&mut text, &mut Vec::new(), "", &rules).serialize(value);
    assert_eq!(parse::<T>(&text).as_ref(), Ok(value), "{text}");
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
enum Shape {
    Empty,
    Circle(Option<u32>),
    Pair(i8, f32),
    Named { width: u8, label: String },
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(tag = "kind")]
enum Tagged {
    One { n: u64 },
    Two(HashMap<String, i16>),
    Three,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Float(f64),
    Text(String),
    List(Vec<Untagged>),
    Map { a: Option<Box<Untagged>> },
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
struct Rest {
    b: bool,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
struct Unit;
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Id(u64);

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
struct All {
    shapes: Vec<Shape>,
    tagged: Tagged,
    untagged: Untagged,
    rest: Rest,
    unit: Unit,
    pair: (char, [u8; 2], ()),
    ids: BTreeMap<Id, HashSet<String>>,
    #[serde(default)]
    absent: Option<u8>,
}

/// Bytes as `serde_bytes` serialises them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl<'de> Visitor<'de> for BytesVisitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(Bytes(bytes))
            }
        }
        d.deserialize_bytes(BytesVisitor)
    }
}

/// Deserialises like decimal types: from a text or a number.
#[derive(Debug, PartialEq)]
struct Decimal(String);

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct DecimalVisitor;
        impl Visitor<'_> for DecimalVisitor {
            type Value = Decimal;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a decimal")
            }
            fn visit_str<E>(self, text: &str) -> Result<Decimal, E> {
                Ok(Decimal(text.to_owned()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Decimal, E> {
                Ok(Decimal(number.to_string()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Decimal, E> {
                Ok(Decimal(number.to_string()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Decimal, E> {
                Ok(Decimal(number.to_string()))
            }
        }
        d.deserialize_any(DecimalVisitor)
    }
}

#[test]
fn numbers_are_exact() {
    reads("18446744073709551615", u64::MAX);
    reads("-9223372036854775808", i64::MIN);
    reads("170141183460469231731687303715884105727", i128::MAX);
    reads("340282366920938463463374607431768211455", u128::MAX);
    reads("-5", -5_i128);
    reads("0.1", 0.1_f64);
    reads("0.1", 0.1_f32);
    reads("123456789.123456789e-5", 1_234.567_891_234_568_f64);
    reads("1", 1.0_f64);
    reads("16777217", 16_777_216.0_f32);
    reads("18446744073709551616", 18_446_744_073_709_551_616.0_f64);
    assert!(parse::<f64>("-0").is_ok_and(f64::is_sign_negative));
    reads("1e2", serde_json::json!(100.0));
    fails::<f64>("1e999", "number out of range: 1e999");
    fails::<u8>("256", "invalid value: integer `256`, expected u8");
    fails::<u64>("-1", "invalid value: integer `-1`, expected u64");
    fails::<i64>("1.0", "invalid type: floating point `1.0`, expected i64");
    fails::<u128>("-1", "invalid value: integer `-1`, expected u128");
}

#[test]
fn values_that_json_has_no_form_for_are_read_back() {
    assert!(parse::<f64>(r#""NaN""#).is_ok_and(f64::is_nan));
    assert!(parse::<f32>(r#""NaN""#).is_ok_and(f32::is_nan));
    round_trips(&(f64::INFINITY, f64::NEG_INFINITY, f32::INFINITY, f32::MAX, f64::MIN_POSITIVE));
    round_trips(&(i128::MIN, u128::MAX, i128::from(u64::MAX) + 1, 7_i128, -7_i128));
    round_trips(&(Bytes(vec![0, 255, 26]), Bytes(vec![])));
    round_trips(&BTreeMap::from([(i128::MIN, 1), (5, 2)]));
    round_trips(&BTreeMap::from([((1_u8, "a\"".to_owned()), 1), ((2, String::new()), 2)]));
    round_trips(&BTreeMap::from([
        (Some("a".to_owned()), 1),
        (None, 2),
        (Some("null".to_owned()), 3),
    ]));
    round_trips(&BTreeMap::from([(Some(5_u8), 1), (None, 2)]));
    round_trips(&BTreeMap::from([(vec![1_u8], 1), (vec![], 2)]));
    round_trips(&BTreeMap::from([(Bytes(vec![1, 2]), 1)]));
    round_trips(&BTreeMap::from([(true, 1), (false, 2)]));
    round_trips(&BTreeMap::from([('ö', 1)]));
    round_trips(&BTreeMap::from([(Id(7), ())]));
    round_trips(&BTreeMap::from([((), 1)]));
    round_trips(&BTreeMap::from([(BTreeMap::from([(1_u8, 2_u8)]), 1)]));
    round_trips(&BTreeMap::from([(Ok::<u8, String>(1), 1), (Err("x".to_owned()), 2)]));
    fails::<f64>(r#""none""#, r#"invalid type: string "none", expected f64"#);
    fails::<i128>(r#""1.5""#, r#"invalid type: string "1.5", expected i128"#);
    reads(r#""0x0g""#, Bytes(b"0x0g".to_vec()));
    reads(r#""0x0""#, Bytes(b"0x0".to_vec()));
    reads("[1,2]", Bytes(vec![1, 2]));
}

#[test]
fn decimals_keep_their_digits() {
    reads(r#"["101.670","NaN",2.5,-3,4]"#, {
        ["101.670", "NaN", "2.5", "-3", "4"].map(|text| Decimal(text.to_owned()))
    });
}

#[test]
fn raw_json_is_kept_as_it_is() {
    let raw = parse::<Vec<Box<RawValue>>>(r#"[ {"a" : [1.50]} ,2]"#).expect("raw values");
    assert_eq!((raw[0].get(), raw[1].get()), (r#"{"a" : [1.50]}"#, "2"));
}

#[test]
fn the_message_begins_with_the_path() {
    fails::<HashMap<String, Vec<u32>>>(
        r#"{"a b":[1,"x"]}"#,
        r#"["a b"][1]: invalid type: string "x", expected u32"#,
    );
    fails::<Vec<Shape>>(
        r#"["Empty",{"Named":{"width":1,"label":null}}]"#,
        "[1].Named.label: invalid type: null, expected a string",
    );
    fails::<Vec<Shape>>(r#"[{"Named":{"width":1}}]"#, "[0].Named: missing field `label`");
    fails::<Shape>(
        r#""Square""#,
        "unknown variant `Square`, expected one of `Empty`, `Circle`, `Pair`, `Named`",
    );
    fails::<Shape>("{}", "invalid value: map, expected the name of a variant");
    fails::<Shape>("7", "invalid type: integer `7`, expected an enum");
    fails::<Shape>(
        r#"{"Empty":null,"Circle":1}"#,
        "a variant of an enum is a map with one entry, and this one has more",
    );
    fails::<Shape>(r#""Circle""#, "invalid type: unit variant, expected newtype variant");
    fails::<Shape>(
        r#"{"Pair":[1]}"#,
        "Pair: invalid length 1, expected tuple variant Shape::Pair with 2 elements",
    );
    fails::<((u8, u8), u8)>("[[1,2,3],4]", "[0]: the list has more elements than expected");
    fails::<Unit>("1", "invalid type: integer `1`, expected unit struct Unit");
}

#[test]
fn text_that_is_not_json_is_refused() {
    for text in
        ["", "[1", "[1,]", "{\"a\":}", "1 2", "{\"a\":1]", "nul", "[}", "]", "{1:2}", "[1 2]"]
    {
        fails::<serde_json::Value>(text, &parse::<serde_json::Value>(text).expect_err("no JSON"));
        assert!(
            parse::<serde_json::Value>(text).is_err_and(|error| error.contains("not valid JSON"))
        );
        assert!(parse::<serde::de::IgnoredAny>(text).is_err(), "{text}");
    }
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse::<serde_json::Value>(&deep(127)).is_ok());
    assert!(parse::<serde::de::IgnoredAny>(&deep(127)).is_ok());
    for levels in [128, 1_000_000] {
        let error = parse::<serde_json::Value>(&deep(levels)).expect_err("too deep");
        assert!(error.ends_with(": the JSON nests more than 127 levels deep"), "{error}");
        assert!(parse::<serde::de::IgnoredAny>(&deep(levels)).is_err());
    }
}

#[test]
fn a_visitor_that_stops_early_or_goes_on_too_long_gets_an_error() {
    struct CountedElements(usize);
    impl<'de> Deserialize<'de> for CountedElements {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            struct CountingVisitor;
            impl<'de> Visitor<'de> for CountingVisitor {
                type Value = CountedElements;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("anything")
                }
                fn visit_seq<A: serde::de::SeqAccess<'de>>(
                    self,
                    mut seq: A,
                ) -> Result<CountedElements, A::Error> {
                    let mut count = 0;
                    // Ignores errors, and the end.
                    for _ in 0..5 {
                        if let Ok(Some(_)) = seq.next_element::<u8>() {
                            count += 1;
                        }
                    }
                    Ok(CountedElements(count))
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<CountedElements, A::Error> {
                    map.next_value::<u8>().map(|_| CountedElements(0))
                }
            }
            d.deserialize_any(CountingVisitor)
        }
    }
    let counted = |text: &str| {
        parse::<Vec<CountedElements>>(text)
            .map(|counted| counted.iter().map(|counted| counted.0).collect())
    };
    assert_eq!(counted("[[1,2],[]]"), Ok(vec![2, 0]));
    assert_eq!(counted("[[1,\"x\",3],[1]]"), Ok(vec![2, 1]));
    for text in ["[[1,[[2,3]],4]]", "[[1,2,3,4,5,6]]", "[{\"a\":1}]", "[[{\"a\":1},2],3]"] {
        assert!(counted(text).is_err(), "{text}");
    }
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        // `serde_json` is not exact in the last digit of long ones.
        (-1_000_000_i32..1_000_000).prop_map(|n| (f64::from(n) / 8.0).into()),
        "[a-z]{0,3}".prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Empty),
        any::<Option<u32>>().prop_map(Shape::Circle),
        any::<(i8, i16)>().prop_map(|(n, f)| Shape::Pair(n, f32::from(f) / 8.0)),
        any::<(u8, String)>().prop_map(|(width, label)| Shape::Named { width, label }),
    ]
}

fn any_untagged() -> impl Strategy<Value = Untagged> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Untagged::Number),
        any::<i16>().prop_map(|n| Untagged::Float(f64::from(n) + 0.5)),
        any::<String>().prop_map(Untagged::Text),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Untagged::List),
            prop::option::of(inner).prop_map(|a| Untagged::Map { a: a.map(Box::new) }),
        ]
    })
}

fn any_all() -> impl Strategy<Value = All> {
    let tagged = prop_oneof![
        any::<u64>().prop_map(|n| Tagged::One { n }),
        prop::collection::hash_map(any::<String>(), any::<i16>(), 0..4).prop_map(|mut map| {
            map.remove("kind");
            Tagged::Two(map)
        }),
        Just(Tagged::Three),
    ];
    let rest = (any::<bool>(), prop::collection::btree_map("[ac-z]{1,3}", any_value(), 0..4));
    let names = prop::collection::hash_set(any::<String>(), 0..4);
    let ids = prop::collection::btree_map(any::<u64>(), names, 0..4);
    (
        prop::collection::vec(any_shape(), 0..4),
        (tagged, any_untagged()),
        rest.prop_map(|(b, rest)| Rest { b, rest }),
        any::<(char, [u8; 2], ())>(),
        ids.prop_map(|ids: BTreeMap<_, _>| {
            ids.into_iter().map(|(id, set)| (Id(id), set)).collect()
        }),
        any::<Option<u8>>(),
    )
        .prop_map(|(shapes, (tagged, untagged), rest, pair, ids, absent)| All {
            shapes,
            tagged,
            untagged,
            rest,
            unit: Unit,
            pair,
            ids,
            absent,
        })
}

/// Checks that we and `serde_json` read the same value, or that both fail.
fn agree<T: DeserializeOwned + PartialEq + Debug>(text: &str) -> Result<(), TestCaseError> {
    match (parse::<T>(text), serde_json::from_str::<T>(text)) {
        (Ok(parse), Ok(theirs)) => prop_assert_eq!(parse, theirs, "{}", text),
        (Err(_), Err(_)) => {}
        (parse, theirs) => prop_assert!(false, "{text}: {parse:?} {theirs:?}"),
    }
    Ok(())
}

proptest! {
    #[test]
    fn values_are_read_as_by_serde_json(value in any_value()) {
        for text in [value.to_string(), format!("{value:#}")] {
            prop_assert_eq!(parse::<serde_json::Value>(&text), Ok(value.clone()));
        }
        let text = value.to_string();
        agree::<Untagged>(&text)?;
        agree::<Shape>(&text)?;
        agree::<Tagged>(&text)?;
        agree::<Rest>(&text)?;
        agree::<Vec<Option<(u8, String)>>>(&text)?;
        agree::<HashMap<i64, Option<bool>>>(&text)?;
        agree::<HashMap<String, f64>>(&text)?;
    }

    #[test]
    fn derived_types_are_read_as_by_serde_json(all in any_all(), cut in any::<prop::sample::Index>()) {
        round_trips(&all);
        let text = serde_json::to_string(&all).expect("serializable");
        agree::<All>(&text)?;
        prop_assert_eq!(parse::<All>(&text), Ok(all));
        // The same holds for the beginning of the text.
        let mut at = cut.index(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        agree::<All>(&text[..at])?;
        agree::<serde_json::Value>(&text[..at])?;
    }

    #[test]
    fn any_text_is_read_as_by_serde_json(text in r#"[ \[\]{}:,"a0-9.eE+\-tu]{0,12}"#) {
        // `serde_json` has a slightly different range of floats.
        prop_assume!(!text.contains(['e', 'E']));
        agree::<serde_json::Value>(&text)?;
        agree::<Shape>(&text)?;
        agree::<(u8, Option<i64>)>(&text)?;
        agree::<HashMap<u8, u8>>(&text)?;
    }

    #[test]
    fn enums_are_read_as_by_serde_json(
        text in r#"(\{"(Empty|Circle|Pair|Named)":)?(null|1|\[1,2(,3)?\]|\{"width":1(,"label":"x")?\}|"Empty"|"Pair")(,"Empty":null)?\}?"#,
    ) {
        agree::<Shape>(&text)?;
    }
}
