//! [`Writer`]: the text of one value while it is written, and what was cut from it.

use std::borrow::Cow;
use std::fmt;

use audit_record::Truncation;
use audit_record::private::json::{escape, fitting};

use crate::capture::limits::{MAX_CUTS, Rules};
use crate::capture::redacted::REDACTED;
use crate::capture::text::{Escaping, OneLine};

/// Longest path in a [`Truncation`], in bytes.
const MAX_PATH: usize = 256;
/// Longest error text in place of a value, in bytes.
const MAX_ERROR: usize = 200;

/// Why serialising ended before the value did. Code of users sees it, and may pass it on or not:
/// so it carries only an error of theirs. What was cut is noted in the [`Writer`].
#[derive(Debug)]
pub(crate) struct Stop(Option<Box<str>>);

impl Stop {
    pub(crate) const CUT: Self = Self(None);

    pub(crate) fn into_text(self) -> Cow<'static, str> {
        self.0.map_or(Cow::Borrowed("it ended without a value"), |text| Cow::Owned(text.into()))
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("the value is cut here to fit the limits"))
    }
}

impl std::error::Error for Stop {}

impl serde::ser::Error for Stop {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let mut line = OneLine::new(MAX_ERROR);
        // An error here means that the line is full.
        let _ = fmt::write(&mut line, format_args!("{message}"));
        Self(Some(line.text.into_boxed_str()))
    }
}

/// Where a value stands in the whole: a list on the stack, so that it costs nothing until a cut
/// has to say where it is.
pub(super) struct Path<'p> {
    pub(super) parent: Option<&'p Path<'p>>,
    pub(super) step: Step,
}

#[derive(Clone, Copy)]
pub(super) enum Step {
    Root,
    Index(usize),
    Field(&'static str),
    /// The bytes of the output where the key stands, escaped.
    Key(usize, usize),
}

pub(super) static ROOT: Path<'static> = Path { parent: None, step: Step::Root };

/// What all parts of one value share.
///
/// Code of users runs between any two steps. It may stop, fail, panic and catch that, or come
/// back later. So no step trusts what the step before left behind: every list or map knows the
/// length at which the text was last sound and cuts it back to there.
pub(super) struct Writer<'a> {
    pub(super) out: &'a mut String,
    pub(super) cuts: &'a mut Vec<Truncation>,
    prefix: &'a str,
    pub(super) rules: &'a Rules,
    /// No value begins at or behind this length of `out`.
    pub(super) end: usize,
    /// Where the value began.
    start: usize,
    /// How many cuts were there before this value.
    first_cut: usize,
    /// The limit of bytes is reached: nothing more is written but marks and brackets.
    pub(super) full: bool,
    /// The level of the value that was completed although it reports [`Stop`]; 0 if none was.
    pub(super) closed: usize,
}

impl<'a> Writer<'a> {
    #[inline]
    pub(super) fn new(
        out: &'a mut String,
        cuts: &'a mut Vec<Truncation>,
        prefix: &'a str,
        rules: &'a Rules,
    ) -> Self {
        let (start, first_cut) = (out.len(), cuts.len());
        let end = start.saturating_add(rules.limits.bytes);
        Self { out, cuts, prefix, rules, end, start, first_cut, full: false, closed: 0 }
    }

    /// Whether `bytes` more fit; if not, the value is full.
    #[inline]
    pub(super) fn fits(&mut self, bytes: usize) -> Result<(), Stop> {
        if self.out.len().saturating_add(bytes) > self.end {
            self.full = true;
            return Err(Stop::CUT);
        }
        Ok(())
    }

    /// Appends text that needs no escaping and stands for itself, such as digits.
    #[inline]
    pub(super) fn raw(&mut self, text: &str) -> Result<(), Stop> {
        self.fits(text.len())?;
        self.out.push_str(text);
        Ok(())
    }

    /// Appends a short text in quotes that needs no escaping.
    pub(super) fn quoted(&mut self, text: &str) -> Result<(), Stop> {
        self.fits(text.len() + 2)?;
        self.out.push('"');
        self.out.push_str(text);
        self.out.push('"');
        Ok(())
    }

    pub(super) fn redacted(&mut self) -> Result<(), Stop> {
        self.quoted(REDACTED)
    }

    /// The room for a text at `level`, without its quotes, and whether it is all there is.
    fn room(&mut self, level: usize) -> Result<(usize, bool), Stop> {
        self.fits(2)?;
        let room = self.end - self.out.len() - 2;
        let part = self.rules.limits.bytes / 4;
        Ok(if level > 1 && part < room { (part, false) } else { (room, true) })
    }

    /// Appends a text in quotes, cut if it is too long.
    #[inline]
    pub(super) fn text(&mut self, path: &Path<'_>, level: usize, text: &str) -> Result<(), Stop> {
        let (room, all) = self.room(level)?;
        let keep = fitting(text, room);
        self.out.push('"');
        escape(self.out, &text[..keep]);
        if keep == text.len() {
            self.out.push('"');
            return Ok(());
        }
        self.end_cut_text(path, level, all, keep, Some(text.len()))
    }

