//! [`Queue`]: where callers and the writer thread meet.
//!
//! A bounded lock-free queue of records, with a bound in bytes beside the one in records. A caller takes
//! a lock only where it finds no room while somebody waits for a flush. Every record offered is counted
//! once, as accepted or dropped; what was accepted is counted again when it has come to its end, as
//! written or failed.

use std::cell::Cell;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;

use super::Counters;
use super::builder::{Overflow, QueueLimits};
use super::size::size_of_record;
use crate::{Error, Record, scope};

thread_local! {
    /// The writer can't wait for itself.
    static IS_WRITER: Cell<bool> = const { Cell::new(false) };
}

pub(super) struct Queue {
    records: ArrayQueue<Box<Record>>,
    bytes: AtomicUsize,
    limits: QueueLimits,
    /// In the queue or past it, and those that a caller is just trying to put there.
    accepted: AtomicU64,
    dropped: AtomicU64,
    written: AtomicU64,
    failed: AtomicU64,
    closed: AtomicBool,
    warned_late: AtomicBool,
    /// Callers that wait for a flush: the writer need not gather a batch first.
    flushes: AtomicUsize,
    writer_sleeps: AtomicBool,
    writer: OnceLock<Thread>,
    progress: Mutex<Progress>,
    progressed: Condvar,
}

/// What waiting callers are told.
#[derive(Default)]
struct Progress {
    /// Attempts of the writer that the store refused.
    refusals: u64,
    latest: Option<Arc<Error>>,
    /// Of the records given up, those that a flush told of.
    failed_told: u64,
}

