//! Values of every form that serde knows are hidden and written by trees as by captures.

use std::collections::HashSet;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use secrecy::zeroize::Zeroize;
use secrecy::{SecretBox, SerializableSecret};
use serde::Serialize;
use serde::ser::{
    Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::support::*;
use crate::capture::{Mask, ValueWriter};
use crate::value::Tree;

/// Is in every hidden text, and in no other.
const MARKER: &str = "S3CR3T";

/// A value of any form.
#[derive(Clone, Debug)]
enum Form {
    Null(NullForm),
    /// Fails to be serialised.
    Fails,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Wide(i128),
    Float(f64),
    Text(String),
    Char(char),
    Bytes(Vec<u8>),
    Display(String),
    UnitVariant(&'static str),
    Some(Box<Form>),
    Newtype(Box<Form>),
    NewtypeVariant(&'static str, Box<Form>),
    Elements(ListForm, Vec<Form>),
    TupleVariant(&'static str, Vec<Form>),
    Map(Vec<(Form, Form)>),
    Struct(Vec<(&'static str, Form)>),
    StructVariant(&'static str, Vec<(&'static str, Form)>),
    RawJson(Box<JsonForm>),
    ExactNumber(&'static str),
    Secret(SecretForm, Box<Form>),
}

#[derive(Clone, Copy, Debug)]
enum NullForm {
    Unit,
    None,
    UnitStruct,
}

#[derive(Clone, Copy, Debug)]
enum ListForm {
    Seq,
    Tuple,
    TupleStruct,
}

/// How a value contains a secret type.
#[derive(Clone, Copy, Debug)]
enum SecretForm {
    Itself,
    InSome,
    InNewtype,
    InVariant,
}

#[derive(Clone, Debug)]
enum JsonForm {
    Text(String),
    List(Vec<JsonForm>),
    Map(Vec<(String, JsonForm)>),
}

/// The value of a secret type.
struct Exposed(Form);

impl Zeroize for Exposed {
    fn zeroize(&mut self) {}
}

impl SerializableSecret for Exposed {}

impl Serialize for Exposed {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}

impl Serialize for Form {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null(NullForm::Unit) => s.serialize_unit(),
            Self::Null(NullForm::None) => s.serialize_none(),
            Self::Null(NullForm::UnitStruct) => s.serialize_unit_struct("Password"),
            Self::Fails => Err(S::Error::custom("no way")),
            Self::Bool(value) => s.serialize_bool(*value),
            Self::Signed(value) => s.serialize_i64(*value),
            Self::Unsigned(value) => s.serialize_u64(*value),
            Self::Wide(value) => s.serialize_i128(*value),
            Self::Float(value) => s.serialize_f64(*value),
            Self::Text(text) => s.serialize_str(text),
            Self::Char(value) => s.serialize_char(*value),
            Self::Bytes(bytes) => s.serialize_bytes(bytes),
            Self::Display(text) => s.collect_str(text),
            Self::UnitVariant(name) => s.serialize_unit_variant("E", 0, name),
            // Only a tree shows that this is not `None`.
            Self::Some(value) if value.is_null() => s.serialize_none(),
            Self::Some(value) => s.serialize_some(value),
            Self::Newtype(value) => s.serialize_newtype_struct("Password", value),
            Self::NewtypeVariant(name, value) => s.serialize_newtype_variant("E", 0, name, value),
            Self::Elements(form, elements) => serialize_list(*form, elements, s),
            Self::TupleVariant(name, fields) => {
                let mut tuple = s.serialize_tuple_variant("E", 0, name, fields.len())?;
                fields.iter().try_for_each(|field| tuple.serialize_field(field))?;
                tuple.end()
            }
            Self::Map(entries) => {
                let mut map = s.serialize_map(None)?;
                entries.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
            Self::Struct(fields) => {
                let mut map = s.serialize_struct("Password", fields.len())?;
                fields.iter().try_for_each(|(name, value)| map.serialize_field(name, value))?;
                map.end()
            }
            Self::StructVariant(name, fields) => {
                let mut map = s.serialize_struct_variant("E", 0, name, fields.len())?;
                fields.iter().try_for_each(|(name, value)| map.serialize_field(name, value))?;
                map.end()
            }
            Self::RawJson(json) => serialize_marked(s, RAW_VALUE, &json.text()),
            Self::ExactNumber(digits) => serialize_marked(s, NUMBER, digits),
            Self::Secret(form, value) => serialize_secret(*form, value, s),
        }
    }
}

const RAW_VALUE: &str = "$serde_json::private::RawValue";
const NUMBER: &str = "$serde_json::private::Number";

fn serialize_marked<S: Serializer>(
    s: S,
    name: &'static str,
    text: &str,
) -> Result<S::Ok, S::Error> {
    let mut marked = s.serialize_struct(name, 1)?;
    marked.serialize_field(name, text)?;
    marked.end()
}

fn serialize_list<S: Serializer>(
    form: ListForm,
    elements: &[Form],
    s: S,
) -> Result<S::Ok, S::Error> {
    match form {
        ListForm::Seq => {
            let mut list = s.serialize_seq(None)?;
            elements.iter().try_for_each(|element| list.serialize_element(element))?;
            list.end()
        }
        ListForm::Tuple => {
            let mut list = s.serialize_tuple(elements.len())?;
            elements.iter().try_for_each(|element| list.serialize_element(element))?;
            list.end()
        }
        ListForm::TupleStruct => {
            let mut list = s.serialize_tuple_struct("Password", elements.len())?;
            elements.iter().try_for_each(|element| list.serialize_field(element))?;
            list.end()
        }
    }
}

fn serialize_secret<S: Serializer>(
    form: SecretForm,
    value: &Form,
    s: S,
) -> Result<S::Ok, S::Error> {
    let secret = SecretBox::new(Box::new(Exposed(value.clone())));
    match form {
        SecretForm::Itself => s.collect_seq([secret]),
        SecretForm::InSome => s.serialize_some(&secret),
        SecretForm::InNewtype => s.serialize_newtype_struct("N", &secret),
        SecretForm::InVariant => s.serialize_newtype_variant("E", 0, "V", &secret),
    }
}

impl Form {
    /// Puts the marker into all texts that `mask` or a type hides.
    fn mark_hidden(&mut self, mask: &Mask, is_hidden: bool) {
        match self {
            Self::Text(text) | Self::Display(text) if is_hidden => text.push_str(MARKER),
            Self::Some(value) | Self::Newtype(value) => value.mark_hidden(mask, is_hidden),
            Self::NewtypeVariant(name, value) => {
                value.mark_hidden(mask, is_hidden || mask.matches(name));
            }
            Self::Elements(_, elements) => {
                elements.iter_mut().for_each(|element| element.mark_hidden(mask, is_hidden));
            }
            Self::TupleVariant(name, fields) => {
                let is_hidden = is_hidden || mask.matches(name);
                fields.iter_mut().for_each(|field| field.mark_hidden(mask, is_hidden));
            }
            Self::Map(entries) => {
                for (key, value) in entries {
                    let hides = key.scalar().is_some_and(|text| mask.matches(text));
                    key.mark_hidden(mask, is_hidden);
                    value.mark_hidden(mask, is_hidden || hides);
                }
            }
            Self::Struct(fields) | Self::StructVariant(_, fields) => {
                for (name, value) in fields {
                    value.mark_hidden(mask, is_hidden || mask.matches(name));
                }
            }
            Self::RawJson(json) => json.mark_hidden(mask, is_hidden),
            Self::Secret(_, value) => value.mark_hidden(mask, true),
            _ => {}
        }
    }

    fn is_null(&self) -> bool {
        match self {
            Self::Null(_) => true,
            Self::Some(value) | Self::Newtype(value) => value.is_null(),
            _ => false,
        }
    }

    /// The text of a key that is a name.
    fn scalar(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Display(text) => Some(text),
            Self::UnitVariant(name) => Some(name),
            Self::Newtype(value) => value.scalar(),
            _ => None,
        }
    }
}

impl JsonForm {
    fn text(&self) -> String {
        let quoted = |text: &str| serde_json::to_string(text).expect("a text");
        match self {
            Self::Text(text) => quoted(text),
            Self::List(elements) => {
                let elements: Vec<_> = elements.iter().map(Self::text).collect();
                format!("[{}]", elements.join(" , "))
            }
            Self::Map(entries) => {
                let entry = |(key, value): &(String, Self)| quoted(key) + ":" + &value.text();
                let entries: Vec<_> = entries.iter().map(entry).collect();
                format!("{{{}}}", entries.join(","))
            }
        }
    }

    fn mark_hidden(&mut self, mask: &Mask, is_hidden: bool) {
        match self {
            Self::Text(text) if is_hidden => text.push_str(MARKER),
            Self::Text(_) => {}
            Self::List(elements) => {
                elements.iter_mut().for_each(|element| element.mark_hidden(mask, is_hidden));
            }
            Self::Map(entries) => {
                for (key, value) in entries {
                    value.mark_hidden(mask, is_hidden || mask.matches(key));
                }
            }
        }
    }
}

fn any_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b",
        "user",
        "Pair",
        "token",
        "Password",
        "apiKey",
        "API-KEY",
        "\"x\"-token",
        "iban",
        "customer IBAN",
    ])
}

fn any_json() -> impl Strategy<Value = JsonForm> {
    "[a-z\"\\\\]{0,4}".prop_map(JsonForm::Text).prop_recursive(3, 12, 4, |inner| {
        let key = any_name().prop_map(str::to_owned);
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(JsonForm::List),
            btree_map(key, inner, 0..4).prop_map(|map| JsonForm::Map(map.into_iter().collect())),
        ]
    })
}

