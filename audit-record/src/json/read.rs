//! [`JsonReader`]: goes through JSON text token by token.
//!
//! The deserializer in [`de`](super::de) uses it, and the values that are kept for comparison are
//! built with it.

use std::borrow::Cow;

use super::scan::{JsonError, MAX_DEPTH, skip_space, string_end, value_end};

/// What begins at some index of a JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token<'t> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// The digits of a number.
    Number(&'t str),
    /// The text that a string stands for.
    Text(Cow<'t, str>),
    /// The opening bracket of a list.
    List,
    /// The opening brace of a map.
    Map,
}

/// Reads JSON text token by token.
///
/// ```
/// use audit_record::private::json::{JsonReader, Token};
///
/// let mut reader = JsonReader::new(r#"{"a": 1.50}"#);
/// assert_eq!(reader.token(), Ok(Token::Map));
/// assert_eq!(reader.more(), Ok(true));
/// assert_eq!(reader.key().as_deref(), Ok("a"));
/// assert_eq!(reader.token(), Ok(Token::Number("1.50")));
/// assert_eq!((reader.more(), reader.end()), (Ok(false), Ok(())));
/// ```
#[derive(Debug)]
pub struct JsonReader<'t> {
    text: &'t str,
    at: usize,
    /// The closing brackets of the lists and maps that are open.
    open: Vec<u8>,
    /// Whether nothing was read yet of the list or map that was opened last.
    is_fresh: bool,
}

impl<'t> JsonReader<'t> {
    /// A reader at the start of `text`.
    pub fn new(text: &'t str) -> Self {
        Self { text, at: 0, open: Vec::new(), is_fresh: false }
    }

    /// The next byte that is not white space.
    pub fn peek(&mut self) -> Option<u8> {
        self.at = skip_space(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied()
    }

    /// Reads a value; of a list or map, only the opening bracket.
    pub fn token(&mut self) -> Result<Token<'t>, JsonError> {
        let bytes = self.text.as_bytes();
        Ok(match self.peek() {
            Some(b'[') => self.enter(b']').map(|()| Token::List)?,
            Some(b'{') => self.enter(b'}').map(|()| Token::Map)?,
            Some(b'"') => Token::Text(unescaped(self.take(string_end(bytes, self.at)?))),
            _ => match self.take(value_end(bytes, self.at, 0)?) {
                "null" => Token::Null,
                "true" => Token::Bool(true),
                "false" => Token::Bool(false),
                digits => Token::Number(digits),
            },
        })
    }

    fn enter(&mut self, close: u8) -> Result<(), JsonError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.open.push(close);
        self.at += 1;
        self.is_fresh = true;
        Ok(())
    }

    /// Reads a value and returns its JSON text.
    pub fn whole(&mut self) -> Result<&'t str, JsonError> {
        self.peek();
        let end = value_end(self.text.as_bytes(), self.at, MAX_DEPTH - self.open.len())?;
        Ok(self.take(end))
    }

    /// Whether another element or key follows in the list or map that was opened last. If not, this
    /// closes it.
    pub fn more(&mut self) -> Result<bool, JsonError> {
        let is_fresh = std::mem::take(&mut self.is_fresh);
        let next = self.peek();
        if next.is_some() && next == self.open.last().copied() {
            self.open.pop();
            self.at += 1;
            return Ok(false);
        }
        match (is_fresh, next, self.open.is_empty()) {
            (true, Some(_), _) => Ok(true),
            (false, Some(b','), false) => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(JsonError::Syntax),
        }
    }

    /// Reads a key and its colon.
    pub fn key(&mut self) -> Result<Cow<'t, str>, JsonError> {
        self.peek();
        let key = self.take(string_end(self.text.as_bytes(), self.at)?);
        if self.peek() != Some(b':') {
            return Err(JsonError::Syntax);
        }
        self.at += 1;
        Ok(unescaped(key))
    }

    /// How many lists and maps are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// Checks that nothing but white space follows, and that nothing is open.
    pub fn end(&mut self) -> Result<(), JsonError> {
        if self.peek().is_none() && self.open.is_empty() { Ok(()) } else { Err(JsonError::Syntax) }
    }

    fn take(&mut self, end: usize) -> &'t str {
        let text = &self.text[self.at..end];
        self.at = end;
        text
    }
}

/// The text that a JSON string stands for. `quoted` must be a valid string with its quotes.
///
/// ```
/// use audit_record::private::json::unescaped;
///
/// assert_eq!(unescaped(r#""tab\there""#), "tab\there");
/// ```
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
                let (c, length) = unicode_escape(rest);
                rest = rest.get(length..).unwrap_or_default();
                c
            }
            itself => itself,
        });
    }
    Cow::Owned(out + rest)
}

/// The character whose `\u` escape continues with `text`, and how many bytes of `text` belong to
/// it. Half of a surrogate pair becomes the replacement character.
fn unicode_escape(text: &str) -> (char, usize) {
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

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn escapes_are_read() {
        assert_eq!(
            unescaped(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83d!""#),
            "\"\\/\u{8}\u{c}\n\r\té😀\u{fffd}!"
        );
    }
}
