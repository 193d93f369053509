//! Tests of receipts and intents together with the queue and the writer thread.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use audit_record::store::{Batch, Store};
use audit_record::{Durability, Error, Kind, Record};
use chrono::Utc;

use crate::recorder::counters::SessionCounters;
use crate::recorder::queue::Queue;
use crate::recorder::receipt::{Completion, Receipt, new_receipt};
use crate::recorder::settings::{Overflow, QueueLimits};
use crate::recorder::watchdog::Watchdog;
use crate::recorder::writer;

/// Counts how often it is woken, and then panics.
#[derive(Default)]
struct CountingWaker(AtomicUsize);

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("an executor that fails");
    }
}

fn record() -> Box<Record> {
    Box::new(Record::new(Kind::Call, "work", Utc::now()))
}

fn receipt_with_limit(durability: Durability, limit: Duration) -> (Receipt, Completion) {
    new_receipt(durability, limit, &Arc::new(Watchdog::new()))
}

fn poll(receipt: &mut Receipt, waker: &Waker) -> Poll<Result<(), String>> {
    let result = pin!(receipt).poll(&mut Context::from_waker(waker));
    result.map_err(|error| error.to_string())
}

#[test]
fn a_future_is_woken_once_and_gets_the_first_result() {
    let woken = Arc::<CountingWaker>::default();
    let waker = Waker::from(woken.clone());
    let (mut receipt, completion) = receipt_with_limit(Durability::Power, Duration::MAX);
    assert_eq!(completion.durability(), Durability::Power);
    assert_eq!(poll(&mut receipt, &waker), Poll::Pending);
    assert_eq!(poll(&mut receipt, &waker), Poll::Pending);
    assert!(!completion.is_over());
    completion.complete(Ok(()));
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert_eq!(poll(&mut receipt, &waker), Poll::Ready(Ok(())));
    assert_eq!(poll(&mut receipt, &waker), Poll::Pending, "the result was taken");
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
}

#[test]
fn a_dropped_completion_rejects_its_caller() {
    let (receipt, completion) = receipt_with_limit(Durability::Process, Duration::MAX);
    drop(completion);
    let error = receipt.wait().expect_err("nothing was stored");
    assert_eq!(error.to_string(), "the recorder is closed");
}

#[test]
fn a_wait_is_over_if_its_receipt_is_dropped_or_reaches_the_limit() {
    let (receipt, completion) = receipt_with_limit(Durability::Process, Duration::MAX);
    drop(receipt);
    assert!(completion.is_over());
    let limit = Duration::from_micros(1);
    let (receipt, completion) = receipt_with_limit(Durability::Process, limit);
    let error = receipt.wait().expect_err("there is no result");
    assert!(error.is_transient());
    assert_eq!(error.to_string(), "the store has not stored it within 1µs; see `Audit::health`");
    assert!(completion.is_over());
}

/// A store that announces the number of records and the ids of the intents of each batch, and then
/// takes its result from the test.
struct ControlledStore(mpsc::Receiver<Result<(), Error>>, mpsc::Sender<(usize, Vec<uuid::Uuid>)>);

impl Store for ControlledStore {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        unreachable!("the writer thread calls `write_batch`")
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        let intents = batch.intents.iter().map(|intent| intent.id).collect();
        let _ = self.1.send((batch.records.len(), intents));
        self.0.recv().unwrap_or(Ok(()))
    }
}

/// A queue with a writer thread, and the test's side of its store.
struct Running {
    queue: Arc<Queue>,
    result: mpsc::Sender<Result<(), Error>>,
    batches: mpsc::Receiver<(usize, Vec<uuid::Uuid>)>,
    writer: thread::JoinHandle<Result<(), Error>>,
}

fn start(bytes: usize, wait: Duration) -> Running {
    let limits = QueueLimits { records: 8, bytes, overflow: Overflow::Drop, wait };
    let queue = Arc::new(Queue::new(limits, SessionCounters::private()));
    let ((result, results), (batch, batches)) = (mpsc::channel(), mpsc::channel());
    let store = ControlledStore(results, batch);
    let writer = writer::start(queue.clone(), Box::new(store), Duration::MAX).expect("a thread");
    Running { queue, result, batches, writer }
}

/// Offers an intent, and returns its id.
fn offer_intent(queue: &Queue) -> (uuid::Uuid, Receipt) {
    let intent = record();
    (intent.id, queue.offer_intent(intent, Durability::Process).expect("there is room"))
}

