//! The writer thread: takes batches from the queue and writes them to the store.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use audit_record::store::{Batch, SessionTally, Store};
use audit_record::{Durability, Error};

use crate::busy::mark_busy;
use crate::recorder::clock_monitor::ClockMonitor;
use crate::recorder::in_flight_batch::InFlightBatch;
use crate::recorder::loss_report::LossReport;
use crate::recorder::queue::Queue;
use crate::recorder::settings::RETRY_PAUSES;
use crate::recorder::sync::{Arc, JoinHandle, thread};

/// The maximum number of records in one transaction.
pub(crate) const MAX_BATCH_RECORDS: usize = 4_096;
/// How long the first record of a batch waits for others, if no caller waits for it.
const COLLECT_TIME: Duration = Duration::from_millis(5);
/// How long to wait for callers that were released together, so that they share the next sync too.
/// This helps a single caller as well: if the writer thread slept when it comes back, waking up
/// might take longer than storing a record.
const RETURN_TIME: Duration = Duration::from_micros(100);
/// How long the writer thread sleeps if nothing wakes it.
const MAX_SLEEP: Duration = Duration::from_secs(1);
/// How often the store does its [maintenance](Store::maintain). What a dead process has left must be
/// found within a minute.
const MAINTENANCE_INTERVAL: Duration =
    if cfg!(test) { Duration::from_millis(10) } else { Duration::from_secs(20) };

/// Starts the writer thread. It ends after the queue is closed, and returns whether all records and
/// losses are in the trail.
pub(crate) fn start(
    queue: Arc<Queue>,
    store: Box<dyn Store>,
    close_timeout: Duration,
) -> Result<JoinHandle<Result<(), Error>>, Error> {
    let mut writer = Writer {
        queue,
        store,
        close_timeout,
        closed_since: None,
        losses: LossReport::default(),
        clock: ClockMonitor::new(),
        maintained_at: Instant::now(),
    };
    thread::Builder::new()
        .name("audited-writer".to_owned())
        .spawn(move || {
            writer.queue.register_writer();
            // Calls that the store makes are part of the audit's own work, and are not recorded.
            let _busy = mark_busy();
            // The batch is declared here so that it survives a panic in `run`.
            let mut batch = InFlightBatch::default();
            let result = catch_unwind(AssertUnwindSafe(|| writer.run(&mut batch)));
            let result = result.unwrap_or_else(|_| writer.handle_panic(batch));
            writer.queue.watchdog.end();
            result
        })
        .map_err(|error| Error::permanent("the writer thread can't be started").with_source(error))
}

struct Writer {
    queue: Arc<Queue>,
    store: Box<dyn Store>,
    close_timeout: Duration,
    /// When the writer thread noticed that the queue is closed.
    closed_since: Option<Instant>,
    losses: LossReport,
    clock: ClockMonitor,
    /// When the store last did its maintenance.
    maintained_at: Instant,
}

impl Writer {
    fn run(&mut self, batch: &mut InFlightBatch) -> Result<(), Error> {
        let mut latest_result = Ok(());
        loop {
            self.maintain_if_due();
            batch.take(&self.queue, MAX_BATCH_RECORDS, self.queue.batch_bytes());
            if batch.is_empty() {
                if !self.queue.is_closed() {
                    let until_retry = self.report_losses();
                    self.queue.sleep(until_retry.unwrap_or(MAX_SLEEP));
                    self.queue.collect_batch(COLLECT_TIME);
                } else if self.queue.is_drained(0) {
                    // `close_store` reports the remaining losses.
                    break;
                } else {
                    // A caller is about to push, or to find the queue closed.
                    thread::yield_now();
                }
                continue;
            }
            let released = batch.waiters();
            // Losses are polled once for each batch. What is lost while this batch is retried is
            // reported before the next one. So the gap record before this batch stays the same: the
            // store may have stored it although it returned an error.
            self.poll_losses();
            if let Err(error) = self.store_batch(batch) {
                latest_result = Err(error);
                if self.is_out_of_time() {
                    break;
                }
            } else if released > 0 {
                self.queue.wait_for_returning_callers(released, RETURN_TIME);
            }
        }
        if !self.queue.has_unreported_failures() {
            // A flush has reported all of them, so closing does not report them again.
            latest_result = Ok(());
        }
        let closed = self.close_store();
        latest_result.and(closed)
    }

