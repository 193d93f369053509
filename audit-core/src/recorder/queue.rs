//! [`Queue`]: where callers and the writer thread meet.
//!
//! A bounded lock-free queue of records, with a bound in bytes beside the one in records. A caller takes
//! a lock only where it finds no room, or waits for the store anyway. Every record offered is counted
//! once, as accepted or dropped; what was accepted is counted again when it has come to its end, as
//! written or failed.

use std::cell::Cell;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use audit_record::{Durability, Error, Record};
use crossbeam_queue::ArrayQueue;

use crate::busy::busy;
use crate::recorder::counts::Counts;
use crate::recorder::offered::{Lost, Offered};
use crate::recorder::progress::Progress;
use crate::recorder::receipt::{Promise, Receipt, receipt};
use crate::recorder::settings::{PAUSES, QueueLimits};
use crate::recorder::sync::{
    Arc, AtomicBool, AtomicIsize, AtomicU64, AtomicUsize, Condvar, IS_WRITER, Mutex, OnceLock,
    Ordering, PoisonError, Thread, fence, lock, sleep,
};
use crate::recorder::waits::Waits;
use crate::recorder::watchdog::Watchdog;
use crate::recorder::{Counters, Overflow};

/// A store that is at work on one batch for longer than this hangs.
const HANGS: Duration = Duration::from_secs(1);
/// How long a caller waits at the least, if it may: the writer asks a store in trouble once in that time.
const ATTEMPT: Duration = PAUSES.1;

pub(crate) struct Queue {
    records: ArrayQueue<Entry>,
    /// Of the records that wait here, and of those in the writer's hands.
    bytes: AtomicUsize,
    /// Of the latter; the writer alone changes it.
    held: AtomicUsize,
    limits: QueueLimits,
    /// What was offered; readable when the process is gone.
    pub(crate) counts: Counts,
    /// Records that the writer has taken; it alone changes it.
    taken: AtomicU64,
    written: AtomicU64,
    failed: AtomicU64,
    unconfirmed: AtomicU64,
    closed: AtomicBool,
    warned_late: AtomicBool,
    warned_unconfirmed: AtomicBool,
    /// Callers that wait for a flush: the writer need not gather a batch first.
    flushes: AtomicUsize,
    /// Records and intents that have not been taken, and that a caller waits for. Counted after they are there, so
    /// that the writer never hurries for nothing: for a moment it may be negative.
    hurried: AtomicIsize,
    pub(crate) waits: Waits,
    pub(crate) watchdog: Arc<Watchdog>,
    /// Microseconds after `born` when the store began to refuse; 0 while it does not.
    refuses_since: AtomicU64,
    /// Microseconds after `born` when the store was given the batch that it is at work on; 0 between two.
    writes_since: AtomicU64,
    born: Instant,
    writer_sleeps: AtomicBool,
    writer: OnceLock<Thread>,
    pub(crate) lost: Mutex<Lost>,
    pub(crate) progress: Mutex<Progress>,
    progressed: Condvar,
}

/// A record on its way, and who waits for it.
pub(crate) struct Entry {
    pub(crate) record: Offered,
    pub(crate) promise: Option<Promise>,
}

impl Queue {
    pub(crate) fn new(limits: QueueLimits, counts: Counts) -> Self {
        Self {
            records: ArrayQueue::new(limits.records),
            bytes: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            limits,
            counts,
            taken: AtomicU64::new(0),
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            unconfirmed: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            warned_late: AtomicBool::new(false),
            warned_unconfirmed: AtomicBool::new(false),
            flushes: AtomicUsize::new(0),
            hurried: AtomicIsize::new(0),
            waits: Waits::new(limits.bytes),
            watchdog: Arc::new(Watchdog::new()),
            refuses_since: AtomicU64::new(0),
            writes_since: AtomicU64::new(0),
            born: Instant::now(),
            writer_sleeps: AtomicBool::new(false),
            writer: OnceLock::new(),
            lost: Mutex::default(),
            progress: Mutex::new(Progress::new()),
            progressed: Condvar::new(),
        }
    }

    /// Takes `record`, or drops and counts it.
    pub(crate) fn offer(&self, record: impl Into<Offered>) {
        self.put(Entry { record: record.into(), promise: None });
    }

