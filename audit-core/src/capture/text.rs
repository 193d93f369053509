//! Formatted text as JSON strings, cut at a limit.

use std::fmt;

use audit_record::private::json::{escape, fitting};

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
