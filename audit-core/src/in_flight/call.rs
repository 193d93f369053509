//! [`CallShared`]: a running call, shared by its function, its log, and the calls nested in it.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use audit_record::CorrelationId;
use tracing::level_filters::LevelFilter;
use tracing::span::Id;
use uuid::Uuid;

use crate::call_site::CaptureLevel;
use crate::capture::Rules;
use crate::clock;
use crate::in_flight::nested::WatchList;
use crate::in_flight::{CallState, ContextData};
use crate::recorder::RecorderRef;
use crate::spare::SparePool;

/// Calls that have ended, for reuse by any thread. Each keeps at most 2 KiB (see
/// [`CallState::clear`]), so all of them keep at most 8 MiB.
static SPARE_CALLS: SparePool<Arc<CallShared>> = SparePool::new(4_096);

/// A running call.
pub(crate) struct CallShared {
    pub(crate) id: Uuid,
    pub(crate) action: Cow<'static, str>,
    pub(crate) recorder: RecorderRef,
    pub(crate) context: Option<Arc<ContextData>>,
    pub(crate) capture: CaptureLevel,
    pub(crate) log_level: LevelFilter,
    pub(crate) started: Instant,
    /// Microseconds since 1970.
    pub(crate) started_at: i64,
    /// The objects that this call and the calls around it watch for changes.
    pub(crate) watched: WatchList,
    lineage: OnceLock<Lineage>,
    /// The number of the layer that created the call's span; 0 for none. Set once, before the span.
    layer: AtomicU64,
    /// The id of the call's span in that layer; 0 for none.
    span: AtomicU64,
    /// The call has no span: the scope of the thread says which events belong to it.
    by_scope: AtomicBool,
    state: Mutex<CallState>,
}

/// The position of a call in the tree of calls.
#[derive(Clone)]
pub(crate) struct Lineage {
    pub(crate) parent: Option<Uuid>,
    /// The id of the outermost call.
    pub(crate) root: Uuid,
    pub(crate) correlation: CorrelationId,
}

/// When something began, by the monotonic clock and by the system clock.
#[derive(Clone, Copy)]
pub(crate) struct StartTime {
    pub(crate) instant: Instant,
    /// Microseconds since 1970.
    pub(crate) at: i64,
}

impl StartTime {
    pub(crate) fn now() -> Self {
        let (instant, at) = clock::now();
        Self { at, instant }
    }

    /// The start time of what began at `instant`; the system clock is read now.
    pub(crate) fn since(instant: Instant) -> Self {
        let (now, at) = clock::now();
        let passed = i64::try_from((now - instant).as_micros()).unwrap_or(i64::MAX);
        Self { at: at.saturating_sub(passed), instant }
    }
}

impl CallShared {
    /// Begins a call. It reuses the memory of a call that has ended, if one is spare.
    pub(crate) fn begin(
        recorder: RecorderRef,
        action: Cow<'static, str>,
        capture: CaptureLevel,
        log_level: LevelFilter,
        start: StartTime,
        context: Option<Arc<ContextData>>,
        parent: Option<&Arc<CallShared>>,
    ) -> Arc<Self> {
        let spare = match recorder {
            RecorderRef::Installed(_) => SPARE_CALLS.take(),
            RecorderRef::Held(_) => None,
        };
        let id = audit_record::private::record_id(start.at);
        let call = if let Some(mut spare) = spare
            && let Some(reused) = Arc::get_mut(&mut spare)
        {
            // `recycle` has reset the other fields.
            reused.id = id;
            reused.action = action;
            reused.recorder = recorder;
            reused.context = context;
            reused.capture = capture;
            reused.log_level = log_level;
            reused.started = start.instant;
            reused.started_at = start.at;
            spare
        } else {
            Arc::new(Self {
                id,
                action,
                recorder,
                context,
                capture,
                log_level,
                started: start.instant,
                started_at: start.at,
                watched: WatchList::default(),
                lineage: OnceLock::new(),
                layer: AtomicU64::new(0),
                span: AtomicU64::new(0),
                by_scope: AtomicBool::new(false),
                state: Mutex::default(),
            })
        };
        if let Some(parent) = parent {
            call.set_parent(parent);
        }
        call
    }

