//! Whether this thread is at work for the audit itself; such work is not recorded in turn.

use std::cell::Cell;

thread_local! {
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as working for the audit itself, so that audited functions used by the audit, an
/// allocator for one, are not recorded in turn. `None` if it was marked already.
pub(crate) fn busy() -> Option<Busy> {
    let was = BUSY.try_with(|busy| busy.replace(true)).unwrap_or(true);
    // Lazily: a `Busy` made and dropped for nothing would end the mark.
    (!was).then(|| Busy(()))
}

/// Ends the mark of [`busy`].
pub(crate) struct Busy(());

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = BUSY.try_with(|busy| busy.set(false));
    }
}
