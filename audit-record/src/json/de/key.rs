//! [`Key`]: the key of a map, which JSON knows as text only.

use serde::Deserializer;
use serde::de::Visitor;
use serde::de::value::StrDeserializer;

use super::failure::Failure;
use super::{De, bytes, not_finite, number};
use crate::json::read::{self, Reader};

pub(super) struct Key<'k> {
    pub(super) text: &'k str,
}

impl Key<'_> {
    /// A key that is no text was written as the JSON text of it.
    fn json(&self) -> Option<Reader<'_>> {
        read::check(self.text).is_ok().then(|| Reader::new(self.text))
    }
}

/// Reads the text of a number, and leaves all else to the visitor.
macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            if read::is_number(self.text) {
                number(self.text, visitor)
            } else {
                visitor.visit_str(self.text)
            }
        }
    )*};
}

macro_rules! wide {
    ($($method:ident, $visit:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            match self.text.parse() {
                Ok(number) => visitor.$visit(number),
                Err(_) => visitor.visit_str(self.text),
            }
        }
    )*};
}

macro_rules! floats {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            match not_finite(self.text) {
                Some(number) => visitor.visit_f64(number),
                None if read::is_number(self.text) => number(self.text, visitor),
                None => visitor.visit_str(self.text),
            }
        }
    )*};
}

/// Reads JSON text.
macro_rules! json {
    ($($method:ident($($name:ident: $ty:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(
            self,
            $($name: $ty,)*
            visitor: V,
        ) -> Result<V::Value, Failure> {
            match self.json() {
                Some(mut reader) => De { reader: &mut reader }.$method($($name,)* visitor),
                None => visitor.visit_str(self.text),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_str(self.text)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
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

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        // What else would be a number, or in quotes, is so only as the key of an optional one.
        match self.json() {
            Some(mut reader) => De { reader: &mut reader }.deserialize_option(visitor),
            None => visitor.visit_some(self),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        // As JSON text, since they are no text: in quotes.
        let inner = self.text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        match inner.and_then(bytes) {
            Some(bytes) => visitor.visit_byte_buf(bytes),
            None => visitor.visit_bytes(self.text.as_bytes()),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_byte_buf(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if self.text.starts_with('{')
            && let Some(mut reader) = self.json()
        {
            return De { reader: &mut reader }.deserialize_enum(name, variants, visitor);
        }
        visitor.visit_enum(StrDeserializer::new(self.text))
    }

    serde::forward_to_deserialize_any! { char str string identifier ignored_any }
}
