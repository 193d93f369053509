//! The writer thread: takes batches from the queue and stores them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::missing::Missing;
use super::queue::Queue;
use crate::{Error, Record, Sink, scope};

/// Records of one transaction at most.
const BATCH: usize = 4_096;
/// How long the first record of a batch waits for others.
const GATHER: Duration = Duration::from_millis(5);
/// How long the writer sleeps when it is not woken.
const SLEEP: Duration = Duration::from_secs(1);
/// The shortest and the longest pause after the store has refused.
pub(super) const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Starts the thread. It ends, and returns, when the queue is closed.
pub(super) fn start(
    queue: Arc<Queue>,
    sink: Box<dyn Sink>,
    close_timeout: Duration,
) -> Result<JoinHandle<Result<(), Error>>, Error> {
    let writer =
        Writer { queue, sink, close_timeout, closed_since: None, missing: Missing::default() };
    thread::Builder::new()
        .name("audited-writer".to_owned())
        .spawn(move || writer.run())
        .map_err(|error| Error::permanent("the writer thread can't be started").with_source(error))
}

struct Writer {
    queue: Arc<Queue>,
    sink: Box<dyn Sink>,
    close_timeout: Duration,
    /// When the writer found the queue closed.
    closed_since: Option<Instant>,
    missing: Missing,
}

impl Writer {
    fn run(mut self) -> Result<(), Error> {
        self.queue.become_writer();
        // Whatever the store does is work of the audit: it is not recorded in turn.
        let _busy = scope::busy();
        let mut batch = Vec::new();
        let mut latest = Ok(());
        loop {
            self.queue.take(&mut batch, BATCH);
            if batch.is_empty() {
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
            if let Err(error) = self.store(std::mem::take(&mut batch)) {
                latest = Err(error);
                if self.is_out_of_time() {
                    break;
                }
            }
        }
        let closed = self.close_sink();
        latest.and(closed)
    }

    /// Stores `records`, and before them what is missing. An error means that some were given up.
    fn store(&mut self, records: Vec<Record>) -> Result<(), Error> {
        let dropped = self.queue.dropped();
        let mut batch = self.missing.gaps(dropped);
        let gaps = batch.len();
        batch.extend(records);
        match self.write_until_stored(&batch) {
            Ok(()) => {
                self.missing.told(dropped);
                self.queue.written((batch.len() - gaps) as u64);
                Ok(())
            }
            Err(error) if batch.len() > gaps + 1 && !self.is_out_of_time() => {
                // One record may be at fault: the others must not share its fate.
                drop(error);
                batch.drain(..gaps);
                let mut latest = Ok(());
                for record in batch {
                    if let Err(error) = self.store(vec![record]) {
                        latest = Err(error);
                    }
                }
                latest
            }
            Err(error) => {
                let failed = (batch.len() - gaps) as u64;
                self.missing.failed(failed, &error);
                let told = Error::permanent(error.to_string());
                self.queue.failed(failed, error);
                Err(told)
            }
        }
    }

    /// Tells in the trail what is missing, where no record waits that could bring it along.
    ///
    /// Returns how long to wait before the next attempt, if the store did not take it. A gap that is not
    /// stored is no record that failed: it stays to be told.
    fn tell_missing(&mut self) -> Option<Duration> {
        let dropped = self.queue.dropped();
        let wait = self.missing.wait(dropped)?;
        if !wait.is_zero() {
            return Some(wait);
        }
        match self.write(&self.missing.gaps(dropped)) {
            Ok(()) => {
                self.missing.told(dropped);
                None
            }
            Err(error) => Some(self.missing.refused(&error)),
        }
    }

    fn write(&mut self, batch: &[Record]) -> Result<(), Error> {
        catch_unwind(AssertUnwindSafe(|| self.sink.write(batch)))
            .unwrap_or_else(|_| Err(Error::permanent("the store panicked while writing")))
    }

    /// Tries until the store has taken `batch`, or will not, or there is no more time.
    fn write_until_stored(&mut self, batch: &[Record]) -> Result<(), Error> {
        let mut pause = PAUSES.0;
        loop {
            let Err(error) = self.write(batch) else { return Ok(()) };
            if !error.is_transient() || self.is_out_of_time() {
                return Err(error);
            }
            if pause == PAUSES.0 {
                tracing::warn!(target: "audited", "the store refused, trying again: {error}");
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
        let closed = catch_unwind(AssertUnwindSafe(|| self.sink.close()))
            .unwrap_or_else(|_| Err(Error::permanent("the store panicked while closing")));
        lost.and(told).and(closed)
    }

    /// Counts what is left for want of time.
    fn give_up_rest(&mut self) -> Result<(), Error> {
        let mut rest = Vec::new();
        loop {
            self.queue.take(&mut rest, usize::MAX);
            if self.queue.is_drained(rest.len()) {
                break;
            }
            thread::yield_now();
        }
        if rest.is_empty() {
            return Ok(());
        }
        let failed = rest.len() as u64;
        let text =
            format!("{failed} records could not be stored before the time to close was over");
        let error = Error::permanent(text.clone());
        self.missing.failed(failed, &error);
        self.queue.failed(failed, error);
        Err(Error::permanent(text))
    }

    /// The last write: the store may be at work again, and nobody will tell later. It is tried once, whether
    /// or not there is time.
    fn tell_missing_at_last(&mut self) -> Result<(), Error> {
        let gaps = self.missing.gaps(self.queue.dropped());
        if gaps.is_empty() {
            return Ok(());
        }
        self.write(&gaps).map_err(|error| {
            let error = Error::permanent(format!(
                "records are missing, and the trail could not be told of it: {error}"
            ));
            tracing::error!(target: "audited", "{error}");
            error
        })
    }
}
