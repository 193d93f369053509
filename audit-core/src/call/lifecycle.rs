//! [`Call`]: one call from its begin, by [`begin_call`], to its end.

use std::borrow::Cow;
use std::mem::{self, ManuallyDrop};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Instant;

use audit_record::{Durability, ErrorInfo, Kind, Outcome, Truncation};
use tracing::Span;
use tracing::level_filters::LevelFilter;

use crate::busy::mark_busy;
use crate::call::verdict::{Verdict, declared};
use crate::call_site::{CallSite, CaptureLevel};
use crate::in_flight::{CallEnd, CallShared, FailureDetails, StartTime};
use crate::recorder::{self, Receipt, RecorderRef};
use crate::scope::{self, LogTarget, Scope};
use crate::spare::SpareSlots;
use crate::{capture, current, events, scratch};

/// A call of an audited function; empty if it is not recorded.
///
/// If it is dropped before its outcome is recorded, it records that the call was cancelled.
// One pointer, so that an unrecorded call costs no more than a test for null. Two rules keep it so.
// No code for unrecorded calls takes the address of a call. The content is dropped by hand, because
// the compiler would call its own drop code instead of inlining it.
pub struct Call(pub(super) ManuallyDrop<Option<Box<CallStage>>>);

/// The state of a recorded call, as its function sees it.
pub(super) enum CallStage {
    Running(RunningCall),
    /// The call has ended, and waits for its record.
    Ended(QueuedRecord),
    /// The call is over.
    Over,
}

thread_local! {
    static SPARE: SpareSlots<Box<CallStage>> = const { SpareSlots::new() };
}

impl CallStage {
    /// Boxes the stage, in spare memory if there is any.
    fn boxed(self) -> Box<Self> {
        match SpareSlots::take(&SPARE) {
            Some(mut spare) => {
                *spare = self;
                spare
            }
            None => Box::new(self),
        }
    }

    /// Keeps the memory of a stage that is [`Over`](Self::Over).
    fn recycle(self: Box<Self>) {
        SpareSlots::put(&SPARE, self);
    }

