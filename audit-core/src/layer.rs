//! [`layer`]: puts the tracing events of a call into its record.
//!
//! Each call on record has a span. The layer keeps the call in that span's extensions; an event belongs to
//! the innermost such span around it, in whatever thread or task that span is entered.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Span, dispatcher};
use tracing_log::NormalizeEvent;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::call::{CallShared, LogLine};
use crate::capture::{self, Rules};
use crate::subscriber::Subscriber;
use crate::{Truncation, clock, scope, scratch};

mod wanted;

use wanted::{Wanted, is_of_call};
pub(crate) use wanted::{want, wanted};

/// Target and name of the span of a call. Filters see them.
pub(crate) const TARGET: &str = "audited";
pub(crate) const SPAN: &str = "call";

/// How many layers were ever made: without one, calls need no span.
static LAYERS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The call whose span is being made.
    static PENDING: Cell<Option<Arc<CallShared>>> = const { Cell::new(None) };
}

/// How far this thread is with its locals.
#[derive(Clone, Copy, PartialEq)]
enum Locals {
    Untouched,
    InUse,
    Ending,
}

/// Its destructor tells that the registry's locals are next: a span made after them would abort the process.
struct Sentinel;

impl Drop for Sentinel {
    fn drop(&mut self) {
        LOCALS.set(Locals::Ending);
    }
}

thread_local! {
    static LOCALS: Cell<Locals> = const { Cell::new(Locals::Untouched) };
    static SENTINEL: Sentinel = const { Sentinel };
}

/// Whether the locals of this thread are being destroyed: a destructor may call an audited function.
fn is_ending() -> bool {
    LOCALS.get() == Locals::Ending
}

/// After the first span of this thread. Locals are destroyed in the reverse order of their first use, so the
/// sentinel goes before those that the registry has used for that span.
fn stay_behind() {
    if LOCALS.get() == Locals::Untouched && SENTINEL.try_with(|_| ()).is_ok() {
        LOCALS.set(Locals::InUse);
    }
}

/// A layer that puts the tracing events of audited calls into their records.
///
/// Add it to the program's own subscriber; `audited::init` does so where the program has none. An event
/// belongs to the innermost audited call whose span is around it: also in other tasks and threads, if they
/// carry the span (`.in_current_span()`, `.instrument(..)`, `span.enter()`). Events outside any audited call
/// are ignored. Records of the `log` crate come through where `tracing_log::LogTracer` is installed;
/// `audited::init` does that as well, `tracing_subscriber`'s `init` if its feature `tracing-log` is on.
///
/// It needs a subscriber that is built on `tracing_subscriber::registry()`, for it brings its own per-layer filter: on
/// `tracing_subscriber::fmt().finish()`, tracing-subscriber panics («does not currently support filters»); write
/// `registry().with(fmt::layer())` instead. So filters *on other layers* do not concern it. A filter *on the whole
/// subscriber*, as `EnvFilter` added by `.with(filter)`, silences it too: put the filter on the layer it is
/// meant for, `.with(fmt::layer().with_filter(filter))`, or let the target `audited` and the events you want
/// recorded pass it. A silenced layer is reported once on standard error.
///
/// A span that the program makes within a call leads to that call wherever it is carried, if its level is one that is
/// recorded. For that the layer asks for such spans; a registry with no other layer makes them outside of calls as well.
///
/// Where this layer is, each recorded call has a span (`call`, target `audited`, with action and record id), which the
/// program's other layers see too: a formatting layer writes it before the events of the call. A per-layer filter on the
/// target `audited` hides it there.
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// let subscriber = tracing_subscriber::registry().with(audited::layer());
/// let records = tracing::subscriber::with_default(subscriber, || {
///     audited::testing::capture(|| {
///         audited::execute("pay invoice", "bank::pay", (), || {
///             tracing::info!(amount = 5, "paid");
///         });
///     })
/// });
/// assert_eq!(records[0].log[0].message, "paid");
/// assert_eq!(*records[0].log[0].fields.as_ref().unwrap(), serde_json::json!({"amount": 5}));
/// ```
pub fn layer<S>() -> impl Layer<S> + Send + Sync
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a> + 'static,
{
    let number = LAYERS.fetch_add(1, Ordering::Relaxed) + 1;
    AuditLayer { number }.with_filter(Wanted::<S>(PhantomData))
}

