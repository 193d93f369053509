//! Writes the parts of a record that are stored as JSON.

use audit_core::capture::{Rules, write_serialize, write_str};
use audit_core::{Limits, LogEntry, Mask, Record};
use chrono::SecondsFormat;
use serde::Serialize;

/// Room for the JSON columns of one record, kept from record to record.
#[derive(Default)]
pub(crate) struct Encoder {
    log: Column,
    error: Column,
    notes: Column,
    truncated: Column,
}

/// The JSON columns that a record does not bring as text.
pub(crate) struct Encoded<'e> {
    pub(crate) log: Option<&'e str>,
    pub(crate) error: Option<&'e str>,
    pub(crate) notes: Option<&'e str>,
    pub(crate) truncated: Option<&'e str>,
}

impl Encoder {
    pub(crate) fn encode(&mut self, record: &Record) -> Encoded<'_> {
        let log = (!record.log.is_empty()).then_some(&record.log);
        let notes = (!record.notes.is_empty()).then_some(&record.notes);
        let truncated = (!record.truncated.is_empty()).then_some(&record.truncated);
        Encoded {
            log: self.log.fill(log, |out, log| write_log(out, log)),
            error: self.error.fill(record.error.as_ref(), write_json),
            notes: self.notes.fill(notes, write_json),
            truncated: self.truncated.fill(truncated, write_json),
        }
    }
}

/// A buffer that one JSON column is written into.
#[derive(Default)]
struct Column(String);

/// A buffer that grew beyond this for one long log is given back.
const KEPT: usize = 64 * 1024;

impl Column {
    fn fill<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut String, T)) -> Option<&str> {
        self.0.clear();
        self.0.shrink_to(KEPT);
        write(&mut self.0, value?);
        Some(&self.0)
    }
}

/// Not by serde: that would print times with as many digits as they happen to have, and parse and
/// print again the fields, which are stored exactly as they were captured.
fn write_log(out: &mut String, log: &[LogEntry]) {
    for (n, entry) in log.iter().enumerate() {
        out.push_str(if n == 0 { "[{\"time\":\"" } else { ",{\"time\":\"" });
        out.push_str(&entry.time.to_rfc3339_opts(SecondsFormat::Micros, true));
        out.push_str("\",\"level\":");
        write_str(out, &entry.level);
        out.push_str(",\"target\":");
        write_str(out, &entry.target);
        out.push_str(",\"message\":");
        write_str(out, &entry.message);
        if let Some(fields) = &entry.fields {
            out.push_str(",\"fields\":");
            out.push_str(fields.as_str());
        }
        out.push('}');
    }
    out.push(']');
}

/// All of `value`: its parts were limited and masked when they were captured.
fn write_json(out: &mut String, value: &impl Serialize) {
    let limits =
        Limits::default().bytes(usize::MAX / 4).depth(Limits::MAX_DEPTH).length(usize::MAX);
    let rules = Rules { limits, mask: Mask::none() };
    write_serialize(out, &mut Vec::new(), "", &rules, value);
}
