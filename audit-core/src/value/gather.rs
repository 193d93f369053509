//! [`Gather`]: a list or map while its parts come in.

use std::borrow::Cow;
use std::collections::HashMap;
use std::mem;

use audit_record::private::json::{self, JsonError, JsonText, NUMBER};
use serde::Serialize;
use serde::ser::{self, Error as _};

use crate::capture::{REDACTED, Stop, is_secret_type};
use crate::value::build::{Ser, State, secret, taken, too_deep};
use crate::value::tree::{Entry, Form, Tree};
use crate::value::write;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    List,
    Map,
    /// The variant of an enum with unnamed data.
    Tuple(&'static str),
    /// The same, under a name that is hidden.
    Hidden(&'static str),
    /// The variant of an enum with named data.
    Struct(&'static str),
    /// JSON text in the form in which `serde_json` hands it over.
    RawValue,
    /// A number in the form in which `serde_json` hands it over.
    Number,
    /// Too deep: nothing is taken.
    TooDeep,
}

/// The most places that are made ready before anything has come.
const READY: usize = 1024;

pub(super) struct Gather<'s, 'm> {
    state: &'s mut State<'m>,
    /// The level of what is in it.
    level: usize,
    hops: usize,
    hiding: bool,
    kind: Kind,
    elements: Vec<Tree>,
    entries: Vec<Entry>,
    /// A key that has no value yet, and whether that is hidden.
    key: Option<(Cow<'static, str>, bool)>,
}

impl<'s, 'm> Gather<'s, 'm> {
    #[inline]
    pub(super) fn new(ser: Ser<'s, 'm>, kind: Kind, len: usize) -> Self {
        let Ser { state, level, hops, hiding } = ser;
        let (mut elements, mut entries) = (Vec::new(), Vec::new());
        match kind {
            Kind::List | Kind::Tuple(_) | Kind::Hidden(_) => elements.reserve(len.min(READY)),
            Kind::Map | Kind::Struct(_) => entries.reserve(len.min(READY)),
            _ => {}
        }
        Self { state, level, hops, hiding, kind, elements, entries, key: None }
    }

    #[inline]
    fn ser(&mut self) -> Ser<'_, 'm> {
        let Self { level, hops, hiding, .. } = *self;
        Ser { state: self.state, level, hops, hiding }
    }

    #[inline]
    fn element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Stop> {
        if self.kind != Kind::TooDeep {
            let tree = taken(self.ser(), value)?;
            self.elements.push(tree);
        }
        Ok(())
    }

    #[inline]
    fn field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), Stop> {
        if matches!(self.kind, Kind::RawValue | Kind::Number) {
            return self.json_text(value);
        }
        let hidden = self.state.mask.matches_static(name);
        self.entry(Cow::Borrowed(name), hidden, value)
    }

    #[inline]
    fn entry<T: ?Sized + Serialize>(
        &mut self,
        key: Cow<'static, str>,
        hidden: bool,
        value: &T,
    ) -> Result<(), Stop> {
        if self.kind != Kind::TooDeep {
            self.state.spend(size_of::<Entry>())?;
            let tree = match hidden && !self.hiding {
                true => secret(self.ser(), value),
                false => taken(self.ser(), value)?,
            };
            self.entries.push((key, tree));
        }
        Ok(())
    }

    fn key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Stop> {
        self.key = None;
        let text = match self.kind == Kind::TooDeep {
            true => String::new(),
            false => self.key_text(key)?,
        };
        self.state.spend(text.len())?;
        let hidden = self.state.mask.matches(&text);
        self.key = Some((text.into(), hidden));
        Ok(())
    }

    /// The text of a key that has one; of any other, its JSON text.
    fn key_text<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<String, Stop> {
        if !self.hiding && is_secret_type::<T>() {
            return Ok(REDACTED.to_owned());
        }
        let (tree, scalar) = self.aside(key)?;
        Ok(match tree {
            Tree::Text(text) if scalar => text.into(),
            tree => write::json(&tree),
        })
    }

    /// What stands for itself, and whether it does.
    fn aside<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(Tree, bool), Stop> {
        let before = mem::replace(&mut self.state.scalar, true);
        let hops = self.hops + 1;
        let tree = value.serialize(Ser { hops, ..self.ser() });
        let scalar = mem::replace(&mut self.state.scalar, before);
        Ok((tree?, scalar))
    }

    fn keyed<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Stop> {
        match self.key.take() {
            Some((key, hidden)) => self.entry(key, hidden, value),
            None => Err(Stop::custom("a map gave a value without a key")),
        }
    }

    /// The one field of what is JSON text already.
    fn json_text<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Stop> {
        if !self.elements.is_empty() {
            return Err(Stop::custom("more than one text for one piece of JSON"));
        }
        let (tree, true) = self.aside(value)? else {
            return Err(Stop::custom("not a text"));
        };
        let text = match tree {
            Tree::Text(text) => text.into(),
            tree => write::json(&tree),
        };
        let tree = if self.kind == Kind::Number { number(text) } else { self.json(text)? };
        self.elements.push(tree);
        Ok(())
    }

    /// Reads JSON text, since names in it may have to be hidden.
    fn json(&mut self, text: String) -> Result<Tree, Stop> {
        match json::check(&text) {
            Ok(()) => JsonText { text: &text, number: Some(NUMBER) }.serialize(self.ser()),
            // As a text it would show what is to be hidden.
            Err(JsonError::TooDeep) => Ok(too_deep()),
            Err(JsonError::Syntax) => Ok(Tree::Text(text.into())),
        }
    }

    fn end(self) -> Result<Tree, Stop> {
        let Self { kind, mut elements, entries, .. } = self;
        let variant = |name, form, data| Tree::Variant(name, form, Box::new(data));
        Ok(match kind {
            Kind::List => Tree::List(elements),
            Kind::Map => Tree::Map(unique(entries)),
            Kind::Tuple(name) => variant(name, Form::Tuple, Tree::List(elements)),
            Kind::Hidden(name) => variant(name, Form::Newtype, Tree::List(elements).into_secret()),
            Kind::Struct(name) => variant(name, Form::Struct, Tree::Map(unique(entries))),
            Kind::RawValue | Kind::Number => elements.pop().unwrap_or(Tree::Null),
            Kind::TooDeep => too_deep(),
        })
    }
}

fn number(text: String) -> Tree {
    if json::is_number(&text) { Tree::number(&text) } else { Tree::Text(text.into()) }
}

/// Of several values under one key the last one counts, as it does for whoever reads the JSON.
pub(super) fn unique(mut entries: Vec<Entry>) -> Vec<Entry> {
    const FEW: usize = 12;
    let repeats = if entries.is_sorted_by(|(a, _), (b, _)| a < b) {
        false
    } else if entries.len() <= FEW {
        (1..entries.len()).any(|at| entries[..at].iter().any(|(key, _)| *key == entries[at].0))
    } else {
        crate::value::same::by_key(&entries).windows(2).any(|pair| pair[0].0 == pair[1].0)
    };
    if !repeats {
        return entries;
    }
    let mut places: HashMap<_, usize> = HashMap::with_capacity(entries.len());
    let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
    for (key, tree) in entries.drain(..) {
        match places.get(&key) {
            Some(&place) => kept[place].1 = tree,
            None => {
                places.insert(key.clone(), kept.len());
                kept.push((key, tree));
            }
        }
    }
    kept
}

macro_rules! by_position {
    ($($trait:ident, $method:ident;)*) => {$(
        impl ser::$trait for Gather<'_, '_> {
            type Ok = Tree;
            type Error = Stop;

            #[inline]
            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Stop> {
                self.element(value)
            }

            fn end(self) -> Result<Tree, Stop> {
                self.end()
            }
        }
    )*};
}

macro_rules! by_name {
    ($($trait:ident),*) => {$(
        impl ser::$trait for Gather<'_, '_> {
            type Ok = Tree;
            type Error = Stop;

            #[inline]
            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Stop> {
                self.field(name, value)
            }

            fn end(self) -> Result<Tree, Stop> {
                self.end()
            }
        }
    )*};
}

by_position! {
    SerializeSeq, serialize_element;
    SerializeTuple, serialize_element;
    SerializeTupleStruct, serialize_field;
    SerializeTupleVariant, serialize_field;
}
by_name!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Gather<'_, '_> {
    type Ok = Tree;
    type Error = Stop;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Stop> {
        self.key(key)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Stop> {
        self.keyed(value)
    }

    fn end(self) -> Result<Tree, Stop> {
        self.end()
    }
}
