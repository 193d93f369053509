//! Bulk operations on many objects, changes that are recorded manually, and keys of child objects.

use super::*;

fn crew(ids: std::ops::Range<u64>) -> Vec<Tracked<Pilot>> {
    ids.map(|id| Tracked::loaded(Pilot { id, ..kara() })).collect()
}

#[test]
fn a_bulk_save_is_one_record_with_the_changes_of_each_object() {
    let records = testing::capture(|| {
        let mut crew = crew(1..4);
        crew[0].age = 30;
        crew[2].note = Some("x".into());
        crew.push(Tracked::new(Pilot { id: 9, ..kara() }));
        let all = |all: &mut [&mut Pilot]| Ok::<usize, String>(all.len());
        assert_eq!(Bulk::new("reshuffle").operator("hr").save(&mut crew, all), Ok(4));
        assert_eq!(Bulk::new("again").save(&mut crew, all), Ok(4)); // nothing changed
    });
    let [record] = &records[..] else { panic!("one record: {records:?}") };
    assert_eq!((&*record.action, record.actor.as_deref()), ("reshuffle", Some("hr")));
    assert_eq!(
        change_lines(record),
        [
            "changed Pilot 1 age 25 30",
            r#"changed Pilot 3 note null "x""#,
            r#"created Pilot 9 name - "Kara""#,
            "created Pilot 9 age - 25",
            "created Pilot 9 note - null",
        ]
    );
}

#[test]
fn a_large_bulk_save_continues_in_child_records_of_the_first() {
    let records = testing::capture(|| {
        let mut crew = crew(0..5_000);
        crew.iter_mut().for_each(|pilot| pilot.age = 30);
        Bulk::new("birthday").save(&mut crew, |_| Ok::<(), String>(())).unwrap();
    });
    let counts: Vec<_> = records.iter().map(|record| record.changes.len()).collect();
    assert_eq!(counts, [4_096, 904]);
    assert_eq!(records[1].parent_id, Some(records[0].id));
    assert_eq!(records[1].correlation_id, records[0].correlation_id);
    assert_eq!(change_line(&records[1].changes[903]), "changed Pilot 4999 age 25 30");
}

#[test]
fn a_failed_bulk_save_is_recorded_as_an_attempt_with_its_keys() {
    let records = testing::capture(|| {
        let mut crew = crew(1..4);
        crew[1].age = 30;
        Bulk::new("birthday").save(&mut crew, |_| Err::<(), _>("locked")).unwrap_err();
        Bulk::new("birthday").delete(&mut crew, |_| Ok::<(), String>(())).unwrap();
        assert!(crew.iter().all(|pilot| !pilot.is_stored()));
    });
    assert_eq!(records[0].outcome, Outcome::Failure);
    assert_eq!(
        *records[0].input.as_ref().unwrap(),
        json!({"attempted": {"type": "Pilot", "changed": 1, "keys": ["2"]}})
    );
    assert_eq!(records[1].changes.len(), 9);
    assert_eq!(change_line(&records[1].changes[4]), "deleted Pilot 2 age 25 -");
}

