//! [`Watchdog`]: ends the waits of futures in time, whatever the store does meanwhile.
//!
//! A thread that waits keeps its own time. A future can't, and the writer may be held up by the store for longer than
//! the future is to wait. So one thread for each recorder looks after them: it starts with the first future that has
//! to wait, sleeps until the earliest of their ends, and ends with the writer.

use std::collections::VecDeque;
use std::time::Instant;

use crate::busy::busy;
use crate::recorder::sync::{Arc, AtomicUsize, Condvar, Mutex, PoisonError, lock, thread};

/// A wait that ends in time, whatever the store does.
pub(super) trait Expire: Send {
    /// When the wait ends; `None` if that is so far away that no clock tells it.
    fn end(&self) -> Option<Instant>;

    /// Whether it was answered, or nobody waits any more.
    fn is_over(&self) -> bool;

    /// Says that the wait has lasted as long as is allowed.
    fn expire(&self);
}

pub(super) struct Watchdog {
    state: Mutex<State>,
    changed: Condvar,
    /// Threads that wait here, and keep their own time.
    pub(super) threads: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// Those whose time is over first. Answered ones stay until they come to the front.
    watched: VecDeque<Box<dyn Expire>>,
    /// Its thread is there.
    runs: bool,
    /// Until when the thread sleeps, if it knows.
    sleeps_until: Option<Instant>,
    /// The writer has ended: whoever comes now is answered already.
    over: bool,
}

impl Watchdog {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), threads: AtomicUsize::new(0) }
    }

    /// Sees to it that the wait ends in time.
    pub(super) fn watch(self: &Arc<Self>, watch: Box<dyn Expire>) {
        let Some(end) = watch.end() else { return };
        let mut state = lock(&self.state);
        if state.over {
            return;
        }
        while state.watched.front().is_some_and(|watch| watch.is_over()) {
            state.watched.pop_front();
        }
        // At the end but for those that came late to wait, or have less time.
        let at = state.watched.partition_point(|other| other.end() <= Some(end));
        state.watched.insert(at, watch);
        if !state.runs {
            // Without a thread, the next one that waits tries again; until then the store alone ends the wait.
            let dog = self.clone();
            let name = "audited-watchdog".to_owned();
            state.runs = thread::Builder::new().name(name).spawn(move || dog.run()).is_ok();
        } else if state.sleeps_until.is_none_or(|until| end < until) {
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Ends the thread; the writer has answered everybody, or drops what is left.
    pub(super) fn end(&self) {
        let mut state = lock(&self.state);
        state.over = true;
        state.watched.clear();
        drop(state);
        self.changed.notify_all();
    }

    fn run(&self) {
        // Wakers are user code: what they do here is not to be recorded.
        let _busy = busy();
        let mut state = lock(&self.state);
        while !state.over {
            let now = Instant::now();
            let next = state.watched.front().map(|watch| (watch.is_over(), watch.end()));
            match next {
                Some((is_over, end)) if is_over || end.is_some_and(|end| end <= now) => {
                    let watch = state.watched.pop_front();
                    drop(state);
                    // Wakes whom it concerns: not under the lock.
                    if let Some(watch) = watch {
                        watch.expire();
                    }
                    state = lock(&self.state);
                }
                Some((_, Some(end))) => {
                    state.sleeps_until = Some(end);
                    let left = end.duration_since(now);
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
