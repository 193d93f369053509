//! [`Call`]: one call from its start, by [`enter`], to its end.

use std::borrow::Cow;
use std::cell::Cell;
use std::mem::{self, ManuallyDrop};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Instant;

use audit_record::{Durability, ErrorInfo, Kind, Outcome, Truncation};
use tracing::Span;
use tracing::level_filters::LevelFilter;

use crate::busy::busy;
use crate::call_site::{CaptureLevel, Site};
use crate::in_flight::{Began, CallShared, End, Failure};
use crate::recorder::{self, Receipt, RecorderRef};
use crate::scope::{self, Log, Scope};
use crate::{capture, current, events, scratch};

/// A call of an audited function; empty where nothing is recorded.
///
/// Dropped before its outcome is known, it records that the call was cancelled.
// One pointer: where nothing is recorded, a call costs no more than looking at it. For that, no path without a record
// takes the address of a call; and it drops what it holds by hand, for the compiler's own code to drop it would be
// called, not inlined.
pub struct Call(pub(super) ManuallyDrop<Option<Box<Stage>>>);

/// How far a call is.
pub(super) enum Stage {
    Running(Active),
    /// It has ended, and its record is waited for.
    Ended(Queued),
    /// It is over.
    Over,
}

thread_local! {
    /// For the next call: its memory is there already.
    static SPARE: Cell<Option<Box<Stage>>> = const { Cell::new(None) };
}

impl Stage {
    fn boxed(self) -> Box<Self> {
        match SPARE.try_with(Cell::take) {
            Ok(Some(mut spare)) => {
                *spare = self;
                spare
            }
            _ => Box::new(self),
        }
    }

    /// Keeps the memory of a stage that is [`Over`](Self::Over).
    fn spare(self: Box<Self>) {
        let _ = SPARE.try_with(|spare| spare.set(Some(self)));
    }

