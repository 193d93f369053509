//! How a field is remembered and compared is found by method lookup, as for arguments (`call/probe.rs`).
//!
//! Best by the type's own `==` on a clone; else by what is recorded of it. A field that can't be recorded at
//! all is a compile error that says what to do.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::ops::Deref;

use serde::Serialize;

use crate::fields::kept::{Kept, Was};
use crate::fields::{Delta, key};
use crate::keyed_hash::keyed_hash;
use crate::value::Tree;

/// `$outer` derefs to `$inner`: what it has no method for is looked up there.
macro_rules! falls_back {
    ($(#[$meta:meta])* $outer:ident => $inner:ident $(<$made:ident>)?) => {
        $(#[$meta])*
        pub struct $outer<'v, F $(, $made)?>($inner<'v, F $(, $made)?>);

        impl<'v, F $(, $made)?> Deref for $outer<'v, F $(, $made)?> {
            type Target = $inner<'v, F $(, $made)?>;

            #[inline]
            fn deref(&self) -> &$inner<'v, F $(, $made)?> {
                &self.0
            }
        }
    };
}

/// A field compared by its own `==`: `$tree` makes what is recorded of it.
macro_rules! by_value {
    ($by:ident, $($bound:path),+; |$this:ident| $value:expr; $tree:path) => {
        impl<F: Clone + PartialEq $(+ $bound)+> $by<'_, F> {
            #[inline]
            fn value(&self) -> &F {
                let $this = self;
                $value
            }

            #[inline]
            pub fn keep(&self) -> Kept<F> {
                Kept(Was::Value(self.value().clone()))
            }

            #[inline]
            pub fn compare(&self, before: &Kept<F>, delta: &mut Delta<'_>, index: usize) {
                if let Was::Value(before) = &before.0
                    && before != self.value()
                {
                    self.differs(before, delta, index);
                }
            }

            #[inline(never)]
            fn differs(&self, before: &F, delta: &mut Delta<'_>, index: usize) {
                let after = self.value();
                let (was, is) = ($tree(before, delta.mask()), $tree(after, delta.mask()));
                #[allow(clippy::eq_op)] // A NaN in it does not equal itself.
                delta.changed(index, was, is, || after == after);
            }

            pub fn describe(&self, before: Option<&Kept<F>>, delta: &mut Delta<'_>, index: usize) {
                let value = match before {
                    Some(Kept(Was::Value(before))) => before,
                    _ => self.value(),
                };
                delta.value(index, |mask| $tree(value, mask));
            }

            #[inline]
            pub fn refresh(&self, before: &mut Kept<F>) {
                match &mut before.0 {
                    Was::Value(before) if before == self.value() => {}
                    Was::Value(before) => before.clone_from(self.value()),
                    _ => *before = self.keep(),
                }
            }
        }
    };
}

/// A field compared by what is recorded of it.
macro_rules! by_tree {
    ([$($generics:tt)*] $by:ty, |$this:ident, $mask:ident| $tree:expr; $masked:path) => {
        impl<$($generics)*> $by {
            fn tree(&self, $mask: &crate::capture::Mask) -> Tree {
                let $this = self;
                $tree
            }

            pub fn keep(&self) -> Kept<F> {
                Kept(Was::Tree(self.tree(&default_mask())))
            }

            pub fn compare(&self, before: &Kept<F>, delta: &mut Delta<'_>, index: usize) {
                if let Was::Tree(before) = &before.0 {
                    let after = self.tree(&default_mask());
                    if *before != after {
                        // They were made with another mask than that of the recorder.
                        let mask = delta.mask();
                        let (before, after) = ($masked(before.clone(), mask), $masked(after, mask));
                        delta.changed(index, before, after, || true);
                    }
                }
            }

            pub fn describe(&self, before: Option<&Kept<F>>, delta: &mut Delta<'_>, index: usize) {
                match before {
                    Some(Kept(Was::Tree(before))) => {
                        delta.value(index, |mask| $masked(before.clone(), mask));
                    }
                    _ => delta.value(index, |mask| self.tree(mask)),
                }
            }

            pub fn refresh(&self, before: &mut Kept<F>) {
                *before = self.keep();
            }
        }
    };
}

/// A field of which only a hash is kept.
macro_rules! by_hash {
    ([$($generics:tt)*] $by:ty, |$this:ident| $hash:expr) => {
        impl<$($generics)*> $by {
            fn hash(&self) -> u64 {
                let $this = self;
                $hash
            }

            pub fn keep(&self) -> Kept<F> {
                Kept(Was::Hash(self.hash()))
            }

            pub fn compare(&self, before: &Kept<F>, delta: &mut Delta<'_>, index: usize) {
                if !matches!(before.0, Was::Hash(before) if before == self.hash()) {
                    delta.changed_unseen(index);
                }
            }

            pub fn describe(&self, before: Option<&Kept<F>>, delta: &mut Delta<'_>, index: usize) {
                let hash = match before {
                    Some(&Kept(Was::Hash(before))) => before,
                    _ => self.hash(),
                };
                delta.value(index, |_| Tree::Secret(hash));
            }

            pub fn refresh(&self, before: &mut Kept<F>) {
                *before = self.keep();
            }
        }
    };
}

