//! Bursts of calls, and what one call of them takes.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::bodies::Shape;
use crate::common::median;

/// Calls of one burst, of all threads together: fewer than the queue holds.
pub(crate) const BURST: u32 = 4_000;
/// Bursts of one process.
pub(crate) const BURSTS: usize = 21;

/// Numbers that no other call has.
pub(crate) fn numbers(count: u32) -> std::ops::Range<u64> {
    static NEXT: AtomicU64 = AtomicU64::new(1_000);
    let first = NEXT.fetch_add(u64::from(count), Ordering::Relaxed);
    first..first + u64::from(count)
}

/// The median time of one call in nanoseconds, by so many bursts of so many; `rest` lets background threads
/// finish between them.
pub(crate) fn bursts(calls: u32, mut burst: impl FnMut() -> Duration, rest: impl Fn()) -> f64 {
    let times = (0..=BURSTS).map(|_| {
        let time = burst();
        rest();
        time.as_nanos() as f64 / f64::from(calls)
    });
    // The first burst warms up caches and allocators.
    median(&mut times.skip(1).collect::<Vec<_>>())
}

/// On the threads of `shape`, each of which gets its own time of its own calls: the mean of all calls is the time of
/// the burst.
pub(crate) fn on_threads(
    shape: Shape,
    burst: u32,
    enter: impl Fn(&dyn Fn()) + Sync,
    call: impl Fn(u64) + Sync,
    rest: impl Fn(),
) -> f64 {
    let calls = burst / shape.threads;
    let run = || {
        let begin = Instant::now();
        numbers(calls).for_each(&call);
        begin.elapsed()
    };
    if shape.threads == 1 {
        let time = std::cell::Cell::new(0.0);
        enter(&|| time.set(bursts(calls, run, &rest)));
        return time.get();
    }
    let barrier = Barrier::new(shape.threads as usize + 1);
    let nanos = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..shape.threads {
            scope.spawn(|| {
                enter(&|| {
                    for _ in 0..=BURSTS {
                        barrier.wait();
                        nanos.fetch_add(run().as_nanos() as u64, Ordering::Relaxed);
                        barrier.wait();
                    }
                });
            });
        }
        let burst = || {
            barrier.wait();
            barrier.wait();
            Duration::from_nanos(nanos.swap(0, Ordering::Relaxed))
        };
        bursts(calls * shape.threads, burst, &rest)
    })
}
