//! [`History`]: what became of an object, or of all objects of a type.

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, PoisonError};

use audit_record::private::path;
use audit_record::store::{ChangePosition, ChangeQuery, ChangeReader, StoredChange};
use audit_record::{ChangeKind, Error, FieldChange, Kind};
use chrono::{DateTime, Duration, DurationRound as _, Utc};

use crate::fields::{AuditedFields, FieldInfo, ITSELF, ObjectKey};
use crate::history::change::{Difference, ObjectChange};
use crate::history::state::{self, State};

/// A store's reader, shared by the histories that read from it.
pub(crate) type SharedReader = Arc<Mutex<Box<dyn ChangeReader>>>;

/// Rows that are read at first.
const PAGE: usize = 1_000;

/// Rows that are read at once later on: a store looks at all changes of an object for each page.
const LARGEST_PAGE: usize = 16_000;

/// What became of one object, or of all objects of a type; from [`Audit::history`](crate::Audit::history).
///
/// Filters ([`between`](History::between), [`by`](History::by), [`field`](History::field)) give a history that
/// tells less. Values are as they were recorded, whatever has become of the type since: a field or type that was renamed is found by
/// its former names if the attribute says them (`was`), and shown under the new one.
///
/// ```
/// use audited::{Tracked, audited_fields};
///
/// #[audited_fields(name, age; key = id)]
/// struct Pilot { id: u64, name: String, age: u8 }
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("audit.db");
/// let audit = audited::init(&path)?;
/// let mut pilot = Tracked::new(Pilot { id: 340, name: "Kara".into(), age: 25 });
/// pilot.save(|_| Ok::<(), String>(()))?;
/// pilot.age = 26;
/// pilot.save(|_| Ok::<(), String>(()))?;
///
/// let history = audit.history::<Pilot>(340)?;
/// let first = history.creation()?.expect("it was created");
/// assert_eq!(first.fields[0].after.as_ref().unwrap().as_str(), r#""Kara""#);
/// let lines: Vec<String> = history
///     .changes()
///     .map(|change| change.map(|change| change.to_string()))
///     .collect::<Result<_, _>>()?;
/// assert_eq!(lines, [
///     r#"Pilot 340 created: name = "Kara", age = 25"#,
///     "Pilot 340 changed: age 25 → 26",
/// ]);
/// let before = history.as_of(first.changed_at)?.expect("it was there");
/// assert_eq!(before.json().as_str(), r#"{"name":"Kara","age":25}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "a history does nothing until it is asked"]
pub struct History {
    reader: SharedReader,
    query: ChangeQuery,
    renamed: &'static [FieldInfo],
    /// How the ids of children begin, before a `/`.
    child_ids: String,
    /// The path of the value inside a field that alone is asked for.
    place: Option<String>,
}

/// Some changes, and where the next ones begin.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// The changes.
    pub changes: Vec<ObjectChange>,
    /// To be given for the next page; `None` behind the last one.
    pub next: Option<ChangePosition>,
}

impl History {
    pub(crate) fn of_type<T: AuditedFields>(reader: SharedReader) -> Self {
        let mut query = ChangeQuery::default();
        query.limit = PAGE;
        query.target_types = T::type_paths();
        Self { reader, query, renamed: T::TYPE.fields(), child_ids: String::new(), place: None }
    }

    pub(crate) fn named(reader: SharedReader, target_type: String) -> Self {
        let target_types = vec![target_type];
        let mut query = ChangeQuery::default();
        (query.limit, query.target_types) = (PAGE, target_types);
        Self { reader, query, renamed: &[], child_ids: String::new(), place: None }
    }

    pub(crate) fn of_object(mut self, key: ObjectKey) -> Self {
        self.child_ids = key.among_others();
        self.query.target_id = Some(key.id());
        self
    }

    /// Only changes that took effect in `time`: `from..until`, `from..`, `..=until`.
    pub fn between(mut self, time: impl RangeBounds<DateTime<Utc>>) -> Self {
        // Changes have whole microseconds.
        let behind = |time: &DateTime<Utc>| {
            let whole = time.duration_trunc(Duration::microseconds(1)).unwrap_or(*time);
            whole.checked_add_signed(Duration::microseconds(1))
        };
        self.query.from = match time.start_bound() {
            Bound::Included(from) => Some(*from),
            Bound::Excluded(from) => Some(behind(from).unwrap_or(*from)),
            Bound::Unbounded => None,
        };
        self.query.until = match time.end_bound() {
            Bound::Included(until) => behind(until),
            Bound::Excluded(until) => Some(*until),
            Bound::Unbounded => None,
        };
        self
    }

    /// Only changes that this actor made.
    pub fn by(mut self, actor: impl Into<String>) -> Self {
        self.query.actor = Some(actor.into());
        self
    }

    /// Only what a store has taken, or was told by hand; without what audited functions did to the object in
    /// memory. This counts for [`as_of`](History::as_of), too.
    pub fn stored(mut self) -> Self {
        self.query.kind = Some(Kind::Change);
        self
    }

