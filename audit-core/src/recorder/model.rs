//! Models of the protocol between callers and the writer thread, run by `shuttle` under many
//! schedules.
//!
//! They check that nothing is counted wrongly, that every caller gets the right result, and that no
//! thread waits forever. Time limits are not modelled, so the models find a wait that only its
//! limit would end.
//!
//! Run them with `RUSTFLAGS="--cfg shuttle" cargo test -p audit-core --lib recorder::model`.
//! `SHUTTLE_SCHEDULES` sets the number of schedules for each scheduler and test (default: 500).
//! Each step of `ArrayQueue` is atomic here, and all memory orders are the strictest. So the fences
//! are not checked.

use std::collections::HashSet;
use std::fmt;
use std::sync::Mutex as StdMutex;
use std::time::Duration;

use audit_record::store::{self, Batch, SessionTally};
use audit_record::{Durability, Error, Kind, Record};
use chrono::Utc;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread::{self, JoinHandle};
use uuid::Uuid;

use crate::recorder::counters::{Counters, SessionCounters};
use crate::recorder::queue::Queue;
use crate::recorder::settings::{Overflow, QueueLimits};
use crate::recorder::sync::{Arc, lock};
use crate::recorder::writer;

/// What the store does with one batch.
#[derive(Clone, Copy)]
enum Reaction {
    Accept,
    TransientError,
    PermanentError,
    Panic,
    /// Returns an error that panics when it is dropped, which ends the writer thread.
    Poison,
}

#[derive(Default)]
struct Stored {
    records: HashSet<Uuid>,
    /// Those of them that were stored in a batch with `Durability::Power`.
    power: HashSet<Uuid>,
    intents: HashSet<Uuid>,
    /// The number of lost records that gap records report.
    reported_losses: u64,
    tally: SessionTally,
    closed: bool,
}

/// A store with a script for its first batches. After these, it accepts everything.
struct ScriptedStore {
    script: std::vec::IntoIter<Reaction>,
    stored: Arc<StdMutex<Stored>>,
}

struct PanicsOnDrop;

impl fmt::Debug for PanicsOnDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("poison")
    }
}

impl fmt::Display for PanicsOnDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("poison")
    }
}

impl std::error::Error for PanicsOnDrop {}

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new("poison"));
    }
}

impl store::Store for ScriptedStore {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        unreachable!("the writer thread calls `write_batch`")
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        // Other threads run while the store writes.
        thread::yield_now();
        match self.script.next().unwrap_or(Reaction::Accept) {
            Reaction::Accept => {}
            Reaction::TransientError => return Err(Error::transient("not now")),
            Reaction::PermanentError => return Err(Error::permanent("never")),
            Reaction::Panic => std::panic::resume_unwind(Box::new("the store panics")),
            Reaction::Poison => return Err(Error::transient("poison").with_source(PanicsOnDrop)),
        }
        let mut stored = self.stored.lock().expect("nobody panics");
        for record in batch.records {
            if record.kind == Kind::Gap {
                let output = record.output.as_ref().expect("a number").to_value();
                stored.reported_losses += output["records"].as_u64().expect("a number");
            } else {
                assert!(stored.records.insert(record.id), "stored twice");
                if batch.durability == Durability::Power {
                    stored.power.insert(record.id);
                }
            }
        }
        for intent in batch.intents {
            assert!(stored.intents.insert(intent.id), "stored twice");
        }
        assert!(batch.tally.ended >= stored.tally.ended, "the tally never decreases");
        stored.tally = batch.tally;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        self.stored.lock().expect("nobody panics").closed = true;
        Ok(())
    }
}

/// A queue with its writer thread, and what has reached the store.
struct Model {
    queue: Arc<Queue>,
    stored: Arc<StdMutex<Stored>>,
    writer: crate::recorder::sync::JoinHandle<Result<(), Error>>,
}

impl Model {
    fn new(records: usize, overflow: Overflow, script: &[Reaction]) -> Self {
        let wait = Duration::MAX;
        let limits = QueueLimits { records, bytes: usize::MAX, overflow, wait };
        let queue = Arc::new(Queue::new(limits, SessionCounters::private()));
        let stored = Arc::default();
        let store =
            ScriptedStore { script: script.to_vec().into_iter(), stored: Arc::clone(&stored) };
        let writer =
            writer::start(queue.clone(), Box::new(store), Duration::MAX).expect("a thread");
        Self { queue, stored, writer }
    }

