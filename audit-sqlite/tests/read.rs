//! Changes are read back: every part of a query, exactly.

mod common;

use audit_record::store::Sink as _;
use audit_record::store::{ChangePosition, ChangeQuery, ChangeReader, StoredChange};
use audit_record::{ChangeKind, FieldChange, Kind, Outcome, Record};
use audit_sqlite::SqliteStore;
use chrono::{DateTime, Duration, Utc};
use common::{event, full, json, query, read, time};
use tempfile::{TempDir, tempdir};

/// A trail of `records` and a reader of it.
fn trail(records: &[Record]) -> (TempDir, SqliteStore, Box<dyn ChangeReader>) {
    let directory = tempdir().unwrap();
    let mut store = SqliteStore::open(directory.path().join("audit.db")).unwrap();
    let reader = store.reader().unwrap().unwrap();
    store.write(records).unwrap();
    (directory, store, reader)
}

/// A change of the field `field` of an object, at second `second` of an hour.
fn change(target_type: &str, target_id: &str, field: &str, second: i64) -> FieldChange {
    FieldChange::new(
        target_type.to_owned(),
        target_id,
        ChangeKind::Changed,
        field.to_owned(),
        json("1"),
        json("2"),
        when(second),
    )
}

fn when(second: i64) -> DateTime<Utc> {
    time("2026-03-04T05:00:00Z") + Duration::seconds(second)
}

/// A record that tells of `changes`.
fn told(changes: Vec<FieldChange>) -> Record {
    let mut record = event("edit");
    record.kind = Kind::Change;
    record.changes = changes;
    record
}

/// The fields of what is found, which the tests here use as names.
fn fields(reader: &mut dyn ChangeReader, query: &ChangeQuery) -> Vec<String> {
    reader.changes(query).unwrap().iter().map(|stored| stored.change.field.to_string()).collect()
}

fn of_types(target_types: &[&str]) -> ChangeQuery {
    let mut query = query("", "");
    query.target_types = target_types.iter().map(|&name| name.to_owned()).collect();
    query.target_id = None;
    query
}

