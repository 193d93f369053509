//! What waits for the writer, and what is known of it when it is lost.

use std::sync::Arc;

use audit_record::private::size::size_of_record;
use audit_record::{Gap, Record};
use chrono::{DateTime, Utc};

/// What becomes a record on the writer thread.
pub(crate) trait Pending: Send + Sync {
    /// The record; what it takes out of this is not there a second time.
    fn into_record(self: Arc<Self>) -> Record;

    /// Adds this to `lost`.
    fn add_to(&self, lost: &mut Lost);
}

/// A record, or what becomes one on the writer thread.
pub(crate) enum Offered {
    Record(Box<Record>),
    /// It takes so many bytes.
    Pending(Arc<dyn Pending>, usize),
}

impl Offered {
    /// What it takes in memory while it waits; the same at every time.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Record(record) => size_of_record(record),
            Self::Pending(_, bytes) => *bytes,
        }
    }

    /// Says of this that it is lost.
    pub(super) fn add_to(&self, lost: &mut Lost) {
        match self {
            Self::Record(record) => lost.add(record),
            Self::Pending(pending, _) => pending.add_to(lost),
        }
    }

    pub(super) fn into_record(self) -> Record {
        match self {
            Self::Record(record) => *record,
            Self::Pending(pending, _) => pending.into_record(),
        }
    }
}

impl From<Box<Record>> for Offered {
    fn from(record: Box<Record>) -> Self {
        Self::Record(record)
    }
}

/// Actions that a gap names; what others have lost is one sum.
pub(super) const ACTIONS: usize = 32;

/// Bytes of an action's name in a gap.
pub(super) const NAME: usize = 200;

/// Records that were lost for one reason: how many, when they began, and of which action.
#[derive(Default)]
pub(crate) struct Lost {
    pub(super) records: u64,
    /// When the first and the last of them began; none are known if the writer died with them.
    range: Option<(DateTime<Utc>, DateTime<Utc>)>,
    actions: Vec<(String, u64)>,
    others: u64,
    /// When the first was lost.
    pub(crate) since: Option<DateTime<Utc>>,
}

impl Lost {
    pub(super) fn add(&mut self, record: &Record) {
        self.add_one(&record.action, record.started_at);
    }

    /// Adds a record of `action` that began `at` this time.
    pub(crate) fn add_one(&mut self, action: &str, at: DateTime<Utc>) {
        self.since.get_or_insert_with(Utc::now);
        self.records += 1;
        self.range = Some(self.range.map_or((at, at), |(from, to)| (from.min(at), to.max(at))));
        self.add_action(shortened(action), 1);
    }

    fn add_action(&mut self, name: &str, records: u64) {
        if let Some((_, count)) = self.actions.iter_mut().find(|(known, _)| known == name) {
            *count += records;
        } else if self.actions.len() < ACTIONS {
            self.actions.push((name.to_owned(), records));
        } else {
            self.others += records;
        }
    }

    /// Takes `other` in as well, which was lost later.
    pub(super) fn merge(&mut self, other: Self) {
        self.since = self.since.or(other.since);
        self.records += other.records;
        self.range = match (self.range, other.range) {
            (Some((from, to)), Some((also, until))) => Some((from.min(also), to.max(until))),
            (one, another) => one.or(another),
        };
        for (name, records) in other.actions {
            self.add_action(&name, records);
        }
        self.others += other.others;
    }

    /// The record that reports these, for `reason`.
    pub(super) fn gap(&self, reason: impl Into<String>) -> Record {
        let mut gap = Gap::new(self.records, reason);
        (gap.from, gap.to) = self.range.unzip();
        gap.actions = self.actions.clone();
        if self.others > 0 {
            gap.actions.push(("(others)".to_owned(), self.others));
        }
        gap.to_record(Utc::now())
    }
}

pub(super) fn shortened(action: &str) -> &str {
    let end = (0..=NAME.min(action.len())).rev().find(|&at| action.is_char_boundary(at));
    &action[..end.unwrap_or_default()]
}
