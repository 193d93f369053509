//! Helpers that the tests of function shapes share: a comparable summary of records, an error type,
//! and an executor.

use std::fmt;
use std::future::Future;

use audited::{Outcome, Record, testing};
use serde_json::{Value, json};

/// Summarizes the records without the parts that differ from run to run.
///
/// The result is an array of objects with `call` (the action without its module path), `outcome`,
/// and `in`, `out` and `error` if the record has them.
pub(crate) fn summarize(records: &[Record]) -> Value {
    records.iter().map(summarize_record).collect()
}

fn summarize_record(record: &Record) -> Value {
    let name = record.action.rsplit("::").next().expect("rsplit gives at least one part");
    assert_eq!(
        record.method.rsplit("::").next(),
        Some(name),
        "action and method name the same function"
    );
    let mut summary = json!({ "call": name, "outcome": record.outcome.as_str() });
    if let Some(input) = &record.input {
        summary["in"] = input.to_value();
    }
    if let Some(output) = &record.output {
        summary["out"] = output.to_value();
    }
    if let Some(error) = &record.error {
        let ty = error.type_name.rsplit("::").next().expect("rsplit gives at least one part");
        summary["error"] = format!("{ty}: {}", error.message).into();
    }
    summary
}

/// Runs `f` and summarizes its records.
pub(crate) fn summary_of<R>(f: impl FnOnce() -> R) -> Value {
    summarize(&testing::capture(f))
}

/// Runs `future` to completion and summarizes its records.
pub(crate) fn summary_of_async<F: Future>(future: F) -> Value {
    summarize(&block_on(testing::capture_async(future)))
}

/// Runs `future` to completion on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// Fails to compile if the type of `value` is not `Send`.
pub(crate) fn assert_send<T: Send>(value: T) -> T {
    value
}

/// The summary of one successful `call`.
pub(crate) fn success(call: &str, input: Value, output: Value) -> Value {
    json!([{ "call": call, "outcome": Outcome::Success.as_str(), "in": input, "out": output }])
}

/// The summary of one successful `call` without an output.
pub(crate) fn success_without_output(call: &str, input: Value) -> Value {
    json!([{ "call": call, "outcome": Outcome::Success.as_str(), "in": input }])
}

/// The summary of one `call` that ended with `error`.
pub(crate) fn ended_with_error(call: &str, outcome: Outcome, input: Value, error: &str) -> Value {
    json!([{ "call": call, "outcome": outcome.as_str(), "in": input, "error": error }])
}

/// The error with which shapes fail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bad;

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is bad")
    }
}

impl std::error::Error for Bad {}

impl From<std::num::ParseIntError> for Bad {
    fn from(_: std::num::ParseIntError) -> Self {
        Self
    }
}
