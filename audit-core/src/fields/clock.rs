//! The time of a change.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

use crate::clock;

/// The time for a change that takes effect now: later than that of every change of this process before,
/// also where the clock is too coarse or has been set back.
pub(crate) fn change_time() -> DateTime<Utc> {
    static LATEST: AtomicI64 = AtomicI64::new(i64::MIN);
    let now = clock::micros();
    let mut latest = LATEST.load(Ordering::Relaxed);
    loop {
        let this = now.max(latest.saturating_add(1));
        match LATEST.compare_exchange_weak(latest, this, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return DateTime::from_timestamp_micros(this).unwrap_or_default(),
            Err(seen) => latest = seen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::change_time;

    #[test]
    fn each_change_has_a_later_time() {
        let times: Vec<_> = (0..10_000).map(|_| change_time()).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