    /// Stores `batch`, preceded by the report of losses, and empties it. An error means that
    /// records were given up.
    fn store_batch(&mut self, batch: &mut InFlightBatch) -> Result<(), Error> {
        match self.write_with_retries(batch) {
            Ok(()) => {
                batch.confirm_waiters();
                Ok(())
            }
            Err(_) if batch.len() > 1 && !self.is_out_of_time() => {
                // The store may have rejected the batch because of one record. The others must not
                // be lost with it.
                let [mut first, mut second] = std::mem::take(batch).split();
                let first = self.store_batch(&mut first);
                self.store_batch(&mut second).and(first)
            }
            Err(error) => {
                let Err(error) = self.store_less_durably(batch, error) else { return Ok(()) };
                let returned = Error::permanent(error.to_string());
                // Without an intent, its call does not run. Nothing is lost.
                let is_loss = !batch.records.is_empty();
                self.give_up(batch, error);
                if is_loss { Err(returned) } else { Ok(()) }
            }
        }
    }

    /// Retries a record with [`Durability::Process`] if the store has rejected a higher durability:
    /// it is more important that the record exists. The caller that waits for it gets `error`.
    fn store_less_durably(&mut self, batch: &mut InFlightBatch, error: Error) -> Result<(), Error> {
        if batch.records.is_empty() || batch.durability() <= Durability::Process {
            return Err(error);
        }
        let error = Arc::new(error);
        self.queue.set_error(error.clone());
        batch.reject_record_waiters(&error);
        self.write_with_retries(batch)?;
        batch.confirm_waiters();
        Ok(())
    }

    /// Counts the records of `batch` as failed, and returns `error` to the callers that wait.
    fn give_up(&mut self, batch: &mut InFlightBatch, error: Error) {
        let (failed, error) = (batch.records.len() as u64, Arc::new(error));
        if failed > 0 {
            // Only the first rejection is logged. The gap record and the counters have the number.
            if self.losses.add_failed(&batch.records, &error) {
                warn(|| tracing::error!(target: "audited", failed, "records are lost: {error}"));
            }
        }
        batch.release(&self.queue);
        if failed > 0 {
            self.queue.count_failed(failed, error.clone());
        }
        batch.reject_waiters(&error);
    }

    /// Writes the report of losses without a batch, because no record waits that could follow it.
    ///
    /// Returns how long to wait before the next attempt, if the store returned an error. A gap
    /// record that was not stored does not count as a failed record: it is kept and written later.
    fn report_losses(&mut self) -> Option<Duration> {
        self.poll_losses();
        let delay = self.losses.delay()?;
        if !delay.is_zero() {
            return Some(delay);
        }
        let Err(error) = self.write(&mut InFlightBatch::default()) else { return None };
        let (pause, is_first) = self.losses.set_rejected();
        if is_first {
            warn(|| {
                tracing::error!(
                    target: "audited",
                    "lost records can't be reported in the trail: {error}"
                );
            });
        }
        self.queue.set_unreported(error);
        Some(pause)
    }

    /// Lets the store do its maintenance from time to time, between two batches.
    ///
    /// An error is not reported here: if the store is in trouble, the next batch reports it.
    fn maintain_if_due(&mut self) {
        if self.maintained_at.elapsed() < MAINTENANCE_INTERVAL || self.queue.is_closed() {
            return;
        }
        self.queue.begin_write();
        let _ = catch_unwind(AssertUnwindSafe(|| self.store.maintain()));
        self.queue.end_write();
        self.maintained_at = Instant::now();
    }

    /// Collects what must be reported before anything newer.
    fn poll_losses(&mut self) {
        if let Some(notice) = self.clock.check() {
            self.losses.add_notice(notice);
        }
        if !self.losses.includes_dropped(self.queue.dropped()) {
            self.losses.add_dropped(self.queue.take_losses());
        }
    }

    /// Tries once to write `batch`, preceded by the report of losses.
    fn write(&mut self, batch: &mut InFlightBatch) -> Result<(), Error> {
        let mut tally = SessionTally::default();
        tally.ended = self.queue.ended() + batch.records.len() as u64;
        tally.dropped_reported = self.losses.dropped_total();
        batch.set_waits();
        let report = self.losses.records();
        let report_len = report.len();
        if report_len > 0 {
            batch.records.splice(0..0, report);
        }
        let mut written = Batch::new(&batch.records);
        written.intents = &batch.intents;
        written.durability = batch.durability();
        written.tally = tally;
        self.queue.begin_write();
        let result = catch_unwind(AssertUnwindSafe(|| self.store.write_batch(&written)))
            .unwrap_or_else(|_| Err(Error::permanent("the store panicked while writing")));
        self.queue.end_write();
        batch.records.drain(..report_len);
        result?;
        let had_rejected = self.losses.set_stored();
        let records = batch.records.len() as u64;
        // This comes before callers are released, so that their next records find room.
        batch.release(&self.queue);
        self.queue.count_written(records);
        if had_rejected {
            warn(|| tracing::warn!(target: "audited", "the store takes records again"));
        }
        Ok(())
    }

