//! Implements `Deserializer` for [`ValueDeserializer`].

use serde::de::value::{MapDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error as _, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::deserializer::{
    ValueDeserializer, parse_bytes, parse_not_finite, visit_number, visit_text,
};
use super::entries::{Entries, EnumEntry};
use super::error::DeserializeError;
use crate::json::read::{JsonReader, Token};
use crate::json::scan::JsonError;
use crate::json::write::RAW_VALUE;

impl ValueDeserializer<'_, '_> {
    fn visit_list<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        let depth = self.reader.depth();
        let value = visitor.visit_seq(Entries::new(self.reader))?;
        check_closed(self.reader, depth, "the list has more elements than expected")?;
        Ok(value)
    }

    fn visit_map<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        let depth = self.reader.depth();
        let value = visitor.visit_map(Entries::new(self.reader))?;
        check_closed(self.reader, depth, "the map has more entries than expected")?;
        Ok(value)
    }
}

/// Checks that the list or map that was opened at `depth` was read to its end.
fn check_closed(
    reader: &mut JsonReader<'_>,
    depth: usize,
    otherwise: &str,
) -> Result<(), DeserializeError> {
    if reader.depth() < depth || (reader.depth() == depth && !reader.more()?) {
        return Ok(());
    }
    Err(DeserializeError::custom(otherwise))
}

/// Implements a method that reads numbers with `$number` and texts with `$text`, and any other
/// value as `deserialize_any` does.
macro_rules! scalar {
    ($method:ident; |$digits:ident, $visitor:ident| $number:expr; |$text:ident| $value:expr) => {
        fn $method<V: Visitor<'de>>(self, $visitor: V) -> Result<V::Value, DeserializeError> {
            match self.reader.peek() {
                Some(b'"' | b'-' | b'0'..=b'9') => {}
                _ => return self.deserialize_any($visitor),
            }
            match self.reader.token()? {
                Token::Number($digits) => $number,
                Token::Text($text) => $value,
                _ => Err(JsonError::Syntax.into()),
            }
        }
    };
}

impl<'de> Deserializer<'de> for ValueDeserializer<'_, '_> {
    type Error = DeserializeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        match self.reader.token()? {
            Token::Null => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Number(digits) => visit_number(digits, visitor),
            Token::Text(text) => visit_text(text, visitor),
            Token::List => self.visit_list(visitor),
            Token::Map => self.visit_map(visitor),
        }
    }

    scalar! {
        deserialize_f64; |digits, visitor| visit_number(digits, visitor);
        |text| match parse_not_finite(&text) {
            Some(number) => visitor.visit_f64(number),
            None => visit_text(text, visitor),
        }
    }

    scalar! {
        deserialize_f32; |digits, visitor| match digits.parse::<f32>() {
            // Read as a wider float, it would be rounded twice.
            Ok(number) if number.is_finite() => visitor.visit_f32(number),
            _ => visit_number(digits, visitor),
        };
        |text| match parse_not_finite(&text) {
            Some(number) => visitor.visit_f64(number),
            None => visit_text(text, visitor),
        }
    }

    scalar! {
        deserialize_i128; |digits, visitor| match digits.parse() {
            Ok(number) => visitor.visit_i128(number),
            Err(_) => visit_number(digits, visitor),
        };
        |text| match text.parse() {
            Ok(number) => visitor.visit_i128(number),
            Err(_) => visit_text(text, visitor),
        }
    }

    scalar! {
        deserialize_u128; |digits, visitor| match digits.parse() {
            Ok(number) => visitor.visit_u128(number),
            Err(_) => visit_number(digits, visitor),
        };
        |text| match text.parse() {
            Ok(number) => visitor.visit_u128(number),
            Err(_) => visit_text(text, visitor),
        }
    }

    scalar! {
        deserialize_byte_buf; |digits, visitor| visit_number(digits, visitor);
        |text| match parse_bytes(&text) {
            Some(bytes) => visitor.visit_byte_buf(bytes),
            None => visitor.visit_bytes(text.as_bytes()),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        self.deserialize_byte_buf(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
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
    ) -> Result<V::Value, DeserializeError> {
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
    ) -> Result<V::Value, DeserializeError> {
        match self.reader.token()? {
            Token::Text(variant) => visitor.visit_enum(StrDeserializer::new(&variant)),
            Token::Map => {
                let depth = self.reader.depth();
                if !self.reader.more()? {
                    return Err(DeserializeError::invalid_value(
                        Unexpected::Map,
                        &"the name of a variant",
                    ));
                }
                let value = visitor.visit_enum(EnumEntry { reader: self.reader })?;
                check_closed(
                    self.reader,
                    depth,
                    "a variant of an enum is a map with one entry, and this one has more",
                )?;
                Ok(value)
            }
            token => Err(DeserializeError::invalid_type(unexpected(&token), &"an enum")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        self.reader.whole()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 char str string unit unit_struct seq tuple tuple_struct map
        struct identifier
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
