//! Receipts and intents, as calls use them.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use audit_record::store::{Batch, Sink};
use audit_record::{Durability, Error, Kind, Record};
use chrono::Utc;

use crate::recorder::counts::Counts;
use crate::recorder::queue::Queue;
use crate::recorder::receipt::{Promise, Receipt};
use crate::recorder::settings::QueueLimits;
use crate::recorder::watchdog::Watchdog;
use crate::recorder::{Overflow, writer};

/// Wakes as an executor would, counts it, and then panics.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("an executor that fails");
    }
}

fn record() -> Box<Record> {
    Box::new(Record::new(Kind::Call, "work", Utc::now()))
}

fn receipt(durability: Durability, limit: Duration) -> (Receipt, Promise) {
    super::super::receipt::receipt(durability, limit, &Arc::new(Watchdog::new()))
}

fn poll(receipt: &mut Receipt, waker: &Waker) -> Poll<Result<(), String>> {
    let answer = pin!(receipt).poll(&mut Context::from_waker(waker));
    answer.map_err(|error| error.to_string())
}

#[test]
fn a_future_is_woken_once_and_only_the_first_answer_counts() {
    let woken = Arc::<Counting>::default();
    let waker = Waker::from(woken.clone());
    let (mut receipt, promise) = receipt(Durability::Power, Duration::MAX);
    assert_eq!(promise.durability(), Durability::Power);
    assert_eq!(poll(&mut receipt, &waker), Poll::Pending);
    assert_eq!(poll(&mut receipt, &waker), Poll::Pending);
    assert!(!promise.is_over());
    promise.answer(Ok(()));
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert_eq!(poll(&mut receipt, &waker), Poll::Ready(Ok(())));
    assert_eq!(poll(&mut receipt, &waker), Poll::Pending, "taken already");
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
}

#[test]
fn a_promise_that_is_dropped_says_so() {
    let (waits, promise) = receipt(Durability::Process, Duration::MAX);
    drop(promise);
    let error = waits.wait().expect_err("nothing was stored");
    assert_eq!(error.to_string(), "the recorder is closed");
}

#[test]
fn a_receipt_that_is_dropped_or_out_of_time_is_abandoned() {
    let (waits, promise) = receipt(Durability::Process, Duration::MAX);
    drop(waits);
    assert!(promise.is_over());
    let (waits, promise) = receipt(Durability::Process, Duration::from_micros(1));
    let error = waits.wait().expect_err("nobody answers");
    assert!(error.is_transient());
    assert_eq!(
        error.to_string(),
        "the store has not taken it within 1µs; `Audit::health` says how it is doing"
    );
    assert!(promise.is_over());
}

/// A store that does as it is told with each batch, and tells how many records and intents were in it.
struct Store(mpsc::Receiver<Result<(), Error>>, mpsc::Sender<(usize, Vec<uuid::Uuid>)>);

impl Sink for Store {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        unreachable!("the writer uses `write_batch`")
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        let intents = batch.intents.iter().map(|intent| intent.id).collect();
        let _ = self.1.send((batch.records.len(), intents));
        self.0.recv().unwrap_or(Ok(()))
    }
}

struct Running {
    queue: Arc<Queue>,
    answer: mpsc::Sender<Result<(), Error>>,
    asked: mpsc::Receiver<(usize, Vec<uuid::Uuid>)>,
    writer: thread::JoinHandle<Result<(), Error>>,
}

fn running(bytes: usize, wait: Duration) -> Running {
    let limits = QueueLimits { records: 8, bytes, overflow: Overflow::Drop, wait };
    let queue = Arc::new(Queue::new(limits, Counts::private()));
    let ((answer, answers), (asks, asked)) = (mpsc::channel(), mpsc::channel());
    let writer = writer::start(queue.clone(), Box::new(Store(answers, asks)), Duration::MAX)
        .expect("a thread");
    Running { queue, answer, asked, writer }
}

/// Hands over an intent; its id.
fn intend(queue: &Queue) -> (uuid::Uuid, Receipt) {
    let intent = record();
    (intent.id, queue.intend(intent, Durability::Process).expect("there is room"))
}

