//! [`Bulk`]: one operation on many objects, as one record.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::AsyncFnOnce;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;
use std::time::Instant;

use audit_record::private::json::write_str;
use audit_record::{ChangeKind, Json, Truncation};
use serde::Serialize;

use crate::change::record::{self, Operation, OperationEnd};
use crate::change::tracked_state::StoreEffect;
use crate::change::{SaveInfo, Tracked};
use crate::fields::{AuditedFields, ObjectKey, change_time};
use crate::in_flight::StartTime;
use crate::recorder::RecorderRef;
use crate::{capture, current};

/// Records one operation on many objects as one record, instead of one record for each object.
///
/// The record holds the changes of each object, as [`Tracked::save`] would record them. With
/// [`summary`](Bulk::summary) it holds only the keys of the objects and their number. The objects
/// are compared in memory; nothing is read from the store. If there are more than 4,096 changes,
/// the others go to further records, which are children of the first.
///
/// ```
/// use audited::{Bulk, Tracked, audited_fields, testing};
///
/// #[audited_fields(rank; key = id)]
/// struct Pilot { id: u64, rank: u8 }
///
/// # fn update_all(_: &mut [&mut Pilot]) -> Result<(), String> { Ok(()) }
/// let load = || (1..=3).map(|id| Tracked::loaded(Pilot { id, rank: 1 })).collect::<Vec<_>>();
/// let records = testing::capture(|| {
///     let mut pilots = load();
///     pilots[0].rank = 2;
///     pilots[2].rank = 2;
///     Bulk::new("promote")
///         .reason("end of the season")
///         .save(&mut pilots, |all| update_all(all))
///         .unwrap();
///
///     let mut pilots = load();
///     pilots[1].rank = 3;
///     Bulk::new("promote").summary().save(&mut pilots, |all| update_all(all)).unwrap();
///
///     // Changes by an SQL statement, without an object in the program.
///     Bulk::new("ground").record::<Pilot>(audited::record::ChangeKind::Changed, [1, 2, 3]);
/// });
/// let ids: Vec<&str> = records[0].changes.iter().map(|change| &*change.target_id).collect();
/// assert_eq!(ids, ["1", "3"]);
/// assert_eq!(records[1].input.as_ref().unwrap().as_str(), r#"{"type":"Pilot","changed":1,"keys":["2"]}"#);
/// assert_eq!(records[2].input.as_ref().unwrap().as_str(), r#"{"type":"Pilot","changed":3,"keys":["1","2","3"]}"#);
/// ```
#[must_use = "nothing is recorded until `save`, `delete` or `record` is called"]
#[derive(Debug)]
pub struct Bulk {
    action: Cow<'static, str>,
    is_summary: bool,
    info: SaveInfo,
}

/// The keys of the objects with the same kind of change, in the order of the objects.
struct SummaryGroup {
    kind: ChangeKind,
    keys: Vec<String>,
}

impl Bulk {
    /// Starts an operation on many objects, which is recorded as `action`.
    pub fn new(action: impl Into<Cow<'static, str>>) -> Self {
        let action = capture::limited_identifier(action);
        Self { action, is_summary: false, info: SaveInfo::default() }
    }

