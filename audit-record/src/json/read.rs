//! Reads JSON text: whether it is JSON, and its parts, to write them anew.
//!
//! Ours and not `serde_json`'s, for that crate implements `PartialEq` between its values and the primitive
//! types. Merely being loaded with ours, it would make the type of `x` in `5 == x` ambiguous in
//! programs that have done without it: they would no longer compile with the attribute.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

/// Lists and maps inside each other; as many as other parsers read.
const DEPTH: usize = 127;

/// Why a text can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    Syntax,
    TooDeep,
}

/// Whether `text` is one JSON value.
pub fn check(text: &str) -> Result<(), Wrong> {
    let bytes = text.as_bytes();
    let end = value(bytes, space(bytes, 0), DEPTH)?;
    if space(bytes, end) == bytes.len() { Ok(()) } else { Err(Wrong::Syntax) }
}

/// Whether `text` is a number as JSON writes it.
pub fn is_number(text: &str) -> bool {
    number(text.as_bytes(), 0) == Ok(text.len())
}

/// JSON text that has been checked, as a value.
pub struct Text<'t> {
    pub text: &'t str,
    /// The struct name under which the serializer takes the digits of a number as they are.
    pub number: Option<&'static str>,
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.text.trim_ascii();
        match text.as_bytes().first() {
            Some(b'{') => {
                let mut map = serializer.serialize_map(Some(count(text)))?;
                parts(text, |key, part| map.serialize_entry(&unescaped(key), &self.part(part)))?;
                map.end()
            }
            Some(b'[') => {
                let mut list = serializer.serialize_seq(Some(count(text)))?;
                parts(text, |_, part| list.serialize_element(&self.part(part)))?;
                list.end()
            }
            Some(b'"') => serializer.serialize_str(&unescaped(text)),
            Some(b't') => serializer.serialize_bool(true),
            Some(b'f') => serializer.serialize_bool(false),
            Some(b'n') | None => serializer.serialize_unit(),
            Some(_) => self.number(text, serializer),
        }
    }
}

impl<'t> Text<'t> {
    fn part(&self, text: &'t str) -> Self {
        Self { text, number: self.number }
    }

    fn number<S: Serializer>(&self, text: &str, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(number) = text.parse() {
            return serializer.serialize_u64(number);
        }
        if let Ok(number) = text.parse() {
            return serializer.serialize_i64(number);
        }
        match self.number {
            Some(name) => {
                let mut digits = serializer.serialize_struct(name, 1)?;
                digits.serialize_field(name, text)?;
                digits.end()
            }
            None => serializer.serialize_f64(text.parse().unwrap_or(f64::NAN)),
        }
    }
}

/// Gives the keys (in quotes; empty in a list) and values of the list or map in `text`, which is sound.
fn parts<'t, E>(
    text: &'t str,
    mut each: impl FnMut(&'t str, &'t str) -> Result<(), E>,
) -> Result<(), E> {
    let bytes = text.as_bytes();
    let mut at = space(bytes, 1);
    while at < bytes.len() && !matches!(bytes[at], b'}' | b']') {
        let mut key = "";
        if bytes[0] == b'{' {
            let end = string(bytes, at).unwrap_or(bytes.len());
            key = &text[at..end];
            at = space(bytes, space(bytes, end) + 1);
        }
        let end = value(bytes, at, usize::MAX).unwrap_or(bytes.len());
        each(key, &text[at..end])?;
        at = space(bytes, end);
        if bytes.get(at) == Some(&b',') {
            at = space(bytes, at + 1);
        }
    }
    Ok(())
}

fn count(text: &str) -> usize {
    let mut count = 0;
    let each = |_: &str, _: &str| {
        count += 1;
        Ok::<(), std::convert::Infallible>(())
    };
    match parts(text, each) {
        Ok(()) => count,
    }
}

