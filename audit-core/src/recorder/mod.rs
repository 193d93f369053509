//! [`Recorder`]: takes finished records, and knows how calls are to be recorded.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use audit_record::process::Home;
use audit_record::{Durability, Error, Record};
use tracing::level_filters::LevelFilter;
use wildmatch::WildMatch;

use crate::busy::busy;
use crate::call_site::{CallSite, CaptureLevel};
use crate::capture::Rules;

mod clock;
mod counts;
mod fate;
mod forked;
mod load;
mod memory;
mod missing;
#[cfg(all(test, shuttle))]
mod model;
mod offered;
mod progress;
mod queue;
mod receipt;
mod settings;
mod sync;
mod waits;
mod watchdog;
mod writer;

pub use counts::Counters;
pub(crate) use counts::Counts;
pub(crate) use fate::{Fate, Outlook};
pub(crate) use forked::{error as forked_error, is_at_home, leave};
pub(crate) use memory::Kept;
pub(crate) use offered::{Lost, Offered, Pending};
pub(crate) use queue::Queue;
pub(crate) use receipt::Receipt;
pub use settings::Overflow;
pub(crate) use settings::QueueLimits;
pub(crate) use sync::{JoinHandle, lock};
pub(crate) use writer::{BATCH, start as start_writer};

/// How calls are recorded, and where their records go.
pub(crate) struct Recorder {
    pub(crate) rules: Rules,
    pub(crate) log_level: LevelFilter,
    pub(crate) log_bytes: usize,
    pub(crate) site: Option<Arc<str>>,
    pub(crate) service: Option<Arc<str>>,
    pub(crate) capture: CaptureLevel,
    pub(crate) durability: Durability,
    pub(crate) skip_actions: Vec<WildMatch>,
    pub(crate) enabled: AtomicBool,
    pub(crate) retired: AtomicBool,
    pub(crate) home: Home,
    /// Tells the decisions of this recorder, as sites remember them, from those of others.
    pub(crate) generation: u64,
    pub(crate) out: Out,
    /// What becomes of the transaction whose records are collected here.
    pub(crate) fate: Option<Fate>,
}

pub(crate) enum Out {
    /// To the writer thread.
    Queue(Arc<Queue>),
    /// Kept until they are taken, up to so many bytes.
    Memory(Mutex<Kept>, usize),
}

/// The recorder installed for the process, or one that a context holds.
#[derive(Clone)]
pub(crate) enum RecorderRef {
    /// Never freed once installed, so that calls need not count references to it.
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

/// Recorders at work. At 0, a call costs no more than reading this.
pub(crate) static ACTIVE: AtomicUsize = AtomicUsize::new(0);
pub(crate) static GENERATION: AtomicU64 = AtomicU64::new(1);

/// Whether any recorder is at work.
#[inline]
pub(crate) fn is_any_active() -> bool {
    ACTIVE.load(Ordering::Relaxed) > 0
}

fn enqueue(queue: &Queue, offered: Offered, durability: Durability) -> Option<Receipt> {
    if durability == Durability::Queued {
        queue.offer(offered);
        return None;
    }
    queue.offer_durably(offered, durability)
}

impl Recorder {
    /// A recorder with the same settings, for other records to go elsewhere.
    pub(crate) fn with_out(&self, out: Out) -> Arc<Self> {
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
            enabled: AtomicBool::new(true),
            retired: AtomicBool::new(false),
            home: Home::here(),
            // The settings are the same, and so is the trail: calls of one may be parents in the other.
            generation: self.generation,
            out,
            fate: Some(Fate::default()),
        })
    }

    /// How to learn later whether what is recorded here was taken back.
    pub(crate) fn outlook(&self) -> Option<Outlook> {
        self.fate.as_ref().map(Fate::outlook)
    }

    /// Whether this recorder still takes records.
    pub(crate) fn is_at_work(&self) -> bool {
        !self.retired.load(Ordering::Relaxed)
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes `record`. What comes back is to be waited for; `None` if there is nothing to wait for.
    pub(crate) fn offer(&self, record: Box<Record>, durability: Durability) -> Option<Receipt> {
        // A call that was under way at the fork ends in both processes.
        if !forked::is_at_home(self.home) {
            return None;
        }
        match &self.out {
            Out::Queue(queue) => enqueue(queue, record.into(), durability),
            Out::Memory(kept, limit) => {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(*record, *limit);
                None
            }
        }
    }

    /// Takes what becomes a record on the writer thread, and takes `bytes` until then; else as
    /// [`offer`](Self::offer). Without `bytes`, the record is made on this thread.
    pub(crate) fn offer_pending(
        &self,
        pending: Arc<dyn Pending>,
        bytes: Option<usize>,
        durability: Durability,
    ) -> Option<Receipt> {
        // A call that was under way at the fork ends in both processes.
        if !forked::is_at_home(self.home) {
            return None;
        }
        if let (Out::Queue(queue), Some(bytes)) = (&self.out, bytes) {
            return enqueue(queue, Offered::Pending(pending, bytes), durability);
        }
        self.offer(Box::new(pending.into_record()), durability)
    }

    /// Takes what is known of a call before its body runs. What comes back is to be waited for; `None` where
    /// records stay in memory, and intents are not kept.
    ///
    /// # Errors
    ///
    /// When it is certain that the intent will not be stored.
    pub(crate) fn intend(
        &self,
        intent: Box<Record>,
        durability: Durability,
    ) -> Result<Option<Receipt>, Error> {
        if !forked::is_at_home(self.home) {
            return Err(Error::permanent(
                "the process was forked meanwhile, and its child has no recorder",
            ));
        }
        match &self.out {
            Out::Queue(queue) => {
                queue.intend(intent, durability.max(Durability::Process)).map(Some)
            }
            Out::Memory(..) => Ok(None),
        }
    }

    /// What records survive where the attribute does not say.
    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }

    /// Waits on this thread, and counts what was not confirmed.
    pub(crate) fn confirm(&self, receipt: Receipt) {
        if let Err(error) = receipt.wait() {
            self.unconfirmed(&error);
        }
    }

    /// Counts a wait that ended in `error`, and warns of it once until the store has taken something again.
    #[cold]
    pub(crate) fn unconfirmed(&self, error: &Error) {
        let Out::Queue(queue) = &self.out else { return };
        if !queue.unconfirmed() {
            return;
        }
        // The subscriber is the user's code: it must neither be recorded here nor break the call.
        let _busy = busy();
        let _ = catch_unwind(AssertUnwindSafe(|| {
            tracing::warn!(
                target: "audited",
                "a call went on without knowing that its record is stored: {error} (until the store takes \
                 records again, later ones are only counted)"
            );
        }));
    }

    /// How much of a call at `site` is recorded.
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

    /// How much of a call without a site is recorded.
    pub(crate) fn decide_action(&self, action: &str) -> CaptureLevel {
        if self.is_skipped(action) { CaptureLevel::None } else { self.capture }
    }

    fn is_skipped(&self, action: &str) -> bool {
        self.skip_actions.iter().any(|pattern| pattern.matches(action))
    }

    /// Ends the work of this recorder; it may live on in calls under way.
    pub(crate) fn retire(&self) {
        if !self.retired.swap(true, Ordering::Relaxed) {
            ACTIVE.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Recorder {
    /// Takes the records kept so far.
    pub(crate) fn take_kept(&self) -> Kept {
        match &self.out {
            Out::Memory(kept, _) => {
                std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner))
            }
            Out::Queue(_) => Kept::default(),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.retire();
    }
}
