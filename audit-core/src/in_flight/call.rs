//! The state of a running call, shared by its function, its log, and the calls made in it.

use std::borrow::Cow;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use audit_record::private::size::HeapBytes;
use audit_record::{CorrelationId, ErrorInfo, FieldChange, Kind, Note, Outcome, Truncation};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing::span::Id;
use uuid::Uuid;

use crate::call_site::CaptureLevel;
use crate::capture::Rules;
use crate::clock;
use crate::in_flight::{ContextData, Register, pool};
use crate::recorder::RecorderRef;

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
    /// Objects whose changes belong to this call, or to one around it.
    pub(crate) watched: Register,
    lineage: OnceLock<Lineage>,
    /// The layer that knows the call's span, 0 for none. Set before the span, and but once.
    layer: AtomicU64,
    /// The span's id there; 0 as long as there is none.
    span: AtomicU64,
    /// There is no span: events find the call by the scope.
    by_scope: AtomicBool,
    state: Mutex<CallState>,
}

/// Where a call stands in the tree.
#[derive(Clone)]
pub(crate) struct Lineage {
    pub(crate) parent: Option<Uuid>,
    /// The outermost call's id.
    pub(crate) root: Uuid,
    pub(crate) correlation: CorrelationId,
}

/// What is gathered while the call runs.
#[derive(Clone, Default)]
pub(crate) struct CallState {
    /// The texts of input, log and output, one behind the other: one buffer instead of one for each.
    pub(crate) text: String,
    pub(crate) input: Option<Piece>,
    pub(crate) output: Option<Piece>,
    pub(crate) log: Vec<Line>,
    log_bytes: usize,
    /// Events that found the log full.
    pub(crate) log_left_out: u64,
    /// What few calls have.
    pub(crate) rest: Option<Box<Rest>>,
    /// The body was not run, for the call could not be put on the record first.
    pub(crate) refused: bool,
    /// The call is over; what comes now comes too late.
    pub(crate) end: Option<End>,
}

/// A part of [`CallState::text`].
#[derive(Clone, Copy)]
pub(crate) struct Piece {
    from: usize,
    to: usize,
}

/// One event of the log.
#[derive(Clone)]
pub(crate) struct Line {
    /// Microseconds since 1970.
    pub(crate) at: i64,
    pub(crate) level: Level,
    pub(crate) target: Cow<'static, str>,
    pub(crate) message: Piece,
    pub(crate) fields: Option<Piece>,
}

/// What code inside or around a call says of it.
#[derive(Clone, Default)]
pub(crate) struct Rest {
    pub(crate) notes: Vec<Note>,
    pub(crate) notes_left_out: u64,
    pub(crate) reason: Option<String>,
    pub(crate) target: Option<Target>,
    pub(crate) note_bytes: usize,
    /// JSON text by name; a later value of the same name takes the place of the earlier one.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) field_bytes: usize,
    pub(crate) fields_left_out: u64,
    pub(crate) truncated: Vec<Truncation>,
    /// Who did it, where that is not what the context says.
    pub(crate) actor: Option<Arc<str>>,
    pub(crate) changes: Vec<FieldChange>,
    pub(crate) changes_left_out: u64,
}

/// How a call ended.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) kind: Kind,
    pub(crate) method: Cow<'static, str>,
    pub(crate) duration_us: u64,
    pub(crate) outcome: Outcome,
    pub(crate) failure: Option<Box<Failure>>,
}

/// Why a call failed.
#[derive(Clone)]
pub(crate) struct Failure {
    pub(crate) error: Option<ErrorInfo>,
    pub(crate) traceback: Option<String>,
}

impl Failure {
    fn bytes(&self) -> usize {
        self.traceback.heap_bytes() + self.error.heap_bytes()
    }
}

impl Rest {
    fn bytes(&self) -> usize {
        let target = self.target.as_ref().map_or(0, |Target { type_name, id, label }| {
            type_name.len() + id.len() + label.heap_bytes()
        });
        size_of::<Self>()
            + target
            + self.reason.heap_bytes()
            + self.notes.heap_bytes()
            + self.fields.heap_bytes()
            + self.truncated.heap_bytes()
            + self.changes.heap_bytes()
    }
}