    #[inline]
    pub(super) fn running(&self) -> Option<&Active> {
        match self {
            Self::Running(active) => Some(active),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn running_mut(&mut self) -> Option<&mut Active> {
        match self {
            Self::Running(active) => Some(active),
            _ => None,
        }
    }
}

/// A call that is being recorded.
pub(crate) struct Active {
    pub(crate) shared: Arc<CallShared>,
    pub(super) kind: Kind,
    pub(super) site: Option<&'static Site>,
    pub(super) method: Cow<'static, str>,
    pub(super) span: Span,
    /// When the body was done; recording its value is not part of the call's duration.
    pub(super) ended: Option<Instant>,
    /// What was returned, JSON text or nothing.
    pub(super) output: String,
    /// What was cut of it.
    pub(super) cuts: Vec<Truncation>,
    /// A future that was never polled leaves no record.
    pub(super) begun: bool,
    /// Whoever ends this call waits for its record later: where the thread must not be blocked, or a guard is held.
    pub(super) waits_later: bool,
}

/// Begins a call of the function at `site`, if it is to be recorded.
#[inline]
pub fn enter(site: &'static Site) -> Call {
    if !recorder::is_any_active() || site.capture_level() == Some(CaptureLevel::None) {
        return Call::NONE;
    }
    begin(site)
}

#[inline(never)]
fn begin(site: &'static Site) -> Call {
    let Some(_busy) = busy() else { return Call::NONE };
    let Some(recorder) = current::recorder() else { return Call::NONE };
    let capture = recorder.decide(site);
    if capture == CaptureLevel::None {
        return Call::NONE;
    }
    let log_level = site.log_level().unwrap_or(recorder.log_level);
    let action = Cow::Borrowed(site.action_name());
    let shared = start(recorder, action, capture, log_level, Began::now());
    let span = events::span(&shared);
    Call::active(shared, Kind::Call, Some(site), Cow::Borrowed(""), span)
}

/// Begins a call that has no site. `method` is the function's path, as the caller gives it.
pub(super) fn begin_direct(action: Cow<'static, str>, method: Cow<'static, str>) -> Call {
    if !recorder::is_any_active() {
        return Call::NONE;
    }
    let Some(_busy) = busy() else { return Call::NONE };
    let Some(recorder) = current::recorder() else { return Call::NONE };
    let capture = recorder.decide_action(&action);
    if capture == CaptureLevel::None {
        return Call::NONE;
    }
    let log_level = recorder.log_level;
    let shared = start(recorder, action, capture, log_level, Began::now());
    let span = events::span(&shared);
    Call::active(shared, Kind::Call, None, method, span)
}

/// What is no call of a function, but is recorded as one is: with the context, below the innermost call. It
/// began at `began`, has no log, and is over when this returns but for its end. `None` if the action is not
/// recorded.
pub(crate) fn occurrence(
    recorder: RecorderRef,
    kind: Kind,
    action: Cow<'static, str>,
    method: Cow<'static, str>,
    began: Began,
) -> Option<Call> {
    let capture = recorder.decide_action(&action);
    if capture == CaptureLevel::None {
        return None;
    }
    let shared = start(recorder, action, capture, LevelFilter::OFF, began);
    Some(Call::active(shared, kind, None, method, Span::none()))
}

fn start(
    recorder: RecorderRef,
    action: Cow<'static, str>,
    capture: CaptureLevel,
    log_level: LevelFilter,
    began: Began,
) -> Arc<CallShared> {
    // A function called by the `Serialize` or `Debug` of a value that is being captured: were its own
    // arguments captured, it might never end.
    let capture =
        if capture::in_progress() { capture.min(CaptureLevel::Metadata) } else { capture };
    scope::with(|scope| {
        let parent = scope
            .call
            .as_ref()
            // A call in another trail is no parent here.
            .filter(|parent| parent.recorder.generation() == recorder.generation());
        let context = scope.context().cloned();
        CallShared::begin(recorder, action, capture, log_level, began, context, parent)
    })
}

impl Call {
    /// Nothing is recorded.
    pub(super) const NONE: Self = Self(ManuallyDrop::new(None));

    fn at(stage: Box<Stage>) -> Self {
        Self(ManuallyDrop::new(Some(stage)))
    }

    /// This call, to be moved on; what stays is empty.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        Self(ManuallyDrop::new(self.0.take()))
    }

    fn active(
        shared: Arc<CallShared>,
        kind: Kind,
        site: Option<&'static Site>,
        method: Cow<'static, str>,
        span: Span,
    ) -> Self {
        let active = Active {
            shared,
            kind,
            site,
            method,
            span,
            ended: None,
            output: String::new(),
            cuts: Vec::new(),
            begun: true,
            waits_later: false,
        };
        Self::at(Stage::Running(active).boxed())
    }

    #[inline]
    pub(super) fn running(&self) -> Option<&Active> {
        self.0.as_deref().and_then(Stage::running)
    }

    #[inline]
    pub(super) fn running_mut(&mut self) -> Option<&mut Active> {
        self.0.as_deref_mut().and_then(Stage::running_mut)
    }

    /// Whether this call is on record; once it has ended, its outcome is known, and another is not taken.
    #[inline]
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// The call whose value `T` is to be captured, if it is.
    pub(crate) fn wants_output(&self) -> Option<&Active> {
        self.running().filter(|active| active.shared.capture == CaptureLevel::Full)
    }

    /// Takes what was returned, JSON text.
    pub(crate) fn set_output(&mut self, output: String, cuts: Vec<Truncation>) {
        if let Some(active) = self.running_mut() {
            active.output = output;
            active.cuts = cuts;
        }
    }

    /// The running call, if it is recorded.
    pub(crate) fn shared(&self) -> Option<&Arc<CallShared>> {
        self.running().map(|active| &active.shared)
    }

    pub(crate) fn succeeded(&mut self) {
        self.end(Outcome::Success, None, None);
    }

    pub(crate) fn failed(&mut self, error: ErrorInfo, traceback: Option<String>) {
        self.end(Outcome::Failure, Some(error), traceback);
    }

    /// Hands the call to the recorder, where the record is made, and waits for what its durability asks, unless that
    /// is done [later](Call::wait). Only the first end of a call counts.
    pub(crate) fn end(
        &mut self,
        outcome: Outcome,
        error: Option<ErrorInfo>,
        traceback: Option<String>,
    ) {
        let (span, queued) = {
            // First, so that all of the call is freed before this ends: an audited allocator must not come
            // back here.
            let _busy = busy();
            let Some(mut stage) = self.0.take() else { return };
            let mut active = match mem::replace(&mut *stage, Stage::Over) {
                Stage::Running(active) => active,
                over => {
                    *stage = over;
                    *self.0 = Some(stage);
                    return;
                }
            };
            stage.spare();
            let span = mem::replace(&mut active.span, Span::none());
            let (durability, waits_later) = (active.durability(), active.waits_later);
            let (call, bytes) = active.end(outcome, error, traceback);
            let recorder = call.recorder.clone();
            // What a context says is masked before it leaves this thread. That is done, but for a context that is
            // used with more than one recorder.
            let bytes = call.context_bytes().map(|context| bytes + context);
            let receipt = recorder.offer_pending(call, bytes, durability);
            let queued = receipt.map(|receipt| Queued { receipt, recorder });
            match (waits_later, outcome) {
                // Whoever drops what is not done yet is not to be held up.
                (_, Outcome::Cancelled) => (span, None),
                (true, _) => {
                    *self.0 = queued.map(|queued| Stage::Ended(queued).boxed());
                    (span, None)
                }
                (false, _) => (span, queued),
            }
        };
        // Closing a span is an event for the layers of the host: after the record is safe.
        drop(span);
        if let Some(queued) = queued {
            queued.wait();
        }
    }
}

/// What a call gathers is behind locks that tolerate unwinding, or made anew: a future that holds one is as
/// safe to unwind through as its body.
impl UnwindSafe for Call {}
impl RefUnwindSafe for Call {}

impl Drop for Call {
    #[inline]
    fn drop(&mut self) {
        if let Some(stage) = self.0.take() {
            abandoned(stage);
        }
    }
}

/// Dropped before it came to an end: cancelled, unless it had not begun.
#[cold]
#[inline(never)]
fn abandoned(stage: Box<Stage>) {
    if matches!(&*stage, Stage::Running(active) if active.begun) {
        Call::at(stage).end(Outcome::Cancelled, None, None);
    }
}

impl Active {
    pub(crate) fn named(&mut self, body: &'static str) {
        if let Some(site) = self.site {
            // Its first use allocates: an audited allocator must not come back here.
            let _busy = busy();
            self.method = Cow::Borrowed(site.method(body));
        }
    }

