//! Connects calls to the subscriber in place: the span of a call, and what takes its events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{Span, dispatcher};

use crate::events::layer::{AuditLayer, LAYERS, PENDING};
use crate::events::names::{SPAN, TARGET};
use crate::events::subscriber::Subscriber;
use crate::events::thread_end::{is_ending, stay_behind};
use crate::in_flight::CallShared;
use crate::{capture, scope};

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
