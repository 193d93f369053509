use audit_record::Kind;
use chrono::DateTime;

use super::*;
use crate::recorder::loss_count::{MAX_NAME, truncate_name};

const START: i64 = 1_700_000_000_000_000;

fn record_of(action: &'static str, micros: i64) -> Record {
    let at = DateTime::from_timestamp_micros(START + micros).expect("a time");
    Record::new(Kind::Call, action, at)
}

fn loss_of(records: &[Record]) -> LossCount {
    let mut losses = LossCount::default();
    records.iter().for_each(|record| losses.add_record(record));
    losses
}

fn outputs(report: &mut LossReport) -> Vec<String> {
    let output = |record: Record| record.output.map(|output| output.as_str().to_owned());
    report.records().into_iter().filter_map(output).collect()
}

#[test]
fn pauses_grow_while_the_store_rejects_gap_records() {
    let mut report = LossReport::default();
    assert_eq!(report.delay(), None, "nothing is lost");
    report.add_dropped(loss_of(&[record_of("pay", 0)]));
    assert_eq!(report.delay(), Some(Duration::ZERO), "reported at once");
    let pauses = [(); 9].map(|()| report.set_rejected());
    assert_eq!(
        pauses.map(|(pause, _)| pause.as_millis()),
        [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]
    );
    assert_eq!(pauses.map(|(_, first)| first).iter().filter(|first| **first).count(), 1);
    assert!(report.set_stored(), "it had rejected records");
    assert_eq!(report.delay(), None);
    assert_eq!(report.set_rejected().0.as_millis(), 10, "pauses start again");
}

#[test]
fn a_rejected_gap_record_is_kept_and_grows() {
    let mut report = LossReport::default();
    let full = Error::transient("the disk is full");
    let failed = [record_of("pay", 5), record_of("pay", 3), record_of("view \"all\"", 4)];
    assert!(report.add_failed(&failed, &full));
    report.set_rejected();
    report.add_dropped(loss_of(&[record_of("pay", 1)]));
    report.add_dropped(loss_of(&[record_of("pay", 2)]));
    assert!(report.includes_dropped(2) && !report.includes_dropped(3));
    assert_eq!(report.dropped_total(), 2);
    assert_eq!(
        outputs(&mut report),
        [
            r#"{"records":2,"from":"2023-11-14T22:13:20.000001Z","to":"2023-11-14T22:13:20.000002Z","actions":{"pay":2}}"#,
            r#"{"records":3,"from":"2023-11-14T22:13:20.000003Z","to":"2023-11-14T22:13:20.000005Z","actions":{"pay":2,"view \"all\"":1}}"#,
        ]
    );
    report.set_stored();
    assert_eq!(outputs(&mut report), [""; 0]);
    assert!(report.includes_dropped(2));
}

#[test]
fn a_gap_record_names_32_actions_and_counts_the_others_together() {
    let long = "é".repeat(MAX_NAME);
    let mut losses = LossCount::default();
    (0..40).for_each(|number| {
        let mut record = record_of("", 0);
        record.action = format!("action {number}").into();
        losses.add_record(&record);
    });
    let mut record = record_of("", 0);
    record.action = long.into();
    losses.add_record(&record);
    let output: serde_json::Value =
        losses.to_gap("the queue was full").output.expect("an output").to().expect("JSON");
    let actions = output["actions"].as_object().expect("actions");
    assert_eq!(actions.len(), 33);
    assert_eq!((&actions["action 31"], &actions["(others)"]), (&1.into(), &9.into()));
    assert_eq!(output["records"], 41);
    assert_eq!(truncate_name(&"é".repeat(MAX_NAME)).len(), MAX_NAME);
    assert_eq!(truncate_name(&format!("a{}", "é".repeat(MAX_NAME))).len(), MAX_NAME - 1);
}

#[test]
fn lost_records_without_known_content_are_counted() {
    let mut report = LossReport::default();
    report.add_unknown_failed(3);
    assert_eq!(outputs(&mut report), [r#"{"records":3}"#]);
}

#[test]
fn notices_precede_gap_records_and_are_stored_once() {
    let mut report = LossReport::default();
    (0..40).for_each(|_| report.add_notice(record_of("clock set back", 0)));
    assert_eq!(report.delay(), Some(Duration::ZERO));
    assert!(!report.has_losses(), "no record is lost");
    report.add_unknown_failed(1);
    let kinds: Vec<_> = report.records().iter().map(|record| record.kind).collect();
    assert_eq!((kinds.len(), kinds[0], kinds[32]), (33, Kind::Call, Kind::Gap));
    report.set_stored();
    assert_eq!(report.delay(), None);
}
