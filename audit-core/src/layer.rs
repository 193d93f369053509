//! [`layer`]: puts the tracing events of a call into its record.
//!
//! Each call on record has a span. The layer keeps the call in that span's extensions; an event belongs to
//! the innermost such span around it, in whatever thread or task that span is entered.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::SystemTime;

use chrono::DateTime;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Span, Subscriber, dispatcher};
use tracing_log::NormalizeEvent;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::call::{CallShared, unix_micros};
use crate::capture::{self, Bounded, Rules};
use crate::{Json, LogEntry, Truncation, scope};

/// Target and name of the span of a call. Filters see them.
const TARGET: &str = "audited";
const SPAN: &str = "call";

/// The most verbose level that any action wants; 0 is off, 5 is trace.
static WANTED: AtomicUsize = AtomicUsize::new(0);
/// How many layers were ever made: without one, calls need no span.
static LAYERS: AtomicUsize = AtomicUsize::new(0);

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
    S: Subscriber + for<'a> LookupSpan<'a> + 'static,
{
    LAYERS.fetch_add(1, Ordering::Relaxed);
    AuditLayer(()).with_filter(Wanted::<S>(PhantomData))
}

/// Sets a subscriber that holds nothing but the layer, and takes in records of the `log` crate, if the
/// program has set none.
pub fn subscribe_if_none() {
    // Not `has_been_set`, which is also true once a scope had a subscriber of its own.
    let subscriber = tracing_subscriber::registry().with(layer());
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        // Somebody else's logger stays: then `log` records go there.
        let _ = tracing_log::LogTracer::init();
    }
}

/// A dispatcher for one scope, or none if the current one holds the layer.
pub(crate) fn dispatch_if_missing() -> Option<tracing::Dispatch> {
    (!is_in_current_subscriber())
        .then(|| tracing::Dispatch::new(tracing_subscriber::registry().with(layer())))
}

fn is_in_current_subscriber() -> bool {
    LAYERS.load(Ordering::Relaxed) > 0
        && dispatcher::get_default(|dispatch| dispatch.downcast_ref::<AuditLayer>().is_some())
}

/// Makes the layer want events of `level`.
pub(crate) fn want(level: LevelFilter) {
    let level = rank(level);
    if WANTED.fetch_max(level, Ordering::Relaxed) < level {
        tracing::callsite::rebuild_interest_cache();
    }
}

fn rank(level: LevelFilter) -> usize {
    match level {
        LevelFilter::OFF => 0,
        LevelFilter::ERROR => 1,
        LevelFilter::WARN => 2,
        LevelFilter::INFO => 3,
        LevelFilter::DEBUG => 4,
        _ => 5,
    }
}

fn wanted() -> LevelFilter {
    match WANTED.load(Ordering::Relaxed) {
        0 => LevelFilter::OFF,
        1 => LevelFilter::ERROR,
        2 => LevelFilter::WARN,
        3 => LevelFilter::INFO,
        4 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

/// The span of `call`. Without the layer there is none, and the program's other layers see nothing new.
///
/// A call that has no parent yet becomes a child of the call whose span is around it.
pub(crate) fn span(call: &Arc<CallShared>) -> Span {
    // What a `Serialize` logs while a value is captured is no part of the call.
    if capture::in_progress() || !is_in_current_subscriber() || is_ending() {
        return Span::none();
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

/// Tells, once, that a subscriber is set, and no record will have a log for want of the layer in it.
pub(crate) fn warn_if_missing() {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if dispatcher::has_been_set()
        && !is_in_current_subscriber()
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
struct AuditLayer(());

/// In the extensions of a call's span.
struct InSpan(Arc<CallShared>);

impl<S> Layer<S> for AuditLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let Some(call) = PENDING.take() else { return };
        let Some(span) = ctx.span(id) else { return };
        if let Some(around) = span.parent()
            && let Some(InSpan(parent)) = around.extensions().get::<InSpan>()
            // A call in another trail is no parent here.
            && parent.recorder.generation() == call.recorder.generation()
        {
            call.descends_from(parent);
        }
        span.extensions_mut().insert(InSpan(call));
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if capture::in_progress() {
            return;
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

fn write(call: &CallShared, event: &Event<'_>) {
    let normalized = event.normalized_metadata();
    let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
    if *metadata.level() > call.log_level {
        return;
    }
    let is_log = normalized.is_some();
    let mut fields = Fields::new(call.rules(), is_log);
    event.record(&mut fields);
    let Some(_busy) = scope::busy() else { return };
    let Fields { message, json, cuts, .. } = fields;
    let target = if is_log {
        Cow::Owned(metadata.target().to_owned())
    } else {
        Cow::Borrowed(event.metadata().target())
    };
    let time = DateTime::from_timestamp_micros(unix_micros(SystemTime::now())).unwrap_or_default();
    let level = metadata.level().as_str();
    let fields = (!json.is_empty()).then(|| Json::trusted(json + "}"));
    push(call, LogEntry::new(time, level, target, message, fields), cuts);
}

/// What an entry takes beside its texts.
const ENTRY: usize = 64;

fn push(call: &CallShared, entry: LogEntry, cuts: Vec<Truncation>) {
    let bytes = ENTRY
        + entry.message.len()
        + entry.target.len()
        + entry.fields.as_ref().map_or(0, |fields| fields.as_str().len());
    let mut state = call.state();
    if state.ended {
        // The call is recorded, its child is still at work: there is nowhere to put this.
        return;
    }
    // Once something was left out, the rest is too: what is kept has no holes in it.
    if state.log_left_out > 0 || state.log_bytes + bytes > call.recorder.log_bytes {
        state.log_left_out += 1;
        return;
    }
    state.log_bytes += bytes;
    if !cuts.is_empty() {
        let at = state.log.len();
        for mut cut in cuts {
            cut.path = format!("log[{at}].{}", cut.path);
            state.cut(cut);
        }
    }
    state.log.push(entry);
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
        Self { rules, is_log, message: String::new(), json: String::new(), cuts: Vec::new() }
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
        let Bounded { text, cut } = capture::bounded(self.rules.limits.bytes, value);
        self.message = text;
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

/// The layer's filter: the spans of calls, and events no more verbose than any action wants.
struct Wanted<S>(PhantomData<fn(S)>);

impl<S> Wanted<S> {
    fn is_wanted(metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() {
            metadata.target() == TARGET && metadata.name() == SPAN
        } else {
            *metadata.level() <= wanted()
        }
    }
}

impl<S> Filter<S> for Wanted<S> {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        Self::is_wanted(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Self::is_wanted(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // Spans of calls are at level ERROR, so that few filters stop them.
        Some(wanted().max(LevelFilter::ERROR))
    }
}
