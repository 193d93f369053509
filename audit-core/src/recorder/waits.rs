//! [`Waits`]: who waits for the store, beside the queue of records: calls that must not begin before their
//! intent is stored.

use audit_record::private::size::size_of_record;
use audit_record::{Error, Record};

use crate::recorder::receipt::Promise;
use crate::recorder::sync::{Mutex, lock};

pub(super) struct Waits {
    intents: Mutex<Intents>,
    /// Of the intents that wait for the writer.
    bytes: usize,
}

#[derive(Default)]
struct Intents {
    waiting: Vec<(Box<Record>, Promise)>,
    bytes: usize,
    /// Nobody will store them any more.
    shut: bool,
}

impl Waits {
    pub(super) fn new(bytes: usize) -> Self {
        Self { intents: Mutex::default(), bytes }
    }

    /// Puts an intent where the writer finds it.
    pub(super) fn intend(&self, intent: Box<Record>, promise: Promise) -> Result<(), Error> {
        let size = size_of_record(&intent);
        let mut intents = lock(&self.intents);
        if intents.shut {
            return Err(Error::permanent("the recorder is closed"));
        }
        if intents.bytes > 0 && intents.bytes + size > self.bytes {
            return Err(Error::transient(
                "too many calls wait to be put on the record: the store is too slow for them, or `queue_bytes` too small",
            ));
        }
        intents.bytes += size;
        intents.waiting.push((intent, promise));
        Ok(())
    }

    // ---- writer ---------------------------------------------------------------------------------

    pub(super) fn take_intents(&self) -> Vec<(Box<Record>, Promise)> {
        let mut intents = lock(&self.intents);
        intents.bytes = 0;
        std::mem::take(&mut intents.waiting)
    }

    /// Takes no more intents. Those that wait are answered by the drop of their promises.
    pub(super) fn shut(&self) -> Vec<(Box<Record>, Promise)> {
        lock(&self.intents).shut = true;
        self.take_intents()
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests;
