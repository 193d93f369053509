//! [`TypeInfo`] and [`FieldInfo`]: what the attribute says about a type and its fields.

/// What `#[audited_fields]` says about a type; from [`AuditedFields::TYPE`].
///
/// ```
/// use audited::fields::AuditedFields;
/// use audited::audited_fields;
///
/// #[audited_fields(name(was = "title"), pin(redact); key = id)]
/// struct Pilot { id: u64, name: String, pin: u16 }
///
/// let fields = Pilot::TYPE.fields();
/// assert_eq!((Pilot::TYPE.name(), Pilot::TYPE.key()), ("Pilot", &["id"][..]));
/// assert_eq!((fields[0].name(), fields[0].former_names()), ("name", &["title"][..]));
/// assert!(fields[1].is_redacted());
/// ```
///
/// [`AuditedFields::TYPE`]: crate::AuditedFields::TYPE
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeInfo {
    module: &'static str,
    rust_name: &'static str,
    name: &'static str,
    former_names: &'static [&'static str],
    key: &'static [&'static str],
    parent: Option<&'static str>,
    parent_key: &'static [&'static str],
    label: Option<&'static str>,
    fields: &'static [FieldInfo],
}

/// What `#[audited_fields]` says about a field; from [`TypeInfo::fields`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    name: &'static str,
    /// The name of the field in the program, if it is another one.
    rust_name: Option<&'static str>,
    former_names: &'static [&'static str],
    redacted: bool,
    set: bool,
}

/// Only for the attribute.
#[doc(hidden)]
impl TypeInfo {
    #[must_use]
    pub const fn new(module: &'static str, rust_name: &'static str) -> Self {
        Self {
            module,
            rust_name,
            name: rust_name,
            former_names: &[],
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
    pub const fn formerly(self, former_names: &'static [&'static str]) -> Self {
        Self { former_names, ..self }
    }

    #[must_use]
    pub const fn keyed(self, key: &'static [&'static str]) -> Self {
        Self { key, ..self }
    }

    #[must_use]
    pub const fn child_of(self, parent: &'static str, key: &'static [&'static str]) -> Self {
        Self { parent: Some(parent), parent_key: key, ..self }
    }

    /// The number of parts of an object's key, including those of its parents.
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

    /// The names under which objects of the type were recorded earlier.
    #[must_use]
    pub const fn former_names(&self) -> &'static [&'static str] {
        self.former_names
    }

    /// The current name, then the former ones.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        std::iter::once(self.name).chain(self.former_names.iter().copied())
    }

    /// The names of the fields that make up the key, as they are in the program.
    #[must_use]
    pub const fn key(&self) -> &'static [&'static str] {
        self.key
    }

    /// The type of the objects that own these objects, as the attribute spells it.
    #[must_use]
    pub const fn parent(&self) -> Option<&'static str> {
        self.parent
    }

    /// The name of the field that holds the display name.
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

    /// The name of the type in the program.
    #[must_use]
    pub const fn rust_name(&self) -> &'static str {
        self.rust_name
    }
}

/// Only for the attribute.
#[doc(hidden)]
impl FieldInfo {
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, rust_name: None, former_names: &[], redacted: false, set: false }
    }

    #[must_use]
    pub const fn formerly(self, former_names: &'static [&'static str]) -> Self {
        Self { former_names, ..self }
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

    /// The name of the field in the program.
    #[must_use]
    pub const fn rust_name(&self) -> &'static str {
        match self.rust_name {
            Some(name) => name,
            None => self.name,
        }
    }

    /// The names under which the field was recorded earlier.
    #[must_use]
    pub const fn former_names(&self) -> &'static [&'static str] {
        self.former_names
    }

    /// Whether only the fact of a change is recorded, never a value.
    #[must_use]
    pub const fn is_redacted(&self) -> bool {
        self.redacted
    }

    /// Whether the field is a list whose order has no meaning.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.set
    }
}
