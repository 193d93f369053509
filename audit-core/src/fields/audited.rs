//! [`AuditedFields`]: what the attribute implements for a type.

use std::borrow::Cow;

use crate::fields::{Delta, TypeInfo};

pub trait AuditedFields {
    /// What is known of the type when the program is compiled.
    const TYPE: &'static TypeInfo;

    /// The audited fields of one object, as they were.
    #[doc(hidden)]
    type Snapshot;

    /// The type as it is recorded: its name, below the names of its parents: `Order/Line`.
    #[must_use]
    fn type_path() -> Cow<'static, str> {
        let name = Self::TYPE.name();
        if Self::TYPE.parent().is_none() {
            return name.into();
        }
        Self::type_paths().into_iter().next().map_or(name.into(), Cow::Owned)
    }

    /// [`type_path`](Self::type_path), and what it was under former names, also those of parents.
    #[doc(hidden)]
    #[must_use]
    fn type_paths() -> Vec<String> {
        Self::TYPE.names().map(str::to_owned).collect()
    }

    /// The object's id as it is recorded: its key, below the keys of its parents: `17/3`.
    fn target_id(&self) -> String;

    /// The object's name for people, if the attribute says which field that is.
    fn label(&self) -> Option<String> {
        None
    }

    #[doc(hidden)]
    fn snapshot(&self) -> Self::Snapshot;

    /// Gives `delta` the fields that differ from `before`.
    #[doc(hidden)]
    fn compare(&self, before: &Self::Snapshot, delta: &mut Delta<'_>);

    /// Gives `delta` every field: as it was if there is a `before`, else as it is.
    #[doc(hidden)]
    fn describe(&self, before: Option<&Self::Snapshot>, delta: &mut Delta<'_>);

    /// Brings `before` up to date, touching only what differs.
    #[doc(hidden)]
    fn refresh(&self, before: &mut Self::Snapshot);
}
