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
mod missing;
mod queue;
mod size;
mod writer;

pub use audit::{Audit, Counters};
pub use builder::{AuditBuilder, Overflow};
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
}

enum Out {
    /// To the writer thread.
    Queue(Arc<Queue>),
    /// Kept, for tests.
    Memory(Mutex<Vec<Record>>),
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
    /// Keeps records in memory, under default settings.
    pub(crate) fn memory() -> Arc<Self> {
        AuditBuilder::new().into_recorder(Out::Memory(Mutex::default()))
    }

    /// Takes the records kept so far.
    pub(crate) fn take_memory(&self) -> Vec<Record> {
        match &self.out {
            Out::Memory(records) => {
                std::mem::take(&mut *records.lock().unwrap_or_else(PoisonError::into_inner))
            }
            Out::Queue(_) => Vec::new(),
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn offer(&self, record: Box<Record>) {
        match &self.out {
            Out::Queue(queue) => queue.offer(record),
            Out::Memory(records) => {
                records.lock().unwrap_or_else(PoisonError::into_inner).push(*record);
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
