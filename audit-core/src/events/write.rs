//! Writes a tracing event into the log of a call.

use std::borrow::Cow;
use std::fmt::{self, Debug};

use audit_record::Truncation;
use audit_record::private::json::write_key;
use tracing::Event;
use tracing::field::{Field, Visit};
use tracing_log::NormalizeEvent;

use crate::busy::mark_busy;
use crate::capture::{self, Rules};
use crate::in_flight::{CallShared, LogEvent};
use crate::{clock, scratch};

/// Adds `event` to the log of `call`, if the call records its level.
pub(super) fn write(call: &CallShared, event: &Event<'_>) {
    // Only events that `tracing-log` has created from records of the crate `log` need this.
    let normalized =
        if event.metadata().target() == "log" { event.normalized_metadata() } else { None };
    let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
    if *metadata.level() > call.log_level {
        return;
    }
    let mut fields = EventFields::new(call.rules(), normalized.is_some());
    event.record(&mut fields);
    let Some(_busy) = mark_busy() else { return };
    let target = match &normalized {
        Some(metadata) => Cow::Owned(metadata.target().to_owned()),
        None => Cow::Borrowed(event.metadata().target()),
    };
    let EventFields { message, mut json, cuts, .. } = fields;
    if !json.is_empty() {
        json.push('}');
    }
    let entry = LogEvent {
        at: clock::unix_micros(),
        level: *metadata.level(),
        target,
        message: &message,
        fields: (!json.is_empty()).then_some(&json),
    };
    call.state().log(entry, cuts, call.recorder.log_bytes);
    scratch::recycle(message);
    scratch::recycle(json);
}

/// Reads the fields of an event: the message as text, and the others as a JSON object.
struct EventFields<'r> {
    rules: &'r Rules,
    is_log: bool,
    message: String,
    /// The first field writes the opening brace, and the caller the closing one.
    json: String,
    cuts: Vec<Truncation>,
}

impl<'r> EventFields<'r> {
    fn new(rules: &'r Rules, is_log: bool) -> Self {
        let (message, json) = {
            let _busy = mark_busy();
            (scratch::take(), scratch::take())
        };
        Self { rules, is_log, message, json, cuts: Vec::new() }
    }

    fn field(&mut self, field: &Field, write: impl FnOnce(capture::ValueWriter<'_>)) {
        let name = field.name();
        // `tracing-log` puts the location of a `log` record into fields; the target contains it
        // already.
        if self.is_log && name.starts_with("log.") {
            return;
        }
        self.json.push(if self.json.is_empty() { '{' } else { ',' });
        write_key(&mut self.json, name);
        if self.rules.mask.matches_static(name) {
            capture::write_redacted(&mut self.json);
        } else {
            write(capture::ValueWriter::new(&mut self.json, &mut self.cuts, name, self.rules));
        }
    }

    fn message(&mut self, value: fmt::Arguments<'_>) {
        // If there are two messages, the last one counts.
        self.message.clear();
        let cut = capture::write_limited(&mut self.message, self.rules.limits.bytes, value);
        if let Some((kept, was)) = cut {
            self.cuts.push(Truncation::new("message", "bytes", kept, was));
        }
    }
}

impl Visit for EventFields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message(format_args!("{value:?}"));
        } else {
            self.field(field, |writer| {
                writer.debug(value);
            });
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message(format_args!("{value}"));
        } else {
            self.field(field, |writer| {
                writer.text(value);
            });
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.serialize(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.serialize(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.serialize(field, &value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.serialize(field, &value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.serialize(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.serialize(field, &value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl EventFields<'_> {
    fn serialize(&mut self, field: &Field, value: &impl serde::Serialize) {
        self.field(field, |writer| {
            writer.serialize(value);
        });
    }
}