    /// Takes `record`, or drops and counts it; the receipt tells when it is stored. The writer can't wait for
    /// itself, and gets none.
    pub(crate) fn offer_durably(
        &self,
        record: impl Into<Offered>,
        durability: Durability,
    ) -> Option<Receipt> {
        let record = record.into();
        if self.is_writer() {
            self.offer(record);
            return None;
        }
        let (receipt, promise) = receipt(durability, self.patience(), &self.watchdog);
        if self.put(Entry { record, promise: Some(promise) }) {
            self.hurry();
        }
        Some(receipt)
    }

    /// Takes what is known of a call that has not begun.
    pub(crate) fn intend(
        &self,
        intent: Box<Record>,
        durability: Durability,
    ) -> Result<Receipt, Error> {
        if self.is_writer() {
            return Err(Error::permanent(
                "it would run on the writer thread of the recorder, which can't wait for itself",
            ));
        }
        let (receipt, promise) = receipt(durability, self.patience(), &self.watchdog);
        self.waits.intend(intent, promise)?;
        self.hurry();
        Ok(receipt)
    }

    /// Whether this thread is a writer: one can't wait for itself, and two might wait for each other.
    pub(crate) fn is_writer(&self) -> bool {
        IS_WRITER.with(Cell::get)
    }

    fn put(&self, entry: Entry) -> bool {
        let size = entry.record.bytes();
        match self.push(entry, size) {
            Ok(()) => {
                self.wake_sleeper();
                true
            }
            Err(entry) => self.overflowed(entry, size),
        }
    }

    /// Counts `entry` first, so that a flush that begins in between waits for it as well; what finds no
    /// room is taken off again.
    fn push(&self, entry: Entry, size: usize) -> Result<(), Entry> {
        self.counts.accepted().fetch_add(1, Ordering::SeqCst);
        let before = self.bytes.fetch_add(size, Ordering::Relaxed);
        let fits = before == 0 || before + size <= self.limits.bytes;
        let pushed = if fits && !self.closed.load(Ordering::SeqCst) {
            self.records.push(entry)
        } else {
            Err(entry)
        };
        pushed.inspect_err(|_| {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            self.counts.accepted().fetch_sub(1, Ordering::SeqCst);
            // A flush may have counted on this record. It says that it waits before it counts.
            if self.flushes.load(Ordering::SeqCst) > 0 {
                self.tell(|_| ());
            }
        })
    }

    #[cold]
    fn overflowed(&self, entry: Entry, size: usize) -> bool {
        let Err(entry) = self.push_when_there_is_room(entry, size) else { return true };
        {
            // Together, so that the writer finds as many told of as counted.
            let mut lost = lock(&self.lost);
            self.counts.dropped().fetch_add(1, Ordering::SeqCst);
            entry.record.add_to(&mut lost);
        }
        if let Some(promise) = entry.promise {
            let why = "the record was dropped, for the queue was full or closed";
            promise.answer(Err(Arc::new(Error::permanent(why))));
        }
        if self.is_closed() {
            self.warn_late();
        }
        false
    }

