//! How much may wait in the queue, and for how long.

use std::time::Duration;

/// The shortest and the longest pause after the store has refused.
pub(crate) const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// What happens to a record that finds the queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The caller waits for room, for this long at most; then the record is dropped and counted.
    ///
    /// While the store refuses, this is the time for all callers together, from its first refusal on, so that a program
    /// whose store has failed is not slowed for ever; a store that does not come back from one batch for more than a
    /// second counts as one that refuses, from the begin of that batch on. Once the store takes records again, callers
    /// wait as before.
    Block(Duration),
    /// The record is dropped and counted at once.
    Drop,
}

/// How much may wait for the writer.
#[derive(Clone, Copy)]
pub(crate) struct QueueLimits {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    pub(crate) overflow: Overflow,
    /// How long a caller waits for its record.
    pub(crate) wait: Duration,
}
