//! [`Queue`]: passes records from callers to the writer thread.
//!
//! It is a bounded lock-free queue of records, with a second limit in bytes. A caller takes a lock
//! only if it finds no room, or if it waits for the store anyway. Every offered record is counted
//! once, as accepted or dropped. An accepted record is counted again once its result is known, as
//! written or failed. In this module, a record has then *ended*.
//!
//! This file has the callers' side, and `writer_side.rs` has that of the writer thread. `model.rs`
//! checks the protocol between them.

use std::cell::Cell;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use audit_record::{Durability, Error, Record};
use crossbeam_queue::ArrayQueue;

use crate::busy::mark_busy;
use crate::recorder::counters::{Counters, SessionCounters};
use crate::recorder::loss_count::LossCount;
use crate::recorder::pending_intents::PendingIntents;
use crate::recorder::queued_record::{QueueEntry, QueuedRecord};
use crate::recorder::receipt::{Receipt, new_receipt};
use crate::recorder::settings::{Overflow, QueueLimits, RETRY_PAUSES};
use crate::recorder::sync::{
    Arc, AtomicBool, AtomicIsize, AtomicU64, AtomicUsize, Condvar, IS_WRITER, Mutex, OnceLock,
    Ordering, PoisonError, Thread, fence, lock, sleep,
};
use crate::recorder::watchdog::Watchdog;
use crate::recorder::writer_status::WriterStatus;

/// A store that has been writing one batch for this long counts as failing.
const MAX_WRITE_TIME: Duration = Duration::from_secs(1);
/// The shortest wait of a caller, if its limit allows it. In this time, the writer thread tries a
/// failing store at least once.
const MIN_WAIT: Duration = RETRY_PAUSES.1;

pub(crate) struct Queue {
    records: ArrayQueue<QueueEntry>,
    /// The bytes of the records in the queue and of those in the writer thread's batch.
    bytes: AtomicUsize,
    /// The bytes of the latter. Only the writer thread changes it.
    in_flight_bytes: AtomicUsize,
    limits: QueueLimits,
    /// How many records were offered. Readable after the process has died.
    pub(crate) session_counters: SessionCounters,
    /// How many records the writer thread has taken. Only the writer thread changes it.
    taken: AtomicU64,
    written: AtomicU64,
    failed: AtomicU64,
    unconfirmed: AtomicU64,
    closed: AtomicBool,
    warned_late: AtomicBool,
    warned_unconfirmed: AtomicBool,
    /// How many callers wait for a flush. While there are any, the writer thread writes at once.
    flushes: AtomicUsize,
    /// How many records and intents in the queue have a waiting caller. They are counted after they
    /// are added, so that the writer thread never wakes up for one that is not there yet. So the
    /// number may be negative for a moment.
    waiters: AtomicIsize,
    pub(super) intents: PendingIntents,
    pub(super) watchdog: Arc<Watchdog>,
    /// When the store began to fail, in microseconds after `created`; 0 while it does not fail.
    failing_since: AtomicU64,
    /// When the store was given its current batch, in microseconds after `created`; 0 between
    /// batches.
    writing_since: AtomicU64,
    created: Instant,
    writer_sleeps: AtomicBool,
    writer: OnceLock<Thread>,
    /// Dropped records that the writer thread does not know yet.
    pub(crate) losses: Mutex<LossCount>,
    pub(crate) status: Mutex<WriterStatus>,
    status_changed: Condvar,
}

