//! How much of a call is recorded: the `capture` argument, the default of the recorder, its switch,
//! and its list of skipped actions.

use audited::{Audit, AuditBuilder, CaptureLevel, Context, Limits, Mask, Redacted, audit_method};
use serde_json::json;
use support::MemoryStore;

mod support;

/// Defines functions that differ only in the arguments of the attribute.
macro_rules! audited_functions {
    ($($name:ident($($arguments:tt)*);)*) => {
        $(
            #[audit_method($($arguments)*)]
            fn $name(n: u32) -> u32 {
                n + 1
            }
        )*
    };
}

audited_functions! {
    by_default(action = "by default");
    none(action = "none", capture = "none");
    metadata(action = "metadata", capture = "metadata");
    input(action = "input", capture = "input");
    full(action = "full", capture = "full");
}

/// Runs `f` with a recorder and returns the records.
fn recorded(builder: AuditBuilder, f: impl FnOnce()) -> Vec<audited::Record> {
    let kept = MemoryStore::default();
    let audit = builder.store(kept.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(f);
    audit.flush().expect("the store accepts every record");
    kept.records()
}

fn call_all() {
    for call in [by_default, none, metadata, input, full] {
        assert_eq!(call(1), 2);
    }
}

/// For each record: the action, and whether it has an input and an output.
fn summary(records: &[audited::Record]) -> Vec<(&str, bool, bool)> {
    records.iter().map(|r| (&*r.action, r.input.is_some(), r.output.is_some())).collect()
}

#[test]
fn the_attribute_sets_the_capture_level() {
    let records = recorded(Audit::builder(), call_all);
    assert_eq!(
        summary(&records),
        [
            ("by default", true, true),
            ("metadata", false, false),
            ("input", true, false),
            ("full", true, true),
        ],
    );
}

#[test]
fn the_recorder_sets_the_capture_level_where_the_attribute_does_not() {
    let records = recorded(Audit::builder().capture(CaptureLevel::Metadata), call_all);
    assert_eq!(summary(&records)[0], ("by default", false, false));
    assert_eq!(summary(&records)[3], ("full", true, true));
    let records = recorded(Audit::builder().capture(CaptureLevel::None), call_all);
    assert_eq!(summary(&records).len(), 3);
}

#[test]
fn actions_are_skipped_by_name_and_by_pattern() {
    let records = recorded(Audit::builder().skip_actions(["full", "by*", "i?put"]), || {
        call_all();
        audited::execute("by execute", "levels", (), || ());
    });
    assert_eq!(summary(&records), [("metadata", false, false)]);
}

#[test]
fn recording_can_be_switched_off_and_on() {
    let kept = MemoryStore::default();
    let audit = Audit::builder().store(kept.clone()).enabled(false).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    context.scope(|| by_default(1));
    assert!(!audit.is_enabled());
    audit.set_enabled(true);
    context.scope(|| full(1));
    audit.set_enabled(false);
    context.scope(|| by_default(1));
    audit.flush().expect("the store accepts every record");
    assert_eq!(kept.actions(), ["full"]);
    assert_eq!(audit.counters().accepted, 1);
}

#[test]
fn the_recorder_sets_limits_and_mask() {
    #[audit_method(action = "take values")]
    fn take_values(text: &str, iban: &str, password: &str) -> Vec<u8> {
        let _ = (text, iban, password);
        vec![1, 2, 3]
    }
    let builder = Audit::builder()
        .limits(Limits::default().bytes(12).length(2))
        .mask(Mask::none().name("iban"));
    let records = recorded(builder, || _ = take_values("0123456789abcdef", "DE02", "secret"));
    assert_eq!(
        *records[0].input.as_ref().expect("input"),
        json!({"text": "0123456789… [cut: 16 bytes]", "iban": "[redacted]", "password": "secret"}),
    );
    assert_eq!(
        *records[0].output.as_ref().expect("output"),
        json!([1, 2, "… [cut: 1 more elements]"])
    );
    let cuts: Vec<_> = records[0]
        .truncated
        .iter()
        .map(|cut| (&*cut.path, &*cut.unit, cut.kept, cut.was))
        .collect();
    assert_eq!(cuts, [("input.text", "bytes", 10, Some(16)), ("output", "elements", 2, Some(3))]);
}

#[test]
fn secrets_are_masked_by_name_by_argument_and_by_type() {
    #[derive(serde::Serialize)]
    struct Login {
        user: String,
        #[serde(rename = "apiKey")]
        api_key: String,
        nested: serde_json::Value,
    }
    #[audit_method(action = "log in", redact(note))]
    fn log_in(
        login: &Login,
        password: &str,
        note: &str,
        wrapped: Redacted<&str>,
        secret_box: secrecy::SecretString,
    ) -> Redacted<u32> {
        let _ = (login, password, note, wrapped, secret_box);
        Redacted::new(5)
    }
    let login = Login {
        user: "alice".into(),
        api_key: "S3CR3T".into(),
        nested: json!({"a": [{"API-KEY": "S3CR3T", "n": 1}]}),
    };
    let records = recorded(Audit::builder(), || {
        let five = log_in(&login, "S3CR3T", "S3CR3T", Redacted::new("S3CR3T"), "S3CR3T".into());
        assert_eq!(*five.expose(), 5);
    });
    assert_eq!(
        *records[0].input.as_ref().expect("input"),
        json!({
            "login": {
                "user": "alice",
                "apiKey": "[redacted]",
                "nested": {"a": [{"API-KEY": "[redacted]", "n": 1}]},
            },
            "password": "[redacted]",
            "note": "[redacted]",
            "wrapped": "[redacted]",
            "secret_box": "[redacted]",
        }),
    );
    assert_eq!(*records[0].output.as_ref().expect("output"), json!("[redacted]"));
    assert!(!format!("{records:?}").contains("S3CR3T"));
}

#[test]
fn a_capture_level_is_parsed_and_shown_by_its_name() {
    let levels = [
        (CaptureLevel::None, "none"),
        (CaptureLevel::Metadata, "metadata"),
        (CaptureLevel::Input, "input"),
        (CaptureLevel::Full, "full"),
    ];
    for (level, name) in levels {
        assert_eq!((level.to_string().as_str(), level.as_str()), (name, name));
        assert_eq!(name.parse::<CaptureLevel>().expect("a name"), level);
        assert_eq!(serde_json::to_value(level).expect("JSON"), json!(name));
        assert_eq!(serde_json::from_value::<CaptureLevel>(json!(name)).expect("a level"), level);
    }
    assert_eq!(format!("{:>6}", CaptureLevel::Full), "  full");
}

#[test]
fn an_unknown_capture_level_is_rejected_with_the_known_names() {
    let expected =
        |name| format!("unknown capture level `{name}`: use `none`, `metadata`, `input` or `full`");
    for name in ["", "Full", "inputs"] {
        let error = name.parse::<CaptureLevel>().expect_err("no level has this name");
        assert_eq!(error.to_string(), expected(name));
        let error = serde_json::from_value::<CaptureLevel>(json!(name)).expect_err("the same");
        assert_eq!(error.to_string(), expected(name));
    }
    serde_json::from_value::<CaptureLevel>(json!(3)).expect_err("a level is a text");
}