    /// Records only the number of changed objects and their keys. The keys are cut to the limits of
    /// one captured value.
    pub fn summary(mut self) -> Self {
        self.is_summary = true;
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
    pub fn field(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.info.field(key, value);
        self
    }

    /// Runs `store`, which must store all of `objects`, and records what has changed.
    ///
    /// The record has the operator, notes, reason and fields of this `Bulk`. What was set by
    /// [`Tracked::info`] of a single object is discarded, because it does not apply to the others.
    ///
    /// # Errors
    ///
    /// Returns the error of `store`. The attempt is recorded with this error and with the number
    /// and the keys of the changed objects. The next save records the changes again.
    ///
    /// # Panics
    ///
    /// Panics if `store` panics, with the same payload. The attempt is recorded.
    pub fn save<T: AuditedFields, R, E: Display>(
        self,
        objects: &mut [Tracked<T>],
        store: impl FnOnce(&mut [&mut T]) -> Result<R, E>,
    ) -> Result<R, E> {
        BulkAttempt::new(&self, objects, false).run(store)
    }

    /// The async form of [`save`](Bulk::save). If the future is dropped before it completes, the
    /// attempt is recorded as cancelled.
    ///
    /// # Errors
    ///
    /// Returns the error of `store`, as [`save`](Bulk::save) does.
    pub async fn save_async<T: AuditedFields, R, E: Display>(
        self,
        objects: &mut [Tracked<T>],
        store: impl AsyncFnOnce(&mut [&mut T]) -> Result<R, E>,
    ) -> Result<R, E> {
        let attempt = BulkAttempt::new(&self, objects, false);
        let result = store(&mut values(attempt.objects)).await;
        attempt.finish(result)
    }

    /// Runs `remove`, which must remove all of `objects` from the store, and records their last
    /// stored values.
    ///
    /// # Errors
    ///
    /// Returns the error of `remove`. The attempt is recorded with this error.
    ///
    /// # Panics
    ///
    /// Panics if `remove` panics, with the same payload. The attempt is recorded.
    pub fn delete<T: AuditedFields, R, E: Display>(
        self,
        objects: &mut [Tracked<T>],
        remove: impl FnOnce(&mut [&mut T]) -> Result<R, E>,
    ) -> Result<R, E> {
        BulkAttempt::new(&self, objects, true).run(remove)
    }

    /// Records that the objects with these keys were created, changed or deleted, such as by an SQL
    /// statement.
    ///
    /// The record is always a summary, because the values are not known.
    pub fn record<T: AuditedFields>(
        self,
        kind: ChangeKind,
        keys: impl IntoIterator<Item = impl Into<ObjectKey>>,
    ) {
        let Some(recorder) = current::active_recorder() else { return };
        let began = StartTime::now();
        let keys = keys.into_iter().map(|key| key.into().id()).collect();
        let groups = [SummaryGroup { kind, keys }];
        let (input, cuts) = summary_json(&recorder, &T::type_path(), &groups);
        let operation = self.operation::<T>(recorder, began, "bulk");
        operation.record_input(&self.info, input, cuts, OperationEnd::success());
    }

    fn record_changes<T: AuditedFields>(
        &self,
        objects: &[Tracked<T>],
        deletes: bool,
        recorder: RecorderRef,
        began: StartTime,
    ) {
        let (mut changes, mut cuts) = (Vec::new(), Vec::new());
        let path = T::type_path();
        for object in objects {
            let kind = kind_of(object, deletes);
            let state = &object.state;
            let changed = state.stored.changed_fields(&state.value, kind, &recorder.rules);
            if changed.must_be_recorded(kind) {
                let id = state.recorded_id();
                let (more, more_cuts) =
                    changed.into_changes(path.clone(), &id, kind, change_time());
                changes.extend(more);
                cuts.extend(more_cuts);
            }
        }
        if !changes.is_empty() || !cuts.is_empty() {
            let operation = self.operation::<T>(recorder, began, function(deletes));
            operation.record_changes(&self.info, changes, cuts);
        }
    }

    /// Records the keys of the changed objects, after a success or a failure.
    fn record_summary<T: AuditedFields>(
        &self,
        objects: &[Tracked<T>],
        deletes: bool,
        recorder: RecorderRef,
        began: StartTime,
        failure: Option<OperationEnd>,
    ) {
        let mut groups: Vec<SummaryGroup> = Vec::new();
        for object in objects {
            let kind = kind_of(object, deletes);
            let state = &object.state;
            let is_affected = kind != ChangeKind::Changed
                || !state.stored.changed_fields(&state.value, kind, &recorder.rules).is_empty();
            if !is_affected {
                continue;
            }
            let key = state.recorded_id();
            match groups.iter_mut().find(|group| group.kind == kind) {
                Some(group) => group.keys.push(key),
                None => groups.push(SummaryGroup { kind, keys: vec![key] }),
            }
        }
        if groups.is_empty() {
            return;
        }
        let (mut input, cuts) = summary_json(&recorder, &T::type_path(), &groups);
        if failure.is_some() {
            input = Json::trusted(format!("{{\"attempted\":{input}}}"));
        }
        let operation = self.operation::<T>(recorder, began, function(deletes));
        let end = failure.unwrap_or_else(OperationEnd::success);
        operation.record_input(&self.info, input, cuts, end);
    }

    fn operation<T: AuditedFields>(
        &self,
        recorder: RecorderRef,
        began: StartTime,
        function: &str,
    ) -> Operation {
        let method = record::method_name(T::TYPE, function);
        Operation { recorder, began, action: self.action.clone(), method, target: None }
    }
}

/// A save or deletion of many objects in progress. If it is dropped before its result is known, it
/// is recorded as cancelled.
struct BulkAttempt<'b, T: AuditedFields> {
    bulk: &'b Bulk,
    objects: &'b mut [Tracked<T>],
    deletes: bool,
    /// `None` if nothing is recorded, or once the record is made.
    began: Option<(RecorderRef, Instant)>,
    is_over: bool,
    was_panicking: bool,
}