/// Cuts listed for one record; more of them say nothing new.
const CUTS: usize = 256;
/// Room for the texts of most calls.
const TEXT: usize = 256;
/// Of a call that is over, so much room is kept for the next at most: bytes, and lines.
const KEPT_TEXT: usize = 1_024;
const KEPT_LINES: usize = 8;
/// What a line of the log takes beside its texts.
const LINE: usize = 64;

impl CallState {
    /// Forgets all but the room for texts and lines, as far as it is not out of the ordinary.
    fn clear(&mut self) {
        let (mut text, mut log) = (mem::take(&mut self.text), mem::take(&mut self.log));
        text.clear();
        log.clear();
        *self = Self::default();
        if text.capacity() <= KEPT_TEXT {
            self.text = text;
        }
        if log.capacity() <= KEPT_LINES {
            self.log = log;
        }
    }

    pub(crate) fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    pub(crate) fn cut(&mut self, cut: Truncation) {
        let truncated = &mut self.rest().truncated;
        if truncated.len() < CUTS {
            truncated.push(cut);
        }
    }

    /// Takes the input, JSON text.
    pub(crate) fn set_input(&mut self, json: &str) {
        self.input = Some(self.keep(json));
    }

    /// Takes what was returned, JSON text.
    pub(crate) fn set_output(&mut self, json: &str) {
        self.output = Some(self.keep(json));
    }

    /// Takes one event; `false` if there is no place for it.
    pub(crate) fn log(&mut self, event: LogLine<'_>, limit: usize) -> bool {
        if self.end.is_some() {
            // The call is recorded, its child is still at work: there is nowhere to put this.
            return false;
        }
        let LogLine { at, level, target, message, fields } = event;
        let bytes = LINE + message.len() + target.len() + fields.map_or(0, str::len);
        // Once something was left out, the rest is too: what is kept has no holes in it.
        if self.log_left_out > 0 || self.log_bytes + bytes > limit {
            self.log_left_out += 1;
            return false;
        }
        self.log_bytes += bytes;
        let message = self.keep(message);
        let fields = fields.map(|fields| self.keep(fields));
        self.log.push(Line { at, level, target, message, fields });
        true
    }

    /// How many events were taken.
    pub(crate) fn logged(&self) -> usize {
        self.log.len()
    }

    fn keep(&mut self, text: &str) -> Piece {
        if self.text.capacity() == 0 {
            self.text.reserve(TEXT.max(text.len()));
        }
        let from = self.text.len();
        self.text.push_str(text);
        Piece { from, to: self.text.len() }
    }

    /// What the call takes while it waits for the writer, near enough for a bound: it never says less than the
    /// texts that come from outside.
    pub(crate) fn bytes(&self) -> usize {
        let end = self
            .end
            .as_ref()
            .map_or(0, |end| end.method.len() + end.failure.as_deref().map_or(0, Failure::bytes));
        size_of::<CallShared>()
            + self.text.capacity()
            + self.log.iter().map(|line| size_of::<Line>() + line.target.len()).sum::<usize>()
            + self.rest.as_deref().map_or(0, Rest::bytes)
            + end
    }

    pub(crate) fn piece(&self, piece: Piece) -> &str {
        &self.text[piece.from..piece.to]
    }
}

/// An event on its way into the log.
pub(crate) struct LogLine<'e> {
    /// Microseconds since 1970.
    pub(crate) at: i64,
    pub(crate) level: Level,
    pub(crate) target: Cow<'static, str>,
    pub(crate) message: &'e str,
    /// JSON text.
    pub(crate) fields: Option<&'e str>,
}

/// The object that a call is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) type_name: Cow<'static, str>,
    pub(crate) id: String,
    pub(crate) label: Option<String>,
}

/// When something began, by both clocks.
#[derive(Clone, Copy)]
pub(crate) struct Began {
    pub(crate) instant: Instant,
    /// Microseconds since 1970.
    pub(crate) at: i64,
}

impl Began {
    pub(crate) fn now() -> Self {
        let (instant, at) = clock::now();
        Self { at, instant }
    }

    /// What began at `instant`, by the time of day now.
    pub(crate) fn since(instant: Instant) -> Self {
        let (now, at) = clock::now();
        let passed = i64::try_from((now - instant).as_micros()).unwrap_or(i64::MAX);
        Self { at: at.saturating_sub(passed), instant }
    }
}

