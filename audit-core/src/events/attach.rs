//! Connects a call to the current subscriber: creates its span, or lets events find it by the
//! scope.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{Span, dispatcher};

use crate::events::call_span::{SPAN, TARGET, is_thread_ending, watch_thread_end};
use crate::events::layer::{AuditLayer, LAYERS, SPAN_OWNER};
use crate::events::subscriber::Subscriber;
use crate::in_flight::CallShared;
use crate::{capture, scope};

/// Sets a global subscriber that captures the events of calls, unless the program has set one.
/// Records of the `log` crate are captured, too, unless the program has a logger.
pub fn subscribe_if_none() {
    // `has_been_set` does not help: it is also true if only a scope had a subscriber.
    if tracing::subscriber::set_global_default(Subscriber::new()).is_ok() {
        // Fails if the program has a logger, which stays.
        let _ = tracing_log::LogTracer::init();
    }
}

/// A dispatcher that captures events in one scope, or `None` if the current dispatcher captures
/// them.
pub(crate) fn dispatch_if_missing() -> Option<tracing::Dispatch> {
    (event_capture() == EventCapture::Missing).then(|| tracing::Dispatch::new(Subscriber::new()))
}

/// What captures the events of calls on this thread.
#[derive(PartialEq)]
enum EventCapture {
    Missing,
    /// The layer in the program's subscriber.
    Layer,
    /// Our own subscriber.
    Subscriber,
}

fn event_capture() -> EventCapture {
    dispatcher::get_default(|dispatch| {
        if dispatch.is::<Subscriber>() {
            EventCapture::Subscriber
        } else if LAYERS.load(Ordering::Relaxed) > 0 && dispatch.is::<AuditLayer>() {
            EventCapture::Layer
        } else {
            EventCapture::Missing
        }
    })
}

/// Creates the span of `call`. Without the layer there is no span, so that the program's other
/// layers see nothing new.
///
/// A call without a parent becomes a child of the call whose span is the current one.
pub(crate) fn span(call: &Arc<CallShared>) -> Span {
    // What a `Serialize` logs while a value is captured does not belong to the call.
    if capture::in_progress() {
        return Span::none();
    }
    match event_capture() {
        EventCapture::Subscriber => {
            set_logged_by_scope(call);
            return Span::none();
        }
        EventCapture::Layer if !is_thread_ending() => {}
        _ => return Span::none(),
    }
    if SPAN_OWNER.try_with(|owner| owner.set(Some(call.clone()))).is_err() {
        return Span::none();
    }
    let span = tracing::error_span!(
        target: TARGET,
        SPAN,
        action = &*call.action,
        id = %call.id.as_hyphenated(),
    );
    watch_thread_end();
    if let Some(call) = SPAN_OWNER.take() {
        // The subscriber has the layer, but the layer has not seen the span.
        warn_silenced(&call);
    }
    span
}

/// Does what the layer does with a span. Events belong to the innermost call. A call without a
/// parent becomes a child of the call whose span was carried here.
fn set_logged_by_scope(call: &CallShared) {
    call.set_logged_by_scope();
    if call.has_parent() {
        return;
    }
    scope::with(|scope| {
        if let Some(outer) = scope.log()
            && outer.recorder.generation() == call.recorder.generation()
        {
            call.set_parent(outer);
        }
    });
}

/// Warns once on standard error if the program has set a subscriber without the layer.
pub(crate) fn warn_if_missing() {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if dispatcher::has_been_set()
        && event_capture() == EventCapture::Missing
        && !WARNED.swap(true, Ordering::Relaxed)
    {
        eprintln!(
            "audited: the tracing subscriber does not have `audited::layer()`, so records will \
             contain no log; add the layer where the subscriber is set: \
             `tracing_subscriber::registry().with(…).with(audited::layer()).init()`"
        );
    }
}

#[cold]
fn warn_silenced(call: &CallShared) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        eprintln!(
            "audited: a filter of the tracing subscriber disables the target `{TARGET}`, so records \
             contain no log (first seen in the action `{}`); put the filter on the layer that it is \
             meant for, or enable that target in it; see the documentation of `audited::layer`",
            call.action
        );
    }
}
