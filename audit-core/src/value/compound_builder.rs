//! [`CompoundBuilder`]: builds a list or map while its parts arrive.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Serialize;
use serde::ser::{self, Error as _};

use crate::capture::{
    CaptureError, Depth, Policy, ScalarOutput, VariantForm, bad_key_text, catch_part,
    limited_identifier, scalar_text,
};
use crate::value::equality::by_key;
use crate::value::serialize;
use crate::value::tree::{MapEntry, Tree};
use crate::value::tree_serializer::{
    MemoryBudget, TreeSerializer, exact_number, hidden_tree_of, part_of,
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
    /// The level of the list or map.
    level: usize,
    /// The depth of the parts.
    depth: Depth,
    is_ended: bool,
    kind: BuilderKind,
    elements: Vec<Tree>,
    entries: Vec<MapEntry>,
    /// Why keys could not be recorded, and the values under them.
    entries_without_key: Vec<(String, Tree)>,
    key: Option<PendingKey>,
}

/// A key that has no value yet.
struct PendingKey {
    /// The text of the key, or why it could not be recorded.
    text: Result<String, String>,
    hides_value: bool,
}

impl<'b, 'r> CompoundBuilder<'b, 'r> {
    #[inline]
    pub(super) fn new(
        serializer: TreeSerializer<'b, 'r>,
        level: usize,
        kind: BuilderKind,
        len: usize,
    ) -> Self {
        let TreeSerializer { budget, policy, depth } = serializer;
        let (mut elements, mut entries) = (Vec::new(), Vec::new());
        match kind {
            BuilderKind::List | BuilderKind::Tuple(_) | BuilderKind::HiddenTuple(_) => {
                elements.reserve(len.min(MAX_RESERVED));
            }
            BuilderKind::Map | BuilderKind::Struct(_) => entries.reserve(len.min(MAX_RESERVED)),
            _ => {}
        }
        Self {
            budget,
            policy,
            level,
            depth,
            is_ended: false,
            kind,
            elements,
            entries,
            entries_without_key: Vec::new(),
            key: None,
        }
    }

    /// The serializer for the next part.
    #[inline]
    fn serializer(&mut self) -> TreeSerializer<'_, 'r> {
        TreeSerializer { budget: self.budget, policy: self.policy, depth: self.depth }
    }

    #[inline]
    fn element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), CaptureError> {
        if self.kind != BuilderKind::TooDeep {
            let tree = part_of(self.serializer(), value)?;
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
            let tree = self.entry_value(is_hidden, value)?;
            self.entries.push((key, tree));
        }
        Ok(())
    }

    #[inline]
    fn entry_value<T: ?Sized + Serialize>(
        &mut self,
        is_hidden: bool,
        value: &T,
    ) -> Result<Tree, CaptureError> {
        self.budget.spend(size_of::<MapEntry>())?;
        match is_hidden {
            true => Ok(hidden_tree_of(self.serializer(), value)),
            false => part_of(self.serializer(), value),
        }
    }

    fn map_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), CaptureError> {
        self.key = None;
        if self.kind == BuilderKind::TooDeep {
            self.key = Some(PendingKey { text: Ok(String::new()), hides_value: false });
            return Ok(());
        }
        let text = match self.budget.catches_parts() {
            true => catch_part(|| self.key_text(key)),
            false => self.key_text(key),
        };
        let text = match text {
            Err(error) if self.budget.is_exceeded() => return Err(error),
            text => text.map_err(|error| error.into_text().into_owned()),
        };
        let hides_value = match &text {
            Ok(text) => self.policy.hides_entry(text),
            Err(why) => self.policy.hides_entry(&bad_key_text(why, 1)),
        };
        let text = text.map(|text| limited_identifier(text).into_owned());
        self.key = Some(PendingKey { text, hides_value });
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
        let Some(PendingKey { text, hides_value }) = self.key.take() else {
            return Err(CaptureError::custom("a map gave a value without a key"));
        };
        match text {
            Ok(key) => self.entry(key.into(), hides_value, value),
            Err(why) => {
                let tree = self.entry_value(hides_value, value)?;
                self.entries_without_key.push((why, tree));
                Ok(())
            }
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

    fn end(mut self) -> Result<Tree, CaptureError> {
        self.is_ended = true;
        Ok(self.take_tree())
    }

    fn take_tree(&mut self) -> Tree {
        let mut elements = std::mem::take(&mut self.elements);
        let mut entries = std::mem::take(&mut self.entries);
        entries.extend(numbered(std::mem::take(&mut self.entries_without_key)));
        let variant = |name, form, data| Tree::Variant(name, form, Box::new(data));
        match self.kind {
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
            BuilderKind::TooDeep => Tree::Text(self.policy.too_deep_mark().into()),
        }
    }
}

/// Keeps what has been read, after an error or a panic of user code between two parts.
impl Drop for CompoundBuilder<'_, '_> {
    fn drop(&mut self) {
        let is_readable = !matches!(
            self.kind,
            BuilderKind::RawJson
                | BuilderKind::ExactNumber
                | BuilderKind::TooDeep
                | BuilderKind::HiddenTuple(_)
        );
        if !self.is_ended && is_readable {
            let tree = self.take_tree();
            self.budget.unfinished = Some((self.level, tree));
        }
    }
}

/// Gives a key of its own to each entry without one. The order in which they arrived may be random.
fn numbered(mut entries: Vec<(String, Tree)>) -> impl Iterator<Item = MapEntry> {
    entries.sort_by(|(a, tree), (b, other)| a.cmp(b).then_with(|| tree.order(other)));
    let numbered =
        |(n, (why, tree)): (usize, (String, Tree))| (bad_key_text(&why, n + 1).into(), tree);
    entries.into_iter().enumerate().map(numbered)
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