/// Masks are applied when something is recorded; here values are only compared. Secrets are hashed all the
/// same, by the default names.
fn default_mask() -> crate::capture::Mask {
    thread_local! {
        static DEFAULT: crate::capture::Mask = crate::capture::Mask::default();
    }
    DEFAULT.try_with(Clone::clone).unwrap_or_default()
}

// ---- a field ----------------------------------------------------------------------------------------

/// A field that can't be recorded.
pub struct Unrecordable<'v, F>(&'v F);

falls_back! {
    /// A field by `Serialize`.
    BySerialize => Unrecordable
}

falls_back! {
    /// A field by `==` and `Serialize`.
    ByValue => BySerialize
}

/// Looks up how to remember a field.
#[inline]
pub fn field<F>(value: &F) -> ByValue<'_, F> {
    ByValue(BySerialize(Unrecordable(value)))
}

by_value!(ByValue, Serialize; |this| this.0.0.0; Tree::of);
by_tree!([F: Serialize] BySerialize<'_, F>, |this, mask| Tree::of(this.0.0, mask); Tree::masked);

/// Never implemented: its bound is the error message.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` can't be recorded",
    label = "neither `Serialize` nor told how",
    note = "derive `Serialize` for the type, or write `field(debug)` to record its `Debug` text, or \
            `field(with = path)` with a function from `&{Self}` to something `Serialize`"
)]
pub trait RecordableField {}

/// Never implemented: its bound is the error message.
#[diagnostic::on_unimplemented(
    message = "a change of a redacted field of type `{Self}` can't be seen",
    label = "neither `Hash` nor `Serialize`, nor `Clone` with `PartialEq`",
    note = "derive one of them for the type, or write `field(redact, with = path)` with a function from \
            `&{Self}` to something `Serialize`; what it returns is hashed, never recorded"
)]
pub trait ComparableField {}

macro_rules! impossible {
    ([$($generics:ident),*] $by:ty, $what:ident: $bound:ident) => {
        impl<$($generics),*> $by {
            pub fn keep(&self) -> Kept<F>
            where
                $what: $bound,
            {
                Kept(Was::Hash(0))
            }

            pub fn compare(&self, _: &Kept<F>, _: &mut Delta<'_>, _: usize) {}

            pub fn describe(&self, _: Option<&Kept<F>>, _: &mut Delta<'_>, _: usize) {}

            pub fn refresh(&self, _: &mut Kept<F>) {}
        }
    };
}

impossible!([F] Unrecordable<'_, F>, F: RecordableField);

// ---- by its `Debug` text ----------------------------------------------------------------------------

/// A field that has no such text.
pub struct NoDebug<'v, F>(&'v F);

falls_back! {
    /// A field by its `Debug` text.
    ByDebug => NoDebug
}

falls_back! {
    /// A field by `==` and its `Debug` text.
    ByDebugValue => ByDebug
}

/// Looks up how to remember a field by its `Debug` text.
#[inline]
pub fn debug_field<F>(value: &F) -> ByDebugValue<'_, F> {
    ByDebugValue(ByDebug(NoDebug(value)))
}

by_value!(ByDebugValue, Debug; |this| this.0.0.0; Tree::of_debug);
by_tree!([F: Debug] ByDebug<'_, F>, |this, mask| Tree::of_debug(this.0.0, mask); Tree::masked_debug);

/// Never implemented: its bound is the error message.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` has no `Debug` text",
    label = "`debug` needs `Debug`",
    note = "derive `Debug` for the type, or write `field(with = path)` with a function from `&{Self}` to \
            something `Serialize`"
)]
pub trait DebugField {}

impossible!([F] NoDebug<'_, F>, F: DebugField);

// ---- by a function ----------------------------------------------------------------------------------

/// What a function makes of a field.
pub struct Made<'v, F, W> {
    _field: &'v F,
    made: W,
}

falls_back! {
    /// A field by what a function makes of it.
    ByFunction => Made<W>
}

/// A field that is recorded as what `with` makes of it.
#[inline]
pub fn with_field<'v, F, W>(value: &'v F, with: impl FnOnce(&'v F) -> W) -> ByFunction<'v, F, W> {
    ByFunction(Made { _field: value, made: with(value) })
}

by_tree!([F, W: Serialize] ByFunction<'_, F, W>, |this, mask| Tree::of(&this.0.made, mask); Tree::masked);

/// Never implemented: its bound is the error message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be recorded, which the function of `with` returns",
    label = "what is made of this field is not `Serialize`",
    note = "let the function return something `Serialize`, such as a text or a number"
)]
pub trait RecordableResult {}

impossible!([F, W] Made<'_, F, W>, W: RecordableResult);

// ---- never shown ------------------------------------------------------------------------------------

/// A field of which nothing can be remembered.
pub struct Incomparable<'v, F>(&'v F);

falls_back! {
    /// A redacted field by `==`.
    RedactedByValue => Incomparable
}