    #[inline]
    pub(super) fn running(&self) -> Option<&RunningCall> {
        match self {
            Self::Running(running) => Some(running),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn running_mut(&mut self) -> Option<&mut RunningCall> {
        match self {
            Self::Running(running) => Some(running),
            _ => None,
        }
    }
}

/// A recorded call that has not ended.
pub(crate) struct RunningCall {
    pub(crate) shared: Arc<CallShared>,
    pub(super) kind: Kind,
    pub(super) site: Option<&'static CallSite>,
    pub(super) method: Cow<'static, str>,
    pub(super) span: Span,
    /// When the body ended. Recording its value is not part of the duration.
    pub(super) ended: Option<Instant>,
    /// The return value as JSON text, or empty.
    pub(super) output: String,
    /// What was cut in the return value.
    pub(super) cuts: Vec<Truncation>,
    /// What is known of the returned value, beyond that it is not an `Err`. Boxed because few calls
    /// have any.
    pub(super) verdict: Option<Box<Verdict>>,
    /// Whether the body has begun. A future that is never polled leaves no record.
    pub(super) has_begun: bool,
    /// The function that ends the call waits for the record later, because it must not block yet.
    pub(super) waits_later: bool,
}

/// Begins a call of the function at `site`. The call is empty if it is not to be recorded.
#[inline]
pub fn begin_call(site: &'static CallSite) -> Call {
    if !recorder::is_any_active() || site.capture_level() == Some(CaptureLevel::None) {
        return Call::NONE;
    }
    begin_at_site(site)
}

#[inline(never)]
fn begin_at_site(site: &'static CallSite) -> Call {
    let Some(_busy) = mark_busy() else { return Call::NONE };
    let Some(recorder) = current::recorder() else { return Call::NONE };
    let capture = recorder.decide(site);
    if capture == CaptureLevel::None {
        return Call::NONE;
    }
    let log_level = site.log_level().unwrap_or(recorder.log_level);
    let action = Cow::Borrowed(site.action_name());
    let shared = begin_shared(recorder, action, capture, log_level, StartTime::now());
    let span = events::span(&shared);
    Call::running_with(shared, Kind::Call, Some(site), Cow::Borrowed(""), span)
}

/// Begins a call without a call site. The caller gives the path of the function as `method`.
pub(super) fn begin_direct(action: Cow<'static, str>, method: Cow<'static, str>) -> Call {
    if !recorder::is_any_active() {
        return Call::NONE;
    }
    let Some(_busy) = mark_busy() else { return Call::NONE };
    let Some(recorder) = current::recorder() else { return Call::NONE };
    let capture = recorder.decide_action(&action);
    if capture == CaptureLevel::None {
        return Call::NONE;
    }
    let log_level = recorder.log_level;
    let shared = begin_shared(recorder, action, capture, log_level, StartTime::now());
    let span = events::span(&shared);
    Call::running_with(shared, Kind::Call, None, method, span)
}

/// Begins a record that is not about a call, such as a field change. It has the current context,
/// the innermost call as its parent, and no log. Returns `None` if the action is not recorded.
pub(crate) fn begin_record(
    recorder: RecorderRef,
    kind: Kind,
    action: Cow<'static, str>,
    method: Cow<'static, str>,
    start: StartTime,
) -> Option<Call> {
    let capture = recorder.decide_action(&action);
    if capture == CaptureLevel::None {
        return None;
    }
    let shared = begin_shared(recorder, action, capture, LevelFilter::OFF, start);
    Some(Call::running_with(shared, kind, None, method, Span::none()))
}

fn begin_shared(
    recorder: RecorderRef,
    action: Cow<'static, str>,
    capture: CaptureLevel,
    log_level: LevelFilter,
    start: StartTime,
) -> Arc<CallShared> {
    // The function is called by the `Serialize` or `Debug` of a value that is being captured. If
    // its own arguments were captured, the recursion might never end.
    let capture =
        if capture::in_progress() { capture.min(CaptureLevel::Metadata) } else { capture };
    scope::with(|scope| {
        let parent = scope
            .call
            .as_ref()
            // A call that another recorder records is not a parent.
            .filter(|parent| parent.recorder.generation() == recorder.generation());
        let context = scope.context().cloned();
        CallShared::begin(recorder, action, capture, log_level, start, context, parent)
    })
}

impl Call {
    /// A call that is not recorded.
    pub(super) const NONE: Self = Self(ManuallyDrop::new(None));

    fn at(stage: Box<CallStage>) -> Self {
        Self(ManuallyDrop::new(Some(stage)))
    }

    /// Moves the call out, and leaves an empty call.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        Self(ManuallyDrop::new(self.0.take()))
    }

    fn running_with(
        shared: Arc<CallShared>,
        kind: Kind,
        site: Option<&'static CallSite>,
        method: Cow<'static, str>,
        span: Span,
    ) -> Self {
        let running = RunningCall {
            shared,
            kind,
            site,
            method,
            span,
            ended: None,
            output: String::new(),
            cuts: Vec::new(),
            verdict: None,
            has_begun: true,
            waits_later: false,
        };
        Self::at(CallStage::Running(running).boxed())
    }

    #[inline]
    pub(super) fn running(&self) -> Option<&RunningCall> {
        self.0.as_deref().and_then(CallStage::running)
    }

    #[inline]
    pub(super) fn running_mut(&mut self) -> Option<&mut RunningCall> {
        self.0.as_deref_mut().and_then(CallStage::running_mut)
    }

    /// Whether this call is recorded. Once it has ended, its outcome can't be changed.
    #[inline]
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// The running call, if its return value is to be recorded.
    pub(crate) fn wants_output(&self) -> Option<&RunningCall> {
        self.running().filter(|running| running.shared.capture == CaptureLevel::Full)
    }

    /// Sets the return value, a JSON text, and what was cut in it.
    pub(crate) fn set_output(&mut self, output: String, cuts: Vec<Truncation>) {
        if let Some(running) = self.running_mut() {
            running.output = output;
            running.cuts = cuts;
        }
    }

    /// The state that the call shares, if it is running and recorded.
    pub(crate) fn shared(&self) -> Option<&Arc<CallShared>> {
        self.running().map(|running| &running.shared)
    }

    /// What is known of the returned value, if the call is running and recorded.
    pub(super) fn verdict(&mut self) -> Option<&mut Verdict> {
        self.running_mut().map(|running| &mut **running.verdict.get_or_insert_default())
    }

    /// Ends the call, which has returned a value that is not an `Err`.
    pub(crate) fn succeeded(&mut self) {
        let verdict = self.take_verdict().filter(|_| !self.has_declared_outcome());
        let Verdict { outcome, error, .. } = verdict.unwrap_or_default();
        self.end(outcome, error, None);
    }

    /// Ends the call, which has returned `error`. An HTTP status takes the place of its type.
    pub(crate) fn failed(&mut self, mut error: ErrorInfo, traceback: Option<String>) {
        if let Some(status) = self.take_verdict().and_then(|verdict| verdict.status) {
            (error.type_name, error.variant) = (Cow::Owned(status), None);
        }
        self.end(Outcome::Failure, Some(error), traceback);
    }

    /// Ends a call that returned a future which is not followed. The record says so.
    pub(crate) fn ended_before_its_future(&mut self) {
        if let Some(running) = self.running() {
            let cut = Truncation::new("output".to_owned(), "futures", 0, Some(1));
            running.shared.state().cut(cut);
        }
        self.end(Outcome::Unknown, None, None);
    }

    /// Whether the program has declared how the call ends.
    fn has_declared_outcome(&self) -> bool {
        self.shared().is_some_and(|shared| {
            shared.state().annotations.as_ref().is_some_and(|it| it.declared.is_some())
        })
    }

    fn take_verdict(&mut self) -> Option<Verdict> {
        self.running_mut()?.verdict.take().map(|verdict| *verdict)
    }

    /// Ends the call, and passes it to the recorder. Waits as long as its durability requires,
    /// unless the caller [waits later](Call::wait). Only the first end of a call counts.
    pub(crate) fn end(
        &mut self,
        outcome: Outcome,
        error: Option<ErrorInfo>,
        traceback: Option<String>,
    ) {
        let (span, queued) = {
            // Created first, so that the whole call is freed before it ends: an audited allocator
            // must not be recorded here.
            let _busy = mark_busy();
            let Some(mut stage) = self.0.take() else { return };
            let mut running = match mem::replace(&mut *stage, CallStage::Over) {
                CallStage::Running(running) => running,
                ended => {
                    *stage = ended;
                    *self.0 = Some(stage);
                    return;
                }
            };
            stage.recycle();
            let span = mem::replace(&mut running.span, Span::none());
            let (durability, waits_later) = (running.durability(), running.waits_later);
            let (call, bytes) = running.end(outcome, error, traceback);
            let recorder = call.recorder.clone();
            // A context is masked on this thread. `None` means that it was masked for another
            // recorder; then the record is made on this thread, too.
            let bytes = call.context_bytes().map(|context| bytes + context);
            let receipt = recorder.offer_pending(call, bytes, durability);
            let queued = receipt.map(|receipt| QueuedRecord { receipt, recorder });
            match (waits_later, outcome) {
                // The code that drops an unfinished future must not be delayed.
                (_, Outcome::Cancelled) => (span, None),
                (true, _) => {
                    *self.0 = queued.map(|queued| CallStage::Ended(queued).boxed());
                    (span, None)
                }
                (false, _) => (span, queued),
            }
        };
        // Other layers see a closed span as an event, so it is closed after the call is recorded.
        drop(span);
        if let Some(queued) = queued {
            queued.wait();
        }
    }
}

/// The parts of a call are behind locks that tolerate unwinding, or are created anew. So a future
/// that holds a call is as unwind safe as its body.
impl UnwindSafe for Call {}
impl RefUnwindSafe for Call {}

impl Drop for Call {
    #[inline]
    fn drop(&mut self) {
        if let Some(stage) = self.0.take() {
            end_dropped(stage);
        }
    }
}

/// Ends a call that was dropped before its outcome was recorded: it was cancelled, if it had begun.
#[cold]
#[inline(never)]
fn end_dropped(stage: Box<CallStage>) {
    if matches!(&*stage, CallStage::Running(running) if running.has_begun) {
        Call::at(stage).end(Outcome::Cancelled, None, None);
    }
}

impl RunningCall {
    /// Sets the path of the function from the type name of its body.
    pub(super) fn set_method(&mut self, body: &'static str) {
        if let Some(site) = self.site {
            // The first call at a site allocates: an audited allocator must not be recorded here.
            let _busy = mark_busy();
            self.method = Cow::Borrowed(site.method(body));
        }
    }

