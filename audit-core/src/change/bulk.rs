//! [`Bulk`]: many objects in one operation of the store, and in one record.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::AsyncFnOnce;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;
use std::time::Instant;

use audit_record::private::json::write_str;
use audit_record::{ChangeKind, Json, Truncation};
use serde::Serialize;

use crate::change::save::Done;
use crate::change::tell::{self, Failed, Occasion};
use crate::change::{SaveInfo, Tracked};
use crate::fields::{AuditedFields, ObjectKey, change_time};
use crate::in_flight::StartTime;
use crate::recorder::RecorderRef;
use crate::{capture, current};

/// Puts what one operation does to many objects into one record, instead of one for each.
///
/// The record tells every change of every object, as [`Tracked::save`] would; or, after
/// [`summary`](Bulk::summary), only how many there were and their keys. It takes one pass over the objects,
/// and reads nothing from the store. Beyond 4,096 changes, further records follow below the first.
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
///     Bulk::new("promote").save(&mut pilots, |all| update_all(all)).unwrap();
///
///     let mut pilots = load();
///     pilots[1].rank = 3;
///     Bulk::new("promote").summary().save(&mut pilots, |all| update_all(all)).unwrap();
///
///     // What an SQL statement has changed, which passes no object through the program.
///     Bulk::new("ground").record::<Pilot>(audited::ChangeKind::Changed, [1, 2, 3]);
/// });
/// let ids: Vec<&str> = records[0].changes.iter().map(|change| &*change.target_id).collect();
/// assert_eq!(ids, ["1", "3"]);
/// assert_eq!(records[1].input.as_ref().unwrap().as_str(), r#"{"type":"Pilot","changed":1,"keys":["2"]}"#);
/// assert_eq!(records[2].input.as_ref().unwrap().as_str(), r#"{"type":"Pilot","changed":3,"keys":["1","2","3"]}"#);
/// ```
#[must_use = "nothing is recorded until `save`, `delete` or `record`"]
#[derive(Debug)]
pub struct Bulk {
    action: Cow<'static, str>,
    summary: bool,
    info: SaveInfo,
}

/// Objects to which the same happened, in order of their place.
struct Touched {
    kind: ChangeKind,
    keys: Vec<String>,
}

impl Bulk {
    /// An operation on many objects, recorded as `action`.
    pub fn new(action: impl Into<Cow<'static, str>>) -> Self {
        Self { action: action.into(), summary: false, info: SaveInfo::default() }
    }

    /// Records only how many objects were changed, and their keys as far as the limits of one value allow.
    pub fn summary(mut self) -> Self {
        self.summary = true;
        self
    }

    /// Who does it, if not the context's actor.
    pub fn operator(mut self, operator: impl Display) -> Self {
        self.info.operator(operator);
        self
    }

    /// A remark.
    pub fn notes(mut self, notes: impl Display) -> Self {
        self.info.notes(notes);
        self
    }

    /// A further key of the record, in `extra` of its context.
    pub fn info(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.info.field(key, value);
        self
    }

    /// Runs `store`, which stores all of `objects`, and records what has changed.
    ///
    /// Here [`operator`](Bulk::operator), [`notes`](Bulk::notes) and [`info`](Bulk::info) count. What was said by
    /// [`Tracked::info`] of one of the objects is not recorded, for it is no statement on the others; as after any
    /// save it is gone then.
    ///
    /// # Errors
    ///
    /// Those of `store`; the attempt is recorded with its error, how many objects it was about and their keys, and
    /// the changes stay to be told.
    ///
    /// # Panics
    ///
    /// When `store` panics, with its payload; the attempt is recorded.
    pub fn save<T: AuditedFields, R, E: Display>(
        self,
        objects: &mut [Tracked<T>],
        store: impl FnOnce(&mut [&mut T]) -> Result<R, E>,
    ) -> Result<R, E> {
        Attempt::new(&self, objects, false).run(store)
    }

