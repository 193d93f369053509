//! One save or delete of a tracked object, from its beginning to its record.

use std::any::Any;
use std::fmt::Display;
use std::thread;
use std::time::Instant;

use audit_record::{ChangeKind, FieldChange, Truncation};

use crate::capture::{self, Rules};
use crate::change::tell::{self, Failed, Occasion};
use crate::change::{SaveInfo, Tracked};
use crate::current;
use crate::fields::{AuditedFields, Delta, Rows, change_time};
use crate::in_flight::{StartTime, Target};
use crate::recorder::{Outlook, RecorderRef};

/// What is known of an object in the store.
pub(super) enum Stored<T: AuditedFields> {
    /// It is not there.
    No,
    /// It is there, with this id and these fields.
    As { id: String, fields: T::Snapshot },
    /// It is there; what its fields were is not known, for cloning them panicked.
    Unknown { id: String },
}

impl<T: AuditedFields> Stored<T> {
    pub(super) fn of(value: &T) -> Self {
        let id = value.target_id();
        match capture::run_user_code(|| value.snapshot()) {
            Some(fields) => Self::As { id, fields },
            None => Self::Unknown { id },
        }
    }

    /// What of `value` is not as it is stored.
    pub(super) fn rows(&self, value: &T, kind: ChangeKind, rules: &Rules) -> Rows {
        let mut delta = Delta::rows(T::TYPE, rules, kind);
        let done = capture::run_user_code(|| match (self, kind) {
            (Self::As { fields, .. }, ChangeKind::Changed) => value.compare(fields, &mut delta),
            (Self::As { fields, .. }, ChangeKind::Deleted) => {
                value.describe(Some(fields), &mut delta);
            }
            _ => value.describe(None, &mut delta),
        });
        let mut rows = delta.into_rows();
        if done.is_none() {
            rows.not_told();
        }
        if let (ChangeKind::Changed, Some(id)) = (kind, self.id()) {
            rows.key_changed(T::TYPE, id, &value.target_id());
        }
        rows
    }

    /// The id that changes are recorded for: the one it is stored under.
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::No => None,
            Self::As { id, .. } | Self::Unknown { id } => Some(id),
        }
    }

    pub(super) fn pending(&self, value: &T) -> Vec<FieldChange> {
        let kind = if matches!(self, Self::No) { ChangeKind::Created } else { ChangeKind::Changed };
        let rules = current::recorder().map_or_else(Rules::default, |r| r.rules.clone());
        let id = self.id().map_or_else(|| value.target_id(), str::to_owned);
        let rows = self.rows(value, kind, &rules);
        rows.into_changes(T::type_path(), &id, kind, change_time()).0
    }

    /// Takes `value` for what is stored now.
    pub(super) fn refresh(&mut self, value: &T) {
        let known = match self {
            Self::As { id, fields } => {
                *id = value.target_id();
                capture::run_user_code(|| value.refresh(fields)).is_some()
            }
            _ => false,
        };
        if !known {
            *self = Self::of(value);
        }
    }

    /// Takes `value`, none of whose audited fields has changed, for what is stored now.
    pub(super) fn confirm(&mut self, value: &T) {
        match self {
            Self::As { id, .. } => *id = value.target_id(),
            _ => self.refresh(value),
        }
    }
}

/// What was known before a transaction, for as long as that may be rolled back.
pub(super) struct Undo<T: AuditedFields> {
    outlook: Outlook,
    stored: Stored<T>,
}

/// What the store has done to the object.
#[derive(Clone, Copy)]
pub(super) enum Done {
    /// No audited field is another than before.
    Same,
    Saved,
    Deleted,
}

impl<T: AuditedFields> Tracked<T> {
    /// What is known of the object in the store.
    pub(super) fn known(&self) -> &Stored<T> {
        match &self.undo {
            Some(undo) if undo.outlook.is_undone() => &undo.stored,
            _ => &self.stored,
        }
    }

    /// Goes back to what was known before a transaction that was rolled back.
    pub(super) fn settle(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        if undo.outlook.is_undone() {
            self.stored = undo.stored;
        } else if !undo.outlook.is_kept() {
            self.undo = Some(undo);
        }
    }

