//! Calls that are over, kept so that the next ones find their memory.

use std::sync::{Arc, OnceLock};

use crossbeam_queue::ArrayQueue;

use crate::in_flight::CallShared;

/// Calls that are over and are kept for the next ones: at most 8 MiB of them, see `KEPT_TEXT` in `in_flight/call.rs`.
const SPARE_CALLS: usize = 4_096;

/// Of all installed recorders: each of them lives as long as the process, and so may be referred to from here.
static POOL: OnceLock<ArrayQueue<Arc<CallShared>>> = OnceLock::new();

/// A call that is over, and that nobody else holds.
#[inline]
pub(crate) fn take() -> Option<Arc<CallShared>> {
    POOL.get()?.pop()
}

/// Keeps `call`, if there is room.
pub(crate) fn keep(call: Arc<CallShared>) {
    let _ = POOL.get_or_init(|| ArrayQueue::new(SPARE_CALLS)).push(call);
}

/// Frees all that is kept.
pub(crate) fn drain() {
    if let Some(pool) = POOL.get() {
        while pool.pop().is_some() {}
    }
}
