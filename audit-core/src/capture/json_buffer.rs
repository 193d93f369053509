//! [`JsonBuffer`]: the JSON text of one value while it is written, and what was cut from it.

use std::fmt;

use audit_record::Truncation;
use audit_record::private::json::{escape, fitting, push_hex};

use crate::capture::formatters::EscapedText;
use crate::capture::left_out::{A_LOCK, LeftOut};
use crate::capture::limits::{MAX_TRUNCATIONS, Rules};
use crate::capture::path::{PathNode, PathStep, ROOT};
use crate::capture::policy::{Depth, NOT_RECORDED_MARK, Policy, REDACTED};
use crate::capture::user_code::CaptureError;

/// The state that all parts of one value share.
///
/// User code runs between any two steps. It may stop, fail, panic and catch that, or continue
/// later. So no step trusts the state that the step before left: every list and map knows the
/// length up to which the text is valid, and truncates the text to it.
pub(super) struct JsonBuffer<'a> {
    pub(super) json: &'a mut String,
    pub(super) truncations: &'a mut Vec<Truncation>,
    /// The path of the value itself.
    root_path: &'a str,
    pub(super) rules: &'a Rules,
    /// No part begins at or after this length of `json`.
    pub(super) end: usize,
    /// Where the value begins in `json`.
    start: usize,
    /// How many truncations there were before this value.
    first_truncation: usize,
    /// The limit of bytes is reached: only marks and brackets are still written.
    pub(super) is_full: bool,
    /// The level of the part that is complete although its serializer returned an error, because
    /// the rest was cut or hidden; 0 if there is none.
    pub(super) complete_level: usize,
    /// Whether a panic of a part is caught where that part is written. The first attempt does not,
    /// because that would cost time for every part.
    pub(super) catches_parts: bool,
    /// The list or map that was left open last.
    pub(super) unfinished: Option<Unfinished>,
}

/// A list or map whose serializer stopped before its end.
pub(super) struct Unfinished {
    /// The level of the list or map.
    pub(super) level: usize,
    /// The length of the JSON text up to which it is valid.
    pub(super) valid_len: usize,
    pub(super) is_list: bool,
    /// How many parts it has.
    pub(super) count: usize,
    /// The brackets that close it.
    pub(super) brackets: &'static str,
}

impl<'a> JsonBuffer<'a> {
    #[inline]
    pub(super) fn new(
        json: &'a mut String,
        truncations: &'a mut Vec<Truncation>,
        path: &'a str,
        rules: &'a Rules,
    ) -> Self {
        let (start, first_truncation) = (json.len(), truncations.len());
        Self {
            json,
            truncations,
            root_path: path,
            rules,
            end: start.saturating_add(rules.limits.bytes),
            start,
            first_truncation,
            is_full: false,
            complete_level: 0,
            catches_parts: false,
            unfinished: None,
        }
    }

    /// A buffer for the JSON text of a map key. It may take the room that is left in `map`.
    pub(super) fn for_key(
        map: &JsonBuffer<'a>,
        json: &'a mut String,
        truncations: &'a mut Vec<Truncation>,
    ) -> Self {
        Self {
            json,
            truncations,
            root_path: "",
            rules: map.rules,
            end: map.end.saturating_sub(map.json.len()),
            start: 0,
            first_truncation: 0,
            is_full: false,
            complete_level: 0,
            catches_parts: map.catches_parts,
            unfinished: None,
        }
    }

    /// Prepares for writing the value again, after it panicked: now only the parts that panic are
    /// lost.
    #[cold]
    pub(super) fn begin_again(&mut self) {
        self.clear();
        self.is_full = false;
        self.complete_level = 0;
        self.catches_parts = true;
        self.unfinished = None;
    }

