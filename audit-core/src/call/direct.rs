//! [`execute`] and [`execute_async`]: calls on record without an attribute.

use std::borrow::Cow;
use std::future::Future;

use serde::Serialize;

use crate::call::future::run_async;
use crate::call::lifecycle::{Call, begin_direct};
use crate::call::returned::Returned;
use crate::capture;

/// Runs `f` as a call on record, without an attribute.
///
/// `action` says what is done, `method` which code does it, and `parameters` is recorded as the input
/// (`Serialize`, unlike the arguments of an attribute; a JSON object by convention). What `f` returns is recorded as the attribute does it: `Err` is a
/// failure, a panic is a panic, both go on untouched. Where the type returned is not [`Returned`], the
/// macro `audited::execute!` takes the same arguments and any type.
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
/// When `f` panics, with its payload.
pub fn execute<R: Returned<Way>, Way>(
    action: impl Into<Cow<'static, str>>,
    method: impl Into<Cow<'static, str>>,
    parameters: impl Serialize,
    f: impl FnOnce() -> R,
) -> R {
    let mut call = begin(action, method, parameters);
    let value = call.run(f);
    if call.is_recorded() {
        value.record(&mut call);
    }
    value
}

/// Polls `future` as a call on record: the async form of [`execute`].
///
/// The call begins when it is first polled. Dropped after that and before it is done, it is recorded as
/// cancelled; never polled, it leaves no record. Where the recorder's durability asks that the call waits for its record,
/// that blocks the thread; an `async fn` with the attribute awaits it.
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
///         let hits = execute_async("search", "search::query", json!({"q": "rust"}), async { 42 }).await;
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
    let mut call = begin(action, method, parameters);
    let value = run_async(&mut call, future).await;
    if call.is_recorded() {
        value.record(&mut call);
    }
    // Not awaited: the value need not be `Send`.
    call.wait();
    value
}

/// Begins a call whose input is `parameters`. Also the expansion of `execute!`.
pub fn begin(
    action: impl Into<Cow<'static, str>>,
    method: impl Into<Cow<'static, str>>,
    parameters: impl Serialize,
) -> Call {
    let call = begin_direct(action.into(), method.into());
    let mut input = call.input();
    if let Some(input) = input.wanted() {
        input.whole(|out, cuts, path, rules| {
            capture::write_serialize(out, cuts, path, rules, &parameters);
        });
    }
    input.done();
    call
}