    fn push_when_there_is_room(&self, mut entry: Entry, size: usize) -> Result<(), Entry> {
        let Overflow::Block(limit) = self.limits.overflow else { return Err(entry) };
        if self.is_writer() {
            return Err(entry);
        }
        // Not a deadline: the sum of now and a very long limit may be beyond what an `Instant` holds.
        let since = Instant::now();
        let mut pause = Duration::from_micros(20);
        loop {
            let waited = since.elapsed().max(self.in_trouble_for());
            if self.closed.load(Ordering::SeqCst) || waited >= limit {
                return Err(entry);
            }
            self.wake();
            sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(1));
            match self.push(entry, size) {
                Ok(()) => {
                    self.wake_sleeper();
                    return Ok(());
                }
                Err(back) => entry = back,
            }
        }
    }

    /// For how long the store has refused, or hung: callers share one time limit as long as it does.
    fn in_trouble_for(&self) -> Duration {
        let refused = self.since(&self.refuses_since).unwrap_or_default();
        refused.max(self.hangs_for().unwrap_or_default())
    }

    /// For how long a caller may wait that comes now. Callers share the limit as long as the store is in trouble; what
    /// is left at the least is enough for an attempt.
    fn patience(&self) -> Duration {
        let limit = self.limits.wait;
        limit.saturating_sub(self.in_trouble_for()).max(limit.min(ATTEMPT))
    }

    /// For how long the store has been at work on one batch, if that is longer than a store takes that works.
    pub(crate) fn hangs_for(&self) -> Option<Duration> {
        self.since(&self.writes_since).filter(|time| *time >= HANGS)
    }

    fn since(&self, micros: &AtomicU64) -> Option<Duration> {
        match micros.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(self.born.elapsed().saturating_sub(Duration::from_micros(micros))),
        }
    }

    /// Microseconds after `born`; never 0.
    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }

    /// Says once that a call ended after the close: the handle with the counters is gone, and the writer may
    /// have written its last gap.
    #[cold]
    fn warn_late(&self) {
        if self.warned_late.swap(true, Ordering::Relaxed) {
            return;
        }
        // The subscriber is the user's code: it must neither be recorded here nor break the call.
        let _busy = busy();
        let _ = catch_unwind(|| {
            tracing::warn!(
                target: "audited",
                "a call ended after its recorder was closed, so it is not in the audit trail; close the \
                 recorder last (later calls are not reported)"
            );
        });
    }

    #[inline]
    fn wake_sleeper(&self) {
        // Pairs with the fence in `sleep`: either the writer sees the record, or this sees it asleep.
        fence(Ordering::SeqCst);
        if self.writer_sleeps.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    /// Makes the writer store what somebody waits for.
    fn hurry(&self) {
        self.hurried.fetch_add(1, Ordering::SeqCst);
        self.wake();
    }

    #[cold]
    fn wake(&self) {
        self.writer_sleeps.store(false, Ordering::Relaxed);
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// Waits until all that was accepted before has come to its end, or the store refuses it.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        if self.is_writer() {
            return Err(Error::permanent(
                "the writer thread can't wait for itself: call `flush` elsewhere",
            ));
        }
        let mut progress = lock(&self.progress);
        self.flushes.fetch_add(1, Ordering::SeqCst);
        let target = self.counts.accepted().load(Ordering::SeqCst);
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
        } else if progress.died {
            Err(Error::permanent(cause))
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
        target.min(self.counts.accepted().load(Ordering::SeqCst)).saturating_sub(self.ended())
    }

    /// How many accepted records have come to their end.
    pub(crate) fn ended(&self) -> u64 {
        self.written.load(Ordering::SeqCst) + self.failed.load(Ordering::SeqCst)
    }

    pub(crate) fn counters(&self) -> Counters {
        // In this order: what has ended was accepted before.
        let unconfirmed = self.unconfirmed.load(Ordering::SeqCst);
        let (written, failed) =
            (self.written.load(Ordering::SeqCst), self.failed.load(Ordering::SeqCst));
        let dropped = self.counts.dropped().load(Ordering::SeqCst);
        let accepted = self.accepted();
        Counters { accepted, dropped, written, failed, unconfirmed }
    }

    /// How many records were accepted, without those whose callers still try: they are counted already, and may find no
    /// room.
    fn accepted(&self) -> u64 {
        loop {
            let taken = self.taken.load(Ordering::SeqCst);
            let there = taken + self.records.len() as u64;
            // The writer counts first: nothing was taken in between, but one may be counted that is about to be.
            if self.taken.load(Ordering::SeqCst) == taken {
                return there.min(self.counts.accepted().load(Ordering::SeqCst));
            }
        }
    }

    /// Bytes of the records that have not come to their end.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts a caller that went on without knowing that its record is stored. Returns whether to warn of it.
    pub(crate) fn unconfirmed(&self) -> bool {
        self.unconfirmed.fetch_add(1, Ordering::SeqCst);
        !self.warned_unconfirmed.swap(true, Ordering::Relaxed)
    }

    /// Takes no more records, and makes the writer finish.
    pub(crate) fn close(&self) {
        self.tell(Progress::stopped);
        self.closed.store(true, Ordering::SeqCst);
        let refused = self.waits.shut();
        self.took_hurried(refused.len());
        self.wake();
    }

    fn tell(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut lock(&self.progress));
        self.progressed.notify_all();
    }
}

mod writer_side;

#[cfg(all(test, not(shuttle)))]
mod tests;
