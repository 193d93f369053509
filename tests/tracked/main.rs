//! The records of `Tracked::save` and `Tracked::delete`: what they contain, and when they are
//! written.

mod attempts;
mod bad_parts;
mod bulk_and_manual;
mod field_values;
mod masking;
mod own_equality;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use audited::record::{ChangeKind, FieldChange, Kind};
use audited::{
    Bulk, Context, Outcome, Record, Redacted, Tracked, audited_fields, change, change_of, execute,
    testing,
};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::json;

type StoreResult = Result<(), String>;

fn accept<T: ?Sized>(_: &mut T) -> StoreResult {
    Ok(())
}

/// `change target_type target_id field before after`, with `-` for a missing value.
fn change_line(change: &FieldChange) -> String {
    let text = |json: &Option<audited::Json>| json.as_ref().map_or("-".into(), ToString::to_string);
    format!(
        "{} {} {} {} {} {}",
        change.change,
        change.target_type,
        change.target_id,
        change.field,
        text(&change.before),
        text(&change.after)
    )
}

fn change_lines(record: &Record) -> Vec<String> {
    record.changes.iter().map(change_line).collect()
}

/// `change target_id field before after` for every change of the records.
fn short_change_lines(records: &[Record]) -> Vec<String> {
    let changes = records.iter().flat_map(|record| &record.changes);
    changes
        .map(|change| {
            let without_type = format!("{} {} ", change.change, change.target_type);
            let line = change_line(change);
            let rest = line.strip_prefix(&without_type).expect("every line names the type");
            format!("{} {rest}", change.change)
        })
        .collect()
}

#[audited_fields(name, age, note; key = id, label = name)]
#[derive(Clone, Debug)]
struct Pilot {
    id: u64,
    name: String,
    age: u8,
    note: Option<String>,
    seat: u8,
}

fn kara() -> Pilot {
    Pilot { id: 340, name: "Kara".into(), age: 25, note: None, seat: 1 }
}

#[test]
fn the_first_save_records_every_audited_field() {
    let records = testing::capture(|| {
        Context::new().actor("alice").scope(|| Tracked::new(kara()).save(accept).unwrap());
    });
    let [record] = &records[..] else { panic!("one record: {records:?}") };
    assert_eq!(
        change_lines(record),
        [
            r#"created Pilot 340 name - "Kara""#,
            "created Pilot 340 age - 25",
            "created Pilot 340 note - null",
        ]
    );
    assert_eq!((record.kind, record.outcome), (Kind::Change, Outcome::Success));
    assert_eq!(record.action, "Pilot: created");
    assert_eq!(record.method, "tracked::Pilot::save");
    assert_eq!(record.actor.as_deref(), Some("alice"));
    assert_eq!(record.target_type.as_deref(), Some("Pilot"));
    assert_eq!(record.target_id.as_deref(), Some("340"));
    assert_eq!(record.target_label.as_deref(), Some("Kara"));
    assert!(record.changes.iter().all(|change| change.changed_at >= record.started_at));
}

#[test]
fn a_later_save_records_the_changed_fields_and_an_unchanged_object_none() {
    let records = testing::capture(|| {
        let mut pilot = Tracked::loaded(kara());
        pilot.save(accept).unwrap();
        pilot.seat = 2; // not audited
        pilot.save(accept).unwrap();
        pilot.age = 26;
        pilot.note = Some("promoted".into());
        pilot.save(accept).unwrap();
        pilot.save(accept).unwrap();
        pilot.note = None;
        pilot.save(accept).unwrap();
    });
    assert_eq!(records.len(), 2);
    assert_eq!(
        change_lines(&records[0]),
        ["changed Pilot 340 age 25 26", r#"changed Pilot 340 note null "promoted""#,]
    );
    assert_eq!(change_lines(&records[1]), [r#"changed Pilot 340 note "promoted" null"#]);
    assert_eq!(records[1].action, "Pilot: changed");
    assert!(records[0].changes[0].changed_at < records[1].changes[0].changed_at);
    assert_eq!(records[0].changes[0].changed_at, records[0].changes[1].changed_at);
}

#[test]
fn a_delete_records_the_last_stored_values_and_the_object_is_new_again() {
    let records = testing::capture(|| {
        let mut pilot = Tracked::loaded(kara());
        pilot.age = 99; // never stored
        pilot.delete(accept).unwrap();
        assert!(!pilot.is_stored());
        pilot.save(accept).unwrap();
    });
    assert_eq!(
        change_lines(&records[0]),
        [
            r#"deleted Pilot 340 name "Kara" -"#,
            "deleted Pilot 340 age 25 -",
            "deleted Pilot 340 note null -",
        ]
    );
    assert_eq!(records[0].action, "Pilot: deleted");
    assert_eq!(change_lines(&records[1])[1], "created Pilot 340 age - 99");
}

#[test]
fn a_failed_save_is_recorded_as_an_attempt_and_the_next_save_records_the_change() {
    let records = testing::capture(|| {
        let mut pilot = Tracked::loaded(kara());
        pilot.age = 26;
        pilot.info().operator("bob").notes("first try");
        let refused: StoreResult = pilot.save(|_| Err("disk full".to_owned()));
        assert_eq!(refused.unwrap_err(), "disk full");
        pilot.save(accept).unwrap();
        pilot.age = 27;
        pilot.save(accept).unwrap();
    });
    assert_eq!(records.len(), 3);
    let attempt = &records[0];
    assert_eq!((attempt.kind, attempt.outcome), (Kind::Change, Outcome::Failure));
    assert_eq!(attempt.changes, []);
    assert_eq!(
        *attempt.input.as_ref().unwrap(),
        json!({"attempted": "changed", "changes": [{"field": "age", "before": 25, "after": 26}]})
    );
    let error = attempt.error.as_ref().unwrap();
    assert_eq!((&*error.type_name, &*error.message), ("alloc::string::String", "disk full"));
    assert_eq!(change_lines(&records[1]), ["changed Pilot 340 age 25 26"]);
    // Annotations apply to one attempt, because the next one may have another actor.
    let actors: Vec<_> = records.iter().map(|record| record.actor.as_deref()).collect();
    assert_eq!(actors, [Some("bob"), None, None]);
    assert_eq!((records[0].notes.len(), records[1].notes.len()), (1, 0));
}

#[test]
fn a_save_that_panics_is_recorded_and_the_panic_continues() {
    let records = testing::capture(|| {
        let mut pilot = Tracked::loaded(kara());
        pilot.age = 26;
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            pilot.save(|_| -> StoreResult { panic!("the pool is closed") })
        }));
        assert_eq!(*panicked.unwrap_err().downcast::<&str>().unwrap(), "the pool is closed");
        pilot.save(accept).unwrap();
    });
    assert_eq!(records[0].outcome, Outcome::Panic);
    assert_eq!(records[0].error.as_ref().unwrap().message, "the pool is closed");
    assert_eq!(change_lines(&records[1]), ["changed Pilot 340 age 25 26"]);
}