    /// The async form of [`save`](Bulk::save). Dropped before it is done, it records the attempt as cancelled.
    ///
    /// # Errors
    ///
    /// As [`save`](Bulk::save).
    pub async fn save_async<T: AuditedFields, R, E: Display>(
        self,
        objects: &mut [Tracked<T>],
        store: impl AsyncFnOnce(&mut [&mut T]) -> Result<R, E>,
    ) -> Result<R, E> {
        let attempt = Attempt::new(&self, objects, false);
        let result = store(&mut values(attempt.objects)).await;
        attempt.ended(result)
    }

    /// Runs `remove`, which removes all of `objects` from the store, and records their last fields.
    ///
    /// # Errors
    ///
    /// Those of `remove`; the attempt is recorded with its error.
    ///
    /// # Panics
    ///
    /// When `remove` panics, with its payload; the attempt is recorded.
    pub fn delete<T: AuditedFields, R, E: Display>(
        self,
        objects: &mut [Tracked<T>],
        remove: impl FnOnce(&mut [&mut T]) -> Result<R, E>,
    ) -> Result<R, E> {
        Attempt::new(&self, objects, true).run(remove)
    }

    /// Records that `kind` has happened to the objects with these keys, which no object in memory stands for:
    /// always a summary.
    pub fn record<T: AuditedFields>(
        self,
        kind: ChangeKind,
        keys: impl IntoIterator<Item = impl Into<ObjectKey>>,
    ) {
        let Some((recorder, began)) = begin() else { return };
        let keys = keys.into_iter().map(|key| key.into().id()).collect();
        let touched = [Touched { kind, keys }];
        let (input, cuts) = summed_up(&recorder, &T::type_path(), &touched);
        self.occasion::<T>(recorder, began, "bulk").summed_up(&self.info, input, cuts);
    }

    fn tell_changes<T: AuditedFields>(
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
            let rows = object.stored.rows(&object.value, kind, &recorder.rules);
            if rows.tell(kind) {
                let id = object.recorded_id();
                let (more, more_cuts) = rows.into_changes(path.clone(), &id, kind, change_time());
                changes.extend(more);
                cuts.extend(more_cuts);
            }
        }
        if !changes.is_empty() || !cuts.is_empty() {
            self.occasion::<T>(recorder, began, function(deletes))
                .happened(&self.info, changes, cuts);
        }
    }

    fn tell_summary<T: AuditedFields>(
        &self,
        objects: &[Tracked<T>],
        deletes: bool,
        recorder: RecorderRef,
        began: StartTime,
        failed: Option<Failed>,
    ) {
        let mut touched: Vec<Touched> = Vec::new();
        for object in objects {
            let kind = kind_of(object, deletes);
            let is_touched = kind != ChangeKind::Changed
                || !object.stored.rows(&object.value, kind, &recorder.rules).is_empty();
            if !is_touched {
                continue;
            }
            let key = object.recorded_id();
            match touched.iter_mut().find(|touched| touched.kind == kind) {
                Some(touched) => touched.keys.push(key),
                None => touched.push(Touched { kind, keys: vec![key] }),
            }
        }
        if touched.is_empty() {
            return;
        }
        let (mut input, cuts) = summed_up(&recorder, &T::type_path(), &touched);
        if failed.is_some() {
            input = Json::trusted(format!("{{\"attempted\":{input}}}"));
        }
        let occasion = self.occasion::<T>(recorder, began, function(deletes));
        match failed {
            None => occasion.summed_up(&self.info, input, cuts),
            Some(failed) => occasion.failed(&self.info, input, cuts, failed),
        }
    }

    fn occasion<T: AuditedFields>(
        &self,
        recorder: RecorderRef,
        began: StartTime,
        function: &str,
    ) -> Occasion {
        let method = tell::method(T::TYPE, function);
        Occasion { recorder, began, action: self.action.clone(), method, target: None }
    }
}

/// A save or delete of many objects under way. Dropped before its end is known, it was cancelled.
struct Attempt<'b, T: AuditedFields> {
    bulk: &'b Bulk,
    objects: &'b mut [Tracked<T>],
    deletes: bool,
    /// `None` where nothing is recorded.
    began: Option<(RecorderRef, Instant)>,
    over: bool,
    panicking_before: bool,
}