    /// Appends formatted text in quotes, cut if it is too long.
    pub(super) fn formatted(
        &mut self,
        path: &Path<'_>,
        level: usize,
        args: fmt::Arguments<'_>,
    ) -> Result<(), Stop> {
        let (room, all) = self.room(level)?;
        self.out.push('"');
        let mut escaping = Escaping::new(self.out, room);
        let result = fmt::write(&mut escaping, args);
        let (kept, cut) = (escaping.kept, escaping.cut);
        if cut {
            return self.end_cut_text(path, level, all, kept, None);
        }
        self.out.push('"');
        result.map_err(|_| serde::ser::Error::custom("formatting it failed"))
    }

    /// Appends bytes in hexadecimal, cut if they are too many.
    pub(super) fn hex(&mut self, path: &Path<'_>, level: usize, bytes: &[u8]) -> Result<(), Stop> {
        let (room, all) = self.room(level)?;
        let keep = bytes.len().min(room.saturating_sub(2) / 2);
        self.out.push_str("\"0x");
        for &byte in &bytes[..keep] {
            audit_record::private::json::push_hex(self.out, byte);
        }
        if keep == bytes.len() {
            self.out.push('"');
            return Ok(());
        }
        self.end_cut_text(path, level, all, keep, Some(bytes.len()))
    }

    #[cold]
    fn end_cut_text(
        &mut self,
        path: &Path<'_>,
        level: usize,
        all: bool,
        kept: usize,
        was: Option<usize>,
    ) -> Result<(), Stop> {
        match was {
            Some(was) => self.mark(format_args!("… [cut: {was} bytes]\"")),
            None => self.mark(format_args!("… [cut]\"")),
        }
        self.note(path, "bytes", kept, was);
        if all {
            self.full = true;
            self.closed = level;
            return Err(Stop::CUT);
        }
        Ok(())
    }

    /// Stands for a value that is too deep.
    #[cold]
    pub(super) fn too_deep(&mut self, path: &Path<'_>, level: usize) -> Stop {
        if let Err(stop) = self.fits(2) {
            return stop;
        }
        let depth = self.rules.limits.levels();
        self.mark(format_args!("\"[cut: deeper than {depth} levels]\""));
        self.note(path, "levels", depth, None);
        self.closed = level;
        Stop::CUT
    }

    /// Writes a mark, for which there is always room.
    pub(super) fn mark(&mut self, args: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = fmt::write(self.out, args);
    }

    /// Notes a cut, up to [`MAX_CUTS`] for one value.
    #[cold]
    pub(super) fn note(
        &mut self,
        path: &Path<'_>,
        unit: &'static str,
        kept: usize,
        was: Option<usize>,
    ) {
        let was = was.map(|was| was as u64);
        self.note_again(path, Truncation::new("", unit, kept as u64, was));
    }

    /// Notes a cut that was noted elsewhere, for `path`.
    pub(super) fn note_again(&mut self, path: &Path<'_>, mut cut: Truncation) {
        if self.cuts.len() - self.first_cut < MAX_CUTS {
            let mut line = OneLine::new(MAX_PATH);
            self.describe(path, &mut line);
            cut.path = line.text;
            self.cuts.push(cut);
        }
    }

    /// A path that is too long ends where its room does.
    fn describe(&self, path: &Path<'_>, line: &mut OneLine) {
        if let Some(parent) = path.parent {
            self.describe(parent, line);
        }
        let dot = if line.text.is_empty() { "" } else { "." };
        let _ = match path.step {
            Step::Root => fmt::Write::write_str(line, self.prefix),
            Step::Index(index) => fmt::write(line, format_args!("[{index}]")),
            Step::Field(name) => fmt::write(line, format_args!("{dot}{name}")),
            Step::Key(from, to) => {
                let key = self.out.get(from..to).unwrap_or_default();
                fmt::write(line, format_args!("{dot}{}", unescaped(key)))
            }
        };
    }

    /// Puts the value in order after its code has reported an end of some kind.
    #[cold]
    pub(super) fn settle(&mut self, stop: Stop) {
        if self.closed == 1 && self.out.len() > self.start {
            return;
        }
        if self.full {
            self.take_back();
            self.mark(format_args!("\"… [cut]\""));
            self.note(&ROOT, "bytes", 0, None);
            return;
        }
        self.not_recorded(&stop.into_text());
    }

    /// Says in place of the value why it is not there.
    #[cold]
    pub(super) fn not_recorded(&mut self, why: &str) {
        self.take_back();
        self.out.push_str("\"[not recorded: ");
        escape(self.out, why);
        self.out.push_str("]\"");
    }

    fn take_back(&mut self) {
        self.out.truncate(self.start);
        self.cuts.truncate(self.first_cut);
    }
}

/// The text of a key that was written to the output.
pub(super) fn unescaped(key: &str) -> Cow<'_, str> {
    match key.contains('\\') {
        true => {
            Cow::Owned(audit_record::private::json::unescaped(&format!("\"{key}\"")).into_owned())
        }
        false => Cow::Borrowed(key),
    }
}
