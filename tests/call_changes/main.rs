//! A call records the changes that it makes to audited objects passed by `&mut`.

mod moved;
mod names;
mod nested;
#[path = "../shapes/record_access.rs"]
mod record_access;
mod targets;
mod unobserved;

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context as Polling, Poll, Waker};

use audited::fields::AuditedFields;
use audited::record::{ChangeKind, FieldChange, Truncation};
use audited::{Outcome, Record, audit_method, audited_fields, testing};
use record_access::single_record;
use serde::Serialize;

/// `type id field before after` of each change, with `-` for a missing value.
fn change_lines(record: &Record) -> Vec<String> {
    let text = |json: &Option<audited::Json>| json.as_ref().map_or("-".into(), ToString::to_string);
    let line = |change: &FieldChange| {
        let FieldChange { target_type, target_id, field, before, after, .. } = change;
        assert_eq!(change.change, ChangeKind::Changed);
        format!("{target_type} {target_id} {field} {} {}", text(before), text(after))
    };
    record.changes.iter().map(line).collect()
}

/// The truncation that reports an object that was not compared.
fn unobserved(parameter: &str) -> Truncation {
    Truncation::new(format!("changes.{parameter}"), "objects", 0, Some(1))
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        let polled = future.as_mut().poll(&mut Polling::from_waker(Waker::noop()));
        if let Poll::Ready(output) = polled {
            return output;
        }
    }
}

