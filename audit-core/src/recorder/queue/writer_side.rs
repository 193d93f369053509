//! The writer thread's side of the queue: it takes records, and reports what became of them.

use std::time::Duration;

use audit_record::Error;
use chrono::Utc;

use crate::recorder::loss_count::LossCount;
use crate::recorder::queue::Queue;
use crate::recorder::queued_record::QueueEntry;
use crate::recorder::sync::{Arc, IS_WRITER, Ordering, fence, lock, pause, spin, thread};

impl Queue {
    /// Makes this thread the writer thread.
    pub(crate) fn register_writer(&self) {
        IS_WRITER.with(|is| is.set(true));
        let _ = self.writer.set(thread::current());
    }

    /// Takes the oldest record.
    pub(crate) fn pop(&self) -> Option<QueueEntry> {
        if self.records.is_empty() {
            return None;
        }
        self.taken.fetch_add(1, Ordering::SeqCst);
        self.records.pop().or_else(|| {
            self.taken.fetch_sub(1, Ordering::SeqCst);
            None
        })
    }

    /// How many records the writer thread has taken, in all.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst)
    }

    /// The maximum size of a batch in bytes. It is a part of the queue's limit, so that callers
    /// find room while the batch is written.
    pub(crate) fn batch_bytes(&self) -> usize {
        self.limits.bytes / 4
    }

    /// Adds to the bytes of the current batch. They still count towards the limit of the queue.
    pub(crate) fn add_in_flight_bytes(&self, bytes: usize) {
        self.in_flight_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Releases bytes of the current batch, so that callers can use them.
    pub(crate) fn release_bytes(&self, bytes: usize) {
        self.in_flight_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Releases all bytes of the current batch.
    pub(crate) fn release_all_bytes(&self) {
        self.release_bytes(self.in_flight_bytes.load(Ordering::Relaxed));
    }

    /// Subtracts records and intents with a waiting caller that were taken from the queue.
    pub(crate) fn subtract_waiters(&self, count: usize) {
        if count > 0 {
            self.waiters.fetch_sub(count.cast_signed(), Ordering::SeqCst);
        }
    }

    /// Sleeps until there is a record, a flush, or the close, but at most for `limit`.
    pub(crate) fn sleep(&self, limit: Duration) {
        self.writer_sleeps.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.records.is_empty() {
            if self.is_urgent() {
                // A caller is between its count and its push: give it time to continue.
                thread::yield_now();
            } else {
                thread::park_timeout(limit);
            }
        }
        self.writer_sleeps.store(false, Ordering::Relaxed);
    }

    /// Waits for more records, at most for `limit`, unless a caller waits or there are many
    /// already.
    pub(crate) fn collect_batch(&self, limit: Duration) {
        let is_large =
            self.records.len() >= self.limits.records / 4 || self.bytes() >= self.batch_bytes();
        if !is_large && !self.is_urgent() {
            pause(limit, || true);
        }
    }

    /// Waits until as many callers wait again as were just released, but at most for `limit`.
    pub(crate) fn wait_for_returning_callers(&self, released: usize, limit: Duration) {
        spin(limit, || {
            self.waiters.load(Ordering::SeqCst) >= released.cast_signed() || self.is_closed()
        });
    }

    /// Waits before the next attempt after an error of the store. Only a flush or the close ends it
    /// early. If a new caller did so too, each caller would cause an attempt.
    pub(crate) fn back_off(&self, limit: Duration) {
        let was_closed = self.is_closed();
        pause(limit, || self.flushes.load(Ordering::SeqCst) > 0 || self.is_closed() != was_closed);
    }

    fn is_urgent(&self) -> bool {
        self.is_closed()
            || self.flushes.load(Ordering::SeqCst) > 0
            || self.waiters.load(Ordering::SeqCst) > 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Whether no more records can reach the writer thread, which has taken `in_flight` records
    /// that have not ended. Call this only after the close.
    ///
    /// A caller counts its record as accepted, then checks whether the queue is closed, then pushes
    /// or reverts the count. A caller that is not counted here comes later, finds the queue closed
    /// and pushes nothing. While a counted caller has not pushed yet, the numbers differ. An empty
    /// queue alone proves nothing, because a caller may be between its check and its push.
    pub(crate) fn is_drained(&self, in_flight: u64) -> bool {
        self.unfinished(u64::MAX) == in_flight
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.session_counters.dropped().load(Ordering::SeqCst)
    }

    /// The store is about to get a batch.
    pub(crate) fn begin_write(&self) {
        self.writing_since.store(self.now_micros(), Ordering::Relaxed);
    }

    /// The store has returned from its batch.
    pub(crate) fn end_write(&self) {
        self.writing_since.store(0, Ordering::Relaxed);
    }

    /// Counts records that were stored.
    pub(crate) fn count_written(&self, records: u64) {
        self.failing_since.store(0, Ordering::Relaxed);
        self.warned_unconfirmed.store(false, Ordering::Relaxed);
        self.update_status(|status| {
            status.set_stored();
            self.written.fetch_add(records, Ordering::SeqCst);
        });
    }

    /// Counts records that were given up.
    pub(crate) fn count_failed(&self, records: u64, error: Arc<Error>) {
        self.update_status(|status| {
            status.set_losing(error);
            // This comes last: a flush that sees these records as ended must find the error.
            self.failed.fetch_add(records, Ordering::SeqCst);
        });
    }

    /// Whether records were given up that no flush has reported.
    pub(crate) fn has_unreported_failures(&self) -> bool {
        lock(&self.status).failed_reported < self.failed.load(Ordering::SeqCst)
    }

    /// The store has returned `error`, and the write will be retried.
    pub(crate) fn set_failing(&self, error: Error) {
        // Only the writer thread changes it, so checking and storing need not be atomic.
        if self.failing_since.load(Ordering::Relaxed) == 0 {
            self.failing_since.store(self.now_micros(), Ordering::Relaxed);
        }
        self.update_status(|status| status.set_failing(error));
    }

    /// The store has returned `error`, but no record is lost.
    pub(crate) fn set_error(&self, error: Arc<Error>) {
        self.update_status(|status| status.set_error(error));
    }

    /// Losses can't be reported in the trail, because the store has returned `error`.
    pub(crate) fn set_unreported(&self, error: Error) {
        self.update_status(|status| status.set_losing(Arc::new(error)));
    }

    /// The writer thread has panicked. Counts the records as failed that it had not stored.
    pub(crate) fn set_died(&self, records: u64, error: Arc<Error>) {
        self.update_status(|status| {
            status.died = true;
            // The panic may come from dropping the latest error, so it must not be dropped again.
            std::mem::forget(status.latest_error.replace(error));
            status.latest_error_at = Some(Utc::now());
            self.failed.fetch_add(records, Ordering::SeqCst);
        });
    }

    /// Takes the records that callers have dropped since the last call.
    pub(crate) fn take_losses(&self) -> LossCount {
        let mut status = lock(&self.status);
        let losses = std::mem::take(&mut *lock(&self.losses));
        status.losing_since = status.losing_since.or(losses.since);
        losses
    }
}
