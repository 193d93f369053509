//! Records that are kept in memory instead of a queue, and the transaction that they belong to.
//!
//! `testing::capture` and [`Collector`](crate::Collector) use them. Only a collector has a
//! transaction: its records are stored by the program, in a transaction that may be rolled back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use audit_record::Record;
use audit_record::private::size::size_of_record;

/// Records that were not taken yet, up to a limit in bytes.
#[derive(Default)]
pub(crate) struct MemoryRecords {
    pub(crate) records: Vec<Record>,
    bytes: usize,
    /// The number of records that exceeded the limit.
    pub(crate) dropped: u64,
}

impl MemoryRecords {
    /// Adds `record`, or counts it as dropped if it exceeds `limit` bytes in all.
    pub(crate) fn push(&mut self, record: Record, limit: usize) {
        let size = size_of_record(&record);
        if self.bytes > 0 && self.bytes + size > limit {
            self.dropped += 1;
        } else {
            self.bytes += size;
            self.records.push(record);
        }
    }
}

const OPEN: u8 = 0;
const COMMITTED: u8 = 1;
const ROLLED_BACK: u8 = 2;

/// Decides the outcome of the transaction. Dropped without [`commit`](Self::commit), the
/// transaction counts as rolled back.
#[derive(Default)]
pub(crate) struct TransactionOutcome(Arc<AtomicU8>);

/// Tells the outcome of the transaction. It is one atomic variable, so that reading takes no lock.
#[derive(Clone)]
pub(crate) struct OutcomeHandle(Arc<AtomicU8>);

impl TransactionOutcome {
    pub(crate) fn handle(&self) -> OutcomeHandle {
        OutcomeHandle(self.0.clone())
    }

    pub(crate) fn commit(&self) {
        self.0.store(COMMITTED, Ordering::Release);
    }
}

impl Drop for TransactionOutcome {
    fn drop(&mut self) {
        let _ = self.0.compare_exchange(OPEN, ROLLED_BACK, Ordering::AcqRel, Ordering::Acquire);
    }
}

impl OutcomeHandle {
    /// Whether the transaction has ended, and its changes do not exist.
    pub(crate) fn is_rolled_back(&self) -> bool {
        self.0.load(Ordering::Acquire) == ROLLED_BACK
    }

    /// Whether the transaction has ended, and its changes are permanent.
    pub(crate) fn is_committed(&self) -> bool {
        self.0.load(Ordering::Acquire) == COMMITTED
    }
}