    /// Keeps the memory of a recorded call for another one, unless something still refers to the
    /// call.
    ///
    /// Three things hold a reference: a span that another task carries, a context that was taken in
    /// the call, and a nested call that still runs. Such a call is never reused.
    pub(crate) fn recycle(mut call: Arc<Self>) {
        // An installed recorder is never freed, so a static may keep what refers to it.
        let RecorderRef::Installed(recorder) = call.recorder else { return };
        if let Some(ended) = Arc::get_mut(&mut call) {
            // The action may be a text of any length.
            ended.action = Cow::Borrowed("");
            ended.context = None;
            ended.watched = WatchList::default();
            ended.lineage = OnceLock::new();
            ended.layer = AtomicU64::new(0);
            ended.span = AtomicU64::new(0);
            ended.by_scope = AtomicBool::new(false);
            ended.state_mut().clear();
            if recorder.is_open() {
                SPARE_CALLS.put(call);
            }
        }
    }

    /// Makes this call a child of `parent`, unless it already has a parent.
    pub(crate) fn set_parent(&self, parent: &CallShared) {
        self.watched.inherit(&parent.watched);
        let _ = self.lineage.set(Lineage {
            parent: Some(parent.id),
            root: parent.lineage().root,
            correlation: self
                .context_correlation()
                .unwrap_or_else(|| parent.lineage().correlation.clone()),
        });
    }

    pub(crate) fn has_parent(&self) -> bool {
        self.lineage.get().is_some_and(|lineage| lineage.parent.is_some())
    }

    /// Sets the call's span: `id` in the subscriber of the layer with number `layer`. The first one
    /// counts.
    pub(crate) fn set_span(&self, layer: u64, id: &Id) {
        // No race: the thread that begins the call creates its span before it shares the call.
        if self.span.load(Ordering::Acquire) == 0 {
            self.layer.store(layer, Ordering::Relaxed);
            self.span.store(id.into_u64(), Ordering::Release);
        }
    }

    /// Whether `id` is the call's span in the subscriber of the layer with number `layer`.
    #[inline]
    pub(crate) fn has_span(&self, layer: u64, id: &Id) -> bool {
        self.span.load(Ordering::Acquire) == id.into_u64()
            && self.layer.load(Ordering::Relaxed) == layer
    }

    /// From now on, the scope of the thread tells which events belong to this call.
    pub(crate) fn set_logged_by_scope(&self) {
        self.by_scope.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_logged_by_scope(&self) -> bool {
        self.by_scope.load(Ordering::Relaxed)
    }

    /// The id that stands for a call without a span in our own subscriber. `new` creates it the
    /// first time.
    pub(crate) fn scope_id_or_insert(&self, new: impl FnOnce() -> Id) -> Id {
        let known = match self.span.load(Ordering::Acquire) {
            0 => {
                let new = new().into_u64();
                let before =
                    self.span.compare_exchange(0, new, Ordering::AcqRel, Ordering::Acquire);
                before.map_or_else(|before| before, |_| new)
            }
            known => known,
        };
        Id::from_u64(known)
    }

    /// Whether `id` is the one that [`scope_id_or_insert`](Self::scope_id_or_insert) returned.
    pub(crate) fn has_scope_id(&self, id: &Id) -> bool {
        self.has_span(0, id)
    }

    pub(crate) fn lineage(&self) -> &Lineage {
        self.lineage.get_or_init(|| Lineage {
            parent: None,
            root: self.id,
            correlation: self.context_correlation().unwrap_or(CorrelationId::Uuid(self.id)),
        })
    }

    fn context_correlation(&self) -> Option<CorrelationId> {
        self.context.as_ref().and_then(|context| context.correlation_id.clone())
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.recorder.rules
    }

    /// An estimate of the memory of this call while it waits for the writer thread, in bytes. The
    /// context is counted separately.
    pub(crate) fn bytes(&self, state: &CallState) -> usize {
        size_of::<Self>() + state.bytes() + self.action.len()
    }

    /// Changes the state with `update`, unless the call has ended.
    ///
    /// A context that was carried away may still refer to a call that has ended. Its record stays
    /// as it was at the end, and takes no more memory than was counted.
    pub(crate) fn while_running(&self, update: impl FnOnce(&mut CallState)) {
        let mut state = self.state();
        if state.end.is_none() {
            update(&mut state);
        }
    }

    /// Locks the state. A panic while it was locked is harmless: each change is complete by itself.
    pub(crate) fn state(&self) -> MutexGuard<'_, CallState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&mut self) -> &mut CallState {
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Allows calls to be kept for reuse.
pub(crate) fn open_spare_calls() {
    SPARE_CALLS.open();
}

/// Frees the calls that are kept for reuse.
pub(crate) fn drain_spare_calls() {
    SPARE_CALLS.clear();
}
