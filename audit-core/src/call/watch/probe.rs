//! Finds out whether an object is watched, by method lookup on its type as described in
//! [`probe`](crate::call::probe).
//!
//! An object can be compared after the call only if the return value does not borrow from it. The
//! type parameter `F` shows this: it is `fn(&()) -> R`, where `R` is the return type as it is
//! written. If `R` uses the elided lifetime of the argument, the type does not match the bound, and
//! the object is not watched. Where the attribute can see that `R` contains no lifetime, `F` is
//! [`OwnedReturn`], which compiles faster.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::busy::mark_busy;
use crate::call::lifecycle::Call;
use crate::call::watch::object::{ObjectWatch, record_target};
use crate::fields::{AuditedFields, TargetObject};

// ---- receivers ---------------------------------------------------------------------------------

/// A receiver of any type. Nothing is recorded.
pub struct AnyReceiver<'v, T: ?Sized, F>(&'v T, PhantomData<F>);

/// A receiver, if its type has audited fields, or is `Tracked`. It is not watched, because the
/// return value may borrow from it, or because it records its changes itself.
pub struct AuditedReceiver<'v, T: ?Sized, F>(AnyReceiver<'v, T, F>);

/// A receiver, if its type has audited fields and the return value does not borrow from it. It is
/// watched.
pub struct WatchableReceiver<'v, T: ?Sized, F>(AuditedReceiver<'v, T, F>);

/// Stands for `F` where the return type contains no lifetime.
pub enum OwnedReturn {}

/// Stands for `F` in a future. The snapshot is part of the future, so it must be `Send`. If it is
/// not known to be `Send`, for example for a type parameter, the object is not watched, and the
/// record says so.
pub struct InFuture<F>(PhantomData<F>);

/// Looks up whether a receiver is watched. With `()` for `F` it never is; if its type has audited
/// fields, the record says so.
#[inline]
pub fn watch<T: ?Sized, F>(object: &T) -> WatchableReceiver<'_, T, F> {
    WatchableReceiver(AuditedReceiver(AnyReceiver(object, PhantomData)))
}

impl<'v, T: ?Sized, F> Deref for WatchableReceiver<'v, T, F> {
    type Target = AuditedReceiver<'v, T, F>;

    #[inline]
    fn deref(&self) -> &AuditedReceiver<'v, T, F> {
        &self.0
    }
}

impl<'v, T: ?Sized, F> Deref for AuditedReceiver<'v, T, F> {
    type Target = AnyReceiver<'v, T, F>;

    #[inline]
    fn deref(&self) -> &AnyReceiver<'v, T, F> {
        &self.0
    }
}

impl<T: AuditedFields, R> WatchableReceiver<'_, T, fn(&()) -> R> {
    /// Takes a snapshot of the object.
    pub fn __audited_begin(&self, call: &Call, parameter: &'static str) -> ReceiverWatch<T> {
        ReceiverWatch(ObjectWatch::begin(call, self.0.0.0, parameter))
    }
}

impl<T: AuditedFields> WatchableReceiver<'_, T, OwnedReturn> {
    /// Takes a snapshot of the object.
    pub fn __audited_begin(&self, call: &Call, parameter: &'static str) -> ReceiverWatch<T> {
        ReceiverWatch(ObjectWatch::begin(call, self.0.0.0, parameter))
    }
}

impl<T: AuditedFields<Snapshot: Send>, R> WatchableReceiver<'_, T, InFuture<fn(&()) -> R>> {
    /// Takes a snapshot of the object.
    pub fn __audited_begin(&self, call: &Call, parameter: &'static str) -> ReceiverWatch<T> {
        ReceiverWatch(ObjectWatch::begin(call, self.0.0.0, parameter))
    }
}

impl<T: AuditedFields<Snapshot: Send>> WatchableReceiver<'_, T, InFuture<OwnedReturn>> {
    /// Takes a snapshot of the object.
    pub fn __audited_begin(&self, call: &Call, parameter: &'static str) -> ReceiverWatch<T> {
        ReceiverWatch(ObjectWatch::begin(call, self.0.0.0, parameter))
    }
}

impl<T: TargetObject, F> AuditedReceiver<'_, T, F> {
    /// Makes the object the target, and records that it is not watched.
    pub fn __audited_begin(&self, call: &Call, parameter: &'static str) -> NoWatch {
        record_not_watched(call, self.0.0, parameter);
        NoWatch
    }
}

impl<T: ?Sized, F> AnyReceiver<'_, T, F> {
    /// Does nothing.
    #[inline]
    pub fn __audited_begin(&self, _: &Call, _: &'static str) -> NoWatch {
        NoWatch
    }
}

