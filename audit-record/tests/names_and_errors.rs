//! Names are read and written the same way everywhere, and errors say what can be done about them.

use std::error::Error as _;
use std::fmt::Debug;
use std::io;

use audit_record::{
    ChangeKind, CorrelationId, Durability, Error, ErrorInfo, FieldChange, Gap, GapBasis, Json,
    Kind, LogEntry, Note, Outcome, Record, Truncation, UnknownName,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Checks that `value` has the same name in `Display`, `FromStr` and serde.
#[track_caller]
fn check_name<T>(value: T, name: &str)
where
    T: ToString + std::str::FromStr<Err = UnknownName> + Serialize + DeserializeOwned,
    T: Copy + Debug + PartialEq,
{
    assert_eq!(value.to_string(), name);
    assert_eq!(name.parse::<T>(), Ok(value));
    assert_eq!(serde_json::to_value(value).expect("a name"), name);
    assert_eq!(serde_json::from_value::<T>(name.into()).expect("a name"), value);
}

#[test]
fn each_value_has_one_name() {
    for (level, name) in Durability::ALL.iter().zip(["queued", "process", "power"]) {
        check_name(*level, name);
    }
    for kind in Kind::ALL {
        check_name(*kind, kind.as_str());
    }
    for outcome in Outcome::ALL {
        check_name(*outcome, outcome.as_str());
    }
    for change in ChangeKind::ALL {
        check_name(*change, change.as_str());
    }
    for basis in GapBasis::ALL {
        check_name(*basis, basis.as_str());
    }
    assert_eq!(Durability::default(), Durability::Queued);
    assert_eq!(format!("{:>8}", Durability::Power), "   power");
}

#[test]
fn an_unknown_name_is_refused_with_the_names_that_exist() {
    let error = "Power".parse::<Durability>().unwrap_err();
    let expected = "`Power` is not the name of a `Durability`; use `queued`, `process` or `power`";
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.names(), ["queued", "process", "power"]);
    let error = "".parse::<ChangeKind>().unwrap_err();
    let expected = "`` is not the name of a `ChangeKind`; use `created`, `changed` or `deleted`";
    assert_eq!(error.to_string(), expected);
    let error = "\u{1b}[31mcall".parse::<Kind>().unwrap_err().to_string();
    assert!(error.starts_with("`\\u{1b}[31mcall` is not the name of a `Kind`; use `call`, "));
    let error = "x".repeat(1_000).parse::<Outcome>().unwrap_err().to_string();
    assert!(error.len() < 200, "{error}");

    let error = serde_json::from_str::<Durability>("\"disk\"").unwrap_err().to_string();
    let expected = "unknown variant `disk`, expected one of `queued`, `process`, `power`";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn json_and_correlation_ids_are_parsed_from_text() {
    assert_eq!("[1, 2]".parse::<Json>().expect("JSON").as_str(), "[1, 2]");
    let error = "[1, 2".parse::<Json>().unwrap_err();
    assert_eq!(error.to_string(), "the text is not valid JSON");
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    assert_eq!(
        Json::parse(deep).unwrap_err().to_string(),
        "the JSON nests more than 127 levels deep; most parsers could not read it back"
    );
    let Ok(id) = "order 17".parse::<CorrelationId>();
    assert_eq!(id, CorrelationId::Text("order 17".into()));
    let Ok(id) = "0192f0c1-7c1e-7cc3-9d4e-2f5b6c7d8e9f".parse::<CorrelationId>();
    assert!(matches!(id, CorrelationId::Uuid(_)));
}

#[test]
fn an_error_answers_what_can_be_done_about_it() {
    let predicates = |error: &Error| [error.is_transient(), error.is_closed(), error.is_damaged()];
    assert_eq!(predicates(&Error::permanent("no")), [false, false, false]);
    assert_eq!(predicates(&Error::transient("locked")), [true, false, false]);
    assert_eq!(predicates(&Error::closed("closed")), [false, true, false]);
    assert_eq!(predicates(&Error::damaged("damaged")), [false, false, true]);
}

#[test]
fn a_clone_of_an_error_keeps_its_kind_and_its_source() {
    let error = Error::damaged("cannot read the trail").with_source(io::Error::other("bad page"));
    let clone = error.clone();
    drop(error);
    assert!(clone.is_damaged());
    assert_eq!(clone.to_string(), "cannot read the trail");
    let source = clone.source().and_then(|source| source.downcast_ref::<io::Error>());
    assert_eq!(source.map(ToString::to_string).as_deref(), Some("bad page"));
}

#[test]
fn debug_shows_an_error_with_its_causes_in_one_line() {
    assert_eq!(format!("{:?}", Error::permanent("alone")), "alone");
    let inner = Error::transient("the disk\n  is full").with_source("quota of 5 GiB\r\nreached");
    let error = Error::permanent("cannot open the trail").with_source(inner);
    let expected = "cannot open the trail: the disk is full: quota of 5 GiB reached";
    assert_eq!(format!("{error:?}"), expected);
}

/// A program that stores public values in its own types derives `Debug` for them, sends them to
/// other threads, and keeps them.
#[test]
fn public_types_can_be_shown_sent_and_cloned() {
    fn check<T: Debug + Send + Sync + Clone + 'static>() {}
    check::<Record>();
    check::<(LogEntry, ErrorInfo, Note, Truncation, FieldChange)>();
    check::<(Kind, Outcome, ChangeKind, Durability, CorrelationId, Json)>();
    check::<(Gap, GapBasis, Error, UnknownName)>();
    check::<(audit_record::store::ChangeQuery, audit_record::store::StoredChange)>();
    check::<(audit_record::store::Batch<'_>, audit_record::store::RecorderSession)>();
}
