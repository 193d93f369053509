//! [`AuditedFields`], the trait that `#[audited_fields]` implements, and functions on any such
//! type.

use std::any::type_name;
use std::borrow::Cow;
use std::ptr;

use audit_record::ChangeKind;

use crate::capture::Rules;
use crate::fields::{ChangedFields, FieldValues, FieldVisitor, TypeInfo};

/// A type with audited fields. Only the attribute `#[audited_fields(…)]` implements it, and `Box`
/// for such a type.
///
/// ```
/// use audited::fields::AuditedFields;
/// use audited::audited_fields;
///
/// #[audited_fields(name, age; key = id)]
/// struct Pilot { id: u64, name: String, age: u8, seat: u8 }
///
/// let fields: Vec<&str> = Pilot::TYPE.fields().iter().map(|field| field.name()).collect();
/// assert_eq!((Pilot::TYPE.name(), fields), ("Pilot", vec!["name", "age"]));
/// let pilot = Pilot { id: 340, name: "Kara".into(), age: 25, seat: 1 };
/// assert_eq!(pilot.target_id(), "340");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no audited fields",
    label = "changes of this type are not recorded",
    note = "put `#[audited_fields(field, …; key = id)]` on the struct"
)]
pub trait AuditedFields {
    /// What the attribute says about the type and its fields.
    const TYPE: &'static TypeInfo;

    /// The values of the audited fields at one time, to compare a later state with.
    #[doc(hidden)]
    type Snapshot;

    /// The type as it is recorded: its name, after the names of its parents, such as `Order/Line`.
    #[must_use]
    fn type_path() -> Cow<'static, str> {
        let name = Self::TYPE.name();
        if Self::TYPE.parent().is_none() {
            return name.into();
        }
        Self::type_paths().into_iter().next().map_or(name.into(), Cow::Owned)
    }

    /// The current [`type_path`](Self::type_path), then those under former names of the type or of
    /// its parents.
    #[doc(hidden)]
    #[must_use]
    fn type_paths() -> Vec<String> {
        Self::TYPE.names().map(str::to_owned).collect()
    }

    /// The id of the object as it is recorded: its key, after the keys of its parents, such as
    /// `17/3`.
    fn target_id(&self) -> String;

    /// The display name of the object, if the attribute names a field for it (`label = …`).
    fn label(&self) -> Option<String> {
        None
    }

    /// Takes a snapshot of the audited fields.
    #[doc(hidden)]
    fn snapshot(&self) -> Self::Snapshot;

    /// Passes the fields that differ from `before` to `visitor`.
    #[doc(hidden)]
    fn compare(&self, before: &Self::Snapshot, visitor: &mut FieldVisitor<'_>);

    /// Passes every field to `visitor`: the value in `before` if it is given, else the current one.
    #[doc(hidden)]
    fn describe(&self, before: Option<&Self::Snapshot>, visitor: &mut FieldVisitor<'_>);

    /// Updates `before` to the current values. Fields that are equal are not cloned again.
    #[doc(hidden)]
    fn refresh(&self, before: &mut Self::Snapshot);

    /// Where the object is.
    #[doc(hidden)]
    fn __audited_address(&self) -> ObjectAddress {
        (ptr::from_ref(self).cast::<()>().addr(), type_name::<Self>())
    }
}

/// The address and the type name of an object in memory.
pub(crate) type ObjectAddress = (usize, &'static str);

/// A boxed object is the object itself.
impl<T: AuditedFields> AuditedFields for Box<T> {
    const TYPE: &'static TypeInfo = T::TYPE;

    type Snapshot = T::Snapshot;

    fn type_path() -> Cow<'static, str> {
        T::type_path()
    }

    fn type_paths() -> Vec<String> {
        T::type_paths()
    }

    fn target_id(&self) -> String {
        T::target_id(self)
    }

    fn label(&self) -> Option<String> {
        T::label(self)
    }

    fn snapshot(&self) -> T::Snapshot {
        T::snapshot(self)
    }

    fn compare(&self, before: &T::Snapshot, visitor: &mut FieldVisitor<'_>) {
        T::compare(self, before, visitor);
    }

    fn describe(&self, before: Option<&T::Snapshot>, visitor: &mut FieldVisitor<'_>) {
        T::describe(self, before, visitor);
    }

    fn refresh(&self, before: &mut T::Snapshot) {
        T::refresh(self, before);
    }

    fn __audited_address(&self) -> ObjectAddress {
        T::__audited_address(self)
    }
}

/// An object that becomes the target of a call that is given it as `&mut`: one with audited fields,
/// or a `Tracked` one.
#[doc(hidden)]
pub trait TargetObject {
    /// The type with audited fields.
    type Audited: AuditedFields;

    /// Whether the object records its changes itself, so that the call does not.
    const RECORDS_CHANGES: bool;

    /// The object with audited fields.
    fn audited(&self) -> &Self::Audited;
}

impl<T: AuditedFields> TargetObject for T {
    type Audited = T;

    const RECORDS_CHANGES: bool = false;

    fn audited(&self) -> &T {
        self
    }
}

/// The fields of `object` that differ from `before`.
pub(crate) fn changed_fields<T: AuditedFields>(
    object: &T,
    before: &T::Snapshot,
    rules: &Rules,
) -> ChangedFields {
    FieldVisitor::changes(T::TYPE, rules, ChangeKind::Changed, |visitor| {
        object.compare(before, visitor);
    })
}

/// All fields of an object that was created or deleted: the values in `before` if it is given, else
/// the current ones.
pub(crate) fn described_fields<T: AuditedFields>(
    object: &T,
    before: Option<&T::Snapshot>,
    kind: ChangeKind,
    rules: &Rules,
) -> ChangedFields {
    FieldVisitor::changes(T::TYPE, rules, kind, |visitor| object.describe(before, visitor))
}

/// The values of all fields in `before` if it is given, else the current ones. `None` if code of
/// the object panicked.
pub(crate) fn field_values<T: AuditedFields>(
    object: &T,
    before: Option<&T::Snapshot>,
    rules: &Rules,
) -> Option<FieldValues> {
    FieldVisitor::values(T::TYPE, rules, |visitor| object.describe(before, visitor))
}
