//! A call on its way through: [`enter`], then [`Call::run`] or [`run_async`](future::run_async), then
//! the outcome.

use std::borrow::Cow;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Instant;

use chrono::DateTime;
use tracing::Span;
use tracing::level_filters::LevelFilter;

pub(crate) mod direct;
pub(crate) mod error;
pub(crate) mod future;
mod guard;
mod input;
pub(crate) mod now;
mod panic;
pub(crate) mod probe;
pub(crate) mod returned;
mod run;
mod shared;
mod target;
pub(crate) mod watch;

pub(crate) use future::RecordedFuture;
pub use future::{run_async, run_async_opaque, try_run_async};
pub use input::Input;
pub(crate) use panic::{
    describe as describe_panic, describe_latest as describe_latest_panic, install_hook,
};
pub use run::{run_future, run_opaque};
pub(crate) use shared::{Began, CallShared, Target, unix_micros};
pub use target::IntoTarget;

use crate::capture;
use crate::recorder::{self, RecorderRef};
use crate::scope::{self, Scope};
use crate::site::{CaptureLevel, Site};
use crate::{ErrorInfo, Json, Kind, Outcome, Record, Truncation, layer};

/// A call of an audited function; empty where nothing is recorded.
///
/// Dropped before its outcome is known, it records that the call was cancelled.
pub struct Call(Option<Box<Active>>);

/// A call that is being recorded.
pub(crate) struct Active {
    pub(crate) shared: Arc<CallShared>,
    kind: Kind,
    site: Option<&'static Site>,
    method: Cow<'static, str>,
    span: Span,
    /// When the body was done; recording its value is not part of the call's duration.
    ended: Option<Instant>,
    /// What the recorded value says, until the record is made.
    output: Option<Json>,
    cuts: Vec<Truncation>,
    /// A future that was never polled leaves no record.
    begun: bool,
}

/// Begins a call of the function at `site`, if it is to be recorded.
#[inline]
pub fn enter(site: &'static Site) -> Call {
    if !recorder::is_any_active() {
        return Call(None);
    }
    begin(site)
}

#[inline(never)]
fn begin(site: &'static Site) -> Call {
    let Some(_busy) = scope::busy() else { return Call(None) };
    let Some(recorder) = recorder::current() else { return Call(None) };
    let capture = recorder.decide(site);
    if capture == CaptureLevel::None {
        return Call(None);
    }
    let log_level = site.log_level().unwrap_or(recorder.log_level);
    let action = Cow::Borrowed(site.action_name());
    let shared = start(recorder, action, capture, log_level, Began::now());
    let span = layer::span(&shared);
    Call::active(shared, Kind::Call, Some(site), Cow::Borrowed(""), span)
}

/// Begins a call that has no site. `method` is the function's path, as the caller gives it.
fn begin_direct(action: Cow<'static, str>, method: Cow<'static, str>) -> Call {
    if !recorder::is_any_active() {
        return Call(None);
    }
    let Some(_busy) = scope::busy() else { return Call(None) };
    let Some(recorder) = recorder::current() else { return Call(None) };
    let capture = recorder.decide_action(&action);
    if capture == CaptureLevel::None {
        return Call(None);
    }
    let log_level = recorder.log_level;
    let shared = start(recorder, action, capture, log_level, Began::now());
    let span = layer::span(&shared);
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
    let Scope { context, call } = scope::current();
    let parent = call
        .or_else(|| context.as_ref().and_then(|context| context.parent.clone()))
        // A call in another trail is no parent here.
        .filter(|parent| parent.recorder.generation() == recorder.generation());
    Arc::new(CallShared::new(recorder, action, capture, log_level, began, context, parent.as_ref()))
}

impl Call {
    fn active(
        shared: Arc<CallShared>,
        kind: Kind,
        site: Option<&'static Site>,
        method: Cow<'static, str>,
        span: Span,
    ) -> Self {
        Self(Some(Box::new(Active {
            shared,
            kind,
            site,
            method,
            span,
            ended: None,
            output: None,
            cuts: Vec::new(),
            begun: true,
        })))
    }

    /// Whether this call is being recorded, and has not been yet.
    #[inline]
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Where the arguments go.
    #[inline]
    #[must_use]
    pub fn input(&self) -> Input {
        Input::of(self.0.as_deref())
    }

    /// The call whose value `T` is to be captured, if it is.
    pub(crate) fn wants_output(&self) -> Option<&Active> {
        self.0.as_deref().filter(|active| active.shared.capture == CaptureLevel::Full)
    }

    pub(crate) fn set_output(&mut self, output: Json, cuts: Vec<Truncation>) {
        if let Some(active) = &mut self.0 {
            active.output = Some(output);
            active.cuts = cuts;
        }
    }

