//! How values beyond the limits are recorded.

use std::collections::BTreeMap;
use std::fmt;

use audit_core::capture::{Limits, Mask, Rules, ValueWriter};
use audit_record::Truncation;
use serde::ser::{Error as _, SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};

fn rules_with(limits: Limits) -> Rules {
    Rules { limits, mask: Mask::none() }
}

type ExpectedTruncation = (&'static str, &'static str, u64, Option<u64>);

#[track_caller]
fn assert_truncated<T: ?Sized + Serialize>(
    limit: Limits,
    value: &T,
    expected: &str,
    expected_truncations: &[ExpectedTruncation],
) {
    let (mut text, mut cuts) = (String::new(), Vec::new());
    ValueWriter::new(&mut text, &mut cuts, "input.v", &rules_with(limit)).serialize(value);
    assert_eq!(text, expected);
    let expected = expected_truncations.iter();
    let expected = expected.map(|&(path, unit, kept, was)| Truncation::new(path, unit, kept, was));
    assert_eq!(cuts, expected.collect::<Vec<_>>());
}

fn bytes(bytes: usize) -> Limits {
    Limits::default().bytes(bytes)
}

fn length(length: usize) -> Limits {
    Limits::default().length(length)
}

#[test]
fn long_texts_are_truncated_at_a_character_boundary() {
    let at = |kept, was| [("input.v", "bytes", kept, was)];
    assert_truncated(bytes(16), "12345678901234", r#""12345678901234""#, &[]);
    let text = r#""12345678901234… [cut: 15 bytes]""#;
    assert_truncated(bytes(16), "123456789012345", text, &at(14, Some(15)));
    assert_truncated(bytes(16), "ééééééééé", r#""ééééééé… [cut: 18 bytes]""#, &at(14, Some(18)));
    assert_truncated(bytes(15), "ééééééééé", r#""éééééé… [cut: 18 bytes]""#, &at(12, Some(18)));
    let text = r#""\u0001\u0001… [cut: 4 bytes]""#;
    assert_truncated(bytes(16), "\u{1}\u{1}\u{1}\u{1}", text, &at(2, Some(4)));
    let (mut text, mut cuts) = (String::new(), Vec::new());
    ValueWriter::new(&mut text, &mut cuts, "reason", &rules_with(bytes(16))).text(&"x".repeat(99));
    assert_eq!(text, r#""xxxxxxxxxxxxxx… [cut: 99 bytes]""#);
    assert_eq!(cuts, [Truncation::new("reason", "bytes", 14, Some(99))]);
}

#[test]
fn formatting_stops_at_the_limit() {
    struct Endless;
    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                f.write_str("é-")?;
            }
        }
    }
    let at = [("input.v", "bytes", 14, None)];
    assert_truncated(bytes(16), &format_args!("{Endless}"), r#""é-é-é-é-é… [cut]""#, &at);
}

#[test]
fn long_debug_texts_are_truncated() {
    let (mut text, mut cuts) = (String::new(), Vec::new());
    ValueWriter::new(&mut text, &mut cuts, "input.v", &rules_with(bytes(8))).debug("abcdefgh");
    assert_eq!(text, r#""\"abcd… [cut]""#);
    assert_eq!(cuts, [Truncation::new("input.v", "bytes", 5, None)]);
}

#[test]
fn a_cyclic_debug_text_stops_at_the_limit() {
    use std::cell::RefCell;
    use std::rc::{Rc, Weak};
    struct Knot(RefCell<Weak<Knot>>);
    impl fmt::Debug for Knot {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "Knot({:?})", self.0.borrow().upgrade().expect("the knot is alive"))
        }
    }
    let knot = Rc::new(Knot(RefCell::default()));
    *knot.0.borrow_mut() = Rc::downgrade(&knot);
    let (mut text, mut cuts) = (String::new(), Vec::new());
    ValueWriter::new(&mut text, &mut cuts, "input.v", &rules_with(bytes(14))).debug(&knot);
    assert_eq!(text, r#""Knot(Knot(Kn… [cut]""#);
}

#[test]
fn long_byte_strings_are_truncated() {
    struct Bytes;
    impl Serialize for Bytes {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            s.serialize_bytes(&[1, 2, 3])
        }
    }
    let at = [("input.v", "bytes", 2, Some(3))];
    assert_truncated(bytes(8), &Bytes, r#""0x0102… [cut: 3 bytes]""#, &at);
}

#[test]
fn a_long_text_leaves_room_for_its_neighbours() {
    let at = [("input.v[0]", "bytes", 10, Some(100))];
    let value = ("a".repeat(100), 7);
    assert_truncated(bytes(40), &value, r#"["aaaaaaaaaa… [cut: 100 bytes]",7]"#, &at);
}

#[test]
fn long_lists_are_truncated() {
    assert_truncated(
        length(2),
        &[[1, 2, 3].as_slice(), &[4], &[5]],
        r#"[[1,2,"… [cut: 1 more elements]"],[4],"… [cut: 1 more elements]"]"#,
        &[("input.v[0]", "elements", 2, Some(3)), ("input.v", "elements", 2, Some(3))],
    );
    struct Endless;
    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            let mut seq = s.serialize_seq(None)?;
            for n in 0_u64.. {
                seq.serialize_element(&n)?;
            }
            seq.end()
        }
    }
    let at = [("input.v", "elements", 2, None)];
    assert_truncated(length(2), &Some(Endless), r#"[0,1,"… [cut: more elements]"]"#, &at);
    let at = [("input.v", "elements", 3, None)];
    assert_truncated(bytes(7), &Endless, r#"[0,1,2,"… [cut: more elements]"]"#, &at);
}

#[test]
fn large_maps_and_structs_are_truncated() {
    let map: BTreeMap<_, _> = [("a", 1), ("b\n", 2), ("c", 3)].into();
    assert_truncated(
        length(2),
        &BTreeMap::from([("m\n", &map)]),
        r#"{"m\n":{"a":1,"b\n":2,"…":"[cut: 1 more entries]"}}"#,
        &[("input.v.m ", "entries", 2, Some(3))],
    );
    #[derive(Serialize)]
    enum Variant {
        V { a: u8, b: u8 },
    }
    let at = [("input.v[0]", "entries", 1, Some(2))];
    let text = r#"[{"V":{"a":1,"…":"[cut: 1 more entries]"}}]"#;
    assert_truncated(length(1), &[Variant::V { a: 1, b: 2 }], text, &at);
}

#[test]
fn a_full_value_is_closed_at_every_level() {
    #[derive(Serialize)]
    struct Outer {
        rows: Vec<BTreeMap<&'static str, u64>>,
        rest: u8,
    }
    let rows = vec![BTreeMap::from([("n", 1), ("o", 1_000_000_000_000)]); 2];
    assert_truncated(
        bytes(24),
        &Outer { rows, rest: 1 },
        concat!(
            r#"{"rows":[{"n":1,"…":"[cut: 1 more entries]"},"… [cut: 1 more elements]"],"#,
            r#""…":"[cut: 1 more entries]"}"#
        ),
        &[
            ("input.v.rows[0]", "entries", 1, Some(2)),
            ("input.v.rows", "elements", 1, Some(2)),
            ("input.v", "entries", 1, Some(2)),
        ],
    );
    assert_truncated(bytes(0), &12, r#""… [cut]""#, &[("input.v", "bytes", 0, None)]);
}

#[derive(Serialize)]
struct Chain(Option<Box<Chain>>);

#[derive(Serialize)]
struct Nest {
    next: Option<Box<Nest>>,
}

#[test]
fn deep_values_are_truncated() {
    let limit = Limits::default().depth(2);
    assert_truncated(
        limit,
        &[[[1]], [[2]]],
        r#"[["[cut: deeper than 2 levels]"],["[cut: deeper than 2 levels]"]]"#,
        &[("input.v[0][0]", "levels", 2, None), ("input.v[1][0]", "levels", 2, None)],
    );
    #[derive(Serialize)]
    enum Variant {
        Box(u8, u8),
    }
    // A variant with data takes two levels.
    let at = [("input.v[0]", "levels", 2, None)];
    assert_truncated(limit, &[Variant::Box(1, 2)], r#"["[cut: deeper than 2 levels]"]"#, &at);
}

#[test]
fn the_depth_is_bounded_whatever_the_limit() {
    let nest = (0..1_000).fold(Nest { next: None }, |next, _| Nest { next: Some(next.into()) });
    let (mut text, mut cuts) = (String::new(), Vec::new());
    let rules = rules_with(Limits::default().depth(100_000));
    ValueWriter::new(&mut text, &mut cuts, "output", &rules).serialize(&nest);
    assert_eq!(text.matches('{').count(), Limits::MAX_DEPTH);
    assert!(text.contains(r#""[cut: deeper than 100 levels]""#));
    assert_eq!(cuts.len(), 1);
    assert_eq!(cuts[0].path.len(), 256);
    // A newtype adds no nesting to the text, but it uses stack.
    let chain = (0..1_000).fold(Chain(None), |next, _| Chain(Some(next.into())));
    let at = [("input.v", "levels", 32, None)];
    assert_truncated(Limits::default(), &chain, r#""[cut: deeper than 32 levels]""#, &at);
}

#[test]
fn values_after_a_truncation_are_not_serialised() {
    struct Fails;
    impl Serialize for Fails {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("it was serialised"))
        }
    }
    assert_truncated(
        length(1),
        &([1, 2, 3], Fails),
        r#"[[1,"… [cut: 2 more elements]"],"… [cut: 1 more elements]"]"#,
        &[("input.v[0]", "elements", 1, Some(3)), ("input.v", "elements", 1, Some(2))],
    );
}

#[test]
fn raw_json_is_truncated_like_other_values() {
    struct Raw(&'static str);
    impl Serialize for Raw {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            let mut s = s.serialize_struct("$serde_json::private::RawValue", 1)?;
            s.serialize_field("$serde_json::private::RawValue", self.0)?;
            s.end()
        }
    }
    let at = [("input.v[0]", "elements", 1, Some(3))];
    let text = r#"[[1,"… [cut: 2 more elements]"]]"#;
    assert_truncated(length(1), &[Raw("[1,2,3]")], text, &at);
}

#[test]
fn long_map_keys_are_truncated() {
    let at = [("input.v[0]", "elements", 1, Some(2))];
    let text = r#"[{"[1,\"… [cut: 1 more elements]\"]":3}]"#;
    assert_truncated(length(1), &[BTreeMap::from([([1, 2], 3)])], text, &at);
    let at = [("input.v", "entries", 0, Some(1))];
    let map = BTreeMap::from([("a".repeat(30), 3)]);
    assert_truncated(bytes(20), &map, r#"{"…":"[cut: 1 more entries]"}"#, &at);
}
