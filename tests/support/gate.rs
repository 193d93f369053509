//! A store whose door the test opens and shuts, and that remembers what came in.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use audited::{Batch, Durability, Error, Record, Sink};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// A store that remembers its batches; while it is shut, the writer thread stands before it.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Inside>);

#[derive(Default)]
struct Inside {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_shut: bool,
    /// Batches that have come to the door.
    came: usize,
    seen: Vec<Seen>,
    refuses_intents: bool,
    refuses_all: bool,
    is_busy: bool,
}

/// One batch that was stored.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) durability: Durability,
    pub(crate) records: Vec<Record>,
    pub(crate) intents: Vec<Record>,
}

impl Gate {
    pub(crate) fn open() -> Self {
        Self::default()
    }

    pub(crate) fn shut() -> Self {
        let gate = Self::default();
        gate.state().is_shut = true;
        gate
    }

    /// A store that takes records, but no intents.
    pub(crate) fn without_intents() -> Self {
        let gate = Self::default();
        gate.state().refuses_intents = true;
        gate
    }

    /// A store that takes nothing.
    pub(crate) fn broken() -> Self {
        let gate = Self::default();
        gate.state().refuses_all = true;
        gate
    }

    /// A store that takes nothing for now.
    pub(crate) fn busy() -> Self {
        let gate = Self::default();
        gate.state().is_busy = true;
        gate
    }

    pub(crate) fn let_in(&self) {
        let mut state = self.state();
        (state.is_shut, state.is_busy) = (false, false);
        drop(state);
        self.0.changed.notify_all();
    }

    pub(crate) fn shut_again(&self) {
        self.state().is_shut = true;
    }

    /// Waits until the writer has come `times` times.
    pub(crate) fn until_somebody_came(&self, times: usize) {
        let mut state = self.state();
        while state.came < times {
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn has_come(&self, times: usize) -> bool {
        self.state().came >= times
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.seen().into_iter().flat_map(|seen| seen.records).collect()
    }

    /// The records stored so far, which are forgotten here.
    pub(crate) fn take_records(&self) -> Vec<Record> {
        let seen = std::mem::take(&mut self.state().seen);
        seen.into_iter().flat_map(|seen| seen.records).collect()
    }

    pub(crate) fn intents(&self) -> Vec<Record> {
        self.seen().into_iter().flat_map(|seen| seen.intents).collect()
    }

    /// The actions stored so far.
    pub(crate) fn actions(&self) -> Vec<String> {
        self.records().iter().map(|record| record.action.to_string()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Gate {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.write_batch(&Batch::new(records))
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        let mut state = self.state();
        state.came += 1;
        self.0.changed.notify_all();
        while state.is_shut {
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.refuses_all || (state.refuses_intents && !batch.intents.is_empty()) {
            return Err(Error::permanent("the disk is gone"));
        }
        if state.is_busy {
            return Err(Error::transient("the store is busy"));
        }
        let (records, intents) = (batch.records.to_vec(), batch.intents.to_vec());
        state.seen.push(Seen { durability: batch.durability, records, intents });
        Ok(())
    }
}

/// Counts the spans that were closed: a call's span is closed when its record is queued.
#[derive(Clone, Default)]
pub(crate) struct Closed(Arc<(Mutex<usize>, Condvar)>);

impl Closed {
    /// A subscriber that counts here.
    pub(crate) fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        tracing_subscriber::registry().with(audited::layer()).with(self.clone())
    }

    /// Waits until so many were closed.
    pub(crate) fn until(&self, spans: usize) {
        let mut closed = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *closed < spans {
            closed = self.0.1.wait(closed).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<S: tracing::Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Closed {
    fn on_close(&self, _: tracing::span::Id, _: Context<'_, S>) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.1.notify_all();
    }
}