impl<'b, T: AuditedFields> Attempt<'b, T> {
    fn new(bulk: &'b Bulk, objects: &'b mut [Tracked<T>], deletes: bool) -> Self {
        let began = current::active_recorder().map(|recorder| (recorder, Instant::now()));
        let panicking_before = thread::panicking();
        objects.iter_mut().for_each(Tracked::settle);
        Self { bulk, objects, deletes, began, over: false, panicking_before }
    }

    fn run<R, E: Display>(
        mut self,
        store: impl FnOnce(&mut [&mut T]) -> Result<R, E>,
    ) -> Result<R, E> {
        let result = catch_unwind(AssertUnwindSafe(|| store(&mut values(self.objects))));
        match result {
            Ok(result) => self.ended(result),
            Err(payload) => {
                self.failed(|since| Failed::by_panic(&*payload, since));
                resume_unwind(payload)
            }
        }
    }

    fn ended<R, E: Display>(mut self, result: Result<R, E>) -> Result<R, E> {
        match &result {
            Ok(_) => self.stored(),
            Err(error) => self.failed(|_| Failed::by_error(error)),
        }
        result
    }

    fn stored(&mut self) {
        self.over = true;
        let Self { bulk, deletes, .. } = *self;
        let mut outlook = None;
        if let Some((recorder, began)) = self.began.take() {
            outlook = recorder.outlook();
            let began = StartTime::since(began);
            match bulk.summary {
                false => bulk.tell_changes(self.objects, deletes, recorder, began),
                true => bulk.tell_summary(self.objects, deletes, recorder, began, None),
            }
        }
        let done = if deletes { Done::Deleted } else { Done::Saved };
        for object in &mut *self.objects {
            object.done(done, outlook.clone());
        }
    }

    fn failed(&mut self, failed: impl FnOnce(Instant) -> Failed) {
        self.over = true;
        let Some((recorder, began)) = self.began.take() else { return };
        let failed = Some(failed(began));
        let began = StartTime::since(began);
        self.bulk.tell_summary(self.objects, self.deletes, recorder, began, failed);
    }
}

impl<T: AuditedFields> Drop for Attempt<'_, T> {
    fn drop(&mut self) {
        if !self.over {
            let panicked = thread::panicking() && !self.panicking_before;
            self.failed(|since| Failed::by_drop(panicked, since));
        }
    }
}

fn begin() -> Option<(RecorderRef, StartTime)> {
    current::active_recorder().map(|recorder| (recorder, StartTime::now()))
}

fn function(deletes: bool) -> &'static str {
    if deletes { "delete" } else { "save" }
}

fn values<T: AuditedFields>(objects: &mut [Tracked<T>]) -> Vec<&mut T> {
    objects.iter_mut().map(|object| &mut object.value).collect()
}

fn kind_of<T: AuditedFields>(object: &Tracked<T>, deletes: bool) -> ChangeKind {
    if deletes { ChangeKind::Deleted } else { object.next_change() }
}

/// `{"type":"Pilot","created":2,"keys":["1","2"]}`; of two kinds, the keys of the second have its name.
fn summed_up(
    recorder: &RecorderRef,
    target_type: &str,
    touched: &[Touched],
) -> (Json, Vec<Truncation>) {
    let (mut json, mut cuts) = (String::from("{\"type\":"), Vec::new());
    write_str(&mut json, target_type);
    for Touched { kind, keys } in touched {
        json.push_str(&format!(",\"{kind}\":{},\"", keys.len()));
        let name = if touched.len() == 1 { "keys".to_owned() } else { format!("{kind}_keys") };
        json.push_str(&name);
        json.push_str("\":");
        let path = format!("input.{name}");
        capture::ValueWriter::new(&mut json, &mut cuts, &path, &recorder.rules).serialize(keys);
    }
    json.push('}');
    (Json::trusted(json), cuts)
}
