//! Changes that are recorded manually: [`change`] for audited types, [`change_of`] for everything
//! else.

use std::borrow::Cow;
use std::fmt::{self, Debug, Display};

use audit_record::private::path;
use audit_record::{ChangeKind, Json};
use serde::Serialize;

use crate::capture::{self, Rules};
use crate::change::SaveInfo;
use crate::change::record::{self, Operation};
use crate::current;
use crate::fields::{
    AuditedFields, ChangedField, ChangedFields, FieldVisitor, ObjectKey, change_time, key_text,
    redaction_mark,
};
use crate::in_flight::{StartTime, Target};
use crate::recorder::RecorderRef;
use crate::value::{Tree, diff};

/// Records the differences between two states of an object, as a change that has happened.
///
/// Nothing is recorded if no audited field differs. Use it if an object is stored without
/// [`Tracked`](crate::Tracked).
///
/// ```
/// use audited::{audited_fields, testing};
///
/// #[audited_fields(name, age; key = id)]
/// struct Pilot { id: u64, name: String, age: u8 }
///
/// let before = Pilot { id: 340, name: "Kara".into(), age: 25 };
/// let after = Pilot { id: 340, name: "Kara".into(), age: 26 };
/// let records = testing::capture(|| audited::change(&before, &after));
/// assert_eq!(records[0].action, "Pilot: changed");
/// assert_eq!(records[0].changes[0].field, "age");
/// ```
pub fn change<T: AuditedFields>(before: &T, after: &T) {
    let Some(recorder) = current::active_recorder() else { return };
    let kind = ChangeKind::Changed;
    let mut changed = FieldVisitor::changes(T::TYPE, &recorder.rules, kind, |visitor| {
        after.compare(&before.snapshot(), visitor);
    });
    let id = before.target_id();
    changed.add_key_change(T::TYPE, &id, &after.target_id());
    if changed.is_empty() {
        return;
    }
    let target = Target { type_name: T::type_path(), id: id.clone(), label: after.label() };
    let operation = Operation {
        recorder: recorder.clone(),
        began: StartTime::now(),
        action: record::default_action(kind, T::TYPE.name()),
        method: record::method_name(T::TYPE, "change"),
        target: Some(target),
    };
    let (changes, cuts) = changed.into_changes(T::type_path(), &id, kind, change_time());
    operation.record_changes(&SaveInfo::default(), changes, cuts);
}

/// Starts the record of a change of an object that has no audited type, or that no save covers.
/// Examples are a row that SQL has changed, a file, or a setting.
///
/// | method | meaning |
/// |---|---|
/// | [`change`](ChangeOf::change), [`value`](ChangeOf::value), [`redacted`](ChangeOf::redacted) | adds a field of the object to the record's `changes` |
/// | [`created`](ChangeOf::created), [`deleted`](ChangeOf::deleted) | says that the object was created or deleted, not changed |
/// | [`label`](ChangeOf::label), [`action`](ChangeOf::action) | sets the display name of the object, and the action |
/// | [`operator`](ChangeOf::operator), [`notes`](ChangeOf::notes), [`reason`](ChangeOf::reason), [`field`](ChangeOf::field) | adds information about the operation, as in [`SaveInfo`] |
/// | [`record`](ChangeOf::record) | makes the record |
///
/// ```
/// use audited::{change_of, testing};
///
/// let records = testing::capture(|| {
///     change_of("invoice", 4711)
///         .change("total", "101.67", "99.00")
///         .change("lines", [1, 2], [1, 2, 3])
///         .operator("alice")
///         .field("ticket", 80)
///         .record();
///     change_of("invoice", 4711).deleted().value("total", "99.00").record();
/// });
/// let fields: Vec<&str> = records[0].changes.iter().map(|change| &*change.field).collect();
/// assert_eq!(fields, ["total", "lines[2]"]);
/// assert_eq!(records[0].actor.as_deref(), Some("alice"));
/// assert_eq!(records[0].context.as_ref().unwrap().as_str(), r#"{"extra":{"ticket":80}}"#);
/// assert_eq!(records[1].action, "invoice: deleted");
/// ```
pub fn change_of(target_type: impl Into<Cow<'static, str>>, key: impl Into<ObjectKey>) -> ChangeOf {
    let recorder = current::active_recorder();
    let rules = recorder.as_ref().map_or_else(Rules::default, |recorder| recorder.rules.clone());
    ChangeOf {
        recorder,
        rules,
        began: StartTime::now(),
        kind: ChangeKind::Changed,
        target: Target {
            type_name: capture::limited_identifier(target_type),
            id: key.into().id(),
            label: None,
        },
        action: None,
        info: SaveInfo::default(),
        changed: ChangedFields::default(),
    }
}

/// A change that is recorded manually; from [`change_of`].
#[must_use = "nothing is recorded until `record` is called"]
pub struct ChangeOf {
    recorder: Option<RecorderRef>,
    rules: Rules,
    began: StartTime,
    kind: ChangeKind,
    target: Target,
    action: Option<Cow<'static, str>>,
    info: SaveInfo,
    changed: ChangedFields,
}

impl ChangeOf {
    /// The object was created. Add its fields with [`value`](Self::value).
    pub fn created(self) -> Self {
        self.of_kind(ChangeKind::Created)
    }

    /// The object was deleted. Add its last fields with [`value`](Self::value).
    pub fn deleted(self) -> Self {
        self.of_kind(ChangeKind::Deleted)
    }

