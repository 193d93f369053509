//! Finds out how to record a value without waiting for a lock of the program.
//!
//! The audit reads values that the program may have locked: another thread may hold the lock for
//! long, and this thread may hold it itself. Most `Serialize` implementations of locks wait, and so
//! does the `Debug` of some. So two questions are answered here by method lookup, as described in
//! [`probe`](super::probe):
//!
//! 1. May the value contain a lock of another crate? [`MaybeShared::__audited_checked`] answers this. Such a
//!    lock is built on a cell, and so it is not `RefUnwindSafe`, at any depth. A `RefCell` is not
//!    either, but it is not `Sync`. The value is then recorded by the name of its type.
//! 2. Which is the best way to record it? The `record` methods of [`probe`](super::probe) answer
//!    this.
//!
//! The locks of `std` are `RefUnwindSafe`. Their `Debug` never waits. Their `Serialize` does, so
//! [`ArgumentValue`] tries to lock them, and the serializer leaves out those that it meets inside other
//! values (`capture::left_out`). What is left is a type whose own `Serialize` locks. It is most
//! likely in shared state, the `&self` of a service: see [`receiver`].

use std::any::type_name;
use std::error::Error as StdError;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::RefUnwindSafe;

use serde::Serialize;

use crate::call::content::{AnyContent, any_content};
use crate::call::probe::{ListByDebug, ValueByTypeName, debug_argument};
use crate::capture::{StdLock, mentions_lock};
use crate::fields::AuditedFields;

/// The ways to record an argument or a return value.
pub(super) type ArgumentLookup<'v, T> = KnownValue<'v, T, ArgumentValue<'v, T>>;

/// Looks up how to record an argument.
#[inline]
pub fn argument<T: ?Sized>(value: &T) -> ArgumentLookup<'_, T> {
    KnownValue(MaybeShared::new(value))
}

/// Looks up how to record a return value.
#[inline]
pub fn value<T: ?Sized>(value: &T) -> ArgumentLookup<'_, T> {
    argument(value)
}

/// Looks up how to record a receiver that is a shared reference.
///
/// It is serialised only if its type is `Clone` or `PartialEq`, or has audited fields: a type that
/// owns a lock is none of these, unless it says how by hand. Otherwise its `Debug` text is recorded.
#[inline]
pub fn receiver<T: ?Sized>(value: &T) -> MaybeShared<'_, T, ReceiverValue<'_, T>> {
    MaybeShared::new(value)
}

/// Looks up how to record a value that the program asks to record, whatever it contains.
#[inline]
pub fn requested<T: ?Sized>(value: &T) -> ArgumentValue<'_, T> {
    ArgumentValue::of(value)
}

// ---- locks of other crates ---------------------------------------------------------------------

/// Where the ways to record a value of type `T` begin.
pub trait Ways<'v, T: ?Sized> {
    /// The ways to record this value.
    fn of(value: &'v T) -> Self;
}

/// Any value: one that no other thread can use, or of a type parameter.
pub struct AnyValue<'v, T: ?Sized, W>(&'v T, PhantomData<W>);

falls_back! {
    /// A value that other threads can use, with a cell in it.
    SharedValue => AnyValue<W>
}

falls_back! {
    /// A pointer. Its target is no such value.
    PointerValue => SharedValue<W>
}

falls_back! {
    /// A pointer to a value that other threads can use, with a cell in it.
    SharedPointer => PointerValue<W>
}

falls_back! {
    /// An error. Its `Debug` is written to be read, although it may contain `dyn Error`.
    ErrorValue => SharedPointer<W>
}

falls_back! {
    /// A value that contains no cell.
    MaybeShared => ErrorValue<W>
}

falls_back! {
    /// A value of a type that is known to be safe to record, whatever is in it.
    KnownValue => MaybeShared<W>
}

#[cfg(feature = "http")]
impl<'v, T: super::content::KnownType, W> KnownValue<'v, T, W> {
    /// The ways to record the value.
    pub fn __audited_checked(&self) -> super::content::ValueByKnownType<'v, T> {
        super::content::ValueByKnownType::new(self.0.0.0.0.0.0.0)
    }
}

impl<'v, T: ?Sized, W> MaybeShared<'v, T, W> {
    #[inline]
    fn new(value: &'v T) -> Self {
        let any = AnyValue(value, PhantomData);
        Self(ErrorValue(SharedPointer(PointerValue(SharedValue(any)))))
    }
}

