//! Properties of capture that hold for every value, including hostile ones.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use audit_core::capture::{Limits, Mask, Rules, ValueWriter, in_progress};
use audit_record::Truncation;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde::ser::{self, Error as _, SerializeMap as _, Serializer};
use serde_json::Value;

fn capture<T: Serialize>(rules: &Rules, value: &T) -> (String, Vec<Truncation>) {
    let (mut text, mut cuts) = ("é".to_owned(), Vec::new());
    ValueWriter::new(&mut text, &mut cuts, "v", rules).serialize(value);
    assert!(!in_progress());
    (text.strip_prefix('é').expect("text before is kept").to_owned(), cuts)
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The greatest length of the text: every open level, and the value in it, can add a mark.
fn max_length(limits: Limits) -> usize {
    limits.bytes + Limits::MARK * (limits.depth + 2)
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // A number may have two shortest forms, and `serde_json` may choose the other one.
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
        any::<String>().prop_map(Value::from),
        "[a-z\"\\\\\n]{0,80}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..8).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (0_usize..400, 0_usize..6, 0_usize..6).prop_map(|(bytes, depth, length)| {
        Limits::default().bytes(bytes).depth(depth).length(length)
    })
}

/// JSON in which every value with a sensitive name contains the marker.
fn json_with_secrets() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::from(1)), "[a-z]{0,9}".prop_map(Value::from)];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let name = prop_oneof![
            "[a-z]{1,4}",
            Just("apiKey".to_owned()),
            Just("user password".to_owned()),
            Just("\"X\"-TOKEN".to_owned()),
            Just("\ncookie".to_owned()),
        ];
        let hide = |(name, value): (String, Value)| {
            let value = if Mask::default().matches(&name) {
                serde_json::json!([{"S3CR3T": value}, "S3CR3T"])
            } else {
                value
            };
            (name, value)
        };
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(name, inner, 0..5).prop_map(move |map| map.into_iter().map(hide).collect()),
        ]
    })
}

/// What a hostile `Serialize` does.
#[derive(Clone, Debug)]
enum Act {
    Unit,
    Number(u64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Display(String),
    Fail,
    Panic,
    Some(Box<Act>),
    Newtype(Box<Act>),
    Variant(Box<Act>),
    Open { shape: u8, len: Option<usize>, steps: Vec<Step>, end: bool },
}

#[derive(Clone, Debug)]
struct Step {
    act: Act,
    key: Option<Act>,
    value: bool,
    swallow: bool,
    catch: bool,
}

fn any_act() -> impl Strategy<Value = Act> {
    let leaf = prop_oneof![
        Just(Act::Unit),
        any::<u64>().prop_map(Act::Number),
        any::<f64>().prop_map(Act::Float),
        any::<String>().prop_map(Act::Text),
        "[\\[\\]{},:\"0-9]{0,30}".prop_map(Act::Text),
        vec(any::<u8>(), 0..40).prop_map(Act::Bytes),
        any::<String>().prop_map(Act::Display),
        Just(Act::Fail),
        Just(Act::Panic),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        let step =
            (inner.clone(), proptest::option::of(inner.clone()), any::<[bool; 3]>()).prop_map(
                |(act, key, [value, swallow, catch])| Step { act, key, value, swallow, catch },
            );
        let len = proptest::option::of(prop_oneof![0_usize..8, Just(usize::MAX)]);
        prop_oneof![
            1 => inner.clone().prop_map(|act| Act::Some(Box::new(act))),
            1 => inner.clone().prop_map(|act| Act::Newtype(Box::new(act))),
            1 => inner.prop_map(|act| Act::Variant(Box::new(act))),
            8 => (0_u8..9, len, vec(step, 0..6), prop::bool::weighted(0.8))
                .prop_map(|(shape, len, steps, end)| Act::Open { shape, len, steps, end }),
        ]
    })
}

/// Runs `step` as `how` prescribes: passes on its error or panic, or ignores them.
fn run<E>(how: &Step, step: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    let result =
        if how.catch { catch_unwind(AssertUnwindSafe(step)).unwrap_or(Ok(())) } else { step() };
    if how.swallow { Ok(()) } else { result }
}

macro_rules! drive {
    ($open:expr, $steps:expr, $end:expr, |$to:ident, $step:ident| $do:expr) => {{
        let mut $to = $open?;
        for $step in $steps {
            run($step, || $do)?;
        }
        if $end { $to.end() } else { Err(S::Error::custom("left open")) }
    }};
}

impl Serialize for Act {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unit => s.serialize_unit(),
            Self::Number(n) => s.serialize_u64(*n),
            Self::Float(n) => s.serialize_f64(*n),
            Self::Text(text) => s.serialize_str(text),
            Self::Bytes(bytes) => s.serialize_bytes(bytes),
            Self::Display(text) => s.collect_str(text),
            Self::Fail => Err(S::Error::custom("a\n\"failure\"")),
            Self::Panic => panic!("on purpose"),
            Self::Some(act) => s.serialize_some(act),
            Self::Newtype(act) => s.serialize_newtype_struct("N", act),
            Self::Variant(act) => s.serialize_newtype_variant("E", 0, "V", act),
            Self::Open { shape, len, steps, end } => open(s, *shape, *len, steps, *end),
        }
    }
}