    /// The running call, if it is recorded.
    pub(crate) fn shared(&self) -> Option<&Arc<CallShared>> {
        self.0.as_deref().map(|active| &active.shared)
    }

    pub(crate) fn succeeded(&mut self) {
        self.end(Outcome::Success, None, None);
    }

    pub(crate) fn failed(&mut self, error: ErrorInfo, traceback: Option<String>) {
        self.end(Outcome::Failure, Some(error), traceback);
    }

    /// Dropped before it came to an end: cancelled, unless it had not begun.
    #[cold]
    fn abandoned(&mut self) {
        if self.0.as_ref().is_some_and(|active| active.begun) {
            self.end(Outcome::Cancelled, None, None);
        }
    }

    /// Makes the record and hands it to the recorder. Only the first end of a call counts.
    pub(crate) fn end(
        &mut self,
        outcome: Outcome,
        error: Option<ErrorInfo>,
        traceback: Option<String>,
    ) {
        let span = {
            // First, so that all of the call is freed before this ends: an audited allocator must not come
            // back here.
            let _busy = scope::busy();
            let Some(mut active) = self.0.take() else { return };
            let span = mem::replace(&mut active.span, Span::none());
            let recorder = active.shared.recorder.clone();
            recorder.offer(active.into_record(outcome, error, traceback));
            span
        };
        // Closing a span is an event for the layers of the host: after the record is safe.
        drop(span);
    }
}

/// What a call gathers is behind locks that tolerate unwinding, or made anew: a future that holds one is as
/// safe to unwind through as its body.
impl UnwindSafe for Call {}
impl RefUnwindSafe for Call {}

impl Drop for Call {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_some() {
            self.abandoned();
        }
    }
}

impl Active {
    pub(crate) fn named(&mut self, body: &'static str) {
        if let Some(site) = self.site {
            // Its first use allocates: an audited allocator must not come back here.
            let _busy = scope::busy();
            self.method = Cow::Borrowed(site.method(body));
        }
    }

    fn scope(&self) -> Scope {
        Scope { context: self.shared.context.clone(), call: Some(self.shared.clone()) }
    }

    fn into_record(
        self,
        outcome: Outcome,
        error: Option<ErrorInfo>,
        traceback: Option<String>,
    ) -> Box<Record> {
        let shared = &*self.shared;
        let ended = self.ended.unwrap_or_else(Instant::now);
        let started_at = DateTime::from_timestamp_micros(shared.started_at).unwrap_or_default();
        let mut record =
            Box::new(Record::with_id(shared.id, self.kind, shared.action.clone(), started_at));
        record.duration_us =
            u64::try_from(ended.duration_since(shared.started).as_micros()).unwrap_or(u64::MAX);
        record.method = match self.site {
            Some(site) if self.method.is_empty() => Cow::Borrowed(site.method_or_name()),
            _ => self.method,
        };
        record.outcome = outcome;
        record.output = self.output;
        record.error = error;
        record.traceback = traceback;
        let lineage = shared.lineage();
        record.parent_id = lineage.parent;
        record.correlation_id = lineage.correlation.clone();
        record.truncated = self.cuts;
        gather(shared, &mut record);
        record
    }
}

/// Moves what the call has gathered into `record`, and adds what its context says.
fn gather(shared: &CallShared, record: &mut Record) {
    let mut state = shared.state();
    state.ended = true;
    let state = mem::replace(&mut *state, shared::CallState { ended: true, ..Default::default() });
    record.input = state.input;
    record.log = state.log;
    record.notes = state.notes;
    record.reason = state.reason;
    record.changes = state.changes;
    if let Some(Target { type_name, id, label }) = state.target {
        record.target_type = Some(type_name);
        record.target_id = Some(id);
        record.target_label = label;
    }
    // Cut arguments come before the cut output.
    if !state.truncated.is_empty() {
        let output = mem::replace(&mut record.truncated, state.truncated);
        record.truncated.extend(output);
    }
    for (path, kept, left_out) in [
        ("log", record.log.len(), state.log_left_out),
        ("notes", record.notes.len(), state.notes_left_out),
        ("changes", record.changes.len(), state.changes_left_out),
        ("context.extra", state.fields.len(), state.fields_left_out),
    ] {
        if left_out > 0 {
            let was = kept as u64 + left_out;
            record.truncated.push(Truncation::new(path, "entries", kept as u64, Some(was)));
        }
    }
    let recorder = &shared.recorder;
    record.site.clone_from(&recorder.site);
    record.service.clone_from(&recorder.service);
    match &shared.context {
        Some(context) => context.describe(record, recorder, state.fields),
        None => record.context = crate::context::extra_only(state.fields),
    }
    if state.actor.is_some() {
        record.actor = state.actor;
    }
}
