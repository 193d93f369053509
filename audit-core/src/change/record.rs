//! Makes records of operations on objects.

use std::any::Any;
use std::borrow::Cow;
use std::fmt::Display;
use std::mem;
use std::time::Instant;

use audit_record::private::write_attempted;
use audit_record::{ChangeKind, ErrorInfo, FieldChange, Json, Kind, Note, Outcome, Truncation};

use crate::busy::mark_busy;
use crate::call::{self, Call};
use crate::capture::{self, LimitedText};
use crate::change::SaveInfo;
use crate::fields::{ChangedFields, TypeInfo};
use crate::in_flight::{StartTime, Target, set_field};
use crate::recorder::RecorderRef;
use crate::scope::{self, Scope};

/// The limit for the text of an error.
const MESSAGE_BYTES: usize = 16 * 1_024;

/// The number of changes in one record. Further changes go to further records.
const CHANGES_PER_RECORD: usize = 4_096;

/// An operation on one or more objects, to be recorded.
pub(super) struct Operation {
    pub(super) recorder: RecorderRef,
    pub(super) began: StartTime,
    pub(super) action: Cow<'static, str>,
    pub(super) method: Cow<'static, str>,
    pub(super) target: Option<Target>,
}

/// The call that makes a change. A reader of the change should not have to look for the call to
/// know why it was made.
#[derive(Default)]
struct Caller {
    reason: Option<String>,
    action: Option<Cow<'static, str>>,
}

/// How an operation ended. One that failed has changed nothing, as far as is known.
pub(super) struct OperationEnd {
    outcome: Outcome,
    error: Option<ErrorInfo>,
    traceback: Option<String>,
}

impl OperationEnd {
    pub(super) fn success() -> Self {
        Self { outcome: Outcome::Success, error: None, traceback: None }
    }

    /// The operation returned an error.
    pub(super) fn from_error<E: Display + ?Sized>(error: &E) -> Self {
        let LimitedText { text, .. } =
            capture::format_limited(MESSAGE_BYTES, format_args!("{error}"));
        let error = ErrorInfo::new(std::any::type_name::<E>(), text, Vec::new(), None);
        Self { outcome: Outcome::Failure, error: Some(error), traceback: None }
    }

    /// The operation panicked.
    pub(super) fn from_panic(payload: &(dyn Any + Send), since: Instant) -> Self {
        let (error, traceback) = call::describe_panic(payload, since);
        Self { outcome: Outcome::Panic, error: Some(error), traceback }
    }

    /// The operation was dropped before it completed, because of a panic or not.
    pub(super) fn from_drop(panicked: bool, since: Instant) -> Self {
        if !panicked {
            return Self { outcome: Outcome::Cancelled, error: None, traceback: None };
        }
        let (error, traceback) = call::describe_latest_panic(since);
        Self { outcome: Outcome::Panic, error: Some(error), traceback }
    }
}

impl Operation {
    /// Records changes that have happened. If there are too many for one record, the later records
    /// are children of the first.
    pub(super) fn record_changes(
        self,
        info: &SaveInfo,
        mut changes: Vec<FieldChange>,
        cuts: Vec<Truncation>,
    ) {
        let caller = self.caller();
        let mut cuts = Some(cuts);
        let mut below_first = None;
        while !changes.is_empty() || cuts.is_some() {
            let end = last_whole_object(&changes, CHANGES_PER_RECORD);
            let rest = changes.split_off(end);
            let Some(mut call) = self.begin_record(info, &caller) else { return };
            let Some(shared) = call.shared().cloned() else { return };
            {
                let mut state = shared.state();
                state.annotations().changes = mem::replace(&mut changes, rest);
                cuts.take().into_iter().flatten().for_each(|cut| state.cut(cut));
            }
            call.end(Outcome::Success, None, None);
            below_first.get_or_insert_with(|| {
                scope::enter(Scope { call: Some(shared), ..scope::current() })
            });
        }
    }

    /// Records an operation without its changes. `input` is a summary of them, or what was
    /// attempted.
    pub(super) fn record_input(
        self,
        info: &SaveInfo,
        input: Json,
        cuts: Vec<Truncation>,
        end: OperationEnd,
    ) {
        let Some(mut call) = self.begin_record(info, &self.caller()) else { return };
        if let Some(shared) = call.shared() {
            let mut state = shared.state();
            state.set_input(input.as_str());
            cuts.into_iter().for_each(|cut| state.cut(cut));
        }
        call.end(end.outcome, end.error, end.traceback);
    }

    /// What the record takes over from the call around the operation.
    fn caller(&self) -> Caller {
        let call = scope::with(|scope| scope.call.clone());
        match call.filter(|call| call.recorder.generation() == self.recorder.generation()) {
            Some(call) => Caller {
                reason: call.state().annotations.as_ref().and_then(|a| a.reason.clone()),
                action: Some(call.action.clone()),
            },
            None => Caller::default(),
        }
    }

    /// Starts a record. `None` if the recorder skips this action.
    fn begin_record(&self, info: &SaveInfo, caller: &Caller) -> Option<Call> {
        let _busy = mark_busy();
        let call = call::begin_record(
            self.recorder.clone(),
            Kind::Change,
            self.action.clone(),
            self.method.clone(),
            self.began,
        )?;
        if let Some(shared) = call.shared() {
            for field in &info.extra_fields {
                set_field(shared, &field.key, |writer| {
                    let json = field.masked(writer.mask());
                    writer.captured(&json, &field.cuts);
                });
            }
            let mut state = shared.state();
            let state = state.annotations();
            state.target.clone_from(&self.target);
            state.actor.clone_from(&info.operator);
            state.reason = info.reason.clone().or_else(|| caller.reason.clone());
            state.parent_action.clone_from(&caller.action);
            for text in &info.notes {
                state.add_note(Note::new("notes", text.clone()));
            }
        }
        Some(call)
    }
}

/// How many of `changes` go into one record of about `limit` changes. The changes of one object
/// stay together, because they are one change of that object.
fn last_whole_object(changes: &[FieldChange], limit: usize) -> usize {
    let Some(last) = changes.get(limit) else { return changes.len() };
    let is_same = |change: &FieldChange| {
        change.changed_at == last.changed_at
            && change.target_id == last.target_id
            && change.target_type == last.target_type
    };
    let begin = changes[..limit].iter().rposition(|change| !is_same(change)).map_or(0, |n| n + 1);
    if begin > 0 {
        return begin;
    }
    // One object has more changes than a record should hold.
    limit + changes[limit..].iter().take_while(|change| is_same(change)).count()
}

/// The action of a record that names none: `Pilot: created`, `Pilot: changed` or `Pilot: deleted`.
///
/// A call that makes the change is likely to be called `create pilot`. The two must stay different,
/// or a report that groups by action would count each change twice.
pub(super) fn default_action(kind: ChangeKind, name: &str) -> Cow<'static, str> {
    format!("{name}: {}", kind.as_str()).into()
}

/// The method of the record: `fleet::Pilot::save`.
pub(super) fn method_name(info: &TypeInfo, function: &str) -> Cow<'static, str> {
    format!("{}::{}::{function}", info.module(), info.rust_name()).into()
}

/// The input of the record of a failed operation: the changes that it would have made.
pub(super) fn attempted_input(changed: ChangedFields, kind: ChangeKind) -> (Json, Vec<Truncation>) {
    let fields = changed.fields.iter().map(|field| (&*field.path, &field.before, &field.after));
    let mut json = String::from("{");
    write_attempted(&mut json, kind, fields);
    json.push('}');
    (Json::trusted(json), changed.cuts)
}
