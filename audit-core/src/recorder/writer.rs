//! The writer thread: takes batches from the queue and stores them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use audit_record::store::{Batch, Sink, Tally};
use audit_record::{Durability, Error};

use crate::busy::busy;
use crate::recorder::clock::Clock;
use crate::recorder::load::Load;
use crate::recorder::missing::Missing;
use crate::recorder::queue::Queue;
use crate::recorder::settings::PAUSES;
use crate::recorder::sync::{Arc, JoinHandle, thread};

/// Records of one transaction at most.
pub(crate) const BATCH: usize = 4_096;
/// How long the first record of a batch waits for others, if no caller waits for it.
const GATHER: Duration = Duration::from_millis(5);
/// How long callers that were let go together are expected back, to share the next sync again. One alone is expected
/// as well: the writer is not to be asleep when it comes, for being woken may take longer than storing a record.
const LINGER: Duration = Duration::from_micros(100);
/// How long the writer sleeps when it is not woken.
const SLEEP: Duration = Duration::from_secs(1);

/// Starts the thread. It ends, and returns, when the queue is closed.
pub(crate) fn start(
    queue: Arc<Queue>,
    sink: Box<dyn Sink>,
    close_timeout: Duration,
) -> Result<JoinHandle<Result<(), Error>>, Error> {
    let mut writer = Writer {
        queue,
        sink,
        close_timeout,
        closed_since: None,
        missing: Missing::default(),
        clock: Clock::now(),
    };
    thread::Builder::new()
        .name("audited-writer".to_owned())
        .spawn(move || {
            writer.queue.become_writer();
            // Whatever the store does is work of the audit: it is not recorded in turn.
            let _busy = busy();
            // Out here, so that it outlives a panic.
            let mut load = Load::default();
            let ended = catch_unwind(AssertUnwindSafe(|| writer.run(&mut load)));
            let ended = ended.unwrap_or_else(|_| writer.died(load));
            writer.queue.watchdog.end();
            ended
        })
        .map_err(|error| Error::permanent("the writer thread can't be started").with_source(error))
}

struct Writer {
    queue: Arc<Queue>,
    sink: Box<dyn Sink>,
    close_timeout: Duration,
    /// When the writer found the queue closed.
    closed_since: Option<Instant>,
    missing: Missing,
    clock: Clock,
}

impl Writer {
    fn run(&mut self, load: &mut Load) -> Result<(), Error> {
        let mut latest = Ok(());
        loop {
            load.take(&self.queue, BATCH, self.queue.batch_bytes());
            if load.is_empty() {
                if !self.queue.is_closed() {
                    let until_told = self.tell_missing();
                    self.queue.sleep(until_told.unwrap_or(SLEEP));
                    self.queue.gather(GATHER);
                } else if self.queue.is_drained(0) {
                    // What is missing is told below, at the very end.
                    break;
                } else {
                    // A caller is about to push, or to find that it is too late.
                    thread::yield_now();
                }
                continue;
            }
            let released = load.waiting();
            // Once for each load: what is lost while the store refuses this one is told before the next, so that the
            // gap before this one stays as it was offered first. The store may have taken that, and not know.
            self.look_round();
            if let Err(error) = self.store(load) {
                latest = Err(error);
                if self.is_out_of_time() {
                    break;
                }
            } else if released > 0 {
                self.queue.linger(released, LINGER);
            }
        }
        if !self.queue.has_untold_losses() {
            // A flush has told of them all: nobody is to look for another loss.
            latest = Ok(());
        }
        let closed = self.close_sink();
        latest.and(closed)
    }

    /// Stores `load`, and before it what is missing; leaves it empty. An error means that records were given up.
    fn store(&mut self, load: &mut Load) -> Result<(), Error> {
        match self.write_until_stored(load) {
            Ok(()) => {
                load.confirm();
                Ok(())
            }
            Err(_) if load.len() > 1 && !self.is_out_of_time() => {
                // One record may be at fault: the others must not share its fate.
                let [mut first, mut second] = std::mem::take(load).halves();
                let first = self.store(&mut first);
                self.store(&mut second).and(first)
            }
            Err(error) => {
                let Err(error) = self.store_less_durably(load, error) else { return Ok(()) };
                let told = Error::permanent(error.to_string());
                // Who was refused an intent knows it, and has lost nothing.
                let is_loss = !load.records.is_empty();
                self.give_up(load, error);
                if is_loss { Err(told) } else { Ok(()) }
            }
        }
    }

