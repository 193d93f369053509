//! [`PendingIntents`]: calls that must not begin before their intent is stored.
//!
//! Intents wait beside the queue of records: they are not records, and not counted as such.

use audit_record::private::size::size_of_record;
use audit_record::{Error, Record};

use crate::recorder::receipt::Completion;
use crate::recorder::sync::{Mutex, lock};

pub(super) struct PendingIntents {
    state: Mutex<State>,
    /// The limit in bytes of the intents that wait for the writer thread.
    max_bytes: usize,
}

#[derive(Default)]
struct State {
    waiting: Vec<(Box<Record>, Completion)>,
    bytes: usize,
    /// Whether the recorder is closed, so that no intent will be stored any more.
    is_closed: bool,
}

impl PendingIntents {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { state: Mutex::default(), max_bytes }
    }

    /// Adds an intent for the writer thread.
    pub(super) fn add(&self, intent: Box<Record>, completion: Completion) -> Result<(), Error> {
        let size = size_of_record(&intent);
        let mut state = lock(&self.state);
        if state.is_closed {
            return Err(Error::closed("the recorder is closed"));
        }
        if state.bytes > 0 && state.bytes + size > self.max_bytes {
            return Err(Error::transient(
                "too many calls wait until their intent is stored: the store is too slow, or \
                 `queue_bytes` is too small",
            ));
        }
        state.bytes += size;
        state.waiting.push((intent, completion));
        Ok(())
    }

    /// Removes and returns all intents, for the writer thread.
    pub(super) fn take(&self) -> Vec<(Box<Record>, Completion)> {
        let mut state = lock(&self.state);
        state.bytes = 0;
        std::mem::take(&mut state.waiting)
    }

    /// Accepts no more intents. Dropping the returned ones rejects the callers that wait for them.
    pub(super) fn close(&self) -> Vec<(Box<Record>, Completion)> {
        lock(&self.state).is_closed = true;
        self.take()
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests;
