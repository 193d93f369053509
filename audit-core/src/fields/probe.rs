//! Probes: how a snapshot of a field is taken and compared.
//!
//! The attribute's expansion wraps each field in a probe. Method lookup on the probe finds the best
//! way that the type of the field allows, as for arguments (`call/probe.rs`). The best way is a
//! clone that is compared by the type's own `==`, and its parts by theirs. The last one compares the
//! recorded form. A field
//! that cannot be recorded at all is a compile error, whose message says what to do.
//!
//! | function | field | ways, best first |
//! |---|---|---|
//! | [`field`](super::lock_probe::field) | no option | `ByLock`, `ByParts`, [`ByValue`], [`BySerialize`] |
//! | [`debug_field`] | `debug` | [`ByDebugValue`], [`ByDebug`] |
//! | [`with_field`] | `with = …` | [`ByFunction`] |
//! | [`redacted_field`] | `redact` | [`RedactedByHash`], [`RedactedBySerialize`], [`RedactedByValue`] |
//! | [`redacted_with_field`] | `redact, with = …` | [`RedactedByFunction`] |

use std::fmt::Debug;
use std::hash::Hash;
use std::ops::Deref;

use serde::Serialize;

use crate::capture::{Mask, keyed_hash};
use crate::fields::FieldVisitor;
use crate::value::Tree;

/// The value of a field at the time when the object was loaded or saved.
pub struct FieldSnapshot<F>(pub(super) PreviousValue<F>);

pub(super) enum PreviousValue<F> {
    /// A clone, to be compared by the type's own `==`.
    Value(F),
    /// A clone, and the form in which it is recorded if that is not its own: some of its parts are
    /// equal to parts that were recorded in another form.
    RecordedAs(F, Box<Tree>),
    /// The recorded form, if the type has no `==` or cannot be cloned.
    Tree(Tree),
    /// A keyed hash, if the value must not be kept in memory.
    Hash(u64),
    /// Nothing: the field is a lock that was held.
    Unknown,
}

/// Defines the probe `$outer`. A method that it does not have is looked up in `$inner`.
macro_rules! probe {
    ($(#[$meta:meta])* $outer:ident => $inner:ident $(<$result:ident>)?) => {
        $(#[$meta])*
        pub struct $outer<'v, F $(, $result)?>($inner<'v, F $(, $result)?>);

        impl<'v, F $(, $result)?> Deref for $outer<'v, F $(, $result)?> {
            type Target = $inner<'v, F $(, $result)?>;

            #[inline]
            fn deref(&self) -> &$inner<'v, F $(, $result)?> {
                &self.0
            }
        }
    };
}

/// Implements a probe that compares clones by `==`. `$tree` makes the recorded form of a value.
macro_rules! by_value {
    ($probe:ident, $($bound:path),+; |$this:ident| $value:expr; $tree:path) => {
        impl<F: Clone + PartialEq $(+ $bound)+> $probe<'_, F> {
            #[inline]
            fn value(&self) -> &F {
                let $this = self;
                $value
            }

            #[inline]
            pub fn __audited_snapshot(&self) -> FieldSnapshot<F> {
                FieldSnapshot(PreviousValue::Value(self.value().clone()))
            }

            #[inline]
            pub fn __audited_compare(
                &self,
                before: &FieldSnapshot<F>,
                visitor: &mut FieldVisitor<'_>,
                index: usize,
            ) {
                if let PreviousValue::Value(before) = &before.0
                    && before != self.value()
                {
                    self.differs(before, visitor, index);
                }
            }

            #[inline(never)]
            fn differs(&self, before: &F, visitor: &mut FieldVisitor<'_>, index: usize) {
                let after = self.value();
                let mask = visitor.mask();
                let (was, is) = ($tree(before, mask), $tree(after, mask));
                #[allow(clippy::eq_op)] // A value with a NaN is not equal to itself.
                visitor.changed(index, was, is, || after == after);
            }

            pub fn __audited_describe(
                &self,
                before: Option<&FieldSnapshot<F>>,
                visitor: &mut FieldVisitor<'_>,
                index: usize,
            ) {
                let value = match before {
                    Some(FieldSnapshot(PreviousValue::Value(before))) => before,
                    _ => self.value(),
                };
                visitor.value(index, |mask| $tree(value, mask));
            }

            #[inline]
            pub fn __audited_refresh(&self, before: &mut FieldSnapshot<F>) {
                match &mut before.0 {
                    PreviousValue::Value(before) if before == self.value() => {}
                    PreviousValue::Value(before) => before.clone_from(self.value()),
                    _ => *before = self.__audited_snapshot(),
                }
            }
        }
    };
}

