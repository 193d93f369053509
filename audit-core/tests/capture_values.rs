//! How each kind of value is recorded.

use std::collections::BTreeMap;
use std::fmt;

use audit_core::capture::{Redacted, Rules, ValueWriter, in_progress, is_secret_type};
use audit_record::Truncation;
use serde::ser::{Error as _, SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};

fn capture_with<T: ?Sized + Serialize>(rules: &Rules, value: &T) -> (String, Vec<Truncation>) {
    let (mut text, mut cuts) = ("before ".to_owned(), Vec::new());
    ValueWriter::new(&mut text, &mut cuts, "input.v", rules).serialize(value);
    (text.strip_prefix("before ").expect("text before is kept").to_owned(), cuts)
}

#[track_caller]
fn assert_captured<T: ?Sized + Serialize>(value: &T, expected: &str) {
    assert_eq!(capture_with(&Rules::default(), value), (expected.to_owned(), Vec::new()));
}

#[track_caller]
fn assert_not_recorded<T: ?Sized + Serialize>(value: &T, why: &str) {
    let text = format!("[not recorded: {why}]").replace('"', "\\\"");
    let expected = (format!("\"{text}\""), vec![Truncation::not_recorded("input.v", why)]);
    assert_eq!(capture_with(&Rules::default(), value), expected);
}

