//! Writes JSON text: strings, keys, bytes and numbers.
//!
//! The canonical text of records and the captures of `audit-core` are written with it.

use std::io;

/// The name of the struct in which `serde_json` passes on a `RawValue`.
pub const RAW_VALUE: &str = "$serde_json::private::RawValue";
/// The name of the struct in which `serde_json` passes on a number with all its digits.
pub const NUMBER: &str = "$serde_json::private::Number";

/// For each byte: 0 if it is not escaped, `u` if it is written as `\u00XX`, or the letter after the
/// backslash.
const ESCAPE: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// The largest number of bytes that one byte takes when it is escaped.
pub const LONGEST_ESCAPE: usize = 6;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `text` escaped, without the quotes.
#[inline]
pub fn escape(out: &mut String, text: &str) {
    if is_plain(text.as_bytes()) { out.push_str(text) } else { escape_bytewise(out, text) }
}

/// Whether no byte of `text` must be escaped. It checks eight bytes at a time; the last eight may
/// overlap those before.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    if let Some(last) = text.last_chunk::<8>() {
        let (eights, _) = text.as_chunks::<8>();
        return eights.iter().chain([last]).all(|eight| all_plain(u64::from_le_bytes(*eight)));
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return all_plain(u64::from(first) << 32 | u64::from(last));
    }
    text.iter().all(|&byte| ESCAPE[usize::from(byte)] == 0)
}

/// Whether none of the eight bytes is a control character, a quote or a backslash.
#[inline]
fn all_plain(eight: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const TOPS: u64 = ONES << 7;
    // Sets the top bit of each byte that is less than `n`, for bytes below 128. It may also set the
    // top bit of the byte above such a byte.
    let less = |bytes: u64, n: u64| bytes.wrapping_sub(ONES * n) & !bytes;
    let equal = |byte: u8| less(eight ^ (ONES * u64::from(byte)), 1);
    (less(eight, 0x20) | equal(b'"') | equal(b'\\')) & TOPS == 0
}

#[cold]
fn escape_bytewise(out: &mut String, text: &str) {
    let mut from = 0;
    for (at, &byte) in text.as_bytes().iter().enumerate() {
        let escape = ESCAPE[usize::from(byte)];
        if escape != 0 {
            out.push_str(&text[from..at]);
            push_escape(out, byte, escape);
            from = at + 1;
        }
    }
    out.push_str(&text[from..]);
}

#[cold]
fn push_escape(out: &mut String, byte: u8, escape: u8) {
    out.push('\\');
    out.push(char::from(escape));
    if escape == b'u' {
        out.push_str("00");
        push_hex(out, byte);
    }
}

/// Appends `byte` as two hexadecimal digits.
pub fn push_hex(out: &mut String, byte: u8) {
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

/// How many bytes of `text` fit into `room` bytes when they are escaped.
#[inline]
pub fn fitting(text: &str, room: usize) -> usize {
    if text.len() <= room / LONGEST_ESCAPE { text.len() } else { measured(text, room) }
}

fn measured(text: &str, room: usize) -> usize {
    let mut left = room;
    for (at, &byte) in text.as_bytes().iter().enumerate() {
        let width = match ESCAPE[usize::from(byte)] {
            0 => 1,
            b'u' => LONGEST_ESCAPE,
            _ => 2,
        };
        if width > left {
            return char_boundary(text, at);
        }
        left -= width;
    }
    text.len()
}

/// Appends `value` as a JSON string, all of it.
///
/// ```
/// use audit_record::private::json::write_str;
///
/// let mut text = String::new();
/// write_str(&mut text, "a \"b\"\n");
/// assert_eq!(text, r#""a \"b\"\n""#);
/// ```
#[inline]
pub fn write_str(out: &mut String, value: &str) {
    out.push('"');
    escape(out, value);
    out.push('"');
}

/// Appends `name` and a colon.
#[inline]
pub fn write_key(out: &mut String, name: &str) {
    write_str(out, name);
    out.push(':');
}

/// The text that bytes are recorded as: `0x00ff`.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    bytes.iter().for_each(|&byte| push_hex(&mut text, byte));
    text
}

/// The largest index up to `limit` that is between two characters of `text`. The method of the
/// standard library needs a newer compiler than the oldest that is supported.
pub fn char_boundary(text: &str, limit: usize) -> usize {
    let mut at = limit.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The text that a number is recorded as, if JSON has no form for it.
pub fn not_finite(value: f64) -> Option<&'static str> {
    if value.is_finite() {
        None
    } else if value.is_nan() {
        Some("NaN")
    } else if value > 0.0 {
        Some("Infinity")
    } else {
        Some("-Infinity")
    }
}

/// The text of a number, written without an allocation.
#[derive(Debug)]
pub struct Digits {
    bytes: [u8; 48],
    len: usize,
}

impl Digits {
    /// The text of `value`, which must be finite.
    pub fn of_f64(value: f64) -> Self {
        Self::written(|to| io::Write::write_fmt(to, format_args!("{value:?}")))
    }

    /// The text of `value`, which must be finite.
    pub fn of_f32(value: f32) -> Self {
        Self::written(|to| io::Write::write_fmt(to, format_args!("{value:?}")))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.len]).unwrap_or("null")
    }

    fn written(write: impl FnOnce(&mut Self) -> io::Result<()>) -> Self {
        let mut digits = Self { bytes: [0; 48], len: 0 };
        // No number is longer than the buffer. If one were, `as_str` would return `null`.
        if write(&mut digits).is_err() || digits.len == 0 {
            digits.bytes[0] = 0xff;
            digits.len = 1;
        }
        digits
    }
}

impl io::Write for Digits {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = io::Write::write(&mut &mut self.bytes[self.len..], bytes)?;
        self.len += taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{ESCAPE, is_plain};

    #[test]
    fn each_byte_that_must_be_escaped_is_found_at_each_index() {
        for len in 0..=25 {
            assert!(is_plain(&vec![b'~'; len]));
            for at in 0..len {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b' '; len];
                    text[at] = byte;
                    assert_eq!(
                        is_plain(&text),
                        ESCAPE[usize::from(byte)] == 0,
                        "{byte} at {at} of {len}"
                    );
                }
            }
        }
    }
}
