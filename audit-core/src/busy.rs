//! A mark on threads that do work for the audit itself. Calls made by such work are not recorded.
//!
//! Examples are the writer thread, the capture of arguments, and warnings that reach the program's
//! subscriber.

use std::cell::Cell;

thread_local! {
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread until the guard is dropped. Returns `None` if it is marked already.
///
/// While a thread is marked, audited functions that run on it (of a custom allocator, for example)
/// are not recorded.
pub(crate) fn mark_busy() -> Option<Busy> {
    let was_busy = BUSY.try_with(|busy| busy.replace(true)).unwrap_or(true);
    // This must be lazy: dropping a temporary `Busy` would remove the mark of someone else.
    (!was_busy).then(|| Busy(()))
}

/// The guard of [`mark_busy`].
pub(crate) struct Busy(());

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = BUSY.try_with(|busy| busy.set(false));
    }
}
