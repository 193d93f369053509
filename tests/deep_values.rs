//! Values that are nested deeply or are very long do not end the process, also on a small stack,
//! and cost no more than what is kept of them.

#[path = "shapes/record_access.rs"]
mod record_access;

use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};
use std::thread;

use audited::{Outcome, Record, audit_method, audited_fields, testing};
use record_access::{error_message, input, log_messages, output, single_record};
use serde::Serialize;

const NODES: usize = 50_000;

/// Returns the only record of `calls`, which run on a stack of 128 KiB.
fn on_small_stack(calls: impl FnOnce() + Send + 'static) -> Record {
    on_stack(128 * 1024, calls)
}

fn on_stack(bytes: usize, calls: impl FnOnce() + Send + 'static) -> Record {
    let thread = thread::Builder::new().stack_size(bytes);
    thread.spawn(|| single_record(calls)).expect("a thread").join().expect("no panic")
}

/// A list that is dropped without recursion.
#[derive(Debug)]
struct Node {
    #[allow(dead_code, reason = "for `Debug`")]
    number: usize,
    next: Option<Box<Node>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut node) = next {
            next = node.next.take();
        }
    }
}

fn nodes() -> Node {
    let list = (0..NODES).fold(None, |next, number| Some(Box::new(Node { number, next })));
    *list.expect("at least one node")
}

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.next {
            Some(next) => write!(f, "{}, {next}", self.number),
            None => write!(f, "{}", self.number),
        }
    }
}

impl Error for Node {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.next.as_deref().map(|next| next as &(dyn Error + 'static))
    }
}

#[track_caller]
fn assert_cut(value: &serde_json::Value, start: &str) {
    let text = value.as_str().expect("a text");
    assert!(text.starts_with(start) && text.ends_with("… [cut]"), "{text}");
}

#[test]
fn a_deep_debug_is_cut() {
    #[audit_method]
    fn same(list: Node) -> Node {
        tracing::info!(field = ?list, "the list is {list:?}");
        tracing::info!("{list}");
        list
    }
    let record = on_small_stack(|| drop(same(nodes())));
    let start = "Node { number: 49999, next: Some(Node { number: 49998, next: Some(";
    assert_cut(&input(&record)["list"], start);
    assert_cut(&output(&record), start);
    assert_cut(&record.log[0].fields.as_ref().expect("fields").to_value()["field"], start);
    assert_cut(&log_messages(&record)[0].into(), "the list is Node { number: 49999, ");
    assert_cut(&log_messages(&record)[1].into(), "49999, 49998, ");
    let paths: Vec<_> = record.truncated.iter().map(|cut| (&*cut.path, &*cut.unit)).collect();
    assert!(paths.contains(&("input.list", "bytes")), "{paths:?}");
    assert!(paths.contains(&("output", "bytes")), "{paths:?}");
    assert_eq!(paths.len(), 5, "{paths:?}");
}

#[test]
fn deep_errors_reasons_targets_and_notes_are_cut() {
    #[audit_method(skip_all, target = ("list", list), reason = list)]
    fn fails(list: Node) -> Result<(), Node> {
        audited::note(&list, &list);
        Err(list)
    }
    let record = on_small_stack(|| drop(fails(nodes())));
    assert_eq!(record.outcome, Outcome::Failure);
    let sources = &record.error.as_ref().expect("an error").sources;
    let texts = [
        error_message(&record),
        &sources[0],
        record.reason.as_deref().expect("a reason"),
        &record.notes[0].title,
        &record.notes[0].description,
    ];
    for text in texts {
        assert_cut(&text.into(), "4999");
    }
    let target = record.target_id.as_deref().expect("a target");
    assert!(target.starts_with("4999") && target.contains("… [cut: sha256 "), "{target}");
    assert_eq!(sources.len(), 64);
}

#[test]
fn a_debug_that_ignores_errors_is_stopped() {
    struct Ignores(Option<Box<Ignores>>);
    impl Debug for Ignores {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            let _ = f.write_str("(");
            if let Some(next) = &self.0 {
                let _ = next.fmt(f);
            }
            f.write_str(")")
        }
    }
    impl Drop for Ignores {
        fn drop(&mut self) {
            let mut next = self.0.take();
            while let Some(mut node) = next {
                next = node.0.take();
            }
        }
    }
    #[audit_method]
    fn look(_list: &Ignores) {}

