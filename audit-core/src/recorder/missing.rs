//! [`Missing`]: what the trail lacks, and has not been told of yet.

use std::time::{Duration, Instant};

use chrono::Utc;

use super::writer::PAUSES;
use crate::{Error, ErrorInfo, Json, Kind, Outcome, Record};

/// The writer's account of records that are lost.
#[derive(Default)]
pub(super) struct Missing {
    /// Dropped records that `gap` records tell of.
    dropped_told: u64,
    /// Failed records that no `gap` record tells of yet.
    failed_untold: u64,
    /// Set while the store refuses for good: from one loss, or one gap refused, to the next write it takes.
    refusal: Option<Refusal>,
}

/// A store that refused the last time: when, and how long to leave it alone.
struct Refusal {
    since: Instant,
    pause: Duration,
}

impl Missing {
    /// The `gap` records to write now that `dropped` records were dropped in all; none if all is told.
    pub(super) fn gaps(&self, dropped: u64) -> Vec<Record> {
        let mut gaps = Vec::new();
        if dropped > self.dropped_told {
            gaps.push(gap(dropped - self.dropped_told, "the queue was full or closed"));
        }
        if self.failed_untold > 0 {
            gaps.push(gap(self.failed_untold, "the store refused them"));
        }
        gaps
    }

    /// How long to wait before gaps are written alone; `None` if there are none.
    pub(super) fn wait(&self, dropped: u64) -> Option<Duration> {
        let untold = dropped > self.dropped_told || self.failed_untold > 0;
        untold.then(|| {
            self.refusal.as_ref().map_or(Duration::ZERO, |refusal| {
                refusal.pause.saturating_sub(refusal.since.elapsed())
            })
        })
    }

    /// The store took what [`gaps`](Self::gaps) made for the same `dropped`.
    pub(super) fn told(&mut self, dropped: u64) {
        self.dropped_told = dropped;
        self.failed_untold = 0;
        if self.refusal.take().is_some() {
            tracing::warn!(target: "audited", "the store takes records again");
        }
    }

    /// The store refused `records` for good.
    pub(super) fn failed(&mut self, records: u64, error: &Error) {
        self.failed_untold += records;
        // Not one line a record: the gap and the counters tell how many there are.
        if self.refusal.is_none() {
            tracing::error!(target: "audited", failed = records, "records are lost: {error}");
        }
        self.refusal = Some(Refusal { since: Instant::now(), pause: PAUSES.0 });
    }

    /// The store refused gaps alone. Returns how long to leave it alone: longer each time.
    pub(super) fn refused(&mut self, error: &Error) -> Duration {
        let pause = match &self.refusal {
            Some(refusal) => (refusal.pause * 2).min(PAUSES.1),
            None => {
                tracing::error!(
                    target: "audited",
                    "the trail can't be told that records are missing: {error}"
                );
                PAUSES.0
            }
        };
        self.refusal = Some(Refusal { since: Instant::now(), pause });
        pause
    }
}

/// Tells in the trail itself that records are missing before this point.
fn gap(records: u64, reason: &str) -> Record {
    let mut gap = Record::new(Kind::Gap, "records missing", Utc::now());
    gap.method = "audited".into();
    gap.outcome = Outcome::Unknown;
    gap.output = Some(Json::trusted(format!(r#"{{"records":{records}}}"#)));
    gap.error = Some(ErrorInfo::new(
        "gap",
        format!("{records} records are missing: {reason}"),
        Vec::new(),
        None,
    ));
    gap.reason = Some(reason.to_owned());
    gap
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Error {
        Error::permanent("the table is gone")
    }

    #[test]
    fn a_store_that_refuses_gaps_is_left_alone_for_longer_each_time() {
        let mut missing = Missing::default();
        assert_eq!(missing.wait(0), None, "nothing is missing");
        assert_eq!(missing.wait(1), Some(Duration::ZERO), "told at once");
        let pauses = [(); 9].map(|()| missing.refused(&refused()).as_millis());
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]);
        missing.told(1);
        assert_eq!(missing.wait(1), None);
        assert_eq!(missing.refused(&refused()).as_millis(), 10, "from the beginning");
    }

    #[test]
    fn a_gap_that_was_refused_stays_to_be_told() {
        let mut missing = Missing::default();
        missing.failed(3, &refused());
        missing.refused(&refused());
        let told = |missing: &Missing| -> Vec<_> {
            missing.gaps(2).iter().map(|gap| gap.output.clone()).collect()
        };
        let number = |records: u64| Some(Json::trusted(format!(r#"{{"records":{records}}}"#)));
        assert_eq!(told(&missing), [number(2), number(3)]);
        missing.told(2);
        assert_eq!(told(&missing), []);
    }
}
