//! Makes records of what happened to objects.

use std::any::Any;
use std::borrow::Cow;
use std::fmt::Display;
use std::time::Instant;

use audit_record::private::write_attempted;
use audit_record::{ChangeKind, ErrorInfo, FieldChange, Json, Kind, Note, Outcome, Truncation};

use crate::busy::busy;
use crate::call::{self, Call};
use crate::capture::{self, LimitedText};
use crate::change::SaveInfo;
use crate::fields::{Rows, TypeInfo};
use crate::in_flight::{StartTime, Target, set_field};
use crate::recorder::RecorderRef;
use crate::scope::{self, Scope};

/// Something that happened, or was tried, about to become a record.
pub(super) struct Occasion {
    pub(super) recorder: RecorderRef,
    pub(super) began: StartTime,
    pub(super) action: Cow<'static, str>,
    pub(super) method: Cow<'static, str>,
    pub(super) target: Option<Target>,
}

/// How an attempt ended that changed nothing, as far as is known.
pub(super) struct Failed {
    pub(super) outcome: Outcome,
    pub(super) error: Option<ErrorInfo>,
    pub(super) traceback: Option<String>,
}

impl Failed {
    /// The store said no.
    pub(super) fn by_error<E: Display + ?Sized>(error: &E) -> Self {
        let LimitedText { text, .. } = capture::format_limited(MESSAGE, format_args!("{error}"));
        let error = ErrorInfo::new(std::any::type_name::<E>(), text, Vec::new(), None);
        Self { outcome: Outcome::Failure, error: Some(error), traceback: None }
    }

    /// The store panicked.
    pub(super) fn by_panic(payload: &(dyn Any + Send), since: Instant) -> Self {
        let (error, traceback) = call::describe_panic(payload, since);
        Self { outcome: Outcome::Panic, error: Some(error), traceback }
    }

    /// It was dropped before its end.
    pub(super) fn by_drop(panicked: bool, since: Instant) -> Self {
        if !panicked {
            return Self { outcome: Outcome::Cancelled, error: None, traceback: None };
        }
        let (error, traceback) = call::describe_latest_panic(since);
        Self { outcome: Outcome::Panic, error: Some(error), traceback }
    }
}

/// Bytes of an error's text.
const MESSAGE: usize = 16 * 1_024;

/// Changes of one record; more of them make further records.
const CHANGES: usize = 4_096;

impl Occasion {
    /// Records that `changes` have happened; as several records if they are many, the later ones below the
    /// first.
    pub(super) fn happened(
        self,
        info: &SaveInfo,
        mut changes: Vec<FieldChange>,
        cuts: Vec<Truncation>,
    ) {
        let mut cuts = Some(cuts);
        let mut below_first = None;
        while !changes.is_empty() || cuts.is_some() {
            // One object's fields stay together, for they are one change.
            let end = end_of_object(&changes, CHANGES);
            let rest = changes.split_off(end);
            let Some(mut call) = self.begin(info) else { return };
            let Some(shared) = call.shared().cloned() else { return };
            {
                let mut state = shared.state();
                state.annotations().changes = std::mem::replace(&mut changes, rest);
                cuts.take().into_iter().flatten().for_each(|cut| state.cut(cut));
            }
            call.end(Outcome::Success, None, None);
            below_first.get_or_insert_with(|| {
                scope::enter(Scope { call: Some(shared), ..scope::current() })
            });
        }
    }

    /// Records something of which only `input` tells.
    pub(super) fn summed_up(self, info: &SaveInfo, input: Json, cuts: Vec<Truncation>) {
        self.with_input(info, input, cuts, Outcome::Success, None, None);
    }

    /// Records that what `input` tells was tried.
    pub(super) fn failed(
        self,
        info: &SaveInfo,
        input: Json,
        cuts: Vec<Truncation>,
        failed: Failed,
    ) {
        self.with_input(info, input, cuts, failed.outcome, failed.error, failed.traceback);
    }

    fn with_input(
        self,
        info: &SaveInfo,
        input: Json,
        cuts: Vec<Truncation>,
        outcome: Outcome,
        error: Option<ErrorInfo>,
        traceback: Option<String>,
    ) {
        let Some(mut call) = self.begin(info) else { return };
        if let Some(shared) = call.shared() {
            let mut state = shared.state();
            state.set_input(input.as_str());
            cuts.into_iter().for_each(|cut| state.cut(cut));
        }
        call.end(outcome, error, traceback);
    }

    fn begin(&self, info: &SaveInfo) -> Option<Call> {
        let _busy = busy();
        let call = call::begin_record(
            self.recorder.clone(),
            Kind::Change,
            self.action.clone(),
            self.method.clone(),
            self.began,
        )?;
        if let Some(shared) = call.shared() {
            for said in &info.fields {
                set_field(shared, &said.key, |writer| {
                    let json = said.masked(writer.mask());
                    writer.captured(&json, &said.cuts);
                });
            }
            let mut state = shared.state();
            let state = state.annotations();
            state.target.clone_from(&self.target);
            state.actor.clone_from(&info.operator);
            state.reason.clone_from(&info.reason);
            state.notes = info.notes.iter().map(|text| Note::new("notes", text.clone())).collect();
        }
        Some(call)
    }
}

/// Where the object ends whose change is the `limit`th.
fn end_of_object(changes: &[FieldChange], limit: usize) -> usize {
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
    limit + changes[limit..].iter().take_while(|change| is_same(change)).count()
}

/// `create Pilot`, and so on.
pub(super) fn action(kind: ChangeKind, name: &str) -> Cow<'static, str> {
    let verb = match kind {
        ChangeKind::Created => "create",
        ChangeKind::Deleted => "delete",
        _ => "change",
    };
    format!("{verb} {name}").into()
}

/// `fleet::Pilot::save`
pub(super) fn method(info: &TypeInfo, function: &str) -> Cow<'static, str> {
    format!("{}::{}::{function}", info.module(), info.rust_name()).into()
}

/// What was tried, as the input of its record: by field, what it was and what it was to become.
pub(super) fn attempted(rows: Rows, kind: ChangeKind) -> (Json, Vec<Truncation>) {
    let fields = rows.rows.iter().map(|(field, before, after)| (&**field, before, after));
    let mut json = String::from("{");
    write_attempted(&mut json, kind, fields);
    json.push('}');
    (Json::trusted(json), rows.cuts)
}