    let record = on_small_stack(|| {
        look(&(0..NODES).fold(Ignores(None), |next, _| Ignores(Some(Box::new(next)))));
    });
    assert_eq!(input(&record)["_list"], "[not recorded: formatting it panicked]");
}

#[derive(Serialize)]
struct Chain(Option<Box<Chain>>);

#[derive(Serialize)]
enum Nested {
    End,
    Struct { next: Box<Nested> },
}

#[test]
fn deep_serialised_values_are_cut() {
    #[audit_method]
    fn look(_chain: &Chain, _nested: &Nested) {}

    let record = on_small_stack(|| {
        let chain = (0..NODES).fold(Chain(None), |next, _| Chain(Some(Box::new(next))));
        let nested =
            (0..NODES).fold(Nested::End, |next, _| Nested::Struct { next: Box::new(next) });
        look(&chain, &nested);
        // Their drops would recurse.
        std::mem::forget((chain, nested));
    });
    let value = input(&record);
    assert_eq!(value["_chain"], "[cut: deeper than 32 levels]");
    assert!(value["_nested"].is_object());
    assert_eq!(record.truncated.len(), 2);
}

#[audited_fields(chain, nested; key = id)]
struct Deep {
    id: u8,
    chain: Chain,
    nested: Nested,
}

#[test]
fn deep_audited_fields_are_cut() {
    #[audit_method]
    fn shorten(deep: &mut Deep) {
        std::mem::forget(std::mem::replace(&mut deep.chain, Chain(None)));
    }
    // Audited fields are compared to a depth of 100 levels.
    let record = on_stack(512 * 1024, || {
        let chain = (0..NODES).fold(Chain(None), |next, _| Chain(Some(Box::new(next))));
        let nested =
            (0..NODES).fold(Nested::End, |next, _| Nested::Struct { next: Box::new(next) });
        let mut deep = Deep { id: 1, chain, nested };
        shorten(&mut deep);
        std::mem::forget(deep);
    });
    assert_eq!(record.changes.len(), 1);
    assert_eq!(record.changes[0].field, "chain");
}

thread_local! {
    static VISITED: Cell<usize> = const { Cell::new(0) };
}

/// Counts how often it is visited by the iterator of a list.
struct Counted;

impl Debug for Counted {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        VISITED.set(VISITED.get() + 1);
        f.write_str("")
    }
}

#[test]
fn a_long_list_is_not_walked_to_its_end() {
    #[audit_method]
    fn look(_counted: &[Counted], _units: &[Nothing]) {}

    #[derive(Debug)]
    struct Nothing;

    let record = single_record(|| {
        // Elements without a size: the list takes no memory, but to walk it takes years.
        look(&[const { Counted }; 100_000], &[const { Nothing }; usize::MAX]);
    });
    assert!(VISITED.get() < 16 * 1024);
    assert_cut(&input(&record)["_counted"], "[, , , ");
    assert_cut(&input(&record)["_units"], "[Nothing, Nothing, ");
    let paths: Vec<_> = record.truncated.iter().map(|cut| &*cut.path).collect();
    assert_eq!(paths, ["input._counted", "input._units"]);
}

#[test]
fn ordinary_depths_are_recorded_whole() {
    #[audit_method]
    fn look(_list: &Node) {}

    let list = (0..32).fold(None, |next, number| Some(Box::new(Node { number, next })));
    let list = *list.expect("nodes");
    let record = testing::capture(|| look(&list)).remove(0);
    assert_eq!(input(&record)["_list"], format!("{list:?}"));
    assert_eq!(record.truncated, []);
}
