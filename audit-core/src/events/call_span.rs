//! The span of a call: how filters and other layers recognise it, and when a thread can create one.

use std::cell::Cell;

use tracing::Metadata;

/// The target and the name of the span of a call. Users' filters refer to them.
pub(super) const TARGET: &str = "audited";
pub(super) const SPAN: &str = "call";

/// Whether `metadata` describes the span of a call.
pub(super) fn is_call_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == TARGET && metadata.name() == SPAN
}

/// Whether the thread-local values that spans need are still there.
#[derive(Clone, Copy, PartialEq)]
enum ThreadState {
    NoSpanYet,
    Running,
    Ending,
}

/// Its destructor runs just before the thread-local values of the registry are destroyed.
struct ThreadEndMarker;

impl Drop for ThreadEndMarker {
    fn drop(&mut self) {
        THREAD_STATE.set(ThreadState::Ending);
    }
}

thread_local! {
    // Two values, because only one without a destructor can be read while the thread ends.
    static THREAD_STATE: Cell<ThreadState> = const { Cell::new(ThreadState::NoSpanYet) };
    static THREAD_END: ThreadEndMarker = const { ThreadEndMarker };
}

/// Whether the thread-local values of this thread are being destroyed. Destructors may call audited
/// functions, but a span created then would abort the process.
pub(super) fn is_thread_ending() -> bool {
    THREAD_STATE.get() == ThreadState::Ending
}

/// Call this after the first span of the thread.
///
/// Thread-local values are destroyed in the reverse order of their first use. So the marker is
/// destroyed before the values that the registry has used for that span.
pub(super) fn watch_thread_end() {
    if THREAD_STATE.get() == ThreadState::NoSpanYet && THREAD_END.try_with(|_| ()).is_ok() {
        THREAD_STATE.set(ThreadState::Running);
    }
}
