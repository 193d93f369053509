//! The writer's side of the queue: taking what callers have put there, and telling them what became of it.

use std::time::Duration;

use audit_record::Error;
use chrono::Utc;

use crate::recorder::offered::Lost;
use crate::recorder::queue::{Entry, Queue};
use crate::recorder::sync::{Arc, IS_WRITER, Ordering, fence, lock, pause, spin, thread};

impl Queue {
    /// Makes this thread the writer.
    pub(crate) fn become_writer(&self) {
        IS_WRITER.with(|is| is.set(true));
        let _ = self.writer.set(thread::current());
    }

    /// The record that has waited longest, which the writer has in hand from now on.
    pub(crate) fn pop(&self) -> Option<Entry> {
        if self.records.is_empty() {
            return None;
        }
        self.taken.fetch_add(1, Ordering::SeqCst);
        self.records.pop().or_else(|| {
            self.taken.fetch_sub(1, Ordering::SeqCst);
            None
        })
    }

    /// How many records the writer has taken, in all.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst)
    }

    /// Bytes that a batch may take: so few that callers find room while it is stored.
    pub(crate) fn batch_bytes(&self) -> usize {
        self.limits.bytes / 4
    }

    /// Says that the writer has so many bytes more in hand.
    pub(crate) fn holds(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Says that so many bytes that the writer had in hand are free.
    pub(crate) fn let_go(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Says that the writer has nothing in hand.
    pub(crate) fn let_go_of_all(&self) {
        self.let_go(self.held.load(Ordering::Relaxed));
    }

    /// Says that so many were taken that a caller waits for.
    pub(crate) fn took_hurried(&self, count: usize) {
        if count > 0 {
            self.hurried.fetch_sub(count.cast_signed(), Ordering::SeqCst);
        }
    }

    /// Waits for records: until there are some, a flush, the close, or `limit` is over.
    pub(crate) fn sleep(&self, limit: Duration) {
        self.writer_sleeps.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.records.is_empty() {
            if self.is_urgent() {
                // A caller stands in the midst of its push: let it go on.
                thread::yield_now();
            } else {
                thread::park_timeout(limit);
            }
        }
        self.writer_sleeps.store(false, Ordering::Relaxed);
    }

    /// Waits a little for more records, unless somebody waits for those that are there.
    pub(crate) fn gather(&self, limit: Duration) {
        let is_much =
            self.records.len() >= self.limits.records / 4 || self.bytes() >= self.batch_bytes();
        if !is_much && !self.is_urgent() {
            pause(limit, || true);
        }
    }

    /// Waits until as many callers as were just let go have come back to wait, but no longer than `limit`.
    pub(crate) fn linger(&self, released: usize, limit: Duration) {
        spin(limit, || {
            self.hurried.load(Ordering::SeqCst) >= released.cast_signed() || self.is_closed()
        });
    }

    /// Waits before the next attempt at a store that has refused. Only a flush or the close cuts it short: each
    /// caller that comes would make an attempt otherwise.
    pub(crate) fn back_off(&self, limit: Duration) {
        let was_closed = self.is_closed();
        pause(limit, || self.flushes.load(Ordering::SeqCst) > 0 || self.is_closed() != was_closed);
    }

    fn is_urgent(&self) -> bool {
        self.is_closed()
            || self.flushes.load(Ordering::SeqCst) > 0
            || self.hurried.load(Ordering::SeqCst) > 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Whether nothing more can come to the writer, which has `held` records whose end is not counted yet.
    /// Ask only once the queue is closed.
    ///
    /// A caller counts its record as accepted, then looks whether the queue is closed, then pushes or takes
    /// it off again. So whoever is not counted here comes later, finds the queue closed and pushes nothing;
    /// and while one that is counted has not pushed yet, the numbers differ. An empty queue alone would
    /// prove nothing: a caller may stand between its look and its push.
    pub(crate) fn is_drained(&self, held: u64) -> bool {
        self.left(u64::MAX) == held
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.counts.dropped().load(Ordering::SeqCst)
    }

    /// Says that the store is given a batch now.
    pub(crate) fn writes(&self) {
        self.writes_since.store(self.now(), Ordering::Relaxed);
    }

    /// Says that the store has come back from its batch.
    pub(crate) fn wrote(&self) {
        self.writes_since.store(0, Ordering::Relaxed);
    }

    /// Counts records that were stored.
    pub(crate) fn written(&self, records: u64) {
        self.refuses_since.store(0, Ordering::Relaxed);
        self.warned_unconfirmed.store(false, Ordering::Relaxed);
        self.tell(|progress| {
            progress.stored();
            self.written.fetch_add(records, Ordering::SeqCst);
        });
    }

    /// Counts records that were given up.
    pub(crate) fn failed(&self, records: u64, error: Arc<Error>) {
        self.tell(|progress| {
            progress.lost(error);
            // Last: a flush that sees these records ended must find why.
            self.failed.fetch_add(records, Ordering::SeqCst);
        });
    }

    /// Whether records were given up of which no flush has told.
    pub(crate) fn has_untold_losses(&self) -> bool {
        lock(&self.progress).failed_told < self.failed.load(Ordering::SeqCst)
    }

    /// Tells of an attempt that will be made again.
    pub(crate) fn refused(&self, error: Error) {
        // The writer alone says so.
        if self.refuses_since.load(Ordering::Relaxed) == 0 {
            self.refuses_since.store(self.now(), Ordering::Relaxed);
        }
        self.tell(|progress| progress.refused(error));
    }

    /// Tells what the store has said, though nothing is lost.
    pub(crate) fn complained(&self, error: Arc<Error>) {
        self.tell(|progress| progress.complained(error));
    }

    /// Tells that the trail can't be told of what is missing.
    pub(crate) fn untold(&self, error: Error) {
        self.tell(|progress| progress.lost(Arc::new(error)));
    }

    /// Tells that the writer has ended, and counts as failed what it had not stored.
    pub(crate) fn died(&self, records: u64, error: Arc<Error>) {
        self.tell(|progress| {
            progress.died = true;
            // It may be the drop of the latest error that has ended the writer.
            std::mem::forget(progress.latest.replace(error));
            progress.latest_at = Some(Utc::now());
            self.failed.fetch_add(records, Ordering::SeqCst);
        });
    }

    /// What was dropped since this was asked the last time.
    pub(crate) fn take_lost(&self) -> Lost {
        let mut progress = lock(&self.progress);
        let lost = std::mem::take(&mut *lock(&self.lost));
        progress.loses_since = progress.loses_since.or(lost.since);
        lost
    }
}
