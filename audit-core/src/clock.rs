//! The time of day and the monotonic time, by one reading of a clock.
//!
//! A reading costs more than most of what else a call does. So each thread remembers how the two clocks stood to each
//! other, and for a tenth of a second reckons the time of day from the monotonic clock. Adjusting the clock gradually,
//! as NTP does, moves both; where it is set, that is noticed after a tenth of a second.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

/// How long a comparison of the clocks holds.
const HOLDS: Duration = Duration::from_millis(100);
/// Comparing them is this exact, in nanoseconds, unless the thread is stopped in between again and again.
const EXACT: i64 = 5_000;
const ATTEMPTS: usize = 4;

/// How the clocks stood to each other.
#[derive(Clone, Copy)]
struct Compared {
    instant: Instant,
    /// Nanoseconds since 1970: enough until 2262.
    at: i64,
}

thread_local! {
    static COMPARED: Cell<Option<Compared>> = const { Cell::new(None) };
}

/// Now, and the same in microseconds since 1970; negative before.
#[inline]
pub(crate) fn now() -> (Instant, i64) {
    let instant = Instant::now();
    let known = COMPARED.try_with(Cell::get).ok().flatten();
    if let Some(known) = known {
        // A difference of an `Instant` that another thread took is not made here, so none is negative.
        let passed = instant.duration_since(known.instant);
        if passed < HOLDS {
            return (instant, (known.at + i64::from(passed.subsec_nanos())).div_euclid(1_000));
        }
    }
    let compared = compare(known);
    (compared.instant, compared.at.div_euclid(1_000))
}

/// Microseconds since 1970, now.
#[inline]
pub(crate) fn micros() -> i64 {
    now().1
}

#[cold]
fn compare(before: Option<Compared>) -> Compared {
    let mut compared = Compared { instant: Instant::now(), at: 0 };
    for _ in 0..ATTEMPTS {
        let begin = Instant::now();
        let at = unix_nanos(SystemTime::now());
        let between = nanos(begin.elapsed());
        compared = Compared { instant: begin, at: at.saturating_sub(between / 2) };
        if between <= EXACT {
            break;
        }
    }
    if let Some(before) = before {
        let reckoned = before.at.saturating_add(nanos(compared.instant - before.instant));
        // As exact as the comparison, the clock goes on as it did: in one thread, time does not go back for that.
        if (0..=EXACT).contains(&(reckoned - compared.at)) {
            compared.at = reckoned;
        }
    }
    let _ = COMPARED.try_with(|known| known.set(Some(compared)));
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
    fn it_is_the_time_of_day() {
        let before = unix_nanos(SystemTime::now()) / 1_000;
        let (_, at) = now();
        let after = unix_nanos(SystemTime::now()) / 1_000;
        let exact = EXACT / 1_000 + 1;
        assert!((before - exact..=after + exact).contains(&at), "{before} {at} {after}");
    }

    #[test]
    fn in_one_thread_it_does_not_go_back() {
        let times: Vec<_> = (0..100_000).map(|_| now()).collect();
        assert!(times.is_sorted());
    }

    #[test]
    fn a_clock_that_was_set_is_followed_and_one_that_was_read_inexactly_is_not() {
        let real = compare(None);
        let ahead = |by| Compared { at: real.at + by, ..real };
        let set = compare(Some(ahead(3_600_000_000_000)));
        assert!((set.at - real.at - nanos(set.instant - real.instant)).abs() < 10 * EXACT);
        let inexact = compare(Some(ahead(EXACT / 2)));
        let passed = nanos(inexact.instant - real.instant);
        assert!(inexact.at - real.at - passed >= 0, "it went back");
    }
}