/// What the string `quoted`, a sound one in its quotes, stands for.
pub fn unescaped(quoted: &str) -> Cow<'_, str> {
    let inner = quoted.get(1..quoted.len().max(2) - 1).unwrap_or_default();
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let (mut out, mut rest) = (String::with_capacity(inner.len()), inner);
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escaped = rest[at + 1..].chars().next().unwrap_or('\\');
        rest = rest.get(at + 2..).unwrap_or_default();
        out.push(match escaped {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (c, length) = unicode(rest);
                rest = rest.get(length..).unwrap_or_default();
                c
            }
            itself => itself,
        });
    }
    Cow::Owned(out + rest)
}

/// The character that begins with the four digits at the beginning of `text`, and how long it is there; a
/// half of a pair alone is no character.
fn unicode(text: &str) -> (char, usize) {
    let unit = |at: usize| text.get(at..at + 4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let first = unit(0).unwrap_or(0xfffd);
    if (0xd800..0xdc00).contains(&first)
        && text.get(4..6) == Some("\\u")
        && let Some(second @ 0xdc00..0xe000) = unit(6)
    {
        let joined = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return (char::from_u32(joined).unwrap_or('\u{fffd}'), 10);
    }
    (char::from_u32(first).unwrap_or('\u{fffd}'), 4)
}

/// What begins at some place of a JSON text.
pub enum Token<'t> {
    Null,
    Bool(bool),
    /// Its digits.
    Number(&'t str),
    Text(Cow<'t, str>),
    List,
    Map,
}

/// Goes through JSON text, part by part.
pub struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// The brackets that will end what is open.
    open: Vec<u8>,
    /// Nothing was read yet of what was opened last.
    fresh: bool,
}

impl<'t> Reader<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, at: 0, open: Vec::new(), fresh: false }
    }

    /// The byte that comes next.
    pub fn peek(&mut self) -> Option<u8> {
        self.at = space(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes a value; of a list or map, the opening bracket.
    pub fn token(&mut self) -> Result<Token<'t>, Wrong> {
        let bytes = self.text.as_bytes();
        Ok(match self.peek() {
            Some(b'[') => self.enter(b']').map(|()| Token::List)?,
            Some(b'{') => self.enter(b'}').map(|()| Token::Map)?,
            Some(b'"') => Token::Text(unescaped(self.take(string(bytes, self.at)?))),
            _ => match self.take(value(bytes, self.at, 0)?) {
                "null" => Token::Null,
                "true" => Token::Bool(true),
                "false" => Token::Bool(false),
                digits => Token::Number(digits),
            },
        })
    }

    fn enter(&mut self, close: u8) -> Result<(), Wrong> {
        if self.open.len() >= DEPTH {
            return Err(Wrong::TooDeep);
        }
        self.open.push(close);
        self.at += 1;
        self.fresh = true;
        Ok(())
    }

    /// Takes a value as it is written.
    pub fn whole(&mut self) -> Result<&'t str, Wrong> {
        self.peek();
        let end = value(self.text.as_bytes(), self.at, DEPTH - self.open.len())?;
        Ok(self.take(end))
    }

    /// Whether another element or key follows in what was opened last; if not, that is closed.
    pub fn more(&mut self) -> Result<bool, Wrong> {
        let fresh = std::mem::take(&mut self.fresh);
        let next = self.peek();
        if next.is_some() && next == self.open.last().copied() {
            self.open.pop();
            self.at += 1;
            return Ok(false);
        }
        match (fresh, next, self.open.is_empty()) {
            (true, Some(_), _) => Ok(true),
            (false, Some(b','), false) => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(Wrong::Syntax),
        }
    }

    /// Takes a key and its colon.
    pub fn key(&mut self) -> Result<Cow<'t, str>, Wrong> {
        self.peek();
        let key = self.take(string(self.text.as_bytes(), self.at)?);
        if self.peek() != Some(b':') {
            return Err(Wrong::Syntax);
        }
        self.at += 1;
        Ok(unescaped(key))
    }

    /// How many lists and maps are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// There must be nothing more.
    pub fn end(&mut self) -> Result<(), Wrong> {
        if self.peek().is_none() && self.open.is_empty() { Ok(()) } else { Err(Wrong::Syntax) }
    }

    fn take(&mut self, end: usize) -> &'t str {
        let text = &self.text[self.at..end];
        self.at = end;
        text
    }
}

// Each of these gives the place behind what begins at `at`.

fn space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