/// Is pending at the first poll, and ready at the second.
async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|_| match std::mem::replace(&mut paused, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

#[audited_fields(name, rank, tags, pin(redact); key = id, label = name)]
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Pilot {
    id: u64,
    name: String,
    rank: u32,
    tags: Vec<String>,
    pin: u32,
    /// Not audited.
    seat: u8,
}

fn kara() -> Pilot {
    Pilot { id: 340, name: "Kara".into(), rank: 1, tags: vec!["ace".into()], pin: 1, seat: 1 }
}

fn lee() -> Pilot {
    Pilot { id: 341, name: "Lee".into(), rank: 5, tags: Vec::new(), pin: 1, seat: 1 }
}

impl Pilot {
    #[audit_method(skip_all)]
    fn promote(&mut self, to: u32) -> Result<u32, String> {
        self.seat += 1;
        if to == self.rank {
            return Ok(to);
        }
        self.rank = to;
        self.tags.push(format!("rank {to}"));
        Self::checked(to)?;
        self.pin += 1;
        Ok(self.rank)
    }

    fn checked(rank: u32) -> Result<(), String> {
        match rank {
            0..=9 => Ok(()),
            10 => Err("no such rank".into()),
            _ => panic!("no such rank"),
        }
    }
}

// ---- every outcome ------------------------------------------------------------------------------

#[test]
fn a_successful_call_records_its_changes() {
    let record = single_record(|| assert_eq!(kara().promote(2), Ok(2)));
    assert_eq!(
        change_lines(&record),
        [
            "Pilot 340 rank 1 2",
            r#"Pilot 340 tags[1] - "rank 2""#,
            r#"Pilot 340 pin "[redacted]" "[redacted]""#,
        ]
    );
    assert_eq!(record.outcome, Outcome::Success);
    assert_eq!(record.target_type.as_deref(), Some("Pilot"));
    assert_eq!(record.target_id.as_deref(), Some("340"));
    assert_eq!(record.target_label.as_deref(), Some("Kara"));
    assert!(record.truncated.is_empty());
    assert!(record.changes.iter().all(|change| change.changed_at >= record.started_at));
    assert!(record.changes.windows(2).all(|two| two[0].changed_at == two[1].changed_at));
}

#[test]
fn a_call_that_changes_no_audited_field_records_no_change() {
    let record = single_record(|| assert_eq!(kara().promote(1), Ok(1)));
    assert!(record.changes.is_empty() && record.truncated.is_empty());
    assert_eq!(record.target_id.as_deref(), Some("340"));
}

#[test]
fn a_failed_call_records_its_changes() {
    let record = single_record(|| assert_eq!(kara().promote(10), Err("no such rank".into())));
    assert_eq!(change_lines(&record), ["Pilot 340 rank 1 10", r#"Pilot 340 tags[1] - "rank 10""#]);
    assert_eq!(record.outcome, Outcome::Failure);
}

#[test]
fn a_call_that_panics_records_its_changes_and_the_panic_continues() {
    let mut pilot = kara();
    let record = single_record(|| {
        let panic = catch_unwind(AssertUnwindSafe(|| pilot.promote(11))).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"no such rank"));
    });
    assert_eq!(change_lines(&record), ["Pilot 340 rank 1 11", r#"Pilot 340 tags[1] - "rank 11""#]);
    assert_eq!(record.outcome, Outcome::Panic);
    assert_eq!(record.error.unwrap().message, "no such rank");
}

#[audit_method(skip_all)]
async fn promote_later(pilot: &mut Pilot, to: u32) -> Result<u32, String> {
    pilot.rank = to;
    pause().await;
    pilot.name.push('!');
    Pilot::checked(to)?;
    Ok(to)
}

impl Pilot {
    #[audit_method(skip_all)]
    async fn promote_soon(&mut self, to: u32) -> Result<u32, String> {
        self.rank = to;
        pause().await;
        self.name.push('!');
        Self::checked(to)?;
        Ok(to)
    }
}

#[test]
fn an_async_call_records_its_changes_for_every_outcome() {
    let expected =
        |to| [r#"Pilot 340 name "Kara" "Kara!""#.to_owned(), format!("Pilot 340 rank 1 {to}")];
    for (to, outcome) in [(2, Outcome::Success), (10, Outcome::Failure), (11, Outcome::Panic)] {
        let record = single_record(|| {
            catch_unwind(|| block_on(promote_later(&mut kara(), to)).is_ok()).unwrap_or_default()
        });
        assert_eq!((change_lines(&record), record.outcome), (expected(to).to_vec(), outcome));
        let record = single_record(|| {
            catch_unwind(|| block_on(kara().promote_soon(to)).is_ok()).unwrap_or_default()
        });
        assert_eq!((change_lines(&record), record.outcome), (expected(to).to_vec(), outcome));
        assert!(record.truncated.is_empty());
    }
}

/// Polls `future` once and drops it.
fn poll_once_and_drop<F: Future>(future: F) {
    let polled = pin!(future).poll(&mut Polling::from_waker(Waker::noop()));
    assert!(polled.is_pending());
}

#[test]
fn a_dropped_future_records_its_changes() {
    let records = testing::capture(|| {
        poll_once_and_drop(promote_later(&mut kara(), 2));
        poll_once_and_drop(kara().promote_soon(2));
        drop(promote_later(&mut kara(), 2));
        drop(kara().promote_soon(2));
    });
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!(
            (change_lines(&record), record.outcome),
            (vec!["Pilot 340 rank 1 2".into()], Outcome::Cancelled)
        );
        assert!(record.truncated.is_empty());
    }
}

// ---- several objects, and the target ------------------------------------------------------------

#[audited_fields(count; key = number, parent = Pilot(pilot), name = "Flight")]
struct Flown {
    pilot: u64,
    number: u32,
    count: u32,
}

impl Pilot {
    #[audit_method(skip_all)]
    fn swap(&mut self, other: &mut Pilot, flown: &mut Flown, free: &mut u32) {
        std::mem::swap(&mut self.rank, &mut other.rank);
        flown.count += 1;
        *free += 1;
    }
}

#[test]
fn each_object_has_its_own_changes() {
    let record = single_record(|| {
        let mut flown = Flown { pilot: 340, number: 3, count: 0 };
        kara().swap(&mut lee(), &mut flown, &mut 0);
    });
    assert_eq!(
        change_lines(&record),
        ["Pilot 340 rank 1 5", "Pilot 341 rank 5 1", "Pilot/Flight 340/3 count 0 1"]
    );
    assert_eq!(record.target_id.as_deref(), Some("340"));
    assert!(record.changes.windows(2).all(|two| two[0].changed_at < two[1].changed_at));
}

#[test]
fn an_explicit_target_is_kept() {
    #[audit_method(skip_all, target = ("squadron", 9))]
    fn by_argument(pilot: &mut Pilot) {
        pilot.rank += 1;
    }
    #[audit_method(skip_all)]
    fn by_call(pilot: &mut Pilot) {
        audited::target("squadron", 10);
        pilot.rank += 1;
    }
    #[audit_method(skip_all)]
    fn by_object(_first: u8, second: &mut Pilot, third: &mut Pilot) {
        second.rank += 1;
        third.rank += 1;
    }
    let records = testing::capture(|| {
        by_argument(&mut kara());
        by_call(&mut kara());
        by_object(1, &mut lee(), &mut kara());
    });
    let targets: Vec<_> = records.iter().map(|record| record.target_id.as_deref()).collect();
    assert_eq!(targets, [Some("9"), Some("10"), Some("341")]);
    assert_eq!(change_lines(&records[0]), ["Pilot 340 rank 1 2"]);
    assert_eq!(change_lines(&records[2]), ["Pilot 341 rank 5 6", "Pilot 340 rank 1 2"]);
}

#[test]
fn the_recorded_id_is_the_one_at_entry() {
    #[audit_method(skip_all)]
    fn renumber(pilot: &mut Pilot) {
        pilot.id = 1;
        pilot.rank = 9;
    }
    let record = single_record(|| renumber(&mut kara()));
    assert_eq!(record.target_id.as_deref(), Some("340"));
    assert_eq!(change_lines(&record), ["Pilot 340 rank 1 9", "Pilot 340 id 340 1"]);
}

#[test]
fn changes_are_recorded_at_every_capture_level_except_none() {
    #[audit_method(capture = "metadata")]
    fn raise(pilot: &mut Pilot) {
        pilot.rank += 1;
    }
    #[audit_method(capture = "none")]
    fn unrecorded(pilot: &mut Pilot) {
        pilot.rank += 1;
    }
    let record = single_record(|| raise(&mut kara()));
    assert_eq!(
        (change_lines(&record), record.input),
        (vec!["Pilot 340 rank 1 2".to_owned()], None)
    );
    assert!(testing::capture(|| unrecorded(&mut kara())).is_empty());
}

#[test]
fn the_object_is_also_recorded_as_an_argument() {
    #[audit_method]
    fn raise(pilot: &mut Pilot, _by: u32) {
        pilot.rank += 1;
    }
    let record = single_record(|| raise(&mut lee(), 1));
    assert_eq!(
        record.input.unwrap().as_str(),
        r#"{"pilot":{"id":341,"name":"Lee","rank":5,"tags":[],"pin":1,"seat":1},"_by":1}"#
    );
}

// ---- generic functions --------------------------------------------------------------------------

#[test]
fn a_generic_function_observes_the_types_that_its_bounds_declare_audited() {
    trait Raise {
        fn raise_it(&mut self);
        #[audit_method(skip_all)]
        fn by_default(&mut self)
        where
            Self: AuditedFields,
        {
            self.raise_it();
        }
        #[audit_method(skip_all)]
        fn unaware(&mut self) {
            self.raise_it();
        }
    }
    impl Raise for Pilot {
        #[audit_method(skip_all)]
        fn raise_it(&mut self) {
            self.rank += 1;
        }
    }
    #[audit_method(skip_all)]
    fn knows<T: AuditedFields + Raise>(object: &mut T) {
        object.raise_it();
    }
    #[audited_fields(value; key = id)]
    struct Holder<T> {
        id: u8,
        value: T,
    }
    impl<T: Clone + PartialEq + Serialize> Holder<T> {
        #[audit_method(skip_all)]
        fn set(&mut self, value: T) -> Option<T> {
            Some(std::mem::replace(&mut self.value, value))
        }
    }
    let records = testing::capture(|| {
        kara().by_default();
        kara().unaware();
        knows(&mut kara());
        assert_eq!(Holder { id: 1, value: "a" }.set("b"), Some("a"));
    });
    let changes: Vec<_> = records.iter().map(change_lines).collect();
    let (one, none) = (vec!["Pilot 340 rank 1 2".to_owned()], Vec::new());
    assert_eq!(changes[..6], [one.clone(), none.clone(), one.clone(), none.clone(), one, none]);
    assert_eq!(changes[6], [r#"Holder 1 value "a" "b""#]);
}

// ---- user code of the object --------------------------------------------------------------------

thread_local! {
    static CLONES: Cell<u32> = const { Cell::new(0) };
    static PANICS: Cell<&'static str> = const { Cell::new("") };
}

#[derive(Debug, Serialize)]
struct Fragile(u32);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        CLONES.set(CLONES.get() + 1);
        assert_ne!(PANICS.get(), "clone");
        Self(self.0)
    }
}

impl PartialEq for Fragile {
    fn eq(&self, other: &Self) -> bool {
        assert_ne!(PANICS.get(), "eq");
        self.0 == other.0
    }
}

#[audited_fields(fragile; key = id)]
struct FragileHolder {
    id: u8,
    fragile: Fragile,
}

impl FragileHolder {
    #[audit_method(skip_all)]
    fn grow(&mut self) -> u32 {
        self.fragile.0 += 1;
        self.fragile.0
    }
}

#[test]
fn an_object_that_panics_during_comparison_does_not_change_the_result() {
    PANICS.set("clone");
    let record =
        single_record(|| assert_eq!(FragileHolder { id: 1, fragile: Fragile(1) }.grow(), 2));
    assert_eq!((record.outcome, record.truncated), (Outcome::Success, vec![unobserved("self")]));
    assert_eq!(record.target_id.as_deref(), Some("1"));
    PANICS.set("eq");
    let record =
        single_record(|| assert_eq!(FragileHolder { id: 1, fragile: Fragile(1) }.grow(), 2));
    assert_eq!(record.outcome, Outcome::Success);
    assert_eq!(record.truncated, [Truncation::new("changes", "fields", 0, None)]);
    PANICS.set("");
}

#[test]
fn no_snapshot_is_taken_without_a_recorder() {
    CLONES.set(0);
    let mut holder = FragileHolder { id: 1, fragile: Fragile(1) };
    holder.grow();
    assert_eq!(CLONES.get(), 0);
    let record = single_record(|| holder.grow());
    assert_eq!(
        (CLONES.get(), change_lines(&record)),
        (1, vec!["FragileHolder 1 fragile 2 3".to_owned()])
    );
}

// ---- the catalogue ------------------------------------------------------------------------------

#[test]
fn audited_functions_are_listed_in_the_catalogue() {
    struct Generic<T, const N: usize>([T; N]);
    impl<T, const N: usize> Generic<T, N> {
        #[audit_method(action = "catalogue: never called", log = "info")]
        fn never_called(&self) -> usize {
            self.0.len()
        }
    }
    let _: fn(&Generic<u8, 1>) -> usize = Generic::never_called;
    let catalogue = audited::catalogue().to_string();
    let path = "call_changes::audited_functions_are_listed_in_the_catalogue::Generic::never_called";
    assert!(
        catalogue.contains(&format!("\naction catalogue: never called ({path}, log info)\n")),
        "{catalogue}"
    );
    assert!(
        catalogue.contains(
            "\naction call_changes::promote_later (call_changes::promote_later; skip_all)\n"
        ),
        "{catalogue}"
    );
}
