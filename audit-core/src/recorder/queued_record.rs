//! [`QueuedRecord`]: what waits in the queue for the writer thread.

use std::sync::Arc;

use audit_record::Record;
use audit_record::private::size::size_of_record;

use crate::recorder::loss_count::LossCount;
use crate::recorder::receipt::Completion;

/// A call that has ended, and whose record the writer thread makes.
///
/// The queue knows only this trait, so that `recorder` does not depend on the state of calls.
pub(crate) trait Pending: Send + Sync {
    /// Makes the record. It moves the content out of `self`, so it must be called only once.
    fn into_record(self: Arc<Self>) -> Record;

    /// Adds this call to `losses`, because its record is lost.
    fn count_loss(&self, losses: &mut LossCount);
}

/// A finished record, or a call that becomes one on the writer thread.
pub(crate) enum QueuedRecord {
    Record(Box<Record>),
    /// The call, and its size in bytes.
    Pending(Arc<dyn Pending>, usize),
}

/// An element of the queue: a record, and the caller that waits for it, if any.
pub(crate) struct QueueEntry {
    pub(super) record: QueuedRecord,
    pub(super) completion: Option<Completion>,
}

impl QueuedRecord {
    /// Its size in memory while it is queued. The result is the same at every call.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Record(record) => size_of_record(record),
            Self::Pending(_, bytes) => *bytes,
        }
    }

    pub(super) fn count_loss(&self, losses: &mut LossCount) {
        match self {
            Self::Record(record) => losses.add_record(record),
            Self::Pending(pending, _) => pending.count_loss(losses),
        }
    }

    pub(super) fn into_record(self) -> Record {
        match self {
            Self::Record(record) => *record,
            Self::Pending(pending, _) => pending.into_record(),
        }
    }
}

impl From<Box<Record>> for QueuedRecord {
    fn from(record: Box<Record>) -> Self {
        Self::Record(record)
    }
}
