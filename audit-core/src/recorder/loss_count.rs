//! [`LossCount`]: how many records were lost, and of which actions.

use audit_record::{Gap, Record};
use chrono::{DateTime, Utc};

/// The maximum number of actions that a gap record names. All others share one number.
pub(super) const MAX_ACTIONS: usize = 32;

/// The maximum size in bytes of an action's name in a gap record.
pub(super) const MAX_NAME: usize = 200;

/// Records that were lost for one reason. A gap record reports them.
#[derive(Default)]
pub(crate) struct LossCount {
    pub(super) records: u64,
    /// When the first and the last of them began. `None` if that is unknown, because the writer
    /// thread panicked.
    range: Option<(DateTime<Utc>, DateTime<Utc>)>,
    actions: Vec<(String, u64)>,
    /// The number of records of actions that are not in `actions`.
    others: u64,
    /// When the first record was lost.
    pub(crate) since: Option<DateTime<Utc>>,
}

impl LossCount {
    pub(super) fn add_record(&mut self, record: &Record) {
        self.add(&record.action, record.started_at);
    }

    /// Adds one record of `action` that began at `started_at`.
    pub(crate) fn add(&mut self, action: &str, started_at: DateTime<Utc>) {
        self.since.get_or_insert_with(Utc::now);
        self.records += 1;
        let range = self.range.unwrap_or((started_at, started_at));
        self.range = Some((range.0.min(started_at), range.1.max(started_at)));
        self.add_action(truncate_name(action), 1);
    }

    fn add_action(&mut self, name: &str, records: u64) {
        if let Some((_, count)) = self.actions.iter_mut().find(|(known, _)| known == name) {
            *count += records;
        } else if self.actions.len() < MAX_ACTIONS {
            self.actions.push((name.to_owned(), records));
        } else {
            self.others += records;
        }
    }

    /// Adds all of `other`, which were lost later.
    pub(super) fn merge(&mut self, other: Self) {
        self.since = self.since.or(other.since);
        self.records += other.records;
        self.range = match (self.range, other.range) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        for (name, records) in other.actions {
            self.add_action(&name, records);
        }
        self.others += other.others;
    }

    /// A gap record that reports these records as lost for `reason`.
    pub(super) fn to_gap(&self, reason: impl Into<String>) -> Record {
        let mut gap = Gap::new(self.records, reason);
        (gap.from, gap.to) = self.range.unzip();
        gap.actions = self.actions.clone();
        if self.others > 0 {
            gap.actions.push(("(others)".to_owned(), self.others));
        }
        gap.to_record(Utc::now())
    }
}

/// At most [`MAX_NAME`] bytes of `action`, cut between characters.
pub(super) fn truncate_name(action: &str) -> &str {
    let end = (0..=MAX_NAME.min(action.len())).rev().find(|&at| action.is_char_boundary(at));
    &action[..end.unwrap_or_default()]
}
