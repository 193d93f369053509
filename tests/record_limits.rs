//! The limits of a record: every part of it is limited, and `truncated` reports what was cut.

use std::collections::BTreeMap;

use audited::record::Kind;
use audited::{Audit, Context, Record, SqliteStore, audit_method, testing};

#[test]
fn fields_are_limited_in_number_and_bytes() {
    #[audit_method(action = "fields")]
    fn fields() {
        for number in 0..2_000 {
            audited::field(format!("field {number}"), number);
        }
    }
    #[audit_method(action = "large fields")]
    fn large_fields() {
        for number in 0..100 {
            audited::field(format!("field {number}"), "x".repeat(10_000));
        }
    }
    let records = testing::capture(|| {
        fields();
        large_fields();
    });
    let cut = records[0].truncated.last().expect("a truncation");
    assert_eq!((cut.path.as_str(), cut.kept, cut.was), ("context.extra", 1_000, Some(2_000)));
    let size = records[1].context.as_ref().expect("fields").as_str().len();
    assert!(size < 270 * 1024, "{size}");
}

#[test]
fn notes_are_limited_in_bytes() {
    #[audit_method(action = "notes")]
    fn notes() {
        for _ in 0..100 {
            audited::note("a note", "x".repeat(10_000));
        }
    }
    let records = testing::capture(notes);
    assert_eq!(records[0].notes.len(), 26);
    let cut = records[0].truncated.last().expect("a truncation");
    assert_eq!((cut.path.as_str(), cut.kept, cut.was), ("notes", 26, Some(100)));
}

#[test]
fn the_list_of_truncations_is_limited() {
    #[audit_method(action = "reasons")]
    fn reasons() {
        for _ in 0..1_000 {
            audited::reason("x".repeat(20_000));
        }
    }
    let records = testing::capture(reasons);
    assert_eq!(records[0].truncated.len(), 256);
}

#[test]
fn parts_of_a_target_are_truncated_and_may_panic() {
    struct Panics;
    impl std::fmt::Display for Panics {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("in Display")
        }
    }
    #[audit_method(action = "target", target = ("x".repeat(5_000), Panics, "y".repeat(5_000)))]
    fn target() -> u8 {
        5
    }
    let records = testing::capture(|| assert_eq!(target(), 5));
    // printf 'x%.0s' {1..5000} | sha256sum, and the same with `y`
    let long =
        |c: &str, digest: &str| format!("{}… [cut: 5000 bytes, sha256 {digest}]", c.repeat(1_024));
    let (x, y) = (
        long("x", "c59d3c0480cc2d71d8f646e735e92da6"),
        long("y", "3c45db29c8ef328025296a2b8b1db1af"),
    );
    assert_eq!(records[0].target_type.as_deref(), Some(&*x));
    assert_eq!(records[0].target_id.as_deref(), Some("[not recorded: formatting it panicked]"));
    assert_eq!(records[0].target_label.as_deref(), Some(&*y));
    assert_eq!(
        cuts(&records[0]),
        [
            ("target_type".to_owned(), 1_024, Some(5_000)),
            ("target_label".to_owned(), 1_024, Some(5_000)),
        ]
    );
}

fn cuts(record: &Record) -> Vec<(String, u64, Option<u64>)> {
    record.truncated.iter().map(|cut| (cut.path.clone(), cut.kept, cut.was)).collect()
}

/// Two texts of 2,001 bytes that differ in the last one.
fn long_pair() -> [String; 2] {
    ["a", "b"].map(|last| "x".repeat(2_000) + last)
}

