//! [`Durability`]: what a record has survived when the call that made it returns.

use std::fmt;

/// What a record survives from the moment when the call that made it returns.
///
/// Set for all actions by [`AuditBuilder::durability`](crate::AuditBuilder::durability), for one by the word
/// `durability` of its attribute.
///
/// ```
/// use audited::Durability;
///
/// assert!(Durability::Power > Durability::Queued);
/// assert_eq!(Durability::Process.as_str(), "process");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// The call goes on as soon as its record is in the queue. The record survives panics and a clean end of the
    /// program; how many a kill took is told in the trail by the next start.
    #[default]
    Queued,
    /// The call waits until its record is stored: it survives the end of the process at any moment.
    Process,
    /// The call waits until the disk says that its record is on it: it survives a loss of power. Callers that wait at
    /// the same time share one sync.
    Power,
}

impl Durability {
    /// The word that stands for it in the attribute.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Process => "process",
            Self::Power => "power",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
