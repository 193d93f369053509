//! [`Recorder`]: takes finished records, and knows how calls are to be recorded.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_queue::ArrayQueue;
use tracing::level_filters::LevelFilter;
use wildmatch::WildMatch;

use crate::call::CallShared;
use crate::capture::Rules;
use crate::scope;
use crate::session::Home;
use crate::site::{CaptureLevel, Site};
use crate::{Durability, Error, Record};

mod audit;
mod builder;
mod clock;
mod collect;
mod counts;
mod fate;
mod forked;
mod health;
mod load;
mod missing;
#[cfg(all(test, shuttle))]
mod model;
mod offered;
mod progress;
mod queue;
mod receipt;
pub(crate) mod size;
mod sync;
mod waits;
mod watchdog;
mod writer;

pub use audit::{Audit, Counters};
pub use builder::{AuditBuilder, Overflow};
pub use collect::Collector;
use collect::Kept;
pub(crate) use fate::{Fate, Outlook};
pub use health::{Health, Status};
use offered::Offered;
use queue::Queue;
pub(crate) use receipt::Receipt;

/// How calls are recorded, and where their records go.
pub(crate) struct Recorder {
    pub(crate) rules: Rules,
    pub(crate) log_level: LevelFilter,
    pub(crate) log_bytes: usize,
    pub(crate) site: Option<Arc<str>>,
    pub(crate) service: Option<Arc<str>>,
    capture: CaptureLevel,
    durability: Durability,
    skip_actions: Vec<WildMatch>,
    enabled: AtomicBool,
    retired: AtomicBool,
    home: Home,
    /// Tells the decisions of this recorder, as sites remember them, from those of others.
    generation: u64,
    out: Out,
    /// Calls that are over, to be made new ones of.
    spare_calls: ArrayQueue<Arc<CallShared>>,
    /// What becomes of the transaction whose records are collected here.
    fate: Option<Fate>,
}

enum Out {
    /// To the writer thread.
    Queue(Arc<Queue>),
    /// Kept until they are taken, up to so many bytes.
    Memory(Mutex<Kept>, usize),
}

/// Calls that are over and are kept for the next ones: at most 8 MiB of them, see `KEPT_TEXT` in `call/shared.rs`.
const SPARE_CALLS: usize = 4_096;

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

static INSTALLED: AtomicPtr<Recorder> = AtomicPtr::new(ptr::null_mut());
/// Recorders at work. At 0, a call costs no more than reading this.
static ACTIVE: AtomicUsize = AtomicUsize::new(0);
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// Whether any recorder is at work.
#[inline]
pub(crate) fn is_any_active() -> bool {
    ACTIVE.load(Ordering::Relaxed) > 0
}

/// The recorder for calls made here: the context's, else the installed one.
pub(crate) fn current() -> Option<RecorderRef> {
    scope::with(|scope| scope.context().and_then(|context| context.recorder.clone()))
        .or_else(|| installed().map(RecorderRef::Installed))
        .filter(|recorder| recorder.enabled.load(Ordering::Relaxed) && forked::is_at_home(recorder))
}

/// Whether there is a recorder for calls made here, but one that is switched off.
pub(crate) fn is_switched_off() -> bool {
    scope::with(|scope| scope.context().and_then(|context| context.recorder.clone()))
        .or_else(|| installed().map(RecorderRef::Installed))
        .is_some_and(|recorder| !recorder.enabled.load(Ordering::Relaxed))
}

/// Hands a record that the program has made itself to the recorder in place, as it is: an event, or what has been
/// read from elsewhere. Nothing is added to it, and nothing in it is masked. Without a recorder it does nothing.
///
/// It waits as an audited call does, by the recorder's [`durability`](crate::AuditBuilder::durability).
///
/// ```
/// use audited::{Kind, Record, testing};
///
/// let records = testing::capture(|| {
///     let mut record = Record::new(Kind::Event, "open the vault", chrono::Utc::now());
///     record.actor = Some("alice".into());
///     audited::append(record);
/// });
/// assert_eq!(records[0].kind, Kind::Event);
/// ```
pub fn append(record: Record) {
    if let Some(recorder) = active()
        && let Some(receipt) = recorder.offer(Box::new(record), recorder.durability)
    {
        recorder.confirm(receipt);
    }
}

