//! The limits of the queue, and the pauses after an error of the store.

use std::time::Duration;

/// The shortest and the longest pause after the store has returned an error.
pub(crate) const RETRY_PAUSES: (Duration, Duration) =
    (Duration::from_millis(10), Duration::from_secs(1));

/// What happens to a record when the queue is full; see
/// [`AuditBuilder::overflow`](crate::AuditBuilder::overflow).
///
/// ```
/// use std::time::Duration;
/// use audited::{Audit, Overflow, SqliteStore};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("audit.db");
/// // A game server that must not wait: lost records are counted and reported in the trail.
/// let audit = Audit::builder()
///     .store(SqliteStore::open(&path)?)
///     .overflow(Overflow::Drop)
///     .build()?;
/// assert_eq!(audit.counters().dropped, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The caller waits for room, but at most for this time. Then the record is dropped and
    /// counted.
    ///
    /// While the store fails, all callers share this time, counted from its first error. So a
    /// program whose store has failed is not slowed down forever. A store that has been writing one
    /// batch for more than a second counts as failing, from the start of that batch. Once the store
    /// accepts records again, callers wait as before.
    Block(Duration),
    /// The record is dropped and counted at once.
    Drop,
}

/// The limits of a queue.
#[derive(Clone, Copy)]
pub(crate) struct QueueLimits {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    pub(crate) overflow: Overflow,
    /// How long a caller waits until its record is stored.
    pub(crate) wait: Duration,
}
