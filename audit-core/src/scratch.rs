//! Per-thread text buffers for values that are rendered and then copied elsewhere. Recycling them
//! saves an allocation for each value.

use std::cell::Cell;

/// The initial capacity in bytes, enough for most values.
const INITIAL_CAPACITY: usize = 256;
/// A buffer with a larger capacity, in bytes, is freed instead of recycled.
const MAX_CAPACITY: usize = 16 * 1024;

thread_local! {
    /// Two buffers, because a message and its fields are rendered at the same time. A nested use,
    /// as by a `Serialize` implementation that calls an audited function, gets a new buffer.
    static SPARE: [Cell<String>; 2] = const { [Cell::new(String::new()), Cell::new(String::new())] };
}

/// Returns an empty buffer with some capacity.
pub(crate) fn take() -> String {
    let spare = SPARE.try_with(|[first, second]| {
        let spare = first.take();
        if spare.capacity() > 0 { spare } else { second.take() }
    });
    match spare {
        Ok(spare) if spare.capacity() > 0 => spare,
        _ => String::with_capacity(INITIAL_CAPACITY),
    }
}

/// Keeps the memory of `used` for the next [`take`] on this thread.
pub(crate) fn recycle(mut used: String) {
    if used.capacity() == 0 || used.capacity() > MAX_CAPACITY {
        return;
    }
    used.clear();
    let _ = SPARE.try_with(|[first, second]| {
        let before = first.replace(used);
        if before.capacity() > 0 {
            second.set(before);
        }
    });
}
