//! Nested calls on the same object: each records its own changes, and the outer call only the rest.

use std::panic::{AssertUnwindSafe, catch_unwind};

use audited::record::{FieldChange, Truncation};
use audited::{Record, audit_method, testing};

use super::{Pilot, change_lines, kara, lee, poll_once_and_drop, promote_later, unobserved};

/// All changes of all records in time order, such as `rank 1 2`.
fn by_time(records: &[Record]) -> Vec<String> {
    let mut all: Vec<&FieldChange> = records.iter().flat_map(|record| &record.changes).collect();
    all.sort_by_key(|change| change.changed_at);
    let text = |json: &Option<audited::Json>| json.as_ref().map_or("-".into(), ToString::to_string);
    let line = |change: &&FieldChange| {
        format!("{} {} {}", change.field, text(&change.before), text(&change.after))
    };
    all.iter().map(line).collect()
}

impl Pilot {
    #[audit_method(skip_all)]
    fn raise(&mut self) {
        self.rank += 1;
    }

    #[audit_method(skip_all)]
    fn career(&mut self) {
        self.rank += 10;
        self.raise();
        raise_twice(self);
        self.rank += 100;
        self.tags.clear();
        self.raise();
        self.rank += 1_000;
    }

    // An object behind a named lifetime is not compared.
    #[allow(clippy::needless_lifetimes)]
    #[audit_method(skip_all)]
    fn is_unseen<'s>(&'s mut self) {
        self.rank += 1;
    }

    #[audit_method(skip_all)]
    fn calls_unseen(&mut self) {
        self.rank += 10;
        self.is_unseen();
        self.rank += 100;
    }

    #[audit_method(skip_all)]
    fn down_from(&mut self, depth: u32) {
        self.rank += depth;
        if depth > 1 {
            self.down_from(depth - 1);
        }
        self.rank += 10 * depth;
    }
}

#[audit_method(skip_all)]
fn raise_twice(pilot: &mut Pilot) {
    pilot.raise();
    pilot.raise();
}

#[test]
fn an_inner_call_records_its_changes_and_the_outer_call_only_its_own() {
    let records = testing::capture(|| kara().career());
    let of = |n: usize| change_lines(&records[n]);
    // In the order in which the calls end.
    assert_eq!(of(0), ["Pilot 340 rank 11 12"]);
    assert_eq!(
        (of(1), of(2)),
        (vec!["Pilot 340 rank 12 13".into()], vec!["Pilot 340 rank 13 14".into()])
    );
    assert!(of(3).is_empty() && records[3].action.ends_with("raise_twice"));
    assert_eq!(of(4), ["Pilot 340 rank 114 115"]);
    assert_eq!(
        of(5),
        [
            "Pilot 340 rank 1 11",
            "Pilot 340 rank 14 114",
            r#"Pilot 340 tags[0] "ace" -"#,
            "Pilot 340 rank 115 1115",
        ]
    );
    assert_eq!(
        by_time(&records),
        [
            "rank 1 11",
            "rank 11 12",
            "rank 12 13",
            "rank 13 14",
            "rank 14 114",
            r#"tags[0] "ace" -"#,
            "rank 114 115",
            "rank 115 1115"
        ]
    );
}

#[test]
fn each_level_of_a_recursive_call_records_its_own_changes() {
    let records = testing::capture(|| kara().down_from(3));
    assert_eq!(
        by_time(&records),
        ["rank 1 4", "rank 4 6", "rank 6 17", "rank 17 37", "rank 37 67"]
    );
}

#[test]
fn the_outer_call_records_changes_that_the_inner_call_cannot() {
    let records = testing::capture(|| kara().calls_unseen());
    assert_eq!(
        (change_lines(&records[0]).len(), &records[0].truncated),
        (0, &vec![unobserved("self")])
    );
    assert_eq!(change_lines(&records[1]), ["Pilot 340 rank 1 112"]);
}

#[test]
fn changes_stay_in_time_order_if_an_inner_call_panics_or_is_cancelled() {
    #[audit_method(skip_all)]
    fn outer(pilot: &mut Pilot) {
        pilot.rank = 2;
        let _ = catch_unwind(AssertUnwindSafe(|| pilot.promote(11)));
        pilot.rank = 3;
        poll_once_and_drop(promote_later(pilot, 4));
        pilot.rank = 5;
        poll_once_and_drop(pilot.promote_soon(6));
        pilot.rank = 7;
    }
    let records = testing::capture(|| outer(&mut kara()));
    let ranks: Vec<_> =
        by_time(&records).into_iter().filter(|line| line.starts_with("rank")).collect();
    assert_eq!(
        ranks,
        ["rank 1 2", "rank 2 11", "rank 11 3", "rank 3 4", "rank 4 5", "rank 5 6", "rank 6 7"]
    );
}

#[test]
fn objects_of_the_same_type_are_distinguished() {
    #[audit_method(skip_all)]
    fn both(one: &mut Pilot, other: &mut Pilot) {
        one.raise();
        other.rank += 10;
        other.raise();
        one.rank += 100;
    }
    let records = testing::capture(|| both(&mut kara(), &mut lee()));
    assert_eq!(change_lines(&records[0]), ["Pilot 340 rank 1 2"]);
    assert_eq!(change_lines(&records[1]), ["Pilot 341 rank 15 16"]);
    assert_eq!(change_lines(&records[2]), ["Pilot 340 rank 2 102", "Pilot 341 rank 5 15"]);
}

#[test]
fn an_intermediate_call_without_the_object_does_not_affect_the_changes() {
    #[audit_method(skip_all)]
    fn with_any(run: impl FnOnce()) {
        run();
    }
    #[audit_method(skip_all)]
    fn outer(pilot: &mut Pilot) {
        pilot.rank = 2;
        with_any(|| pilot.raise());
        pilot.rank = 4;
    }
    let records = testing::capture(|| outer(&mut kara()));
    assert_eq!(by_time(&records), ["rank 1 2", "rank 2 3", "rank 3 4"]);
    assert_eq!(change_lines(&records[2]), ["Pilot 340 rank 1 2", "Pilot 340 rank 3 4"]);
}

#[test]
fn redacted_changes_are_split_between_nested_calls() {
    #[audit_method(skip_all)]
    fn inner(pilot: &mut Pilot) {
        pilot.rank += 1;
    }
    #[audit_method(skip_all)]
    fn outer(pilot: &mut Pilot) {
        pilot.pin += 1;
        inner(pilot);
    }
    let records = testing::capture(|| outer(&mut kara()));
    assert_eq!(change_lines(&records[1]), [r#"Pilot 340 pin "[redacted]" "[redacted]""#]);
}

#[test]
fn changes_beyond_the_limit_are_counted() {
    #[audit_method(skip_all)]
    fn outer(pilot: &mut Pilot) {
        for _ in 0..5_000 {
            pilot.rank += 1;
            pilot.raise();
        }
    }
    let records = testing::capture(|| outer(&mut kara()));
    let record = &records[5_000];
    let kept = record.changes.len() as u64;
    assert_eq!(kept, 4_097);
    assert_eq!(record.truncated, [Truncation::new("changes", "entries", kept, Some(5_000))]);
}