    /// The store has done it, in a transaction that may be rolled back if there is an `outlook`.
    pub(super) fn done(&mut self, done: Done, outlook: Option<Outlook>) {
        self.info = SaveInfo::default();
        match (done, outlook) {
            (Done::Same, _) => self.stored.confirm(&self.value),
            (done, Some(outlook)) if self.undo.is_none() => {
                let now = match done {
                    Done::Deleted => Stored::No,
                    _ => Stored::of(&self.value),
                };
                let stored = std::mem::replace(&mut self.stored, now);
                self.undo = Some(Box::new(Undo { outlook, stored }));
            }
            (Done::Saved, _) => self.stored.refresh(&self.value),
            (Done::Deleted, _) => self.stored = Stored::No,
        }
    }
}

/// A save or delete under way. Dropped before its end is known, it was cancelled.
pub(super) struct Attempt<'t, T: AuditedFields> {
    pub(super) tracked: &'t mut Tracked<T>,
    kind: ChangeKind,
    function: &'static str,
    /// `None` where nothing is recorded.
    began: Option<(RecorderRef, Instant)>,
    over: bool,
    panicking_before: bool,
}

impl<'t, T: AuditedFields> Attempt<'t, T> {
    pub(super) fn save(tracked: &'t mut Tracked<T>) -> Self {
        tracked.settle();
        let kind = tracked.next_change();
        Self::new(tracked, kind, "save")
    }

    pub(super) fn delete(tracked: &'t mut Tracked<T>) -> Self {
        tracked.settle();
        Self::new(tracked, ChangeKind::Deleted, "delete")
    }

    fn new(tracked: &'t mut Tracked<T>, kind: ChangeKind, function: &'static str) -> Self {
        // The time of day is asked for only if there is something to record.
        let began = current::active_recorder().map(|recorder| (recorder, Instant::now()));
        Self { tracked, kind, function, began, over: false, panicking_before: thread::panicking() }
    }

    /// Records how it ended.
    pub(super) fn ended<R, E: Display>(mut self, result: Result<R, E>) -> Result<R, E> {
        match &result {
            Ok(_) => self.stored(),
            Err(error) => self.failed(|_| Failed::by_error(error)),
        }
        result
    }

    pub(super) fn panicked(mut self, payload: &(dyn Any + Send)) {
        self.failed(|since| Failed::by_panic(payload, since));
    }

    fn stored(&mut self) {
        self.over = true;
        let (mut is_same, mut outlook) = (false, None);
        if let Some((recorder, began)) = self.began.take() {
            outlook = recorder.outlook();
            let rows = self.tracked.stored.rows(&self.tracked.value, self.kind, &recorder.rules);
            is_same = !rows.tell(self.kind);
            if rows.tell(self.kind) {
                let (occasion, id) = self.occasion(recorder, began);
                let (changes, cuts): (_, Vec<Truncation>) =
                    rows.into_changes(T::type_path(), &id, self.kind, change_time());
                occasion.happened(&self.tracked.info, changes, cuts);
            }
        }
        let done = match self.kind {
            ChangeKind::Deleted => Done::Deleted,
            _ if is_same => Done::Same,
            _ => Done::Saved,
        };
        self.tracked.done(done, outlook);
    }

    fn failed(&mut self, failed: impl FnOnce(Instant) -> Failed) {
        self.over = true;
        // Of this attempt alone: it must not stand by a later save of somebody else.
        let info = std::mem::take(&mut self.tracked.info);
        let Some((recorder, began)) = self.began.take() else { return };
        let rows = self.tracked.stored.rows(&self.tracked.value, self.kind, &recorder.rules);
        if !rows.tell(self.kind) {
            return;
        }
        let (input, cuts) = tell::attempted(rows, self.kind);
        let (occasion, _) = self.occasion(recorder, began);
        occasion.failed(&info, input, cuts, failed(began));
    }

    fn occasion(&self, recorder: RecorderRef, began: Instant) -> (Occasion, String) {
        let id = self.tracked.recorded_id();
        let label = self.tracked.value.label();
        let target = Target { type_name: T::type_path(), id: id.clone(), label };
        let occasion = Occasion {
            recorder,
            began: StartTime::since(began),
            action: tell::action(self.kind, T::TYPE.name()),
            method: tell::method(T::TYPE, self.function),
            target: Some(target),
        };
        (occasion, id)
    }
}

impl<T: AuditedFields> Drop for Attempt<'_, T> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let panicked = thread::panicking() && !self.panicking_before;
        self.failed(|since| Failed::by_drop(panicked, since));
    }
}