fn any_leaf() -> impl Strategy<Value = Form> {
    let null = prop::sample::select(vec![NullForm::Unit, NullForm::None, NullForm::UnitStruct]);
    let float = prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::NEG_INFINITY)];
    let digits = prop::sample::select(vec!["1.50", "-0", "1e400", "7", "", "1]", "token"]);
    prop_oneof![
        null.prop_map(Form::Null),
        Just(Form::Fails),
        any::<bool>().prop_map(Form::Bool),
        any::<i64>().prop_map(Form::Signed),
        any::<u64>().prop_map(Form::Unsigned),
        any::<i128>().prop_map(Form::Wide),
        float.prop_map(Form::Float),
        "[a-z\"\\\\\n]{0,5}".prop_map(Form::Text),
        any_name().prop_map(|name| Form::Text(name.to_owned())),
        any::<char>().prop_map(Form::Char),
        vec(any::<u8>(), 0..4).prop_map(Form::Bytes),
        any_name().prop_map(|name| Form::Display(name.to_owned())),
        any_name().prop_map(Form::UnitVariant),
        any_json().prop_map(|json| Form::RawJson(Box::new(json))),
        digits.prop_map(Form::ExactNumber),
    ]
}

fn any_form() -> impl Strategy<Value = Form> {
    any_leaf().prop_recursive(4, 32, 5, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let list =
            prop::sample::select(vec![ListForm::Seq, ListForm::Tuple, ListForm::TupleStruct]);
        let fields =
            btree_map(any_name(), inner.clone(), 0..4).prop_map(|map| map.into_iter().collect());
        let fields = fields.boxed() as BoxedStrategy<Vec<_>>;
        let secret = prop::sample::select(vec![
            SecretForm::Itself,
            SecretForm::InSome,
            SecretForm::InNewtype,
            SecretForm::InVariant,
        ]);
        prop_oneof![
            boxed.clone().prop_map(Form::Some),
            boxed.clone().prop_map(Form::Newtype),
            (any_name(), boxed.clone()).prop_map(|(name, value)| Form::NewtypeVariant(name, value)),
            (list, vec(inner.clone(), 0..4))
                .prop_map(|(form, elements)| Form::Elements(form, elements)),
            (any_name(), vec(inner.clone(), 0..4))
                .prop_map(|(name, fields)| Form::TupleVariant(name, fields)),
            vec((inner.clone(), inner), 0..4).prop_map(map_with_unique_keys),
            fields.clone().prop_map(Form::Struct),
            (any_name(), fields).prop_map(|(name, fields)| Form::StructVariant(name, fields)),
            (secret, boxed).prop_map(|(form, value)| Form::Secret(form, value)),
        ]
    })
}

