//! Connects a call to the current subscriber: creates its span, or lets events find it by the
//! scope.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::dispatcher::DefaultGuard;
use tracing::{Span, dispatcher};

use crate::events::call_span::{SPAN, TARGET, is_thread_ending, watch_thread_end};
use crate::events::layer::{AuditLayer, LAYERS, SPAN_OWNER};
use crate::events::subscriber::Subscriber;
use crate::in_flight::CallShared;
use crate::scope::{self, Scope};
use crate::{capture, levels};

/// Whether the next call is the first one under the global [`Subscriber`].
static IS_FIRST_CALL: AtomicBool = AtomicBool::new(false);

/// Sets a global subscriber that captures the events of calls, unless the program has set one.
///
/// From the first call on, records of the `log` crate are captured, too, unless the program has set
/// a logger by then. The program can therefore set its logger after the subscriber.
pub fn subscribe_if_none() {
    // `has_been_set` does not help: it is also true if only a scope had a subscriber.
    if tracing::subscriber::set_global_default(Subscriber::new()).is_ok() {
        IS_FIRST_CALL.store(true, Ordering::Relaxed);
    }
}

/// Captures records of the `log` crate, unless the program has a logger.
#[cold]
fn capture_log_records() {
    if IS_FIRST_CALL.swap(false, Ordering::Relaxed)
        && tracing_log::LogTracer::builder().init().is_ok()
    {
        levels::limit_log_records();
    }
}

/// Sets the subscriber of the recorder that `scope` names, if it has one. It applies on this thread
/// until the guard is dropped.
///
/// It does nothing inside a scope of the same recorder, or if the current subscriber captures the
/// events of calls.
pub(crate) fn set_own_subscriber(scope: &Scope) -> Option<DefaultGuard> {
    let recorder = scope.context()?.recorder.as_ref()?;
    let own_subscriber = recorder.own_subscriber.as_ref()?;
    let is_inside = scope::with(|current| {
        let current = current.context().and_then(|context| context.recorder.as_ref());
        current.is_some_and(|current| current.generation() == recorder.generation())
    });
    if is_inside || event_capture() != EventCapture::Missing {
        return None;
    }
    let dispatch = own_subscriber.get_or_init(|| tracing::Dispatch::new(Subscriber::new()));
    Some(dispatcher::set_default(dispatch))
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
            if IS_FIRST_CALL.load(Ordering::Relaxed) {
                capture_log_records();
            }
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
