//! [`Watchdog`]: ends the waits of futures at their time limits.
//!
//! A blocked thread watches its own limit. A future can't, and the store may block the writer
//! thread for longer than the limit. So each recorder has one watchdog thread. It starts with the
//! first future that has to wait, sleeps until the earliest deadline, and ends with the writer
//! thread.

use std::collections::VecDeque;
use std::time::Instant;

use crate::busy::mark_busy;
use crate::recorder::sync::{Arc, AtomicUsize, Condvar, Mutex, PoisonError, lock, thread};

/// A wait with a time limit.
pub(super) trait Timeout: Send {
    /// When the wait ends; `None` if that is too far away for an `Instant`.
    fn deadline(&self) -> Option<Instant>;

    /// Whether it has a result, or its caller no longer waits.
    fn is_over(&self) -> bool;

    /// Ends the wait, because its time limit is reached.
    fn expire(&self);
}

pub(super) struct Watchdog {
    state: Mutex<State>,
    changed: Condvar,
    /// The number of blocked threads, which watch their own limits.
    pub(super) blocked_threads: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// Sorted by deadline. Those that are over stay until they are at the front.
    waits: VecDeque<Box<dyn Timeout>>,
    /// Whether the watchdog thread runs.
    is_running: bool,
    /// Until when the thread sleeps, if it sleeps until a deadline.
    sleeps_until: Option<Instant>,
    /// Whether the writer thread has ended, so that all waits have a result.
    is_over: bool,
}

impl Watchdog {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            blocked_threads: AtomicUsize::new(0),
        }
    }

    /// Ends `wait` at its deadline.
    pub(super) fn watch(self: &Arc<Self>, wait: Box<dyn Timeout>) {
        let Some(deadline) = wait.deadline() else { return };
        let mut state = lock(&self.state);
        if state.is_over {
            return;
        }
        while state.waits.front().is_some_and(|wait| wait.is_over()) {
            state.waits.pop_front();
        }
        // This is the end of the list, except for waits with a shorter limit or a late first poll.
        let at = state.waits.partition_point(|other| other.deadline() <= Some(deadline));
        state.waits.insert(at, wait);
        if !state.is_running {
            // If the thread can't be started, the next wait tries again. Until then, only the store
            // ends this wait.
            let watchdog = self.clone();
            let name = "audited-watchdog".to_owned();
            let started = thread::Builder::new().name(name).spawn(move || watchdog.run());
            state.is_running = started.is_ok();
        } else if state.sleeps_until.is_none_or(|until| deadline < until) {
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Ends the thread, because the writer thread has completed all waits or drops them.
    pub(super) fn end(&self) {
        let mut state = lock(&self.state);
        state.is_over = true;
        state.waits.clear();
        drop(state);
        self.changed.notify_all();
    }

    fn run(&self) {
        // Wakers are user code: calls that they make on this thread are not recorded.
        let _busy = mark_busy();
        let mut state = lock(&self.state);
        while !state.is_over {
            let now = Instant::now();
            let next = state.waits.front().map(|wait| (wait.is_over(), wait.deadline()));
            match next {
                Some((is_over, deadline)) if is_over || deadline.is_some_and(|at| at <= now) => {
                    let wait = state.waits.pop_front();
                    drop(state);
                    // This calls a waker, which must not run under the lock.
                    if let Some(wait) = wait {
                        wait.expire();
                    }
                    state = lock(&self.state);
                }
                Some((_, Some(deadline))) => {
                    state.sleeps_until = Some(deadline);
                    let left = deadline.duration_since(now);
                    state = self
                        .changed
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                    state.sleeps_until = None;
                }
                _ => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}