/// Makes the object, which is not watched, the target of the call.
fn record_not_watched<T: TargetObject>(call: &Call, object: &T, parameter: &'static str) {
    let _busy = mark_busy();
    if let Some(shared) = call.shared() {
        record_target(shared, object, parameter);
    }
}

/// A receiver that is watched while the body runs.
pub struct ReceiverWatch<T: AuditedFields>(Option<Box<ObjectWatch<T>>>);

impl<T: AuditedFields> ReceiverWatch<T> {
    /// Whether there is a snapshot to compare with.
    #[inline]
    #[must_use]
    pub fn __audited_is_watching(&self) -> bool {
        self.0.is_some()
    }

    /// Records what has changed.
    pub fn __audited_finish(&mut self, object: &T) {
        if let Some(watch) = self.0.take() {
            watch.finish(object);
        }
    }

    /// Fixes the type that [`reached`] returns to `()`.
    #[inline]
    pub fn __audited_was_reached(&self, _here: ()) {}
}

/// If a future is dropped before it is ready, its receiver can no longer be compared.
impl<T: AuditedFields> Drop for ReceiverWatch<T> {
    fn drop(&mut self) {
        if let Some(watch) = self.0.take() {
            watch.give_up();
        }
    }
}

/// Stands for a receiver that is not watched.
pub struct NoWatch;

impl NoWatch {
    /// Always `false`.
    #[inline]
    #[must_use]
    pub fn __audited_is_watching(&self) -> bool {
        false
    }

    /// Does nothing.
    #[inline]
    pub fn __audited_finish<T: ?Sized>(&self, _: &T) {}

    /// Fixes the type that [`reached`] returns to `!`.
    #[inline]
    pub fn __audited_was_reached(&self, _here: Never) {}
}

/// Marks code that runs only if an object is watched.
///
/// The type of the result is `()` or `!`, and the method `__audited_was_reached` of the watch fixes it
/// afterwards. If it is `!`, the borrow checker ignores the code in between. The compiler does not
/// warn of unreachable code either, because it looks for that before it knows the type.
#[inline]
#[must_use]
pub fn reached<V: Reached>() -> V {
    V::reached()
}

/// `()` or `!`, for [`reached`].
pub trait Reached {
    /// Returns the value; panics for `!`.
    fn reached() -> Self;
}

impl Reached for () {
    #[inline]
    fn reached() -> Self {}
}

impl Reached for Never {
    fn reached() -> Self {
        unreachable!("no object is watched")
    }
}

/// `!`, which stable Rust can name only as the return type of a function.
pub(crate) type Never = <fn() -> ! as Returns>::Value;

/// The return type of a function pointer.
pub trait Returns {
    /// The return type.
    type Value;
}

impl<R> Returns for fn() -> R {
    type Value = R;
}

/// Makes the closure of the body borrow the whole receiver instead of single fields. Then the
/// closure is `Send` if the receiver is, and has the same lifetime.
#[inline(always)]
pub fn borrow_whole<T: ?Sized>(_: &mut T) {}

// ---- other parameters --------------------------------------------------------------------------

/// An argument of any type. Nothing is recorded.
pub struct AnyArgument<'a, T: ?Sized, F>(Option<&'a mut T>, PhantomData<F>);

/// An argument, if its type has audited fields, or is `Tracked`. It is not watched, because the
/// return value may borrow from it, or because it records its changes itself.
pub struct AuditedArgument<'a, T: ?Sized, F>(AnyArgument<'a, T, F>);

/// An argument, if its type has audited fields and the return value does not borrow from it. It is
/// watched.
pub struct WatchableArgument<'a, T: ?Sized, F>(AuditedArgument<'a, T, F>);

/// Looks up whether an argument of type `&mut T` is watched. `F` is as for [`watch`].
#[inline]
pub fn lend<T: ?Sized, F>(object: &mut T) -> WatchableArgument<'_, T, F> {
    WatchableArgument(AuditedArgument(AnyArgument(Some(object), PhantomData)))
}

impl<'a, T: ?Sized, F> Deref for WatchableArgument<'a, T, F> {
    type Target = AuditedArgument<'a, T, F>;

    fn deref(&self) -> &AuditedArgument<'a, T, F> {
        &self.0
    }
}

impl<T: ?Sized, F> DerefMut for WatchableArgument<'_, T, F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<'a, T: ?Sized, F> Deref for AuditedArgument<'a, T, F> {
    type Target = AnyArgument<'a, T, F>;

    fn deref(&self) -> &AnyArgument<'a, T, F> {
        &self.0
    }
}

impl<T: ?Sized, F> DerefMut for AuditedArgument<'_, T, F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

