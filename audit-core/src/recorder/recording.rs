//! [`Recorder`]: how calls are recorded, and where their records go.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use audit_record::process::OwnerProcess;
use audit_record::{Durability, Error, Record};
use tracing::level_filters::LevelFilter;
use wildmatch::WildMatch;

use crate::busy::mark_busy;
use crate::call_site::{CallSite, CaptureLevel};
use crate::capture::Rules;
use crate::recorder::fork::is_owner_or_warn;
use crate::recorder::memory::{MemoryRecords, OutcomeHandle};
use crate::recorder::queue::Queue;
use crate::recorder::queued_record::{Pending, QueuedRecord};
use crate::recorder::receipt::Receipt;

/// The settings of a recorder, and the destination of its records.
pub(crate) struct Recorder {
    pub(crate) rules: Rules,
    pub(crate) log_level: LevelFilter,
    pub(crate) log_bytes: usize,
    pub(crate) site: Option<Arc<str>>,
    pub(crate) service: Option<Arc<str>>,
    pub(crate) capture: CaptureLevel,
    pub(crate) durability: Durability,
    pub(crate) skip_actions: Vec<WildMatch>,
    /// From this HTTP status on, a call has failed.
    #[cfg(feature = "http")]
    pub(crate) http_failure_from: u16,
    pub(crate) enabled: AtomicBool,
    pub(crate) retired: AtomicBool,
    pub(crate) owner: OwnerProcess,
    /// Identifies the settings. Call sites cache the decision of one generation.
    pub(crate) generation: u64,
    pub(crate) destination: Destination,
    /// A subscriber for the scopes of this recorder. It is created where events of calls would not
    /// be captured otherwise. It must not make contexts less unwind safe.
    pub(crate) own_subscriber: Option<AssertUnwindSafe<OnceLock<tracing::Dispatch>>>,
    /// The outcome of the transaction that the records belong to, if they have one.
    pub(crate) transaction: Option<OutcomeHandle>,
}

pub(crate) enum Destination {
    /// The writer thread.
    Queue(Arc<Queue>),
    /// Memory, up to a limit in bytes.
    Memory(Mutex<MemoryRecords>, usize),
}

/// The recorder that is installed for the process, or one that a context names.
#[derive(Clone)]
pub(crate) enum RecorderRef {
    /// Never freed, so that calls need not count references to it.
    Installed(&'static Recorder),
    Held(Arc<Recorder>),
}

impl Deref for RecorderRef {
    type Target = Recorder;