    /// The durability of the record. A refused call has changed nothing, so it does not wait.
    fn durability(&self) -> Durability {
        let of_site = match self.site {
            Some(site) if site.is_refusing() && self.shared.state().refused => {
                Some(Durability::Queued)
            }
            Some(site) => site.durability_level(),
            None => None,
        };
        of_site.unwrap_or_else(|| self.shared.recorder.durability())
    }

    /// The scope in which the body runs.
    pub(super) fn scope(&self) -> Scope {
        let log = if self.shared.is_logged_by_scope() {
            LogTarget::InnermostCall
        } else {
            LogTarget::None
        };
        Scope { own_context: None, call: Some(self.shared.clone()), log }
    }

    /// Ends the call. Returns it with its memory in the queue, in bytes, without that of the
    /// context.
    fn end(
        self,
        outcome: Outcome,
        error: Option<ErrorInfo>,
        traceback: Option<String>,
    ) -> (Arc<CallShared>, usize) {
        let Self { shared, kind, site, method, ended, output, cuts, .. } = self;
        let method = match site {
            Some(site) if method.is_empty() => Cow::Borrowed(site.method_or_declared()),
            _ => method,
        };
        let duration = ended.unwrap_or_else(Instant::now).duration_since(shared.started);
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let mut state = shared.state();
        let (outcome, error) = match &mut state.annotations {
            Some(annotations) => declared(outcome, error, annotations),
            None => (outcome, error),
        };
        let failure = (error.is_some() || traceback.is_some())
            .then(|| Box::new(FailureDetails { error, traceback }));
        if !output.is_empty() {
            state.set_output(&output);
        }
        if !cuts.is_empty() {
            // The cuts of arguments come first.
            state.annotations().truncated.extend(cuts);
        }
        state.end = Some(CallEnd { kind, method, duration_us, outcome, failure });
        let bytes = shared.bytes(&state);
        drop(state);
        scratch::recycle(output);
        (shared, bytes)
    }
}

/// A record in the queue, and the recorder that the call waits for.
pub(super) struct QueuedRecord {
    pub(super) receipt: Receipt,
    pub(super) recorder: RecorderRef,
}

impl QueuedRecord {
    /// Blocks this thread until the record is stored. An error does not change the call's result;
    /// the recorder counts it.
    pub(super) fn wait(self) {
        self.recorder.wait_until_stored(self.receipt);
    }
}
