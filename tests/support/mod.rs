//! A store in memory that several test binaries use.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::{Arc, Mutex, PoisonError};

use audited::store::Store;
use audited::{Error, Record};

/// A store that keeps its records in memory. Clones share the records.
#[derive(Clone, Default)]
pub(crate) struct MemoryStore(Arc<Mutex<Vec<Record>>>);

impl MemoryStore {
    /// The records stored so far.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The actions stored so far.
    pub(crate) fn actions(&self) -> Vec<String> {
        self.records().iter().map(|record| record.action.to_string()).collect()
    }
}

impl Store for MemoryStore {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(records);
        Ok(())
    }
}
