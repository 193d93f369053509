//! [`Receipt`] and [`Completion`]: the two halves by which a caller waits until its record is
//! stored.
//!
//! The caller keeps the receipt. The completion is queued with the record or intent, and the writer
//! thread completes it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use audit_record::{Durability, Error};

use crate::recorder::sync::{
    Arc, AtomicBool, Condvar, Mutex, MutexGuard, Ordering, PoisonError, lock, spin,
};
use crate::recorder::watchdog::{Timeout, Watchdog};

/// How long a thread that waits alone spins before it blocks. Blocking and waking up takes about as
/// long.
const SPIN: Duration = Duration::from_micros(100);

/// The caller's half. It waits, blocking or as a future.
#[must_use = "the record may not be stored yet"]
pub(crate) struct Receipt(Arc<Shared>);

/// The writer thread's half. Dropped before it is completed, it reports that nothing was stored.
pub(super) struct Completion(Arc<Shared>);

/// The watchdog's half. It ends the wait of a future at its time limit.
struct ReceiptTimeout(Arc<Shared>);

struct Shared {
    durability: Durability,
    /// When the caller began to wait.
    since: Instant,
    /// How long the caller waits at most.
    limit: Duration,
    watchdog: Arc<Watchdog>,
    /// Set once there is a result. It is only a hint for threads that spin without the lock.
    is_complete: AtomicBool,
    state: Mutex<State>,
    completed: Condvar,
}

#[derive(Default)]
struct State {
    result: Option<Result<(), Arc<Error>>>,
    waker: Option<Waker>,
    /// Whether the watchdog knows this wait.
    is_watched: bool,
    /// Whether a thread is blocked and must be woken.
    is_blocked: bool,
    /// Whether there is a result, or the caller no longer waits. Later results are ignored.
    is_over: bool,
}

/// Creates the two halves for a wait of at most `limit`. If the caller is a future, `watchdog` ends
/// the wait.
pub(super) fn new_receipt(
    durability: Durability,
    limit: Duration,
    watchdog: &Arc<Watchdog>,
) -> (Receipt, Completion) {
    let shared = Arc::new(Shared {
        durability,
        since: Instant::now(),
        limit,
        watchdog: watchdog.clone(),
        is_complete: AtomicBool::new(false),
        state: Mutex::default(),
        completed: Condvar::new(),
    });
    (Receipt(shared.clone()), Completion(shared))
}

impl Receipt {
    /// Blocks this thread until there is a result. At the time limit, it returns a transient error.
    pub(crate) fn wait(self) -> Result<(), Arc<Error>> {
        let threads = &self.0.watchdog.blocked_threads;
        threads.fetch_add(1, Ordering::Relaxed);
        let result = self.block(self.0.limit);
        threads.fetch_sub(1, Ordering::Relaxed);
        result
    }

    fn block(&self, limit: Duration) -> Result<(), Arc<Error>> {
        // There is no deadline, because now plus a very long limit may not fit into an `Instant`.
        let start = Instant::now();
        self.0.spin(limit.min(SPIN));
        let mut state = self.0.state();
        loop {
            if let Some(result) = state.result.take() {
                return result;
            }
            let Some(left) = limit.checked_sub(start.elapsed()).filter(|left| !left.is_zero())
            else {
                state.is_over = true;
                return Err(Arc::new(timeout_error(limit)));
            };
            state.is_blocked = true;
            state = self
                .0
                .completed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// Ready once the writer thread has completed it, or the watchdog at the time limit.
impl Future for Receipt {
    type Output = Result<(), Arc<Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Wakers are user code, which must not run under the lock: they are cloned before it and
        // dropped after it.
        let waker = cx.waker().clone();
        let mut state = self.0.state();
        if let Some(result) = state.result.take() {
            return Poll::Ready(result);
        }
        let previous = state.waker.replace(waker);
        let was_watched = std::mem::replace(&mut state.is_watched, true);
        drop(state);
        drop(previous);
        if !was_watched {
            self.0.watchdog.watch(Box::new(ReceiptTimeout(self.0.clone())));
        }
        Poll::Pending
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_over = true;
        let waker = state.waker.take();
        drop(state);
        drop(waker);
    }
}

impl Completion {
    /// The durability that the caller waits for.
    pub(super) fn durability(&self) -> Durability {
        self.0.durability
    }

    /// How long the caller has waited so far, in microseconds. It does not wait beyond its limit.
    pub(super) fn waited_us(&self) -> u64 {
        let waited = self.0.since.elapsed().min(self.0.limit);
        u64::try_from(waited.as_micros()).unwrap_or(u64::MAX)
    }

    /// Whether the caller no longer waits. Then its intent need not be stored.
    pub(super) fn is_over(&self) -> bool {
        self.0.state().is_over
    }

    /// Passes the result to the caller. Only the first result counts.
    pub(super) fn complete(self, result: Result<(), Arc<Error>>) {
        self.0.complete(|| result);
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.0.complete(|| Err(Arc::new(Error::closed("the recorder is closed"))));
    }
}

impl Timeout for ReceiptTimeout {
    fn deadline(&self) -> Option<Instant> {
        self.0.since.checked_add(self.0.limit)
    }

    fn is_over(&self) -> bool {
        self.0.state().is_over
    }

    fn expire(&self) {
        self.0.complete(|| Err(Arc::new(timeout_error(self.0.limit))));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Waits a short time without blocking, if no other thread waits. Several spinning threads
    /// would take the processors from each other and from the writer thread.
    fn spin(&self, limit: Duration) {
        spin(limit, || {
            self.is_complete.load(Ordering::Acquire)
                || self.watchdog.blocked_threads.load(Ordering::Relaxed) > 1
        });
    }

    fn complete(&self, result: impl FnOnce() -> Result<(), Arc<Error>>) {
        let mut state = self.state();
        if std::mem::replace(&mut state.is_over, true) {
            return;
        }
        state.result = Some(result());
        let waker = state.waker.take();
        let is_blocked = state.is_blocked;
        self.is_complete.store(true, Ordering::Release);
        drop(state);
        if is_blocked {
            self.completed.notify_all();
        }
        // The waker is user code. It runs without our lock, and its panic must not end the writer
        // thread.
        if let Some(waker) = waker {
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }
}

fn timeout_error(limit: Duration) -> Error {
    Error::transient(format!("the store has not stored it within {limit:?}; see `Audit::health`"))
}