/// The recorder for what happens here; `None` also while the audit itself is at work here.
pub(crate) fn active() -> Option<RecorderRef> {
    if !is_any_active() {
        return None;
    }
    let _busy = scope::busy()?;
    current()
}

fn installed() -> Option<&'static Recorder> {
    // SAFETY: the pointer is null, or comes from `install`, which leaks what it points to.
    unsafe { INSTALLED.load(Ordering::Acquire).as_ref() }
}

/// Makes `recorder` the process's own; `false` if there is one already.
fn install(recorder: &Arc<Recorder>) -> bool {
    let leaked = Arc::into_raw(recorder.clone()).cast_mut();
    // That of the process from which this one was forked is in nobody's way.
    let vacant = installed()
        .filter(|recorder| !recorder.home.is_here())
        .map_or(ptr::null_mut(), |inherited| ptr::from_ref(inherited).cast_mut());
    let installed = INSTALLED.compare_exchange(vacant, leaked, Ordering::AcqRel, Ordering::Acquire);
    if installed.is_err() {
        // SAFETY: `leaked` comes from `into_raw` above, and nobody else has seen it.
        drop(unsafe { Arc::from_raw(leaked) });
    }
    installed.is_ok()
}

/// Takes `recorder` out of its place, if it has it. Calls under way may still hold it.
fn uninstall(recorder: &Arc<Recorder>) {
    let own = Arc::as_ptr(recorder).cast_mut();
    let _ = INSTALLED.compare_exchange(own, ptr::null_mut(), Ordering::AcqRel, Ordering::Acquire);
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
    fn with_out(&self, out: Out) -> Arc<Self> {
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
            spare_calls: ArrayQueue::new(1),
            fate: Some(Fate::default()),
        })
    }

    /// How to learn later whether what is recorded here was taken back.
    pub(crate) fn outlook(&self) -> Option<Outlook> {
        self.fate.as_ref().map(Fate::outlook)
    }

    /// A call that is over, and that nobody else holds.
    pub(crate) fn spare_call(&self) -> Option<Arc<CallShared>> {
        self.spare_calls.pop()
    }

    /// Keeps `call`, if there is room.
    pub(crate) fn keep_spare_call(&self, call: Arc<CallShared>) {
        if !self.retired.load(Ordering::Relaxed) {
            let _ = self.spare_calls.push(call);
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes `record`. What comes back is to be waited for; `None` if there is nothing to wait for.
    pub(crate) fn offer(&self, record: Box<Record>, durability: Durability) -> Option<Receipt> {
        // A call that was under way at the fork ends in both processes.
        if !forked::is_at_home(self) {
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

    /// Takes a call that has ended, and that takes `bytes` while it waits for the writer, beside its context; else as
    /// [`offer`](Self::offer).
    pub(crate) fn offer_call(
        &self,
        call: Arc<CallShared>,
        bytes: usize,
        durability: Durability,
    ) -> Option<Receipt> {
        // A call that was under way at the fork ends in both processes.
        if !forked::is_at_home(self) {
            return None;
        }
        // What a context says is masked before it leaves this thread. That is done, but for a context that is used
        // with more than one recorder.
        if let Out::Queue(queue) = &self.out
            && let Some(context) = call.context_bytes()
        {
            return enqueue(queue, Offered::Call(call, bytes + context), durability);
        }
        self.offer(Box::new(CallShared::into_record(call)), durability)
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
        if !forked::is_at_home(self) {
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
        let _busy = scope::busy();
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
    pub(crate) fn decide(&self, site: &'static Site) -> CaptureLevel {
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
    fn retire(&self) {
        if !self.retired.swap(true, Ordering::Relaxed) {
            ACTIVE.fetch_sub(1, Ordering::Relaxed);
            while self.spare_calls.pop().is_some() {}
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.retire();
    }
}
