//! [`Clock`]: notices that the machine's clock was set back, for then the order of the times is not that of the
//! records.

use std::time::{Duration, Instant};

use audit_record::private::text::member;
use audit_record::{Json, Kind, Outcome, Record};
use chrono::{DateTime, TimeDelta, Utc};

/// What clocks may differ by without having been set.
const TOLERANCE: TimeDelta = TimeDelta::seconds(1);

/// The two clocks at the latest look.
pub(super) struct Clock {
    steady: Instant,
    wall: DateTime<Utc>,
}

/// The clock went to `to` where it should have been at `from`.
#[derive(Debug, PartialEq, Eq)]
struct SetBack {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

impl Clock {
    pub(super) fn now() -> Self {
        Self { steady: Instant::now(), wall: Utc::now() }
    }

    /// What to tell, if the clock was set back since the latest look.
    pub(super) fn look(&mut self) -> Option<Record> {
        let now = Self::now();
        let passed = now.steady.duration_since(self.steady);
        let found = set_back(self.wall, passed, now.wall).map(|found| found.record());
        *self = now;
        found
    }
}

/// Whether the clock was set back: it showed `before`, then `passed` went by, and now it shows `now`.
fn set_back(before: DateTime<Utc>, passed: Duration, now: DateTime<Utc>) -> Option<SetBack> {
    let expected = before.checked_add_signed(TimeDelta::from_std(passed).ok()?)?;
    (expected - now > TOLERANCE).then_some(SetBack { from: expected, to: now })
}

impl SetBack {
    fn record(&self) -> Record {
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
    fn a_clock_that_keeps_up_or_goes_ahead_is_no_news() {
        let second = Duration::from_secs(1);
        assert_eq!(set_back(at(0), second, at(1_000_000)), None);
        assert_eq!(set_back(at(0), second, at(9_000_000_000)), None, "set ahead");
        assert_eq!(set_back(at(0), second, at(0)), None, "by a second, which is within bounds");
        assert_eq!(set_back(at(0), Duration::MAX, at(0)), None, "no such time");
    }

    #[test]
    fn a_clock_set_back_is_told_with_where_it_should_be() {
        let found = set_back(at(10_000_000), Duration::from_secs(2), at(10_999_999));
        let found = found.expect("it was set back by more than a second");
        assert_eq!(found, SetBack { from: at(12_000_000), to: at(10_999_999) });
        let record = found.record();
        assert_eq!((record.kind, &*record.action), (Kind::System, "clock set back"));
        assert_eq!(record.started_at, at(10_999_999));
        assert_eq!(
            record.output.expect("what happened").as_str(),
            r#"{"by_us":1000001,"from":"1970-01-01T00:00:12.000000Z","to":"1970-01-01T00:00:10.999999Z"}"#
        );
    }

    #[test]
    fn one_look_tells_it_once() {
        let mut clock = Clock::now();
        clock.wall += TimeDelta::hours(1);
        assert!(clock.look().is_some());
        assert!(clock.look().is_none());
    }
}
