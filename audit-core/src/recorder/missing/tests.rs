use audit_record::Kind;
use chrono::DateTime;

use super::*;
use crate::recorder::offered::{NAME, shortened};

const START: i64 = 1_700_000_000_000_000;

fn work(action: &'static str, micros: i64) -> Record {
    let at = DateTime::from_timestamp_micros(START + micros).expect("a time");
    Record::new(Kind::Call, action, at)
}

fn lost(records: &[Record]) -> Lost {
    let mut lost = Lost::default();
    records.iter().for_each(|record| lost.add(record));
    lost
}

fn told(missing: &mut Missing) -> Vec<String> {
    let output = |record: Record| record.output.map(|output| output.as_str().to_owned());
    missing.front().into_iter().filter_map(output).collect()
}

#[test]
fn a_store_that_refuses_gaps_is_left_alone_for_longer_each_time() {
    let mut missing = Missing::default();
    assert_eq!(missing.wait(), None, "nothing is missing");
    missing.dropped(lost(&[work("pay", 0)]));
    assert_eq!(missing.wait(), Some(Duration::ZERO), "told at once");
    let pauses = [(); 9].map(|()| missing.refused());
    assert_eq!(
        pauses.map(|(pause, _)| pause.as_millis()),
        [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]
    );
    assert_eq!(pauses.map(|(_, first)| first).iter().filter(|first| **first).count(), 1);
    assert!(missing.told(), "it had refused");
    assert_eq!(missing.wait(), None);
    assert_eq!(missing.refused().0.as_millis(), 10, "from the beginning");
}

#[test]
fn a_gap_that_was_refused_stays_to_be_told_and_grows() {
    let mut missing = Missing::default();
    let full = Error::transient("the disk is full");
    assert!(missing.failed(&[work("pay", 5), work("pay", 3), work("view \"all\"", 4)], &full));
    missing.refused();
    missing.dropped(lost(&[work("pay", 1)]));
    missing.dropped(lost(&[work("pay", 2)]));
    assert!(missing.knows(2) && !missing.knows(3));
    assert_eq!(missing.dropped_told(), 2);
    assert_eq!(
        told(&mut missing),
        [
            r#"{"records":2,"from":"2023-11-14T22:13:20.000001Z","to":"2023-11-14T22:13:20.000002Z","actions":{"pay":2}}"#,
            r#"{"records":3,"from":"2023-11-14T22:13:20.000003Z","to":"2023-11-14T22:13:20.000005Z","actions":{"pay":2,"view \"all\"":1}}"#,
        ]
    );
    missing.told();
    assert_eq!(told(&mut missing), [""; 0]);
    assert!(missing.knows(2));
}

#[test]
fn a_gap_names_so_many_actions_and_sums_up_the_rest() {
    let long = "é".repeat(NAME);
    let mut lost = Lost::default();
    (0..40).for_each(|number| {
        let mut record = work("", 0);
        record.action = format!("action {number}").into();
        lost.add(&record);
    });
    let mut record = work("", 0);
    record.action = long.into();
    lost.add(&record);
    let output: serde_json::Value =
        lost.gap("the queue was full").output.expect("an output").to().expect("JSON");
    let actions = output["actions"].as_object().expect("actions");
    assert_eq!(actions.len(), 33);
    assert_eq!((&actions["action 31"], &actions["(others)"]), (&1.into(), &9.into()));
    assert_eq!(output["records"], 41);
    assert_eq!(shortened(&"é".repeat(NAME)).len(), NAME);
    assert_eq!(shortened(&format!("a{}", "é".repeat(NAME))).len(), NAME - 1);
}

#[test]
fn what_nothing_is_known_of_is_counted_all_the_same() {
    let mut missing = Missing::default();
    missing.failed_unseen(3);
    assert_eq!(told(&mut missing), [r#"{"records":3}"#]);
}

#[test]
fn remarks_come_before_gaps_and_are_told_once() {
    let mut missing = Missing::default();
    (0..40).for_each(|_| missing.remark(work("clock set back", 0)));
    assert_eq!(missing.wait(), Some(Duration::ZERO));
    assert!(!missing.is_untold(), "no record is missing");
    missing.failed_unseen(1);
    let kinds: Vec<_> = missing.front().iter().map(|record| record.kind).collect();
    assert_eq!((kinds.len(), kinds[0], kinds[32]), (33, Kind::Call, Kind::Gap));
    missing.told();
    assert_eq!(missing.wait(), None);
}
