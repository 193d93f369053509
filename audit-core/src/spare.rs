//! Keeps memory for reuse, so that a call need not allocate what an earlier call has just freed.
//!
//! [`SpareSlots`] keeps values for one thread and needs no synchronisation. [`SparePool`] keeps
//! values for all threads: calls begin on the threads of the program, and most of them end on the
//! writer thread.

use std::cell::Cell;
use std::sync::OnceLock;
use std::thread::LocalKey;

use audit_record::process::OwnerProcess;
use crossbeam_queue::ArrayQueue;

/// Up to `N` values that a thread keeps for reuse; stands in a `thread_local!`.
///
/// A value that is needed while all slots are empty is allocated anew. This happens when calls are
/// nested, or when a `Serialize` implementation calls an audited function.
pub(crate) struct SpareSlots<T, const N: usize = 1>([Cell<Option<T>>; N]);

impl<T, const N: usize> SpareSlots<T, N> {
    pub(crate) const fn new() -> Self {
        Self([const { Cell::new(None) }; N])
    }

    /// Takes the value that was kept last. A thread that is ending has none.
    #[inline]
    pub(crate) fn take(slots: &'static LocalKey<Self>) -> Option<T> {
        slots.try_with(|slots| slots.0.iter().find_map(Cell::take)).ok().flatten()
    }

    /// Keeps `value`; the value that was kept first gives way if all slots are full.
    #[inline]
    pub(crate) fn put(slots: &'static LocalKey<Self>, value: T) {
        let _ = slots.try_with(|slots| {
            let mut value = Some(value);
            for slot in &slots.0 {
                value = slot.replace(value);
                if value.is_none() {
                    break;
                }
            }
        });
    }
}

/// A limited number of values that all threads share for reuse; stands in a `static`.
///
/// The pool belongs to the process that opened it. Another thread may be half-way through a change of
/// the queue at a fork, and then the child would wait for it forever. So a child keeps no values.
pub(crate) struct SparePool<T> {
    limit: usize,
    values: OnceLock<(OwnerProcess, ArrayQueue<T>)>,
}

impl<T> SparePool<T> {
    /// A pool for at most `limit` values. It keeps none before it is [opened](Self::open).
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, values: OnceLock::new() }
    }

    /// Allocates the pool, if that has not happened yet.
    pub(crate) fn open(&self) {
        self.values.get_or_init(|| (OwnerProcess::current(), ArrayQueue::new(self.limit)));
    }

    #[inline]
    fn values(&self) -> Option<&ArrayQueue<T>> {
        let (owner, values) = self.values.get()?;
        owner.is_current().then_some(values)
    }

    #[inline]
    pub(crate) fn take(&self) -> Option<T> {
        self.values()?.pop()
    }

    /// Keeps `value`, or drops it if the pool is full or does not belong to this process.
    pub(crate) fn put(&self, value: T) {
        if let Some(values) = self.values() {
            let _ = values.push(value);
        }
    }

    /// Drops all values.
    pub(crate) fn clear(&self) {
        while self.take().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_keep_the_latest_values_and_return_the_last_one_first() {
        thread_local! {
            static SLOTS: SpareSlots<u32, 2> = const { SpareSlots::new() };
        }
        assert_eq!(SpareSlots::take(&SLOTS), None);
        for value in [1, 2, 3] {
            SpareSlots::put(&SLOTS, value);
        }
        let taken = [(); 3].map(|()| SpareSlots::take(&SLOTS));
        assert_eq!(taken, [Some(3), Some(2), None]);
    }

    #[test]
    fn a_pool_keeps_no_more_than_its_limit() {
        let pool = SparePool::new(2);
        pool.put(0);
        assert_eq!(pool.take(), None, "it is not open");
        pool.open();
        for value in [1, 2, 3] {
            pool.put(value);
        }
        assert_eq!([pool.take(), pool.take(), pool.take()], [Some(1), Some(2), None]);
        pool.put(4);
        pool.clear();
        assert_eq!(pool.take(), None);
    }
}
