//! [`CallState`]: what a call collects while it runs.

use std::borrow::Cow;
use std::mem;
use std::sync::Arc;

use audit_record::private::size::HeapBytes;
use audit_record::{ErrorInfo, FieldChange, Json, Kind, LogEntry, Note, Outcome, Truncation};
use chrono::{DateTime, Utc};
use tracing::Level;

use crate::fields::ObjectAddress;
use crate::in_flight::log_tail::{LogTail, MAX_CUTS, cut_in_log, log_event_bytes};

/// Limit of the notes, and of the fields, of one call. Excess ones are only counted.
pub(crate) const MAX_ANNOTATIONS: usize = 1_000;
/// Limit in bytes of the notes, and of the fields, of one call.
pub(crate) const MAX_ANNOTATION_BYTES: usize = 256 * 1024;
/// The first allocation of the text buffer, in bytes. The texts of most calls fit.
const INITIAL_TEXT_BYTES: usize = 256;
/// Limits of what is kept for reuse after a call has ended: bytes of text, and log events.
const MAX_SPARE_TEXT_BYTES: usize = 1_024;
const MAX_SPARE_LOG_EVENTS: usize = 8;

/// What a call collects while it runs.
#[derive(Clone, Default)]
pub(crate) struct CallState {
    /// The texts of input, log and output, one after the other. One buffer needs fewer allocations
    /// than one for each text.
    text: String,
    pub(crate) input: Option<TextRange>,
    pub(crate) output: Option<TextRange>,
    /// The beginning of the log, at most half of its limit in bytes.
    pub(crate) log: Vec<BufferedLogEvent>,
    log_bytes: usize,
    /// The rest of the log.
    pub(super) log_tail: Option<Box<LogTail>>,
    /// Boxed because few calls have any.
    pub(crate) annotations: Option<Box<Annotations>>,
    /// The body did not run, because the intent of the call could not be stored.
    pub(crate) refused: bool,
    /// Set when the call has ended. Later additions are ignored.
    pub(crate) end: Option<CallEnd>,
}

/// A part of the text of a [`CallState`].
#[derive(Clone, Copy)]
pub(crate) struct TextRange {
    from: usize,
    to: usize,
}

/// An event in the log of a call; its texts are in the buffer of the [`CallState`].
#[derive(Clone)]
pub(crate) struct BufferedLogEvent {
    /// Microseconds since 1970.
    pub(crate) at: i64,
    pub(crate) level: Level,
    pub(crate) target: Cow<'static, str>,
    pub(crate) message: TextRange,
    pub(crate) fields: Option<TextRange>,
}

/// An event that is to be added to the log of a call.
pub(crate) struct LogEvent<'e> {
    /// Microseconds since 1970.
    pub(crate) at: i64,
    pub(crate) level: Level,
    pub(crate) target: Cow<'static, str>,
    pub(crate) message: &'e str,
    /// JSON text.
    pub(crate) fields: Option<&'e str>,
}

/// What only few calls have: what the program adds to a call, what the call changes, and what was
/// cut.
#[derive(Clone, Default)]
pub(crate) struct Annotations {
    pub(crate) notes: Vec<Note>,
    pub(crate) notes_left_out: u64,
    pub(crate) reason: Option<String>,
    /// The action of the call around a change.
    pub(crate) parent_action: Option<Cow<'static, str>>,
    pub(crate) target: Option<Target>,
    /// The object in memory that the target was read from, if the call has read it itself.
    pub(crate) target_address: Option<ObjectAddress>,
    pub(crate) note_bytes: usize,
    /// JSON text by name. A later value for a name replaces the earlier one.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) field_bytes: usize,
    pub(crate) fields_left_out: u64,
    pub(crate) truncated: Vec<Truncation>,
    /// Overrides the actor of the context.
    pub(crate) actor: Option<Arc<str>>,
    pub(crate) changes: Vec<FieldChange>,
    pub(crate) changes_left_out: u64,
    /// How long the call waited for its intent, in microseconds.
    pub(crate) wait_us: Option<u64>,
    /// The outcome that the program declared.
    pub(crate) declared: Option<DeclaredOutcome>,
}

/// An outcome that the program declared, with a text that explains it.
#[derive(Clone)]
pub(crate) struct DeclaredOutcome {
    pub(crate) outcome: Outcome,
    pub(crate) text: Option<String>,
}

/// The object that a call is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) type_name: Cow<'static, str>,
    pub(crate) id: String,
    pub(crate) label: Option<String>,
}

/// How a call ended.
#[derive(Clone)]
pub(crate) struct CallEnd {
    pub(crate) kind: Kind,
    pub(crate) method: Cow<'static, str>,
    pub(crate) duration_us: u64,
    pub(crate) outcome: Outcome,
    pub(crate) failure: Option<Box<FailureDetails>>,
}

/// Why a call failed.
#[derive(Clone)]
pub(crate) struct FailureDetails {
    pub(crate) error: Option<ErrorInfo>,
    pub(crate) traceback: Option<String>,
}