#[test]
fn texts_of_a_context_are_limited_and_stay_different() {
    let records = testing::capture(|| {
        for long in long_pair() {
            let long = long.as_str();
            let context = Context::new()
                .actor(long)
                .on_behalf_of(long)
                .site(long)
                .service(long)
                .correlation_id(long)
                .request_id(long)
                .session(long)
                .user_agent(long)
                .url(format!("/?q={}", long.repeat(10)))
                .field(long, 1);
            context.scope(|| audited::execute(long.to_owned(), long.to_owned(), (), || ()));
        }
    });
    let [a, b] = &records[..] else { panic!("two records: {records:?}") };
    let texts = |record: &Record| {
        let context = record.context.as_ref().expect("a context").to_value();
        let text = |name: &str| context[name].as_str().expect("a text").to_owned();
        let key = context["extra"].as_object().expect("an object").keys().next().cloned();
        [
            record.actor.as_deref().expect("an actor").to_owned(),
            record.on_behalf_of.as_deref().expect("a user").to_owned(),
            record.site.as_deref().expect("a site").to_owned(),
            record.service.as_deref().expect("a service").to_owned(),
            record.correlation_id.to_string(),
            record.action.to_string(),
            record.method.to_string(),
            text("request_id"),
            text("session"),
            text("user_agent"),
            key.expect("a key"),
        ]
    };
    for (a, b) in texts(a).iter().zip(&texts(b)) {
        assert_ne!(a, b);
        assert!(a.starts_with(&("x".repeat(1_024) + "… [cut: 2001 bytes, sha256 ")), "{a}");
        assert_eq!(a.len(), 1_024 + "… [cut: 2001 bytes, sha256 ]".len() + 32);
    }
    let url = a.context.as_ref().expect("a context").to_value()["url"].clone();
    let url = url.as_str().expect("a text");
    assert!(url.starts_with("/?q=xxx") && url.ends_with("x… [cut: 20014 bytes]"), "{url}");
    let mut listed = cuts(a);
    listed.sort();
    let mut expected: Vec<_> = [
        "action",
        "actor",
        "correlation_id",
        "method",
        "on_behalf_of",
        "service",
        "site",
        "context.request_id",
        "context.session",
        "context.user_agent",
    ]
    .map(|path| (path.to_owned(), 1_024, Some(2_001)))
    .into();
    expected.push(("context.url".to_owned(), 8_192, Some(20_014)));
    expected.sort();
    assert_eq!(listed, expected);
}

#[test]
fn a_very_long_actor_makes_a_small_trail() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("audit.db");
    let store = SqliteStore::open(&path).expect("a new file");
    let audit = Audit::builder().store(store).build().expect("a recorder");
    let long = "a".repeat(20 * 1024 * 1024);
    Context::new().recorder(&audit).actor(&*long).site("eu-1").scope(|| {
        let long = &long[..2 * 1024 * 1024];
        audited::execute(long.to_owned(), long.to_owned(), (), || ());
        audited::change_of(long.to_owned(), long).change(long, 1, 2).record();
        let mut record = Record::new(Kind::Event, long.to_owned(), chrono::Utc::now());
        record.actor = Some(long.into());
        record.target_id = Some(long.to_owned());
        audited::append(record).expect("a recorder applies");
    });
    audit.shutdown().expect("the file is closed");
    let bytes = std::fs::metadata(&path).expect("the file").len();
    assert!(bytes < 512 * 1024, "{bytes} bytes");
    let rows: i64 = rusqlite::Connection::open(&path)
        .expect("a database")
        .query_row("SELECT count(*) FROM audit_log WHERE actor GLOB 'aaa*sha256*'", [], |row| {
            row.get(0)
        })
        .expect("a row");
    assert_eq!(rows, 3);
}

#[test]
fn two_long_keys_with_the_same_beginning_are_two_objects() {
    let [a, b] = long_pair();
    let records = testing::capture(|| {
        audited::change_of("file", &a).change("size", 1, 2).record();
        audited::change_of("file", &b).change("size", 3, 4).record();
    });
    for (key, expected) in [(&a, "1 → 2"), (&b, "3 → 4")] {
        let found = testing::history_of(&records, "file", key).changes();
        let found = found.collect::<Result<Vec<_>, _>>().expect("a history");
        let [change] = &found[..] else { panic!("one change: {found:?}") };
        assert!(change.to_string().ends_with(expected), "{change}");
    }
    let expected = ("target_id".to_owned(), 1_024, Some(2_001));
    assert_eq!(cuts(&records[0])[0], expected);
    assert_eq!(cuts(&records[0])[1].0, "changes[0].target_id");
}

