//! Reads the entries of lists and maps, and the variants of enums.

use std::borrow::Cow;

use serde::Deserializer;
use serde::de::value::StrDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use super::deserializer::ValueDeserializer;
use super::error::DeserializeError;
use super::key::KeyDeserializer;
use crate::json::read::JsonReader;
use crate::path::Segment;

/// A list or map that is being read.
pub(super) struct Entries<'r, 't> {
    reader: &'r mut JsonReader<'t>,
    /// How many elements were read.
    count: usize,
    /// The key of the value that comes next.
    key: Option<Cow<'t, str>>,
    /// Whether the end was read, so that a visitor that goes on gets no entries of what surrounds
    /// it.
    has_ended: bool,
}

impl<'r, 't> Entries<'r, 't> {
    pub(super) fn new(reader: &'r mut JsonReader<'t>) -> Self {
        Self { reader, count: 0, key: None, has_ended: false }
    }

    fn more(&mut self) -> Result<bool, DeserializeError> {
        self.has_ended = self.has_ended || !self.reader.more()?;
        Ok(!self.has_ended)
    }
}

fn key_segment(key: &str) -> Segment<'static> {
    Segment::Key(Cow::Owned(key.to_owned()))
}

impl<'de> SeqAccess<'de> for Entries<'_, '_> {
    type Error = DeserializeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DeserializeError> {
        if !self.more()? {
            return Ok(None);
        }
        let element = seed.deserialize(ValueDeserializer { reader: self.reader });
        let element = element.map_err(|error| error.inside(Segment::Index(self.count)))?;
        self.count += 1;
        Ok(Some(element))
    }
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = DeserializeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DeserializeError> {
        if !self.more()? {
            return Ok(None);
        }
        let key = self.reader.key()?;
        let key = self.key.insert(key);
        seed.deserialize(KeyDeserializer { text: key }).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, DeserializeError> {
        let Some(key) = self.key.take() else {
            return Err(DeserializeError::custom("a value was requested before its key"));
        };
        let value = seed.deserialize(ValueDeserializer { reader: self.reader });
        value.map_err(|error| error.inside(key_segment(&key)))
    }
}

/// An enum: a map whose only key is the name of the variant, and whose value is its data.
pub(super) struct EnumEntry<'r, 't> {
    pub(super) reader: &'r mut JsonReader<'t>,
}

/// The data of a variant.
pub(super) struct VariantData<'r, 't> {
    reader: &'r mut JsonReader<'t>,
    variant: Cow<'t, str>,
}

impl<'de, 'r, 't> EnumAccess<'de> for EnumEntry<'r, 't> {
    type Error = DeserializeError;
    type Variant = VariantData<'r, 't>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, VariantData<'r, 't>), DeserializeError> {
        let name = self.reader.key()?;
        let variant = seed.deserialize(StrDeserializer::<DeserializeError>::new(&name))?;
        Ok((variant, VariantData { reader: self.reader, variant: name }))
    }
}

impl<'de> VariantAccess<'de> for VariantData<'_, '_> {
    type Error = DeserializeError;

    fn unit_variant(self) -> Result<(), DeserializeError> {
        <()>::deserialize(ValueDeserializer { reader: self.reader })
            .map_err(|error| error.inside(key_segment(&self.variant)))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, DeserializeError> {
        seed.deserialize(ValueDeserializer { reader: self.reader })
            .map_err(|error| error.inside(key_segment(&self.variant)))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        ValueDeserializer { reader: self.reader }
            .deserialize_any(visitor)
            .map_err(|error| error.inside(key_segment(&self.variant)))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        self.tuple_variant(0, visitor)
    }
}
