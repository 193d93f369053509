//! [`Changes`], an iterator over the selected changes of a store, and [`Page`], some of them.

use std::collections::VecDeque;

use audit_record::store::{ChangePosition, StoredChange};
use audit_record::{Error, FieldChange};

use crate::fields::NO_FIELD;
use crate::history::change::ObjectChange;
use crate::history::selection::ChangeSelection;

/// The largest number of rows in one query. Queries grow, because a store examines all changes of
/// an object for each of them.
const LARGEST_QUERY_ROWS: usize = 16_000;

/// Some changes, and the position after which the next page starts; from
/// [`History::page`](crate::History::page).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// The changes.
    pub changes: Vec<ObjectChange>,
    /// The position to pass to [`History::page`](crate::History::page) for the next page. `None`
    /// after the last change.
    pub next: Option<ChangePosition>,
}

/// An iterator over changes. It reads them from the store in several queries.
///
/// After an error the iterator ends.
#[derive(Debug)]
pub struct Changes {
    selection: ChangeSelection,
    rows: VecDeque<StoredChange>,
    /// The position of the last row that was read.
    last_read: Option<ChangePosition>,
    /// The position of the last row that was returned.
    last_returned: Option<ChangePosition>,
    is_over: bool,
}

impl Changes {
    pub(super) fn new(selection: ChangeSelection) -> Self {
        let last_read = selection.query.after;
        Self { selection, rows: VecDeque::new(), last_read, last_returned: None, is_over: false }
    }

    /// Takes the next changes as a page.
    pub(super) fn page(mut self, limit: usize) -> Result<Page, Error> {
        let (mut page, mut next) = (Vec::new(), None);
        while page.len() < limit
            && let Some(change) = self.next().transpose()?
        {
            next = self.last_returned;
            page.push(change);
        }
        let is_more = self.next().transpose()?.is_some();
        Ok(Page { changes: page, next: next.filter(|_| is_more) })
    }

    /// The next row, without removing it.
    fn peek(&mut self) -> Result<Option<&StoredChange>, Error> {
        while self.rows.is_empty() && !self.is_over {
            let rows = self.selection.read(self.last_read)?;
            let limit = &mut self.selection.query.limit;
            self.is_over = rows.len() < *limit;
            *limit = (2 * *limit).min(LARGEST_QUERY_ROWS);
            self.last_read = rows.last().map(StoredChange::place).or(self.last_read);
            self.rows = rows.into();
            self.rows.retain(|row| self.selection.includes(&row.change.field));
        }
        Ok(self.rows.front())
    }

    /// The next change: all following rows that belong to it.
    fn next_change(&mut self) -> Result<Option<ObjectChange>, Error> {
        self.peek()?;
        let Some(first) = self.rows.pop_front() else { return Ok(None) };
        self.last_returned = Some(first.place());
        let mut change = ObjectChange {
            target_type: first.change.target_type.clone().into_owned(),
            target_id: first.change.target_id.clone(),
            change: first.change.change,
            changed_at: first.change.changed_at,
            record: first.record.clone(),
            fields: Vec::new(),
        };
        change.fields.extend(self.shown(first.change));
        while self.peek()?.is_some_and(|row| belongs_to(&change, row)) {
            if let Some(row) = self.rows.pop_front() {
                self.last_returned = Some(row.place());
                let field = self.shown(row.change);
                change.fields.extend(field);
            }
        }
        if self.selection.query.newest_first {
            change.fields.reverse();
        }
        Ok(Some(change))
    }

    /// The change under the current name of its field. `None` if it names no field.
    fn shown(&self, mut change: FieldChange) -> Option<FieldChange> {
        if let Some(path) = self.selection.current_path(&change.field) {
            change.field = path.into();
        }
        (change.field != NO_FIELD).then_some(change)
    }
}

fn belongs_to(change: &ObjectChange, row: &StoredChange) -> bool {
    row.record.seq == change.record.seq
        && row.change.changed_at == change.changed_at
        && row.change.change == change.change
        && row.change.target_id == change.target_id
        && *row.change.target_type == change.target_type
}

impl Iterator for Changes {
    type Item = Result<ObjectChange, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_change();
        if next.is_err() {
            self.is_over = true;
            self.rows.clear();
        }
        next.transpose()
    }
}
