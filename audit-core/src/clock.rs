//! The monotonic time and the system time, by a single read of a clock.
//!
//! Reading a clock costs more than most other steps of a call. So each thread remembers the offset
//! between the two clocks, and for 100 ms computes the system time from the monotonic clock. If the
//! system clock is adjusted gradually, as by NTP, both clocks change. If it is set, that is noticed
//! after at most 100 ms.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

/// How long a comparison of the clocks is valid.
const MAX_AGE: Duration = Duration::from_millis(100);
/// The precision of a comparison in nanoseconds, unless the thread is interrupted in every attempt.
const PRECISION: i64 = 5_000;
const ATTEMPTS: usize = 4;

/// The two clocks at the same moment.
#[derive(Clone, Copy)]
struct Comparison {
    instant: Instant,
    /// Nanoseconds since 1970. This is valid until 2262.
    unix_nanos: i64,
}

thread_local! {
    static LATEST: Cell<Option<Comparison>> = const { Cell::new(None) };
}

/// The current time as an `Instant`, and in microseconds since 1970 (negative before 1970).
#[inline]
pub(crate) fn now() -> (Instant, i64) {
    let instant = Instant::now();
    let latest = LATEST.try_with(Cell::get).ok().flatten();
    if let Some(latest) = latest {
        // Both instants are of this thread, so the difference is not negative.
        let elapsed = instant.duration_since(latest.instant);
        if elapsed < MAX_AGE {
            let nanos = latest.unix_nanos + i64::from(elapsed.subsec_nanos());
            return (instant, nanos.div_euclid(1_000));
        }
    }
    let compared = compare(latest);
    (compared.instant, compared.unix_nanos.div_euclid(1_000))
}

/// The current time in microseconds since 1970.
#[inline]
pub(crate) fn unix_micros() -> i64 {
    now().1
}

#[cold]
fn compare(previous: Option<Comparison>) -> Comparison {
    let mut compared = Comparison { instant: Instant::now(), unix_nanos: 0 };
    for _ in 0..ATTEMPTS {
        let start = Instant::now();
        let read = unix_nanos(SystemTime::now());
        let took = nanos(start.elapsed());
        compared = Comparison { instant: start, unix_nanos: read.saturating_sub(took / 2) };
        if took <= PRECISION {
            break;
        }
    }
    if let Some(previous) = previous {
        let elapsed = nanos(compared.instant - previous.instant);
        let expected = previous.unix_nanos.saturating_add(elapsed);
        // If the difference is only imprecision, continue from the previous comparison. So the time
        // does not go back within a thread.
        if (0..=PRECISION).contains(&(expected - compared.unix_nanos)) {
            compared.unix_nanos = expected;
        }
    }
    let _ = LATEST.try_with(|latest| latest.set(Some(compared)));
    compared
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn unix_nanos(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => nanos(after),
        Err(before) => -nanos(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_the_system_time() {
        let before = unix_nanos(SystemTime::now()) / 1_000;
        let (_, at) = now();
        let after = unix_nanos(SystemTime::now()) / 1_000;
        let precision = PRECISION / 1_000 + 1;
        assert!((before - precision..=after + precision).contains(&at), "{before} {at} {after}");
    }

    #[test]
    fn time_does_not_go_back_within_a_thread() {
        let times: Vec<_> = (0..100_000).map(|_| now()).collect();
        assert!(times.is_sorted());
    }

    #[test]
    fn a_clock_that_was_set_is_followed_but_imprecision_is_not() {
        let real = compare(None);
        let ahead = |by| Comparison { unix_nanos: real.unix_nanos + by, ..real };
        let set = compare(Some(ahead(3_600_000_000_000)));
        let elapsed = nanos(set.instant - real.instant);
        assert!((set.unix_nanos - real.unix_nanos - elapsed).abs() < 10 * PRECISION);
        let imprecise = compare(Some(ahead(PRECISION / 2)));
        let elapsed = nanos(imprecise.instant - real.instant);
        assert!(imprecise.unix_nanos - real.unix_nanos - elapsed >= 0, "the time went back");
    }
}
