//! Short ways to say what a record holds.
// Each test binary uses the part that it needs.
#![allow(dead_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use audited::{Json, Record, testing};
use serde_json::Value;

/// The one record there is.
#[track_caller]
pub(crate) fn only(records: Vec<Record>) -> Record {
    let [record] = <[Record; 1]>::try_from(records).expect("exactly one record");
    record
}

/// The one record that `f` makes.
#[track_caller]
pub(crate) fn one<R>(f: impl FnOnce() -> R) -> Record {
    only(testing::capture(f))
}

pub(crate) fn input(record: &Record) -> Value {
    record.input.as_ref().map_or(Value::Null, Json::to_value)
}

pub(crate) fn output(record: &Record) -> Value {
    record.output.as_ref().map_or(Value::Null, Json::to_value)
}

/// Message of the error on record.
#[track_caller]
pub(crate) fn message(record: &Record) -> &str {
    &record.error.as_ref().expect("an error on record").message
}

/// The messages of a record's log.
pub(crate) fn log(record: &Record) -> Vec<&str> {
    record.log.iter().map(|entry| &*entry.message).collect()
}

/// The record whose action ends in `::name`.
#[track_caller]
pub(crate) fn named<'r>(records: &'r [Record], name: &str) -> &'r Record {
    let tail = format!("::{name}");
    let mut found = records.iter().filter(|record| record.action.ends_with(&tail));
    let record = found.next().expect("a record of that name");
    assert!(found.next().is_none(), "more than one record of {name}");
    record
}

/// Runs `f`, and gives the payload of its panic as text.
#[track_caller]
pub(crate) fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("no panic"),
        Err(payload) => payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .expect("a payload that is text"),
    }
}
