//! Shape 72: expressions in `target`, `reason` and `fields` that panic, or use their parameters in
//! ways of their own.

use std::cell::Cell;
use std::process::Command;

use audited::{Outcome, Record, Refused, audit_method, audited_fields, testing};
use serde_json::{Value, json};

use crate::record_access::{input, single_record};
/// Fails to compile if the type of `value` is not `Send`.
fn assert_send<T: Send>(value: T) -> T {
    value
}

/// Runs `future` to completion on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

const PANICKED: &str = "[not recorded: its expression panicked]";

#[audited_fields(len; key = id)]
struct List {
    id: u8,
    len: usize,
}

impl List {
    #[audit_method(skip(self), target = ("item", items[self.len]), reason = items[self.len])]
    fn push(&mut self, items: &[u8]) -> usize {
        self.len += items.len();
        self.len
    }

    #[audit_method(skip(self), target = ("item", items[self.len]), fields(first = items[0]))]
    async fn push_later(&mut self, items: Vec<u8>) -> usize {
        self.len += items.len();
        self.len
    }
}

#[audit_method(
    target = ("item", items[0]), reason = items[0], fields(size = items.len(), a.first = items[0])
)]
fn sum(items: &[u8]) -> u8 {
    items.iter().sum()
}

#[audit_method(target = ("item", items[0]), reason = items[0], fields(first = items[0]))]
#[track_caller]
fn tracked(items: &[u8]) -> usize {
    items.len()
}

#[audit_method(target = ("item", items[0]), reason = items[0], fields(first = items[0]))]
fn opaque(items: &[u8]) -> impl Iterator<Item = u8> {
    items.iter().copied()
}

#[audit_method(target = ("item", items[0]), reason = items[0], fields(first = items[0]))]
async fn later((items, _): (Vec<u8>, u8)) -> usize {
    items.len()
}

#[audit_method(
    target = ("item", items[0]), reason = items[0], fields(first = items[0]),
    on_audit_failure = "refuse"
)]
fn refusable(items: &[u8]) -> Result<usize, Refused> {
    Ok(items.len())
}

#[track_caller]
fn assert_marked(record: &Record, paths: &[&str]) {
    assert_eq!(record.outcome, Outcome::Success, "{}", record.action);
    let cuts = record.truncated.iter().filter(|cut| (cut.kept, cut.was) == (0, Some(1)));
    assert_eq!(cuts.map(|cut| &*cut.path).collect::<Vec<_>>(), paths, "{}", record.action);
    for path in paths {
        match *path {
            "target" => assert_eq!(target(record), (Some(PANICKED), Some(PANICKED))),
            "reason" => assert_eq!(record.reason.as_deref(), Some(PANICKED)),
            field => assert_eq!(extra(record)[&field["context.extra.".len()..]], PANICKED),
        }
    }
}

fn target(record: &Record) -> (Option<&str>, Option<&str>) {
    (record.target_type.as_deref(), record.target_id.as_deref())
}

fn extra(record: &Record) -> Value {
    record.context.as_ref().unwrap().to_value()["extra"].clone()
}

#[test]
fn n72_a_panic_in_a_detail_does_not_reach_the_caller() {
    let mut list = List { id: 3, len: 0 };
    let records = testing::capture(|| {
        assert_eq!(sum(&[]), 0);
        assert_eq!(tracked(&[]), 0);
        assert_eq!(opaque(&[]).count(), 0);
        assert_eq!(block_on(assert_send(later((vec![], 1)))), 0);
        assert_eq!(refusable(&[]).ok(), Some(0));
        assert_eq!(list.push(&[]), 0);
        assert_eq!(block_on(assert_send(list.push_later(vec![]))), 0);
    });
    assert_marked(&records[0], &["target", "reason", "context.extra.a.first"]);
    assert_eq!(extra(&records[0])["size"], 0);
    for record in &records[1..5] {
        assert_marked(record, &["target", "reason", "context.extra.first"]);
    }
    assert_marked(&records[5], &["target", "reason"]);
    assert_marked(&records[6], &["target", "context.extra.first"]);
    // The arguments are recorded as ever.
    assert_eq!(input(&records[0]), json!({"items": []}));
}

#[test]
fn n72_details_without_a_panic_are_recorded() {
    let mut list = List { id: 3, len: 0 };
    let records = testing::capture(|| {
        assert_eq!(sum(&[4, 5]), 9);
        assert_eq!(block_on(later((vec![4], 1))), 1);
        assert_eq!(list.push(&[4]), 1);
    });
    for record in &records {
        assert_eq!((target(record), &*record.truncated), ((Some("item"), Some("4")), &[][..]));
    }
    assert_eq!(extra(&records[0]), json!({"size": 2, "a.first": 4}));
    assert_eq!(records[2].changes.len(), 1);
}

/// Runs another test of this binary in a process of its own, because a panic hook belongs to the
/// process.
#[test]
fn n72_a_caught_panic_prints_nothing() {
    let test = "details::n72_a_panic_in_a_detail_does_not_reach_the_caller";
    let this_binary = std::env::current_exe().unwrap();
    let run = Command::new(this_binary).args(["--exact", test, "--nocapture"]).output().unwrap();
    let [stdout, stderr] = [&run.stdout, &run.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(stdout.contains("1 passed"), "{stdout}");
    assert!(!stderr.contains("panicked at"), "{stderr}");
}

#[test]
fn n72_details_are_evaluated_only_for_a_record_and_once() {
    #[audit_method(target = ("count", next(count)), fields(again = next(count)))]
    fn counted(count: &Cell<u8>) {}
    fn next(count: &Cell<u8>) -> u8 {
        count.set(count.get() + 1);
        count.get()
    }

    let count = Cell::new(0);
    counted(&count);
    assert_eq!(count.get(), 0);
    let record = single_record(|| counted(&count));
    assert_eq!((target(&record).1, &extra(&record)["again"]), (Some("1"), &json!(2)));
}

/// Details may use a parameter in every way that leaves it to the body.
#[audit_method(
    skip_all,
    target = (if name.is_empty() { "none" } else { &name }, { list.push(1); list.len() }),
    reason = loop { if let Some(one) = numbers.next() { break one.to_string() } },
    fields(
        closure = (|n: u8| -> Result<u8, std::num::ParseIntError> { Ok("1".parse::<u8>()? + n) })(2),
        upper = String::from(moved),
    )
)]
fn uses(
    name: String,
    list: &mut Vec<u8>,
    mut numbers: std::ops::Range<u8>,
    moved: &'static str,
) -> (String, usize, Option<u8>) {
    (name, list.len(), numbers.next())
}

#[test]
fn n72_details_may_borrow_and_change_what_the_body_uses_later() {
    let mut list = vec![];
    let record = single_record(|| {
        assert_eq!(uses("n".to_owned(), &mut list, 5..9, "m"), ("n".to_owned(), 1, Some(6)));
    });
    assert_eq!(target(&record), (Some("n"), Some("1")));
    assert_eq!(record.reason.as_deref(), Some("5"));
    assert_eq!(extra(&record), json!({"closure": "Ok(3)", "upper": "m"}));
}
