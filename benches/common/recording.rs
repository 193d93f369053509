//! Recorders and subscribers that several benches install in the same way.

use audited::store::{Batch, Store};
use audited::{Error, Record};
use tracing_subscriber::prelude::*;

/// A store that discards everything, so that only the caller's own cost is measured.
pub(crate) struct NullStore;

impl Store for NullStore {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        Ok(())
    }

    /// Accepts intents too, which the default implementation rejects.
    fn write_batch(&mut self, _: &Batch<'_>) -> Result<(), Error> {
        Ok(())
    }
}

/// The subscriber that receives the events of calls.
#[derive(Clone, Copy)]
pub(crate) enum Events {
    /// No subscriber.
    None,
    /// `audited::layer()` as the only layer in a registry.
    Layer,
    /// The subscriber that `audited::init` sets if the program has none.
    Init,
}

impl Events {
    /// Sets the subscriber for the process.
    pub(crate) fn subscribe(self) {
        match self {
            Self::None => {}
            Self::Layer => tracing_subscriber::registry().with(audited::layer()).init(),
            Self::Init => audit_core::subscribe_if_none(),
        }
    }
}