fn open<S: Serializer>(
    s: S,
    shape: u8,
    len: Option<usize>,
    steps: &[Step],
    end: bool,
) -> Result<S::Ok, S::Error> {
    use ser::{SerializeSeq as _, SerializeStruct as _, SerializeStructVariant as _};
    use ser::{SerializeTuple as _, SerializeTupleStruct as _, SerializeTupleVariant as _};
    const RAW: &str = "$serde_json::private::RawValue";
    const NUMBER: &str = "$serde_json::private::Number";
    let known = len.unwrap_or(2);
    match shape {
        0 => drive!(s.serialize_seq(len), steps, end, |to, step| to.serialize_element(&step.act)),
        1 => drive!(s.serialize_tuple(known), steps, end, |to, step| {
            to.serialize_element(&step.act)
        }),
        2 => drive!(s.serialize_tuple_struct("T", known), steps, end, |to, step| {
            to.serialize_field(&step.act)
        }),
        3 => drive!(s.serialize_tuple_variant("E", 0, "V", known), steps, end, |to, step| {
            to.serialize_field(&step.act)
        }),
        4 => drive!(s.serialize_struct("S", known), steps, end, |to, step| {
            to.serialize_field("f\"", &step.act)
        }),
        5 => drive!(s.serialize_struct_variant("E", 0, "V", known), steps, end, |to, step| {
            to.serialize_field("password", &step.act)?;
            to.serialize_field("f", &step.act)
        }),
        6 => drive!(s.serialize_struct(RAW, 1), steps, end, |to, step| {
            to.serialize_field(RAW, &step.act)
        }),
        7 => drive!(s.serialize_struct(NUMBER, 1), steps, end, |to, step| {
            to.serialize_field(NUMBER, &step.act)
        }),
        _ => drive!(s.serialize_map(len), steps, end, |to, step| {
            if let Some(key) = &step.key {
                to.serialize_key(key)?;
            }
            if step.value { to.serialize_value(&step.act) } else { Ok(()) }
        }),
    }
}

/// Silences the intentional panics, as the panic hook of a program with audits does.
fn silence_captured_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !in_progress() {
                hook(info);
            }
        }));
    });
}

/// The inner list is complete, but the list around it is not, so it must not be recorded as
/// complete.
#[test]
fn a_caught_panic_leaves_no_list_open() {
    struct CutThenPanic;
    impl Serialize for CutThenPanic {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            let _ = [1, 2, 3].serialize(s);
            panic!("on purpose")
        }
    }
    struct LeftOpen;
    impl Serialize for LeftOpen {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            use ser::SerializeSeq as _;
            let mut list = s.serialize_seq(None)?;
            let _ = catch_unwind(AssertUnwindSafe(|| list.serialize_element(&CutThenPanic)));
            Err(S::Error::custom("left open"))
        }
    }
    struct GoesOn;
    impl Serialize for GoesOn {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            use ser::SerializeSeq as _;
            let mut list = s.serialize_seq(None)?;
            let _ = list.serialize_element(&LeftOpen);
            list.end()
        }
    }
    silence_captured_panics();
    let limits = Limits::default().length(1);
    let (text, cuts) = capture(&Rules { limits, mask: Mask::none() }, &GoesOn);
    assert_eq!(text, r#"[["[not recorded: left open]"]]"#);
    assert_eq!(cuts.last(), Some(&Truncation::not_recorded("v[0][0]", "left open")));
}

/// `serde_json` writes `1e+30` for `1e30`. A text may also contain `e+`, so the callers replace it
/// too.
fn by_serde_json(value: &serde_json::Value) -> String {
    serde_json::to_string(value).unwrap().replace("e+", "e")
}

proptest! {
    #[test]
    fn without_limits_the_text_equals_that_of_serde_json(value in any_json()) {
        let limits = Limits::default().bytes(usize::MAX).length(usize::MAX);
        let (text, cuts) = capture(&Rules { limits, mask: Mask::none() }, &value);
        prop_assert_eq!(text.replace("e+", "e"), by_serde_json(&value));
        prop_assert_eq!(cuts, vec![]);
    }

    #[test]
    fn limits_hold_and_every_truncation_is_reported(value in any_json(), limits in any_limits()) {
        let (text, cuts) = capture(&Rules { limits, mask: Mask::none() }, &value);
        prop_assert!(is_json(&text), "{}", text);
        prop_assert!(text.len() <= max_length(limits), "{} bytes: {}", text.len(), text);
        prop_assert_eq!(cuts.is_empty(), text.replace("e+", "e") == by_serde_json(&value));
    }

    #[test]
    fn hidden_values_are_never_recorded(value in json_with_secrets(), limits in any_limits()) {
        for limits in [limits, Limits::default()] {
            let (text, cuts) = capture(&Rules { limits, mask: Mask::default() }, &value);
            prop_assert!(is_json(&text), "{}", text);
            prop_assert!(!text.contains("S3CR3T"), "{}", text);
            prop_assert!(!format!("{cuts:?}").contains("S3CR3T"), "{:?}", cuts);
        }
    }

    #[test]
    fn hostile_implementations_leave_valid_json(act in any_act(), limits in any_limits()) {
        silence_captured_panics();
        for limits in [limits, Limits::default()] {
            let (text, _) = capture(&Rules { limits, mask: Mask::default() }, &act);
            prop_assert!(is_json(&text), "{}", text);
            let max_length = max_length(limits).max(Limits::MARK * 5);
            prop_assert!(text.len() <= max_length, "{} bytes: {}", text.len(), text);
        }
    }
}
