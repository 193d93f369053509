//! Parts that cannot be serialised: only they are lost, and each is listed with the reason.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use audit_core::capture::{Limits, Mask, Rules, ValueWriter};
use audit_record::Truncation;
use serde::ser::{Error as _, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

fn capture_with<T: Serialize>(rules: &Rules, value: &T) -> (String, Vec<Truncation>) {
    let (mut text, mut cuts) = (String::new(), Vec::new());
    ValueWriter::new(&mut text, &mut cuts, "input.v", rules).serialize(value);
    (text, cuts)
}

/// Asserts that `value` is recorded as `expected`, and that these parts are lost for these reasons.
#[track_caller]
fn assert_captured<T: Serialize>(value: &T, expected: &str, lost: &[(&str, &str)]) {
    let lost: Vec<_> = lost
        .iter()
        .map(|(path, why)| Truncation::not_recorded(format!("input.v{path}"), *why))
        .collect();
    assert_eq!(capture_with(&Rules::default(), value), (expected.to_owned(), lost));
    let json: serde_json::Value = serde_json::from_str(expected).expect("JSON");
    drop(json);
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Fails;
impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("no way"))
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Panics;
impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("on purpose")
    }
}

#[derive(Serialize)]
struct Wrapper<T>(T);

#[derive(Serialize)]
#[serde(transparent)]
struct Transparent<T> {
    only: T,
}

#[derive(Serialize)]
enum Shape<T> {
    One(T),
    Two(u8, T),
    Named { width: u8, part: T },
}

const LOST: &str = r#""[not recorded: no way]""#;

