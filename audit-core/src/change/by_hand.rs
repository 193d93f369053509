//! Changes told by hand: [`change`] of a value of an audited type, [`change_of`] any other object.

use std::borrow::Cow;

use audit_record::private::path;
use audit_record::{ChangeKind, Json, Truncation};
use serde::Serialize;

use crate::capture::{self, Rules};
use crate::change::SaveInfo;
use crate::change::tell::{self, Occasion};
use crate::current;
use crate::fields::{AuditedFields, Delta, ObjectKey, Rows, change_time, key_text, redacted};
use crate::in_flight::{StartTime, Target};
use crate::recorder::RecorderRef;
use crate::value::{Tree, diff};

/// Records what differs between two states of an object, as a change that has happened. Nothing is recorded if
/// no audited field differs.
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
/// assert_eq!(records[0].action, "change Pilot");
/// assert_eq!(records[0].changes[0].field, "age");
/// ```
pub fn change<T: AuditedFields>(before: &T, after: &T) {
    let Some(recorder) = current::active_recorder() else { return };
    let mut delta = Delta::rows(T::TYPE, &recorder.rules, ChangeKind::Changed);
    let done = capture::run_user_code(|| after.compare(&before.snapshot(), &mut delta));
    let mut rows = delta.into_rows();
    if done.is_none() {
        rows.not_told();
    }
    let id = before.target_id();
    rows.key_changed(T::TYPE, &id, &after.target_id());
    if rows.is_empty() {
        return;
    }
    let target = Target { type_name: T::type_path(), id: id.clone(), label: after.label() };
    let occasion = Occasion {
        recorder: recorder.clone(),
        began: StartTime::now(),
        action: tell::action(ChangeKind::Changed, T::TYPE.name()),
        method: tell::method(T::TYPE, "change"),
        target: Some(target),
    };
    let (changes, cuts) =
        rows.into_changes(T::type_path(), &id, ChangeKind::Changed, change_time());
    occasion.happened(&SaveInfo::default(), changes, cuts);
}

/// Begins to tell, by hand, what has happened to an object that is no Rust struct, or that no save goes through:
/// a row changed by SQL, a file, a setting.
///
/// ```
/// use audited::{change_of, testing};
///
/// let records = testing::capture(|| {
///     change_of("invoice", 4711)
///         .field("total", "101.67", "99.00")
///         .field("lines", [1, 2], [1, 2, 3])
///         .operator("alice")
///         .record();
///     change_of("invoice", 4711).deleted().value("total", "99.00").record();
/// });
/// let fields: Vec<&str> = records[0].changes.iter().map(|change| &*change.field).collect();
/// assert_eq!(fields, ["total", "lines[2]"]);
/// assert_eq!(records[0].actor.as_deref(), Some("alice"));
/// assert_eq!(records[1].action, "delete invoice");
/// ```
pub fn change_of(target_type: impl Into<Cow<'static, str>>, key: impl Into<ObjectKey>) -> ChangeOf {
    let recorder = current::active_recorder();
    let rules = recorder.as_ref().map_or_else(Rules::default, |recorder| recorder.rules.clone());
    ChangeOf {
        recorder,
        rules,
        began: StartTime::now(),
        kind: ChangeKind::Changed,
        target: Target { type_name: target_type.into(), id: key.into().id(), label: None },
        action: None,
        info: SaveInfo::default(),
        rows: Vec::new(),
        cuts: Vec::new(),
    }
}

/// A change told by hand; see [`change_of`].
#[must_use = "nothing is recorded until `record`"]
pub struct ChangeOf {
    recorder: Option<RecorderRef>,
    rules: Rules,
    began: StartTime,
    kind: ChangeKind,
    target: Target,
    action: Option<Cow<'static, str>>,
    info: SaveInfo,
    rows: Vec<crate::fields::RowParts>,
    cuts: Vec<Truncation>,
}

impl ChangeOf {
    /// The object was created; tell its fields by [`value`](Self::value).
    pub fn created(self) -> Self {
        self.of_kind(ChangeKind::Created)
    }

