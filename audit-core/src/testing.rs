//! Records of one scope, for tests that run in parallel.

use std::future::Future;
use std::sync::{Arc, Mutex};

use audit_record::Record;

use crate::audit::memory_recorder;
use crate::context::Context;
use crate::events;
use crate::fields::{AuditedFields, ObjectKey};
use crate::history::{History, MemoryReader, SharedReader};
use crate::recorder::{Recorder, RecorderRef};

/// Runs `f` with a recorder of its own, and gives the records of just that scope, in the order in which
/// the calls ended.
///
/// Nothing global is touched: tests that use it can run in parallel, also beside an installed recorder. The
/// calls' logs are captured as well: with the thread's subscriber if it holds
/// [`layer`](crate::layer()), else with one of the scope's own. Threads and tasks that `f` starts belong to the
/// scope if they carry [`Context::current`].
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
/// When `f` panics; the records are then lost. Catch the panic inside `f` to see its record.
pub fn capture<R>(f: impl FnOnce() -> R) -> Vec<Record> {
    let recorder = memory_recorder();
    let run = || {
        context(&recorder).scope(f);
    };
    match events::dispatch_if_missing() {
        Some(dispatch) => tracing::dispatcher::with_default(&dispatch, run),
        None => run(),
    }
    recorder.take_kept().records
}

/// The async form of [`capture`]: polls `future` with a recorder of its own.
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
    use tracing::instrument::WithSubscriber;

    let recorder = memory_recorder();
    let future = context(&recorder).wrap(future);
    match events::dispatch_if_missing() {
        Some(dispatch) => future.with_subscriber(dispatch).await,
        None => future.await,
    };
    recorder.take_kept().records
}

/// The [`History`] of an object in `records`, as a store that holds them would tell it.
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

/// As [`history`], for an object that no type of the program stands for.
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