/// Implements a probe that compares recorded forms.
macro_rules! by_tree {
    ([$($generics:tt)*] $probe:ty, |$this:ident, $mask:ident| $tree:expr; $masked:path) => {
        impl<$($generics)*> $probe {
            fn tree(&self, $mask: &Mask) -> Tree {
                let $this = self;
                $tree
            }

            pub fn __audited_snapshot(&self) -> FieldSnapshot<F> {
                FieldSnapshot(PreviousValue::Tree(self.tree(&default_mask())))
            }

            pub fn __audited_compare(
                &self,
                before: &FieldSnapshot<F>,
                visitor: &mut FieldVisitor<'_>,
                index: usize,
            ) {
                if let PreviousValue::Tree(before) = &before.0 {
                    let after = self.tree(&default_mask());
                    if *before != after {
                        // The snapshot was taken under the default mask. The recorder may hide
                        // more.
                        let mask = visitor.mask();
                        let (before, after) = ($masked(before.clone(), mask), $masked(after, mask));
                        visitor.changed(index, before, after, || true);
                    }
                }
            }

            pub fn __audited_describe(
                &self,
                before: Option<&FieldSnapshot<F>>,
                visitor: &mut FieldVisitor<'_>,
                index: usize,
            ) {
                match before {
                    Some(FieldSnapshot(PreviousValue::Tree(before))) => {
                        visitor.value(index, |mask| $masked(before.clone(), mask));
                    }
                    _ => visitor.value(index, |mask| self.tree(mask)),
                }
            }

            pub fn __audited_refresh(&self, before: &mut FieldSnapshot<F>) {
                *before = self.__audited_snapshot();
            }
        }
    };
}

/// Implements a probe that keeps and compares only a keyed hash.
macro_rules! by_hash {
    ([$($generics:tt)*] $probe:ty, |$this:ident| $hash:expr) => {
        impl<$($generics)*> $probe {
            fn hash(&self) -> u64 {
                let $this = self;
                $hash
            }

            pub fn __audited_snapshot(&self) -> FieldSnapshot<F> {
                FieldSnapshot(PreviousValue::Hash(self.hash()))
            }

            pub fn __audited_compare(
                &self,
                before: &FieldSnapshot<F>,
                visitor: &mut FieldVisitor<'_>,
                index: usize,
            ) {
                if !matches!(before.0, PreviousValue::Hash(before) if before == self.hash()) {
                    visitor.changed_redacted(index);
                }
            }

            pub fn __audited_describe(
                &self,
                before: Option<&FieldSnapshot<F>>,
                visitor: &mut FieldVisitor<'_>,
                index: usize,
            ) {
                let hash = match before {
                    Some(&FieldSnapshot(PreviousValue::Hash(before))) => before,
                    _ => self.hash(),
                };
                visitor.value(index, |_| Tree::Secret(hash));
            }

            pub fn __audited_refresh(&self, before: &mut FieldSnapshot<F>) {
                *before = self.__audited_snapshot();
            }
        }
    };
}

/// The mask for recorded forms that are kept and compared. The recorder's own mask is applied on
/// top of it when a change is recorded.
pub(super) fn default_mask() -> Mask {
    thread_local! {
        static DEFAULT: Mask = Mask::default();
    }
    DEFAULT.try_with(Clone::clone).unwrap_or_default()
}

