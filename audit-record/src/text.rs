//! The canonical text of a record: JSON with one spelling for each value.
//!
//! Stores, JSON lines, HTTP responses and digests all use these bytes, so that equal records have
//! equal texts. [`Canonical`] writes one value, and [`Record::to_json`](crate::Record::to_json)
//! writes a whole record. The rules:
//!
//! - Keys have the order of the fields of [`Record`](crate::Record). An absent value has no key.
//! - Times are RFC 3339 in UTC with microseconds: `2026-11-27T09:30:00.000000Z`.
//! - Captured values ([`Json`](crate::Json)) are copied byte by byte. A value that nests more than 124
//!   levels deep, which captures never do, is written as a string, since common readers stop at 127.
//! - There is no white space between tokens, and strings escape only what JSON requires.
//!
//! It does not use serde, which writes times with a varying number of digits, and would parse and
//! write captured values again.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Datelike as _, SecondsFormat, Timelike as _, Utc};
use uuid::Uuid;

use crate::Json;
use crate::json::scan::{MAX_DEPTH, nests_at_most};
use crate::json::write::write_str;
use crate::parts::{
    ChangeKind, CorrelationId, ErrorInfo, FieldChange, Kind, LogEntry, Note, Outcome, Truncation,
};

/// A value that has a canonical text.
///
/// ```
/// use audit_record::Note;
/// use audit_record::private::text::Canonical as _;
///
/// let mut text = String::new();
/// vec![Note::new("ticket", "approved")].write(&mut text);
/// assert_eq!(text, r#"[{"title":"ticket","description":"approved"}]"#);
/// ```
pub trait Canonical {
    /// Whether the value is left out of its object.
    fn is_absent(&self) -> bool {
        false
    }

    /// Appends the JSON text of a value that is not absent.
    fn write(&self, out: &mut String);
}

impl<T: Canonical> Canonical for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn write(&self, out: &mut String) {
        match self {
            Some(value) => value.write(out),
            None => out.push_str("null"),
        }
    }
}

impl<T: Canonical> Canonical for Vec<T> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn write(&self, out: &mut String) {
        out.push('[');
        for (n, element) in self.iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            element.write(out);
        }
        out.push(']');
    }
}

macro_rules! texts {
    ($($ty:ty)*) => {$(
        impl Canonical for $ty {
            fn write(&self, out: &mut String) {
                write_str(out, self);
            }
        }
    )*};
}

texts! { String Arc<str> Cow<'static, str> }

macro_rules! names {
    ($($ty:ty)*) => {$(
        impl Canonical for $ty {
            fn write(&self, out: &mut String) {
                write_str(out, self.as_str());
            }
        }
    )*};
}

names! { Kind Outcome ChangeKind }

impl Canonical for u64 {
    fn write(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = write!(out, "{self}");
    }
}

impl Canonical for Uuid {
    fn write(&self, out: &mut String) {
        out.push('"');
        out.push_str(self.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        out.push('"');
    }
}

impl Canonical for CorrelationId {
    fn write(&self, out: &mut String) {
        match self {
            Self::Uuid(id) => id.write(out),
            Self::Text(text) => write_str(out, text),
        }
    }
}

impl Canonical for IpAddr {
    fn write(&self, out: &mut String) {
        out.push('"');
        write_ip(out, *self);
        out.push('"');
    }
}

impl Canonical for DateTime<Utc> {
    fn write(&self, out: &mut String) {
        out.push('"');
        write_time(out, *self);
        out.push('"');
    }
}

/// How deep a value may nest inside a record: as deep as JSON can be read, less the brackets of the
/// record, of its log, and of one entry.
const MAX_VALUE_DEPTH: usize = MAX_DEPTH - 3;

impl Canonical for Json {
    fn write(&self, out: &mut String) {
        if nests_at_most(self.as_str(), MAX_VALUE_DEPTH) {
            out.push_str(self.as_str());
        } else {
            write_str(out, self.as_str());
        }
    }
}

/// Implements [`Canonical`] and `Serialize` for a struct: its fields in this order, each with its
/// key.
macro_rules! object {
    ($ty:ty { $($key:literal: $field:ident),+ $(,)? }) => {
        impl Canonical for $ty {
            fn write(&self, out: &mut String) {
                out.push('{');
                $( member(out, $key, &self.$field); )+
                out.push('}');
            }
        }

        /// Serialises the canonical text.
        impl serde::Serialize for $ty {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut text = String::new();
                self.write(&mut text);
                Json::trusted(text).serialize(serializer)
            }
        }
    };
}

object!(LogEntry {
    "time": time,
    "level": level,
    "target": target,
    "message": message,
    "fields": fields,
});
object!(ErrorInfo {
    "type": type_name,
    "variant": variant,
    "message": message,
    "sources": sources,
    "location": location,
});
object!(Note { "title": title, "description": description });
object!(Truncation {
    "path": path,
    "unit": unit,
    "kept": kept,
    "was": was,
    "reason": reason,
});
object!(FieldChange {
    "target_type": target_type,
    "target_id": target_id,
    "change": change,
    "field": field,
    "before": before,
    "after": after,
    "changed_at": changed_at,
});

/// Appends `"key":value` to the open object at the end of `out`, unless the value is absent.
pub fn member(out: &mut String, key: &str, value: &impl Canonical) {
    if value.is_absent() {
        return;
    }
    if !out.ends_with('{') {
        out.push(',');
    }
    write_str(out, key);
    out.push(':');
    value.write(out);
}

/// Appends an address. The result is the same as with `Display`, which takes ten times as long for
/// IPv4.
pub fn write_ip(out: &mut String, ip: IpAddr) {
    let IpAddr::V4(ip) = ip else {
        let _ = write!(out, "{ip}");
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

/// Appends a time. The result is that of `to_rfc3339_opts` with microseconds, which takes ten times
/// as long.
pub fn write_time(out: &mut String, time: DateTime<Utc>) {
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
    out.push_str(std::str::from_utf8(&text).unwrap_or_default());
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
