//! Finds out how the names that a pattern binds are recorded, by the type of the whole value.

use std::marker::PhantomData;

use crate::call::value_probe::{ArgumentLookup, argument};

/// Looks up how the names that a pattern binds are recorded, by the type of the whole value.
#[inline]
pub fn pattern<T: ?Sized>(_: &T) -> Pattern<'_, T> {
    Pattern(AnyPattern(PhantomData))
}

/// A value of any type that is taken apart by a pattern.
pub struct AnyPattern<'v, T: ?Sized>(PhantomData<&'v T>);

falls_back! {
    /// A value that is taken apart by a pattern, if its content is not recorded.
    Pattern => AnyPattern
}

impl<T: ?Sized> AnyPattern<'_, T> {
    /// What it binds is recorded like any argument.
    #[inline]
    #[must_use]
    pub fn __audited_bindings(&self) -> RecordedBindings {
        RecordedBindings
    }
}

/// Names that are recorded like any argument.
#[derive(Clone, Copy)]
pub struct RecordedBindings;

impl RecordedBindings {
    /// Looks up how to record one of them.
    #[inline]
    #[must_use]
    pub fn __audited_argument<'v, T: ?Sized>(&self, value: &'v T) -> ArgumentLookup<'v, T> {
        argument(value)
    }
}

/// Names that are recorded by the names of their types.
#[cfg(feature = "axum")]
#[derive(Clone, Copy)]
pub struct BindingsByTypeName;

#[cfg(feature = "axum")]
impl BindingsByTypeName {
    /// Looks up how to record one of them.
    #[inline]
    #[must_use]
    pub fn __audited_argument<'v, T: ?Sized>(
        &self,
        value: &'v T,
    ) -> crate::call::probe::ValueByTypeName<'v, T> {
        crate::call::probe::ValueByTypeName { value }
    }
}