impl CallShared {
    /// A call that begins now. It is made of one that is over, if there is one to spare: its memory is there already,
    /// with room for texts.
    pub(crate) fn begin(
        recorder: RecorderRef,
        action: Cow<'static, str>,
        capture: CaptureLevel,
        log_level: LevelFilter,
        began: Began,
        context: Option<Arc<ContextData>>,
        parent: Option<&Arc<CallShared>>,
    ) -> Arc<Self> {
        let spare = match recorder {
            RecorderRef::Installed(_) => pool::take(),
            RecorderRef::Held(_) => None,
        };
        let mut call = Self {
            id: audit_record::private::record_id(began.at),
            action,
            recorder,
            capture,
            log_level,
            started: began.instant,
            started_at: began.at,
            watched: Register::default(),
            lineage: OnceLock::new(),
            layer: AtomicU64::new(0),
            span: AtomicU64::new(0),
            by_scope: AtomicBool::new(false),
            state: Mutex::default(),
            context,
        };
        if let Some(parent) = parent {
            call.descends_from(parent);
        }
        let Some(mut spare) = spare else { return Arc::new(call) };
        match Arc::get_mut(&mut spare) {
            Some(over) => {
                mem::swap(call.state_mut(), over.state_mut());
                *over = call;
                spare
            }
            None => Arc::new(call),
        }
    }

    /// The call is over and on record: its memory may serve another one, if nobody else looks at it.
    ///
    /// Who may: a span of it that a task has carried away, a context that was taken in it, a call within it that is
    /// still running. Each of them counts as a holder, and a call that has another holder is never used again.
    pub(crate) fn spare(mut call: Arc<Self>) {
        // That recorder lives for ever, and so can keep what refers to it.
        let RecorderRef::Installed(recorder) = call.recorder else { return };
        if let Some(over) = Arc::get_mut(&mut call) {
            // It may be a text of any length.
            over.action = Cow::Borrowed("");
            over.context = None;
            over.watched = Register::default();
            over.lineage = OnceLock::new();
            over.state_mut().clear();
            if recorder.is_at_work() {
                pool::keep(call);
            }
        }
    }

    fn state_mut(&mut self) -> &mut CallState {
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes this call a child of `parent`, unless it already has one.
    pub(crate) fn descends_from(&self, parent: &CallShared) {
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

    /// Takes `id` as that of the call's span in the subscriber of layer number `layer`.
    pub(crate) fn has_span(&self, layer: u64, id: &Id) {
        // It is made by the thread that begins the call: nobody else has the call yet.
        if self.span.load(Ordering::Acquire) == 0 {
            self.layer.store(layer, Ordering::Relaxed);
            self.span.store(id.into_u64(), Ordering::Release);
        }
    }

    /// Whether `id` is the call's span in the subscriber of layer number `layer`.
    #[inline]
    pub(crate) fn is_in_span(&self, layer: u64, id: &Id) -> bool {
        self.span.load(Ordering::Acquire) == id.into_u64()
            && self.layer.load(Ordering::Relaxed) == layer
    }

    /// From now on, events find the call by the scope.
    pub(crate) fn log_by_scope(&self) {
        self.by_scope.store(true, Ordering::Relaxed);
    }

    pub(crate) fn logs_by_scope(&self) -> bool {
        self.by_scope.load(Ordering::Relaxed)
    }

    /// The id that stands for the call where it has no span, made if it has none yet.
    pub(crate) fn id_or(&self, new: impl FnOnce() -> Id) -> Id {
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

    /// Whether `id` stands for the call where it has no span.
    pub(crate) fn has_id(&self, id: &Id) -> bool {
        self.is_in_span(0, id)
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

    /// Says something of the call, unless it is over: a context that was carried away still names it then, but its
    /// record is what it was at the end, and takes no more memory than was counted.
    pub(crate) fn while_it_runs(&self, say: impl FnOnce(&mut CallState)) {
        let mut state = self.state();
        if state.end.is_none() {
            say(&mut state);
        }
    }

    /// The state; whoever panicked while holding it left it whole, for each change of it is one step.
    pub(crate) fn state(&self) -> MutexGuard<'_, CallState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
