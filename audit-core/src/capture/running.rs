//! Whether code of the program runs on behalf of a capture.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, which formats a value of the user's, as a capture; `None` if it panics.
pub(crate) fn guarded<R>(f: impl FnOnce() -> R) -> Option<R> {
    let running = Running::begin();
    let result = catch_unwind(AssertUnwindSafe(f)).map_err(discard).ok();
    drop(running);
    result
}

/// Whether this thread is running the `Serialize`, `Debug` or `Display` of a value that is being
/// captured. A panic hook can use it to keep quiet: the panic is caught and recorded.
///
/// ```
/// assert!(!audit_core::capture::in_progress());
/// ```
#[must_use]
pub fn in_progress() -> bool {
    RUNNING.get()
}

/// Captures can lie inside each other, so the end of one restores what was before.
pub(crate) struct Running {
    before: bool,
}

impl Running {
    #[inline]
    pub(crate) fn begin() -> Self {
        Self { before: RUNNING.replace(true) }
    }
}

impl Drop for Running {
    #[inline]
    fn drop(&mut self) {
        RUNNING.set(self.before);
    }
}

/// Drops what a panic has thrown. That may panic in turn, without end; then it is leaked.
#[cold]
pub(crate) fn discard(panic: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
}