    /// What its record is to survive. A refused call has changed nothing: nobody waits for its record.
    fn durability(&self) -> Durability {
        let word = match self.site {
            Some(site) if site.is_refusing() && self.shared.state().refused => {
                Some(Durability::Queued)
            }
            Some(site) => site.durability_level(),
            None => None,
        };
        word.unwrap_or_else(|| self.shared.recorder.durability())
    }

    pub(super) fn scope(&self) -> Scope {
        let log = if self.shared.logs_by_scope() { Log::OfCall } else { Log::Nowhere };
        Scope { own_context: None, call: Some(self.shared.clone()), log }
    }

    /// Ends the call; gives it with the bytes that it takes while it waits for the writer.
    fn end(
        self,
        outcome: Outcome,
        error: Option<ErrorInfo>,
        traceback: Option<String>,
    ) -> (Arc<CallShared>, usize) {
        let Self { shared, kind, site, method, ended, output, cuts, .. } = self;
        let method = match site {
            Some(site) if method.is_empty() => Cow::Borrowed(site.method_or_name()),
            _ => method,
        };
        let duration = ended.unwrap_or_else(Instant::now).duration_since(shared.started);
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let failure = (error.is_some() || traceback.is_some())
            .then(|| Box::new(Failure { error, traceback }));
        let mut state = shared.state();
        if !output.is_empty() {
            state.set_output(&output);
        }
        if !cuts.is_empty() {
            // Cut arguments come before the cut output.
            state.rest().truncated.extend(cuts);
        }
        state.end = Some(End { kind, method, duration_us, outcome, failure });
        let bytes = state.bytes() + shared.action.len();
        drop(state);
        scratch::give_back(output);
        (shared, bytes)
    }
}

/// A record that is queued, while its call waits for it.
pub(super) struct Queued {
    pub(super) receipt: Receipt,
    pub(super) recorder: RecorderRef,
}

impl Queued {
    /// Waits on this thread. What it hears changes nothing for the call: the recorder counts it.
    pub(super) fn wait(self) {
        self.recorder.confirm(self.receipt);
    }
}
