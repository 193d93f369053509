//! What is in a list, a map or a variant.

use std::borrow::Cow;

use serde::Deserializer;
use serde::de::value::StrDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use super::De;
use super::failure::Failure;
use super::key::Key;
use crate::json::read::Reader;
use crate::path::Segment;

/// A list or map that is being read.
pub(super) struct Parts<'r, 't> {
    reader: &'r mut Reader<'t>,
    /// How many elements were read.
    count: usize,
    /// The key that was read last.
    key: Option<Cow<'t, str>>,
    ended: bool,
}

impl<'r, 't> Parts<'r, 't> {
    pub(super) fn new(reader: &'r mut Reader<'t>) -> Self {
        Self { reader, count: 0, key: None, ended: false }
    }

    fn more(&mut self) -> Result<bool, Failure> {
        self.ended = self.ended || !self.reader.more()?;
        Ok(!self.ended)
    }
}

fn named(key: &str) -> Segment<'static> {
    Segment::Key(Cow::Owned(key.to_owned()))
}

impl<'de> SeqAccess<'de> for Parts<'_, '_> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        if !self.more()? {
            return Ok(None);
        }
        let element = seed.deserialize(De { reader: self.reader });
        let element = element.map_err(|failure| failure.inside(Segment::Index(self.count)))?;
        self.count += 1;
        Ok(Some(element))
    }
}

impl<'de> MapAccess<'de> for Parts<'_, '_> {
    type Error = Failure;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Failure> {
        if !self.more()? {
            return Ok(None);
        }
        let key = self.reader.key()?;
        let key = self.key.insert(key);
        seed.deserialize(Key { text: key }).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        let Some(key) = self.key.take() else {
            return Err(Failure::custom("a value was asked for without its key"));
        };
        let value = seed.deserialize(De { reader: self.reader });
        value.map_err(|failure| failure.inside(named(&key)))
    }
}

/// The variant of an enum, and the data in it.
pub(super) struct Variant<'r, 't> {
    pub(super) reader: &'r mut Reader<'t>,
}

/// The data of the variant with this name.
pub(super) struct Data<'r, 't> {
    reader: &'r mut Reader<'t>,
    name: Cow<'t, str>,
}

impl<'de, 'r, 't> EnumAccess<'de> for Variant<'r, 't> {
    type Error = Failure;
    type Variant = Data<'r, 't>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Data<'r, 't>), Failure> {
        let name = self.reader.key()?;
        let variant = seed.deserialize(StrDeserializer::<Failure>::new(&name))?;
        Ok((variant, Data { reader: self.reader, name }))
    }
}

impl<'de> VariantAccess<'de> for Data<'_, '_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        <()>::deserialize(De { reader: self.reader })
            .map_err(|failure| failure.inside(named(&self.name)))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        seed.deserialize(De { reader: self.reader })
            .map_err(|failure| failure.inside(named(&self.name)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        De { reader: self.reader }
            .deserialize_any(visitor)
            .map_err(|failure| failure.inside(named(&self.name)))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.tuple_variant(0, visitor)
    }
}