#[test]
fn a_change_comes_back_as_it_was_with_its_record() {
    let mut record = full();
    record.changes[0].before = json(r#"{ "b":1.10,"a":12345678901234567890123 }"#);
    let (_directory, _store, mut reader) = trail(&[event("before it"), record.clone()]);
    let stored = reader.changes(&query("account", "17")).unwrap();
    let [StoredChange { change, position: 0, record: of, .. }] = &stored[..] else {
        panic!("{stored:?}")
    };
    let mut expected = record.changes[0].clone();
    expected.changed_at = time("2026-01-02T03:04:05.700000Z");
    assert_eq!(*change, expected, "to the microsecond, and the JSON digit by digit");
    assert_eq!((of.seq, of.id, of.started_at), (2, record.id, time("2026-01-02T03:04:05.678901Z")));
    assert_eq!((&*of.action, &*of.method), ("transfer funds", "bank::transfer"));
    assert_eq!((of.kind, of.outcome), (Kind::Call, Outcome::Failure));
    assert_eq!((of.parent_id, &of.correlation_id), (record.parent_id, &record.correlation_id));
    assert_eq!((of.actor.as_deref(), of.on_behalf_of.as_deref()), (Some("alice"), Some("bob")));
    assert_eq!(of.reason.as_deref(), Some("ticket 4"));
    assert_eq!(of.notes, json(r#"[{"title":"ticket","description":"approved by phone"}]"#));
    assert_eq!(of.context, json(r#"{"request_id":"r1"}"#));

    let mut of_note = reader.changes(&query("note", "n1")).unwrap();
    let stored = of_note.remove(0);
    assert_eq!((stored.position, stored.change.change), (2, ChangeKind::Deleted));
    assert_eq!((stored.change.before, stored.change.after), (json("null"), None));
}

#[test]
fn only_what_records_of_one_kind_tell() {
    let told_by = |kind, field: &str| {
        let mut record = Record::new(kind, "edit", time("2026-01-02T03:04:05Z"));
        record.actor = Some("alice".into());
        record.changes = vec![change("t", "1", field, 0)];
        record
    };
    let records = [told_by(Kind::Call, "a"), told_by(Kind::Change, "b"), told_by(Kind::Call, "c")];
    let (_directory, _store, mut reader) = trail(&records);
    let mut wanted = query("t", "1");
    wanted.kind = Some(Kind::Change);
    assert_eq!(fields(&mut *reader, &wanted), ["b"]);
    wanted.kind = Some(Kind::Call);
    assert_eq!(fields(&mut *reader, &wanted), ["a", "c"]);
    // By way of the actor's records.
    (wanted.target_id, wanted.actor) = (None, Some("alice".to_owned()));
    assert_eq!(fields(&mut *reader, &wanted), ["a", "c"]);
}

#[test]
fn what_a_record_does_not_say_is_not_there() {
    let mut record = event("edit");
    record.changes = vec![change("t", "1", "f", 0)];
    let (_directory, _store, mut reader) = trail(&[record]);
    let stored = reader.changes(&query("t", "1")).unwrap().remove(0).record;
    assert_eq!((&*stored.method, &stored.actor, &stored.on_behalf_of), ("", &None, &None));
    assert_eq!((&stored.reason, &stored.notes, &stored.context), (&None, &None, &None));
}

#[test]
fn an_object_is_its_type_and_its_id_and_no_other() {
    let ids = ["17", "17/3", "17%", "1_", "117", "", "17 ", "%", "é", "17\0", "Nr. 17"];
    let mut changes = Vec::new();
    for target_type in ["Order", "order", "Orders", "Order/Line", "Ord%"] {
        changes.extend(
            ids.iter().map(|id| change(target_type, id, &format!("{target_type} {id}"), 0)),
        );
    }
    let (_directory, _store, mut reader) = trail(&[told(changes.clone())]);
    for wanted in &changes {
        let found = fields(&mut *reader, &query(&wanted.target_type, &wanted.target_id));
        assert_eq!(found, [&*wanted.field]);
    }
    assert!(fields(&mut *reader, &query("Order", "18")).is_empty());
    assert!(fields(&mut *reader, &query("Customer", "17")).is_empty());
    assert_eq!(fields(&mut *reader, &of_types(&["Orders"])).len(), ids.len());
    let both = of_types(&["Order", "Customer", "order", "Order"]);
    assert_eq!(fields(&mut *reader, &both).len(), 2 * ids.len());
    assert!(fields(&mut *reader, &of_types(&[])).is_empty());
}

#[test]
fn children_are_below_the_type_and_below_the_id() {
    let changes = [
        ("Order", "17"),
        ("Order/Line", "17/1"),
        ("Order/Line", "17/2"),
        ("Order/Line/Note", "17/2/a"),
        // Neither below the one nor the other, or below one of them alone.
        ("Order", "17/1"),
        ("Order/Line", "17"),
        ("Order/Line", "170/1"),
        ("Order/Line", "18/1"),
        ("OrderLine", "17/1"),
        ("Order0", "17/1"),
        ("Order.Line", "17/1"),
        ("Orde", "17/1"),
        ("Order/Line", "17%2F1"),
        ("Order/Line", "17_1"),
    ]
    .map(|(target_type, id)| change(target_type, id, &format!("{target_type} {id}"), 0));
    let (_directory, _store, mut reader) = trail(&[told(changes.to_vec())]);

    let mut family = query("Order", "17");
    assert_eq!(fields(&mut *reader, &family), ["Order 17"]);
    family.children = Some("17".to_owned());
    let all = ["Order 17", "Order/Line 17/1", "Order/Line 17/2", "Order/Line/Note 17/2/a"];
    assert_eq!(fields(&mut *reader, &family), all);
    family.target_types = vec!["Order/Line".to_owned()];
    (family.target_id, family.children) = (Some("17/2".to_owned()), Some("17/2".to_owned()));
    assert_eq!(fields(&mut *reader, &family), ["Order/Line 17/2", "Order/Line/Note 17/2/a"]);
    family.target_types = vec!["Order".to_owned(), "Order/Line".to_owned()];
    (family.target_id, family.children) = (Some("17".to_owned()), Some("17".to_owned()));
    let with_line = [
        "Order 17",
        "Order/Line 17/1",
        "Order/Line 17/2",
        "Order/Line/Note 17/2/a",
        "Order/Line 17",
    ];
    assert_eq!(fields(&mut *reader, &family), with_line);

    let mut of_type = of_types(&["Order"]);
    of_type.children = Some(String::new());
    let expected: Vec<_> = changes
        .iter()
        .filter(|c| c.target_type == "Order" || c.target_type.starts_with("Order/"))
        .map(|c| c.field.to_string())
        .collect();
    assert_eq!(fields(&mut *reader, &of_type), expected);
    assert_eq!(expected.len(), 10);
}

/// Actors are often named like this, and are in the same table as the names of types.
#[test]
fn any_number_of_names_may_begin_like_a_child() {
    let mut records: Vec<_> = (0..500)
        .map(|n| {
            let mut record = event("look");
            record.actor = Some(format!("user/{n}").into());
            record
        })
        .collect();
    records.push(told(vec![
        change("user", "1", "own", 0),
        change("user/key", "1/x", "key", 0),
        change("user/key/use", "1/x/7", "use", 0),
        change("user0", "1/x", "other", 0),
        change("visit", "1/x", "visit", 0),
    ]));
    let (_directory, _store, mut reader) = trail(&records);
    let mut family = query("user", "1");
    family.children = Some("1".to_owned());
    assert_eq!(fields(&mut *reader, &family), ["own", "key", "use"]);
    (family.target_id, family.children) = (None, Some(String::new()));
    assert_eq!(fields(&mut *reader, &family), ["own", "key", "use"]);
}

#[test]
fn a_field_is_found_with_what_is_inside_it() {
    let paths = [
        "address",
        "address.city",
        "address.city.name",
        "address[3]",
        "address[]",
        r#"address["a b"]"#,
        "address_2",
        "address-2",
        "addressee",
        "addres",
        "Address",
        "the.address",
        "",
        r#"["na.me"]"#,
        r#"["na.me"].first"#,
        r#"["na.me"][0]"#,
        "na.me",
        "na",
        r#"["na"]"#,
        r#"["na.me2"]"#,
        r#"["a\"b"]"#,
        r#"[""]"#,
        "a%b",
        "a_b",
    ];
    let changes = paths.iter().map(|path| change("t", "1", path, 0)).collect();
    let (_directory, _store, mut reader) = trail(&[told(changes)]);
    for (names, found) in [
        (
            &["address"][..],
            &[
                "address",
                "address.city",
                "address.city.name",
                "address[3]",
                "address[]",
                r#"address["a b"]"#,
            ][..],
        ),
        (&["address.city"], &["address.city", "address.city.name"]),
        (&["na.me"], &[r#"["na.me"]"#, r#"["na.me"].first"#, r#"["na.me"][0]"#, "na.me"]),
        (&[r#"["na.me"]"#], &[r#"["na.me"]"#, r#"["na.me"].first"#, r#"["na.me"][0]"#]),
        (&["na"], &["na.me", "na", r#"["na"]"#]),
        (&["a\"b"], &[r#"["a\"b"]"#]),
        (&[""], &["", r#"[""]"#]),
        (&["a%b"], &["a%b"]),
        (&["a_b"], &["a_b"]),
        (&["addres", "Address", "none"], &["addres", "Address"]),
        (&["none"], &[]),
    ] {
        let mut wanted = query("t", "1");
        wanted.fields = names.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(fields(&mut *reader, &wanted), found, "{names:?}");
        wanted.target_id = None;
        assert_eq!(fields(&mut *reader, &wanted), found, "{names:?}");
    }
}

#[test]
fn the_kind_the_actor_and_the_time_narrow_it_down() {
    let mut records = Vec::new();
    for (n, (actor, kind)) in [
        (Some("alice"), ChangeKind::Created),
        (Some("bob"), ChangeKind::Changed),
        (None, ChangeKind::Changed),
        (Some("alice"), ChangeKind::Changed),
        (Some("alice"), ChangeKind::Deleted),
        (Some("Alice"), ChangeKind::Deleted),
    ]
    .into_iter()
    .enumerate()
    {
        let mut record = told(vec![change("t", "1", &n.to_string(), n as i64)]);
        record.changes[0].change = kind;
        record.actor = actor.map(Into::into);
        records.push(record);
    }
    let (_directory, _store, mut reader) = trail(&records);
    type Setting = fn(&mut ChangeQuery);
    let micro = Duration::microseconds(1);
    let nano = Duration::nanoseconds(1);
    for (found, set) in [
        ("0 1 2 3 4 5", (|_| ()) as Setting),
        ("0", |q| q.change = Some(ChangeKind::Created)),
        ("1 2 3", |q| q.change = Some(ChangeKind::Changed)),
        ("4 5", |q| q.change = Some(ChangeKind::Deleted)),
        ("0 3 4", |q| q.actor = Some("alice".into())),
        ("", |q| q.actor = Some("mallory".into())),
        ("", |q| q.actor = Some("t".into())),
        ("4", |q| {
            q.actor = Some("alice".into());
            q.change = Some(ChangeKind::Deleted);
        }),
        ("2 3 4 5", |q| q.from = Some(when(2))),
        ("0 1", |q| q.until = Some(when(2))),
        ("2 3", |q| (q.from, q.until) = (Some(when(2)), Some(when(4)))),
        ("", |q| (q.from, q.until) = (Some(when(2)), Some(when(2)))),
    ] {
        let mut wanted = query("t", "1");
        set(&mut wanted);
        for target_id in [Some("1".to_owned()), None] {
            wanted.target_id = target_id;
            assert_eq!(fields(&mut *reader, &wanted).join(" "), found, "{wanted:?}");
        }
    }
    for (from, until, found) in [
        (when(2) + nano, when(4) + nano, "3 4"),
        (when(2) - nano, when(4) - nano, "2 3"),
        (when(2) + micro, when(4) + micro, "3 4"),
        (when(2) - micro, when(4) - micro, "2 3"),
    ] {
        let mut wanted = query("t", "1");
        (wanted.from, wanted.until) = (Some(from), Some(until));
        assert_eq!(fields(&mut *reader, &wanted).join(" "), found);
    }
}

/// Three records, stored in another order than that of their changes.
#[test]
fn an_object_is_told_by_time_and_a_type_by_storing() {
    let (_directory, _store, mut reader) = trail(&[
        told(vec![change("t", "1", "late", 9), change("t", "1", "same, first", 5)]),
        told(vec![change("t", "1", "early", 1), change("t", "2", "other", 3)]),
        told(vec![
            change("t", "1", "same, second", 5),
            change("t", "1", "before 1970", -2_000_000_000),
        ]),
    ]);
    let mut of_one = query("t", "1");
    let by_time = ["before 1970", "early", "same, first", "same, second", "late"];
    assert_eq!(fields(&mut *reader, &of_one), by_time);
    of_one.newest_first = true;
    let reversed: Vec<_> = by_time.into_iter().rev().collect();
    assert_eq!(fields(&mut *reader, &of_one), reversed);
    let mut of_all = of_types(&["t"]);
    let stored = ["late", "same, first", "early", "other", "same, second", "before 1970"];
    assert_eq!(fields(&mut *reader, &of_all), stored);
    of_all.newest_first = true;
    let reversed: Vec<_> = stored.into_iter().rev().collect();
    assert_eq!(fields(&mut *reader, &of_all), reversed);
}

#[test]
fn a_page_begins_behind_any_place() {
    let (_directory, _store, mut reader) = trail(&[
        told(vec![change("t", "1", "a", 1), change("t", "1", "b", 1)]),
        told(vec![change("t", "1", "c", 2)]),
    ]);
    let nano = Duration::nanoseconds(1);
    for (after, forward, backward) in [
        (ChangePosition::new(when(1), 1, 0), "b c", ""),
        (ChangePosition::new(when(1), 1, 1), "c", "a"),
        (ChangePosition::new(when(1), 0, 9), "a b c", ""),
        (ChangePosition::new(when(1), u64::MAX, u64::MAX >> 1), "c", "b a"),
        (ChangePosition::new(when(1) + nano, 1, 0), "c", "b a"),
        (ChangePosition::new(when(1) - nano, 1, 0), "a b c", ""),
        (ChangePosition::new(DateTime::<Utc>::MAX_UTC, 1, 0), "", "c b a"),
        (ChangePosition::new(DateTime::<Utc>::MIN_UTC, 1, 0), "a b c", ""),
    ] {
        let mut wanted = query("t", "1");
        wanted.after = Some(after);
        assert_eq!(fields(&mut *reader, &wanted).join(" "), forward, "{after:?}");
        wanted.newest_first = true;
        assert_eq!(fields(&mut *reader, &wanted).join(" "), backward, "{after:?}");
    }
    let mut of_type = of_types(&["t"]);
    of_type.after = Some(ChangePosition::new(when(9), 1, 1));
    assert_eq!(
        fields(&mut *reader, &of_type),
        ["c"],
        "of a type, only the place in the store counts"
    );
    of_type.limit = 0;
    assert!(fields(&mut *reader, &of_type).is_empty());
}

/// What the recorder never stores, and somebody with another tool might.
#[test]
fn what_others_have_stored_is_read_without_panic() {
    let (directory, _store, mut reader) = trail(&[told(vec![change("t", "1", "sound", 0)])]);
    let path = directory.path().join("audit.db");
    let connection = read(&path);
    connection
        .execute_batch(
            "DROP TRIGGER audit_field_change_insert; DROP TRIGGER audit_record_update;
             UPDATE audit_record SET notes = 'not JSON', context = CAST(x'ff' AS TEXT), outcome = 77,
                 reason = CAST(x'61ff' AS TEXT), id = x'00', started_at = 9223372036854775807;
             INSERT INTO audit_field_change
                 SELECT 1, 1, target_type, '1', 0, 99999, '{', CAST(x'22ff' AS TEXT), 9223372036854775807
                 FROM audit_field_change;
             INSERT INTO audit_field_change
                 SELECT 1, -1, target_type, '1', 0, field, NULL, NULL, -9223372036854775807
                 FROM audit_field_change WHERE position = 0;",
        )
        .unwrap();
    let mut wanted = query("t", "1");
    wanted.limit = 1;
    let mut found = Vec::new();
    while let [stored] = &reader.changes(&wanted).unwrap()[..] {
        wanted.after = Some(stored.place());
        found.push(stored.clone());
    }
    let seen: Vec<_> =
        found.iter().map(|stored| (&*stored.change.field, stored.position)).collect();
    assert_eq!(seen, [("sound", u64::MAX), ("sound", 0), ("", 1)]);
    assert_eq!(found[2].change.before, json("\"{\""));
    assert_eq!(found[2].change.after, json("\"\\\"\u{fffd}\""));
    let record = &found[1].record;
    assert_eq!((&record.notes, &record.context), (&json("\"not JSON\""), &json("\"\u{fffd}\"")));
    assert_eq!((record.outcome, record.reason.as_deref()), (Outcome::Unknown, Some("a\u{fffd}")));

    // The record is gone, and another one has come.
    connection.execute_batch("UPDATE audit_record SET seq = 2").unwrap();
    wanted.after = None;
    let error = reader.changes(&wanted).unwrap_err();
    assert!(!error.is_transient());
    let expected = "cannot read the record 1 of the audit trail: its changes are there, but it is \
        missing; somebody has written to the trail by other means than the recorder, so compare it \
        with a backup";
    assert_eq!(error.to_string(), expected);
}