// ---- fields without options ---------------------------------------------------------------------

/// A field that cannot be recorded.
pub struct Unrecordable<'v, F>(&'v F);

probe! {
    /// Compares what `Serialize` writes.
    BySerialize => Unrecordable
}

probe! {
    /// Compares by `==`, and records what `Serialize` writes.
    ByValue => BySerialize
}

impl<'v, F> ByValue<'v, F> {
    #[inline]
    pub(super) fn new(field: &'v F) -> Self {
        Self(BySerialize(Unrecordable(field)))
    }

    #[inline]
    pub(super) fn field(&self) -> &'v F {
        self.0.0.0
    }
}

by_value!(ByValue, Serialize; |this| this.0.0.0; Tree::of);
by_tree!([F: Serialize] BySerialize<'_, F>, |this, mask| Tree::of(this.0.0, mask); Tree::masked);

/// Never implemented; see `reject!`.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot be recorded",
    label = "does not implement `Serialize`",
    note = "derive `Serialize` for the type, or write `field(debug)` to record its `Debug` text, or \
            `field(with = path)` with a function from `&{Self}` to a type that implements \
            `Serialize`"
)]
pub trait RecordableField {}

/// Never implemented; see `reject!`.
#[diagnostic::on_unimplemented(
    message = "changes of a redacted field of type `{Self}` cannot be detected",
    label = "implements neither `Hash` nor `Serialize`, nor both `Clone` and `PartialEq`",
    note = "derive one of these for the type, or write `field(redact, with = path)` with a \
            function from `&{Self}` to a type that implements `Serialize`; the result is hashed, \
            never recorded"
)]
pub trait ComparableField {}

/// Implements a probe whose use is a compile error: the trait `$bound` is never implemented, and
/// its attribute holds the error message.
macro_rules! reject {
    ([$($generics:ident),*] $probe:ty, $rejected:ident: $bound:ident) => {
        impl<$($generics),*> $probe {
            pub fn __audited_snapshot(&self) -> FieldSnapshot<F>
            where
                $rejected: $bound,
            {
                FieldSnapshot(PreviousValue::Hash(0))
            }

            pub fn __audited_compare(&self, _: &FieldSnapshot<F>, _: &mut FieldVisitor<'_>, _: usize) {}

            pub fn __audited_describe(
                &self,
                _: Option<&FieldSnapshot<F>>,
                _: &mut FieldVisitor<'_>,
                _: usize,
            ) {
            }

            pub fn __audited_refresh(&self, _: &mut FieldSnapshot<F>) {}
        }
    };
}

reject!([F] Unrecordable<'_, F>, F: RecordableField);

// ---- fields with `debug` ------------------------------------------------------------------------

/// A field without `Debug`.
pub struct NoDebug<'v, F>(&'v F);

probe! {
    /// Compares the `Debug` text.
    ByDebug => NoDebug
}

probe! {
    /// Compares by `==`, and records the `Debug` text.
    ByDebugValue => ByDebug
}

/// The probe of a field with the option `debug`.
#[inline]
pub fn debug_field<F>(value: &F) -> ByDebugValue<'_, F> {
    ByDebugValue(ByDebug(NoDebug(value)))
}

by_value!(ByDebugValue, Debug; |this| this.0.0.0; Tree::of_debug);
by_tree!(
    [F: Debug] ByDebug<'_, F>,
    |this, mask| Tree::of_debug(this.0.0, mask); Tree::masked_debug
);

/// Never implemented; see `reject!`.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` has no `Debug` text",
    label = "the option `debug` needs `Debug`",
    note = "derive `Debug` for the type, or write `field(with = path)` with a function from \
            `&{Self}` to a type that implements `Serialize`"
)]
pub trait DebugField {}

reject!([F] NoDebug<'_, F>, F: DebugField);

// ---- fields with `with` -------------------------------------------------------------------------

/// The result of a `with` function that cannot be recorded.
pub struct FunctionResult<'v, F, W> {
    _field: &'v F,
    result: W,
}

