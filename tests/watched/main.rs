//! What a call changes of the audited objects that it gets by `&mut` is part of its record.

mod within;

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context as Polling, Poll, Waker};

use audited::{
    AuditedFields, ChangeKind, FieldChange, Outcome, Record, Truncation, audit_method,
    audited_fields, testing,
};
use serde::Serialize;

/// `type id field before after` of each change, with `-` for nothing.
fn lines(record: &Record) -> Vec<String> {
    let text = |json: &Option<audited::Json>| json.as_ref().map_or("-".into(), ToString::to_string);
    let line = |change: &FieldChange| {
        let FieldChange { target_type, target_id, field, before, after, .. } = change;
        assert_eq!(change.change, ChangeKind::Changed);
        format!("{target_type} {target_id} {field} {} {}", text(before), text(after))
    };
    record.changes.iter().map(line).collect()
}

fn unseen(parameter: &str) -> Truncation {
    Truncation::new(format!("changes.{parameter}"), "objects", 0, Some(1))
}

#[track_caller]
fn one<R>(f: impl FnOnce() -> R) -> Record {
    let [record] = <[Record; 1]>::try_from(testing::capture(f)).expect("exactly one record");
    record
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

/// Is ready when it is polled again.
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

// ---- every outcome ----------------------------------------------------------------------------------

#[test]
fn a_success_tells_what_has_changed() {
    let record = one(|| assert_eq!(kara().promote(2), Ok(2)));
    assert_eq!(
        lines(&record),
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
fn a_call_that_changes_no_audited_field_tells_none() {
    let record = one(|| assert_eq!(kara().promote(1), Ok(1)));
    assert!(record.changes.is_empty() && record.truncated.is_empty());
    assert_eq!(record.target_id.as_deref(), Some("340"));
}

#[test]
fn a_failure_tells_what_it_has_changed_all_the_same() {
    let record = one(|| assert_eq!(kara().promote(10), Err("no such rank".into())));
    assert_eq!(lines(&record), ["Pilot 340 rank 1 10", r#"Pilot 340 tags[1] - "rank 10""#]);
    assert_eq!(record.outcome, Outcome::Failure);
}

#[test]
fn a_panic_tells_what_it_has_changed_and_goes_on() {
    let mut pilot = kara();
    let record = one(|| {
        let panic = catch_unwind(AssertUnwindSafe(|| pilot.promote(11))).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"no such rank"));
    });
    assert_eq!(lines(&record), ["Pilot 340 rank 1 11", r#"Pilot 340 tags[1] - "rank 11""#]);
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
fn an_async_call_tells_what_has_changed_on_every_outcome() {
    let expected =
        |to| [r#"Pilot 340 name "Kara" "Kara!""#.to_owned(), format!("Pilot 340 rank 1 {to}")];
    for (to, outcome) in [(2, Outcome::Success), (10, Outcome::Failure), (11, Outcome::Panic)] {
        let record = one(|| {
            catch_unwind(|| block_on(promote_later(&mut kara(), to)).is_ok()).unwrap_or_default()
        });
        assert_eq!((lines(&record), record.outcome), (expected(to).to_vec(), outcome));
        let record =
            one(|| catch_unwind(|| block_on(kara().promote_soon(to)).is_ok()).unwrap_or_default());
        assert_eq!((lines(&record), record.outcome), (expected(to).to_vec(), outcome));
        assert!(record.truncated.is_empty());
    }
}

/// Polls `future` once and drops it.
fn begin<F: Future>(future: F) {
    let polled = pin!(future).poll(&mut Polling::from_waker(Waker::noop()));
    assert!(polled.is_pending());
}

#[test]
fn a_future_that_is_dropped_tells_what_it_has_changed_or_that_it_can_not() {
    let record = one(|| begin(promote_later(&mut kara(), 2)));
    assert_eq!(record.outcome, Outcome::Cancelled);
    assert_eq!(lines(&record), ["Pilot 340 rank 1 2"]);
    // It takes `self` with it.
    let record = one(|| begin(kara().promote_soon(2)));
    assert_eq!(record.outcome, Outcome::Cancelled);
    assert!(record.changes.is_empty());
    assert_eq!(record.truncated, [unseen("self")]);
    assert!(testing::capture(|| drop(promote_later(&mut kara(), 2))).is_empty());
}

// ---- several objects, and what the call is about -----------------------------------------------------

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
fn each_of_several_objects_gets_its_own_changes() {
    let record = one(|| {
        let mut flown = Flown { pilot: 340, number: 3, count: 0 };
        kara().swap(&mut lee(), &mut flown, &mut 0);
    });
    assert_eq!(
        lines(&record),
        ["Pilot 340 rank 1 5", "Pilot 341 rank 5 1", "Pilot/Flight 340/3 count 0 1"]
    );
    assert_eq!(record.target_id.as_deref(), Some("340"));
    assert!(record.changes.windows(2).all(|two| two[0].changed_at < two[1].changed_at));
}

#[test]
fn another_target_stays() {
    #[audit_method(skip_all, target = ("squadron", 9))]
    fn by_word(pilot: &mut Pilot) {
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
        by_word(&mut kara());
        by_call(&mut kara());
        by_object(1, &mut lee(), &mut kara());
    });
    let targets: Vec<_> = records.iter().map(|record| record.target_id.as_deref()).collect();
    assert_eq!(targets, [Some("9"), Some("10"), Some("341")]);
    assert_eq!(lines(&records[0]), ["Pilot 340 rank 1 2"]);
    assert_eq!(lines(&records[2]), ["Pilot 341 rank 5 6", "Pilot 340 rank 1 2"]);
}

#[test]
fn the_id_is_the_one_that_the_call_found() {
    #[audit_method(skip_all)]
    fn renumber(pilot: &mut Pilot) {
        pilot.id = 1;
        pilot.rank = 9;
    }
    assert_eq!(lines(&one(|| renumber(&mut kara()))), ["Pilot 340 rank 1 9"]);
}

#[test]
fn changes_are_recorded_however_little_else_is() {
    #[audit_method(capture = "metadata")]
    fn raise(pilot: &mut Pilot) {
        pilot.rank += 1;
    }
    #[audit_method(capture = "none")]
    fn unrecorded(pilot: &mut Pilot) {
        pilot.rank += 1;
    }
    let record = one(|| raise(&mut kara()));
    assert_eq!((lines(&record), record.input), (vec!["Pilot 340 rank 1 2".to_owned()], None));
    assert!(testing::capture(|| unrecorded(&mut kara())).is_empty());
}

#[test]
fn the_object_is_still_an_argument() {
    #[audit_method]
    fn raise(pilot: &mut Pilot, _by: u32) {
        pilot.rank += 1;
    }
    let record = one(|| raise(&mut lee(), 1));
    assert_eq!(
        record.input.unwrap().as_str(),
        r#"{"pilot":{"id":341,"name":"Lee","rank":5,"tags":[],"pin":1,"seat":1},"_by":1}"#
    );
}

// ---- what the types say ------------------------------------------------------------------------------

#[test]
fn a_generic_function_watches_what_it_knows_to_be_audited() {
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
    let told: Vec<_> = records.iter().map(lines).collect();
    let (one, none) = (vec!["Pilot 340 rank 1 2".to_owned()], Vec::new());
    assert_eq!(told[..6], [one.clone(), none.clone(), one.clone(), none.clone(), one, none]);
    assert_eq!(told[6], [r#"Holder 1 value "a" "b""#]);
}

// ---- code of the object itself -----------------------------------------------------------------------

thread_local! {
    static CLONES: Cell<u32> = const { Cell::new(0) };
    static PANICS: Cell<&'static str> = const { Cell::new("") };
}

#[derive(Debug, Serialize)]
struct Wild(u32);

impl Clone for Wild {
    fn clone(&self) -> Self {
        CLONES.set(CLONES.get() + 1);
        assert_ne!(PANICS.get(), "clone");
        Self(self.0)
    }
}

impl PartialEq for Wild {
    fn eq(&self, other: &Self) -> bool {
        assert_ne!(PANICS.get(), "eq");
        self.0 == other.0
    }
}

#[audited_fields(wild; key = id)]
struct Jungle {
    id: u8,
    wild: Wild,
}

impl Jungle {
    #[audit_method(skip_all)]
    fn grow(&mut self) -> u32 {
        self.wild.0 += 1;
        self.wild.0
    }
}

#[test]
fn an_object_that_panics_when_it_is_looked_at_changes_no_result() {
    PANICS.set("clone");
    let record = one(|| assert_eq!(Jungle { id: 1, wild: Wild(1) }.grow(), 2));
    assert_eq!((record.outcome, record.truncated), (Outcome::Success, vec![unseen("self")]));
    assert_eq!(record.target_id.as_deref(), Some("1"));
    PANICS.set("eq");
    let record = one(|| assert_eq!(Jungle { id: 1, wild: Wild(1) }.grow(), 2));
    assert_eq!(record.outcome, Outcome::Success);
    assert_eq!(record.truncated, [Truncation::new("changes", "fields", 0, None)]);
    PANICS.set("");
}

#[test]
fn nothing_is_remembered_where_nothing_is_recorded() {
    CLONES.set(0);
    let mut jungle = Jungle { id: 1, wild: Wild(1) };
    jungle.grow();
    assert_eq!(CLONES.get(), 0);
    let record = one(|| jungle.grow());
    assert_eq!((CLONES.get(), lines(&record)), (1, vec!["Jungle 1 wild 2 3".to_owned()]));
}

// ---- the catalogue -----------------------------------------------------------------------------------

#[test]
fn audited_functions_are_in_the_catalogue() {
    struct Generic<T, const N: usize>([T; N]);
    impl<T, const N: usize> Generic<T, N> {
        #[audit_method(action = "catalogue: never called", log = "info")]
        fn never_called(&self) -> usize {
            self.0.len()
        }
    }
    let _: fn(&Generic<u8, 1>) -> usize = Generic::never_called;
    let catalogue = audited::catalogue().to_string();
    assert!(
        catalogue.contains("\naction catalogue: never called (watched::never_called, log info)\n"),
        "{catalogue}"
    );
    assert!(
        catalogue.contains("\naction watched::promote_later (watched::promote_later; skip_all)\n"),
        "{catalogue}"
    );
}

// ---- names that say nothing --------------------------------------------------------------------------

/// Types that borrow, under the names of types that do not.
mod misleading {
    pub(crate) type Result<'g, T = u8> = std::result::Result<G<'g>, T>;
    pub(crate) struct G<'g>(pub(crate) &'g mut u32);
}

#[allow(elided_lifetimes_in_paths, mismatched_lifetime_syntaxes)]
impl Pilot {
    #[audit_method(skip_all)]
    fn rank(&mut self) -> misleading::Result {
        Ok(misleading::G(&mut self.rank))
    }

    #[audit_method(skip_all)]
    fn short(&mut self) -> misleading::G {
        misleading::G(&mut self.rank)
    }
}

#[test]
fn what_is_returned_is_known_by_its_type_not_by_its_name() {
    let mut pilot = kara();
    let records = testing::capture(|| {
        *pilot.rank().unwrap_or_else(|_| unreachable!()).0 += 1;
        *pilot.short().0 += 1;
    });
    assert_eq!(pilot.rank, 3);
    assert!(records.iter().all(|record| record.truncated == [unseen("self")]));
}

/// A future is `Send` where it is without the attribute: also where it is not known that what is remembered of the
/// object is.
#[test]
fn a_future_of_a_type_parameter_is_send_and_says_what_it_does_not_see() {
    #[audit_method]
    async fn touch<T: AuditedFields + Send>(_object: &mut T) -> u32 {
        std::future::ready(1).await
    }
    fn as_send<T: Send>(value: T) -> T {
        value
    }
    async fn any<T: AuditedFields + Send>(mut object: T) -> u32 {
        as_send(touch(&mut object)).await
    }
    let records = testing::capture(|| {
        let mut future = Box::pin(any(Plain { id: 7, number: 1 }));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(future.as_mut().poll(&mut cx).is_ready());
    });
    assert_eq!(records[0].target_id.as_deref(), Some("7"));
    assert_eq!(records[0].truncated[0].path, "changes._object");
}

#[audited_fields(number; key = id)]
struct Plain {
    id: u8,
    number: u8,
}