    /// Only changes of this field, or inside it. Of a path into a field (`address.city`), the changes of what is there, of
    /// what is inside it, and of what it is in.
    pub fn field(mut self, field: &str) -> Self {
        self.query.fields = self.names_of(field);
        self.place = None;
        if let Some((name, rest)) = path::split_first(field)
            && !rest.is_empty()
        {
            let names = self.names_of(&name);
            self.query.fields.extend(names);
            self.place = Some(field.to_owned());
        }
        self
    }

    /// The changes of the objects below as well: those whose type names this one as its parent.
    pub fn with_children(mut self) -> Self {
        self.query.children = Some(self.child_ids.clone());
        self
    }

    /// Records of this type as well: what the type was called before, where the attribute does not say so.
    pub fn formerly(mut self, target_type: impl Into<String>) -> Self {
        self.query.target_types.push(target_type.into());
        self
    }

    /// How the object began: every audited field with its first value. `None` if that is not on record.
    ///
    /// # Errors
    ///
    /// When the store can't be read.
    pub fn creation(&self) -> Result<Option<ObjectChange>, Error> {
        self.only(ChangeKind::Created).next().transpose()
    }

    /// All that happened, the oldest first: the creation (`None` → value), each change, a deletion.
    ///
    /// Of one object they come in the order in which they took effect; of all objects of a type, in the
    /// order in which they were stored. They are read in pages, so that a long history takes little memory.
    pub fn changes(&self) -> Changes {
        Changes::new(self.clone())
    }

    /// The last changes first.
    pub fn newest_first(&self) -> Changes {
        let mut history = self.clone();
        history.query.newest_first = true;
        Changes::new(history)
    }

    /// At most `limit` changes, the oldest first, behind where the page before ended.
    ///
    /// ```
    /// use audited::{Context, Tracked, audited_fields, testing};
    ///
    /// #[audited_fields(age; key = id)]
    /// struct Pilot { id: u64, age: u8 }
    ///
    /// let records = testing::capture(|| {
    ///     let mut pilot = Tracked::new(Pilot { id: 340, age: 20 });
    ///     for age in 21..26 {
    ///         let save = || pilot.save(|_| Ok::<(), String>(()));
    ///         Context::new().actor(if age % 2 == 0 { "alice" } else { "bob" }).scope(save).unwrap();
    ///         pilot.age = age;
    ///     }
    /// });
    /// let history = testing::history::<Pilot>(&records, 340);
    /// let first = history.page(None, 2)?;
    /// let rest = history.page(first.next, 10)?;
    /// assert_eq!((first.changes.len(), rest.changes.len(), rest.next), (2, 3, None));
    ///
    /// // Filters come before: who, and when.
    /// let since = first.changes[1].changed_at;
    /// assert_eq!(history.clone().by("alice").between(since..).changes().count(), 2);
    /// let difference = &history.diff(since, rest.changes[2].changed_at)?[0];
    /// assert_eq!(difference.before.as_ref().unwrap().as_str(), "21");
    /// # Ok::<(), audited::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the store can't be read.
    pub fn page(&self, after: Option<ChangePosition>, limit: usize) -> Result<Page, Error> {
        let mut changes = self.changes();
        changes.history.query.after = after;
        let (mut page, mut next) = (Vec::new(), None);
        while page.len() < limit
            && let Some(change) = changes.next().transpose()?
        {
            next = changes.place;
            page.push(change);
        }
        let is_more = changes.next().transpose()?.is_some();
        Ok(Page { changes: page, next: next.filter(|_| is_more) })
    }

    /// The deletions, with the last values, the oldest first.
    pub fn deletions(&self) -> Changes {
        self.only(ChangeKind::Deleted)
    }

    /// The last change of `field`, or inside it.
    ///
    /// # Errors
    ///
    /// When the store can't be read; and when nothing is found for a name that is no audited field of the type.
    pub fn last_change_of(&self, field: &str) -> Result<Option<ObjectChange>, Error> {
        let found = self.clone().field(field).newest_first().next().transpose()?;
        let name = path::split_first(field).map_or(field.into(), |(name, _)| name);
        let is_known = |info: &FieldInfo| info.name() == name || info.was().contains(&&*name);
        if found.is_some() || self.renamed.is_empty() || self.renamed.iter().any(is_known) {
            return Ok(found);
        }
        let known: Vec<&str> = self.renamed.iter().map(FieldInfo::name).collect();
        Err(Error::permanent(format!(
            "`{}` has no audited field `{name}`, and no change of one is on the record; its fields are `{}`",
            self.query.target_types.first().map_or("the type", String::as_str),
            known.join("`, `")
        )))
    }

    /// The object's audited fields as they were at `time`, changes of that very moment included. `None` if it was not
    /// there: not created yet, or deleted.
    ///
    /// Where its creation is not on record, what is known of it then is what later changes say was there
    /// before. Filters make no difference, but for [`stored`](History::stored).
    ///
    /// # Errors
    ///
    /// When the store can't be read, or this is the history of more than one object.
    pub fn as_of(&self, time: DateTime<Utc>) -> Result<Option<State>, Error> {
        if self.query.target_id.is_none() {
            return Err(Error::permanent(
                "the state of a whole type can't be told: ask for the history of one object, \
                 `audit.history::<T>(key)`",
            ));
        }
        let mut history = self.clone();
        let query = &mut history.query;
        (query.children, query.change, query.actor) = (None, None, None);
        (query.from, query.until, query.after) = (None, None, None);
        query.fields.clear();
        history.place = None;
        state::replay(history.changes(), time, self.renamed)
    }

