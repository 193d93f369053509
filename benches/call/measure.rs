//! Measures the time of one call in bursts of calls.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::bodies::Shape;
use crate::common::median;

/// Calls per burst, summed over all threads. The queue must hold all of them.
pub(crate) const BURST: u32 = 4_000;
/// Measured bursts per process.
pub(crate) const BURSTS: usize = 21;

/// Returns numbers for calls, each of them only once per process.
pub(crate) fn numbers(count: u32) -> std::ops::Range<u64> {
    static NEXT: AtomicU64 = AtomicU64::new(1_000);
    let first = NEXT.fetch_add(u64::from(count), Ordering::Relaxed);
    first..first + u64::from(count)
}

/// Returns the median time of one call in nanoseconds, measured in bursts of `calls`. `drain` lets
/// background threads finish their work between bursts.
fn median_of_bursts(calls: u32, mut burst: impl FnMut() -> Duration, drain: impl Fn()) -> f64 {
    let times = (0..=BURSTS).map(|_| {
        let time = burst();
        drain();
        time.as_nanos() as f64 / f64::from(calls)
    });
    // The first burst warms up caches and allocators.
    median(&mut times.skip(1).collect::<Vec<_>>())
}

/// Makes bursts of calls on the threads of `shape` and returns the median time of one call. Each
/// thread measures its own calls; the time of a burst is the mean over all calls.
pub(crate) fn on_threads(
    shape: Shape,
    burst: u32,
    enter: impl Fn(&dyn Fn()) + Sync,
    call: impl Fn(u64) + Sync,
    drain: impl Fn(),
) -> f64 {
    let calls = burst / shape.threads;
    let run = || {
        let begin = Instant::now();
        numbers(calls).for_each(&call);
        begin.elapsed()
    };
    if shape.threads == 1 {
        let time = std::cell::Cell::new(0.0);
        enter(&|| time.set(median_of_bursts(calls, run, &drain)));
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
        median_of_bursts(calls * shape.threads, burst, &drain)
    })
}
