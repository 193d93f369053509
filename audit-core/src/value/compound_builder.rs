//! [`CompoundBuilder`]: builds a list or map while its parts arrive.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Serialize;
use serde::ser::{self, Error as _};

use crate::capture::{self, CaptureError, Depth, Policy, ScalarOutput, VariantForm, scalar_text};
use crate::value::equality::by_key;
use crate::value::serialize;
use crate::value::tree::{MapEntry, Tree};
use crate::value::tree_serializer::{
    MemoryBudget, TreeSerializer, exact_number, hidden_tree_of, tree_of,
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BuilderKind {
    List,
    Map,
    /// An enum variant with several unnamed fields.
    Tuple(&'static str),
    /// The same, with a name that hides the fields.
    HiddenTuple(&'static str),
    /// An enum variant with named fields.
    Struct(&'static str),
    /// JSON text as `serde_json` passes it on.
    RawJson,
    /// A number as `serde_json` passes it on.
    ExactNumber,
    /// Too deep: nothing is read.
    TooDeep,
}

/// How many parts memory is reserved for. The announced length may be wrong.
const MAX_RESERVED: usize = 1024;

pub(super) struct CompoundBuilder<'b, 'r> {
    budget: &'b mut MemoryBudget,
    policy: Policy<'r>,
    /// The depth of the parts.
    depth: Depth,
    kind: BuilderKind,
    elements: Vec<Tree>,
    entries: Vec<MapEntry>,
    /// A key that has no value yet, and whether it hides its value.
    key: Option<(Cow<'static, str>, bool)>,
}

impl<'b, 'r> CompoundBuilder<'b, 'r> {
    #[inline]
    pub(super) fn new(serializer: TreeSerializer<'b, 'r>, kind: BuilderKind, len: usize) -> Self {
        let TreeSerializer { budget, policy, depth } = serializer;
        let (mut elements, mut entries) = (Vec::new(), Vec::new());
        match kind {
            BuilderKind::List | BuilderKind::Tuple(_) | BuilderKind::HiddenTuple(_) => {
                elements.reserve(len.min(MAX_RESERVED));
            }
            BuilderKind::Map | BuilderKind::Struct(_) => entries.reserve(len.min(MAX_RESERVED)),
            _ => {}
        }
        Self { budget, policy, depth, kind, elements, entries, key: None }
    }

    /// The serializer for the next part.
    #[inline]
    fn serializer(&mut self) -> TreeSerializer<'_, 'r> {
        TreeSerializer { budget: self.budget, policy: self.policy, depth: self.depth }
    }

    #[inline]
    fn element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), CaptureError> {
        if self.kind != BuilderKind::TooDeep {
            let tree = tree_of(self.serializer(), value)?;
            self.elements.push(tree);
        }
        Ok(())
    }

    #[inline]
    fn field<T: ?Sized + Serialize>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), CaptureError> {
        if matches!(self.kind, BuilderKind::RawJson | BuilderKind::ExactNumber) {
            return self.json_text(value);
        }
        let is_hidden = self.policy.hides_field(name);
        self.entry(Cow::Borrowed(name), is_hidden, value)
    }

    #[inline]
    fn entry<T: ?Sized + Serialize>(
        &mut self,
        key: Cow<'static, str>,
        is_hidden: bool,
        value: &T,
    ) -> Result<(), CaptureError> {
        if self.kind != BuilderKind::TooDeep {
            self.budget.spend(size_of::<MapEntry>())?;
            let tree = match is_hidden {
                true => hidden_tree_of(self.serializer(), value),
                false => tree_of(self.serializer(), value)?,
            };
            self.entries.push((key, tree));
        }
        Ok(())
    }

    fn map_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), CaptureError> {
        self.key = None;
        let text = match self.kind == BuilderKind::TooDeep {
            true => String::new(),
            false => self.key_text(key)?,
        };
        let hides_value = self.policy.hides_entry(&text);
        self.key = Some((capture::limited_identifier(text), hides_value));
        Ok(())
    }

    /// The text of a key. A key that has no text of its own is recorded as its JSON text.
    fn key_text<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<String, CaptureError> {
        let output = KeyText(self.budget);
        if let Some(text) = scalar_text(key, self.policy, self.depth, output)? {
            return Ok(text);
        }
        let depth = self.depth.next_hop();
        let tree = key.serialize(TreeSerializer { depth, ..self.serializer() })?;
        let text = serialize::json(&tree);
        self.budget.spend(text.len())?;
        Ok(text)
    }

    fn map_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), CaptureError> {
        match self.key.take() {
            Some((key, hides_value)) => self.entry(key, hides_value, value),
            None => Err(CaptureError::custom("a map gave a value without a key")),
        }
    }

    /// Reads the only field of a struct that contains JSON text.
    fn json_text<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), CaptureError> {
        if !self.elements.is_empty() {
            return Err(CaptureError::custom("more than one text for one piece of JSON"));
        }
        let depth = self.depth.next_hop();
        let output = OwnedText(self.budget);
        let Some(text) = scalar_text(value, self.policy, depth, output)? else {
            return Err(CaptureError::custom("not a text"));
        };
        let tree = match self.kind {
            BuilderKind::ExactNumber => exact_number(text),
            _ => TreeSerializer { depth, ..self.serializer() }.raw_json(text)?,
        };
        self.elements.push(tree);
        Ok(())
    }

    fn end(self) -> Result<Tree, CaptureError> {
        let Self { policy, kind, mut elements, entries, .. } = self;
        let variant = |name, form, data| Tree::Variant(name, form, Box::new(data));
        Ok(match kind {
            BuilderKind::List => Tree::List(elements),
            BuilderKind::Map => Tree::Map(unique(entries)),
            BuilderKind::Tuple(name) => variant(name, VariantForm::Tuple, Tree::List(elements)),
            BuilderKind::HiddenTuple(name) => {
                variant(name, VariantForm::Newtype, Tree::List(elements).into_secret())
            }
            BuilderKind::Struct(name) => {
                variant(name, VariantForm::Struct, Tree::Map(unique(entries)))
            }
            BuilderKind::RawJson | BuilderKind::ExactNumber => elements.pop().unwrap_or(Tree::Null),
            BuilderKind::TooDeep => Tree::Text(policy.too_deep_mark().into()),
        })
    }
}

