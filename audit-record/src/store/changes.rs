//! [`ChangeReader`]: reads changes of fields from a store.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{ChangeKind, CorrelationId, Error, FieldChange, Json, Kind, Outcome};

/// Reads changes of fields from a store; see [`Store::reader`](crate::store::Store::reader).
pub trait ChangeReader: Send + 'static {
    /// The changes that the query selects, at most [`limit`](ChangeQuery::limit) of them.
    ///
    /// If the query names an object, they are ordered by [`changed_at`](FieldChange::changed_at),
    /// then by their position in the store. Otherwise they are in the order in which they were
    /// stored.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read.
    fn changes(&mut self, query: &ChangeQuery) -> Result<Vec<StoredChange>, Error>;
}

/// Selects changes in a store. A change must meet all conditions.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ChangeQuery {
    /// The types of the objects, by their stored names. If it is empty, nothing is selected.
    pub target_types: Vec<String>,
    /// The id of the object. `None` selects all objects.
    pub target_id: Option<String>,
    /// If given, children of the objects are selected too. The type of a child starts with one of
    /// `target_types` and `/`.
    pub children: Option<Children>,
    /// What happened to the object.
    pub change: Option<ChangeKind>,
    /// The fields. `address` also selects `address.city`. If it is empty, all fields are selected.
    pub fields: Vec<String>,
    /// The actor of the record.
    pub actor: Option<String>,
    /// The kind of the record.
    pub kind: Option<Kind>,
    /// The start of the period: the change took effect at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// The end of the period: the change took effect before this time.
    pub until: Option<DateTime<Utc>>,
    /// Whether the newest changes come first.
    pub newest_first: bool,
    /// Only changes after this position, in the order of the query. This continues a page.
    pub after: Option<ChangePosition>,
    /// The maximum number of changes.
    pub limit: usize,
}

/// Whose children a [`ChangeQuery`] selects.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Children {
    /// Those of all objects.
    OfAll,
    /// Those of one object: their ids start with this text and `/`. It is the id of the object, with
    /// `%` and `/` escaped in each part of the key. The id may be empty.
    Of(String),
}

/// The position of a change among all changes of a store, where a page can continue.
///
/// It has a text form, which can be sent to a client and parsed again. Treat the text as opaque.
///
/// ```
/// use audited::store::ChangePosition;
/// use chrono::DateTime;
///
/// let position = ChangePosition::new(DateTime::from_timestamp_micros(1_500_000).unwrap(), 17, 2);
/// let text = position.to_string();
/// assert_eq!(text.parse::<ChangePosition>()?, position);
/// assert!("17".parse::<ChangePosition>().is_err());
/// # Ok::<(), audited::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ChangePosition {
    /// When the change took effect.
    pub changed_at: DateTime<Utc>,
    /// The number of the record in the store.
    pub seq: u64,
    /// The index of the change in the record, from 0.
    pub position: u64,
}

impl ChangePosition {
    /// Creates a position from its parts.
    #[must_use]
    pub fn new(changed_at: DateTime<Utc>, seq: u64, position: u64) -> Self {
        Self { changed_at, seq, position }
    }
}

impl fmt::Display for ChangePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) =
            (self.changed_at.timestamp(), self.changed_at.timestamp_subsec_nanos());
        write!(f, "{seconds}.{nanos}.{}.{}", self.seq, self.position)
    }
}

impl FromStr for ChangePosition {
    type Err = Error;

    /// Parses the text form.
    ///
    /// # Errors
    ///
    /// Fails if the text is not the text form of a position.
    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let mut parts = text.split('.');
            let (seconds, nanos) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let (seq, position) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let changed_at = DateTime::from_timestamp(seconds, nanos)?;
            parts.next().is_none().then(|| Self::new(changed_at, seq, position))
        };
        parse().ok_or_else(|| {
            Error::permanent(format!("{text:?} is not the position of a change; pass `Page::next`"))
        })
    }
}

/// A change of one field as it is stored, with its record.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredChange {
    /// The change.
    pub change: FieldChange,
    /// The index of the change in its record, from 0.
    pub position: u64,
    /// The record of the change.
    pub record: Arc<ChangeRecord>,
}

impl StoredChange {
    /// Creates a stored change from its parts.
    #[must_use]
    pub fn new(change: FieldChange, position: u64, record: Arc<ChangeRecord>) -> Self {
        Self { change, position, record }
    }

    /// The position where a page that ends with this change continues.
    #[must_use]
    pub fn place(&self) -> ChangePosition {
        ChangePosition::new(self.change.changed_at, self.record.seq, self.position)
    }
}

/// The record of a change, without its input, output and log. The fields are those of
/// [`Record`](crate::Record).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs)] // The same fields as in `Record`.
pub struct ChangeRecord {
    pub seq: u64,
    pub id: Uuid,
    pub kind: Kind,
    pub started_at: DateTime<Utc>,
    pub action: Arc<str>,
    pub method: Arc<str>,
    pub outcome: Outcome,
    pub actor: Option<Arc<str>>,
    pub on_behalf_of: Option<Arc<str>>,
    pub correlation_id: CorrelationId,
    pub parent_id: Option<Uuid>,
    pub reason: Option<String>,
    /// A JSON list of objects with `title` and `description`.
    pub notes: Option<Json>,
    /// As in [`Record::context`](crate::Record::context).
    pub context: Option<Json>,
}

impl ChangeRecord {
    /// Creates a record with these parts, an empty method and the outcome `success`. The other
    /// fields are empty.
    #[must_use]
    pub fn new(seq: u64, id: Uuid, started_at: DateTime<Utc>, action: impl Into<Arc<str>>) -> Self {
        Self {
            seq,
            id,
            kind: Kind::Change,
            started_at,
            action: action.into(),
            method: "".into(),
            outcome: Outcome::Success,
            actor: None,
            on_behalf_of: None,
            correlation_id: CorrelationId::Uuid(id),
            parent_id: None,
            reason: None,
            notes: None,
            context: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_position_is_parsed_back() {
        for nanos in [0, 1, -1, 999_999_999, -1_000_000_001, i64::MAX, i64::MIN] {
            let changed_at = DateTime::from_timestamp_nanos(nanos);
            for (seq, position) in [(0, 0), (7, u64::MAX), (u64::MAX, 7)] {
                let place = ChangePosition::new(changed_at, seq, position);
                let text = place.to_string();
                assert_eq!(text.parse::<ChangePosition>().expect("a position"), place, "{text}");
            }
        }
    }

    #[test]
    fn other_texts_are_not_positions() {
        for text in ["", "1", "1.2.3", "1.2.3.4.5", "1.2.3.x", "1.2.3.-4", "1.2000000000.3.4", "é"]
        {
            let error = text.parse::<ChangePosition>().expect_err(text).to_string();
            assert!(error.contains("not the position of a change"), "{error}");
        }
    }
}
