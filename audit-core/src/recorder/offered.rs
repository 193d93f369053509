//! [`Offered`]: what waits for the writer.

use super::missing::Lost;
use super::size::size_of_record;
use crate::Record;
use crate::call::CallShared;

/// A record, or a call that becomes one on the writer's thread.
pub(crate) enum Offered {
    Record(Box<Record>),
    /// It has ended, and takes so many bytes.
    Call(std::sync::Arc<CallShared>, usize),
}

impl Offered {
    /// What it takes in memory while it waits; the same at every time.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Record(record) => size_of_record(record),
            Self::Call(_, bytes) => *bytes,
        }
    }

    /// Says of this that it is lost.
    pub(super) fn add_to(&self, lost: &mut Lost) {
        match self {
            Self::Record(record) => lost.add(record),
            Self::Call(call, _) => lost.add_one(&call.action, call.began()),
        }
    }

    pub(super) fn into_record(self) -> Record {
        match self {
            Self::Record(record) => *record,
            Self::Call(call, _) => CallShared::into_record(call),
        }
    }
}

impl From<Box<Record>> for Offered {
    fn from(record: Box<Record>) -> Self {
        Self::Record(record)
    }
}
