//! [`execute`] and [`execute_async`]: recorded calls without an attribute.

use std::borrow::Cow;
use std::future::Future;

use serde::Serialize;

use crate::call::future::run_async;
use crate::call::lifecycle::{Call, begin_direct};
use crate::call::returned::Returned;
use crate::capture;

/// Runs `f` as a recorded call, without an attribute.
///
/// `action` is a short phrase in domain terms, `method` is the path of the code, and `parameters`
/// becomes the input, by convention a JSON object. Unlike the arguments of an audited function,
/// `parameters` must be `Serialize`. Of an action or method with more than 1,024 bytes, the record
/// has the beginning and a digest.
///
/// The return value is recorded as the attribute does it. `Err` is recorded as a failure, and a
/// panic as a panic. Both reach the caller unchanged. The macro `audited::execute!` takes the same
/// arguments, and accepts return types that do not implement [`Returned`].
///
/// ```
/// use audited::{Outcome, execute, testing};
/// use serde_json::json;
///
/// let records = testing::capture(|| {
///     let done: Result<u32, String> =
///         execute("rebuild index", "search::rebuild", json!({"shard": 3}), || {
///             Err("shard 3 is locked".to_owned())
///         });
///     assert_eq!(done.unwrap_err(), "shard 3 is locked");
/// });
/// assert_eq!(records[0].action, "rebuild index");
/// assert_eq!(*records[0].input.as_ref().unwrap(), json!({"shard": 3}));
/// assert_eq!(records[0].outcome, Outcome::Failure);
/// assert_eq!(records[0].error.as_ref().unwrap().message, "shard 3 is locked");
/// ```
///
/// # Panics
///
/// If `f` panics, with the same payload.
pub fn execute<R: Returned<Way>, Way>(
    action: impl Into<Cow<'static, str>>,
    method: impl Into<Cow<'static, str>>,
    parameters: impl Serialize,
    f: impl FnOnce() -> R,
) -> R {
    let mut call = begin_execute(action, method, parameters);
    let value = call.run(f);
    if call.is_recorded() {
        value.record(&mut call);
    }
    value
}

/// Polls `future` as a recorded call: the async form of [`execute`].
///
/// The call starts at the first poll. If the future is dropped after that and before it completes,
/// the call is recorded as cancelled. If the future is never polled, it leaves no record. If the
/// recorder's durability is `process` or `power`, the thread is blocked until the record is stored.
/// An `async fn` with the attribute awaits instead.
///
/// ```
/// # fn block_on<F: std::future::Future>(f: F) -> F::Output {
/// #     let mut f = std::pin::pin!(f);
/// #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// #     loop { if let std::task::Poll::Ready(v) = f.as_mut().poll(&mut cx) { return v } }
/// # }
/// use audited::{execute_async, testing};
/// use serde_json::json;
///
/// let records = testing::capture(|| {
///     block_on(async {
///         let query = json!({"q": "rust"});
///         let hits = execute_async("search", "search::query", query, async { 42 }).await;
///         assert_eq!(hits, 42);
///     });
/// });
/// assert_eq!(*records[0].output.as_ref().unwrap(), json!(42));
/// ```
pub async fn execute_async<R: Returned<Way>, Way>(
    action: impl Into<Cow<'static, str>>,
    method: impl Into<Cow<'static, str>>,
    parameters: impl Serialize,
    future: impl Future<Output = R>,
) -> R {
    let mut call = begin_execute(action, method, parameters);
    let value = run_async(&mut call, future).await;
    if call.is_recorded() {
        value.record(&mut call);
    }
    // Blocks instead of awaiting, because the value need not be `Send`.
    call.wait();
    value
}

/// Begins a call with the input `parameters`. The expansion of `execute!` calls it, too.
pub fn begin_execute(
    action: impl Into<Cow<'static, str>>,
    method: impl Into<Cow<'static, str>>,
    parameters: impl Serialize,
) -> Call {
    let action = capture::limited_identifier(action);
    let call = begin_direct(action, capture::limited_identifier(method));
    let mut input = call.input();
    if let Some(input) = input.wanted() {
        input.whole(|writer| {
            writer.serialize(&parameters);
        });
    }
    input.done();
    call
}
