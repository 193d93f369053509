//! Text that users' code formats, no longer than a limit.

use std::fmt::{self, Write as _};

use audit_record::private::json::char_boundary;

use crate::capture::running::guarded;

/// How far beyond the limit formatting goes on, to tell how long the whole would have been.
const COUNTED: usize = 1024 * 1024;

/// A text that was formatted under a limit.
pub(crate) struct Bounded {
    /// What was kept, with a mark if it was cut.
    pub(crate) text: String,
    /// If it was cut: the bytes kept, and the bytes there were, if that is known.
    pub(crate) cut: Option<(u64, Option<u64>)>,
}

/// Formats `value`, which may panic and may be endless.
pub(crate) fn bounded(limit: usize, value: fmt::Arguments<'_>) -> Bounded {
    let mut text = String::new();
    let cut = write_bounded(&mut text, limit, value);
    Bounded { text, cut }
}

/// As [`bounded`], into `text`, which is empty.
pub(crate) fn write_bounded(
    text: &mut String,
    limit: usize,
    value: fmt::Arguments<'_>,
) -> Option<(u64, Option<u64>)> {
    let mut writer = Writer { text, limit, was: 0 };
    let formatted = guarded(|| writer.write_fmt(value));
    let Writer { text, was, .. } = writer;
    let Some(formatted) = formatted else {
        text.clear();
        text.push_str("[not recorded: formatting it panicked]");
        return None;
    };
    if was <= text.len() {
        return None;
    }
    let kept = text.len() as u64;
    let was = formatted.is_ok().then_some(was as u64);
    text.push_str("… [cut");
    if let Some(was) = was {
        let _ = write!(text, ": {was} bytes");
    }
    text.push(']');
    Some((kept, was))
}

struct Writer<'t> {
    text: &'t mut String,
    limit: usize,
    was: usize,
}

impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        // Once something was left out, nothing more is kept: the text has no holes.
        if self.was == self.text.len() {
            let fits = char_boundary(part, self.limit - self.text.len());
            self.text.push_str(&part[..fits]);
        }
        self.was += part.len();
        if self.was > self.limit.saturating_add(COUNTED) { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::bounded;

    #[test]
    fn a_text_is_cut_between_characters_and_says_how_long_it_was() {
        let whole = bounded(6, format_args!("größer"));
        assert_eq!((whole.text.as_str(), whole.cut), ("größ… [cut: 8 bytes]", Some((6, Some(8)))));
        let fits = bounded(8, format_args!("größer"));
        assert_eq!((fits.text.as_str(), fits.cut), ("größer", None));
    }

    #[test]
    fn an_endless_text_ends() {
        struct Endless;
        impl std::fmt::Display for Endless {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                loop {
                    f.write_str("and so on ")?;
                }
            }
        }
        let cut = bounded(3, format_args!("{Endless}"));
        assert_eq!((cut.text.as_str(), cut.cut), ("and… [cut]", Some((3, None))));
    }

    #[test]
    fn a_display_that_panics_gives_a_mark() {
        struct Panics;
        impl std::fmt::Display for Panics {
            fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                panic!("in Display")
            }
        }
        assert_eq!(
            bounded(100, format_args!("{Panics}")).text,
            "[not recorded: formatting it panicked]"
        );
    }
}