#[derive(Serialize)]
struct Unit;
#[derive(Serialize)]
struct Newtype(Option<u8>);
#[derive(Serialize)]
struct Tuple(u8, &'static str);
#[derive(Serialize)]
enum Shape {
    Empty,
    Circle(u32),
    Box(u8, u8),
    Named { width: u8, password: &'static str },
    Token(&'static str),
    Secret(u8, u8),
    ResetPassword { user: u8 },
}

#[test]
fn numbers_are_recorded_as_numbers_or_text() {
    assert_captured(&i64::MIN, "-9223372036854775808");
    assert_captured(&u64::MAX, "18446744073709551615");
    assert_captured(&(1_i8, 2_u16, 3_i32), "[1,2,3]");
    assert_captured(&i128::from(i64::MIN), "-9223372036854775808");
    assert_captured(&u128::from(u64::MAX), "18446744073709551615");
    assert_captured(&(u128::from(u64::MAX) + 1), r#""18446744073709551616""#);
    assert_captured(&i128::MIN, r#""-170141183460469231731687303715884105728""#);
    assert_captured(&(1.0_f64, 0.1_f32, -2.5e-300_f64, -0.0_f64), "[1.0,0.1,-2.5e-300,-0.0]");
    assert_captured(
        &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY],
        r#"["NaN","Infinity","-Infinity"]"#,
    );
    assert_captured(&[f32::NAN, f32::NEG_INFINITY], r#"["NaN","-Infinity"]"#);
}

#[test]
fn texts_are_escaped_as_json() {
    assert_captured(
        "a\"b\\c/\n\r\t\u{8}\u{c}\u{1}\u{1f}\u{7f}é\u{2028}🦀",
        concat!(r#""a\"b\\c/\n\r\t\b\f\u0001\u001f"#, "\u{7f}é\u{2028}🦀\""),
    );
    assert_captured(&'"', r#""\"""#);
    assert_captured(&format_args!("{}-{:?}", 1, "x"), r#""1-\"x\"""#);
}

#[test]
fn units_options_lists_and_enums_are_recorded_as_json() {
    assert_captured(&(), "null");
    assert_captured(&None::<u8>, "null");
    assert_captured(&Unit, "null");
    assert_captured(&Some(Some(true)), "true");
    assert_captured(&Newtype(Some(3)), "3");
    assert_captured(&Tuple(1, "x"), r#"[1,"x"]"#);
    assert_captured(
        &[Shape::Empty, Shape::Circle(2), Shape::Box(3, 4)],
        r#"["Empty",{"Circle":2},{"Box":[3,4]}]"#,
    );
    assert_captured(&Vec::<u8>::new(), "[]");
    assert_captured(&BTreeMap::<u8, u8>::new(), "{}");
}

#[test]
fn byte_strings_are_recorded_as_hexadecimal_text() {
    struct Bytes(&'static [u8]);
    impl Serialize for Bytes {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            s.serialize_bytes(self.0)
        }
    }
    assert_captured(&Bytes(&[0, 0xff, 0x1a]), r#""0x00ff1a""#);
    assert_captured(&Bytes(&[]), r#""0x""#);
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Unit,
    Pair(u8, u8),
}

#[test]
fn map_keys_that_are_not_strings_are_recorded_as_text() {
    struct Others;
    impl Serialize for Others {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            let mut map = s.serialize_map(None)?;
            map.serialize_entry(&1.5_f64, &1)?;
            map.serialize_entry(&f32::NAN, &2)?;
            map.serialize_entry(&format_args!("a{}", '\n'), &3)?;
            map.end()
        }
    }
    assert_captured(&Others, r#"{"1.5":1,"NaN":2,"a\n":3}"#);
    assert_captured(&BTreeMap::from([(true, 1)]), r#"{"true":1}"#);
    assert_captured(&BTreeMap::from([(-7_i64, 1)]), r#"{"-7":1}"#);
    assert_captured(
        &BTreeMap::from([(u128::MAX, 1)]),
        r#"{"340282366920938463463374607431768211455":1}"#,
    );
    assert_captured(&BTreeMap::from([('"', 1)]), r#"{"\"":1}"#);
    assert_captured(&BTreeMap::from([((), 1)]), r#"{"null":1}"#);
    assert_captured(&BTreeMap::from([((1, "a"), 1)]), r#"{"[1,\"a\"]":1}"#);
    assert_captured(&BTreeMap::from([(Some("a"), 1)]), r#"{"\"a\"":1}"#);
    let keys = BTreeMap::from([(Key::Unit, 1), (Key::Pair(1, 2), 2)]);
    assert_captured(&keys, r#"{"Unit":1,"{\"Pair\":[1,2]}":2}"#);
}

#[test]
fn values_are_hidden_by_name_at_any_depth() {
    #[derive(Serialize)]
    struct User {
        name: &'static str,
        #[serde(rename = "API-Key")]
        key: &'static str,
        headers: BTreeMap<&'static str, Vec<u8>>,
        // Hidden, so it is not serialised.
        access_token: Panics,
    }
    let headers =
        BTreeMap::from([("Accept", vec![1]), ("Set-Cookie", vec![2]), ("x\npassword", vec![3])]);
    let user = User { name: "al", key: "k", headers, access_token: Panics };
    assert_captured(
        &vec![user],
        concat!(
            r#"[{"name":"al","API-Key":"[redacted]","#,
            r#""headers":{"Accept":[1],"Set-Cookie":"[redacted]","x\npassword":"[redacted]"},"#,
            r#""access_token":"[redacted]"}]"#
        ),
    );
    let named = Shape::Named { width: 1, password: "x" };
    assert_captured(&named, r#"{"Named":{"width":1,"password":"[redacted]"}}"#);
    assert_captured(&[Shape::Token("x")], r#"[{"Token":"[redacted]"}]"#);
    assert_captured(&[Shape::Secret(1, 2), Shape::Empty], r#"[{"Secret":"[redacted]"},"Empty"]"#);
    assert_captured(&Shape::Secret(1, 2), r#"{"Secret":"[redacted]"}"#);
    assert_captured(&Shape::ResetPassword { user: 7 }, r#"{"ResetPassword":{"user":7}}"#);
}

#[test]
fn flattened_and_tagged_types_are_masked() {
    #[derive(Serialize)]
    struct Inner {
        pwd: Panics,
        id: u8,
    }
    #[derive(Serialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        A(Inner),
    }
    #[derive(Serialize)]
    struct Outer {
        #[serde(flatten)]
        inner: Inner,
        tagged: Tagged,
    }
    let inner = || Inner { pwd: Panics, id: 1 };
    assert_captured(
        &Outer { inner: inner(), tagged: Tagged::A(inner()) },
        r#"{"pwd":"[redacted]","id":1,"tagged":{"kind":"A","pwd":"[redacted]","id":1}}"#,
    );
}

#[test]
fn values_are_hidden_by_type() {
    use secrecy::{ExposeSecret, SecretBox, SerializableSecret, zeroize::Zeroize};
    #[derive(Serialize)]
    struct Pass(u32);
    impl Zeroize for Pass {
        fn zeroize(&mut self) {
            self.0 = 0;
        }
    }
    impl SerializableSecret for Pass {}
    #[derive(Serialize)]
    struct Form {
        first: SecretBox<Pass>,
        all: Vec<Option<SecretBox<Pass>>>,
        code: Redacted<u32>,
        open: u32,
    }
    #[derive(Serialize)]
    struct Wrapped(SecretBox<Pass>);
    #[derive(Serialize)]
    enum Login {
        With(SecretBox<Pass>),
        As { user: u8, with: Wrapped },
    }
    struct Keyed;
    impl Serialize for Keyed {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            let mut map = s.serialize_map(None)?;
            map.serialize_entry(&Wrapped(SecretBox::new(Box::new(Pass(7)))), &8)?;
            map.end()
        }
    }
    let secret = || SecretBox::new(Box::new(Pass(7)));
    assert_eq!(serde_json::to_string(&secret()).expect("the secret is serialisable"), "7");
    assert_eq!(secret().expose_secret().0, 7);
    assert_captured(&secret(), r#""[redacted]""#);
    assert_captured(
        &Form { first: secret(), all: vec![Some(secret())], code: 7.into(), open: 8 },
        r#"{"first":"[redacted]","all":"[redacted]","code":"[redacted]","open":8}"#,
    );
    assert_captured(&Wrapped(secret()), r#""[redacted]""#);
    assert_captured(&[Login::With(secret())], r#"[{"With":"[redacted]"}]"#);
    assert_captured(
        &Login::As { user: 1, with: Wrapped(secret()) },
        r#"{"As":{"user":1,"with":"[redacted]"}}"#,
    );
    assert_captured(&Keyed, r#"{"[redacted]":8}"#);
    assert!(is_secret_type::<Option<&SecretBox<str>>>());
    assert!(!is_secret_type::<str>() && !is_secret_type::<BTreeMap<String, Vec<u8>>>());
    let (mut text, mut cuts) = (String::new(), Vec::new());
    ValueWriter::new(&mut text, &mut cuts, "input.v", &Rules::default()).debug(&Some(secret()));
    assert_eq!(text, r#""[redacted]""#);
    let read: Redacted<u32> = serde_json::from_str("7").expect("reads as the value itself");
    assert_eq!((read, read.into_inner()), (Redacted::new(7), 7));
}

struct Panics;
impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        assert!(in_progress());
        panic!("on purpose")
    }
}
impl fmt::Debug for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half")?;
        panic!("on purpose")
    }
}
struct Fails;
impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom(format_args!("line 1\nline \"2\" {}", "é".repeat(200))))
    }
}

#[test]
fn values_that_fail_are_recorded_with_the_reason() {
    assert_not_recorded(&Panics, "serialising it panicked");
    assert_not_recorded(&Fails, &format!("line 1 line \"2\" {}", "é".repeat(92)));
    let (mut text, mut cuts) = (String::new(), Vec::new());
    ValueWriter::new(&mut text, &mut cuts, "input.v", &Rules::default()).debug(&Panics);
    assert_eq!(text, r#""[not recorded: formatting it panicked]""#);
    struct NoText;
    impl fmt::Debug for NoText {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }
    text.clear();
    ValueWriter::new(&mut text, &mut cuts, "input.v", &Rules::default()).debug(&NoText);
    assert_eq!(text, r#""[not recorded: formatting it failed]""#);
    let cut = |why| Truncation::not_recorded("input.v", why);
    assert_eq!(cuts, [cut("formatting it panicked"), cut("formatting it failed")]);
    assert!(!in_progress());
}

#[test]
fn a_panic_payload_that_panics_on_drop_is_contained() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any(Bomb)
        }
    }
    struct Throws;
    impl Serialize for Throws {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            std::panic::panic_any(Bomb)
        }
    }
    assert_not_recorded(&Throws, "serialising it panicked");
}

#[test]
fn captures_may_be_nested() {
    struct Captures;
    impl Serialize for Captures {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            let (inner, _) = capture_with(&Rules::default(), &Panics);
            assert!(in_progress());
            s.serialize_str(&inner)
        }
    }
    assert_captured(&Captures, r#""\"[not recorded: serialising it panicked]\"""#);
    assert!(!in_progress());
}

#[test]
fn type_names_are_recorded_in_angle_brackets() {
    let (mut text, mut cuts) = (String::new(), Vec::new());
    let rules = Rules::default();
    ValueWriter::new(&mut text, &mut cuts, "input.v", &rules)
        .type_name::<Option<std::cell::Cell<u8>>>();
    assert_eq!(text, r#""<core::option::Option<core::cell::Cell<u8>>>""#);
}

/// Serialises like a `RawValue` of `serde_json`, or like its numbers with arbitrary precision.
struct JsonMarker(&'static str, &'static str);
impl Serialize for JsonMarker {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut s = s.serialize_struct(self.0, 1)?;
        s.serialize_field(self.0, self.1)?;
        s.end()
    }
}

#[test]
fn raw_json_and_exact_numbers_are_recorded_as_json() {
    const RAW: &str = "$serde_json::private::RawValue";
    const NUMBER: &str = "$serde_json::private::Number";
    assert_captured(
        &[JsonMarker(RAW, r#" { "a" : [1, "x"], "pwd" : "S3CR3T" } "#)],
        r#"[{"a":[1,"x"],"pwd":"[redacted]"}]"#,
    );
    assert_captured(&[JsonMarker(RAW, "{no json")], r#"["{no json"]"#);
    let digits = "12345678901234567890.123456789";
    assert_captured(&[JsonMarker(NUMBER, digits)], "[12345678901234567890.123456789]");
    assert_captured(
        &[JsonMarker(NUMBER, "1]"), JsonMarker(NUMBER, ""), JsonMarker(NUMBER, "1 ")],
        r#"["1]","","1 "]"#,
    );
    // Too deep for the parser. As a string, it would contain unmasked names and values.
    let deep = format!("{}\"S3CR3T\"{}", "[".repeat(200), "]".repeat(200)).leak();
    let (text, cuts) =
        capture_with(&Rules::default(), &[JsonMarker(RAW, deep), JsonMarker(RAW, "1")]);
    assert_eq!(text, r#"["[cut: deeper than 32 levels]",1]"#);
    assert_eq!(cuts, [Truncation::new("input.v[0]", "levels", 32, None)]);
}