/// Sets a subscriber for calls alone, and takes in records of the `log` crate, if the program has set none.
pub fn subscribe_if_none() {
    // Not `has_been_set`, which is also true once a scope had a subscriber of its own.
    if tracing::subscriber::set_global_default(Subscriber::new()).is_ok() {
        // Somebody else's logger stays: then `log` records go there.
        let _ = tracing_log::LogTracer::init();
    }
}

/// A dispatcher for one scope, or none if the current one takes the events of calls.
pub(crate) fn dispatch_if_missing() -> Option<tracing::Dispatch> {
    (takes_events() == Takes::None).then(|| tracing::Dispatch::new(Subscriber::new()))
}

/// What takes the events of calls here.
#[derive(PartialEq)]
enum Takes {
    None,
    /// The layer, in the program's subscriber.
    Layer,
    /// Our own subscriber.
    Own,
}

fn takes_events() -> Takes {
    dispatcher::get_default(|dispatch| {
        if dispatch.is::<Subscriber>() {
            Takes::Own
        } else if LAYERS.load(Ordering::Relaxed) > 0 && dispatch.is::<AuditLayer>() {
            Takes::Layer
        } else {
            Takes::None
        }
    })
}

/// The span of `call`. Without the layer there is none, and the program's other layers see nothing new.
///
/// A call that has no parent yet becomes a child of the call whose span is around it.
pub(crate) fn span(call: &Arc<CallShared>) -> Span {
    // What a `Serialize` logs while a value is captured is no part of the call.
    if capture::in_progress() {
        return Span::none();
    }
    match takes_events() {
        Takes::Own => {
            log_by_scope(call);
            return Span::none();
        }
        Takes::Layer if !is_ending() => {}
        _ => return Span::none(),
    }
    if PENDING.try_with(|pending| pending.set(Some(call.clone()))).is_err() {
        return Span::none();
    }
    let span = tracing::error_span!(
        target: TARGET,
        SPAN,
        action = &*call.action,
        id = %call.id.as_hyphenated(),
    );
    stay_behind();
    if let Some(call) = PENDING.take() {
        // The layer is there, and has not seen the span.
        warn_silenced(&call);
    }
    span
}

/// As a span would do it in its layer: events belong to the innermost call, and a call without a parent is a child of
/// the one whose span was carried here.
fn log_by_scope(call: &CallShared) {
    call.log_by_scope();
    if call.has_parent() {
        return;
    }
    scope::with(|scope| {
        if let Some(around) = scope.log()
            && around.recorder.generation() == call.recorder.generation()
        {
            call.descends_from(around);
        }
    });
}

/// Tells, once, that a subscriber is set, and no record will have a log for want of the layer in it.
pub(crate) fn warn_if_missing() {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if dispatcher::has_been_set()
        && takes_events() == Takes::None
        && !WARNED.swap(true, Ordering::Relaxed)
    {
        eprintln!(
            "audited: the tracing subscriber does not hold audited::layer(), so no record will have a \
             log; add it where the subscriber is set: \
             `tracing_subscriber::registry().with(…).with(audited::layer()).init()`"
        );
    }
}

#[cold]
fn warn_silenced(call: &CallShared) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        eprintln!(
            "audited: a filter of the tracing subscriber silences the target `{TARGET}`, so no record \
             holds a log (first seen in `{}`); put the filter on the layer it is meant for, or let that \
             target pass: see audited::layer",
            call.action
        );
    }
}

/// The layer. The filter beside it lets only the spans of calls and the wanted events through.
struct AuditLayer {
    /// Tells the spans of its subscriber from those of others, which have the same ids.
    number: u64,
}

/// In the extensions of a call's span.
struct InSpan(Arc<CallShared>);

impl<S> Layer<S> for AuditLayer
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if !is_of_call(span.metadata()) {
            return;
        }
        let Some(call) = PENDING.take() else { return };
        let Some(span) = ctx.span(id) else { return };
        if !call.has_parent()
            && let Some(around) = span.parent()
            && let Some(InSpan(parent)) = around.extensions().get::<InSpan>()
            // A call in another trail is no parent here.
            && parent.recorder.generation() == call.recorder.generation()
        {
            call.descends_from(parent);
        }
        call.has_span(self.number, id);
        span.extensions_mut().insert(InSpan(call));
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if capture::in_progress() {
            return;
        }
        if let Some(call) = self.innermost(event, &ctx) {
            return write(&call, event);
        }
        let Some(scope) = ctx.event_scope(event) else { return };
        for span in scope {
            let call = span.extensions().get::<InSpan>().map(|InSpan(call)| call.clone());
            if let Some(call) = call {
                return write(&call, event);
            }
        }
    }
}

