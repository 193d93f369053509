//! [`LossReport`]: what the trail must report before it stores anything newer.

use std::time::{Duration, Instant};

use audit_record::{Error, Record};

use crate::capture;
use crate::recorder::loss_count::{LossCount, MAX_ACTIONS};
use crate::recorder::settings::RETRY_PAUSES;

/// The maximum size in bytes of the store's error in a gap record.
const MAX_REASON: usize = 1_000;

/// The losses that the trail does not report yet. It belongs to the writer thread.
#[derive(Default)]
pub(super) struct LossReport {
    /// How many dropped records the gap records in the store report.
    dropped_reported: u64,
    /// Dropped records that are not reported yet.
    dropped: LossCount,
    /// Failed records that are not reported yet, and the store's latest error.
    failed: LossCount,
    reason: String,
    /// Other records that must precede anything newer, such as "clock set back".
    notices: Vec<Record>,
    /// The gap records of the latest attempt. The store may have stored them although it returned
    /// an error. So a retry must use the same ids: then the store recognises them.
    gaps: Vec<Record>,
    /// How many dropped and failed records `gaps` reports.
    gaps_cover: (u64, u64),
    /// Set while the store rejects records: from the first rejected batch or gap record until the
    /// next successful write.
    rejection: Option<Rejection>,
}

/// When the store returned its latest permanent error, and how long to wait after it.
struct Rejection {
    since: Instant,
    pause: Duration,
}

impl LossReport {
    /// Adds records that callers have dropped.
    pub(super) fn add_dropped(&mut self, losses: LossCount) {
        self.dropped.merge(losses);
    }

    /// Whether all of `dropped` records are included here. `dropped` is a total of the session.
    pub(super) fn includes_dropped(&self, dropped: u64) -> bool {
        self.dropped_total() == dropped
    }

    /// How many dropped records the trail reports once it has stored
    /// [`records`](Self::records). It is a total of the session.
    pub(super) fn dropped_total(&self) -> u64 {
        self.dropped_reported + self.dropped.records
    }

    /// The records to store before anything newer; empty if there is nothing to report.
    pub(super) fn records(&mut self) -> Vec<Record> {
        let losses = (self.dropped.records, self.failed.records);
        if self.gaps_cover != losses {
            self.gaps_cover = losses;
            self.gaps.clear();
            if self.dropped.records > 0 {
                self.gaps.push(self.dropped.to_gap("the queue was full or closed"));
            }
            if self.failed.records > 0 {
                let reason = format!("the store rejected them: {}", self.reason);
                self.gaps.push(self.failed.to_gap(reason));
            }
        }
        [&self.notices[..], &self.gaps].concat()
    }

    /// Whether records are lost that the trail does not report.
    pub(super) fn has_losses(&self) -> bool {
        self.dropped.records > 0 || self.failed.records > 0
    }

    /// How long to wait until [`records`](Self::records) are written without a batch; `None` if
    /// there are none.
    pub(super) fn delay(&self) -> Option<Duration> {
        (self.has_losses() || !self.notices.is_empty()).then(|| {
            self.rejection.as_ref().map_or(Duration::ZERO, |rejection| {
                rejection.pause.saturating_sub(rejection.since.elapsed())
            })
        })
    }

    /// The store has accepted [`records`](Self::records). Returns whether it had rejected records
    /// before.
    pub(super) fn set_stored(&mut self) -> bool {
        self.dropped_reported += self.dropped.records;
        self.dropped = LossCount::default();
        self.failed = LossCount::default();
        self.gaps.clear();
        self.gaps_cover = (0, 0);
        self.notices.clear();
        self.rejection.take().is_some()
    }

    /// Adds a record that must precede anything newer.
    pub(super) fn add_notice(&mut self, notice: Record) {
        // While the store accepts nothing, the first notices are the ones that show the cause.
        if self.notices.len() < MAX_ACTIONS {
            self.notices.push(notice);
        }
    }

    /// Adds records that the store has rejected with `error`. Returns whether it is the first
    /// rejection since the latest successful write.
    pub(super) fn add_failed<'r>(
        &mut self,
        records: impl IntoIterator<Item = &'r Record>,
        error: &Error,
    ) -> bool {
        records.into_iter().for_each(|record| self.failed.add_record(record));
        self.reason = capture::format_limited(MAX_REASON, format_args!("{error}")).text;
        let is_first = self.rejection.is_none();
        self.rejection = Some(Rejection { since: Instant::now(), pause: RETRY_PAUSES.0 });
        is_first
    }

    /// Adds failed records of which only the number is known.
    pub(super) fn add_unknown_failed(&mut self, records: u64) {
        self.failed.records += records;
    }

    /// The store has rejected [`records`](Self::records), written without a batch. Returns how long
    /// to wait before the next attempt, which grows with every rejection, and whether it is the
    /// first rejection.
    pub(super) fn set_rejected(&mut self) -> (Duration, bool) {
        let (pause, is_first) = match &self.rejection {
            Some(rejection) => ((rejection.pause * 2).min(RETRY_PAUSES.1), false),
            None => (RETRY_PAUSES.0, true),
        };
        self.rejection = Some(Rejection { since: Instant::now(), pause });
        (pause, is_first)
    }
}

#[cfg(test)]
mod tests;
