//! [`ClockMonitor`]: detects that the system clock was set back.
//!
//! After that, records are no longer in the order of their times. The writer thread reports it in
//! the trail by a record of kind `system`.

use std::time::{Duration, Instant};

use audit_record::private::text::member;
use audit_record::{Json, Kind, Outcome, Record};
use chrono::{DateTime, TimeDelta, Utc};

/// Smaller differences between the clocks are normal and not reported.
const TOLERANCE: TimeDelta = TimeDelta::seconds(1);

/// The two clocks at the latest check.
pub(super) struct ClockMonitor {
    monotonic: Instant,
    wall: DateTime<Utc>,
}

/// The system clock shows `to`, but should show `from`.
#[derive(Debug, PartialEq, Eq)]
struct SetBack {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

impl ClockMonitor {
    pub(super) fn new() -> Self {
        Self { monotonic: Instant::now(), wall: Utc::now() }
    }

    /// Returns a record that reports it if the clock was set back since the latest check.
    pub(super) fn check(&mut self) -> Option<Record> {
        let now = Self::new();
        let elapsed = now.monotonic.duration_since(self.monotonic);
        let report = find_set_back(self.wall, elapsed, now.wall).map(|found| found.to_record());
        *self = now;
        report
    }
}

/// Whether the clock was set back, if it showed `before`, then `elapsed` passed, and now it shows
/// `now`.
fn find_set_back(before: DateTime<Utc>, elapsed: Duration, now: DateTime<Utc>) -> Option<SetBack> {
    let expected = before.checked_add_signed(TimeDelta::from_std(elapsed).ok()?)?;
    (expected - now > TOLERANCE).then_some(SetBack { from: expected, to: now })
}

impl SetBack {
    fn to_record(&self) -> Record {
        let mut record = Record::new(Kind::System, "clock set back", self.to);
        record.method = "audited".into();
        record.outcome = Outcome::Success;
        let by_us = (self.from - self.to).num_microseconds().unwrap_or(i64::MAX);
        let mut output = String::from("{");
        member(&mut output, "by_us", &by_us.unsigned_abs());
        member(&mut output, "from", &self.from);
        member(&mut output, "to", &self.to);
        output.push('}');
        record.output = Some(Json::trusted(output));
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(micros).expect("a time")
    }

    #[test]
    fn a_clock_that_keeps_pace_or_is_set_forward_is_not_reported() {
        let second = Duration::from_secs(1);
        assert_eq!(find_set_back(at(0), second, at(1_000_000)), None);
        assert_eq!(find_set_back(at(0), second, at(9_000_000_000)), None, "set forward");
        assert_eq!(find_set_back(at(0), second, at(0)), None, "within the tolerance");
        assert_eq!(find_set_back(at(0), Duration::MAX, at(0)), None, "the sum is no valid time");
    }

    #[test]
    fn a_clock_that_was_set_back_is_reported_with_the_expected_time() {
        let found = find_set_back(at(10_000_000), Duration::from_secs(2), at(10_999_999));
        let found = found.expect("it was set back by more than a second");
        assert_eq!(found, SetBack { from: at(12_000_000), to: at(10_999_999) });
        let record = found.to_record();
        assert_eq!((record.kind, &*record.action), (Kind::System, "clock set back"));
        assert_eq!(record.started_at, at(10_999_999));
        assert_eq!(
            record.output.expect("what happened").as_str(),
            r#"{"by_us":1000001,"from":"1970-01-01T00:00:12.000000Z","to":"1970-01-01T00:00:10.999999Z"}"#
        );
    }

    #[test]
    fn setting_the_clock_back_is_reported_once() {
        let mut monitor = ClockMonitor::new();
        monitor.wall += TimeDelta::hours(1);
        assert!(monitor.check().is_some());
        assert!(monitor.check().is_none());
    }
}
