//! [`Receipt`]: by which a caller waits until its record is stored.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use audit_record::{Durability, Error};

use crate::recorder::sync::{
    Arc, AtomicBool, Condvar, Mutex, MutexGuard, Ordering, PoisonError, lock, spin,
};
use crate::recorder::watchdog::{Expire, Watchdog};

/// How long a thread that waits alone looks for the answer before it blocks: blocking and being woken takes about as
/// long.
const SPIN: Duration = Duration::from_micros(100);

/// The caller's half: waits, blocking or as a future.
#[must_use = "the record may not be stored yet"]
pub(crate) struct Receipt(Arc<Shared>);

/// The writer's half, which travels with the record. Dropped without an answer, it says that nothing was stored.
pub(super) struct Promise(Arc<Shared>);

/// The watchdog's way to end a wait in time, wherever the promise is.
struct Watch(Arc<Shared>);

struct Shared {
    durability: Durability,
    /// When it was asked for.
    since: Instant,
    /// For how long anybody waits.
    limit: Duration,
    watchdog: Arc<Watchdog>,
    /// Set when there is an answer; only a hint for those who look without the lock.
    is_answered: AtomicBool,
    state: Mutex<State>,
    answered: Condvar,
}

#[derive(Default)]
struct State {
    answer: Option<Result<(), Arc<Error>>>,
    waker: Option<Waker>,
    /// The watchdog knows of it.
    watched: bool,
    /// A thread is to be woken.
    sleeps: bool,
    /// It was answered, or nobody waits any more: what comes later is not heard.
    over: bool,
}

/// The two halves, for a wait of `limit` at most, which `watchdog` ends if it is a future's.
pub(super) fn receipt(
    durability: Durability,
    limit: Duration,
    watchdog: &Arc<Watchdog>,
) -> (Receipt, Promise) {
    let shared = Arc::new(Shared {
        durability,
        since: Instant::now(),
        limit,
        watchdog: watchdog.clone(),
        is_answered: AtomicBool::new(false),
        state: Mutex::default(),
        answered: Condvar::new(),
    });
    (Receipt(shared.clone()), Promise(shared))
}

impl Receipt {
    /// Waits for the answer on this thread, as long as is allowed; then an error that is transient.
    pub(crate) fn wait(self) -> Result<(), Arc<Error>> {
        let threads = &self.0.watchdog.threads;
        threads.fetch_add(1, Ordering::Relaxed);
        let answer = self.wait_here(self.0.limit);
        threads.fetch_sub(1, Ordering::Relaxed);
        answer
    }

    fn wait_here(&self, limit: Duration) -> Result<(), Arc<Error>> {
        // Not a deadline: the sum of now and a very long limit may be beyond what an `Instant` holds.
        let since = Instant::now();
        self.0.spin(limit.min(SPIN));
        let mut state = self.0.state();
        loop {
            if let Some(answer) = state.answer.take() {
                return answer;
            }
            let Some(left) = limit.checked_sub(since.elapsed()).filter(|left| !left.is_zero())
            else {
                state.over = true;
                return Err(Arc::new(out_of_time(limit)));
            };
            state.sleeps = true;
            state =
                self.0.answered.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Ready when the writer has answered, or the watchdog: the limit on the time is its to keep.
impl Future for Receipt {
    type Output = Result<(), Arc<Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Wakers are user code: none of it runs under the lock.
        let waker = cx.waker().clone();
        let mut state = self.0.state();
        if let Some(answer) = state.answer.take() {
            return Poll::Ready(answer);
        }
        let before = state.waker.replace(waker);
        let watched = std::mem::replace(&mut state.watched, true);
        drop(state);
        drop(before);
        if !watched {
            self.0.watchdog.watch(Box::new(Watch(self.0.clone())));
        }
        Poll::Pending
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.over = true;
        let waker = state.waker.take();
        drop(state);
        drop(waker);
    }
}

impl Promise {
    /// What the caller waits for.
    pub(super) fn durability(&self) -> Durability {
        self.0.durability
    }

    /// Whether nobody waits any more: an intent need not be stored then.
    pub(super) fn is_over(&self) -> bool {
        self.0.state().over
    }

    /// Lets the caller go on. Only the first answer counts.
    pub(super) fn answer(self, answer: Result<(), Arc<Error>>) {
        self.0.answer(|| answer);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.0.answer(|| Err(Arc::new(Error::permanent("the recorder is closed"))));
    }
}

impl Expire for Watch {
    fn end(&self) -> Option<Instant> {
        self.0.since.checked_add(self.0.limit)
    }

    fn is_over(&self) -> bool {
        self.0.state().over
    }

    fn expire(&self) {
        self.0.answer(|| Err(Arc::new(out_of_time(self.0.limit))));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Waits a little without giving up the processor, as long as no other thread waits: more than one would take
    /// the processors from each other and from the writer.
    fn spin(&self, limit: Duration) {
        spin(limit, || {
            self.is_answered.load(Ordering::Acquire)
                || self.watchdog.threads.load(Ordering::Relaxed) > 1
        });
    }

    fn answer(&self, answer: impl FnOnce() -> Result<(), Arc<Error>>) {
        let mut state = self.state();
        if std::mem::replace(&mut state.over, true) {
            return;
        }
        state.answer = Some(answer());
        let waker = state.waker.take();
        let sleeps = state.sleeps;
        self.is_answered.store(true, Ordering::Release);
        drop(state);
        if sleeps {
            self.answered.notify_all();
        }
        // User code: nothing of ours is locked, and what it does wrong is not the writer's business.
        if let Some(waker) = waker {
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }
}

fn out_of_time(limit: Duration) -> Error {
    Error::transient(format!(
        "the store has not taken it within {limit:?}; `Audit::health` says how it is doing"
    ))
}