    /// What differs between the object at the one time and at the other; all of it where it was not there at
    /// one of them.
    ///
    /// # Errors
    ///
    /// As [`as_of`](History::as_of).
    pub fn diff(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Vec<Difference>, Error> {
        Ok(state::difference(self.as_of(from)?.as_ref(), self.as_of(to)?.as_ref()))
    }

    fn only(&self, kind: ChangeKind) -> Changes {
        let mut history = self.clone();
        history.query.change = Some(kind);
        Changes::new(history)
    }

    /// The names under which `field` is stored, as first segments of a path.
    fn names_of(&self, field: &str) -> Vec<String> {
        let mut names = vec![path::first_segment(field)];
        if let Some(info) = self.renamed.iter().find(|info| info.name() == field) {
            names.extend(info.was().iter().map(|was| path::first_segment(was)));
        }
        names
    }

    /// The path under today's name of its field.
    fn todays(&self, path: &str) -> Option<String> {
        let (name, rest) = path::split_first(path)?;
        let is_it = |info: &&FieldInfo| info.was().contains(&&*name);
        let info = self.renamed.iter().find(is_it)?;
        Some(path::first_segment(info.name()) + rest)
    }

    /// Whether the change of `path` is asked for, among those of its field.
    fn wants(&self, path: &str) -> bool {
        let is_within = |path: &str, of: &str| {
            path.strip_prefix(of)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.place.as_deref().is_none_or(|place| {
            let todays = self.todays(path);
            let path = todays.as_deref().unwrap_or(path);
            is_within(path, place)
                || is_within(place, path)
                || is_within(path, &path::first_segment(place))
        })
    }

    fn read(&self, after: Option<ChangePosition>) -> Result<Vec<StoredChange>, Error> {
        let mut query = self.query.clone();
        query.after = after;
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).changes(&query)
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").field("query", &self.query).finish_non_exhaustive()
    }
}

/// Changes as they are read from the store, page by page.
#[derive(Debug)]
pub struct Changes {
    history: History,
    rows: VecDeque<StoredChange>,
    /// Behind what has been read.
    after: Option<ChangePosition>,
    /// Behind what has been given.
    place: Option<ChangePosition>,
    is_over: bool,
    begun: bool,
}

impl Changes {
    fn new(history: History) -> Self {
        Self {
            history,
            rows: VecDeque::new(),
            after: None,
            place: None,
            is_over: false,
            begun: false,
        }
    }

    /// The next row, without taking it.
    fn peek(&mut self) -> Result<Option<&StoredChange>, Error> {
        while self.rows.is_empty() && !self.is_over {
            if !self.begun {
                self.begun = true;
                self.after = self.history.query.after;
            }
            let rows = self.history.read(self.after)?;
            let limit = &mut self.history.query.limit;
            self.is_over = rows.len() < *limit;
            *limit = (2 * *limit).min(LARGEST_PAGE);
            self.after = rows.last().map(StoredChange::place).or(self.after);
            self.rows = rows.into();
            self.rows.retain(|row| self.history.wants(&row.change.field));
        }
        Ok(self.rows.front())
    }

    fn take(&mut self) -> Result<Option<ObjectChange>, Error> {
        self.peek()?;
        let Some(first) = self.rows.pop_front() else { return Ok(None) };
        self.place = Some(first.place());
        let mut change = ObjectChange {
            target_type: first.change.target_type.clone().into_owned(),
            target_id: first.change.target_id.clone(),
            change: first.change.change,
            changed_at: first.change.changed_at,
            record: first.record.clone(),
            fields: Vec::new(),
        };
        change.fields.extend(self.shown(first.change));
        loop {
            let goes_on = self.peek()?.is_some_and(|row| {
                row.record.seq == change.record.seq
                    && row.change.changed_at == change.changed_at
                    && row.change.change == change.change
                    && row.change.target_id == change.target_id
                    && *row.change.target_type == change.target_type
            });
            if !goes_on {
                break;
            }
            if let Some(row) = self.rows.pop_front() {
                self.place = Some(row.place());
                let field = self.shown(row.change);
                change.fields.extend(field);
            }
        }
        if self.history.query.newest_first {
            change.fields.reverse();
        }
        Ok(Some(change))
    }

    /// Under today's name; `None` if it tells of no field.
    fn shown(&self, mut change: FieldChange) -> Option<FieldChange> {
        if let Some(path) = self.history.todays(&change.field) {
            change.field = path.into();
        }
        (change.field != ITSELF).then_some(change)
    }
}

impl Iterator for Changes {
    type Item = Result<ObjectChange, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.take();
        if next.is_err() {
            // What follows an error is not known: the iterator ends there.
            self.is_over = true;
            self.rows.clear();
        }
        next.transpose()
    }
}