    /// Not stored, since numbers and texts do not need it.
    #[inline]
    pub(super) fn policy(&self) -> Policy<'a> {
        Policy::new(&self.rules.mask, self.rules.limits)
    }

    /// Marks the buffer as full if `bytes` more do not fit.
    #[inline]
    pub(super) fn require_room(&mut self, bytes: usize) -> Result<(), CaptureError> {
        if self.json.len().saturating_add(bytes) > self.end {
            self.is_full = true;
            return Err(CaptureError::CUT);
        }
        Ok(())
    }

    /// Appends JSON text as it is, such as the digits of a number.
    #[inline]
    pub(super) fn verbatim(&mut self, text: &str) -> Result<(), CaptureError> {
        self.require_room(text.len())?;
        self.json.push_str(text);
        Ok(())
    }

    /// Appends a short text in quotes that needs no escaping.
    pub(super) fn quoted(&mut self, text: &str) -> Result<(), CaptureError> {
        self.require_room(text.len() + 2)?;
        self.json.push('"');
        self.json.push_str(text);
        self.json.push('"');
        Ok(())
    }

    pub(super) fn redacted(&mut self) -> Result<(), CaptureError> {
        self.quoted(REDACTED)
    }

    /// Writes what stands in for a value that is left out because of its type.
    #[cold]
    pub(super) fn left_out(
        &mut self,
        path: &PathNode<'_>,
        left_out: LeftOut,
    ) -> Result<(), CaptureError> {
        if left_out == LeftOut::Secret {
            return self.redacted();
        }
        self.quoted(&format!("{NOT_RECORDED_MARK}{A_LOCK}]"))?;
        self.truncated(path, "locks", 0, Some(1));
        Ok(())
    }

    /// How many bytes a text may take at `depth`, without its quotes, and whether that is all the
    /// room that is left.
    fn text_room(&mut self, depth: Depth) -> Result<(usize, bool), CaptureError> {
        self.require_room(2)?;
        let room = self.end - self.json.len() - 2;
        let part = self.rules.limits.bytes / 4;
        Ok(if depth.level > 1 && part < room { (part, false) } else { (room, true) })
    }

    /// Appends a text in quotes, cut if it is too long.
    #[inline]
    pub(super) fn text(
        &mut self,
        path: &PathNode<'_>,
        depth: Depth,
        text: &str,
    ) -> Result<(), CaptureError> {
        let (room, is_last) = self.text_room(depth)?;
        let keep = fitting(text, room);
        self.json.push('"');
        escape(self.json, &text[..keep]);
        if keep == text.len() {
            self.json.push('"');
            return Ok(());
        }
        self.end_cut_text(path, depth, is_last, keep, Some(text.len()))
    }

    /// Appends formatted text in quotes, cut if it is too long.
    pub(super) fn formatted(
        &mut self,
        path: &PathNode<'_>,
        depth: Depth,
        args: fmt::Arguments<'_>,
    ) -> Result<(), CaptureError> {
        let (room, is_last) = self.text_room(depth)?;
        self.json.push('"');
        let mut escaped = EscapedText::new(self.json, room);
        let result = fmt::write(&mut escaped, args);
        let (kept, is_cut) = (escaped.kept, escaped.is_cut);
        if is_cut {
            return self.end_cut_text(path, depth, is_last, kept, None);
        }
        self.json.push('"');
        result.map_err(|_| serde::ser::Error::custom("formatting it failed"))
    }

    /// Appends bytes in hexadecimal, cut if there are too many.
    pub(super) fn hex(
        &mut self,
        path: &PathNode<'_>,
        depth: Depth,
        bytes: &[u8],
    ) -> Result<(), CaptureError> {
        let (room, is_last) = self.text_room(depth)?;
        let keep = bytes.len().min(room.saturating_sub(2) / 2);
        self.json.push_str("\"0x");
        for &byte in &bytes[..keep] {
            push_hex(self.json, byte);
        }
        if keep == bytes.len() {
            self.json.push('"');
            return Ok(());
        }
        self.end_cut_text(path, depth, is_last, keep, Some(bytes.len()))
    }

    #[cold]
    fn end_cut_text(
        &mut self,
        path: &PathNode<'_>,
        depth: Depth,
        is_last: bool,
        kept: usize,
        was: Option<usize>,
    ) -> Result<(), CaptureError> {
        match was {
            Some(was) => self.mark(format_args!("… [cut: {was} bytes]\"")),
            None => self.mark(format_args!("… [cut]\"")),
        }
        self.truncated(path, "bytes", kept, was);
        if is_last {
            self.is_full = true;
            self.complete_level = depth.level;
            return Err(CaptureError::CUT);
        }
        Ok(())
    }

    /// Writes a mark in place of a part that is too deep.
    #[cold]
    pub(super) fn too_deep(&mut self, path: &PathNode<'_>, depth: Depth) -> CaptureError {
        if let Err(full) = self.require_room(2) {
            return full;
        }
        let mark = self.policy().too_deep_mark();
        self.mark(format_args!("\"{mark}\""));
        self.truncated(path, "levels", self.policy().max_levels(), None);
        self.complete_level = depth.level;
        CaptureError::CUT
    }

    /// Writes a mark, for which there is always room.
    pub(super) fn mark(&mut self, args: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = fmt::write(self.json, args);
    }

    /// Reports that the part at `path` was cut.
    #[cold]
    pub(super) fn truncated(
        &mut self,
        path: &PathNode<'_>,
        unit: &'static str,
        kept: usize,
        was: Option<usize>,
    ) {
        let was = was.map(|was| was as u64);
        self.truncated_within(path, Truncation::new("", unit, kept as u64, was));
    }

    /// Writes a text in place of the part at `path`, which begins at `start`, and reports the part.
    /// The text says why it is not recorded. Of a list or map that was left open, the parts before
    /// are kept. Marks the buffer as full if the text does not fit.
    #[cold]
    pub(super) fn part_not_recorded(
        &mut self,
        path: &PathNode<'_>,
        start: usize,
        level: usize,
        why: &str,
    ) -> Result<(), CaptureError> {
        let unfinished = self.unfinished.take().filter(|unfinished| {
            unfinished.level == level
                && (start + 1..=self.json.len()).contains(&unfinished.valid_len)
        });
        let Some(Unfinished { valid_len, is_list, count, brackets, .. }) = unfinished else {
            self.json.truncate(start);
            self.not_recorded_mark(why);
            self.require_room(0)?;
            self.truncated_within(path, Truncation::not_recorded("", why));
            return Ok(());
        };
        self.json.truncate(valid_len);
        if count > 0 {
            self.json.push(',');
        }
        if !is_list {
            self.json.push_str("\"…\":");
        }
        self.not_recorded_mark(why);
        self.json.push_str(brackets);
        self.require_room(0)?;
        let step = if is_list { PathStep::Index(count) } else { PathStep::Field("…") };
        self.truncated_within(&path.child(step), Truncation::not_recorded("", why));
        Ok(())
    }

    pub(super) fn not_recorded_mark(&mut self, why: &str) {
        self.json.push('"');
        self.json.push_str(NOT_RECORDED_MARK);
        escape(self.json, why);
        self.json.push_str("]\"");
    }

    /// Reports a truncation inside the part at `path`, under that path. At most
    /// [`MAX_TRUNCATIONS`] are reported for one value.
    pub(super) fn truncated_within(&mut self, path: &PathNode<'_>, mut truncation: Truncation) {
        if self.truncations.len() - self.first_truncation < MAX_TRUNCATIONS {
            truncation.path = path.describe(self.root_path, self.json);
            self.truncations.push(truncation);
        }
    }

    /// Completes the text after the serializer returned an error.
    #[cold]
    pub(super) fn finish_with_error(&mut self, error: CaptureError) {
        if self.complete_level == Depth::ROOT.level && self.json.len() > self.start {
            return;
        }
        if self.is_full {
            self.clear();
            self.mark(format_args!("\"… [cut]\""));
            self.truncated(&ROOT, "bytes", 0, None);
            return;
        }
        let (start, why) = (self.start, error.into_text());
        if self.part_not_recorded(&ROOT, start, Depth::ROOT.level, &why).is_err() {
            self.not_recorded(&why);
        }
    }

    /// Replaces the value by a text that says why it is not recorded.
    #[cold]
    pub(super) fn not_recorded(&mut self, why: &str) {
        self.clear();
        self.not_recorded_mark(why);
        self.truncated_within(&ROOT, Truncation::not_recorded("", why));
    }

    fn clear(&mut self) {
        self.json.truncate(self.start);
        self.truncations.truncate(self.first_truncation);
    }
}
