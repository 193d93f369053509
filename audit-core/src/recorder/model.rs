//! The protocol between callers and the writer, under many schedules: nothing is counted wrongly, nobody waits for
//! ever (time limits are not modelled, so that whoever needs one to go on is found), everybody learns the truth.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test -p audit-core --lib recorder::model`; `SHUTTLE_SCHEDULES` sets how many of
//! them, for each scheduler and test; 500 unless set.
//! The steps of `ArrayQueue` are taken as one each, and every order of memory as the strictest: the fences are not
//! checked by this.

use std::collections::HashSet;
use std::fmt;
use std::sync::Mutex as StdMutex;
use std::time::Duration;

use audit_record::store::{Batch, Sink, Tally};
use audit_record::{Durability, Error, Kind, Record};
use chrono::Utc;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread::{self, JoinHandle};
use uuid::Uuid;

use crate::recorder::counts::Counts;
use crate::recorder::queue::Queue;
use crate::recorder::settings::QueueLimits;
use crate::recorder::sync::{Arc, lock};
use crate::recorder::{Counters, Overflow, writer};

/// What a store does with its next batches, the first first; afterwards it takes everything.
#[derive(Clone, Copy)]
enum Does {
    Takes,
    RefusesForNow,
    RefusesForGood,
    Panics,
    /// Gives an error that panics when it is dropped: the writer dies of it.
    Poisons,
}

#[derive(Default)]
struct Stored {
    records: HashSet<Uuid>,
    /// Those of them that were stored in a batch for `Power`.
    powerful: HashSet<Uuid>,
    intents: HashSet<Uuid>,
    missing: u64,
    tally: Tally,
    closed: bool,
}

struct Store {
    next: std::vec::IntoIter<Does>,
    stored: Arc<StdMutex<Stored>>,
}

struct Poison;

impl fmt::Debug for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("poison")
    }
}

impl fmt::Display for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("poison")
    }
}

impl std::error::Error for Poison {}

impl Drop for Poison {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new("poison"));
    }
}

impl Sink for Store {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        unreachable!("the writer uses `write_batch`")
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        // Writing takes its time.
        thread::yield_now();
        match self.next.next().unwrap_or(Does::Takes) {
            Does::Takes => {}
            Does::RefusesForNow => return Err(Error::transient("not now")),
            Does::RefusesForGood => return Err(Error::permanent("never")),
            Does::Panics => std::panic::resume_unwind(Box::new("the store panics")),
            Does::Poisons => return Err(Error::transient("poison").with_source(Poison)),
        }
        let mut stored = self.stored.lock().expect("nobody panics");
        for record in batch.records {
            if record.kind == Kind::Gap {
                let output = record.output.as_ref().expect("a number").to_value();
                stored.missing += output["records"].as_u64().expect("a number");
            } else {
                assert!(stored.records.insert(record.id), "stored twice");
                if batch.durability == Durability::Power {
                    stored.powerful.insert(record.id);
                }
            }
        }
        for intent in batch.intents {
            assert!(stored.intents.insert(intent.id), "stored twice");
        }
        assert!(batch.tally.ended >= stored.tally.ended, "ended records don't come back");
        stored.tally = batch.tally;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        self.stored.lock().expect("nobody panics").closed = true;
        Ok(())
    }
}

/// A queue with its writer, and what reaches the store.
struct Run {
    queue: Arc<Queue>,
    stored: Arc<StdMutex<Stored>>,
    writer: crate::recorder::sync::JoinHandle<Result<(), Error>>,
}

impl Run {
    fn new(records: usize, overflow: Overflow, store: &[Does]) -> Self {
        let wait = Duration::MAX;
        let limits = QueueLimits { records, bytes: usize::MAX, overflow, wait };
        let queue = Arc::new(Queue::new(limits, Counts::private()));
        let stored = Arc::default();
        let sink = Store { next: store.to_vec().into_iter(), stored: Arc::clone(&stored) };
        let writer = writer::start(queue.clone(), Box::new(sink), Duration::MAX).expect("a thread");
        Self { queue, stored, writer }
    }

    /// A caller that makes one queued call, one that it waits for, and one with an intent.
    fn caller(&self) -> JoinHandle<()> {
        let (queue, stored) = (self.queue.clone(), self.stored.clone());
        thread::spawn(move || {
            queue.offer(record());
            let durable = record();
            let id = durable.id;
            let receipt = queue.offer_durably(durable, Durability::Power).expect("no writer");
            let answer = receipt.wait();
            let is_stored = stored.lock().expect("nobody panics").powerful.contains(&id);
            assert_eq!(answer.is_ok(), is_stored, "{answer:?}");
            let intent = record();
            let id = intent.id;
            if let Ok(receipt) = queue.intend(intent, Durability::Process) {
                let answer = receipt.wait();
                let is_stored = stored.lock().expect("nobody panics").intents.contains(&id);
                assert_eq!(answer.is_ok(), is_stored, "{answer:?}");
            }
        })
    }