probe! {
    /// Compares and records what `Serialize` writes of the function's result.
    ByFunction => FunctionResult<W>
}

/// The probe of a field with the option `with`.
#[inline]
pub fn with_field<'v, F, W>(value: &'v F, with: impl FnOnce(&'v F) -> W) -> ByFunction<'v, F, W> {
    ByFunction(FunctionResult { _field: value, result: with(value) })
}

by_tree!(
    [F, W: Serialize] ByFunction<'_, F, W>,
    |this, mask| Tree::of(&this.0.result, mask); Tree::masked
);

/// Never implemented; see `reject!`.
#[diagnostic::on_unimplemented(
    message = "`{Self}`, which the function of `with` returns, cannot be recorded",
    label = "the function for this field returns a type without `Serialize`",
    note = "return a type that implements `Serialize`, such as a string or a number"
)]
pub trait RecordableResult {}

reject!([F, W] FunctionResult<'_, F, W>, W: RecordableResult);

// ---- fields with `redact` -----------------------------------------------------------------------

/// A field whose changes cannot be detected.
pub struct Incomparable<'v, F>(&'v F);

probe! {
    /// Compares a clone by `==`, if no hash can be made.
    RedactedByValue => Incomparable
}

probe! {
    /// Compares a keyed hash of what `Serialize` writes.
    RedactedBySerialize => RedactedByValue
}

probe! {
    /// Compares a keyed hash made by `Hash`.
    RedactedByHash => RedactedBySerialize
}

/// The probe of a field with the option `redact`.
#[inline]
pub fn redacted_field<F>(value: &F) -> RedactedByHash<'_, F> {
    RedactedByHash(RedactedBySerialize(RedactedByValue(Incomparable(value))))
}

by_hash!([F: Hash] RedactedByHash<'_, F>, |this| keyed_hash(this.0.0.0.0));
by_hash!([F: Serialize] RedactedBySerialize<'_, F>, |this| serialized_hash(this.0.0.0));

impl<F: Clone + PartialEq> RedactedByValue<'_, F> {
    pub fn __audited_snapshot(&self) -> FieldSnapshot<F> {
        FieldSnapshot(PreviousValue::Value(self.0.0.clone()))
    }

    pub fn __audited_compare(
        &self,
        before: &FieldSnapshot<F>,
        visitor: &mut FieldVisitor<'_>,
        index: usize,
    ) {
        if !matches!(&before.0, PreviousValue::Value(before) if before == self.0.0) {
            visitor.changed_redacted(index);
        }
    }

    pub fn __audited_describe(
        &self,
        _: Option<&FieldSnapshot<F>>,
        visitor: &mut FieldVisitor<'_>,
        index: usize,
    ) {
        visitor.value(index, |_| Tree::Secret(0));
    }

    pub fn __audited_refresh(&self, before: &mut FieldSnapshot<F>) {
        *before = self.__audited_snapshot();
    }
}

reject!([F] Incomparable<'_, F>, F: ComparableField);

probe! {
    /// Compares a keyed hash of what `Serialize` writes of the function's result.
    RedactedByFunction => FunctionResult<W>
}

/// The probe of a field with the options `redact` and `with`.
#[inline]
pub fn redacted_with_field<'v, F, W>(
    value: &'v F,
    with: impl FnOnce(&'v F) -> W,
) -> RedactedByFunction<'v, F, W> {
    RedactedByFunction(FunctionResult { _field: value, result: with(value) })
}

by_hash!([F, W: Serialize] RedactedByFunction<'_, F, W>, |this| serialized_hash(&this.0.result));

/// A keyed hash of what `Serialize` writes.
fn serialized_hash<T: Serialize>(value: &T) -> u64 {
    match Tree::of(value, &default_mask()).into_secret() {
        Tree::Secret(hash) => hash,
        _ => 0,
    }
}
