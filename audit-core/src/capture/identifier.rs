//! Texts that identify something: an actor, an object, a session, a field.
//!
//! They are compared, grouped and indexed. So each has a limit, and two long texts with the same
//! beginning stay different: what is cut ends with a digest of the whole text.

use std::borrow::Cow;
use std::fmt::Display;

use audit_record::Truncation;
use audit_record::private::json::char_boundary;
use sha2::{Digest, Sha256};

use crate::capture::limited_text::format_limited;
use crate::capture::policy::CUT_MARK;

/// The bytes of an identifier that are recorded. What is cut has a mark after them.
pub(crate) const MAX_IDENTIFIER_BYTES: usize = 1_024;
/// The most bytes of the id of an object whose key has several parts, after they were cut.
const MAX_CUT_BYTES: usize = 8 * MAX_IDENTIFIER_BYTES;
/// The bytes of an identifier that are read. The length of a longer `Display` text is not known.
const MAX_READ_BYTES: usize = 1024 * 1024;
/// The bytes of the digest: half of a SHA-256, enough to tell any two texts apart.
const DIGEST_BYTES: usize = 16;

/// The `Display` text of an identifier, at most [`MAX_IDENTIFIER_BYTES`] of it. If its `Display`
/// panics, the text says so.
pub(crate) fn identifier(value: &(impl Display + ?Sized)) -> String {
    let read = format_limited(MAX_READ_BYTES, format_args!("{value}"));
    match read.cut {
        Some((kept, was)) => {
            let text = &read.text[..usize::try_from(kept).unwrap_or(usize::MAX)];
            cut(text, was.and_then(|was| usize::try_from(was).ok()))
        }
        None => limited_identifier(read.text).into_owned(),
    }
}

/// The text of an identifier, at most [`MAX_IDENTIFIER_BYTES`] of it. A text that was cut before
/// stays as it is.
pub(crate) fn limited_identifier<'t>(text: impl Into<Cow<'t, str>>) -> Cow<'t, str> {
    let text = text.into();
    let fits = text.len() <= MAX_IDENTIFIER_BYTES
        || text.len() <= MAX_CUT_BYTES && identifier_cut("", &text).is_some();
    if fits { text } else { cut(&text, Some(text.len())).into() }
}

#[cold]
fn cut(text: &str, was: Option<usize>) -> String {
    let kept = &text[..char_boundary(text, MAX_IDENTIFIER_BYTES)];
    let length = was.map_or_else(String::new, |was| format!(" {was} bytes,"));
    let digest = Sha256::digest(text);
    let digest: String = digest[..DIGEST_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{kept}… {CUT_MARK}:{length} sha256 {digest}]")
}

/// What was cut in `text`, the recorded text of an identifier. `path` names it in the list of
/// truncations.
pub(crate) fn identifier_cut(path: &str, text: &str) -> Option<Truncation> {
    // A text that was not cut is never longer, apart from the escapes in a key of several parts.
    if text.len() <= MAX_IDENTIFIER_BYTES {
        return None;
    }
    let mark = format!("… {CUT_MARK}:");
    let (mut kept, mut was, mut rest, mut found) = (0, Some(0), text, false);
    // A key of several parts has a mark in each part that was cut.
    while let Some((before, after)) = rest.split_once(&mark) {
        let Some((inside, after)) = after.split_once(']') else { break };
        let bytes = inside.split_once(" bytes, sha256 ").and_then(|(n, _)| n.trim().parse().ok());
        kept += before.len() as u64;
        was = was.zip(bytes).map(|(was, bytes): (u64, u64)| was + bytes);
        (rest, found) = (after, true);
    }
    let rest = rest.len() as u64;
    found.then(|| Truncation::new(path, "bytes", kept + rest, was.map(|was| was + rest)))
}

#[cfg(test)]
mod tests {
    use audit_record::Truncation;

    use super::{identifier, identifier_cut, limited_identifier};

    #[test]
    fn a_long_identifier_ends_with_its_length_and_a_digest() {
        let (a, b) = (format!("{}a", "x".repeat(1_500)), format!("{}b", "x".repeat(1_500)));
        let cut = identifier(&a);
        // printf 'x%.0s' {1..1500} > file; printf a >> file; sha256sum file
        let mark = "… [cut: 1501 bytes, sha256 634358989f699df6946eb548d0c891f7]";
        assert_eq!(cut, format!("{}{mark}", "x".repeat(1_024)));
        assert_eq!(limited_identifier(&a), cut);
        assert_eq!(limited_identifier(&cut), cut);
        assert_ne!(identifier(&b), cut);
        let expected = Truncation::new("actor", "bytes", 1_024, Some(1_501));
        assert_eq!(identifier_cut("actor", &cut), Some(expected));
    }

    #[test]
    fn a_short_identifier_is_kept_as_it_is() {
        let text = "ü".repeat(512);
        assert_eq!(identifier(&text), text);
        assert_eq!(limited_identifier(&text), text);
        assert_eq!(identifier_cut("actor", &text), None);
    }

    #[test]
    fn the_length_of_an_endless_text_is_not_stated() {
        struct Endless;
        impl std::fmt::Display for Endless {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                loop {
                    f.write_str("and so on ")?;
                }
            }
        }
        let text = identifier(&Endless);
        assert!(text.contains("… [cut: sha256 "), "{text}");
        let expected = Truncation::new("target_id", "bytes", 1_024, None);
        assert_eq!(identifier_cut("target_id", &text), Some(expected));
    }
}