falls_back! {
    /// A redacted field by a hash of what `Serialize` says.
    RedactedBySerialize => RedactedByValue
}

falls_back! {
    /// A redacted field by `Hash`.
    RedactedByHash => RedactedBySerialize
}

/// Looks up how to remember a field whose values are never recorded.
#[inline]
pub fn redacted_field<F>(value: &F) -> RedactedByHash<'_, F> {
    RedactedByHash(RedactedBySerialize(RedactedByValue(Incomparable(value))))
}

by_hash!([F: Hash] RedactedByHash<'_, F>, |this| keyed_hash(this.0.0.0.0));
by_hash!([F: Serialize] RedactedBySerialize<'_, F>, |this| secret(this.0.0.0));

impl<F: Clone + PartialEq> RedactedByValue<'_, F> {
    pub fn keep(&self) -> Kept<F> {
        Kept(Was::Value(self.0.0.clone()))
    }

    pub fn compare(&self, before: &Kept<F>, delta: &mut Delta<'_>, index: usize) {
        if !matches!(&before.0, Was::Value(before) if before == self.0.0) {
            delta.changed_unseen(index);
        }
    }

    pub fn describe(&self, _: Option<&Kept<F>>, delta: &mut Delta<'_>, index: usize) {
        delta.value(index, |_| Tree::Secret(0));
    }

    pub fn refresh(&self, before: &mut Kept<F>) {
        *before = self.keep();
    }
}

impossible!([F] Incomparable<'_, F>, F: ComparableField);

falls_back! {
    /// A redacted field by what a function makes of it.
    RedactedByFunction => Made<W>
}

/// A field whose values are never recorded, remembered by a hash of what `with` makes of it.
#[inline]
pub fn redacted_with_field<'v, F, W>(
    value: &'v F,
    with: impl FnOnce(&'v F) -> W,
) -> RedactedByFunction<'v, F, W> {
    RedactedByFunction(Made { _field: value, made: with(value) })
}

by_hash!([F, W: Serialize] RedactedByFunction<'_, F, W>, |this| secret(&this.0.made));

/// A keyed hash of what `Serialize` says.
fn secret<T: Serialize>(value: &T) -> u64 {
    match Tree::of(value, &default_mask()).into_secret() {
        Tree::Secret(hash) => hash,
        _ => 0,
    }
}

// ---- keys -------------------------------------------------------------------------------------------

/// A part of a key that has no text.
pub struct NoText<'v, F: ?Sized>(&'v F);

/// A part of a key as it is serialised.
pub struct KeyBySerialize<'v, F: ?Sized>(NoText<'v, F>);

/// A part of a key as it is displayed.
pub struct KeyByDisplay<'v, F: ?Sized>(KeyBySerialize<'v, F>);

/// A part of a key that is an integer: every save asks for it.
pub struct KeyByDigits<'v, F: ?Sized>(KeyByDisplay<'v, F>);

impl<'v, F: ?Sized> Deref for KeyByDigits<'v, F> {
    type Target = KeyByDisplay<'v, F>;

    fn deref(&self) -> &KeyByDisplay<'v, F> {
        &self.0
    }
}

impl<'v, F: ?Sized> Deref for KeyByDisplay<'v, F> {
    type Target = KeyBySerialize<'v, F>;

    fn deref(&self) -> &KeyBySerialize<'v, F> {
        &self.0
    }
}

impl<'v, F: ?Sized> Deref for KeyBySerialize<'v, F> {
    type Target = NoText<'v, F>;

    fn deref(&self) -> &NoText<'v, F> {
        &self.0
    }
}

/// Looks up the text of a part of a key, or of a label.
#[inline]
pub fn key_part<F: ?Sized>(value: &F) -> KeyByDigits<'_, F> {
    KeyByDigits(KeyByDisplay(KeyBySerialize(NoText(value))))
}

impl<F: itoa::Integer + Copy> KeyByDigits<'_, F> {
    /// The text.
    #[must_use]
    pub fn text(&self) -> String {
        itoa::Buffer::new().format(*self.0.0.0.0).to_owned()
    }
}

impl<F: ?Sized + Display> KeyByDisplay<'_, F> {
    /// The text.
    #[must_use]
    pub fn text(&self) -> String {
        key::part(&self.0.0.0)
    }
}

impl<F: ?Sized + Serialize> KeyBySerialize<'_, F> {
    /// The text: of a string itself, of anything else its JSON.
    #[must_use]
    pub fn text(&self) -> String {
        match Tree::of(self.0.0, &crate::capture::Mask::none()) {
            Tree::Text(text) => key::part(&text),
            tree => {
                key::part(&tree.to_json(&crate::capture::Rules::default(), "", &mut Vec::new()))
            }
        }
    }
}

/// Never implemented: its bound is the error message.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` can't be a key or a label",
    label = "neither `Display` nor `Serialize`",
    note = "implement one of them, or name another field"
)]
pub trait KeyField {}

impl<F: ?Sized> NoText<'_, F> {
    /// Never.
    #[must_use]
    pub fn text(&self) -> String
    where
        F: KeyField,
    {
        String::new()
    }
}
