//! Reads values of the user's types from JSON text.
//!
//! Ours, as `read.rs` is, and it takes what `serde_json` takes. Beyond that it gives back what a capture
//! had to write as text: numbers too wide for JSON, NaN and the infinities, bytes, and keys that are no text.

mod failure;
mod key;
mod parts;
#[cfg(test)]
mod tests;

use serde::de::value::{MapDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use self::failure::Failure;
use self::parts::{Parts, Variant};
use crate::Error;
use crate::json::read::{Reader, Token, Wrong};
use crate::json::write::RAW_VALUE;

/// The value in `text`, as `T`.
pub(crate) fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    read(text).map_err(|failure| Error::permanent(failure.to_string()))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    let mut reader = Reader::new(text);
    let value = T::deserialize(De { reader: &mut reader })?;
    reader.end()?;
    Ok(value)
}

/// Gives one value. Texts are never lent, so that its lifetime is nobody's concern.
struct De<'r, 't> {
    reader: &'r mut Reader<'t>,
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        Self::custom(match wrong {
            Wrong::Syntax => "the text is not valid JSON",
            Wrong::TooDeep => "the JSON nests more than 127 levels deep",
        })
    }
}

impl De<'_, '_> {
    fn list<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let depth = self.reader.depth();
        let value = visitor.visit_seq(Parts::new(self.reader))?;
        closed(self.reader, depth, "the list has more elements than expected")?;
        Ok(value)
    }

    fn map<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let depth = self.reader.depth();
        let value = visitor.visit_map(Parts::new(self.reader))?;
        closed(self.reader, depth, "the map has more entries than expected")?;
        Ok(value)
    }
}

/// The list or map that was opened at `depth` must have been read to its end.
fn closed(reader: &mut Reader<'_>, depth: usize, if_not: &str) -> Result<(), Failure> {
    if reader.depth() < depth || (reader.depth() == depth && !reader.more()?) {
        return Ok(());
    }
    Err(Failure::custom(if_not))
}

/// Gives a number as what it is; `-0` is a float, since no integer is below zero and zero.
fn number<'de, V: Visitor<'de>>(digits: &str, visitor: V) -> Result<V::Value, Failure> {
    if let Ok(number) = digits.parse() {
        return visitor.visit_u64(number);
    }
    match digits.parse() {
        Ok(number @ ..0) => visitor.visit_i64(number),
        _ => visitor.visit_f64(float(digits)?),
    }
}

fn float(digits: &str) -> Result<f64, Failure> {
    match digits.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(Failure::custom(format_args!("number out of range: {digits}"))),
    }
}

/// How a capture writes the numbers that JSON has no form for.
fn not_finite(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The bytes that a capture wrote as `text`.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.strip_prefix("0x")?.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |&[high, low]: &[u8; 2]| Some(digit(high)? << 4 | digit(low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// Gives any value but a number or text; those go to `$number` and `$text`.
macro_rules! scalar {
    ($method:ident; |$digits:ident, $visitor:ident| $number:expr; |$text:ident| $value:expr) => {
        fn $method<V: Visitor<'de>>(self, $visitor: V) -> Result<V::Value, Failure> {
            match self.reader.peek() {
                Some(b'"' | b'-' | b'0'..=b'9') => {}
                _ => return self.deserialize_any($visitor),
            }
            match self.reader.token()? {
                Token::Number($digits) => $number,
                Token::Text($text) => $value,
                _ => Err(Wrong::Syntax.into()),
            }
        }
    };
}

impl<'de> Deserializer<'de> for De<'_, '_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.reader.token()? {
            Token::Null => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Number(digits) => number(digits, visitor),
            Token::Text(text) => visit_text(text, visitor),
            Token::List => self.list(visitor),
            Token::Map => self.map(visitor),
        }
    }

    scalar! {
        deserialize_f64; |digits, visitor| number(digits, visitor);
        |text| match not_finite(&text) {
            Some(number) => visitor.visit_f64(number),
            None => visit_text(text, visitor),
        }
    }

    scalar! {
        deserialize_f32; |digits, visitor| match digits.parse::<f32>() {
            // By way of a wider float it would be rounded twice.
            Ok(number) if number.is_finite() => visitor.visit_f32(number),
            _ => number(digits, visitor),
        };
        |text| match not_finite(&text) {
            Some(number) => visitor.visit_f64(number),
            None => visit_text(text, visitor),
        }
    }

    scalar! {
        deserialize_i128; |digits, visitor| match digits.parse() {
            Ok(number) => visitor.visit_i128(number),
            Err(_) => number(digits, visitor),
        };
        |text| match text.parse() {
            Ok(number) => visitor.visit_i128(number),
            Err(_) => visit_text(text, visitor),
        }
    }

    scalar! {
        deserialize_u128; |digits, visitor| match digits.parse() {
            Ok(number) => visitor.visit_u128(number),
            Err(_) => number(digits, visitor),
        };
        |text| match text.parse() {
            Ok(number) => visitor.visit_u128(number),
            Err(_) => visit_text(text, visitor),
        }
    }

    scalar! {
        deserialize_byte_buf; |digits, visitor| number(digits, visitor);
        |text| match bytes(&text) {
            Some(bytes) => visitor.visit_byte_buf(bytes),
            None => visitor.visit_bytes(text.as_bytes()),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_byte_buf(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.reader.peek() != Some(b'n') {
            return visitor.visit_some(self);
        }
        self.reader.token()?;
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if name != RAW_VALUE {
            return visitor.visit_newtype_struct(self);
        }
        let text = self.reader.whole()?;
        visitor.visit_map(MapDeserializer::new(std::iter::once((RAW_VALUE, text))))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match self.reader.token()? {
            Token::Text(variant) => visitor.visit_enum(StrDeserializer::new(&variant)),
            Token::Map => {
                let depth = self.reader.depth();
                if !self.reader.more()? {
                    return Err(Failure::invalid_value(Unexpected::Map, &"the name of a variant"));
                }
                let value = visitor.visit_enum(Variant { reader: self.reader })?;
                closed(
                    self.reader,
                    depth,
                    "a variant of an enum is a map with one entry, and this one has more",
                )?;
                Ok(value)
            }
            token => Err(Failure::invalid_type(unexpected(&token), &"an enum")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.reader.whole()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 char str string unit unit_struct seq tuple tuple_struct map
        struct identifier
    }
}

fn visit_text<'de, V: Visitor<'de>>(
    text: std::borrow::Cow<'_, str>,
    visitor: V,
) -> Result<V::Value, Failure> {
    match text {
        std::borrow::Cow::Borrowed(text) => visitor.visit_str(text),
        std::borrow::Cow::Owned(text) => visitor.visit_string(text),
    }
}

fn unexpected<'t>(token: &'t Token<'_>) -> Unexpected<'t> {
    match token {
        Token::Null => Unexpected::Unit,
        Token::Bool(value) => Unexpected::Bool(*value),
        Token::Number(digits) => match digits.parse() {
            Ok(number) => Unexpected::Unsigned(number),
            Err(_) => Unexpected::Other("number"),
        },
        Token::Text(text) => Unexpected::Str(text),
        Token::List => Unexpected::Seq,
        Token::Map => Unexpected::Map,
    }
}
