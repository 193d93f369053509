//! What several tests need.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::{Arc, Mutex, PoisonError};

use audited::{Error, Record, Sink};

/// A store that keeps records where the test can see them.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<Record>>>);

impl Kept {
    /// What was stored so far.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The actions stored so far.
    pub(crate) fn actions(&self) -> Vec<String> {
        self.records().iter().map(|record| record.action.to_string()).collect()
    }
}

impl Sink for Kept {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(records);
        Ok(())
    }
}