impl FailureDetails {
    fn bytes(&self) -> usize {
        self.traceback.heap_bytes() + self.error.heap_bytes()
    }
}

impl Annotations {
    /// Sets the target that the program names.
    pub(crate) fn set_target(&mut self, target: Target) {
        (self.target, self.target_address) = (Some(target), None);
    }

    /// The object at `address`, which may be the target, has this id and label now.
    pub(crate) fn update_target(
        &mut self,
        address: ObjectAddress,
        id: &str,
        label: Option<String>,
    ) {
        if self.target_address == Some(address)
            && let Some(target) = &mut self.target
        {
            id.clone_into(&mut target.id);
            if label.is_some() {
                target.label = label;
            }
        }
    }

    /// Adds a note. If there are too many of them, it is only counted.
    pub(crate) fn add_note(&mut self, note: Note) {
        let bytes = self.note_bytes + note.title.len() + note.description.len();
        if self.notes.len() < MAX_ANNOTATIONS && bytes <= MAX_ANNOTATION_BYTES {
            self.note_bytes = bytes;
            self.notes.push(note);
        } else {
            self.notes_left_out += 1;
        }
    }

    fn bytes(&self) -> usize {
        let target = self.target.as_ref().map_or(0, |Target { type_name, id, label }| {
            type_name.len() + id.len() + label.heap_bytes()
        });
        size_of::<Self>()
            + target
            + self.reason.heap_bytes()
            + self.parent_action.heap_bytes()
            + self.notes.heap_bytes()
            + self.fields.heap_bytes()
            + self.truncated.heap_bytes()
            + self.changes.heap_bytes()
    }
}

impl CallState {
    /// Resets the state, but keeps the memory of the text and the log, unless it is unusually
    /// large.
    pub(super) fn clear(&mut self) {
        let (mut text, mut log) = (mem::take(&mut self.text), mem::take(&mut self.log));
        text.clear();
        log.clear();
        *self = Self::default();
        if text.capacity() <= MAX_SPARE_TEXT_BYTES {
            self.text = text;
        }
        if log.capacity() <= MAX_SPARE_LOG_EVENTS {
            self.log = log;
        }
    }

    pub(crate) fn annotations(&mut self) -> &mut Annotations {
        self.annotations.get_or_insert_default()
    }

    pub(crate) fn cut(&mut self, cut: Truncation) {
        let truncated = &mut self.annotations().truncated;
        if truncated.len() < MAX_CUTS {
            truncated.push(cut);
        }
    }

    /// Sets the input, a JSON text.
    pub(crate) fn set_input(&mut self, json: &str) {
        self.input = Some(self.append(json));
    }

    /// Sets the output, a JSON text.
    pub(crate) fn set_output(&mut self, json: &str) {
        self.output = Some(self.append(json));
    }

    /// Adds `event` to the log, which holds at most `limit` bytes.
    pub(crate) fn log(&mut self, event: LogEvent<'_>, cuts: Vec<Truncation>, limit: usize) {
        if self.end.is_some() {
            // The call has been recorded while a task that it started is still running.
            return;
        }
        let LogEvent { at, level, target, message, fields } = event;
        let bytes = log_event_bytes(&target, message, fields);
        if self.log_tail.is_some() || self.log_bytes + bytes > limit / 2 {
            let fields = fields.map(|fields| Json::trusted(fields.to_owned()));
            let entry = LogEntry::new(date_time(at), level.as_str(), target, message, fields);
            let room = limit.saturating_sub(self.log_bytes);
            self.log_tail.get_or_insert_default().push(entry, bytes, cuts, room);
            return;
        }
        self.log_bytes += bytes;
        let message = self.append(message);
        let fields = fields.map(|fields| self.append(fields));
        self.log.push(BufferedLogEvent { at, level, target, message, fields });
        for cut in cuts {
            self.cut(cut_in_log(self.log.len() - 1, cut));
        }
    }

    fn append(&mut self, text: &str) -> TextRange {
        if self.text.capacity() == 0 {
            self.text.reserve(INITIAL_TEXT_BYTES.max(text.len()));
        }
        let from = self.text.len();
        self.text.push_str(text);
        TextRange { from, to: self.text.len() }
    }

    pub(super) fn text_at(&self, range: TextRange) -> &str {
        &self.text[range.from..range.to]
    }

    /// An estimate of the heap memory of this state, in bytes. It counts at least the texts that
    /// come from the program, so it can bound the queue.
    pub(super) fn bytes(&self) -> usize {
        let end = self.end.as_ref().map_or(0, |end| {
            end.method.len() + end.failure.as_deref().map_or(0, FailureDetails::bytes)
        });
        let log = self.log.iter().map(|event| size_of::<BufferedLogEvent>() + event.target.len());
        self.text.capacity()
            + log.sum::<usize>()
            + self.log_tail.as_deref().map_or(0, LogTail::bytes)
            + self.annotations.as_deref().map_or(0, Annotations::bytes)
            + end
    }
}

/// The time `micros` microseconds after 1970.
pub(super) fn date_time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}
