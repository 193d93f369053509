//! Buffers of this thread for a text that is written here and copied elsewhere: it would be a pity to allocate one
//! for each value.

use std::cell::Cell;

/// Room for most values.
const ROOM: usize = 256;
/// A buffer that has grown beyond this is freed, not kept.
const KEPT: usize = 16 * 1024;

thread_local! {
    /// Two, since a message and its fields are written side by side. What is written inside of something else, by a
    /// `Serialize` that calls an audited function, finds none and gets a new one.
    static SPARE: [Cell<String>; 2] = const { [Cell::new(String::new()), Cell::new(String::new())] };
}

/// An empty buffer with some room.
pub(crate) fn take() -> String {
    let spare = SPARE.try_with(|[first, second]| {
        let spare = first.take();
        if spare.capacity() > 0 { spare } else { second.take() }
    });
    match spare {
        Ok(spare) if spare.capacity() > 0 => spare,
        _ => String::with_capacity(ROOM),
    }
}

/// Keeps the room of `used` for the next.
pub(crate) fn give_back(mut used: String) {
    if used.capacity() == 0 || used.capacity() > KEPT {
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
