//! Shapes 36 to 39: audited futures that are dropped, selected, moved between threads, or spawned.

use std::future::{pending, poll_fn, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as Wake, Poll, Waker};

use audited::{Context, Outcome, audit_method, testing};
use serde_json::json;
use tracing::Instrument;
use tracing::instrument::WithSubscriber;

use crate::record_access::{
    error_message, find_record, input, log_messages, only_record, output, panic_message,
};

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Wake::from_waker(Waker::noop()))
}

// ---- 36 -----------------------------------------------------------------------------------------

#[audit_method]
async fn never_done(n: u32) -> u32 {
    let _at_drop = LogsAtDrop;
    tracing::info!("begun");
    pending::<()>().await;
    n
}

struct LogsAtDrop;

impl Drop for LogsAtDrop {
    fn drop(&mut self) {
        tracing::info!("cleaned up");
        audited::note("drop", "seen");
        clean_up();
    }
}

#[audit_method]
fn clean_up() {}

#[test]
fn n36_a_cancelled_future_is_recorded_once_with_the_effects_of_its_drop() {
    let records = testing::capture(|| {
        let mut future = Box::pin(never_done(7));
        assert!(poll_once(future.as_mut()).is_pending());
        assert!(poll_once(future.as_mut()).is_pending());
        drop(future);
    });
    let [inner, outer] = &records[..] else { panic!("two records, got {records:#?}") };
    assert_eq!((outer.outcome, input(outer)), (Outcome::Cancelled, json!({"n": 7})));
    assert_eq!((&outer.output, &outer.error), (&None, &None));
    assert_eq!(log_messages(outer), ["begun", "cleaned up"]);
    assert_eq!(outer.notes[0].title, "drop");
    assert_eq!((inner.outcome, inner.parent_id), (Outcome::Success, Some(outer.id)));
}

#[test]
fn n36_a_future_that_is_never_polled_leaves_no_record() {
    let records = testing::capture(|| drop(never_done(7)));
    assert!(records.is_empty(), "{records:#?}");
}

#[test]
fn n36_a_panic_in_a_poll_is_recorded_as_a_panic() {
    #[audit_method]
    async fn breaks() {
        tokio::task::yield_now().await;
        panic!("broken in the second poll");
    }
    let record = only_record(testing::capture(|| {
        let mut future = Box::pin(breaks());
        assert!(poll_once(future.as_mut()).is_pending());
        let text = panic_message(|| poll_once(future.as_mut()));
        assert_eq!(text, "broken in the second poll");
        drop(future);
    }));
    assert_eq!(
        (record.outcome, error_message(&record)),
        (Outcome::Panic, "broken in the second poll")
    );
    let location = record.error.as_ref().unwrap().location.as_deref().unwrap();
    assert!(location.starts_with("tests/shapes/polling.rs:"), "{location}");
    assert!(record.traceback.as_deref().unwrap().contains("breaks"));
}

#[tokio::test]
async fn n36_a_timeout_and_an_abort_are_recorded_as_cancelled() {
    let records = testing::capture_async(async {
        let task = tokio::spawn(Context::current().wrap(never_done(1)));
        tokio::task::yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        let late = tokio::time::timeout(std::time::Duration::ZERO, never_done(2)).await;
        assert!(late.is_err());
    })
    .await;
    let ends: Vec<_> = records
        .iter()
        .filter(|record| record.action.ends_with("never_done"))
        .map(|record| (input(record)["n"].as_u64().unwrap(), record.outcome))
        .collect();
    assert_eq!(ends, [(1, Outcome::Cancelled), (2, Outcome::Cancelled)]);
}

// ---- 37 -----------------------------------------------------------------------------------------

struct Worker {
    limit: u32,
}

impl Worker {
    #[audit_method(skip(self))]
    async fn step(&self, n: u32) -> u32 {
        if n >= self.limit {
            pending::<()>().await;
        }
        n
    }

    #[audit_method(skip(self))]
    async fn race(&mut self) -> u32 {
        self.limit += 1;
        tokio::select! {
            biased;
            lost = self.step(5) => lost + 100,
            won = self.step(2) => won,
        }
    }
}

#[tokio::test]
async fn n37_the_losing_branch_of_a_select_is_recorded_as_cancelled() {
    let records = testing::capture_async(async {
        assert_eq!(Worker { limit: 3 }.race().await, 2);
    })
    .await;
    let race = find_record(&records, "race");
    assert_eq!((race.outcome, output(race)), (Outcome::Success, json!(2)));
    let mut steps: Vec<_> = records
        .iter()
        .filter(|record| record.parent_id == Some(race.id))
        .map(|record| (input(record)["n"].as_u64().unwrap(), record.outcome))
        .collect();
    steps.sort_by_key(|(n, _)| *n);
    assert_eq!(steps, [(2, Outcome::Success), (5, Outcome::Cancelled)]);
}

