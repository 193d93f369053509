//! What is said of a type when the program is compiled ([`TypeInfo`]), and of one save when it is made
//! ([`SaveInfo`]).

use std::fmt::Display;
use std::sync::Arc;

use serde::Serialize;

use crate::capture::{self, Limits, Mask, Rules};
use crate::recorder;
use crate::value::Tree;
use crate::{Json, Truncation};

/// What the attribute says of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeInfo {
    module: &'static str,
    rust_name: &'static str,
    name: &'static str,
    was: &'static [&'static str],
    key: &'static [&'static str],
    parent: Option<&'static str>,
    parent_key: &'static [&'static str],
    label: Option<&'static str>,
    fields: &'static [FieldInfo],
}

/// What the attribute says of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    name: &'static str,
    /// What the field is called in the program, if that is something else.
    rust_name: Option<&'static str>,
    was: &'static [&'static str],
    redacted: bool,
    set: bool,
}

/// Made by the attribute only.
#[doc(hidden)]
impl TypeInfo {
    #[must_use]
    pub const fn new(module: &'static str, rust_name: &'static str) -> Self {
        Self {
            module,
            rust_name,
            name: rust_name,
            was: &[],
            key: &[],
            parent: None,
            parent_key: &[],
            label: None,
            fields: &[],
        }
    }

    #[must_use]
    pub const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    #[must_use]
    pub const fn formerly(self, was: &'static [&'static str]) -> Self {
        Self { was, ..self }
    }

    #[must_use]
    pub const fn keyed(self, key: &'static [&'static str]) -> Self {
        Self { key, ..self }
    }

    #[must_use]
    pub const fn child_of(self, parent: &'static str, key: &'static [&'static str]) -> Self {
        Self { parent: Some(parent), parent_key: key, ..self }
    }

    /// How many parts an object's key has, those of its parents included.
    #[must_use]
    pub const fn key_parts(&self) -> usize {
        self.parent_key.len() + self.key.len()
    }

    #[must_use]
    pub const fn labelled(self, label: &'static str) -> Self {
        Self { label: Some(label), ..self }
    }

    #[must_use]
    pub const fn with_fields(self, fields: &'static [FieldInfo]) -> Self {
        Self { fields, ..self }
    }
}

impl TypeInfo {
    /// The name under which objects of the type are recorded.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Names under which they were recorded before.
    #[must_use]
    pub const fn was(&self) -> &'static [&'static str] {
        self.was
    }

    /// The name of today, then those of before.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        std::iter::once(self.name).chain(self.was.iter().copied())
    }

    /// The fields that make up the key.
    #[must_use]
    pub const fn key(&self) -> &'static [&'static str] {
        self.key
    }

    /// The type to whose objects these belong, as the attribute spells it.
    #[must_use]
    pub const fn parent(&self) -> Option<&'static str> {
        self.parent
    }

    /// The field with the name for people.
    #[must_use]
    pub const fn label(&self) -> Option<&'static str> {
        self.label
    }

    /// The audited fields, in the order of the struct.
    #[must_use]
    pub const fn fields(&self) -> &'static [FieldInfo] {
        self.fields
    }

    /// The module in which the type is defined.
    #[must_use]
    pub const fn module(&self) -> &'static str {
        self.module
    }

    /// The type's name in the program.
    #[must_use]
    pub const fn rust_name(&self) -> &'static str {
        self.rust_name
    }
}

/// Made by the attribute only.
#[doc(hidden)]
impl FieldInfo {
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, rust_name: None, was: &[], redacted: false, set: false }
    }

    #[must_use]
    pub const fn formerly(self, was: &'static [&'static str]) -> Self {
        Self { was, ..self }
    }

    #[must_use]
    pub const fn called(self, rust_name: &'static str) -> Self {
        Self { rust_name: Some(rust_name), ..self }
    }

    #[must_use]
    pub const fn redacted(self) -> Self {
        Self { redacted: true, ..self }
    }

    #[must_use]
    pub const fn set(self) -> Self {
        Self { set: true, ..self }
    }
}

impl FieldInfo {
    /// The name under which the field is recorded.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The field's name in the program.
    #[must_use]
    pub const fn rust_name(&self) -> &'static str {
        match self.rust_name {
            Some(name) => name,
            None => self.name,
        }
    }

    /// Names under which it was recorded before.
    #[must_use]
    pub const fn was(&self) -> &'static [&'static str] {
        self.was
    }

    /// Whether its values are never recorded, only that it changed.
    #[must_use]
    pub const fn is_redacted(&self) -> bool {
        self.redacted
    }

    /// Whether it is a list whose order means nothing.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.set
    }
}

/// What is said of the next save or delete of one object: who, why, and any further key.
///
/// It counts for that one attempt, also when it fails or has nothing to tell, and is gone then. It stands beside the
/// changes in the record (`actor`, `notes`, `reason`, `context`), so its keys can't clash with the names of
/// fields.
#[derive(Debug, Default)]
pub struct SaveInfo {
    pub(super) operator: Option<Arc<str>>,
    pub(super) notes: Vec<String>,
    pub(super) reason: Option<String>,
    pub(super) fields: Vec<Said>,
}

/// A further key, its value under the masks in place when it was said, and what was cut of it.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) key: String,
    pub(super) value: Json,
    pub(super) cuts: Vec<Truncation>,
}

/// Bytes of a name, and of a remark.
const NAME: usize = 1_024;
const TEXT: usize = 16 * 1_024;

impl SaveInfo {
    /// Who does it: the record's `actor`, whatever the context says.
    pub fn operator(&mut self, operator: impl Display) -> &mut Self {
        self.operator = Some(limited(NAME, &operator).into());
        self
    }

    /// A remark; the record's `notes`. May be said more than once.
    pub fn notes(&mut self, notes: impl Display) -> &mut Self {
        self.notes.push(limited(TEXT, &notes));
        self
    }

    /// Why it is done; the record's `reason`.
    pub fn reason(&mut self, reason: impl Display) -> &mut Self {
        self.reason = Some(limited(TEXT, &reason));
        self
    }

    /// A further key: `extra` in the record's `context`. Its value is masked by its name as everywhere.
    pub fn field(&mut self, key: impl Into<String>, value: impl Serialize) -> &mut Self {
        let rules =
            recorder::current().map_or_else(Rules::default, |recorder| recorder.rules.clone());
        let (key, mut json, mut cuts) = (key.into(), String::new(), Vec::new());
        if rules.mask.matches(&key) {
            capture::write_redacted(&mut json);
        } else {
            let path = format!("context.extra.{key}");
            capture::write_serialize(&mut json, &mut cuts, &path, &rules, &value);
        }
        self.fields.retain(|said| said.key != key);
        self.fields.push(Said { key, value: Json::trusted(json), cuts });
        self
    }

    /// Whether nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operator.is_none()
            && self.notes.is_empty()
            && self.reason.is_none()
            && self.fields.is_empty()
    }
}

impl Said {
    /// The value as a recorder with this mask may see it: it may hide more than the one before.
    pub(super) fn masked(&self, mask: &Mask) -> Json {
        let text = self.value.as_str();
        // Only what is in a map has a name.
        if !text.contains('{') {
            return self.value.clone();
        }
        let limits =
            Limits::default().bytes(usize::MAX / 4).length(usize::MAX).depth(Limits::MAX_DEPTH);
        let rules = Rules { limits, mask: Mask::none() };
        Tree::from_json(text).masked(mask).to_json(&rules, "", &mut Vec::new())
    }
}

fn limited(bytes: usize, text: &dyn Display) -> String {
    capture::bounded(bytes, format_args!("{text}")).text
}