/// A tree keeps only the last value of a repeated key, so that it would differ from the capture.
fn map_with_unique_keys(mut entries: Vec<(Form, Form)>) -> Form {
    let mut known = HashSet::new();
    entries.retain(|(key, _)| {
        // Entries without a key come last in a tree.
        if format!("{key:?}").contains("Fails") {
            return false;
        }
        let map = Form::Map(vec![(key.clone(), Form::Bool(true))]);
        known.insert(captured(&unlimited(mask()), &map))
    });
    Form::Map(entries)
}

fn mask() -> Mask {
    Mask::default().name("iban").name("pair")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn trees_and_captures_hide_the_same_parts(form in any_form()) {
        let mut form = form;
        form.mark_hidden(&mask(), false);
        let rules = unlimited(mask());
        let (mut captured, mut cuts) = (String::new(), Vec::new());
        ValueWriter::new(&mut captured, &mut cuts, "v", &rules).serialize(&form);
        prop_assert!(!captured.contains(MARKER), "{}", captured);
        let tree = Tree::of(&form, &rules.mask);
        prop_assert!(!format!("{tree:?}").contains(MARKER), "{:?}", tree);
        let mut truncations = Vec::new();
        let written = tree.to_json(&rules, "v", &mut truncations);
        prop_assert_eq!(written.as_str(), captured);
        prop_assert_eq!(truncations, cuts);
        prop_assert_eq!(&tree, &Tree::of(&form, &rules.mask));
    }
}
