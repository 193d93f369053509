//! Captures the records of one scope, for tests that run in parallel.
//!
//! [`capture`] and [`capture_async`] return records; [`history`] and [`history_of`] read them back
//! as the history of an object. Nothing is written to a file.

use std::future::Future;
use std::sync::{Arc, Mutex};

use audit_record::Record;

use crate::audit::memory_recorder;
use crate::context::Context;
use crate::fields::{AuditedFields, ObjectKey};
use crate::history::{History, MemoryReader, SharedReader};
use crate::recorder::{Recorder, RecorderRef};

/// Runs `f` with its own recorder, and returns the records in the order in which the calls ended.
///
/// It changes no global state, so tests that use it can run in parallel, even while another
/// recorder is installed. Threads and tasks that `f` starts belong to the scope if they enter
/// [`Context::current`]. The logs of the calls are captured, too. If the subscriber of a thread has
/// [`layer`](crate::layer()), it captures them. Otherwise, a subscriber for this scope does.
///
/// ```
/// use audited::{Outcome, execute, testing};
///
/// let records = testing::capture(|| execute("pay invoice", "bank::pay", (), || ()));
/// assert_eq!(records.len(), 1);
/// assert_eq!((&*records[0].action, records[0].outcome), ("pay invoice", Outcome::Success));
/// ```
///
/// # Panics
///
/// If `f` panics; the records are lost then. To see the record of a panic, catch it inside `f`.
pub fn capture<R>(f: impl FnOnce() -> R) -> Vec<Record> {
    let recorder = memory_recorder();
    context(&recorder).scope(f);
    recorder.take_memory_records().records
}

/// The async form of [`capture`]: polls `future` with its own recorder.
///
/// ```
/// # fn block_on<F: std::future::Future>(f: F) -> F::Output {
/// #     let mut f = std::pin::pin!(f);
/// #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// #     loop { if let std::task::Poll::Ready(v) = f.as_mut().poll(&mut cx) { return v } }
/// # }
/// use audited::{execute_async, testing};
///
/// let records = block_on(testing::capture_async(async {
///     execute_async("search", "shop::search", (), async { 3 }).await
/// }));
/// assert_eq!(*records[0].output.as_ref().unwrap(), serde_json::json!(3));
/// ```
pub async fn capture_async<F: Future>(future: F) -> Vec<Record> {
    let recorder = memory_recorder();
    context(&recorder).wrap(future).await;
    recorder.take_memory_records().records
}

/// The [`History`] of an object in `records`, as a store with these records returns it.
///
/// ```
/// use audited::{Tracked, audited_fields, testing};
///
/// #[audited_fields(age; key = id)]
/// struct Pilot { id: u64, age: u8 }
///
/// let records = testing::capture(|| {
///     let mut pilot = Tracked::loaded(Pilot { id: 340, age: 25 });
///     pilot.age = 26;
///     pilot.save(|_| Ok::<(), String>(())).unwrap();
/// });
/// let change = testing::history::<Pilot>(&records, 340).last_change_of("age")?.unwrap();
/// assert_eq!(change.to_string(), "Pilot 340 changed: age 25 → 26");
/// # Ok::<(), audited::Error>(())
/// ```
pub fn history<T: AuditedFields>(records: &[Record], key: impl Into<ObjectKey>) -> History {
    History::of_type::<T>(reader(records)).of_object(key.into())
}

/// The same as [`history`], for an object that has no type in the program, by the name of its type
/// in the records.
///
/// ```
/// use audited::testing;
///
/// let records = testing::capture(|| {
///     audited::change_of("invoice", 4711).change("total", 100, 80).record();
/// });
/// let change = testing::history_of(&records, "invoice", 4711).last_change_of("total")?.unwrap();
/// assert_eq!(change.to_string(), "invoice 4711 changed: total 100 → 80");
/// # Ok::<(), audited::Error>(())
/// ```
pub fn history_of(
    records: &[Record],
    target_type: impl Into<String>,
    key: impl Into<ObjectKey>,
) -> History {
    History::named(reader(records), target_type.into()).of_object(key.into())
}

fn reader(records: &[Record]) -> SharedReader {
    Arc::new(Mutex::new(Box::new(MemoryReader::new(records))))
}

fn context(recorder: &Arc<Recorder>) -> Context {
    Context::current().with_recorder(RecorderRef::Held(recorder.clone()))
}
