//! [`Load`]: what the writer has in hand, and who waits for it.

use audit_record::{Durability, Error, Record};

use crate::recorder::queue::{Entry, Queue};
use crate::recorder::receipt::Promise;
use crate::recorder::sync::Arc;

/// Records and intents that are stored together, each with the promise to answer by its own fate.
#[derive(Default)]
pub(super) struct Load {
    pub(super) records: Vec<Record>,
    /// One for each record.
    held: Vec<Held>,
    pub(super) intents: Vec<Record>,
    /// One for each intent.
    intended: Vec<Promise>,
}

/// What comes with a record.
struct Held {
    /// What it took of the queue's bound.
    bytes: usize,
    promise: Option<Promise>,
}

impl Load {
    /// Takes what waits in `queue`: records up to `most` and somewhat more than `most_bytes` and all
    /// intents.
    pub(super) fn take(&mut self, queue: &Queue, most: usize, most_bytes: usize) {
        let (mut hurried, mut bytes) = (0, 0);
        while self.records.len() < most
            && (bytes == 0 || bytes < most_bytes)
            && let Some(Entry { record, promise }) = queue.pop()
        {
            hurried += usize::from(promise.is_some());
            let held = Held { bytes: record.bytes(), promise };
            bytes += held.bytes;
            // Before anything can panic: whoever cleans up knows of it.
            queue.holds(held.bytes);
            self.records.push(record.into_record());
            self.held.push(held);
        }
        for (intent, promise) in queue.waits.take_intents() {
            hurried += 1;
            self.intents.push(*intent);
            self.intended.push(promise);
        }
        queue.took_hurried(hurried);
    }

    pub(super) fn len(&self) -> usize {
        self.records.len() + self.intents.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many callers wait for it.
    pub(super) fn waiting(&self) -> usize {
        self.promises().count()
    }

    /// What all of it must survive once it is stored.
    pub(super) fn durability(&self) -> Durability {
        self.promises().map(Promise::durability).fold(Durability::Process, Ord::max)
    }

    fn promises(&self) -> impl Iterator<Item = &Promise> {
        self.held.iter().filter_map(|held| held.promise.as_ref()).chain(&self.intended)
    }

    /// Leaves out the intents of calls that will not be made.
    pub(super) fn drop_abandoned(&mut self) {
        let (intents, intended) = (self.intents.drain(..), self.intended.drain(..));
        (self.intents, self.intended) =
            intents.zip(intended).filter(|(_, promise)| !promise.is_over()).unzip();
    }

    /// Parts it in two, in order; intents come last.
    pub(super) fn halves(mut self) -> [Self; 2] {
        let half = self.len() / 2;
        let records = half.min(self.records.len());
        let intents = half - records;
        let second = Self {
            records: self.records.split_off(records),
            held: self.held.split_off(records),
            intents: self.intents.split_off(intents),
            intended: self.intended.split_off(intents),
        };
        [self, second]
    }

    /// Frees the records and intents, which are stored or given up, and says so to `queue`.
    pub(super) fn free(&mut self, queue: &Queue) {
        self.records.clear();
        self.intents.clear();
        queue.let_go(self.held.iter().map(|held| held.bytes).sum());
        self.held.iter_mut().for_each(|held| held.bytes = 0);
    }

    /// Lets all go on that wait for it, and makes it ready for the next.
    pub(super) fn confirm(&mut self) {
        self.answer(|| Ok(()));
    }

    /// Tells all that wait for its records that these are not stored as they ask; it goes on without them.
    pub(super) fn disappoint(&mut self, error: &Arc<Error>) {
        let promises = self.held.iter_mut().filter_map(|held| held.promise.take());
        promises.for_each(|promise| promise.answer(Err(error.clone())));
    }

    /// Tells all that wait for it why it is not stored.
    pub(super) fn give_up(&mut self, error: &Arc<Error>) {
        self.answer(|| Err(error.clone()));
    }

    fn answer(&mut self, answer: impl Fn() -> Result<(), Arc<Error>>) {
        let promises = self.held.drain(..).filter_map(|held| held.promise);
        let promises = promises.chain(self.intended.drain(..));
        promises.for_each(|promise| promise.answer(answer()));
    }
}