#[test]
fn a_bad_part_is_lost_alone_in_every_kind_of_compound() {
    assert_captured(&(1, Fails, 2), &format!("[1,{LOST},2]"), &[("[1]", "no way")]);
    assert_captured(&[Some(Fails)], &format!("[{LOST}]"), &[("[0]", "no way")]);
    assert_captured(
        &BTreeMap::from([("a", Shape::One(Fails)), ("b", Shape::Two(1, Fails))]),
        &format!(r#"{{"a":{{"One":{LOST}}},"b":{{"Two":[1,{LOST}]}}}}"#),
        &[(".a.One", "no way"), (".b[1]", "no way")],
    );
    assert_captured(
        &(Shape::Named { width: 3, part: Wrapper(Transparent { only: Fails }) }, 4),
        &format!(r#"[{{"Named":{{"width":3,"part":{LOST}}}}},4]"#),
        &[("[0].part", "no way")],
    );
}

#[test]
fn a_part_that_panics_is_lost_alone() {
    let lost = r#""[not recorded: serialising it panicked]""#;
    let why = "serialising it panicked";
    assert_captured(
        &(1, [Some(Panics), None], Shape::Named { width: 2, part: Panics }, "x"),
        &format!(r#"[1,[{lost},null],{{"Named":{{"width":2,"part":{lost}}}}},"x"]"#),
        &[("[1][0]", why), ("[2].part", why)],
    );
    assert_captured(
        &BTreeMap::from([(Panics, (1, Fails))]),
        &format!(r#"{{"[not recorded: {why}]":[1,{LOST}]}}"#),
        &[
            (".[not recorded: serialising it panicked]", why),
            (".[not recorded: serialising it panicked][1]", "no way"),
        ],
    );
    // A list as a key has no text of its own.
    assert_captured(
        &BTreeMap::from([([Panics], 1)]),
        &format!(r#"{{"[\"[not recorded: {why}]\"]":1}}"#),
        &[("", why)],
    );
}

#[test]
fn values_of_the_standard_library_that_cannot_be_serialised_are_lost_alone() {
    #[derive(Serialize)]
    struct Upload {
        user: &'static str,
        #[cfg(unix)]
        path: std::path::PathBuf,
        at: SystemTime,
        cell: RefCell<u8>,
        poisoned: Mutex<u8>,
        wide: u128,
        size: u32,
    }
    let upload = Upload {
        user: "ann",
        #[cfg(unix)]
        path: std::path::PathBuf::from(
            <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"/tmp/\xff"),
        ),
        at: SystemTime::UNIX_EPOCH - Duration::from_secs(1),
        cell: RefCell::new(1),
        poisoned: Mutex::new(1),
        wide: u128::MAX,
        size: 7,
    };
    let poison = || {
        let _lock = upload.poisoned.lock().unwrap();
        panic!("poisons the lock")
    };
    assert!(catch_unwind(AssertUnwindSafe(poison)).is_err());
    let _borrowed = upload.cell.borrow_mut();
    let (text, cuts) = capture_with(&Rules::default(), &upload);
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let expected = serde_json::json!({
        "user": "ann",
        "path": "[not recorded: path contains invalid UTF-8 characters]",
        "at": "[not recorded: SystemTime must be later than UNIX_EPOCH]",
        "cell": "[not recorded: already mutably borrowed]",
        "poisoned": "[not recorded: a lock]",
        "wide": u128::MAX.to_string(),
        "size": 7,
    });
    #[cfg(unix)]
    assert_eq!(json, expected);
    let paths: Vec<_> = cuts.iter().map(|cut| cut.path.as_str()).collect();
    #[cfg(unix)]
    assert_eq!(paths, ["input.v.path", "input.v.at", "input.v.cell", "input.v.poisoned"]);
}

#[test]
fn a_bad_key_is_lost_without_its_value() {
    assert_captured(
        &BTreeMap::from([(Fails, 1)]),
        r#"{"[not recorded: no way]":1}"#,
        &[(".[not recorded: no way]", "no way")],
    );
    struct SeveralBadKeys;
    impl Serialize for SeveralBadKeys {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            let mut map = s.serialize_map(Some(4))?;
            map.serialize_entry(&Fails, &1)?;
            map.serialize_entry("good", &2)?;
            map.serialize_entry(&Some(Fails), &3)?;
            map.serialize_entry(&Fails, &4)?;
            map.end()
        }
    }
    assert_captured(
        &SeveralBadKeys,
        concat!(
            r#"{"[not recorded: no way]":1,"good":2,"#,
            r#""[not recorded: no way] #2":3,"[not recorded: no way] #3":4}"#
        ),
        &[
            (".[not recorded: no way]", "no way"),
            (".[not recorded: no way] #2", "no way"),
            (".[not recorded: no way] #3", "no way"),
        ],
    );
}

#[test]
fn a_bad_part_of_a_flattened_struct_is_lost_alone() {
    #[derive(Serialize)]
    struct Outer {
        a: u8,
        #[serde(flatten)]
        inner: Inner,
        #[serde(skip_serializing_if = "Option::is_none")]
        c: Option<Fails>,
        #[serde(serialize_with = "fail")]
        d: u8,
        e: u8,
    }
    #[derive(Serialize)]
    struct Inner {
        bad: Fails,
        b: u8,
    }
    fn fail<S: Serializer>(_: &u8, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("no way"))
    }
    assert_captured(
        &Outer { a: 1, inner: Inner { bad: Fails, b: 2 }, c: Some(Fails), d: 0, e: 3 },
        &format!(r#"{{"a":1,"bad":{LOST},"b":2,"c":{LOST},"d":{LOST},"e":3}}"#),
        &[(".bad", "no way"), (".c", "no way"), (".d", "no way")],
    );
}

#[test]
fn a_bad_part_counts_as_a_part_for_the_limits() {
    let rules = Rules { limits: Limits::default().length(2), mask: Mask::none() };
    let (text, cuts) = capture_with(&rules, &[Fails; 3]);
    assert_eq!(text, format!(r#"[{LOST},{LOST},"… [cut: 1 more elements]"]"#));
    assert_eq!(cuts.len(), 3);
    let rules = Rules { limits: Limits::default().bytes(60), mask: Mask::none() };
    let (text, cuts) = capture_with(&rules, &[Fails; 30]);
    assert_eq!(text, format!(r#"[{LOST},{LOST},"… [cut: 28 more elements]"]"#));
    assert_eq!(cuts.len(), 3);
    assert_eq!(cuts[2], Truncation::new("input.v", "elements", 2, Some(30)));
    // All are marked, and the first 64 are listed.
    let (text, cuts) = capture_with(&Rules::default(), &vec![Fails; 100]);
    assert_eq!((text.matches("no way").count(), cuts.len()), (100, 64));
}

#[test]
fn a_secret_in_a_bad_part_is_not_in_the_reason_of_a_hidden_part() {
    #[derive(Serialize)]
    struct Login {
        user: &'static str,
        password: Tells,
    }
    struct Tells;
    impl Serialize for Tells {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("S3CR3T is no password"))
        }
    }
    let login = Login { user: "ann", password: Tells };
    assert_captured(&login, r#"{"user":"ann","password":"[redacted]"}"#, &[]);
}

#[test]
fn a_value_that_fails_half_way_leaves_valid_json() {
    struct HalfWay;
    impl Serialize for HalfWay {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            let mut list = s.serialize_seq(Some(9))?;
            list.serialize_element(&"half")?;
            Err(S::Error::custom("no way"))
        }
    }
    assert_captured(&(HalfWay, 1), &format!(r#"[["half",{LOST}],1]"#), &[("[0][1]", "no way")]);
    assert_captured(&HalfWay, &format!(r#"["half",{LOST}]"#), &[("[1]", "no way")]);
    assert_captured(
        &Shape::One(HalfWay),
        &format!(r#"{{"One":["half",{LOST}]}}"#),
        &[(".One[1]", "no way")],
    );

    // Serde cannot flatten a text. The fields before it are kept.
    #[derive(Serialize)]
    struct Flat {
        before: u8,
        #[serde(flatten)]
        text: &'static str,
        after: u8,
    }
    let why = "can only flatten structs and maps (got a string)";
    assert_captured(
        &[Flat { before: 1, text: "x", after: 2 }],
        &format!(r#"[{{"before":1,"…":"[not recorded: {why}]"}}]"#),
        &[("[0].…", why)],
    );

    // Serde decides what to skip before it begins the struct.
    #[derive(Serialize)]
    struct Skipping {
        before: u8,
        #[serde(skip_serializing_if = "panics")]
        text: &'static str,
    }
    fn panics(_: &str) -> bool {
        panic!("on purpose")
    }
    #[derive(Serialize)]
    enum Event {
        Named(Skipping),
    }
    let why = "serialising it panicked";
    assert_captured(
        &Event::Named(Skipping { before: 1, text: "x" }),
        &format!(r#"{{"Named":"[not recorded: {why}]"}}"#),
        &[(".Named", why)],
    );
}