impl Queue {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self {
            records: ArrayQueue::new(limits.records),
            bytes: AtomicUsize::new(0),
            limits,
            accepted: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            warned_late: AtomicBool::new(false),
            flushes: AtomicUsize::new(0),
            writer_sleeps: AtomicBool::new(false),
            writer: OnceLock::new(),
            progress: Mutex::default(),
            progressed: Condvar::new(),
        }
    }

    // ---- callers --------------------------------------------------------------------------------

    /// Takes `record`, or drops and counts it.
    pub(super) fn offer(&self, record: Box<Record>) {
        let size = size_of_record(&record);
        let Err(record) = self.push(record, size) else { return self.wake_sleeper() };
        if !self.push_when_there_is_room(record, size) {
            self.dropped.fetch_add(1, Ordering::SeqCst);
            if self.is_closed() {
                self.warn_late();
            }
        }
    }

    /// Says once that a call ended after the close: the handle with the counters is gone, and the writer may
    /// have written its last gap.
    #[cold]
    fn warn_late(&self) {
        if self.warned_late.swap(true, Ordering::Relaxed) {
            return;
        }
        // The subscriber is the user's code: it must neither be recorded here nor break the call.
        let _busy = scope::busy();
        let _ = catch_unwind(|| {
            tracing::warn!(
                target: "audited",
                "a call ended after its recorder was closed, so it is not in the audit trail; close the \
                 recorder last (later calls are not reported)"
            );
        });
    }

    /// Counts `record` first, so that a flush that begins in between waits for it as well; what finds no
    /// room is taken off again.
    fn push(&self, record: Box<Record>, size: usize) -> Result<(), Box<Record>> {
        self.accepted.fetch_add(1, Ordering::SeqCst);
        let before = self.bytes.fetch_add(size, Ordering::Relaxed);
        let fits = before == 0 || before + size <= self.limits.bytes;
        let pushed = if fits && !self.closed.load(Ordering::SeqCst) {
            self.records.push(record)
        } else {
            Err(record)
        };
        pushed.inspect_err(|_| {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            self.accepted.fetch_sub(1, Ordering::SeqCst);
            // A flush may have counted on this record. It says that it waits before it counts.
            if self.flushes.load(Ordering::SeqCst) > 0 {
                self.tell(|_| ());
            }
        })
    }

    #[cold]
    fn push_when_there_is_room(&self, mut record: Box<Record>, size: usize) -> bool {
        let Overflow::Block(limit) = self.limits.overflow else { return false };
        if IS_WRITER.get() {
            return false;
        }
        // Not a deadline: the sum of now and a very long limit may be beyond what an `Instant` holds.
        let since = Instant::now();
        let mut pause = Duration::from_micros(20);
        loop {
            if self.closed.load(Ordering::SeqCst) || since.elapsed() >= limit {
                return false;
            }
            self.wake();
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(1));
            match self.push(record, size) {
                Ok(()) => {
                    self.wake_sleeper();
                    return true;
                }
                Err(back) => record = back,
            }
        }
    }

    #[inline]
    fn wake_sleeper(&self) {
        // Pairs with the fence in `sleep`: either the writer sees the record, or this sees it asleep.
        fence(Ordering::SeqCst);
        if self.writer_sleeps.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        self.writer_sleeps.store(false, Ordering::Relaxed);
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// Waits until all that was accepted before has come to its end, or the store refuses it.
    pub(super) fn flush(&self) -> Result<(), Error> {
        if IS_WRITER.get() {
            return Err(Error::permanent(
                "the writer thread can't wait for itself: call `flush` elsewhere",
            ));
        }
        let mut progress = self.progress();
        self.flushes.fetch_add(1, Ordering::SeqCst);
        let target = self.accepted.load(Ordering::SeqCst);
        let (refusals, failed_told) = (progress.refusals, progress.failed_told);
        self.wake();
        while self.left(target) > 0 && progress.refusals == refusals {
            progress = self.progressed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        self.flushes.fetch_sub(1, Ordering::SeqCst);
        // Since this flush began, not since another told: whoever waited learns of the loss.
        let all_failed = self.failed.load(Ordering::SeqCst);
        let failed = all_failed - failed_told;
        progress.failed_told = all_failed;
        let cause = progress.latest.as_ref().map_or_else(String::new, ToString::to_string);
        let waiting = self.left(target);
        if failed > 0 {
            Err(Error::permanent(format!("{failed} records could not be stored: {cause}")))
        } else if waiting > 0 {
            Err(Error::transient(format!(
                "{waiting} records are not stored yet, and are tried again: {cause}"
            )))
        } else {
            Ok(())
        }
    }

    /// How many of the first `target` records have not come to their end.
    ///
    /// Records come to their end in the order of the queue, so a number tells which. `target` may count
    /// callers that found no room after all; then everything in the queue has ended once as many have
    /// ended as are accepted.
    fn left(&self, target: u64) -> u64 {
        let ended = self.written.load(Ordering::SeqCst) + self.failed.load(Ordering::SeqCst);
        target.min(self.accepted.load(Ordering::SeqCst)).saturating_sub(ended)
    }

    pub(super) fn counters(&self) -> Counters {
        // In this order: what has ended was accepted before.
        let (written, failed) =
            (self.written.load(Ordering::SeqCst), self.failed.load(Ordering::SeqCst));
        let dropped = self.dropped.load(Ordering::SeqCst);
        let accepted = self.accepted.load(Ordering::SeqCst);
        Counters { accepted, dropped, written, failed }
    }

    /// Takes no more records, and makes the writer finish.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress());
        self.progressed.notify_all();
    }

    // ---- writer ---------------------------------------------------------------------------------

    /// Makes this thread the writer.
    pub(super) fn become_writer(&self) {
        IS_WRITER.set(true);
        let _ = self.writer.set(thread::current());
    }

    /// Moves waiting records into `batch`, up to `most` of them in all.
    pub(super) fn take(&self, batch: &mut Vec<Record>, most: usize) {
        while batch.len() < most
            && let Some(record) = self.records.pop()
        {
            self.bytes.fetch_sub(size_of_record(&record), Ordering::Relaxed);
            batch.push(*record);
        }
    }

    /// Waits for records: until there are some, a flush, the close, or `limit` is over.
    pub(super) fn sleep(&self, limit: Duration) {
        self.writer_sleeps.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.records.is_empty() && !self.is_urgent() {
            thread::park_timeout(limit);
        }
        self.writer_sleeps.store(false, Ordering::Relaxed);
    }

    /// Waits a little for more records, unless somebody waits for those that are there.
    pub(super) fn gather(&self, limit: Duration) {
        if !self.is_urgent() && self.records.len() < self.limits.records / 4 {
            thread::park_timeout(limit);
        }
    }

    /// Waits before the next attempt at a store that has refused.
    pub(super) fn back_off(&self, pause: Duration) {
        thread::park_timeout(pause);
    }

    fn is_urgent(&self) -> bool {
        self.is_closed() || self.flushes.load(Ordering::SeqCst) > 0
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Whether nothing more can come to the writer, which has `held` records whose end is not counted yet.
    /// Ask only once the queue is closed.
    ///
    /// A caller counts its record as accepted, then looks whether the queue is closed, then pushes or takes
    /// it off again. So whoever is not counted here comes later, finds the queue closed and pushes nothing;
    /// and while one that is counted has not pushed yet, the numbers differ. An empty queue alone would
    /// prove nothing: a caller may stand between its look and its push.
    pub(super) fn is_drained(&self, held: usize) -> bool {
        self.left(u64::MAX) == held as u64
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::SeqCst)
    }

    pub(super) fn written(&self, records: u64) {
        self.written.fetch_add(records, Ordering::SeqCst);
        self.tell(|_| ());
    }

    /// Counts records that were given up.
    pub(super) fn failed(&self, records: u64, error: Error) {
        self.tell(|progress| {
            progress.latest = Some(Arc::new(error));
            // Last: a flush that sees these records ended must find why.
            self.failed.fetch_add(records, Ordering::SeqCst);
        });
    }

    /// Tells of an attempt that will be made again.
    pub(super) fn refused(&self, error: Error) {
        self.tell(|progress| {
            progress.refusals += 1;
            progress.latest = Some(Arc::new(error));
        });
    }
}

#[cfg(test)]
mod tests;
