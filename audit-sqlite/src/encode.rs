//! [`Encoder`]: the parts of a record that are stored as text, but are not text in [`Record`].

use std::fmt::Write as _;
use std::net::IpAddr;

use audit_core::capture::{Rules, write_serialize};
use audit_core::{Limits, Mask};
use audit_record::private::json::write_str;
use audit_record::{LogEntry, Record};
use chrono::{DateTime, Datelike as _, SecondsFormat, Timelike as _, Utc};
use serde::Serialize;

/// Buffers for these columns, reused from record to record.
#[derive(Default)]
pub(crate) struct Encoder {
    ip: TextBuffer,
    log: TextBuffer,
    error: TextBuffer,
    notes: TextBuffer,
    truncated: TextBuffer,
}

/// The address as text, and the other columns as JSON. An empty column is `None`.
pub(crate) struct Encoded<'e> {
    pub(crate) ip: Option<&'e str>,
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
            ip: self.ip.fill(record.ip, write_ip),
            log: self.log.fill(log, |out, log| write_log(out, log)),
            error: self.error.fill(record.error.as_ref(), write_json),
            notes: self.notes.fill(notes, write_json),
            truncated: self.truncated.fill(truncated, write_json),
        }
    }
}

/// A buffer for the text of one column.
#[derive(Default)]
struct TextBuffer(String);

/// A buffer that one long log has made larger than this, in bytes, is shrunk again.
const MAX_KEPT_BYTES: usize = 64 * 1024;

impl TextBuffer {
    fn fill<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut String, T)) -> Option<&str> {
        self.0.clear();
        self.0.shrink_to(MAX_KEPT_BYTES);
        write(&mut self.0, value?);
        Some(&self.0)
    }
}

/// Does not use serde, which would write times with a varying number of digits, and would parse and
/// write again the fields, which must be stored exactly as they were captured.
fn write_log(out: &mut String, log: &[LogEntry]) {
    for (n, entry) in log.iter().enumerate() {
        out.push_str(if n == 0 { "[{\"time\":\"" } else { ",{\"time\":\"" });
        write_time(out, entry.time);
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

/// Same result as `Display`, which takes ten times as long for IPv4.
fn write_ip(out: &mut String, ip: IpAddr) {
    let IpAddr::V4(ip) = ip else {
        write!(out, "{ip}").expect("writing to a string does not fail");
        return;
    };
    for (n, octet) in ip.octets().into_iter().enumerate() {
        if n > 0 {
            out.push('.');
        }
        for place in [100, 10, 1] {
            if octet >= place || place == 1 {
                out.push((b'0' + octet / place % 10).into());
            }
        }
    }
}

/// Same result as `to_rfc3339_opts` with microseconds, which takes ten times as long and was
/// visible in profiles of a batch.
fn write_time(out: &mut String, time: DateTime<Utc>) {
    let (date, nanos) = (time.date_naive(), time.nanosecond());
    let (year, micros) = (date.year(), nanos / 1_000);
    // Only these years have four digits, and the microseconds of a leap second have seven.
    if !(0..=9_999).contains(&year) || micros > 999_999 {
        out.push_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true));
        return;
    }
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let parts = [
        (0..4, year as u32),
        (5..7, date.month()),
        (8..10, date.day()),
        (11..13, time.hour()),
        (14..16, time.minute()),
        (17..19, time.second()),
        (20..26, micros),
    ];
    for (place, mut number) in parts {
        for digit in text[place].iter_mut().rev() {
            *digit += (number % 10) as u8;
            number /= 10;
        }
    }
    out.push_str(std::str::from_utf8(&text).expect("digits"));
}

/// Writes all of `value`, because its parts were limited and masked when they were captured.
fn write_json(out: &mut String, value: &impl Serialize) {
    let limits =
        Limits::default().bytes(usize::MAX / 4).depth(Limits::MAX_DEPTH).length(usize::MAX);
    let rules = Rules { limits, mask: Mask::none() };
    write_serialize(out, &mut Vec::new(), "", &rules, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_display_writes_it() {
        for text in ["0.0.0.0", "10.20.30.40", "1.9.10.99", "100.101.199.255", "2001:db8::1", "::"]
        {
            let mut out = String::new();
            write_ip(&mut out, text.parse().unwrap());
            assert_eq!(out, text);
        }
    }

    #[test]
    fn a_time_is_written_as_chrono_writes_it() {
        let texts = [
            "1970-01-01T00:00:00Z",
            "2026-01-02T03:04:05.678Z",
            "2024-02-29T23:59:59.999999999Z",
            "2016-12-31T23:59:60.5Z",
            "0000-01-01T00:00:00.000001Z",
            "-0001-12-31T00:00:00Z",
            "+10000-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999Z",
        ];
        for text in texts {
            let time = text.parse().unwrap();
            let mut out = String::new();
            write_time(&mut out, time);
            assert_eq!(out, time.to_rfc3339_opts(SecondsFormat::Micros, true), "{text}");
        }
    }
}