    /// Sets the action. The default is the type with `created`, `changed` or `deleted`, such as
    /// `invoice: changed`.
    pub fn action(mut self, action: impl Into<Cow<'static, str>>) -> Self {
        self.action = Some(capture::limited_identifier(action));
        self
    }

    /// Sets the display name of the object.
    pub fn label(mut self, label: impl Display) -> Self {
        self.target.label = Some(key_text(&label));
        self
    }

    /// Adds a field of the object with its values before and after.
    ///
    /// Only the differences are recorded, also those inside lists and maps. Equal values are not
    /// recorded. If the name of the field is masked, its values are not recorded. For an object
    /// that was created only `after` is recorded, for one that was deleted only `before`.
    pub fn change(mut self, name: &str, before: impl Serialize, after: impl Serialize) -> Self {
        if self.recorder.is_none() {
            return self;
        }
        match self.kind {
            ChangeKind::Created => return self.value(name, after),
            ChangeKind::Deleted => return self.value(name, before),
            _ => {}
        }
        let (before, after) =
            (Tree::of(&before, &self.rules.mask), Tree::of(&after, &self.rules.mask));
        if before == after {
            return self;
        }
        if self.rules.mask.matches(name) {
            return self.redacted(name);
        }
        let name = &*capture::limited_identifier(name);
        for step in diff(name, &before, &after, self.rules.limits.length) {
            let before = step.before.map(|tree| self.json(&step.path, tree));
            let after = step.after.map(|tree| self.json(&step.path, tree));
            self.push(step.path, before, after);
        }
        self
    }

    /// Adds a field with one value: the first value of an object that was created, or the last
    /// value of one that was deleted.
    pub fn value(mut self, name: &str, value: impl Serialize) -> Self {
        if self.recorder.is_none() {
            return self;
        }
        let path = path::first_segment(&capture::limited_identifier(name));
        let json = if self.rules.mask.matches(name) {
            redaction_mark()
        } else {
            let tree = Tree::of(&value, &self.rules.mask);
            self.json(&path, &tree)
        };
        let (before, after) = match self.kind {
            ChangeKind::Deleted => (Some(json), None),
            _ => (None, Some(json)),
        };
        self.push(path, before, after);
        self
    }

    /// Adds a field that has changed and whose values are not recorded.
    pub fn redacted(mut self, name: &str) -> Self {
        let (before, after) = match self.kind {
            ChangeKind::Created => (None, Some(redaction_mark())),
            ChangeKind::Deleted => (Some(redaction_mark()), None),
            _ => (Some(redaction_mark()), Some(redaction_mark())),
        };
        let path = path::first_segment(&capture::limited_identifier(name));
        self.push(path, before, after);
        self
    }

    /// Sets the record's `actor`, in place of the actor of the context.
    pub fn operator(mut self, operator: impl Display) -> Self {
        self.info.operator(operator);
        self
    }

    /// Adds a note to the record's `notes`. Each call adds another note.
    pub fn notes(mut self, notes: impl Display) -> Self {
        self.info.notes(notes);
        self
    }

    /// Sets the record's `reason`.
    pub fn reason(mut self, reason: impl Display) -> Self {
        self.info.reason(reason);
        self
    }

    /// Sets a further field of the record, in `extra` of its `context`; see [`SaveInfo::field`].
    ///
    /// This is not a field of the object. For these, see [`change`](Self::change) and
    /// [`value`](Self::value).
    pub fn field(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.info.field(key, value);
        self
    }

    /// Records the change. A change in which no field differs is not recorded; a creation or
    /// deletion always is.
    pub fn record(self) {
        let Some(recorder) = self.recorder else { return };
        if self.changed.fields.is_empty() && self.kind == ChangeKind::Changed {
            return;
        }
        let Target { type_name, id, .. } = self.target.clone();
        let (changes, cuts) =
            self.changed.into_changes(type_name.clone(), &id, self.kind, change_time());
        let operation = Operation {
            recorder,
            began: self.began,
            action: self.action.unwrap_or_else(|| record::default_action(self.kind, &type_name)),
            method: "audited::change_of".into(),
            target: Some(self.target),
        };
        operation.record_changes(&self.info, changes, cuts);
    }

    /// Sets the kind, and converts the fields that were added before: a creation has only values
    /// after it, a deletion only values before it.
    fn of_kind(mut self, kind: ChangeKind) -> Self {
        self.kind = kind;
        for field in &mut self.changed.fields {
            let (before, after) = (field.before.take(), field.after.take());
            (field.before, field.after) = match kind {
                ChangeKind::Created => (None, after.or(before)),
                ChangeKind::Deleted => (before.or(after), None),
                _ => (before, after),
            };
        }
        self
    }

    fn push(&mut self, path: String, before: Option<Json>, after: Option<Json>) {
        self.changed.fields.push(ChangedField { path: path.into(), before, after });
    }

    fn json(&mut self, path: &str, tree: &Tree) -> Json {
        tree.to_json(&self.rules, &format!("changes.{path}"), &mut self.changed.cuts)
    }
}

/// Shows no values, because they may be secret.
impl Debug for ChangeOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<&str> = self.changed.fields.iter().map(|field| &*field.path).collect();
        f.debug_struct("ChangeOf")
            .field("target_type", &self.target.type_name)
            .field("target_id", &self.target.id)
            .field("kind", &self.kind)
            .field("fields", &fields)
            .finish_non_exhaustive()
    }
}
