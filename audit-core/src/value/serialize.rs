//! Serialises a [`Tree`] as the value it was made of.

use audit_record::private::json::NUMBER;
use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTupleVariant, Serializer,
};

use crate::capture::{
    Limits, Mask, REDACTED, Rules, ValueWriter, VariantForm, bad_key_reason, not_recorded_text,
};
use crate::value::tree::{MapEntry, Tree};

/// A tree for a capture, which writes the digits of numbers as they are.
pub(super) struct WithExactNumbers<'t>(pub(super) &'t Tree);

impl Serialize for WithExactNumbers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_as(serializer, WithExactNumbers, Some(NUMBER))
    }
}

/// For any serializer. Numbers that are not integers of 64 bits become floats.
impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize_as(serializer, |tree| tree, None)
    }
}

/// The whole `tree` as JSON text. Its hidden parts stay hidden.
pub(super) fn json(tree: &Tree) -> String {
    let rules = Rules { limits: Limits::UNLIMITED, mask: Mask::none() };
    let (mut json, mut truncations) = (String::new(), Vec::new());
    let writer = ValueWriter::new(&mut json, &mut truncations, "", &rules);
    writer.serialize(&WithExactNumbers(tree));
    json
}

impl Tree {
    /// `part` wraps the parts. `number` is the struct name that lets the serializer write the
    /// digits of a number as they are.
    fn serialize_as<'t, S: Serializer, T: Serialize + 't>(
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
            Self::Number(digits) | Self::Decimal { digits, is_text: false } => match number {
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
            Self::SomeNull(_) => serializer.serialize_str(&self.some_mark()),
            // A capture writes the mark itself, and lists the part as a truncation.
            Self::NotRecorded(why) if number.is_some() => Err(S::Error::custom(why)),
            Self::NotRecorded(why) => serializer.serialize_str(&not_recorded_text(why)),
            Self::List(elements) | Self::Set(elements) => {
                let mut list = serializer.serialize_seq(Some(elements.len()))?;
                elements.iter().try_for_each(|element| list.serialize_element(&part(element)))?;
                list.end()
            }
            Self::Map(entries) => serialize_map(entries, serializer, part, number.is_some()),
            Self::Variant(name, form, data) => {
                serialize_variant(name, *form, data, serializer, part)
            }
        }
    }
}

fn serialize_map<'t, S: Serializer, T: Serialize>(
    entries: &'t [MapEntry],
    serializer: S,
    part: fn(&'t Tree) -> T,
    is_capture: bool,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(entries.len()))?;
    for (key, tree) in entries {
        match bad_key_reason(key) {
            Some(why) if is_capture => map.serialize_entry(&BadKey(why), &part(tree))?,
            _ => map.serialize_entry(key, &part(tree))?,
        }
    }
    map.end()
}

/// A key that could not be recorded. A capture writes its mark, and lists it as a truncation.
struct BadKey<'t>(&'t str);

impl Serialize for BadKey<'_> {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom(self.0))
    }
}

/// In the form that the enum has: a mask hides the fields of some variants by the name of these.
fn serialize_variant<'t, S: Serializer, T: Serialize>(
    name: &'static str,
    form: VariantForm,
    data: &'t Tree,
    serializer: S,
    part: fn(&'t Tree) -> T,
) -> Result<S::Ok, S::Error> {
    match (form, data) {
        (VariantForm::Tuple, Tree::List(elements)) => {
            let mut list = serializer.serialize_tuple_variant("", 0, name, elements.len())?;
            elements.iter().try_for_each(|element| list.serialize_field(&part(element)))?;
            list.end()
        }
        (VariantForm::Struct, Tree::Map(entries)) => {
            let mut fields = serializer.serialize_struct_variant("", 0, name, entries.len())?;
            for (key, tree) in entries {
                // The keys are names of fields, so all of them are borrowed.
                if let std::borrow::Cow::Borrowed(key) = key {
                    fields.serialize_field(key, &part(tree))?;
                }
            }
            fields.end()
        }
        _ => serializer.serialize_newtype_variant("", 0, name, &part(data)),
    }
}