    /// The object was deleted; tell its last fields by [`value`](Self::value).
    pub fn deleted(self) -> Self {
        self.of_kind(ChangeKind::Deleted)
    }

    /// What is recorded as the action, if it is not to be `change invoice` or the like.
    pub fn action(mut self, action: impl Into<Cow<'static, str>>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// The object's name for people.
    pub fn label(mut self, label: impl std::fmt::Display) -> Self {
        self.target.label = Some(key_text(&label));
        self
    }

    /// A field that may have changed: what differs between `before` and `after` is recorded, inside lists and
    /// maps, too. A field whose name is masked is recorded without its values. Of an object that was created only
    /// `after` counts, of one that was deleted only `before`.
    pub fn field(mut self, name: &str, before: impl Serialize, after: impl Serialize) -> Self {
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
        for step in diff(name, &before, &after, self.rules.limits.length) {
            let before = step.before.map(|tree| self.json(&step.path, tree));
            let after = step.after.map(|tree| self.json(&step.path, tree));
            self.rows.push((step.path.into(), before, after));
        }
        self
    }

    /// A field of an object that was created, or as it was when the object was deleted.
    pub fn value(mut self, name: &str, value: impl Serialize) -> Self {
        if self.recorder.is_none() {
            return self;
        }
        let path = path::first_segment(name);
        let json = if self.rules.mask.matches(name) {
            redacted()
        } else {
            let tree = Tree::of(&value, &self.rules.mask);
            self.json(&path, &tree)
        };
        let (before, after) = match self.kind {
            ChangeKind::Deleted => (Some(json), None),
            _ => (None, Some(json)),
        };
        self.rows.push((path.into(), before, after));
        self
    }

    /// A field that has changed and whose values are not recorded.
    pub fn redacted(mut self, name: &str) -> Self {
        let (before, after) = match self.kind {
            ChangeKind::Created => (None, Some(redacted())),
            ChangeKind::Deleted => (Some(redacted()), None),
            _ => (Some(redacted()), Some(redacted())),
        };
        self.rows.push((path::first_segment(name).into(), before, after));
        self
    }

    /// Who did it, if not the context's actor.
    pub fn operator(mut self, operator: impl std::fmt::Display) -> Self {
        self.info.operator(operator);
        self
    }

    /// A remark.
    pub fn notes(mut self, notes: impl std::fmt::Display) -> Self {
        self.info.notes(notes);
        self
    }

    /// Why it was done.
    pub fn reason(mut self, reason: impl std::fmt::Display) -> Self {
        self.info.reason(reason);
        self
    }

    /// A further key of the record, in `extra` of its context.
    pub fn info(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.info.field(key, value);
        self
    }

    /// Records it. A change in which no field differs is not recorded.
    pub fn record(self) {
        let Some(recorder) = self.recorder else { return };
        if self.rows.is_empty() && self.kind == ChangeKind::Changed {
            return;
        }
        let Target { type_name, id, .. } = self.target.clone();
        let rows = Rows { rows: self.rows, cuts: self.cuts };
        let (changes, cuts) = rows.into_changes(type_name.clone(), &id, self.kind, change_time());
        let occasion = Occasion {
            recorder,
            began: self.began,
            action: self.action.unwrap_or_else(|| tell::action(self.kind, &type_name)),
            method: "audited::change_of".into(),
            target: Some(self.target),
        };
        occasion.happened(&self.info, changes, cuts);
    }

    /// What was said before it was said what has happened is turned into what there is to say of that.
    fn of_kind(mut self, kind: ChangeKind) -> Self {
        self.kind = kind;
        for (_, before, after) in &mut self.rows {
            let said = (before.take(), after.take());
            (*before, *after) = match kind {
                ChangeKind::Created => (None, said.1.or(said.0)),
                ChangeKind::Deleted => (said.0.or(said.1), None),
                _ => said,
            };
        }
        self
    }

    fn json(&mut self, path: &str, tree: &Tree) -> Json {
        tree.to_json(&self.rules, &format!("changes.{path}"), &mut self.cuts)
    }
}
