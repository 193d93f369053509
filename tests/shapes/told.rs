//! What the shapes' tests have in common.

use std::fmt;
use std::future::Future;

use audited::{Outcome, Record, testing};
use serde_json::{Value, json};

/// What the records say, without what differs from run to run: an array of objects with `call` (the
/// action, without the path of the module), `outcome`, and `in`, `out` and `error` where they are given.
pub(crate) fn told(records: &[Record]) -> Value {
    records.iter().map(tell).collect()
}

fn tell(record: &Record) -> Value {
    let name = record.action.rsplit("::").next().expect("rsplit gives at least one part");
    assert_eq!(
        record.method.rsplit("::").next(),
        Some(name),
        "action and method name one function"
    );
    let mut told = json!({ "call": name, "outcome": record.outcome.as_str() });
    if let Some(input) = &record.input {
        told["in"] = input.to_value();
    }
    if let Some(output) = &record.output {
        told["out"] = output.to_value();
    }
    if let Some(error) = &record.error {
        let ty = error.type_name.rsplit("::").next().expect("rsplit gives at least one part");
        told["error"] = format!("{ty}: {}", error.message).into();
    }
    told
}

/// Runs `f` and tells what was recorded.
pub(crate) fn of<R>(f: impl FnOnce() -> R) -> Value {
    told(&testing::capture(f))
}

/// Polls `future` to its end and tells what was recorded.
pub(crate) fn of_async<F: Future>(future: F) -> Value {
    told(&block_on(testing::capture_async(future)))
}

/// Polls `future` to its end on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// One success of `call`.
pub(crate) fn success(call: &str, input: Value, output: Value) -> Value {
    json!([{ "call": call, "outcome": Outcome::Success.as_str(), "in": input, "out": output }])
}

/// One success of `call` that gives no output.
pub(crate) fn no_output(call: &str, input: Value) -> Value {
    json!([{ "call": call, "outcome": Outcome::Success.as_str(), "in": input }])
}

/// One end of `call` with `error`.
pub(crate) fn ended(call: &str, outcome: Outcome, input: Value, error: &str) -> Value {
    json!([{ "call": call, "outcome": outcome.as_str(), "in": input, "error": error }])
}

/// An error for the shapes to fail with.
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
