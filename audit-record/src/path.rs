//! The path of a change: the name of the field, then the segments that lead to a value inside it.
//!
//! | segment | written as |
//! |---|---|
//! | a key of letters, digits, `_` and `-` | `.key`, without the dot at the start of the path |
//! | any other key | `["any \"text\""]` |
//! | an element of a list | `[3]` |
//! | an element of a set | `[]`, only at the end of the path |

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::json::write::write_str;
use crate::json::{read, scan};

/// One segment of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment<'p> {
    /// A field, or the key of a map.
    Key(Cow<'p, str>),
    /// An element of a list.
    Index(usize),
    /// An element of a set. It is always the last segment.
    Element,
}

/// Whether `key` is written without quotes and brackets.
pub fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(is_plain_char)
}

fn is_plain_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

/// The path of a whole field.
pub fn first_segment(field: &str) -> String {
    let mut path = String::new();
    push_key(&mut path, field);
    path
}

/// The path with these segments.
pub fn write_path<'p>(segments: impl Iterator<Item = &'p Segment<'p>>) -> String {
    let mut path = String::new();
    for segment in segments {
        match segment {
            Segment::Key(key) => push_key(&mut path, key),
            Segment::Index(index) => push_index(&mut path, *index),
            Segment::Element => push_element(&mut path),
        }
    }
    path
}

/// Appends a key.
pub fn push_key(path: &mut String, key: &str) {
    if is_plain(key) {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
    } else {
        path.push('[');
        write_str(path, key);
        path.push(']');
    }
}

/// Appends the index of an element of a list.
pub fn push_index(path: &mut String, index: usize) {
    // Writing to a string cannot fail.
    let _ = write!(path, "[{index}]");
}

/// Appends an element of a set.
pub fn push_element(path: &mut String) {
    path.push_str("[]");
}

/// The name of the field that `path` starts with, and the rest of the path.
pub fn split_first(path: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut rest = path;
    let segment = match path.strip_prefix('[') {
        Some(inner) => bracketed(inner, &mut rest)?,
        None => plain(path, &mut rest)?,
    };
    match segment {
        Segment::Key(name) => Some((name, rest)),
        _ => None,
    }
}

/// The segments of `path`, starting with the name of the field. `None` if the path is malformed.
pub fn parse(path: &str) -> Option<Vec<Segment<'_>>> {
    let mut segments = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let first = segments.is_empty();
        if segments.last() == Some(&Segment::Element) {
            return None;
        }
        let segment = match rest.strip_prefix('[') {
            Some(inner) => bracketed(inner, &mut rest)?,
            None => plain(if first { rest } else { rest.strip_prefix('.')? }, &mut rest)?,
        };
        if first && !matches!(segment, Segment::Key(_)) {
            return None;
        }
        segments.push(segment);
    }
    (!segments.is_empty()).then_some(segments)
}

fn plain<'p>(text: &'p str, rest: &mut &'p str) -> Option<Segment<'p>> {
    let end = text.find(|c| !is_plain_char(c)).unwrap_or(text.len());
    *rest = &text[end..];
    (end > 0).then(|| Segment::Key(Cow::Borrowed(&text[..end])))
}

fn bracketed<'p>(inner: &'p str, rest: &mut &'p str) -> Option<Segment<'p>> {
    let end = match inner.starts_with('"') {
        true => scan::string_end(inner.as_bytes(), 0).ok()?,
        false => inner.find(']')?,
    };
    *rest = inner[end..].strip_prefix(']')?;
    match &inner[..end] {
        "" => Some(Segment::Element),
        text if text.starts_with('"') => Some(Segment::Key(read::unescaped(text))),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().map(Segment::Index)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_written_segment_by_segment() {
        let mut path = first_segment("age");
        push_key(&mut path, "größe-2_b");
        push_index(&mut path, 3);
        push_key(&mut path, "a \"b\"\n");
        push_key(&mut path, "");
        push_element(&mut path);
        assert_eq!(path, r#"age.größe-2_b[3]["a \"b\"\n"][""][]"#);
        assert_eq!(first_segment("a.b"), r#"["a.b"]"#);
        assert_eq!(first_segment("0"), "0");
    }

    #[test]
    fn the_first_segment_is_the_field() {
        assert_eq!(split_first("age"), Some(("age".into(), "")));
        assert_eq!(split_first("a.b[3]"), Some(("a".into(), ".b[3]")));
        assert_eq!(split_first(r#"["a.b"][]"#), Some(("a.b".into(), "[]")));
        assert_eq!((split_first(""), split_first("[1]")), (None, None));
    }

    #[test]
    fn malformed_paths_are_rejected() {
        for path in [
            "",
            ".",
            ".a",
            "a.",
            "a..b",
            "a.[0]",
            "[0]",
            "[]",
            "a[",
            "a]",
            "a[1",
            "a[x]",
            "a[+1]",
            "a[-1]",
            "a[ 1]",
            "a[\"]",
            "a[\"x\"",
            "a[\"x\"y]",
            "a[][0]",
            "a[][]",
            "a[].b",
            "a b",
            "a[99999999999999999999999]",
            "a[\"\\x\"]",
            "a[0]b",
            "é[\u{0}]",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    fn any_segment() -> impl Strategy<Value = Segment<'static>> {
        prop_oneof![
            any::<String>().prop_map(|key| Segment::Key(key.into())),
            "[a-z_0-9-]{0,5}".prop_map(|key| Segment::Key(key.into())),
            any::<usize>().prop_map(Segment::Index),
        ]
    }

    proptest! {
        #[test]
        fn a_written_path_is_parsed_back(
            field in any::<String>(),
            below in prop::collection::vec(any_segment(), 0..6),
            element in any::<bool>(),
        ) {
            let first = first_segment(&field);
            let mut all = vec![Segment::Key(field.into())];
            all.extend(below);
            all.extend(element.then_some(Segment::Element));
            let path = write_path(all.iter());
            prop_assert!(path.starts_with(&first));
            prop_assert_eq!(parse(&path), Some(all), "{}", path);
        }

        #[test]
        fn parsing_never_panics(path in r#"[a\[\]".0-9\\é-]{0,16}"#) {
            let _ = parse(&path);
        }
    }
}
