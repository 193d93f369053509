//! Writes a [`Tree`] as the value it was made of.

use audit_record::private::json::NUMBER;
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTupleVariant, Serializer,
};

use crate::capture::{self, Limits, Mask, REDACTED, Rules};
use crate::value::tree::{Entry, Form, Tree};

/// A tree for a capture, which takes the digits of numbers as they are.
pub(super) struct Exactly<'t>(pub(super) &'t Tree);

impl Serialize for Exactly<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer, Exactly, Some(NUMBER))
    }
}

/// For any serializer. Numbers that are no integers of 64 bits become floats.
impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.write(serializer, |tree| tree, None)
    }
}

/// All of `tree` as JSON text; what is hidden in it stays so.
pub(super) fn json(tree: &Tree) -> String {
    let limits = Limits::default().bytes(usize::MAX).length(usize::MAX).depth(usize::MAX);
    let rules = Rules { limits, mask: Mask::none() };
    let mut text = String::new();
    capture::write_serialize(&mut text, &mut Vec::new(), "", &rules, &Exactly(tree));
    text
}

impl Tree {
    /// `number` is the struct name under which the serializer takes the digits of a number as they are.
    fn write<'t, S: Serializer, T: Serialize + 't>(
        &'t self,
        serializer: S,
        part: fn(&'t Self) -> T,
        number: Option<&'static str>,
    ) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Signed(value) => serializer.serialize_i64(*value),
            Self::Number(digits) | Self::Decimal { digits, quoted: false } => match number {
                Some(name) => {
                    let mut number = serializer.serialize_struct(name, 1)?;
                    number.serialize_field(name, digits)?;
                    number.end()
                }
                None => serializer.serialize_f64(digits.parse().unwrap_or(f64::NAN)),
            },
            Self::Text(text) | Self::Masked(text, _) | Self::Decimal { digits: text, .. } => {
                serializer.serialize_str(text)
            }
            Self::Secret(_) => serializer.serialize_str(REDACTED),
            Self::List(elements) | Self::Set(elements) => {
                let mut list = serializer.serialize_seq(Some(elements.len()))?;
                elements.iter().try_for_each(|element| list.serialize_element(&part(element)))?;
                list.end()
            }
            Self::Map(entries) => map(entries, serializer, part),
            Self::Variant(name, form, data) => variant(name, *form, data, serializer, part),
        }
    }
}

fn map<'t, S: Serializer, T: Serialize>(
    entries: &'t [Entry],
    serializer: S,
    part: fn(&'t Tree) -> T,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(entries.len()))?;
    entries.iter().try_for_each(|(key, tree)| map.serialize_entry(key, &part(tree)))?;
    map.end()
}

/// In the form in which the enum handed it over: a mask hides by the name of some variants, not of others.
fn variant<'t, S: Serializer, T: Serialize>(
    name: &'static str,
    form: Form,
    data: &'t Tree,
    serializer: S,
    part: fn(&'t Tree) -> T,
) -> Result<S::Ok, S::Error> {
    match (form, data) {
        (Form::Tuple, Tree::List(elements)) => {
            let mut list = serializer.serialize_tuple_variant("", 0, name, elements.len())?;
            elements.iter().try_for_each(|element| list.serialize_field(&part(element)))?;
            list.end()
        }
        (Form::Struct, Tree::Map(entries)) => {
            let mut fields = serializer.serialize_struct_variant("", 0, name, entries.len())?;
            for (key, tree) in entries {
                // Only names of fields are in it.
                if let std::borrow::Cow::Borrowed(key) = key {
                    fields.serialize_field(key, &part(tree))?;
                }
            }
            fields.end()
        }
        _ => serializer.serialize_newtype_variant("", 0, name, &part(data)),
    }
}
