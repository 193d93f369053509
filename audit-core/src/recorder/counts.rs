//! [`Counts`]: what was offered, counted where it can be read when the recorder is gone.

#[cfg(not(all(test, shuttle)))]
pub(super) use crate::session::Counts;

/// As those of `session`, of atomics that `shuttle` sees.
#[cfg(all(test, shuttle))]
#[derive(Default)]
pub(super) struct Counts {
    accepted: super::sync::AtomicU64,
    dropped: super::sync::AtomicU64,
}

#[cfg(all(test, shuttle))]
impl Counts {
    pub(super) fn private() -> Self {
        Self::default()
    }

    pub(super) fn shared(_: uuid::Uuid) -> Self {
        Self::default()
    }

    pub(super) fn accepted(&self) -> &super::sync::AtomicU64 {
        &self.accepted
    }

    pub(super) fn dropped(&self) -> &super::sync::AtomicU64 {
        &self.dropped
    }

    pub(super) fn remove(&self) {}
}