impl Queue {
    pub(crate) fn new(limits: QueueLimits, session_counters: SessionCounters) -> Self {
        Self {
            records: ArrayQueue::new(limits.records),
            bytes: AtomicUsize::new(0),
            in_flight_bytes: AtomicUsize::new(0),
            limits,
            session_counters,
            taken: AtomicU64::new(0),
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            unconfirmed: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            warned_late: AtomicBool::new(false),
            warned_unconfirmed: AtomicBool::new(false),
            flushes: AtomicUsize::new(0),
            waiters: AtomicIsize::new(0),
            intents: PendingIntents::new(limits.bytes),
            watchdog: Arc::new(Watchdog::new()),
            failing_since: AtomicU64::new(0),
            writing_since: AtomicU64::new(0),
            created: Instant::now(),
            writer_sleeps: AtomicBool::new(false),
            writer: OnceLock::new(),
            losses: Mutex::default(),
            status: Mutex::new(WriterStatus::new()),
            status_changed: Condvar::new(),
        }
    }

    /// Accepts `record`, or drops and counts it.
    pub(crate) fn offer(&self, record: impl Into<QueuedRecord>) {
        self.push_or_drop(QueueEntry { record: record.into(), completion: None });
    }

    /// Accepts `record`, or drops and counts it. The receipt waits until it is stored. On a writer
    /// thread, which can't wait for itself, there is no receipt.
    pub(crate) fn offer_durably(
        &self,
        record: impl Into<QueuedRecord>,
        durability: Durability,
    ) -> Option<Receipt> {
        let record = record.into();
        if self.is_writer() {
            self.offer(record);
            return None;
        }
        let (receipt, completion) = new_receipt(durability, self.wait_limit(), &self.watchdog);
        if self.push_or_drop(QueueEntry { record, completion: Some(completion) }) {
            self.add_waiter();
        }
        Some(receipt)
    }

    /// Accepts the intent of a call that has not begun. The receipt waits until it is stored.
    pub(crate) fn offer_intent(
        &self,
        intent: Box<Record>,
        durability: Durability,
    ) -> Result<Receipt, Error> {
        if self.is_writer() {
            return Err(Error::permanent(
                "it would run on the writer thread of the recorder, which can't wait for itself",
            ));
        }
        let (receipt, completion) = new_receipt(durability, self.wait_limit(), &self.watchdog);
        self.intents.add(intent, completion)?;
        self.add_waiter();
        Ok(receipt)
    }

    /// Whether this thread is the writer thread of any recorder. A writer thread can't wait for
    /// itself, and two of them might wait for each other.
    pub(crate) fn is_writer(&self) -> bool {
        IS_WRITER.with(Cell::get)
    }

    fn push_or_drop(&self, entry: QueueEntry) -> bool {
        let size = entry.record.bytes();
        match self.push(entry, size) {
            Ok(()) => {
                self.wake_if_asleep();
                true
            }
            Err(entry) => self.handle_overflow(entry, size),
        }
    }

    /// Counts `entry` as accepted before it is pushed, so that a flush that begins in between waits
    /// for it as well. If there is no room, the count is reverted.
    fn push(&self, entry: QueueEntry, size: usize) -> Result<(), QueueEntry> {
        self.session_counters.accepted().fetch_add(1, Ordering::SeqCst);
        let before = self.bytes.fetch_add(size, Ordering::Relaxed);
        let fits = before == 0 || before + size <= self.limits.bytes;
        let pushed = if fits && !self.closed.load(Ordering::SeqCst) {
            self.records.push(entry)
        } else {
            Err(entry)
        };
        pushed.inspect_err(|_| {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            self.session_counters.accepted().fetch_sub(1, Ordering::SeqCst);
            // A flush may have counted this record. It adds itself to `flushes` before it reads the
            // count, so it is seen here.
            if self.flushes.load(Ordering::SeqCst) > 0 {
                self.update_status(|_| ());
            }
        })
    }

