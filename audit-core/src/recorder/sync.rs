//! Threads, locks and atomics: from the standard library, or from `shuttle` in the models of the
//! queue (`model.rs`).

pub(crate) use std::sync::{Arc, OnceLock, PoisonError};

#[cfg(not(all(test, shuttle)))]
mod real {
    use std::cell::Cell;
    use std::time::{Duration, Instant};

    pub(crate) use std::{
        sync::{
            Condvar, Mutex, MutexGuard,
            atomic::{AtomicBool, AtomicIsize, AtomicU64, AtomicUsize, Ordering, fence},
        },
        thread::{self, JoinHandle, Thread},
    };

    thread_local! {
        /// Whether this thread is the writer thread of a recorder.
        pub(crate) static IS_WRITER: Cell<bool> = const { Cell::new(false) };
    }

    /// Sleeps for `time`. Unparking does not end it.
    pub(crate) fn sleep(time: Duration) {
        thread::sleep(time);
    }

    /// Polls `is_over` for at most `limit`, and yields to other threads in between. Parking would
    /// take longer than the expected wait.
    pub(crate) fn spin(limit: Duration, is_over: impl Fn() -> bool) {
        let since = Instant::now();
        while !is_over() && since.elapsed() < limit {
            thread::yield_now();
        }
    }

    /// Sleeps for `limit`. Unparking this thread ends it early if `is_interrupted` returns `true`.
    pub(crate) fn pause(limit: Duration, is_interrupted: impl Fn() -> bool) {
        let since = Instant::now();
        while let Some(left) = limit.checked_sub(since.elapsed()) {
            thread::park_timeout(left);
            if is_interrupted() {
                break;
            }
        }
    }
}

#[cfg(all(test, shuttle))]
mod real {
    use std::cell::Cell;
    use std::time::Duration;

    pub(crate) use shuttle::{
        sync::{
            Condvar, Mutex, MutexGuard,
            atomic::{AtomicBool, AtomicIsize, AtomicU64, AtomicUsize, Ordering, fence},
        },
        thread::{self, JoinHandle, Thread},
    };

    shuttle::thread_local! {
        pub(crate) static IS_WRITER: Cell<bool> = const { Cell::new(false) };
    }

    pub(crate) fn sleep(_: Duration) {
        thread::yield_now();
    }

    /// Time is not modelled: other threads run in between, or they do not.
    pub(crate) fn spin(_: Duration, _: impl Fn() -> bool) {
        thread::yield_now();
    }

    /// The same as `spin`.
    pub(crate) fn pause(_: Duration, _: impl Fn() -> bool) {
        thread::yield_now();
    }
}

pub(crate) use real::*;

/// Locks `mutex` even if a thread panicked while it held the lock. The data is then still valid: it
/// consists of numbers and lists.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