/// Takes a text as it is.
struct OwnedText<'b>(&'b mut MemoryBudget);

impl ScalarOutput for OwnedText<'_> {
    type Ok = String;

    fn text(self, text: &str) -> Result<String, CaptureError> {
        self.0.spend(text.len())?;
        Ok(text.to_owned())
    }

    fn formatted(self, text: fmt::Arguments<'_>) -> Result<String, CaptureError> {
        self.0.format(text)
    }
}

/// Takes the text of a map key.
struct KeyText<'b>(&'b mut MemoryBudget);

impl ScalarOutput for KeyText<'_> {
    type Ok = String;

    fn text(self, text: &str) -> Result<String, CaptureError> {
        OwnedText(self.0).text(text)
    }

    fn formatted(self, text: fmt::Arguments<'_>) -> Result<String, CaptureError> {
        let formatted = self.0.format(text);
        formatted.map_err(|_| CaptureError::custom("formatting a key of a map failed"))
    }
}

/// Keeps the last of several values under one key, as most JSON readers do.
pub(super) fn unique(mut entries: Vec<MapEntry>) -> Vec<MapEntry> {
    const FEW: usize = 12;
    let repeats = if entries.is_sorted_by(|(a, _), (b, _)| a < b) {
        false
    } else if entries.len() <= FEW {
        (1..entries.len()).any(|at| entries[..at].iter().any(|(key, _)| *key == entries[at].0))
    } else {
        by_key(&entries).windows(2).any(|pair| pair[0].0 == pair[1].0)
    };
    if !repeats {
        return entries;
    }
    let mut places: HashMap<_, usize> = HashMap::with_capacity(entries.len());
    let mut kept: Vec<MapEntry> = Vec::with_capacity(entries.len());
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

macro_rules! impl_by_position {
    ($($trait:ident, $method:ident;)*) => {$(
        impl ser::$trait for CompoundBuilder<'_, '_> {
            type Ok = Tree;
            type Error = CaptureError;

            #[inline]
            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), CaptureError> {
                self.element(value)
            }

            fn end(self) -> Result<Tree, CaptureError> {
                self.end()
            }
        }
    )*};
}

macro_rules! impl_by_name {
    ($($trait:ident),*) => {$(
        impl ser::$trait for CompoundBuilder<'_, '_> {
            type Ok = Tree;
            type Error = CaptureError;

            #[inline]
            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), CaptureError> {
                self.field(name, value)
            }

            fn end(self) -> Result<Tree, CaptureError> {
                self.end()
            }
        }
    )*};
}

impl_by_position! {
    SerializeSeq, serialize_element;
    SerializeTuple, serialize_element;
    SerializeTupleStruct, serialize_field;
    SerializeTupleVariant, serialize_field;
}
impl_by_name!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for CompoundBuilder<'_, '_> {
    type Ok = Tree;
    type Error = CaptureError;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), CaptureError> {
        self.map_key(key)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), CaptureError> {
        self.map_value(value)
    }

    fn end(self) -> Result<Tree, CaptureError> {
        self.end()
    }
}