    /// Waits for the end of all, and does the sums over so many records offered.
    fn ends(self, callers: Vec<JoinHandle<()>>, offered: u64) {
        let closed = self.writer.join().expect("its panics are caught");
        callers.into_iter().for_each(|caller| caller.join().expect("a caller"));
        let died = lock(&self.queue.progress).died;
        let _ = self.queue.flush();
        assert_eq!(self.queue.flush().is_err(), died, "it never hangs, and tells a loss once");
        // It may be poisoned.
        std::mem::forget(lock(&self.queue.progress).latest.take());
        let Counters { accepted, dropped, written, failed, .. } = self.queue.counters();
        let stored = self.stored.lock().expect("nobody panics");
        assert_eq!(accepted + dropped, offered);
        assert_eq!(accepted, written + failed);
        assert_eq!(stored.records.len() as u64, written);
        assert_eq!(self.queue.bytes(), 0);
        let untold = closed.as_ref().is_err_and(|error| error.to_string().contains("told of it"));
        if died || untold {
            return;
        }
        // Whoever comes after the last write is told by a line in the log: see `warn_late`.
        assert!(stored.missing <= dropped + failed);
        assert!(stored.missing >= failed);
        assert_eq!(stored.tally.ended, accepted);
        assert_eq!(stored.tally.dropped_told + failed, stored.missing);
        assert!(stored.closed);
        assert!(failed > 0 || closed.is_ok(), "{closed:?}");
    }
}

fn record() -> Box<Record> {
    Box::new(Record::new(Kind::Call, "work", Utc::now()))
}

fn schedules() -> usize {
    std::env::var("SHUTTLE_SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(500)
}

fn check(run: impl Fn() + Send + Sync + 'static) {
    let run = Arc::new(run);
    let mut config = shuttle::Config::new();
    config.stack_size = 256 * 1024;
    config.silence_warnings = true;
    let random = run.clone();
    let scheduler = RandomScheduler::new(schedules());
    shuttle::Runner::new(scheduler, config.clone()).run(move || random());
    let scheduler = PctScheduler::new(3, schedules());
    shuttle::Runner::new(scheduler, config).run(move || run());
}

/// Two callers and a flush, then the close.
fn in_order(records: usize, overflow: Overflow, store: &'static [Does]) {
    check(move || {
        let run = Run::new(records, overflow, store);
        let callers = vec![run.caller(), run.caller()];
        let _ = run.queue.flush();
        callers.into_iter().for_each(|caller| caller.join().expect("a caller"));
        run.queue.close();
        run.ends(Vec::new(), 4);
    });
}

/// Two callers, a flush and the close, all at once.
fn at_once(records: usize, overflow: Overflow, store: &'static [Does]) {
    check(move || {
        let run = Run::new(records, overflow, store);
        let mut callers = vec![run.caller(), run.caller()];
        let queue = run.queue.clone();
        callers.push(thread::spawn(move || _ = queue.flush()));
        run.queue.close();
        run.ends(callers, 4);
    });
}

#[test]
fn a_store_that_takes_all() {
    in_order(8, Overflow::Drop, &[]);
}

#[test]
fn a_queue_of_one_that_drops() {
    in_order(1, Overflow::Drop, &[]);
}

#[test]
fn a_queue_of_one_that_blocks() {
    in_order(1, Overflow::Block(Duration::MAX), &[]);
}

#[test]
fn a_store_that_refuses_at_first() {
    use Does::{Panics, RefusesForGood, RefusesForNow, Takes};
    in_order(2, Overflow::Drop, &[RefusesForNow, RefusesForNow, Takes, RefusesForGood, Panics]);
}

#[test]
fn a_close_in_the_midst() {
    at_once(8, Overflow::Drop, &[]);
}

#[test]
fn a_close_in_the_midst_of_trouble() {
    use Does::{RefusesForGood, RefusesForNow, Takes};
    at_once(1, Overflow::Block(Duration::MAX), &[RefusesForNow, Takes, RefusesForGood]);
}

#[test]
fn a_writer_that_dies() {
    at_once(2, Overflow::Drop, &[Does::Takes, Does::Poisons, Does::RefusesForNow]);
}