    #[inline]
    fn deref(&self) -> &Recorder {
        match self {
            Self::Installed(recorder) => recorder,
            Self::Held(recorder) => recorder,
        }
    }
}

/// The number of open recorders. While it is 0, a call costs only the read of this variable.
pub(crate) static ACTIVE: AtomicUsize = AtomicUsize::new(0);
pub(crate) static GENERATION: AtomicU64 = AtomicU64::new(1);

/// Whether there is any open recorder in this process.
#[inline]
pub(crate) fn is_any_active() -> bool {
    ACTIVE.load(Ordering::Relaxed) > 0
}

fn enqueue(queue: &Queue, record: QueuedRecord, durability: Durability) -> Option<Receipt> {
    if durability == Durability::Queued {
        queue.offer(record);
        return None;
    }
    queue.offer_durably(record, durability)
}

impl Recorder {
    /// A recorder with the same settings whose records go to `destination`, as part of
    /// `transaction`.
    pub(crate) fn with_destination(
        &self,
        destination: Destination,
        transaction: OutcomeHandle,
    ) -> Arc<Self> {
        ACTIVE.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            rules: self.rules.clone(),
            log_level: self.log_level,
            log_bytes: self.log_bytes,
            site: self.site.clone(),
            service: self.service.clone(),
            capture: self.capture,
            durability: self.durability,
            skip_actions: self.skip_actions.clone(),
            #[cfg(feature = "http")]
            http_failure_from: self.http_failure_from,
            enabled: AtomicBool::new(true),
            retired: AtomicBool::new(false),
            owner: OwnerProcess::current(),
            // The settings and the trail are the same, so a call of one recorder may be the parent
            // of a call of the other.
            generation: self.generation,
            // Its scopes are inside those of this recorder.
            own_subscriber: None,
            destination,
            transaction: Some(transaction),
        })
    }

    /// By which to learn later whether what is recorded now was rolled back.
    pub(crate) fn transaction_outcome(&self) -> Option<OutcomeHandle> {
        self.transaction.clone()
    }

    /// Whether this recorder still accepts records.
    pub(crate) fn is_open(&self) -> bool {
        !self.retired.load(Ordering::Relaxed)
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Accepts or drops `record`. Returns a receipt if there is something to wait for.
    pub(crate) fn offer(&self, record: Box<Record>, durability: Durability) -> Option<Receipt> {
        // A call that was running at the fork ends in both processes.
        if !is_owner_or_warn(self.owner) {
            return None;
        }
        match &self.destination {
            Destination::Queue(queue) => enqueue(queue, record.into(), durability),
            Destination::Memory(records, limit) => {
                records.lock().unwrap_or_else(PoisonError::into_inner).push(*record, *limit);
                None
            }
        }
    }

    /// Accepts or drops a call that becomes a record on the writer thread and has a size of `bytes`
    /// until then. Without `bytes`, the record is made on this thread. Otherwise the same as
    /// [`offer`](Self::offer).
    pub(crate) fn offer_pending(
        &self,
        pending: Arc<dyn Pending>,
        bytes: Option<usize>,
        durability: Durability,
    ) -> Option<Receipt> {
        // A call that was running at the fork ends in both processes.
        if !is_owner_or_warn(self.owner) {
            return None;
        }
        if let (Destination::Queue(queue), Some(bytes)) = (&self.destination, bytes) {
            return enqueue(queue, QueuedRecord::Pending(pending, bytes), durability);
        }
        self.offer(Box::new(pending.into_record()), durability)
    }

    /// Accepts the intent of a call whose body has not run. Returns a receipt to wait for, or
    /// `None` where records are kept in memory and intents are not stored.
    ///
    /// # Errors
    ///
    /// When it is certain that the intent will not be stored.
    pub(crate) fn offer_intent(
        &self,
        intent: Box<Record>,
        durability: Durability,
    ) -> Result<Option<Receipt>, Error> {
        if !is_owner_or_warn(self.owner) {
            return Err(Error::permanent(
                "the process was forked meanwhile, and the child has no recorder",
            ));
        }
        match &self.destination {
            Destination::Queue(queue) => {
                queue.offer_intent(intent, durability.max(Durability::Process)).map(Some)
            }
            Destination::Memory(..) => Ok(None),
        }
    }

    /// The durability of records whose action does not set one.
    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }

    /// Blocks this thread until the record is stored. If that fails, the call is counted as
    /// unconfirmed.
    pub(crate) fn wait_until_stored(&self, receipt: Receipt) {
        if let Err(error) = receipt.wait() {
            self.count_unconfirmed(&error);
        }
    }

    /// Counts a wait that ended in `error`, and warns once until the next successful write.
    #[cold]
    pub(crate) fn count_unconfirmed(&self, error: &Error) {
        let Destination::Queue(queue) = &self.destination else { return };
        if !queue.count_unconfirmed() {
            return;
        }
        // The subscriber is user code: it must not be recorded here, and must not break the call.
        let _busy = mark_busy();
        let _ = catch_unwind(AssertUnwindSafe(|| {
            tracing::warn!(
                target: "audited",
                "a call returned without a confirmation that its record is stored: {error} (until the \
                 store takes records again, further ones are only counted)"
            );
        }));
    }

    /// How much of a call at `site` is recorded. Actions to skip have [`CaptureLevel::None`].
    #[inline]
    pub(crate) fn decide(&self, site: &'static CallSite) -> CaptureLevel {
        site.decided(self.generation).unwrap_or_else(|| {
            let level = if self.is_skipped(site.action_name()) {
                CaptureLevel::None
            } else {
                site.capture_level().unwrap_or(self.capture)
            };
            site.decide(self.generation, level);
            level
        })
    }

    /// How much of a call without a call site is recorded.
    pub(crate) fn decide_action(&self, action: &str) -> CaptureLevel {
        if self.is_skipped(action) { CaptureLevel::None } else { self.capture }
    }

    fn is_skipped(&self, action: &str) -> bool {
        self.skip_actions.iter().any(|pattern| pattern.matches(action))
    }

    /// Ends this recorder for new calls. Calls that are running may still refer to it.
    pub(crate) fn retire(&self) {
        if !self.retired.swap(true, Ordering::Relaxed) {
            ACTIVE.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Removes and returns the records that are kept in memory.
    pub(crate) fn take_memory_records(&self) -> MemoryRecords {
        match &self.destination {
            Destination::Memory(records, _) => {
                std::mem::take(&mut *records.lock().unwrap_or_else(PoisonError::into_inner))
            }
            Destination::Queue(_) => MemoryRecords::default(),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.retire();
    }
}