#[test]
fn manual_changes_are_recorded_with_and_without_a_type() {
    let records = testing::capture(|| {
        change(&kara(), &kara());
        change(&kara(), &Pilot { age: 26, ..kara() });
        change_of("setting", "theme").change("value", "dark", "dark").record();
        change_of("setting", "theme")
            .action("switch theme")
            .change(
                "value",
                json!({"name": "dark", "password": 1}),
                json!({"name": "light", "password": 2}),
            )
            .reason("asked for")
            .record();
        change_of("file", "/etc/motd").created().value("size", 12).value("token", "t").record();
    });
    assert_eq!(change_lines(&records[0]), ["changed Pilot 340 age 25 26"]);
    assert_eq!(
        change_lines(&records[1]),
        [
            r#"changed setting theme value.name "dark" "light""#,
            r#"changed setting theme value.password "[redacted]" "[redacted]""#,
        ]
    );
    assert_eq!(
        (&*records[1].action, records[1].reason.as_deref()),
        ("switch theme", Some("asked for"))
    );
    assert_eq!(
        change_lines(&records[2]),
        ["created file /etc/motd size - 12", r#"created file /etc/motd token - "[redacted]""#]
    );
    assert_eq!(records[2].changes[0].change, ChangeKind::Created);
    assert_eq!(records.len(), 3);
}

#[test]
fn the_changes_of_a_child_are_recorded_under_its_parent() {
    #[audited_fields(total; key = (tenant, number), name = "order")]
    struct Order {
        tenant: &'static str,
        number: u32,
        total: u32,
    }
    #[audited_fields(amount; key = line, parent = Order(tenant, order), name = "line")]
    struct Line {
        tenant: &'static str,
        order: u32,
        line: u8,
        amount: u32,
    }

    let records = testing::capture(|| {
        let mut order = Tracked::loaded(Order { tenant: "a/b", number: 17, total: 5 });
        order.total = 6;
        order.save(accept).unwrap();
        let mut line = Tracked::loaded(Line { tenant: "a/b", order: 17, line: 3, amount: 1 });
        line.amount = 2;
        line.save(accept).unwrap();
        let mut other = Tracked::loaded(Line { tenant: "a/b", order: 171, line: 3, amount: 1 });
        other.amount = 2;
        other.save(accept).unwrap();
    });
    assert_eq!(change_lines(&records[1]), ["changed order/line a%2Fb/17/3 amount 1 2"]);
    let history = testing::history::<Order>(&records, ("a/b", 17));
    let own: Vec<String> = history.changes().map(|change| change.unwrap().to_string()).collect();
    assert_eq!(own, ["order a%2Fb/17 changed: total 5 → 6"]);
    let all = history.with_children();
    let all: Vec<String> = all.changes().map(|change| change.unwrap().to_string()).collect();
    assert_eq!(all[1..], ["order/line a%2Fb/17/3 changed: amount 1 → 2"]);
}

#[test]
fn the_order_of_calls_on_a_manual_change_does_not_matter() {
    let records = testing::capture(|| {
        change_of("invoice", 2).value("total", 5).deleted().record();
        change_of("invoice", 2).change("total", 5, 6).created().record();
        change_of("invoice", 2).deleted().change("lines", [1, 2], [1]).record();
        change_of("invoice", 2).redacted("pin").deleted().record();
    });
    assert_eq!(
        short_change_lines(&records),
        [
            "deleted 2 total 5 -",
            "created 2 total - 6",
            "deleted 2 lines [1,2] -",
            r#"deleted 2 pin "[redacted]" -"#,
        ]
    );
}

#[test]
fn information_about_an_operation_is_set_in_the_same_way_everywhere() {
    let records = testing::capture(|| {
        let mut crew = crew(1..2);
        crew[0].age = 30;
        crew[0].info().operator("hr").notes("a").notes("b").reason("yearly").field("ticket", 80);
        crew[0].save(accept).unwrap();
        crew[0].age = 31;
        let all = |_: &mut [&mut Pilot]| Ok::<(), String>(());
        let bulk = Bulk::new("birthday").operator("hr").notes("a").notes("b");
        bulk.reason("yearly").field("ticket", 80).save(&mut crew, all).unwrap();
        let manual = change_of("invoice", 2).change("total", 5, 6).operator("hr").notes("a");
        manual.notes("b").reason("yearly").field("ticket", 80).record();
    });
    assert_eq!(records.len(), 3);
    for record in &records {
        let notes: Vec<_> = record.notes.iter().map(|note| &*note.description).collect();
        assert_eq!((record.actor.as_deref(), &notes[..]), (Some("hr"), &["a", "b"][..]));
        assert_eq!(record.reason.as_deref(), Some("yearly"));
        assert_eq!(*record.context.as_ref().unwrap(), json!({"extra": {"ticket": 80}}));
        assert_eq!(record.changes.len(), 1, "a further field is not a change");
    }
}

#[test]
fn the_debug_text_of_a_manual_change_shows_no_values() {
    let change = change_of("invoice", 2).value("total", 1234).field("ticket", 5678);
    let text = format!("{change:?}");
    assert!(text.contains(r#"target_type: "invoice""#), "{text}");
    assert!(!text.contains("1234") && !text.contains("5678"), "{text}");
    drop(change);
}
