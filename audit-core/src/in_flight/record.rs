//! The record of a call that has ended. It is made where it is needed, as a rule by the writer thread: that is
//! time the caller does not spend, and memory that the same thread takes and frees.

use std::borrow::Cow;
use std::mem;
use std::sync::Arc;

use audit_record::{Json, Kind, LogEntry, Outcome, Record, Truncation};
use chrono::{DateTime, Utc};

use crate::in_flight::call::{CallState, End, Failure, Line, Rest};
use crate::in_flight::{CallShared, Target};
use crate::recorder::{Lost, Pending};

impl Pending for CallShared {
    fn into_record(self: Arc<Self>) -> Record {
        let record = self.take_record();
        Self::spare(self);
        record
    }

    fn add_to(&self, lost: &mut Lost) {
        lost.add_one(&self.action, self.began());
    }
}

impl CallShared {
    /// When it began.
    pub(crate) fn began(&self) -> DateTime<Utc> {
        date_time(self.started_at)
    }

    /// Bytes of the context, if the record can be made on another thread: see [`take_record`](Self::take_record).
    pub(crate) fn context_bytes(&self) -> Option<usize> {
        self.context.as_ref().map_or(Some(0), |context| context.described_bytes(&self.recorder))
    }

    /// The record, once the call has ended; what it takes out of the call is not there a second time.
    ///
    /// All that is hidden was hidden before: nothing here reads a value of the program, unless what the context says
    /// has not been [described](Self::context_bytes) yet.
    fn take_record(&self) -> Record {
        let (record, log_left_out, rest) = self.take(&mut self.state());
        self.complete(record, log_left_out, rest)
    }

    /// What is known before the body runs, of a call to the function `method`.
    pub(crate) fn intent(&self, method: &'static str) -> Record {
        let mut state = self.state().clone();
        let (mut record, log_left_out, rest) = self.take(&mut state);
        record.method = Cow::Borrowed(method);
        record.outcome = Outcome::Unknown;
        self.complete(record, log_left_out, rest)
    }

    /// Moves what was gathered into a record, as far as that needs no code of the program.
    fn take(&self, state: &mut CallState) -> (Record, u64, Rest) {
        let mut record = Record::with_id(self.id, Kind::Call, self.action.clone(), self.began());
        if let Some(End { kind, method, duration_us, outcome, failure }) = &mut state.end {
            record.kind = *kind;
            record.method = mem::take(method);
            record.duration_us = *duration_us;
            record.outcome = *outcome;
            if let Some(Failure { error, traceback }) = failure.take().map(|failure| *failure) {
                record.error = error;
                record.traceback = traceback;
            }
        }
        record.input = state.input.map(|input| Json::trusted(state.piece(input).to_owned()));
        record.output = state.output.map(|output| Json::trusted(state.piece(output).to_owned()));
        let mut log = mem::take(&mut state.log);
        record.log = log.drain(..).map(|line| entry(state, line)).collect();
        state.log = log;
        (record, state.log_left_out, state.rest.take().map_or_else(Rest::default, |rest| *rest))
    }

    fn complete(&self, mut record: Record, log_left_out: u64, rest: Rest) -> Record {
        let lineage = self.lineage();
        record.parent_id = lineage.parent;
        record.correlation_id = lineage.correlation.clone();
        self.add(&mut record, log_left_out, rest);
        record
    }

    /// Adds what was said of the call, inside and by its context.
    fn add(&self, record: &mut Record, log_left_out: u64, rest: Rest) {
        record.notes = rest.notes;
        record.reason = rest.reason;
        record.changes = rest.changes;
        if let Some(Target { type_name, id, label }) = rest.target {
            record.target_type = Some(type_name);
            record.target_id = Some(id);
            record.target_label = label;
        }
        record.truncated = rest.truncated;
        for (path, kept, left_out) in [
            ("log", record.log.len(), log_left_out),
            ("notes", record.notes.len(), rest.notes_left_out),
            ("changes", record.changes.len(), rest.changes_left_out),
            ("context.extra", rest.fields.len(), rest.fields_left_out),
        ] {
            if left_out > 0 {
                let was = kept as u64 + left_out;
                record.truncated.push(Truncation::new(path, "entries", kept as u64, Some(was)));
            }
        }
        record.site.clone_from(&self.recorder.site);
        record.service.clone_from(&self.recorder.service);
        match &self.context {
            Some(context) => context.describe(record, &self.recorder, rest.fields),
            None => record.context = crate::in_flight::extra_only(rest.fields),
        }
        if rest.actor.is_some() {
            record.actor = rest.actor;
        }
    }
}

fn entry(state: &CallState, line: Line) -> LogEntry {
    let Line { at, level, target, message, fields } = line;
    let fields = fields.map(|fields| Json::trusted(state.piece(fields).to_owned()));
    LogEntry::new(date_time(at), level.as_str(), target, state.piece(message), fields)
}

fn date_time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}
