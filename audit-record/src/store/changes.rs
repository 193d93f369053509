//! [`ChangeReader`]: how a store is asked for the changes it holds.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{ChangeKind, CorrelationId, Error, FieldChange, Json, Kind, Outcome};

/// Reads changes back from a store; see [`Sink::reader`](crate::store::Sink::reader).
pub trait ChangeReader: Send + 'static {
    /// The changes that meet `query`, in its order, at most [`limit`](ChangeQuery::limit) of them.
    ///
    /// Where the query names an object, the order is that of the changes themselves: by
    /// [`changed_at`](FieldChange::changed_at), then by their place in the store. Otherwise it is the order in
    /// which they were stored.
    ///
    /// # Errors
    ///
    /// When the store can't be read.
    fn changes(&mut self, query: &ChangeQuery) -> Result<Vec<StoredChange>, Error>;
}

/// What of the changes in a store is asked for; all that is said must hold.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ChangeQuery {
    /// Of objects of any of these types; the names as stored. Empty: of none.
    pub target_types: Vec<String>,
    /// Of the object with this id.
    pub target_id: Option<String>,
    /// Of the objects below as well: whose type begins with one of `target_types` and `/`, and whose id begins
    /// with this text and `/`; if the text is empty, with anything.
    pub children: Option<String>,
    /// Of this kind.
    pub change: Option<ChangeKind>,
    /// Of any of these fields, or inside them (`address` also finds `address.city`). Empty: of any.
    pub fields: Vec<String>,
    /// Recorded for this actor.
    pub actor: Option<String>,
    /// Told by a record of this kind.
    pub kind: Option<Kind>,
    /// That took effect at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// That took effect before this time.
    pub until: Option<DateTime<Utc>>,
    /// The last one first.
    pub newest_first: bool,
    /// Behind this one, in the order asked for; where a page goes on.
    pub after: Option<ChangePosition>,
    /// How many at most.
    pub limit: usize,
}

/// The place of a change among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ChangePosition {
    /// When it took effect.
    pub changed_at: DateTime<Utc>,
    /// The place of its record in the store.
    pub seq: u64,
    /// Its place in the record, from 0.
    pub position: u64,
}

impl ChangePosition {
    /// Makes one from its parts.
    #[must_use]
    pub fn new(changed_at: DateTime<Utc>, seq: u64, position: u64) -> Self {
        Self { changed_at, seq, position }
    }
}

/// A change of one field as a store holds it, with what is known of its record.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredChange {
    /// The change.
    pub change: FieldChange,
    /// Its place in its record, from 0.
    pub position: u64,
    /// The record that tells of it.
    pub record: Arc<ChangeRecord>,
}

impl StoredChange {
    /// Makes one from its parts.
    #[must_use]
    pub fn new(change: FieldChange, position: u64, record: Arc<ChangeRecord>) -> Self {
        Self { change, position, record }
    }

    /// Where a page that ends with this change goes on.
    #[must_use]
    pub fn place(&self) -> ChangePosition {
        ChangePosition::new(self.change.changed_at, self.record.seq, self.position)
    }
}

/// What is known of the record that tells of a change. The names are those of [`Record`](crate::Record).
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
    /// A record that says nothing but this.
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
