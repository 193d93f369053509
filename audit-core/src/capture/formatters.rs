//! Targets for formatted text that end the formatting when they are full.

use std::fmt;

use audit_record::private::json::{escape, fitting};

use crate::capture::stack_limit::StackLimit;

/// Appends formatted text, escaped for JSON.
pub(super) struct EscapedText<'a> {
    out: &'a mut String,
    room: usize,
    /// How many bytes of the text were kept, counted before escaping.
    pub(super) kept: usize,
    /// Whether text was left out.
    pub(super) is_cut: bool,
    stack: StackLimit,
}

impl<'a> EscapedText<'a> {
    pub(super) fn new(out: &'a mut String, room: usize) -> Self {
        Self { out, room, kept: 0, is_cut: false, stack: StackLimit::start() }
    }
}

impl fmt::Write for EscapedText<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if let Err(too_deep) = self.stack.check() {
            self.is_cut = true;
            return Err(too_deep);
        }
        if self.is_cut {
            return Err(fmt::Error);
        }
        let keep = fitting(text, self.room);
        let before = self.out.len();
        escape(self.out, &text[..keep]);
        self.room -= self.out.len() - before;
        self.kept += keep;
        self.is_cut = keep < text.len();
        if self.is_cut { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Collects formatted text as one line of limited length.
pub(super) struct SingleLine {
    pub(super) text: String,
    room: usize,
}

impl SingleLine {
    pub(super) fn new(room: usize) -> Self {
        Self { text: String::new(), room }
    }
}

impl fmt::Write for SingleLine {
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
