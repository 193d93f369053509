//! [`Found`]: the first places of those that a query asks for.

use std::collections::BinaryHeap;

use audit_record::store::{ChangePosition, ChangeQuery};

use super::filter::is_between_micros;
use super::{Place, in_range};

/// The places found so far: of those behind `after`, the first `limit`.
pub(super) struct Found {
    /// The order is that of time, not that of storing.
    pub(super) by_time: bool,
    newest_first: bool,
    after: Option<Place>,
    limit: usize,
    /// The last one on top, to make room for one that comes before it.
    places: BinaryHeap<Place>,
}

impl Found {
    pub(super) fn new(query: &ChangeQuery) -> Self {
        let mut found = Self {
            by_time: query.target_id.is_some(),
            newest_first: query.newest_first,
            after: None,
            limit: query.limit,
            places: BinaryHeap::new(),
        };
        found.after = query.after.map(|after| found.key(place(after)));
        found
    }

    pub(super) fn is_full(&self) -> bool {
        self.places.len() >= self.limit
    }

    pub(super) fn add(&mut self, place: Place) {
        let key = self.key(place);
        if self.after.is_some_and(|after| key <= after) {
            return;
        }
        if !self.is_full() {
            self.places.push(key);
        } else if let Some(mut last) = self.places.peek_mut()
            && key < *last
        {
            *last = key;
        }
    }

    /// What sorts in the order asked for; its own inverse, but for a time that does not count.
    fn key(&self, Place { time, seq, position }: Place) -> Place {
        let time = if self.by_time { time } else { 0 };
        if self.newest_first {
            Place { time: !time, seq: !seq, position: !position }
        } else {
            Place { time, seq, position }
        }
    }

    pub(super) fn into_places(mut self) -> Vec<Place> {
        let keys = std::mem::take(&mut self.places).into_sorted_vec();
        keys.into_iter().map(|key| self.key(key)).collect()
    }
}

fn place(ChangePosition { changed_at, seq, position, .. }: ChangePosition) -> Place {
    let time = in_range(changed_at.timestamp_micros());
    if is_between_micros(changed_at) {
        // Behind all changes of the one microsecond, before all of the other.
        return Place { time, seq: i64::MAX, position: i64::MAX };
    }
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    Place { time, seq, position: position as i64 }
}