    /// Stores a record that the store refused as it was asked for, as durable as it does: that it is there matters more.
    /// Who waits for it is told that this is not what was asked.
    fn store_less_durably(&mut self, load: &mut Load, error: Error) -> Result<(), Error> {
        if load.records.is_empty() || load.durability() <= Durability::Process {
            return Err(error);
        }
        let error = Arc::new(error);
        self.queue.complained(error.clone());
        load.disappoint(&error);
        self.write_until_stored(load)?;
        load.confirm();
        Ok(())
    }

    /// Counts `load` as failed, and tells those who wait for it.
    fn give_up(&mut self, load: &mut Load, error: Error) {
        let (failed, error) = (load.records.len() as u64, Arc::new(error));
        if failed > 0 {
            // Not one line a record: the gap and the counters tell how many there are.
            if self.missing.failed(&load.records, &error) {
                warn(|| tracing::error!(target: "audited", failed, "records are lost: {error}"));
            }
        }
        load.free(&self.queue);
        if failed > 0 {
            self.queue.failed(failed, error.clone());
        }
        load.give_up(&error);
    }

    /// Tells in the trail what is missing, where no record waits that could bring it along.
    ///
    /// Returns how long to wait before the next attempt, if the store did not take it. A gap that is not
    /// stored is no record that failed: it stays to be told.
    fn tell_missing(&mut self) -> Option<Duration> {
        self.look_round();
        let wait = self.missing.wait()?;
        if !wait.is_zero() {
            return Some(wait);
        }
        let Err(error) = self.write(&mut Load::default()) else { return None };
        let (pause, first) = self.missing.refused();
        if first {
            warn(|| {
                tracing::error!(
                    target: "audited",
                    "the trail can't be told that records are missing: {error}"
                );
            });
        }
        self.queue.untold(error);
        Some(pause)
    }

    /// Finds out what is to be told before anything newer.
    fn look_round(&mut self) {
        if let Some(remark) = self.clock.look() {
            self.missing.remark(remark);
        }
        if !self.missing.knows(self.queue.dropped()) {
            self.missing.dropped(self.queue.take_lost());
        }
    }

    /// One attempt at `load`, with what is missing before it.
    fn write(&mut self, load: &mut Load) -> Result<(), Error> {
        let ended = self.queue.ended() + load.records.len() as u64;
        let mut tally = Tally::default();
        (tally.ended, tally.dropped_told) = (ended, self.missing.dropped_told());
        let front = self.missing.front();
        let fronts = front.len();
        if fronts > 0 {
            load.records.splice(0..0, front);
        }
        let mut batch = Batch::new(&load.records);
        batch.intents = &load.intents;
        batch.durability = load.durability();
        batch.tally = tally;
        self.queue.writes();
        let result = catch_unwind(AssertUnwindSafe(|| self.sink.write_batch(&batch)))
            .unwrap_or_else(|_| Err(Error::permanent("the store panicked while writing")));
        self.queue.wrote();
        load.records.drain(..fronts);
        result?;
        let refused = self.missing.told();
        let written = load.records.len() as u64;
        // Before anybody learns of it: whoever comes then finds room.
        load.free(&self.queue);
        self.queue.written(written);
        if refused {
            warn(|| tracing::warn!(target: "audited", "the store takes records again"));
        }
        Ok(())
    }

