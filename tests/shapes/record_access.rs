//! Short accessors for the parts of a record that tests compare.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use audited::{Json, Record, testing};
use serde_json::Value;

/// Returns the only record.
#[track_caller]
pub(crate) fn only_record(records: Vec<Record>) -> Record {
    let [record] = <[Record; 1]>::try_from(records).expect("exactly one record");
    record
}

/// Runs `f` and returns its only record.
#[track_caller]
pub(crate) fn single_record<R>(f: impl FnOnce() -> R) -> Record {
    only_record(testing::capture(f))
}

pub(crate) fn input(record: &Record) -> Value {
    record.input.as_ref().map_or(Value::Null, Json::to_value)
}

pub(crate) fn output(record: &Record) -> Value {
    record.output.as_ref().map_or(Value::Null, Json::to_value)
}

/// The message of the recorded error.
#[track_caller]
pub(crate) fn error_message(record: &Record) -> &str {
    &record.error.as_ref().expect("a recorded error").message
}

/// The messages in the log of a record.
pub(crate) fn log_messages(record: &Record) -> Vec<&str> {
    record.log.iter().map(|entry| &*entry.message).collect()
}

/// The only record whose action ends in `::name`.
#[track_caller]
pub(crate) fn find_record<'r>(records: &'r [Record], name: &str) -> &'r Record {
    let tail = format!("::{name}");
    let mut found = records.iter().filter(|record| record.action.ends_with(&tail));
    let record = found.next().expect("a record with that name");
    assert!(found.next().is_none(), "more than one record has the name {name}");
    record
}

/// Runs `f`, which must panic, and returns the message of the panic.
#[track_caller]
pub(crate) fn panic_message<R>(f: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .expect("a text payload"),
    }
}
