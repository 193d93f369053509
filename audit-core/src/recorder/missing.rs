//! [`Missing`]: what the trail lacks, and has not been told of yet.

use std::time::{Duration, Instant};

use audit_record::{Error, Record};

use crate::capture;
use crate::recorder::offered::{ACTIONS, Lost};
use crate::recorder::settings::PAUSES;

/// Bytes of what the store said.
const WHY: usize = 1_000;

/// The writer's account of records that are lost.
#[derive(Default)]
pub(super) struct Missing {
    /// Dropped records that `gap` records in the store tell of.
    dropped_told: u64,
    /// Dropped records that the store has not been told of.
    dropped: Lost,
    /// Failed ones that it has not been told of, and what the store said of the latest.
    failed: Lost,
    why: String,
    /// What else is to be told before anything newer.
    remarks: Vec<Record>,
    /// What tells of these, as it was made for the latest attempt: a store may have taken it, and not know. Offered
    /// again under the same id, it is found.
    gaps: Vec<Record>,
    /// Of how many dropped and failed records it tells.
    gaps_of: (u64, u64),
    /// Set while the store refuses for good: from one loss, or one gap refused, to the next write it takes.
    refusal: Option<Refusal>,
}

/// A store that refused the last time: when, and how long to leave it alone.
struct Refusal {
    since: Instant,
    pause: Duration,
}

impl Missing {
    /// Takes over what callers have dropped.
    pub(super) fn dropped(&mut self, lost: Lost) {
        self.dropped.merge(lost);
    }

    /// Whether `dropped` records in all are more than are known here.
    pub(super) fn knows(&self, dropped: u64) -> bool {
        self.dropped_told + self.dropped.records == dropped
    }

    /// Dropped records that the trail tells of, once it has what [`front`](Self::front) makes now.
    pub(super) fn dropped_told(&self) -> u64 {
        self.dropped_told + self.dropped.records
    }

    /// What to write before anything newer; nothing if all is told.
    pub(super) fn front(&mut self) -> Vec<Record> {
        let lost = (self.dropped.records, self.failed.records);
        if self.gaps_of != lost {
            self.gaps_of = lost;
            self.gaps.clear();
            if self.dropped.records > 0 {
                self.gaps.push(self.dropped.gap("the queue was full or closed"));
            }
            if self.failed.records > 0 {
                self.gaps.push(self.failed.gap(format!("the store refused them: {}", self.why)));
            }
        }
        [&self.remarks[..], &self.gaps].concat()
    }

    /// Whether records are missing that the trail does not tell of.
    pub(super) fn is_untold(&self) -> bool {
        self.dropped.records > 0 || self.failed.records > 0
    }

    /// How long to wait before the front is written alone; `None` if there is none.
    pub(super) fn wait(&self) -> Option<Duration> {
        (self.is_untold() || !self.remarks.is_empty()).then(|| {
            self.refusal.as_ref().map_or(Duration::ZERO, |refusal| {
                refusal.pause.saturating_sub(refusal.since.elapsed())
            })
        })
    }

    /// The store took what [`front`](Self::front) made. Returns whether it had refused before.
    pub(super) fn told(&mut self) -> bool {
        self.dropped_told += self.dropped.records;
        self.dropped = Lost::default();
        self.failed = Lost::default();
        self.gaps.clear();
        self.gaps_of = (0, 0);
        self.remarks.clear();
        self.refusal.take().is_some()
    }

    /// Has `remark` written before anything newer.
    pub(super) fn remark(&mut self, remark: Record) {
        // While the store takes nothing: the first ones tell how the trouble began.
        if self.remarks.len() < ACTIONS {
            self.remarks.push(remark);
        }
    }

    /// The store refused these for good, of which it is told later. Returns whether it is the first it refused.
    pub(super) fn failed<'r>(
        &mut self,
        records: impl IntoIterator<Item = &'r Record>,
        error: &Error,
    ) -> bool {
        records.into_iter().for_each(|record| self.failed.add(record));
        self.why = capture::format_limited(WHY, format_args!("{error}")).text;
        let first = self.refusal.is_none();
        self.refusal = Some(Refusal { since: Instant::now(), pause: PAUSES.0 });
        first
    }

    /// As many records as this are lost, of which nothing is known.
    pub(super) fn failed_unseen(&mut self, records: u64) {
        self.failed.records += records;
    }

    /// The store refused the front alone. Returns how long to leave it alone: longer each time; and whether it is the
    /// first it refused.
    pub(super) fn refused(&mut self) -> (Duration, bool) {
        let (pause, first) = match &self.refusal {
            Some(refusal) => ((refusal.pause * 2).min(PAUSES.1), false),
            None => (PAUSES.0, true),
        };
        self.refusal = Some(Refusal { since: Instant::now(), pause });
        (pause, first)
    }
}

#[cfg(test)]
mod tests;
