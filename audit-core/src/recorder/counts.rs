//! [`Counts`]: what was offered, counted where it can be read when the recorder is gone.

#[cfg(not(all(test, shuttle)))]
pub(crate) use audit_record::process::Counts;

/// As those of `session`, of atomics that `shuttle` sees.
#[cfg(all(test, shuttle))]
#[derive(Default)]
pub(crate) struct Counts {
    accepted: crate::recorder::sync::AtomicU64,
    dropped: crate::recorder::sync::AtomicU64,
}

#[cfg(all(test, shuttle))]
impl Counts {
    pub(crate) fn private() -> Self {
        Self::default()
    }

    pub(crate) fn shared(_: uuid::Uuid) -> Self {
        Self::default()
    }

    pub(crate) fn accepted(&self) -> &crate::recorder::sync::AtomicU64 {
        &self.accepted
    }

    pub(crate) fn dropped(&self) -> &crate::recorder::sync::AtomicU64 {
        &self.dropped
    }

    pub(crate) fn remove(&self) {}
}

/// What became of the records so far.
///
/// `accepted + dropped` is what was offered. What was accepted is waiting, or `written`, or `failed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Taken into the queue.
    pub accepted: u64,
    /// Not taken: the queue was full or closed.
    pub dropped: u64,
    /// Stored.
    pub written: u64,
    /// Taken, and given up because the store refused them.
    pub failed: u64,
    /// Calls that did not learn in time that their record is stored, or learned that it is not. They are counted as
    /// well by what became of the record.
    pub unconfirmed: u64,
}
