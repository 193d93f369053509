//! What is known of a type and its fields when the program is compiled.

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