    /// Retries while the store returns transient errors and there is time.
    fn write_with_retries(&mut self, batch: &mut InFlightBatch) -> Result<(), Error> {
        let mut pause = RETRY_PAUSES.0;
        loop {
            batch.remove_abandoned_intents();
            if batch.is_empty() {
                return Ok(());
            }
            let Err(error) = self.write(batch) else { return Ok(()) };
            if !error.is_transient() || self.is_out_of_time() {
                return Err(error);
            }
            if pause == RETRY_PAUSES.0 {
                warn(|| {
                    tracing::warn!(
                        target: "audited",
                        "the store returned an error, and the write is retried: {error}"
                    );
                });
            }
            self.queue.set_failing(error);
            self.queue.back_off(pause);
            pause = (pause * 2).min(RETRY_PAUSES.1);
        }
    }

    /// Whether the close timeout is over, so that the remaining records are given up.
    fn is_out_of_time(&mut self) -> bool {
        if !self.queue.is_closed() {
            return false;
        }
        self.closed_since.get_or_insert_with(Instant::now).elapsed() >= self.close_timeout
    }

    fn close_store(&mut self) -> Result<(), Error> {
        let given_up = self.give_up_rest();
        let reported = self.report_losses_at_close();
        let closed = self.end_session(reported.is_ok());
        given_up.and(reported).and(closed)
    }

    /// Closes the store. `all_reported` says whether the trail reports all losses.
    fn end_session(&mut self, all_reported: bool) -> Result<(), Error> {
        catch_unwind(AssertUnwindSafe(|| self.store.close()))
            .unwrap_or_else(|_| Err(Error::permanent("the store panicked while closing")))?;
        // Otherwise the store leaves its session open. The next start then needs the counters to
        // report how many records are lost.
        let all_ended = self.queue.is_drained(0);
        if all_reported && all_ended && self.queue.dropped() == self.losses.dropped_total() {
            self.queue.session_counters.remove();
        }
        Ok(())
    }

    /// Takes everything that is left in the closed queue. When it returns, nothing more can come.
    fn take_rest(&mut self) -> InFlightBatch {
        let mut rest = InFlightBatch::default();
        loop {
            rest.take(&self.queue, usize::MAX, usize::MAX);
            if self.queue.is_drained(self.queue.taken() - self.queue.ended()) {
                return rest;
            }
            thread::yield_now();
        }
    }

    /// Gives up the records that could not be stored within the close timeout.
    fn give_up_rest(&mut self) -> Result<(), Error> {
        let mut rest = self.take_rest();
        if rest.is_empty() {
            return Ok(());
        }
        let failed = rest.len();
        let text = format!("{failed} records could not be stored within the close timeout");
        self.give_up(&mut rest, Error::permanent(text.clone()));
        Err(Error::permanent(text))
    }

    /// Reports losses for the last time. It is tried once, even if the close timeout is over,
    /// because the store may work again.
    fn report_losses_at_close(&mut self) -> Result<(), Error> {
        self.poll_losses();
        if self.losses.delay().is_none() {
            return Ok(());
        }
        let has_losses = self.losses.has_losses();
        match self.write(&mut InFlightBatch::default()) {
            Err(error) if has_losses => {
                let error = Error::permanent(format!(
                    "records are lost, and the trail does not report it: {error}"
                ));
                warn(|| tracing::error!(target: "audited", "{error}"));
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Ends the recorder after a panic of the writer thread, caused by a bug of its own or by an
    /// error value of the store. No caller may wait for it any more.
    #[cold]
    fn handle_panic(&mut self, mut batch: InFlightBatch) -> Result<(), Error> {
        let error = Arc::new(Error::permanent(
            "the writer thread has panicked, so nothing more is recorded; restart the program, and \
             report the panic",
        ));
        self.queue.close();
        let mut rest = self.take_rest();
        let failed = self.queue.taken() - self.queue.ended();
        let known = batch.records.len() + rest.records.len();
        self.losses.add_failed(batch.records.iter().chain(&rest.records), &error);
        // If the batch was split, its parts were dropped by the panic.
        self.losses.add_unknown_failed(failed.saturating_sub(known as u64));
        batch.release(&self.queue);
        rest.release(&self.queue);
        self.queue.release_all_bytes();
        self.queue.set_died(failed, error.clone());
        batch.reject_waiters(&error);
        rest.reject_waiters(&error);
        warn(|| tracing::error!(target: "audited", failed, "{error}"));
        if self.report_losses_at_close().is_ok() {
            // Otherwise the store stays open: the next start finds a session that was not closed,
            // and reports its losses.
            let _ = self.end_session(true);
        }
        Err(Error::permanent(error.to_string()))
    }
}

/// Calls the subscriber, which is user code. Its panic must not end the writer thread.
fn warn(report: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(report));
}

#[cfg(all(test, not(shuttle)))]
mod tests;