#[test]
fn long_keys_of_a_map_give_short_paths() {
    #[audit_method(action = "count", skip(map))]
    fn count(map: &[(&str, u8)]) {
        let map =
            |n: u8| map.iter().map(|(key, value)| (*key, value + n)).collect::<BTreeMap<_, _>>();
        audited::change_of("words", 1).change("counts", map(0), map(1)).record();
    }
    let [a, b] = long_pair();
    let records = testing::capture(|| count(&[(&a, 1), (&b, 2)]));
    let fields: Vec<&str> = records[0].changes.iter().map(|change| &*change.field).collect();
    let [first, second] = fields[..] else { panic!("two changes: {fields:?}") };
    assert_ne!(first, second);
    assert!(first.len() < 1_200 && first.starts_with("counts[\"xxx"), "{first}");
}

#[test]
fn a_context_keeps_a_limited_number_of_fields() {
    let mut context = Context::new();
    for n in 0..1_010 {
        context = context.field(format!("field {n}"), n).field("same", n);
    }
    let large = (0..40)
        .fold(Context::new(), |context, n| context.field(format!("field {n}"), "x".repeat(10_000)));
    let records = testing::capture(|| {
        context.scope(|| audited::execute("work", "work", (), || ()));
        large.scope(|| audited::execute("work", "work", (), || ()));
    });
    assert_eq!(cuts(&records[0]), [("context.extra".to_owned(), 1_000, Some(1_011))]);
    assert_eq!(cuts(&records[1]), [("context.extra".to_owned(), 26, Some(40))]);
}

#[test]
fn a_name_that_is_cut_is_masked_by_what_was_cut() {
    let name = "x".repeat(2_000) + "_password";
    let records = testing::capture(|| {
        Context::new().field(&*name, "HUNTER2").scope(|| {
            audited::execute("work", "work", (), || audited::field(&name, "HUNTER3"));
            audited::change_of("user", 1).value(&name, "HUNTER4").field(&*name, "HUNTER5").record();
        });
    });
    let text = format!("{records:?}");
    assert!(!text.contains("HUNTER"), "{text}");
    // In both contexts, and in the change.
    assert_eq!(text.matches("[redacted]").count(), 3, "{text}");
}

#[test]
fn a_url_is_cut_before_it_is_masked_and_hides_what_the_cut_leaves_open() {
    let long = "x".repeat(10_000);
    let url = |url: String| {
        let records = testing::capture(|| {
            Context::new().url(url).scope(|| audited::execute("work", "work", (), || ()));
        });
        records[0].context.as_ref().expect("a context").to_value()["url"]
            .as_str()
            .map(str::to_owned)
    };
    // The cut is inside the password, so its end is missing.
    let found = url(format!("https://bob:{long}@host/"));
    assert_eq!(found.as_deref(), Some("https://[redacted]… [cut: 10018 bytes]"));
    let found = url(format!("https://host/?password={long}"));
    assert_eq!(found.as_deref(), Some("https://host/?password=[redacted]… [cut: 10023 bytes]"));
    let found = url(format!("https://bob:secret@host/{long}")).expect("a URL");
    assert!(found.starts_with("https://bob:[redacted]@host/xxx"), "{found}");
}

#[test]
fn notes_of_a_change_are_limited() {
    let records = testing::capture(|| {
        let mut change = audited::change_of("invoice", 1).change("total", 1, 2);
        for _ in 0..100 {
            change = change.notes("x".repeat(10_000));
        }
        change.record();
    });
    assert_eq!(cuts(&records[0]), [("notes".to_owned(), 26, Some(100))]);
}

#[test]
fn a_record_that_is_appended_again_keeps_its_identifiers() {
    let [a, _] = long_pair();
    let records = testing::capture(|| {
        Context::new().actor(&*a).scope(|| {
            audited::change_of("file", (&*a, &*a)).change("size", 1, 2).record();
        });
    });
    let again = testing::capture(|| audited::append(records[0].clone()).expect("a recorder"));
    assert_eq!(again, records);
}
