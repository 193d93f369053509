//! [`ChangeLocation`] and [`FirstLocations`]: where changes are stored, and the first of them in
//! the order of a query.

use std::collections::BinaryHeap;

use audit_record::store::{ChangePosition, ChangeQuery};

use super::decode::{clamp_micros, has_submicros};

/// Where a change is: when it took effect, in microseconds since 1970, its record, and its position
/// in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChangeLocation {
    pub(super) time: i64,
    pub(super) seq: i64,
    pub(super) position: i64,
}

impl ChangeLocation {
    fn from_position(position: ChangePosition) -> Self {
        let ChangePosition { changed_at, seq, position, .. } = position;
        let time = clamp_micros(changed_at.timestamp_micros());
        if has_submicros(changed_at) {
            // After all changes of this microsecond, and before all changes of the next one.
            return Self { time, seq: i64::MAX, position: i64::MAX };
        }
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        Self { time, seq, position: position as i64 }
    }
}

/// The first `limit` locations after `after`, of those found so far.
pub(super) struct FirstLocations {
    /// Whether they are ordered by time. Otherwise they are in the order of storing.
    pub(super) by_time: bool,
    newest_first: bool,
    after: Option<ChangeLocation>,
    limit: usize,
    /// The last one is on top, so that it can be replaced by one that sorts before it.
    sort_keys: BinaryHeap<ChangeLocation>,
}

impl FirstLocations {
    pub(super) fn new(query: &ChangeQuery) -> Self {
        let mut first = Self {
            by_time: query.target_id.is_some(),
            newest_first: query.newest_first,
            after: None,
            limit: query.limit,
            sort_keys: BinaryHeap::new(),
        };
        let after = query.after.map(ChangeLocation::from_position);
        first.after = after.map(|after| first.sort_key(after));
        first
    }

    pub(super) fn is_full(&self) -> bool {
        self.sort_keys.len() >= self.limit
    }

    pub(super) fn add(&mut self, location: ChangeLocation) {
        let key = self.sort_key(location);
        if self.after.is_some_and(|after| key <= after) {
            return;
        }
        if !self.is_full() {
            self.sort_keys.push(key);
        } else if let Some(mut last) = self.sort_keys.peek_mut()
            && key < *last
        {
            *last = key;
        }
    }

    /// A value that sorts in the order of the query. Applied twice, it gives the location again,
    /// except for a time that is not part of the order.
    fn sort_key(&self, location: ChangeLocation) -> ChangeLocation {
        let ChangeLocation { time, seq, position } = location;
        let time = if self.by_time { time } else { 0 };
        if self.newest_first {
            ChangeLocation { time: !time, seq: !seq, position: !position }
        } else {
            ChangeLocation { time, seq, position }
        }
    }

    pub(super) fn into_locations(mut self) -> Vec<ChangeLocation> {
        let keys = std::mem::take(&mut self.sort_keys).into_sorted_vec();
        keys.into_iter().map(|key| self.sort_key(key)).collect()
    }
}
