//! [`History`]: what happened to one object, or to all objects of a type.

use std::fmt;
use std::ops::{Bound, RangeBounds};

use audit_record::private::path;
use audit_record::store::{ChangePosition, Children};
use audit_record::{ChangeKind, Error, Kind};
use chrono::{DateTime, Duration, DurationRound as _, Utc};

use crate::capture;
use crate::fields::{AuditedFields, FieldInfo, ObjectKey};
use crate::history::change::{Difference, ObjectChange};
use crate::history::changes::{Changes, Page};
use crate::history::selection::{ChangeSelection, SharedReader};
use crate::history::state::{self, State};

/// The changes of one object, or of all objects of a type; from
/// [`Audit::history`](crate::Audit::history).
///
/// Nothing is read before a method returns changes or a state:
///
/// | method | returns |
/// |---|---|
/// | [`changes`](History::changes), [`newest_first`](History::newest_first) | all selected changes |
/// | [`page`](History::page) | some of them, and the position of the next page |
/// | [`creation`](History::creation), [`deletions`](History::deletions), [`last_change_of`](History::last_change_of) | certain changes |
/// | [`as_of`](History::as_of), [`diff`](History::diff) | the state at a time, the difference between two times |
///
/// The filters [`between`](History::between), [`by`](History::by), [`field`](History::field) and
/// [`stored`](History::stored) select changes. A later filter of the same kind replaces the earlier
/// one.
///
/// Values are shown as they were recorded, even if the type has changed since. If a type or a field
/// was renamed and the attribute names its former name (`was`), its changes are found. Those of a
/// renamed field are shown under the current name.
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
#[must_use = "nothing is read until a method that returns changes or a state is called"]
pub struct History {
    selection: ChangeSelection,
}

impl History {
    pub(crate) fn of_type<T: AuditedFields>(reader: SharedReader) -> Self {
        Self { selection: ChangeSelection::new(reader, T::type_paths(), T::TYPE.fields()) }
    }

    pub(crate) fn named(reader: SharedReader, target_type: String) -> Self {
        let name = capture::limited_identifier(target_type).into_owned();
        Self { selection: ChangeSelection::new(reader, vec![name], &[]) }
    }

    pub(crate) fn of_object(mut self, key: ObjectKey) -> Self {
        self.selection.children = Children::Of(key.child_id_prefix());
        self.selection.query.target_id = Some(key.id());
        self
    }

    /// Selects changes that took effect in a period: `from..until`, `from..` or `..=until`.
    pub fn between(mut self, time: impl RangeBounds<DateTime<Utc>>) -> Self {
        // Changes have whole microseconds, so this is the first time that is later.
        let next_time = |time: &DateTime<Utc>| {
            let whole = time.duration_trunc(Duration::microseconds(1)).unwrap_or(*time);
            whole.checked_add_signed(Duration::microseconds(1))
        };
        let query = &mut self.selection.query;
        query.from = match time.start_bound() {
            Bound::Included(from) => Some(*from),
            Bound::Excluded(from) => Some(next_time(from).unwrap_or(*from)),
            Bound::Unbounded => None,
        };
        query.until = match time.end_bound() {
            Bound::Included(until) => next_time(until),
            Bound::Excluded(until) => Some(*until),
            Bound::Unbounded => None,
        };
        self
    }

    /// Selects changes that this actor made.
    pub fn by(mut self, actor: impl Into<String>) -> Self {
        self.selection.query.actor = Some(capture::limited_identifier(actor.into()).into_owned());
        self
    }

    /// Selects saves, deletions and changes that were recorded manually. Changes that audited
    /// functions made to the object in memory are left out, also for [`as_of`](History::as_of).
    pub fn stored(mut self) -> Self {
        self.selection.query.kind = Some(Kind::Change);
        self
    }

    /// Selects changes of a field, or of a value inside it.
    ///
    /// A path such as `address.city` selects changes of this value, of values inside it, and of the
    /// values that contain it.
    pub fn field(mut self, field: &str) -> Self {
        self.selection.select_field(field);
        self
    }

    /// Adds the changes of child objects. Their types name this type as `parent`.
    pub fn with_children(mut self) -> Self {
        self.selection.query.children = Some(self.selection.children.clone());
        self
    }

    /// Adds the changes that were recorded under a former name of the type, if the attribute does
    /// not name it.
    pub fn with_former_name(mut self, target_type: impl Into<String>) -> Self {
        self.selection.query.target_types.push(target_type.into());
        self
    }