impl AuditLayer {
    /// The short way to the call of an event: this thread is in a call, and in no span but that of this call.
    #[inline]
    fn innermost<S: tracing::Subscriber + for<'a> LookupSpan<'a>>(
        &self,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Option<Arc<CallShared>> {
        if !event.is_contextual() {
            return None;
        }
        let current = ctx.current_span();
        let id = current.id()?;
        scope::with(|scope| {
            scope.call.as_ref().filter(|call| call.is_in_span(self.number, id)).cloned()
        })
    }
}

pub(crate) fn write(call: &CallShared, event: &Event<'_>) {
    // Only events that `tracing-log` has made of records of the crate `log` need it.
    let normalized =
        if event.metadata().target() == "log" { event.normalized_metadata() } else { None };
    let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
    if *metadata.level() > call.log_level {
        return;
    }
    let mut fields = Fields::new(call.rules(), normalized.is_some());
    event.record(&mut fields);
    let Some(_busy) = scope::busy() else { return };
    let target = match &normalized {
        Some(metadata) => Cow::Owned(metadata.target().to_owned()),
        None => Cow::Borrowed(event.metadata().target()),
    };
    let Fields { message, mut json, cuts, .. } = fields;
    if !json.is_empty() {
        json.push('}');
    }
    let line = LogLine {
        at: clock::micros(),
        level: *metadata.level(),
        target,
        message: &message,
        fields: (!json.is_empty()).then_some(&json),
    };
    let mut state = call.state();
    if state.log(line, call.recorder.log_bytes) && !cuts.is_empty() {
        let at = state.logged() - 1;
        for mut cut in cuts {
            cut.path = format!("log[{at}].{}", cut.path);
            state.cut(cut);
        }
    }
    drop(state);
    scratch::give_back(message);
    scratch::give_back(json);
}

/// Reads the fields of an event: the message, and the rest as JSON.
struct Fields<'r> {
    rules: &'r Rules,
    is_log: bool,
    message: String,
    /// Begun by the first field, ended by the caller.
    json: String,
    cuts: Vec<Truncation>,
}

impl<'r> Fields<'r> {
    fn new(rules: &'r Rules, is_log: bool) -> Self {
        let (message, json) = {
            let _busy = scope::busy();
            (scratch::take(), scratch::take())
        };
        Self { rules, is_log, message, json, cuts: Vec::new() }
    }

    fn field(
        &mut self,
        field: &Field,
        write: impl FnOnce(&mut String, &mut Vec<Truncation>, &Rules),
    ) {
        let name = field.name();
        // `tracing-log` carries the place of a `log` record in fields; it is in the target already.
        if self.is_log && name.starts_with("log.") {
            return;
        }
        self.json.push(if self.json.is_empty() { '{' } else { ',' });
        capture::write_key(&mut self.json, name);
        if self.rules.mask.matches_static(name) {
            capture::write_redacted(&mut self.json);
        } else {
            write(&mut self.json, &mut self.cuts, self.rules);
        }
    }

    fn message(&mut self, value: fmt::Arguments<'_>) {
        // The last one counts, if there were two.
        self.message.clear();
        let cut = capture::write_bounded(&mut self.message, self.rules.limits.bytes, value);
        if let Some((kept, was)) = cut {
            self.cuts.push(Truncation::new("message", "bytes", kept, was));
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message(format_args!("{value:?}"));
        } else {
            self.field(field, |out, cuts, rules| {
                capture::write_debug(out, cuts, field.name(), rules, value);
            });
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message(format_args!("{value}"));
        } else {
            self.field(field, |out, cuts, rules| {
                capture::write_text(out, cuts, field.name(), rules, value);
            });
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.serialize(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.serialize(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.serialize(field, &value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.serialize(field, &value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.serialize(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.serialize(field, &value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl Fields<'_> {
    fn serialize(&mut self, field: &Field, value: &impl serde::Serialize) {
        self.field(field, |out, cuts, rules| {
            capture::write_serialize(out, cuts, field.name(), rules, value);
        });
    }
}