#[test]
fn a_cancelled_save_is_recorded_as_an_attempt() {
    let records = testing::capture(|| {
        let mut pilot = Tracked::loaded(kara());
        pilot.age = 26;
        {
            let mut save = Box::pin(pilot.save_async(async |_| {
                std::future::pending::<()>().await;
                Ok::<(), String>(())
            }));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(save.as_mut().poll(&mut cx).is_pending());
        }
        pilot.save(accept).unwrap();
    });
    assert_eq!((records[0].outcome, records[0].changes.len()), (Outcome::Cancelled, 0));
    assert_eq!(change_lines(&records[1]), ["changed Pilot 340 age 25 26"]);
}

#[test]
fn an_id_assigned_by_the_store_is_recorded() {
    let records = testing::capture(|| {
        let mut pilot = Tracked::new(Pilot { id: 0, ..kara() });
        let assigns_id = |pilot: &mut Pilot| {
            pilot.id = 17;
            accept(pilot)
        };
        pilot.save(assigns_id).unwrap();
        pilot.age = 26;
        pilot.save(accept).unwrap();
        pilot.id = 18; // the key changes: the change is recorded under the stored key
        pilot.age = 27;
        pilot.save(accept).unwrap();
        pilot.age = 28;
        pilot.save(accept).unwrap();
    });
    let ids: Vec<_> = records.iter().map(|record| record.target_id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["17", "17", "17", "18"]);
}

#[test]
fn a_save_inside_a_call_is_recorded_as_its_child() {
    let records = testing::capture(|| {
        execute("promote", "fleet::promote", (), || {
            let mut pilot = Tracked::loaded(kara());
            pilot.age = 26;
            pilot.save(accept).unwrap();
        });
    });
    assert_eq!((records[0].kind, records[1].kind), (Kind::Change, Kind::Call));
    assert_eq!(records[0].parent_id, Some(records[1].id));
    assert_eq!(records[0].correlation_id, records[1].correlation_id);
}

#[test]
fn without_a_recorder_saves_still_update_the_snapshot() {
    let mut pilot = Tracked::new(kara());
    pilot.save(accept).unwrap();
    pilot.age = 26;
    pilot.save(accept).unwrap();
    let records = testing::capture(|| {
        pilot.age = 27;
        pilot.save(accept).unwrap();
    });
    assert_eq!(change_lines(&records[0]), ["changed Pilot 340 age 26 27"]);
}

#[test]
fn additional_fields_are_masked_by_their_name() {
    let records = testing::capture(|| {
        let mut pilot = Tracked::new(kara());
        pilot.info().field("age", "no clash").field("api_key", "s3cret").reason("asked for");
        pilot.save(accept).unwrap();
    });
    assert_eq!(
        *records[0].context.as_ref().unwrap(),
        json!({"extra": {"age": "no clash", "api_key": "[redacted]"}})
    );
    assert_eq!(records[0].reason.as_deref(), Some("asked for"));
}

#[test]
fn a_change_has_the_reason_and_the_action_of_the_call_around_it() {
    let records = testing::capture(|| {
        Context::new().actor("alice").field("ticket", 7).scope(|| {
            execute("promote", "fleet::promote", (), || {
                audited::reason("end of the season");
                let mut pilot = Tracked::loaded(kara());
                pilot.age = 26;
                pilot.save(accept).unwrap();
                pilot.age = 27;
                pilot.info().reason("birthday").operator("bob");
                pilot.save(accept).unwrap();
                pilot.age = 28;
                pilot.save(|_| Err::<(), _>("no connection")).unwrap_err();
            });
            let mut pilot = Tracked::loaded(kara());
            pilot.delete(accept).unwrap();
        });
    });
    let found: Vec<_> = records
        .iter()
        .filter(|record| record.kind == Kind::Change)
        .map(|record| {
            let context = record.context.as_ref().map_or("", |context| context.as_str());
            (&*record.action, record.actor.as_deref(), record.reason.as_deref(), context)
        })
        .collect();
    let (alice, bob, season) = (Some("alice"), Some("bob"), Some("end of the season"));
    let in_call = r#"{"parent_action":"promote","extra":{"ticket":7}}"#;
    assert_eq!(
        found,
        [
            ("Pilot: changed", alice, season, in_call),
            ("Pilot: changed", bob, Some("birthday"), in_call),
            ("Pilot: changed", alice, season, in_call),
            ("Pilot: deleted", alice, None, r#"{"extra":{"ticket":7}}"#),
        ]
    );
}
