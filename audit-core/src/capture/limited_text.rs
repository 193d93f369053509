//! [`LimitedText`]: text that user code formats, no longer than a limit.

use std::fmt::{self, Write as _};

use audit_record::private::json::char_boundary;

use crate::capture::policy::{CUT_MARK, NOT_RECORDED_MARK};
use crate::capture::stack_limit::StackLimit;
use crate::capture::user_code::run_user_code;

/// How far formatting continues beyond the limit, to find out how long the whole text is.
const MAX_COUNTED: usize = 1024 * 1024;

/// A text that was formatted under a limit.
pub(crate) struct LimitedText {
    /// What was kept, with a mark if the text was cut.
    pub(crate) text: String,
    /// If the text was cut: the bytes kept, and the bytes of the whole text if they are known.
    pub(crate) cut: Option<(u64, Option<u64>)>,
}

/// Formats `value`, which may panic and may be endless.
pub(crate) fn format_limited(limit: usize, value: fmt::Arguments<'_>) -> LimitedText {
    let mut text = String::new();
    let cut = write_limited(&mut text, limit, value);
    LimitedText { text, cut }
}

/// As [`format_limited`], into `text`, which must be empty. Returns what was cut.
pub(crate) fn write_limited(
    text: &mut String,
    limit: usize,
    value: fmt::Arguments<'_>,
) -> Option<(u64, Option<u64>)> {
    let stack = StackLimit::start();
    let mut limiter = LengthLimiter { text, limit, total: 0, stack, is_too_deep: false };
    let formatted = run_user_code(|| limiter.write_fmt(value));
    let LengthLimiter { text, total, is_too_deep, .. } = limiter;
    let Some(formatted) = formatted else {
        text.clear();
        text.push_str(NOT_RECORDED_MARK);
        text.push_str("formatting it panicked]");
        return None;
    };
    if total <= text.len() && !is_too_deep {
        return None;
    }
    let kept = text.len() as u64;
    let total = (formatted.is_ok() && !is_too_deep).then_some(total as u64);
    text.push_str("… ");
    text.push_str(CUT_MARK);
    if let Some(total) = total {
        let _ = write!(text, ": {total} bytes");
    }
    text.push(']');
    Some((kept, total))
}

struct LengthLimiter<'t> {
    text: &'t mut String,
    limit: usize,
    /// The bytes of all text so far, kept or not.
    total: usize,
    stack: StackLimit,
    is_too_deep: bool,
}

impl fmt::Write for LengthLimiter<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if let Err(too_deep) = self.stack.check() {
            self.is_too_deep = true;
            return Err(too_deep);
        }
        // After the first cut nothing more is kept, so that the text has no holes.
        if self.total == self.text.len() && !self.is_too_deep {
            let fits = char_boundary(part, self.limit - self.text.len());
            self.text.push_str(&part[..fits]);
        }
        self.total += part.len();
        if self.total > self.limit.saturating_add(MAX_COUNTED) { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::format_limited;

    #[test]
    fn a_text_is_cut_between_characters_and_its_length_is_stated() {
        let whole = format_limited(6, format_args!("größer"));
        assert_eq!((whole.text.as_str(), whole.cut), ("größ… [cut: 8 bytes]", Some((6, Some(8)))));
        let fits = format_limited(8, format_args!("größer"));
        assert_eq!((fits.text.as_str(), fits.cut), ("größer", None));
    }

    #[test]
    fn an_endless_text_is_cut() {
        struct Endless;
        impl std::fmt::Display for Endless {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                loop {
                    f.write_str("and so on ")?;
                }
            }
        }
        let cut = format_limited(3, format_args!("{Endless}"));
        assert_eq!((cut.text.as_str(), cut.cut), ("and… [cut]", Some((3, None))));
    }

    #[test]
    fn a_display_that_panics_is_replaced_by_a_mark() {
        struct Panics;
        impl std::fmt::Display for Panics {
            fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                panic!("in Display")
            }
        }
        assert_eq!(
            format_limited(100, format_args!("{Panics}")).text,
            "[not recorded: formatting it panicked]"
        );
    }
}
