//! Makes the record of a call that has ended.
//!
//! The writer thread does it as a rule. This saves time on the caller's thread, and the thread that
//! allocates the parts of the record also frees them.

use std::borrow::Cow;
use std::mem;
use std::sync::Arc;

use audit_record::{Json, Kind, LogEntry, Outcome, Record, Truncation};
use chrono::{DateTime, Utc};

use crate::in_flight::context::OwnContext;
use crate::in_flight::identifiers::list_cut_identifiers;
use crate::in_flight::state::{Annotations, BufferedLogEvent, date_time};
use crate::in_flight::{CallEnd, CallShared, CallState, FailureDetails, Target};
use crate::recorder::{LossCount, Pending};

impl Pending for CallShared {
    fn into_record(self: Arc<Self>) -> Record {
        let record = self.take_record();
        Self::recycle(self);
        record
    }

    fn count_loss(&self, losses: &mut LossCount) {
        losses.add(&self.action, self.start_time());
    }
}

impl CallShared {
    pub(crate) fn start_time(&self) -> DateTime<Utc> {
        date_time(self.started_at)
    }

    /// The size of the context in bytes, if another thread can make the record: see
    /// [`take_record`](Self::take_record).
    pub(crate) fn context_bytes(&self) -> Option<usize> {
        self.context.as_ref().map_or(Some(0), |context| context.rendered_bytes(&self.recorder))
    }

    /// The record of a call that has ended. It takes parts out of the state, so call it once.
    ///
    /// Masking is done before, on the caller's thread. Only a context that has not been
    /// [rendered](Self::context_bytes) for this recorder is masked here.
    fn take_record(&self) -> Record {
        let (record, annotations) = self.take(&mut self.state());
        self.complete(record, annotations)
    }

    /// The intent: a record of what is known before the body runs, for a call of the function
    /// `method`.
    pub(crate) fn intent(&self, method: &'static str) -> Record {
        let mut state = self.state().clone();
        let (mut record, annotations) = self.take(&mut state);
        record.method = Cow::Borrowed(method);
        record.outcome = Outcome::Unknown;
        self.complete(record, annotations)
    }

    /// Moves the parts of `state` into a record. Returns the parts that are still missing there.
    fn take(&self, state: &mut CallState) -> (Record, Annotations) {
        let mut record =
            Record::with_id(self.id, Kind::Call, self.action.clone(), self.start_time());
        if let Some(CallEnd { kind, method, duration_us, outcome, failure }) = &mut state.end {
            record.kind = *kind;
            record.method = mem::take(method);
            record.duration_us = *duration_us;
            record.outcome = *outcome;
            if let Some(FailureDetails { error, traceback }) = failure.take().map(|boxed| *boxed) {
                record.error = error;
                record.traceback = traceback;
            }
        }
        record.input = state.input.map(|input| Json::trusted(state.text_at(input).to_owned()));
        record.output = state.output.map(|output| Json::trusted(state.text_at(output).to_owned()));
        let mut log = mem::take(&mut state.log);
        record.log = log.drain(..).map(|event| log_entry(state, event)).collect();
        state.log = log;
        let mut annotations =
            state.annotations.take().map_or_else(Annotations::default, |boxed| *boxed);
        if let Some(tail) = state.log_tail.take() {
            tail.append_to(&mut record.log, &mut annotations.truncated);
        }
        (record, annotations)
    }

    fn complete(&self, mut record: Record, annotations: Annotations) -> Record {
        let lineage = self.lineage();
        record.parent_id = lineage.parent;
        record.correlation_id = lineage.correlation.clone();
        self.annotate(&mut record, annotations);
        record
    }

    /// Adds the annotations of the call and its context to `record`.
    fn annotate(&self, record: &mut Record, annotations: Annotations) {
        record.notes = annotations.notes;
        record.reason = annotations.reason;
        record.changes = annotations.changes;
        record.wait_us = annotations.wait_us;
        if let Some(Target { type_name, id, label }) = annotations.target {
            record.target_type = Some(type_name);
            record.target_id = Some(id);
            record.target_label = label;
        }
        record.truncated = annotations.truncated;
        for (path, kept, left_out) in [
            ("notes", record.notes.len(), annotations.notes_left_out),
            ("changes", record.changes.len(), annotations.changes_left_out),
            ("context.extra", annotations.fields.len(), annotations.fields_left_out),
        ] {
            if left_out > 0 {
                let was = kept as u64 + left_out;
                record.truncated.push(Truncation::new(path, "entries", kept as u64, Some(was)));
            }
        }
        record.site.clone_from(&self.recorder.site);
        record.service.clone_from(&self.recorder.service);
        let own =
            OwnContext { parent_action: annotations.parent_action, fields: annotations.fields };
        match &self.context {
            Some(context) => context.add_to_record(record, &self.recorder, own),
            None => record.context = own.into_json(),
        }
        if annotations.actor.is_some() {
            record.actor = annotations.actor;
        }
        list_cut_identifiers(record);
    }
}

fn log_entry(state: &CallState, event: BufferedLogEvent) -> LogEntry {
    let BufferedLogEvent { at, level, target, message, fields } = event;
    let fields = fields.map(|fields| Json::trusted(state.text_at(fields).to_owned()));
    LogEntry::new(date_time(at), level.as_str(), target, state.text_at(message), fields)
}