impl<'v, T: ?Sized + RefUnwindSafe, W: Ways<'v, T>> MaybeShared<'v, T, W> {
    /// The ways to record the value.
    #[inline]
    pub fn __audited_checked(&self) -> W {
        W::of(self.0.0.0.0.0.0)
    }
}

impl<'v, T: ?Sized + StdError, W: Ways<'v, T>> ErrorValue<'v, T, W> {
    /// The ways to record the value.
    pub fn __audited_checked(&self) -> W {
        W::of(self.0.0.0.0.0)
    }
}

// A type parameter may be declared as `Sync`, but hardly ever as `Unpin`, which every other type is
// unless it is pinned. The same holds for the type behind `dyn`. So `Unpin` shows that what is known
// of the type is all there is to know.
impl<'v, T: ?Sized + Deref<Target: Sync + Unpin>, W> SharedPointer<'v, T, W> {
    /// The ways to record a value that may contain a lock.
    pub fn __audited_checked(&self) -> LockingValue<'v, T> {
        LockingValue::of(self.0.0.0.0)
    }
}

impl<'v, T: ?Sized + Deref, W: Ways<'v, T>> PointerValue<'v, T, W> {
    /// The ways to record the value.
    pub fn __audited_checked(&self) -> W {
        W::of(self.0.0.0)
    }
}

impl<'v, T: Sync + Unpin, W> SharedValue<'v, T, W> {
    /// The ways to record a value that may contain a lock.
    pub fn __audited_checked(&self) -> LockingValue<'v, T> {
        LockingValue::of(self.0.0)
    }
}

impl<'v, T: ?Sized, W: Ways<'v, T>> AnyValue<'v, T, W> {
    /// The ways to record the value.
    pub fn __audited_checked(&self) -> W {
        W::of(self.0)
    }
}

falls_back! {
    /// A value with `Debug` that may contain a lock.
    LockingByDebug => ValueByTypeName
}

falls_back! {
    /// A value with `Serialize` that may contain a lock.
    LockingValue => LockingByDebug
}

impl<'v, T: ?Sized> LockingValue<'v, T> {
    fn of(value: &'v T) -> Self {
        Self(LockingByDebug(ValueByTypeName { value }))
    }
}

records!([T: ?Sized + Serialize] LockingValue<T>, |this, writer| {
    if has_dyn_only::<T>() { writer.serialize(this.value) } else { writer.locking::<T>() }
});
records!([T: ?Sized + Debug] LockingByDebug<T>, |this, writer| {
    if has_dyn_only::<T>() { writer.debug(this.value) } else { writer.locking::<T>() }
});

/// Whether the cell in a value of type `T` is one that `dyn` hides. The lookup cannot tell a `dyn`
/// from a cell, but the name of the type shows it.
fn has_dyn_only<T: ?Sized>() -> bool {
    let name = type_name::<T>();
    name.contains("dyn ") && !mentions_lock(name)
}

// ---- locks of std ------------------------------------------------------------------------------

falls_back! {
    /// Records the content of a lock.
    ArgumentValue => AnyContent
}

impl<'v, T: ?Sized> Ways<'v, T> for ArgumentValue<'v, T> {
    #[inline]
    fn of(value: &'v T) -> Self {
        Self(any_content(value))
    }
}

records!([T: ?Sized + StdLock] ArgumentValue<T>, |this, writer| this.value.read(|content| match content {
    Some(content) => writer.serialize(content),
    None => writer.lock("the lock is held"),
}));

// ---- receivers ---------------------------------------------------------------------------------

falls_back! {
    /// Serialises a receiver that has audited fields.
    AuditedReceiver => ListByDebug
}

falls_back! {
    /// Serialises a receiver that is `PartialEq`.
    ComparableReceiver => AuditedReceiver
}

falls_back! {
    /// Serialises a receiver that is `Clone`.
    ReceiverValue => ComparableReceiver
}

impl<'v, T: ?Sized> Ways<'v, T> for ReceiverValue<'v, T> {
    #[inline]
    fn of(value: &'v T) -> Self {
        Self(ComparableReceiver(AuditedReceiver(debug_argument(value))))
    }
}

records!([T: ?Sized + Serialize + Deref<Target: Clone>] ReceiverValue<T>, |this, writer| {
    writer.serialize(this.value);
});
records!([T: ?Sized + Serialize + Deref<Target: PartialEq>] ComparableReceiver<T>, |this, writer| {
    writer.serialize(this.value);
});
records!([T: ?Sized + Serialize + Deref<Target: AuditedFields>] AuditedReceiver<T>, |this, writer| {
    writer.serialize(this.value);
});
