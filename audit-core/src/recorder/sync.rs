//! What threads meet by: the standard library, or `shuttle` where the protocol of the queue is checked.

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
        /// The writer can't wait for itself.
        pub(crate) static IS_WRITER: Cell<bool> = const { Cell::new(false) };
    }

    /// Lets `time` pass, whatever happens.
    pub(crate) fn sleep(time: Duration) {
        thread::sleep(time);
    }

    /// Looks again and again whether it `is_over`, for `limit` at most. Parking takes longer than what is waited for
    /// here; other threads still come first.
    pub(crate) fn spin(limit: Duration, is_over: impl Fn() -> bool) {
        let since = Instant::now();
        while !is_over() && since.elapsed() < limit {
            thread::yield_now();
        }
    }

    /// Lets `limit` pass. Whoever unparks this thread has it look whether that is cut short.
    pub(crate) fn pause(limit: Duration, is_cut_short: impl Fn() -> bool) {
        let since = Instant::now();
        while let Some(left) = limit.checked_sub(since.elapsed()) {
            thread::park_timeout(left);
            if is_cut_short() {
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

    /// Time is not modelled: what may happen meanwhile has happened or not.
    pub(crate) fn spin(_: Duration, _: impl Fn() -> bool) {
        thread::yield_now();
    }

    /// As `spin`.
    pub(crate) fn pause(_: Duration, _: impl Fn() -> bool) {
        thread::yield_now();
    }
}

pub(crate) use real::*;

/// Where a panic leaves a lock, its data is as good as before: all of it is numbers and lists.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