impl<'b, T: AuditedFields> BulkAttempt<'b, T> {
    fn new(bulk: &'b Bulk, objects: &'b mut [Tracked<T>], deletes: bool) -> Self {
        let began = current::active_recorder().map(|recorder| (recorder, Instant::now()));
        let was_panicking = thread::panicking();
        objects.iter_mut().for_each(|object| object.state.settle());
        Self { bulk, objects, deletes, began, is_over: false, was_panicking }
    }

    fn run<R, E: Display>(
        mut self,
        store: impl FnOnce(&mut [&mut T]) -> Result<R, E>,
    ) -> Result<R, E> {
        let result = catch_unwind(AssertUnwindSafe(|| store(&mut values(self.objects))));
        match result {
            Ok(result) => self.finish(result),
            Err(payload) => {
                self.record_failure(|since| OperationEnd::from_panic(&*payload, since));
                resume_unwind(payload)
            }
        }
    }

    fn finish<R, E: Display>(mut self, result: Result<R, E>) -> Result<R, E> {
        match &result {
            Ok(_) => self.record_success(),
            Err(error) => self.record_failure(|_| OperationEnd::from_error(error)),
        }
        result
    }

    fn record_success(&mut self) {
        self.is_over = true;
        let Self { bulk, deletes, .. } = *self;
        let mut transaction = None;
        if let Some((recorder, began)) = self.began.take() {
            transaction = recorder.transaction_outcome();
            let began = StartTime::since(began);
            match bulk.is_summary {
                false => bulk.record_changes(self.objects, deletes, recorder, began),
                true => bulk.record_summary(self.objects, deletes, recorder, began, None),
            }
        }
        let effect = if deletes { StoreEffect::Deleted } else { StoreEffect::Saved };
        for object in &mut *self.objects {
            object.state.apply(effect, transaction.clone());
        }
    }

    fn record_failure(&mut self, end: impl FnOnce(Instant) -> OperationEnd) {
        self.is_over = true;
        let Some((recorder, began)) = self.began.take() else { return };
        let failure = Some(end(began));
        let began = StartTime::since(began);
        self.bulk.record_summary(self.objects, self.deletes, recorder, began, failure);
    }
}

impl<T: AuditedFields> Drop for BulkAttempt<'_, T> {
    fn drop(&mut self) {
        if !self.is_over {
            let panicked = thread::panicking() && !self.was_panicking;
            self.record_failure(|since| OperationEnd::from_drop(panicked, since));
        }
    }
}

fn function(deletes: bool) -> &'static str {
    if deletes { "delete" } else { "save" }
}

fn values<T: AuditedFields>(objects: &mut [Tracked<T>]) -> Vec<&mut T> {
    objects.iter_mut().map(|object| &mut object.state.value).collect()
}

fn kind_of<T: AuditedFields>(object: &Tracked<T>, deletes: bool) -> ChangeKind {
    if deletes { ChangeKind::Deleted } else { object.state.next_change() }
}

/// `{"type":"Pilot","created":2,"keys":["1","2"]}`. If there are two kinds, the lists of keys are
/// called `created_keys` and `changed_keys`.
fn summary_json(
    recorder: &RecorderRef,
    target_type: &str,
    groups: &[SummaryGroup],
) -> (Json, Vec<Truncation>) {
    let (mut json, mut cuts) = (String::from("{\"type\":"), Vec::new());
    write_str(&mut json, target_type);
    for SummaryGroup { kind, keys } in groups {
        json.push_str(&format!(",\"{kind}\":{},\"", keys.len()));
        let name = if groups.len() == 1 { "keys".to_owned() } else { format!("{kind}_keys") };
        json.push_str(&name);
        json.push_str("\":");
        let path = format!("input.{name}");
        capture::ValueWriter::new(&mut json, &mut cuts, &path, &recorder.rules).serialize(keys);
    }
    json.push('}');
    (Json::trusted(json), cuts)
}