    /// Starts a caller that offers one queued record, one that it waits for, and one intent.
    fn spawn_caller(&self) -> JoinHandle<()> {
        let (queue, stored) = (self.queue.clone(), self.stored.clone());
        thread::spawn(move || {
            queue.offer(record());
            let durable = record();
            let id = durable.id;
            let receipt =
                queue.offer_durably(durable, Durability::Power).expect("not on the writer thread");
            let result = receipt.wait();
            let is_stored = stored.lock().expect("nobody panics").power.contains(&id);
            assert_eq!(result.is_ok(), is_stored, "{result:?}");
            let intent = record();
            let id = intent.id;
            if let Ok(receipt) = queue.offer_intent(intent, Durability::Process) {
                let result = receipt.wait();
                let is_stored = stored.lock().expect("nobody panics").intents.contains(&id);
                assert_eq!(result.is_ok(), is_stored, "{result:?}");
            }
        })
    }

    /// Waits until all threads have ended, and checks the counters for `offered` records.
    fn check_end(self, callers: Vec<JoinHandle<()>>, offered: u64) {
        let closed = self.writer.join().expect("its panics are caught");
        callers.into_iter().for_each(|caller| caller.join().expect("a caller"));
        let died = lock(&self.queue.status).died;
        let _ = self.queue.flush();
        assert_eq!(self.queue.flush().is_err(), died, "flush returns, and reports a loss once");
        // Dropping this error may panic.
        std::mem::forget(lock(&self.queue.status).latest_error.take());
        let Counters { accepted, dropped, written, failed, .. } = self.queue.counters();
        let stored = self.stored.lock().expect("nobody panics");
        assert_eq!(accepted + dropped, offered);
        assert_eq!(accepted, written + failed);
        assert_eq!(stored.records.len() as u64, written);
        assert_eq!(self.queue.bytes(), 0);
        let is_unreported = closed
            .as_ref()
            .is_err_and(|error| error.to_string().contains("the trail does not report it"));
        if died || is_unreported {
            return;
        }
        // Records that are offered after the last write are only logged: see `warn_late`.
        assert!(stored.reported_losses <= dropped + failed);
        assert!(stored.reported_losses >= failed);
        assert_eq!(stored.tally.ended, accepted);
        assert_eq!(stored.tally.dropped_reported + failed, stored.reported_losses);
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

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let model = Arc::new(model);
    let mut config = shuttle::Config::new();
    config.stack_size = 256 * 1024;
    config.silence_warnings = true;
    let random = model.clone();
    let scheduler = RandomScheduler::new(schedules());
    shuttle::Runner::new(scheduler, config.clone()).run(move || random());
    let scheduler = PctScheduler::new(3, schedules());
    shuttle::Runner::new(scheduler, config).run(move || model());
}

/// Two callers and a flush run concurrently. The queue is closed after they have ended.
fn close_after_callers(records: usize, overflow: Overflow, script: &'static [Reaction]) {
    explore(move || {
        let model = Model::new(records, overflow, script);
        let callers = vec![model.spawn_caller(), model.spawn_caller()];
        let _ = model.queue.flush();
        callers.into_iter().for_each(|caller| caller.join().expect("a caller"));
        model.queue.close();
        model.check_end(Vec::new(), 4);
    });
}

/// Two callers, a flush and the close run concurrently.
fn close_during_calls(records: usize, overflow: Overflow, script: &'static [Reaction]) {
    explore(move || {
        let model = Model::new(records, overflow, script);
        let mut callers = vec![model.spawn_caller(), model.spawn_caller()];
        let queue = model.queue.clone();
        callers.push(thread::spawn(move || _ = queue.flush()));
        model.queue.close();
        model.check_end(callers, 4);
    });
}

#[test]
fn a_store_that_accepts_everything() {
    close_after_callers(8, Overflow::Drop, &[]);
}

#[test]
fn a_queue_of_one_record_that_drops() {
    close_after_callers(1, Overflow::Drop, &[]);
}

#[test]
fn a_queue_of_one_record_that_blocks() {
    close_after_callers(1, Overflow::Block(Duration::MAX), &[]);
}

#[test]
fn a_store_that_fails_at_first() {
    use Reaction::{Accept, Panic, PermanentError, TransientError};
    let script = &[TransientError, TransientError, Accept, PermanentError, Panic];
    close_after_callers(2, Overflow::Drop, script);
}

#[test]
fn a_close_during_calls() {
    close_during_calls(8, Overflow::Drop, &[]);
}

#[test]
fn a_close_while_the_store_fails() {
    use Reaction::{Accept, PermanentError, TransientError};
    let script = &[TransientError, Accept, PermanentError];
    close_during_calls(1, Overflow::Block(Duration::MAX), script);
}

#[test]
fn a_writer_thread_that_panics() {
    use Reaction::{Accept, Poison, TransientError};
    close_during_calls(2, Overflow::Drop, &[Accept, Poison, TransientError]);
}
