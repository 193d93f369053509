//! [`Recorder`]: takes finished records, and knows how calls are to be recorded.

use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::level_filters::LevelFilter;
use wildmatch::WildMatch;

use crate::Record;
use crate::capture::Rules;
use crate::scope;
use crate::site::{CaptureLevel, Site};

mod audit;
mod builder;
mod collect;
mod fate;
mod missing;
mod queue;
mod size;
mod writer;

pub use audit::{Audit, Counters};
pub use builder::{AuditBuilder, Overflow};
pub use collect::Collector;
use collect::Kept;
pub(crate) use fate::{Fate, Outlook};
use queue::Queue;

/// How calls are recorded, and where their records go.
pub(crate) struct Recorder {
    pub(crate) rules: Rules,
    pub(crate) log_level: LevelFilter,
    pub(crate) log_bytes: usize,
    pub(crate) site: Option<Arc<str>>,
    pub(crate) service: Option<Arc<str>>,
    capture: CaptureLevel,
    skip_actions: Vec<WildMatch>,
    enabled: AtomicBool,
    retired: AtomicBool,
    /// Tells the decisions of this recorder, as sites remember them, from those of others.
    generation: u64,
    out: Out,
    /// What becomes of the transaction whose records are collected here.
    fate: Option<Fate>,
}

enum Out {
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
    scope::with(|scope| scope.context.as_ref().and_then(|context| context.recorder.clone()))
        .or_else(|| installed().map(RecorderRef::Installed))
        .filter(|recorder| recorder.enabled.load(Ordering::Relaxed))
}

/// Hands a record that the program has made itself to the recorder in place, as it is: an event, or what has been
/// read from elsewhere. Nothing is added to it, and nothing in it is masked. Without a recorder it does nothing.
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
    if let Some(recorder) = active() {
        recorder.offer(Box::new(record));
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
    let installed =
        INSTALLED.compare_exchange(ptr::null_mut(), leaked, Ordering::AcqRel, Ordering::Acquire);
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
            skip_actions: self.skip_actions.clone(),
            enabled: AtomicBool::new(true),
            retired: AtomicBool::new(false),
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

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn offer(&self, record: Box<Record>) {
        match &self.out {
            Out::Queue(queue) => queue.offer(record),
            Out::Memory(kept, limit) => {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(*record, *limit);
            }
        }
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
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.retire();
    }
}