fn value(bytes: &[u8], at: usize, depth: usize) -> Result<usize, Wrong> {
    match bytes.get(at) {
        Some(b'{') => container(bytes, at, b'}', depth),
        Some(b'[') => container(bytes, at, b']', depth),
        Some(b'"') => string(bytes, at),
        Some(b't') => word(bytes, at, "true"),
        Some(b'f') => word(bytes, at, "false"),
        Some(b'n') => word(bytes, at, "null"),
        _ => number(bytes, at),
    }
}

fn container(bytes: &[u8], at: usize, close: u8, depth: usize) -> Result<usize, Wrong> {
    let depth = depth.checked_sub(1).ok_or(Wrong::TooDeep)?;
    let mut at = space(bytes, at + 1);
    if bytes.get(at) == Some(&close) {
        return Ok(at + 1);
    }
    loop {
        if close == b'}' {
            at = space(bytes, string(bytes, at)?);
            if bytes.get(at) != Some(&b':') {
                return Err(Wrong::Syntax);
            }
            at = space(bytes, at + 1);
        }
        at = space(bytes, value(bytes, at, depth)?);
        match bytes.get(at) {
            Some(b',') => at = space(bytes, at + 1),
            Some(byte) if *byte == close => return Ok(at + 1),
            _ => return Err(Wrong::Syntax),
        }
    }
}

pub fn string(bytes: &[u8], at: usize) -> Result<usize, Wrong> {
    if bytes.get(at) != Some(&b'"') {
        return Err(Wrong::Syntax);
    }
    let mut at = at + 1;
    loop {
        match bytes.get(at).ok_or(Wrong::Syntax)? {
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
                _ => return Err(Wrong::Syntax),
            },
            0..0x20 => return Err(Wrong::Syntax),
            _ => at += 1,
        }
    }
}

fn word(bytes: &[u8], at: usize, word: &str) -> Result<usize, Wrong> {
    if bytes[at..].starts_with(word.as_bytes()) { Ok(at + word.len()) } else { Err(Wrong::Syntax) }
}

fn number(bytes: &[u8], mut at: usize) -> Result<usize, Wrong> {
    let digits = |mut at: usize| {
        let from = at;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if at > from { Ok(at) } else { Err(Wrong::Syntax) }
    };
    at += usize::from(bytes.get(at) == Some(&b'-'));
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        at = digits(at)?;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn again(text: &str) -> String {
        serde_json::to_string(&Text { text, number: None }).expect("sound")
    }

    #[test]
    fn sound_and_unsound_texts() {
        for text in ["null", " [1, -0.5e+3 ,{\"a\":\"\\u00e9\\n\"}] ", "0", "\"\"", "{}", "[[]]"] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in [
            "", "01", "1.", "-", "+1", "[1,]", "{\"a\"}", "\"\n\"", "\"\\x\"", "nul", "1 2",
            "{a:1}", "'a'", "[1",
        ] {
            assert_eq!(check(text), Err(Wrong::Syntax), "{text}");
        }
        assert_eq!(check(&format!("{}{}", "[".repeat(128), "]".repeat(128))), Err(Wrong::TooDeep));
        assert_eq!(check(&format!("{}{}", "[".repeat(127), "]".repeat(127))), Ok(()));
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(
            unescaped(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83d!""#),
            "\"\\/\u{8}\u{c}\n\r\té😀\u{fffd}!"
        );
    }

    fn values() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            // The other reader is not exact in the last digit of long ones.
            (-1_000_000_i32..1_000_000).prop_map(|n| (f64::from(n) / 8.0).into()),
            ".*".prop_map(|text: String| text.into()),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::btree_map(".*", inner, 0..8)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(value in values()) {
            for text in [value.to_string(), format!("{value:#}")] {
                prop_assert_eq!(check(&text), Ok(()));
                prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&again(&text)).expect("sound"), &value);
            }
        }

        #[test]
        fn what_is_sound_is_the_same_as_elsewhere(text in r#"[ \[\]{}:,"\\a0-9.eE+\-tu]{0,12}"#) {
            let elsewhere = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(check(&text).is_ok(), elsewhere, "{}", text);
        }
    }
}
