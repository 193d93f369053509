//! [`Counters`]: the public totals of a recorder, as [`Audit::counters`](crate::Audit::counters)
//! returns them.
//!
//! They are read from two places. [`SessionCounters`](audit_record::process::SessionCounters),
//! which outlive a killed process, count the records that were offered. The queue counts what
//! became of them.

#[cfg(not(all(test, shuttle)))]
pub(crate) use audit_record::process::SessionCounters;

/// Replaces the type of the same name in the models of the queue: atomics that `shuttle` controls.
#[cfg(all(test, shuttle))]
#[derive(Default)]
pub(crate) struct SessionCounters {
    accepted: crate::recorder::sync::AtomicU64,
    dropped: crate::recorder::sync::AtomicU64,
}

#[cfg(all(test, shuttle))]
impl SessionCounters {
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

/// How many records a recorder was offered, and what became of them.
///
/// `accepted + dropped` is the number of records that were offered. An accepted record is waiting,
/// or is counted as `written` or `failed`.
///
/// ```
/// use audited::{Audit, Context, SqliteStore};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("audit.db");
/// let audit = Audit::builder().store(SqliteStore::open(&path)?).build()?;
/// Context::new().recorder(&audit).scope(|| audited::execute("pay", "bank::pay", (), || ()));
/// audit.flush()?;
/// let counters = audit.counters();
/// assert_eq!((counters.accepted, counters.written), (1, 1));
/// assert_eq!((counters.dropped, counters.failed, counters.unconfirmed), (0, 0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Records that were put into the queue.
    pub accepted: u64,
    /// Records that were not accepted, because the queue was full or closed.
    pub dropped: u64,
    /// Records that are stored.
    pub written: u64,
    /// Records that were accepted and then given up, because the store rejected them or the
    /// recorder closed before they could be stored.
    pub failed: u64,
    /// Calls that returned without a confirmation that their record is stored: the time limit was
    /// over, or storing failed. Their records are counted in the other fields as well.
    pub unconfirmed: u64,
}
