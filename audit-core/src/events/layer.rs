//! [`layer`]: puts the tracing events of a call into its record.
//!
//! Each call on record has a span. The layer keeps the call in that span's extensions; an event belongs to
//! the innermost such span around it, in whatever thread or task that span is entered.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Event;
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::events::filter::{Wanted, is_of_call};
use crate::events::write::write;
use crate::in_flight::CallShared;
use crate::{capture, scope};

/// How many layers were ever made: without one, calls need no span.
pub(crate) static LAYERS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The call whose span is being made.
    pub(crate) static PENDING: Cell<Option<Arc<CallShared>>> = const { Cell::new(None) };
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

/// The layer. The filter beside it lets only the spans of calls and the wanted events through.
pub(crate) struct AuditLayer {
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