    #[cold]
    fn handle_overflow(&self, entry: QueueEntry, size: usize) -> bool {
        let Err(entry) = self.push_when_there_is_room(entry, size) else { return true };
        {
            // Both under one lock, so that the writer thread finds as many losses as are counted.
            let mut losses = lock(&self.losses);
            self.session_counters.dropped().fetch_add(1, Ordering::SeqCst);
            entry.record.count_loss(&mut losses);
        }
        if let Some(completion) = entry.completion {
            let error = if self.is_closed() {
                Error::closed("the record was dropped because the recorder is closed")
            } else {
                Error::permanent("the record was dropped because the queue was full")
            };
            completion.complete(Err(Arc::new(error)));
        }
        if self.is_closed() {
            self.warn_late();
        }
        false
    }

    fn push_when_there_is_room(
        &self,
        mut entry: QueueEntry,
        size: usize,
    ) -> Result<(), QueueEntry> {
        let Overflow::Block(limit) = self.limits.overflow else { return Err(entry) };
        if self.is_writer() {
            return Err(entry);
        }
        // There is no deadline, because now plus a very long limit may not fit into an `Instant`.
        let start = Instant::now();
        let mut pause = Duration::from_micros(20);
        loop {
            let waited = start.elapsed().max(self.failing_for());
            if self.closed.load(Ordering::SeqCst) || waited >= limit {
                return Err(entry);
            }
            self.wake();
            sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(1));
            match self.push(entry, size) {
                Ok(()) => {
                    self.wake_if_asleep();
                    return Ok(());
                }
                Err(rejected) => entry = rejected,
            }
        }
    }

    /// How long the store has been failing or hanging. All callers share one time limit during
    /// this.
    fn failing_for(&self) -> Duration {
        let failing = self.elapsed_since(&self.failing_since).unwrap_or_default();
        failing.max(self.hanging_for().unwrap_or_default())
    }

    /// How long a caller that comes now may wait. While the store is failing, callers share the
    /// limit, but each may wait for [`MIN_WAIT`].
    fn wait_limit(&self) -> Duration {
        let limit = self.limits.wait;
        limit.saturating_sub(self.failing_for()).max(limit.min(MIN_WAIT))
    }

    /// How long the store has been writing its current batch, if that is unusually long.
    pub(crate) fn hanging_for(&self) -> Option<Duration> {
        self.elapsed_since(&self.writing_since).filter(|time| *time >= MAX_WRITE_TIME)
    }

    fn elapsed_since(&self, micros: &AtomicU64) -> Option<Duration> {
        match micros.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(self.created.elapsed().saturating_sub(Duration::from_micros(micros))),
        }
    }

    /// Microseconds after `created`; never 0.
    fn now_micros(&self) -> u64 {
        u64::try_from(self.created.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }

    /// Warns once that a call ended after the recorder was closed. The handle that could show the
    /// counters may be gone, and the writer thread may have written its last gap record.
    #[cold]
    fn warn_late(&self) {
        if self.warned_late.swap(true, Ordering::Relaxed) {
            return;
        }
        // The subscriber is user code: it must not be recorded here, and must not break the call.
        let _busy = mark_busy();
        let _ = catch_unwind(|| {
            tracing::warn!(
                target: "audited",
                "a call ended after its recorder was closed, so it is not in the audit trail; close the \
                 recorder last (later calls are not reported)"
            );
        });
    }

    #[inline]
    fn wake_if_asleep(&self) {
        // Pairs with the fence in `sleep`: either the writer thread sees the record, or this sees
        // that the writer thread sleeps.
        fence(Ordering::SeqCst);
        if self.writer_sleeps.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    /// Makes the writer thread write at once, because a caller waits.
    fn add_waiter(&self) {
        self.waiters.fetch_add(1, Ordering::SeqCst);
        self.wake();
    }

    #[cold]
    fn wake(&self) {
        self.writer_sleeps.store(false, Ordering::Relaxed);
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// Waits until every record that was accepted before has ended, or the store returns an error.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        if self.is_writer() {
            return Err(Error::permanent(
                "the writer thread can't wait for itself: call `flush` on another thread",
            ));
        }
        let mut status = lock(&self.status);
        self.flushes.fetch_add(1, Ordering::SeqCst);
        let target = self.session_counters.accepted().load(Ordering::SeqCst);
        let (failed_attempts, failed_reported) = (status.failed_attempts, status.failed_reported);
        self.wake();
        while self.unfinished(target) > 0 && status.failed_attempts == failed_attempts {
            status = self.status_changed.wait(status).unwrap_or_else(PoisonError::into_inner);
        }
        self.flushes.fetch_sub(1, Ordering::SeqCst);
        // Losses are counted from the start of this flush, so that every waiting flush reports a
        // loss, even if another one has reported it meanwhile.
        let all_failed = self.failed.load(Ordering::SeqCst);
        let failed = all_failed - failed_reported;
        status.failed_reported = all_failed;
        let cause = status.latest_error.as_ref().map_or_else(String::new, ToString::to_string);
        let waiting = self.unfinished(target);
        if failed > 0 {
            Err(Error::permanent(format!("{failed} records could not be stored: {cause}")))
        } else if status.died {
            Err(Error::permanent(cause))
        } else if waiting > 0 {
            Err(Error::transient(format!(
                "{waiting} records are not stored yet, and are tried again: {cause}"
            )))
        } else {
            Ok(())
        }
    }

    /// How many of the first `target` records have not ended.
    ///
    /// Records end in the order of the queue, so their number identifies them. `target` may include
    /// callers that found no room later. In that case, the whole queue has ended once as many
    /// records have ended as are accepted.
    fn unfinished(&self, target: u64) -> u64 {
        let accepted = self.session_counters.accepted().load(Ordering::SeqCst);
        target.min(accepted).saturating_sub(self.ended())
    }

    /// How many accepted records have ended.
    pub(crate) fn ended(&self) -> u64 {
        self.written.load(Ordering::SeqCst) + self.failed.load(Ordering::SeqCst)
    }

    pub(crate) fn counters(&self) -> Counters {
        // The order matters: what has ended was accepted before.
        let unconfirmed = self.unconfirmed.load(Ordering::SeqCst);
        let (written, failed) =
            (self.written.load(Ordering::SeqCst), self.failed.load(Ordering::SeqCst));
        let dropped = self.session_counters.dropped().load(Ordering::SeqCst);
        let accepted = self.accepted();
        Counters { accepted, dropped, written, failed, unconfirmed }
    }

    /// How many records are accepted. Callers that still try are not included: they are counted
    /// already, but may find no room.
    fn accepted(&self) -> u64 {
        loop {
            let taken = self.taken.load(Ordering::SeqCst);
            let pushed = taken + self.records.len() as u64;
            // The writer thread counts a record before it takes it. If the count is the same, none
            // was taken in between. But the latest counted record may still be in the queue, so
            // `pushed` is limited.
            if self.taken.load(Ordering::SeqCst) == taken {
                return pushed.min(self.session_counters.accepted().load(Ordering::SeqCst));
            }
        }
    }

    /// The bytes of the records that have not ended.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts a caller that returned without knowing that its record is stored. Returns whether it
    /// is the first since the latest successful write, so that a warning is due.
    pub(crate) fn count_unconfirmed(&self) -> bool {
        self.unconfirmed.fetch_add(1, Ordering::SeqCst);
        !self.warned_unconfirmed.swap(true, Ordering::Relaxed)
    }

    /// Accepts no more records, and makes the writer thread finish. A second call does nothing.
    pub(crate) fn close(&self) {
        self.update_status(WriterStatus::set_stopped);
        self.closed.store(true, Ordering::SeqCst);
        let rejected = self.intents.close();
        self.subtract_waiters(rejected.len());
        self.wake();
    }

    fn update_status(&self, change: impl FnOnce(&mut WriterStatus)) {
        change(&mut lock(&self.status));
        self.status_changed.notify_all();
    }
}

mod writer_side;

#[cfg(all(test, not(shuttle)))]
mod tests;