// ---- 38 -----------------------------------------------------------------------------------------

#[audit_method]
async fn wanders(n: u32) -> Vec<String> {
    let mut threads = Vec::new();
    for _ in 0..n {
        audited::note("poll", threads.len());
        tracing::info!("poll {}", threads.len());
        nested(u32::try_from(threads.len()).unwrap());
        threads.push(format!("{:?}", std::thread::current().id()));
        let mut first = true;
        poll_fn(|_| if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }).await;
    }
    threads
}

#[audit_method]
fn nested(at: u32) -> u32 {
    at
}

#[test]
fn n38_a_future_polled_on_different_threads_is_one_call() {
    let records = testing::capture(|| {
        let context = Context::current();
        let subscriber = tracing::dispatcher::get_default(Clone::clone);
        let future = Mutex::new(Box::pin(wanders(3)));
        let mut seen = Vec::new();
        for _ in 0..4 {
            let poll = std::thread::scope(|threads| {
                threads
                    .spawn(|| {
                        tracing::dispatcher::with_default(&subscriber, || {
                            context.scope(|| {
                                let poll = poll_once(future.lock().unwrap().as_mut());
                                // The call leaves no state on the thread.
                                nested(99);
                                poll
                            })
                        })
                    })
                    .join()
                    .unwrap()
            });
            if let Poll::Ready(threads) = poll {
                seen = threads;
            }
        }
        seen.dedup();
        assert_eq!(seen.len(), 3, "each poll runs on its own thread");
    });
    let call = find_record(&records, "wanders");
    assert_eq!(
        (call.outcome, log_messages(call).join(", ")),
        (Outcome::Success, "poll 0, poll 1, poll 2".into())
    );
    assert_eq!(call.notes.len(), 3);
    for record in records.iter().filter(|record| record.action.ends_with("::nested")) {
        let is_outside = input(record)["at"] == 99;
        assert_eq!(record.parent_id, (!is_outside).then_some(call.id));
    }
    assert_eq!(records.len(), 1 + 3 + 4);
}

// ---- 39 -----------------------------------------------------------------------------------------

/// Spawned work gets its parent from the context that it explicitly carries. Its events follow the
/// span.
#[audit_method]
async fn spawns() {
    let carried = tokio::spawn(Context::current().wrap(async { child(1).await }));
    let bare = tokio::spawn(async { child(2).await });
    let task = async { tracing::info!("from the task") };
    let span = tokio::spawn(task.in_current_span().with_current_subscriber());
    let task = async { tracing::info!("from nowhere") };
    let no_span = tokio::spawn(task.with_current_subscriber());
    let _ = tokio::join!(carried, bare, span, no_span);
}

#[audit_method]
async fn child(n: u32) -> u32 {
    n
}

#[tokio::test]
async fn n39_spawned_work_belongs_to_the_call_whose_context_it_carries() {
    let records = testing::capture_async(spawns()).await;
    let parent = find_record(&records, "spawns");
    // `child(2)` carries no context, so it has neither this recorder nor this parent.
    let child = find_record(&records, "child");
    assert_eq!((input(child), child.parent_id), (json!({"n": 1}), Some(parent.id)));
    assert_eq!(child.correlation_id, parent.correlation_id);
    assert_eq!(log_messages(parent), ["from the task"]);
}

#[tokio::test]
async fn n39_work_that_outlives_its_call_keeps_it_as_parent() {
    let (done, wait) = tokio::sync::oneshot::channel::<()>();
    let task = Arc::new(Mutex::new(None));
    #[audit_method(skip_all)]
    async fn starts(
        wait: tokio::sync::oneshot::Receiver<()>,
        task: &Mutex<Option<tokio::task::JoinHandle<u32>>>,
    ) {
        let work = Context::current().wrap(async {
            let _ = wait.await;
            child(3).await
        });
        *task.lock().unwrap() = Some(tokio::spawn(work));
        ready(()).await;
    }
    let records = testing::capture_async(async {
        starts(wait, &task).await;
        done.send(()).unwrap();
        let task = task.lock().unwrap().take().unwrap();
        assert_eq!(task.await.unwrap(), 3);
    })
    .await;
    let [parent, child] = &records[..] else { panic!("two records, got {records:#?}") };
    assert_eq!(parent.outcome, Outcome::Success);
    assert_eq!((child.parent_id, output(child)), (Some(parent.id), json!(3)));
}
