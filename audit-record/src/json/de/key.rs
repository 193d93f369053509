//! [`KeyDeserializer`]: reads the key of a map. In JSON, each key is a text.
//!
//! A capture writes a key that is not a text as its JSON text, so this reads numbers, lists and so
//! on from the text.

use serde::Deserializer;
use serde::de::Visitor;
use serde::de::value::StrDeserializer;

use super::deserializer::{ValueDeserializer, parse_bytes, parse_not_finite, visit_number};
use super::error::DeserializeError;
use crate::json::read::JsonReader;
use crate::json::scan::{check, is_number};

/// Reads one key.
pub(super) struct KeyDeserializer<'k> {
    pub(super) text: &'k str,
}

impl KeyDeserializer<'_> {
    /// A reader of the key as JSON text, if it can be one.
    fn as_json(&self) -> Option<JsonReader<'_>> {
        check(self.text).is_ok().then(|| JsonReader::new(self.text))
    }
}

/// Reads a number; any other text goes to the visitor as it is.
macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
            if is_number(self.text) {
                visit_number(self.text, visitor)
            } else {
                visitor.visit_str(self.text)
            }
        }
    )*};
}

/// Reads an integer of 128 bits.
macro_rules! wide {
    ($($method:ident, $visit:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
            match self.text.parse() {
                Ok(number) => visitor.$visit(number),
                Err(_) => visitor.visit_str(self.text),
            }
        }
    )*};
}

/// Reads a number, or the text of one that JSON has no form for.
macro_rules! floats {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
            match parse_not_finite(self.text) {
                Some(number) => visitor.visit_f64(number),
                None if is_number(self.text) => visit_number(self.text, visitor),
                None => visitor.visit_str(self.text),
            }
        }
    )*};
}

/// Reads the key as JSON text, if it is that.
macro_rules! json {
    ($($method:ident($($name:ident: $ty:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(
            self,
            $($name: $ty,)*
            visitor: V,
        ) -> Result<V::Value, DeserializeError> {
            match self.as_json() {
                Some(mut reader) => {
                    ValueDeserializer { reader: &mut reader }.$method($($name,)* visitor)
                }
                None => visitor.visit_str(self.text),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for KeyDeserializer<'_> {
    type Error = DeserializeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        visitor.visit_str(self.text)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        match self.text {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            text => visitor.visit_str(text),
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }
    wide! {
        deserialize_i128, visit_i128;
        deserialize_u128, visit_u128;
    }
    floats! { deserialize_f32 deserialize_f64 }
    json! {
        deserialize_unit()
        deserialize_unit_struct(name: &'static str)
        deserialize_seq()
        deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_map()
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        // A capture writes an optional key as JSON text: `null`, a number, or a text in its quotes.
        // A text that is not optional has no quotes.
        match self.as_json() {
            Some(mut reader) => {
                ValueDeserializer { reader: &mut reader }.deserialize_option(visitor)
            }
            None => visitor.visit_some(self),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        // Bytes are written as the JSON text of their hexadecimal form: in quotes.
        let inner = self.text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        match inner.and_then(parse_bytes) {
            Some(bytes) => visitor.visit_byte_buf(bytes),
            None => visitor.visit_bytes(self.text.as_bytes()),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        self.deserialize_byte_buf(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        if self.text.starts_with('{')
            && let Some(mut reader) = self.as_json()
        {
            return ValueDeserializer { reader: &mut reader }
                .deserialize_enum(name, variants, visitor);
        }
        visitor.visit_enum(StrDeserializer::new(self.text))
    }

    serde::forward_to_deserialize_any! { char str string identifier ignored_any }
}