const TAKEN_ONCE: &str = "the expansion takes the argument once";

impl<'a, T: AuditedFields, R> WatchableArgument<'a, T, fn(&()) -> R> {
    /// Takes a snapshot of the object.
    pub fn __audited_begin(
        &mut self,
        call: &Call,
        parameter: &'static str,
    ) -> WatchedArgument<'a, T> {
        WatchedArgument::begin(self.0.0.0.take().expect(TAKEN_ONCE), call, parameter)
    }
}

impl<'a, T: AuditedFields> WatchableArgument<'a, T, OwnedReturn> {
    /// Takes a snapshot of the object.
    pub fn __audited_begin(
        &mut self,
        call: &Call,
        parameter: &'static str,
    ) -> WatchedArgument<'a, T> {
        WatchedArgument::begin(self.0.0.0.take().expect(TAKEN_ONCE), call, parameter)
    }
}

impl<'a, T: AuditedFields<Snapshot: Send>, R> WatchableArgument<'a, T, InFuture<fn(&()) -> R>> {
    /// Takes a snapshot of the object.
    pub fn __audited_begin(
        &mut self,
        call: &Call,
        parameter: &'static str,
    ) -> WatchedArgument<'a, T> {
        WatchedArgument::begin(self.0.0.0.take().expect(TAKEN_ONCE), call, parameter)
    }
}

impl<'a, T: AuditedFields<Snapshot: Send>> WatchableArgument<'a, T, InFuture<OwnedReturn>> {
    /// Takes a snapshot of the object.
    pub fn __audited_begin(
        &mut self,
        call: &Call,
        parameter: &'static str,
    ) -> WatchedArgument<'a, T> {
        WatchedArgument::begin(self.0.0.0.take().expect(TAKEN_ONCE), call, parameter)
    }
}

impl<'a, T: TargetObject, F> AuditedArgument<'a, T, F> {
    /// Makes the object the target, and records that it is not watched.
    pub fn __audited_begin(
        &mut self,
        call: &Call,
        parameter: &'static str,
    ) -> UnwatchedArgument<'a, T> {
        let object = self.0.0.take().expect(TAKEN_ONCE);
        record_not_watched(call, object, parameter);
        UnwatchedArgument(Some(object))
    }
}

impl<'a, T: ?Sized, F> AnyArgument<'a, T, F> {
    /// Takes the argument; it is not watched.
    #[inline]
    pub fn __audited_begin(&mut self, _: &Call, _: &'static str) -> UnwatchedArgument<'a, T> {
        UnwatchedArgument(self.0.take())
    }
}

/// An argument that is lent to the body, and compared when the body has ended, for every outcome.
pub struct WatchedArgument<'a, T: AuditedFields> {
    object: &'a mut T,
    watch: Option<Box<ObjectWatch<T>>>,
}

impl<'a, T: AuditedFields> WatchedArgument<'a, T> {
    fn begin(object: &'a mut T, call: &Call, parameter: &'static str) -> Self {
        Self { watch: ObjectWatch::begin(call, object, parameter), object }
    }

    /// The argument, to be captured.
    #[must_use]
    pub fn __audited_argument(&self) -> &&'a mut T {
        &self.object
    }

    /// Lends the object to the body.
    #[inline]
    pub fn __audited_lend(&mut self) -> &mut T {
        self.object
    }

    /// Records what has changed.
    pub fn __audited_finish(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.finish(self.object);
        }
    }
}

/// The object is also compared if a future is dropped before it is ready.
impl<T: AuditedFields> Drop for WatchedArgument<'_, T> {
    fn drop(&mut self) {
        self.__audited_finish();
    }
}

/// An argument that is moved into the body.
pub struct UnwatchedArgument<'a, T: ?Sized>(Option<&'a mut T>);

impl<'a, T: ?Sized> UnwatchedArgument<'a, T> {
    /// The argument, to be captured.
    ///
    /// # Panics
    ///
    /// If the argument has been moved into the body.
    #[inline]
    #[must_use]
    pub fn __audited_argument(&self) -> &&'a mut T {
        self.0.as_ref().expect(TAKEN_ONCE)
    }

    /// Moves the argument into the body.
    ///
    /// # Panics
    ///
    /// If it is called twice.
    #[inline]
    pub fn __audited_lend(&mut self) -> &'a mut T {
        self.0.take().expect(TAKEN_ONCE)
    }

    /// Does nothing.
    #[inline]
    pub fn __audited_finish(&mut self) {}
}

/// Moves an argument into a body that would otherwise borrow it, even if it is `Copy`.
pub struct MovedArgument<T>(
    /// The argument.
    pub T,
);