    /// Tries until the store has taken `load`, or will not, or there is no more time.
    fn write_until_stored(&mut self, load: &mut Load) -> Result<(), Error> {
        let mut pause = PAUSES.0;
        loop {
            load.drop_abandoned();
            if load.is_empty() {
                return Ok(());
            }
            let Err(error) = self.write(load) else { return Ok(()) };
            if !error.is_transient() || self.is_out_of_time() {
                return Err(error);
            }
            if pause == PAUSES.0 {
                warn(|| {
                    tracing::warn!(target: "audited", "the store refused, trying again: {error}");
                });
            }
            self.queue.refused(error);
            self.queue.back_off(pause);
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Whether the queue was closed so long ago that what is left is given up.
    fn is_out_of_time(&mut self) -> bool {
        if !self.queue.is_closed() {
            return false;
        }
        self.closed_since.get_or_insert_with(Instant::now).elapsed() >= self.close_timeout
    }

    fn close_sink(&mut self) -> Result<(), Error> {
        let lost = self.give_up_rest();
        let told = self.tell_missing_at_last();
        let closed = self.end_session(told.is_ok());
        lost.and(told).and(closed)
    }

    /// Closes the store. `told`: whether the trail knows of all that is missing.
    fn end_session(&mut self, told: bool) -> Result<(), Error> {
        catch_unwind(AssertUnwindSafe(|| self.sink.close()))
            .unwrap_or_else(|_| Err(Error::permanent("the store panicked while closing")))?;
        // Else the store leaves its session open, for the next start to tell how many are missing: it needs them.
        let ended = self.queue.is_drained(0);
        if told && ended && self.queue.dropped() == self.missing.dropped_told() {
            self.queue.counts.remove();
        }
        Ok(())
    }

    /// Takes the rest out of the queue, which is closed, so that it is certain that nothing more comes.
    fn rest(&mut self) -> Load {
        let mut rest = Load::default();
        loop {
            rest.take(&self.queue, usize::MAX, usize::MAX);
            if self.queue.is_drained(self.queue.taken() - self.queue.ended()) {
                return rest;
            }
            thread::yield_now();
        }
    }

    /// Counts what is left for want of time.
    fn give_up_rest(&mut self) -> Result<(), Error> {
        let mut rest = self.rest();
        if rest.is_empty() {
            return Ok(());
        }
        let failed = rest.len();
        let text =
            format!("{failed} records could not be stored before the time to close was over");
        self.give_up(&mut rest, Error::permanent(text.clone()));
        Err(Error::permanent(text))
    }

    /// The last write: the store may be at work again, and nobody will tell later. It is tried once, whether
    /// or not there is time.
    fn tell_missing_at_last(&mut self) -> Result<(), Error> {
        self.look_round();
        if self.missing.wait().is_none() {
            return Ok(());
        }
        let untold = self.missing.is_untold();
        match self.write(&mut Load::default()) {
            Err(error) if untold => {
                let error = Error::permanent(format!(
                    "records are missing, and the trail could not be told of it: {error}"
                ));
                warn(|| tracing::error!(target: "audited", "{error}"));
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// The end of a writer that has panicked, by its own fault or by that of an error that a store gave it: nobody
    /// must wait for it any more.
    #[cold]
    fn died(&mut self, mut load: Load) -> Result<(), Error> {
        let error = Arc::new(Error::permanent(
            "the writer thread has panicked, so nothing more is recorded; start the program anew, and report the panic",
        ));
        self.queue.close();
        let mut rest = self.rest();
        let failed = self.queue.taken() - self.queue.ended();
        let seen = load.records.len() + rest.records.len();
        self.missing.failed(load.records.iter().chain(&rest.records), &error);
        // Of a batch that was parted, because one record may be at fault, the parts are gone with the panic.
        self.missing.failed_unseen(failed.saturating_sub(seen as u64));
        load.free(&self.queue);
        rest.free(&self.queue);
        self.queue.let_go_of_all();
        self.queue.died(failed, error.clone());
        load.give_up(&error);
        rest.give_up(&error);
        warn(|| tracing::error!(target: "audited", failed, "{error}"));
        let told = self.tell_missing_at_last();
        if told.is_ok() {
            // Else the store is left as it is: whoever opens it next finds that this recorder did not end in order.
            let _ = self.end_session(true);
        }
        Err(Error::permanent(error.to_string()))
    }
}

/// Reports to the subscriber, which is user code: what it does wrong must not end the writer.
fn warn(report: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(report));
}
