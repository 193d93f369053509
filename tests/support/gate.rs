//! A store that a test can block and unblock, and that keeps the batches it has stored.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use audited::store::{Batch, Store};
use audited::{Durability, Error, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// A store that keeps its batches. While it is shut, a write blocks the writer thread.
#[derive(Clone, Default)]
pub(crate) struct GatedStore(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_shut: bool,
    /// The number of batches that the writer thread has offered.
    offered: usize,
    stored: Vec<StoredBatch>,
    rejects_intents: bool,
    rejects_all: bool,
    is_busy: bool,
}

/// A batch that was stored.
#[derive(Clone)]
pub(crate) struct StoredBatch {
    pub(crate) durability: Durability,
    pub(crate) records: Vec<Record>,
    pub(crate) intents: Vec<Record>,
}

impl GatedStore {
    /// A store that accepts everything.
    pub(crate) fn accepting() -> Self {
        Self::default()
    }

    /// A store that blocks every write until [`unblock`](Self::unblock).
    pub(crate) fn blocked() -> Self {
        let gate = Self::default();
        gate.state().is_shut = true;
        gate
    }

    /// A store that accepts records, but rejects intents with a permanent error.
    pub(crate) fn rejecting_intents() -> Self {
        let gate = Self::default();
        gate.state().rejects_intents = true;
        gate
    }

    /// A store that rejects everything with a permanent error.
    pub(crate) fn failing() -> Self {
        let gate = Self::default();
        gate.state().rejects_all = true;
        gate
    }

    /// A store that rejects everything with a transient error until [`unblock`](Self::unblock).
    pub(crate) fn busy() -> Self {
        let gate = Self::default();
        gate.state().is_busy = true;
        gate
    }

    /// Accepts the writes that are blocked, and all later ones.
    pub(crate) fn unblock(&self) {
        let mut state = self.state();
        (state.is_shut, state.is_busy) = (false, false);
        drop(state);
        self.0.changed.notify_all();
    }

    /// Blocks all later writes.
    pub(crate) fn block(&self) {
        self.state().is_shut = true;
    }

    /// Waits until the writer thread has offered `times` batches.
    pub(crate) fn wait_for_batches(&self, times: usize) {
        let mut state = self.state();
        while state.offered < times {
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether the writer thread has offered `times` batches.
    pub(crate) fn has_received(&self, times: usize) -> bool {
        self.state().offered >= times
    }

    /// The batches stored so far.
    pub(crate) fn batches(&self) -> Vec<StoredBatch> {
        self.state().stored.clone()
    }

    /// The records stored so far.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.batches().into_iter().flat_map(|seen| seen.records).collect()
    }

    /// Removes and returns the records stored so far.
    pub(crate) fn take_records(&self) -> Vec<Record> {
        let seen = std::mem::take(&mut self.state().stored);
        seen.into_iter().flat_map(|seen| seen.records).collect()
    }

    /// The intents stored so far.
    pub(crate) fn intents(&self) -> Vec<Record> {
        self.batches().into_iter().flat_map(|seen| seen.intents).collect()
    }

    /// The actions stored so far.
    pub(crate) fn actions(&self) -> Vec<String> {
        self.records().iter().map(|record| record.action.to_string()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for GatedStore {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.write_batch(&Batch::new(records))
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        let mut state = self.state();
        state.offered += 1;
        self.0.changed.notify_all();
        while state.is_shut {
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.rejects_all || (state.rejects_intents && !batch.intents.is_empty()) {
            return Err(Error::permanent("the disk is gone"));
        }
        if state.is_busy {
            return Err(Error::transient("the store is busy"));
        }
        let (records, intents) = (batch.records.to_vec(), batch.intents.to_vec());
        state.stored.push(StoredBatch { durability: batch.durability, records, intents });
        Ok(())
    }
}

/// A layer that counts closed spans. The span of a call is closed when its record is queued.
#[derive(Clone, Default)]
pub(crate) struct ClosedSpans(Arc<(Mutex<usize>, Condvar)>);

impl ClosedSpans {
    /// A subscriber with this layer.
    pub(crate) fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        tracing_subscriber::registry().with(audited::layer()).with(self.clone())
    }

    /// Waits until `spans` spans are closed.
    pub(crate) fn wait_for(&self, spans: usize) {
        let mut closed = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *closed < spans {
            closed = self.0.1.wait(closed).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<S: tracing::Subscriber + for<'s> LookupSpan<'s>> Layer<S> for ClosedSpans {
    fn on_close(&self, _: tracing::span::Id, _: Context<'_, S>) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.1.notify_all();
    }
}
