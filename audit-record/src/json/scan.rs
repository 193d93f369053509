//! Checks JSON text, and finds where its values end.
//!
//! [`check`] decides whether a text is JSON. The readers in [`read`](super::read) and
//! [`serialize`](super::serialize) use the functions that find ends.

use std::fmt;

/// How deep lists and maps may nest. Other parsers read as much.
pub(crate) const MAX_DEPTH: usize = 127;

/// Why a text is not accepted as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// It is not JSON.
    Syntax,
    /// Its lists and maps nest more than 127 levels deep.
    TooDeep,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "the text is not valid JSON",
            Self::TooDeep => "the JSON nests more than 127 levels deep",
        })
    }
}

/// Checks that `text` is one JSON value.
///
/// ```
/// use audit_record::private::json::{JsonError, check};
///
/// assert_eq!(check(r#" {"a": [1, 2.5e3]} "#), Ok(()));
/// assert_eq!(check("[1, 2"), Err(JsonError::Syntax));
/// ```
pub fn check(text: &str) -> Result<(), JsonError> {
    let bytes = text.as_bytes();
    let end = value_end(bytes, skip_space(bytes, 0), MAX_DEPTH)?;
    if skip_space(bytes, end) == bytes.len() { Ok(()) } else { Err(JsonError::Syntax) }
}

/// Whether `text`, which is JSON, nests at most `levels` deep.
pub(crate) fn nests_at_most(text: &str, levels: usize) -> bool {
    // A level takes two brackets.
    text.len() <= 2 * levels || value_end(text.as_bytes(), 0, levels).is_ok()
}

/// Whether `text` is a number in the form of JSON.
pub fn is_number(text: &str) -> bool {
    number_end(text.as_bytes(), 0) == Ok(text.len())
}

// Each of the following functions takes the index where something begins, and returns the index
// after its end.

pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// `depth`: how many levels of lists and maps are allowed from here.
pub(super) fn value_end(bytes: &[u8], at: usize, depth: usize) -> Result<usize, JsonError> {
    match bytes.get(at) {
        Some(b'{') => container_end(bytes, at, b'}', depth),
        Some(b'[') => container_end(bytes, at, b']', depth),
        Some(b'"') => string_end(bytes, at),
        Some(b't') => literal_end(bytes, at, "true"),
        Some(b'f') => literal_end(bytes, at, "false"),
        Some(b'n') => literal_end(bytes, at, "null"),
        _ => number_end(bytes, at),
    }
}

fn container_end(bytes: &[u8], at: usize, close: u8, depth: usize) -> Result<usize, JsonError> {
    let depth = depth.checked_sub(1).ok_or(JsonError::TooDeep)?;
    let mut at = skip_space(bytes, at + 1);
    if bytes.get(at) == Some(&close) {
        return Ok(at + 1);
    }
    loop {
        if close == b'}' {
            at = skip_space(bytes, string_end(bytes, at)?);
            if bytes.get(at) != Some(&b':') {
                return Err(JsonError::Syntax);
            }
            at = skip_space(bytes, at + 1);
        }
        at = skip_space(bytes, value_end(bytes, at, depth)?);
        match bytes.get(at) {
            Some(b',') => at = skip_space(bytes, at + 1),
            Some(byte) if *byte == close => return Ok(at + 1),
            _ => return Err(JsonError::Syntax),
        }
    }
}

/// The index after the closing quote of the string that begins at `at`.
pub fn string_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    if bytes.get(at) != Some(&b'"') {
        return Err(JsonError::Syntax);
    }
    let mut at = at + 1;
    loop {
        match bytes.get(at).ok_or(JsonError::Syntax)? {
            b'"' => return Ok(at + 1),
            b'\\' => match bytes.get(at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 2,
                Some(b'u')
                    if bytes
                        .get(at + 2..at + 6)
                        .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) =>
                {
                    at += 6;
                }
                _ => return Err(JsonError::Syntax),
            },
            0..0x20 => return Err(JsonError::Syntax),
            _ => at += 1,
        }
    }
}

fn literal_end(bytes: &[u8], at: usize, literal: &str) -> Result<usize, JsonError> {
    if bytes[at..].starts_with(literal.as_bytes()) {
        Ok(at + literal.len())
    } else {
        Err(JsonError::Syntax)
    }
}

fn number_end(bytes: &[u8], mut at: usize) -> Result<usize, JsonError> {
    let digits_end = |mut at: usize| {
        let from = at;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if at > from { Ok(at) } else { Err(JsonError::Syntax) }
    };
    at += usize::from(bytes.get(at) == Some(&b'-'));
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits_end(at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits_end(at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        at = digits_end(at)?;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn valid_json_is_accepted_and_other_text_is_not() {
        for text in ["null", " [1, -0.5e+3 ,{\"a\":\"\\u00e9\\n\"}] ", "0", "\"\"", "{}", "[[]]"] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in [
            "", "01", "1.", "-", "+1", "[1,]", "{\"a\"}", "\"\n\"", "\"\\x\"", "nul", "1 2",
            "{a:1}", "'a'", "[1",
        ] {
            assert_eq!(check(text), Err(JsonError::Syntax), "{text}");
        }
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(check(&nested(128)), Err(JsonError::TooDeep));
        assert_eq!(check(&nested(127)), Ok(()));
    }

    proptest! {
        #[test]
        fn the_same_texts_are_valid_as_for_serde_json(
            text in r#"[ \[\]{}:,"\\a0-9.eE+\-tu]{0,12}"#,
        ) {
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(check(&text).is_ok(), theirs, "{}", text);
        }
    }
}
