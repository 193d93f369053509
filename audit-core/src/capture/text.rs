//! JSON strings: escaping, and cutting at a limit.

use std::fmt;
use std::io;

use super::bounded::char_boundary;

/// For each byte: 0 if it stands for itself, `u` if it is written as `\u00XX`, or the letter
/// after the backslash.
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

/// The most bytes that one byte takes when it is escaped.
pub(super) const LONGEST_ESCAPE: usize = 6;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `text` escaped, without the quotes.
#[inline]
pub(super) fn escape(out: &mut String, text: &str) {
    if is_plain(text.as_bytes()) { out.push_str(text) } else { escape_bytewise(out, text) }
}

/// Whether no byte of `text` is to be escaped, eight at a time; the last eight may overlap those before.
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
    // The top bit of each byte that is less than `n`, for bytes below 128; it may also be set above such a byte.
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

pub(super) fn push_hex(out: &mut String, byte: u8) {
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

/// How much of `text`, in its own bytes, takes at most `room` bytes when it is escaped.
#[inline]
pub(super) fn fitting(text: &str, room: usize) -> usize {
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

/// Takes formatted text, escapes it, and ends the formatting when there is no room left.
pub(super) struct Escaping<'a> {
    out: &'a mut String,
    room: usize,
    /// How many bytes were taken, as they came.
    pub(super) kept: usize,
    /// Whether something was left out.
    pub(super) cut: bool,
}

impl<'a> Escaping<'a> {
    pub(super) fn new(out: &'a mut String, room: usize) -> Self {
        Self { out, room, kept: 0, cut: false }
    }
}

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Err(fmt::Error);
        }
        let keep = fitting(text, self.room);
        let before = self.out.len();
        escape(self.out, &text[..keep]);
        self.room -= self.out.len() - before;
        self.kept += keep;
        self.cut = keep < text.len();
        if self.cut { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Takes formatted text as one line of limited length; what is too much is left out.
pub(super) struct OneLine {
    pub(super) text: String,
    room: usize,
}

impl OneLine {
    pub(super) fn new(room: usize) -> Self {
        Self { text: String::new(), room }
    }
}

impl fmt::Write for OneLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c.len_utf8() > self.room {
                self.room = 0;
                return Err(fmt::Error);
            }
            self.room -= c.len_utf8();
            self.text.push(if c.is_control() { ' ' } else { c });
        }
        Ok(())
    }
}

/// The text of a number, written without a detour over the heap.
pub(crate) struct Digits {
    bytes: [u8; 48],
    len: usize,
}

impl Digits {
    /// `value` must be finite; anything else has no form in JSON.
    pub(crate) fn of_f64(value: f64) -> Self {
        Self::written(|to| io::Write::write_fmt(to, format_args!("{value:?}")))
    }

    /// `value` must be finite; anything else has no form in JSON.
    pub(crate) fn of_f32(value: f32) -> Self {
        Self::written(|to| io::Write::write_fmt(to, format_args!("{value:?}")))
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.len]).unwrap_or("null")
    }

    fn written(write: impl FnOnce(&mut Self) -> io::Result<()>) -> Self {
        let mut digits = Self { bytes: [0; 48], len: 0 };
        // No number is longer than the buffer; if one were, `as_str` would say null.
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
    fn every_byte_that_is_to_be_escaped_is_seen_at_every_place() {
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
