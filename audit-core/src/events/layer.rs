//! [`layer`]: captures the tracing events of a call into its record, in the program's own
//! subscriber.
//!
//! Each recorded call has a span, and the layer keeps the call in the extensions of that span. An
//! event belongs to the innermost such span around it, in any thread or task that enters this span.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Event;
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::events::call_span::is_call_span;
use crate::events::filter::CallFilter;
use crate::events::write::write;
use crate::in_flight::CallShared;
use crate::{capture, scope};

/// The number of layers created so far. Without a layer, calls need no span.
pub(super) static LAYERS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The call whose span is being created on this thread.
    pub(super) static SPAN_OWNER: Cell<Option<Arc<CallShared>>> = const { Cell::new(None) };
}

/// A layer that captures the tracing events of audited calls into their records.
///
/// Add it to the program's own subscriber. If the program has none, `audited::init` sets one that
/// captures events. An event belongs to the innermost audited call whose span is around it. This
/// holds in other tasks and threads, too, if they carry the span (`.in_current_span()`,
/// `.instrument(..)`, `span.enter()`). Events outside of audited calls are ignored.
///
/// Records of the `log` crate are captured if `tracing_log::LogTracer` is installed. `init` of
/// `tracing_subscriber` installs it, with its feature `tracing-log`.
///
/// # Subscriber and filters
///
/// The subscriber must be built on `tracing_subscriber::registry()`, because the layer has a
/// per-layer filter. On `tracing_subscriber::fmt().finish()`, tracing-subscriber panics with "does
/// not currently support filters"; use `registry().with(fmt::layer())` instead.
///
/// - A filter *on another layer*, `.with(fmt::layer().with_filter(filter))`, does not affect this
///   layer.
/// - A filter *on the whole subscriber*, such as an `EnvFilter` added by `.with(filter)`, affects
///   this layer, too. It must enable the target `audited`, and the events that you want to record.
///   If it disables the target, one message on standard error says so.
///
/// # Spans
///
/// Each recorded call has a span with the name `call`, the target `audited`, and the fields
/// `action` and `id`, the id of the record. The program's other layers see it, too: a formatting
/// layer writes it in front of the events of the call. A per-layer filter on the target `audited`
/// hides it there.
///
/// A span that is created in a call with `parent: None` keeps the events in it out of all logs. Any
/// other span that the program creates in a call belongs to that call, also in other tasks and
/// threads. This requires that events of the span's level are recorded. The layer enables such spans. In a
/// registry without other layers, they also exist outside of calls.
///
/// # Examples
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
    AuditLayer { number }.with_filter(CallFilter::<S>(PhantomData))
}

/// The layer behind its filter: it sees only the spans and events that [`CallFilter`] enables.
pub(super) struct AuditLayer {
    /// Different for each layer, because spans of different subscribers have the same ids.
    number: u64,
}

/// The call of a span, in the span's extensions.
struct SpanCall(Arc<CallShared>);

impl<S> Layer<S> for AuditLayer
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if !is_call_span(span.metadata()) {
            return;
        }
        let Some(call) = SPAN_OWNER.take() else { return };
        let Some(span) = ctx.span(id) else { return };
        if !call.has_parent()
            && let Some(outer) = span.parent()
            && let Some(SpanCall(parent)) = outer.extensions().get::<SpanCall>()
            // A call that another recorder records is not a parent.
            && parent.recorder.generation() == call.recorder.generation()
        {
            call.set_parent(parent);
        }
        call.set_span(self.number, id);
        span.extensions_mut().insert(SpanCall(call));
    }

    // Inlined into the subscriber of the program, it would push other functions out of line, and an
    // event outside of calls would cost more.
    #[inline(never)]
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if capture::in_progress() {
            return;
        }
        if let Some(call) = self.innermost(event, &ctx) {
            return write(&call, event);
        }
        let Some(scope) = ctx.event_scope(event) else { return };
        for span in scope {
            let call = span.extensions().get::<SpanCall>().map(|SpanCall(call)| call.clone());
            if let Some(call) = call {
                return write(&call, event);
            }
        }
    }
}

impl AuditLayer {
    /// The fast way to the call of an event: the current span is that of the innermost call of this
    /// thread.
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
            scope.call.as_ref().filter(|call| call.has_span(self.number, id)).cloned()
        })
    }
}
