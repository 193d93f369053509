//! [`Fate`]: what becomes of a transaction whose records are collected.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const OPEN: u8 = 0;
const KEPT: u8 = 1;
const UNDONE: u8 = 2;

/// Who decides. What is not taken back until this is dropped stays.
#[derive(Default)]
pub(crate) struct Fate(Arc<AtomicU8>);

/// Who wants to know. Only told apart by the transaction, so that no lock is needed.
#[derive(Clone)]
pub(crate) struct Outlook(Arc<AtomicU8>);

impl Fate {
    pub(crate) fn outlook(&self) -> Outlook {
        Outlook(self.0.clone())
    }

    /// All that was recorded has not happened.
    pub(crate) fn undo(&self) {
        self.0.store(UNDONE, Ordering::Release);
    }
}

impl Drop for Fate {
    fn drop(&mut self) {
        let _ = self.0.compare_exchange(OPEN, KEPT, Ordering::AcqRel, Ordering::Acquire);
    }
}

impl Outlook {
    /// Whether it was taken back.
    pub(crate) fn is_undone(&self) -> bool {
        self.0.load(Ordering::Acquire) == UNDONE
    }

    /// Whether it is certain to stay.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.load(Ordering::Acquire) == KEPT
    }
}