#[test]
fn an_intent_is_stored_beside_the_records_and_counts_as_none() {
    let Running { queue, answer, asked, writer } = running(usize::MAX, Duration::MAX);
    let (first, receipt) = intend(&queue);
    assert_eq!(asked.recv(), Ok((0, vec![first])));
    queue.offer(record());
    let (second, other) = intend(&queue);
    answer.send(Ok(())).expect("the store waits");
    receipt.wait().expect("it is stored");
    assert_eq!(asked.recv(), Ok((1, vec![second])));
    drop(answer);
    other.wait().expect("it is stored");
    queue.flush().expect("it is stored");
    assert_eq!((queue.counters().accepted, queue.counters().written), (1, 1));
    queue.close();
    writer.join().expect("no panic").expect("nothing is lost");
}

#[test]
fn an_intent_of_a_call_that_has_given_up_is_not_stored() {
    let Running { queue, answer, asked, writer } = running(usize::MAX, Duration::MAX);
    let (first, receipt) = intend(&queue);
    let (second, other) = (asked.recv(), intend(&queue));
    assert_eq!(second, Ok((0, vec![first])));
    drop(other);
    drop(receipt);
    answer.send(Err(Error::transient("locked"))).expect("the store waits");
    let (last, receipt) = intend(&queue);
    drop(answer);
    receipt.wait().expect("it is stored");
    assert_eq!(asked.recv(), Ok((0, vec![last])), "and nothing of the others");
    queue.close();
    writer.join().expect("no panic").expect("nothing is lost");
    assert_eq!(asked.recv(), Err(mpsc::RecvError));
}

#[test]
fn a_refused_intent_is_told_to_its_caller_alone() {
    let Running { queue, answer, asked, writer } = running(usize::MAX, Duration::MAX);
    let (_, receipt) = intend(&queue);
    asked.recv().expect("an attempt");
    answer.send(Err(Error::permanent("no room for intents"))).expect("the store waits");
    let error = receipt.wait().expect_err("it is refused");
    assert_eq!(error.to_string(), "no room for intents");
    queue.flush().expect("no record is lost");
    queue.close();
    writer.join().expect("no panic").expect("no record is lost");
}

#[test]
fn waits_of_futures_end_in_time_while_the_store_hangs() {
    let wait = Duration::from_millis(5);
    let Running { queue, answer, asked, writer } = running(usize::MAX, wait);
    let woken = Arc::<Counting>::default();
    let waker = Waker::from(woken.clone());
    let mut first = queue.offer_durably(record(), Durability::Process).expect("no writer");
    assert_eq!(poll(&mut first, &waker), Poll::Pending);
    asked.recv().expect("an attempt, of which the store does not come back");
    // Out of the writer's hands, as the next ones.
    let mut second = queue.offer_durably(record(), Durability::Process).expect("no writer");
    let (_, mut intent) = intend(&queue);
    for receipt in [&mut second, &mut intent] {
        assert_eq!(poll(receipt, &waker), Poll::Pending);
    }
    while woken.0.load(Ordering::SeqCst) < 3 {
        thread::yield_now();
    }
    for receipt in [&mut first, &mut second, &mut intent] {
        let Poll::Ready(Err(error)) = poll(receipt, &waker) else { panic!("it is over") };
        assert_eq!(
            error,
            "the store has not taken it within 5ms; `Audit::health` says how it is doing"
        );
    }
    assert_eq!(queue.counters().accepted, 2, "they still wait to be stored");
    drop(answer);
    queue.close();
    writer.join().expect("no panic").expect("nothing is lost");
    assert_eq!(queue.counters().written, 2);
    drop((first, second, intent));
    // The thread that ended the waits ends with the writer.
    while Arc::strong_count(&queue.watchdog) > 1 {
        thread::yield_now();
    }
}

#[test]
fn intents_are_bounded_and_end_with_the_recorder() {
    let Running { queue, answer, asked, writer } = running(1, Duration::MAX);
    let (_, receipt) = intend(&queue);
    asked.recv().expect("the writer has the first");
    let (_, waiting) = intend(&queue);
    let error = queue.intend(record(), Durability::Process).err().expect("no room for a second");
    assert!(
        error.is_transient() && error.to_string().starts_with("too many calls wait"),
        "{error}"
    );
    queue.close();
    let error = waiting.wait().expect_err("it will not be stored");
    assert_eq!(error.to_string(), "the recorder is closed");
    let error = queue.intend(record(), Durability::Process).err().expect("it is closed");
    assert_eq!(error.to_string(), "the recorder is closed");
    drop(answer);
    receipt.wait().expect("the store has it");
    writer.join().expect("no panic").expect("nothing is lost");
}