#[test]
fn an_intent_is_stored_with_records_and_not_counted_as_one() {
    let Running { queue, result, batches, writer } = start(usize::MAX, Duration::MAX);
    let (first, receipt) = offer_intent(&queue);
    assert_eq!(batches.recv(), Ok((0, vec![first])));
    queue.offer(record());
    let (second, other) = offer_intent(&queue);
    result.send(Ok(())).expect("the store waits");
    receipt.wait().expect("it is stored");
    assert_eq!(batches.recv(), Ok((1, vec![second])));
    drop(result);
    other.wait().expect("it is stored");
    queue.flush().expect("it is stored");
    assert_eq!((queue.counters().accepted, queue.counters().written), (1, 1));
    queue.close();
    writer.join().expect("no panic").expect("nothing is lost");
}

#[test]
fn the_intent_of_a_call_that_no_longer_waits_is_not_stored() {
    let Running { queue, result, batches, writer } = start(usize::MAX, Duration::MAX);
    let (first, receipt) = offer_intent(&queue);
    let (second, other) = (batches.recv(), offer_intent(&queue));
    assert_eq!(second, Ok((0, vec![first])));
    drop(other);
    drop(receipt);
    result.send(Err(Error::transient("locked"))).expect("the store waits");
    let (last, receipt) = offer_intent(&queue);
    drop(result);
    receipt.wait().expect("it is stored");
    assert_eq!(batches.recv(), Ok((0, vec![last])), "the other intents are not in the batch");
    queue.close();
    writer.join().expect("no panic").expect("nothing is lost");
    assert_eq!(batches.recv(), Err(mpsc::RecvError));
}

#[test]
fn only_its_caller_gets_the_error_of_a_rejected_intent() {
    let Running { queue, result, batches, writer } = start(usize::MAX, Duration::MAX);
    let (_, receipt) = offer_intent(&queue);
    batches.recv().expect("an attempt");
    result.send(Err(Error::permanent("no room for intents"))).expect("the store waits");
    let error = receipt.wait().expect_err("it is rejected");
    assert_eq!(error.to_string(), "no room for intents");
    queue.flush().expect("no record is lost");
    queue.close();
    writer.join().expect("no panic").expect("no record is lost");
}

#[test]
fn waits_of_futures_end_at_their_limit_while_the_store_hangs() {
    let wait = Duration::from_millis(5);
    let Running { queue, result, batches, writer } = start(usize::MAX, wait);
    let woken = Arc::<CountingWaker>::default();
    let waker = Waker::from(woken.clone());
    let mut first =
        queue.offer_durably(record(), Durability::Process).expect("not on the writer thread");
    assert_eq!(poll(&mut first, &waker), Poll::Pending);
    batches.recv().expect("an attempt, from which the store does not return");
    // This record and the next intent are not in the writer thread's batch.
    let mut second =
        queue.offer_durably(record(), Durability::Process).expect("not on the writer thread");
    let (_, mut intent) = offer_intent(&queue);
    for receipt in [&mut second, &mut intent] {
        assert_eq!(poll(receipt, &waker), Poll::Pending);
    }
    while woken.0.load(Ordering::SeqCst) < 3 {
        thread::yield_now();
    }
    for receipt in [&mut first, &mut second, &mut intent] {
        let Poll::Ready(Err(error)) = poll(receipt, &waker) else { panic!("the wait has ended") };
        assert_eq!(error, "the store has not stored it within 5ms; see `Audit::health`");
    }
    assert_eq!(queue.counters().accepted, 2, "they still wait to be stored");
    drop(result);
    queue.close();
    writer.join().expect("no panic").expect("nothing is lost");
    assert_eq!(queue.counters().written, 2);
    drop((first, second, intent));
    // The watchdog thread ends with the writer thread.
    while Arc::strong_count(&queue.watchdog) > 1 {
        thread::yield_now();
    }
}

#[test]
fn waiting_intents_are_limited_and_rejected_by_the_close() {
    let Running { queue, result, batches, writer } = start(1, Duration::MAX);
    let (_, receipt) = offer_intent(&queue);
    batches.recv().expect("the writer thread has the first");
    let (_, waiting) = offer_intent(&queue);
    let error =
        queue.offer_intent(record(), Durability::Process).err().expect("no room for a second");
    assert!(
        error.is_transient()
            && error.to_string().starts_with("too many calls wait until their intent is stored"),
        "{error}"
    );
    queue.close();
    let error = waiting.wait().expect_err("it will not be stored");
    assert_eq!(error.to_string(), "the recorder is closed");
    let error = queue.offer_intent(record(), Durability::Process).err().expect("it is closed");
    assert_eq!(error.to_string(), "the recorder is closed");
    drop(result);
    receipt.wait().expect("the store has it");
    writer.join().expect("no panic").expect("nothing is lost");
}
