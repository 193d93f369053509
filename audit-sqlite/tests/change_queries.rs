//! Every part of a `ChangeQuery` selects exactly the right changes.

mod common;

use audit_record::store::Store as _;
use audit_record::store::{ChangePosition, ChangeQuery, ChangeReader, Children, StoredChange};
use audit_record::{ChangeKind, FieldChange, Kind, Outcome, Record};
use audit_sqlite::SqliteStore;
use chrono::{DateTime, Duration, Utc};
use common::{event, full, json, query, read, time};
use tempfile::{TempDir, tempdir};

/// A trail that holds `records`, and a reader of it.
fn trail(records: &[Record]) -> (TempDir, SqliteStore, Box<dyn ChangeReader>) {
    let directory = tempdir().unwrap();
    let mut store = SqliteStore::open(directory.path().join("audit.db")).unwrap();
    let reader = store.reader().unwrap().unwrap();
    store.write(records).unwrap();
    (directory, store, reader)
}

/// A change of `field` of an object, at second `second` of an hour.
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

/// A record with `changes`.
fn record_with(changes: Vec<FieldChange>) -> Record {
    let mut record = event("edit");
    record.kind = Kind::Change;
    record.changes = changes;
    record
}

/// The fields of the changes found. The tests use them as names of the changes.
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
fn a_change_is_read_back_unchanged_with_its_record() {
    let mut record = full();
    record.changes[0].before = json(r#"{ "b":1.10,"a":12345678901234567890123 }"#);
    let (_directory, _store, mut reader) = trail(&[event("before it"), record.clone()]);
    let stored = reader.changes(&query("account", "17")).unwrap();
    let [StoredChange { change, position: 0, record: of, .. }] = &stored[..] else {
        panic!("{stored:?}")
    };
    let mut expected = record.changes[0].clone();
    expected.changed_at = time("2026-01-02T03:04:05.700000Z");
    assert_eq!(*change, expected, "the time to the microsecond, and the JSON digit by digit");
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
fn kind_selects_changes_by_the_kind_of_their_record() {
    let record_of_kind = |kind, field: &str| {
        let mut record = Record::new(kind, "edit", time("2026-01-02T03:04:05Z"));
        record.actor = Some("alice".into());
        record.changes = vec![change("t", "1", field, 0)];
        record
    };
    let records = [
        record_of_kind(Kind::Call, "a"),
        record_of_kind(Kind::Change, "b"),
        record_of_kind(Kind::Call, "c"),
    ];
    let (_directory, _store, mut reader) = trail(&records);
    let mut wanted = query("t", "1");
    wanted.kind = Some(Kind::Change);
    assert_eq!(fields(&mut *reader, &wanted), ["b"]);
    wanted.kind = Some(Kind::Call);
    assert_eq!(fields(&mut *reader, &wanted), ["a", "c"]);
    // This query searches the actor's records.
    (wanted.target_id, wanted.actor) = (None, Some("alice".to_owned()));
    assert_eq!(fields(&mut *reader, &wanted), ["a", "c"]);
}

#[test]
fn unset_columns_of_the_record_are_none() {
    let mut record = event("edit");
    record.changes = vec![change("t", "1", "f", 0)];
    let (_directory, _store, mut reader) = trail(&[record]);
    let stored = reader.changes(&query("t", "1")).unwrap().remove(0).record;
    assert_eq!((&*stored.method, &stored.actor, &stored.on_behalf_of), ("", &None, &None));
    assert_eq!((&stored.reason, &stored.notes, &stored.context), (&None, &None, &None));
}

#[test]
fn an_object_is_selected_by_its_exact_type_and_id() {
    let ids = ["17", "17/3", "17%", "1_", "117", "", "17 ", "%", "é", "17\0", "Nr. 17"];
    let mut changes = Vec::new();
    for target_type in ["Order", "order", "Orders", "Order/Line", "Ord%"] {
        changes.extend(
            ids.iter().map(|id| change(target_type, id, &format!("{target_type} {id}"), 0)),
        );
    }
    let (_directory, _store, mut reader) = trail(&[record_with(changes.clone())]);
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
fn children_are_below_both_the_type_and_the_id() {
    let changes = [
        ("Order", "17"),
        ("Order/Line", "17/1"),
        ("Order/Line", "17/2"),
        ("Order/Line/Note", "17/2/a"),
        // Below neither the type nor the id, or below only one of them.
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
    let (_directory, _store, mut reader) = trail(&[record_with(changes.to_vec())]);

    let mut family = query("Order", "17");
    assert_eq!(fields(&mut *reader, &family), ["Order 17"]);
    family.children = Some(Children::Of("17".to_owned()));
    let all = ["Order 17", "Order/Line 17/1", "Order/Line 17/2", "Order/Line/Note 17/2/a"];
    assert_eq!(fields(&mut *reader, &family), all);
    family.target_types = vec!["Order/Line".to_owned()];
    family.target_id = Some("17/2".to_owned());
    family.children = Some(Children::Of("17/2".to_owned()));
    assert_eq!(fields(&mut *reader, &family), ["Order/Line 17/2", "Order/Line/Note 17/2/a"]);
    family.target_types = vec!["Order".to_owned(), "Order/Line".to_owned()];
    family.target_id = Some("17".to_owned());
    family.children = Some(Children::Of("17".to_owned()));
    let with_line = [
        "Order 17",
        "Order/Line 17/1",
        "Order/Line 17/2",
        "Order/Line/Note 17/2/a",
        "Order/Line 17",
    ];
    assert_eq!(fields(&mut *reader, &family), with_line);

    family.target_types = vec!["Order".to_owned()];
    (family.target_id, family.children) = (Some(String::new()), Some(Children::Of(String::new())));
    assert_eq!(fields(&mut *reader, &family), [""; 0]);

    let mut of_type = of_types(&["Order"]);
    of_type.children = Some(Children::OfAll);
    let expected: Vec<_> = changes
        .iter()
        .filter(|c| c.target_type == "Order" || c.target_type.starts_with("Order/"))
        .map(|c| c.field.to_string())
        .collect();
    assert_eq!(fields(&mut *reader, &of_type), expected);
    assert_eq!(expected.len(), 10);
}

/// Actors often have such names, and the same table holds them and the names of types.
#[test]
fn many_names_with_the_prefix_of_a_child_do_not_disturb_the_query() {
    let mut records: Vec<_> = (0..500)
        .map(|n| {
            let mut record = event("look");
            record.actor = Some(format!("user/{n}").into());
            record
        })
        .collect();
    records.push(record_with(vec![
        change("user", "1", "own", 0),
        change("user/key", "1/x", "key", 0),
        change("user/key/use", "1/x/7", "use", 0),
        change("user0", "1/x", "other", 0),
        change("visit", "1/x", "visit", 0),
    ]));
    let (_directory, _store, mut reader) = trail(&records);
    let mut family = query("user", "1");
    family.children = Some(Children::Of("1".to_owned()));
    assert_eq!(fields(&mut *reader, &family), ["own", "key", "use"]);
    (family.target_id, family.children) = (None, Some(Children::OfAll));
    assert_eq!(fields(&mut *reader, &family), ["own", "key", "use"]);
}

#[test]
fn a_field_is_found_with_the_paths_inside_it() {
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
    let (_directory, _store, mut reader) = trail(&[record_with(changes)]);
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
fn change_kind_actor_and_time_restrict_the_result() {
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
        let mut record = record_with(vec![change("t", "1", &n.to_string(), n as i64)]);
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

/// The three records are stored in a different order than the times of their changes.
#[test]
fn changes_of_an_object_are_ordered_by_time_and_those_of_a_type_by_seq() {
    let (_directory, _store, mut reader) = trail(&[
        record_with(vec![change("t", "1", "late", 9), change("t", "1", "same, first", 5)]),
        record_with(vec![change("t", "1", "early", 1), change("t", "2", "other", 3)]),
        record_with(vec![
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
fn a_page_starts_after_any_position() {
    let (_directory, _store, mut reader) = trail(&[
        record_with(vec![change("t", "1", "a", 1), change("t", "1", "b", 1)]),
        record_with(vec![change("t", "1", "c", 2)]),
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
        "for a type, only the position in the store counts"
    );
    of_type.limit = 0;
    assert!(fields(&mut *reader, &of_type).is_empty());
}

/// The recorder never stores such values, but another tool might.
#[test]
fn invalid_values_written_by_other_tools_are_read_without_panic() {
    let (directory, _store, mut reader) = trail(&[record_with(vec![change("t", "1", "sound", 0)])]);
    let path = directory.path().join("audit.db");
    let connection = read(&path);
    connection
        .execute_batch(
            "DROP TRIGGER audit_field_change_insert; DROP TRIGGER audit_record_update;
             UPDATE audit_record SET notes = 'not JSON', context = CAST(x'ff' AS TEXT), outcome = 77,
                 reason = CAST(x'61ff' AS TEXT), id = 'no UUID', started_at = 9223372036854775807;
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

    // The record is missing, and another one exists.
    connection.execute_batch("UPDATE audit_record SET seq = 2").unwrap();
    wanted.after = None;
    let error = reader.changes(&wanted).unwrap_err();
    assert!(error.is_damaged() && !error.is_transient());
    let expected = "cannot read the record 1 of the audit trail: it is missing, but its changes \
        exist; another program has written to the trail, so compare it with a backup";
    assert_eq!(error.to_string(), expected);
}