    /// The creation of the object, with the first value of every audited field. `None` if no
    /// creation was recorded.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read.
    pub fn creation(&self) -> Result<Option<ObjectChange>, Error> {
        self.of_kind(ChangeKind::Created).next().transpose()
    }

    /// All selected changes, the oldest first: the creation, each change, the deletion.
    ///
    /// The changes of one object are in the order in which they took effect. The changes of all
    /// objects of a type are in the order in which they were stored. They are read in several
    /// queries, so a long history needs little memory.
    pub fn changes(&self) -> Changes {
        Changes::new(self.selection.clone())
    }

    /// All selected changes, the newest first.
    pub fn newest_first(&self) -> Changes {
        let mut selection = self.selection.clone();
        selection.query.newest_first = true;
        Changes::new(selection)
    }

    /// At most `limit` changes, the oldest first, after the position where the last page ended.
    ///
    /// A position can be sent to a client as text and parsed again.
    ///
    /// ```
    /// use audited::store::ChangePosition;
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
    /// let cursor: String = first.next.expect("there are more changes").to_string();
    /// let rest = history.page(Some(cursor.parse::<ChangePosition>()?), 10)?;
    /// assert_eq!((first.changes.len(), rest.changes.len(), rest.next), (2, 3, None));
    ///
    /// // Filters apply before the limit.
    /// let since = first.changes[1].changed_at;
    /// assert_eq!(history.clone().by("alice").between(since..).changes().count(), 2);
    /// let difference = &history.diff(since, rest.changes[2].changed_at)?[0];
    /// assert_eq!(difference.before.as_ref().unwrap().as_str(), "21");
    /// # Ok::<(), audited::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read.
    pub fn page(&self, after: Option<ChangePosition>, limit: usize) -> Result<Page, Error> {
        let mut selection = self.selection.clone();
        selection.query.after = after;
        Changes::new(selection).page(limit)
    }

    /// The deletions, with the last values of the fields, the oldest first.
    pub fn deletions(&self) -> Changes {
        self.of_kind(ChangeKind::Deleted)
    }

    /// The last change of a field, or of a value inside it; the creation and the deletion of the
    /// object count. `None` if the field has never changed.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read. Also fails if there is no change and the type has no such
    /// audited field.
    pub fn last_change_of(&self, field: &str) -> Result<Option<ObjectChange>, Error> {
        let found = self.clone().field(field).newest_first().next().transpose()?;
        let ChangeSelection { fields, query, .. } = &self.selection;
        let name = path::split_first(field).map_or(field.into(), |(name, _)| name);
        let is_known =
            |field: &FieldInfo| field.name() == name || field.former_names().contains(&&*name);
        if found.is_some() || fields.is_empty() || fields.iter().any(is_known) {
            return Ok(found);
        }
        let known: Vec<&str> = fields.iter().map(FieldInfo::name).collect();
        Err(Error::permanent(format!(
            "`{}` has no audited field `{name}`, and no change of such a field is recorded; its fields are `{}`",
            query.target_types.first().map_or("the type", String::as_str),
            known.join("`, `")
        )))
    }

    /// The audited fields of the object at `time`, including changes at that very time. `None` if
    /// the object did not exist: it was not created yet, or was deleted.
    ///
    /// If no creation was recorded, the state before the first change is derived from the values
    /// that later changes replaced. Of the filters, only [`stored`](History::stored) applies.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read, or if this is the history of more than one object.
    pub fn as_of(&self, time: DateTime<Utc>) -> Result<Option<State>, Error> {
        let mut selection = self.selection.clone();
        if selection.query.target_id.is_none() {
            return Err(Error::permanent(
                "a whole type has no state: ask for the history of one object, \
                 `audit.history::<T>(key)`",
            ));
        }
        selection.select_all();
        let fields = selection.fields;
        state::replay(Changes::new(selection), time, fields)
    }

    /// The differences between the states of the object at two times. If the object did not exist
    /// at one of them, all its fields differ.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read, or if this is the history of more than one object.
    pub fn diff(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Vec<Difference>, Error> {
        Ok(state::differences(self.as_of(from)?.as_ref(), self.as_of(to)?.as_ref()))
    }

    fn of_kind(&self, kind: ChangeKind) -> Changes {
        let mut selection = self.selection.clone();
        selection.query.change = Some(kind);
        Changes::new(selection)
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("query", &self.selection.query).finish_non_exhaustive()
    }
}
