//! [`InFlightBatch`]: what the writer thread has taken from the queue and not finished yet, and the
//! callers that wait for it.

use audit_record::{Durability, Error, Record};

use crate::recorder::queue::Queue;
use crate::recorder::queued_record::QueueEntry;
use crate::recorder::receipt::Completion;
use crate::recorder::sync::Arc;

/// Records and intents that are stored together. Each waiting caller gets the result of its own
/// record or intent.
#[derive(Default)]
pub(super) struct InFlightBatch {
    pub(super) records: Vec<Record>,
    /// One for each record.
    entries: Vec<Entry>,
    pub(super) intents: Vec<Record>,
    /// One for each intent.
    intent_completions: Vec<Completion>,
}

/// What belongs to a record.
struct Entry {
    /// Its share of the queue's limit in bytes.
    bytes: usize,
    completion: Option<Completion>,
    /// How long the call has waited before it waited for this record, in µs; `None` if it has not.
    earlier_wait_us: Option<u64>,
}

impl InFlightBatch {
    /// Takes all intents, and records until there are `max_records` or at least `max_bytes`.
    pub(super) fn take(&mut self, queue: &Queue, max_records: usize, max_bytes: usize) {
        let (mut waiters, mut bytes) = (0, 0);
        while self.records.len() < max_records
            && (bytes == 0 || bytes < max_bytes)
            && let Some(QueueEntry { record, completion }) = queue.pop()
        {
            waiters += usize::from(completion.is_some());
            let entry_bytes = record.bytes();
            bytes += entry_bytes;
            // This comes before anything that may panic, so that the cleanup knows of these bytes.
            queue.add_in_flight_bytes(entry_bytes);
            let record = record.into_record();
            let earlier_wait_us = record.wait_us;
            self.records.push(record);
            self.entries.push(Entry { bytes: entry_bytes, completion, earlier_wait_us });
        }
        for (intent, completion) in queue.intents.take() {
            waiters += 1;
            self.intents.push(*intent);
            self.intent_completions.push(completion);
        }
        queue.subtract_waiters(waiters);
    }

    pub(super) fn len(&self) -> usize {
        self.records.len() + self.intents.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of callers that wait for it.
    pub(super) fn waiters(&self) -> usize {
        self.completions().count()
    }

    /// The durability of the whole batch: the highest that a caller waits for.
    pub(super) fn durability(&self) -> Durability {
        self.completions().map(Completion::durability).fold(Durability::Process, Ord::max)
    }

    fn completions(&self) -> impl Iterator<Item = &Completion> {
        let of_records = self.entries.iter().filter_map(|entry| entry.completion.as_ref());
        of_records.chain(&self.intent_completions)
    }

    /// Writes into each record how long its caller has waited so far. Called before each attempt to
    /// store the batch, so that the record includes the time of the attempts that failed.
    pub(super) fn set_waits(&mut self) {
        for (record, entry) in self.records.iter_mut().zip(&self.entries) {
            if let Some(completion) = &entry.completion {
                let earlier = entry.earlier_wait_us.unwrap_or(0);
                record.wait_us = Some(earlier.saturating_add(completion.waited_us()));
            }
        }
    }

    /// Removes the intents of calls that no longer wait, and so will not run.
    pub(super) fn remove_abandoned_intents(&mut self) {
        let (intents, completions) = (self.intents.drain(..), self.intent_completions.drain(..));
        (self.intents, self.intent_completions) =
            intents.zip(completions).filter(|(_, completion)| !completion.is_over()).unzip();
    }

    /// Splits it into two halves. The order is kept: records first, then intents.
    pub(super) fn split(mut self) -> [Self; 2] {
        let half = self.len() / 2;
        let records = half.min(self.records.len());
        let intents = half - records;
        let second = Self {
            records: self.records.split_off(records),
            entries: self.entries.split_off(records),
            intents: self.intents.split_off(intents),
            intent_completions: self.intent_completions.split_off(intents),
        };
        [self, second]
    }

    /// Drops the records and intents, which are stored or given up, and releases their bytes.
    pub(super) fn release(&mut self, queue: &Queue) {
        self.records.clear();
        self.intents.clear();
        queue.release_bytes(self.entries.iter().map(|entry| entry.bytes).sum());
        self.entries.iter_mut().for_each(|entry| entry.bytes = 0);
    }

    /// Confirms all callers that wait for it.
    pub(super) fn confirm_waiters(&mut self) {
        self.complete(|| Ok(()));
    }

    /// Returns `error` to the callers that wait for its records. The records and all intents stay.
    pub(super) fn reject_record_waiters(&mut self, error: &Arc<Error>) {
        let completions = self.entries.iter_mut().filter_map(|entry| entry.completion.take());
        completions.for_each(|completion| completion.complete(Err(error.clone())));
    }

    /// Returns `error` to all callers that wait for it.
    pub(super) fn reject_waiters(&mut self, error: &Arc<Error>) {
        self.complete(|| Err(error.clone()));
    }

    fn complete(&mut self, result: impl Fn() -> Result<(), Arc<Error>>) {
        let completions = self.entries.drain(..).filter_map(|entry| entry.completion);
        let completions = completions.chain(self.intent_completions.drain(..));
        completions.for_each(|completion| completion.complete(result()));
    }
}
