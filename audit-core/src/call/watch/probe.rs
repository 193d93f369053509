//! Finds out whether an object is watched, by method lookup on its type as described in
//! [`probe`](crate::call::probe).
//!
//! An object can be compared after the call only if the return value does not borrow from it. The
//! type parameter `F` shows this: it is `fn(&()) -> R`, where `R` is the return type as it is
//! written. If `R` uses the elided lifetime of the argument, the type does not match the bound, and
//! the object is not watched. Where the attribute can see that `R` contains no lifetime, `F` is
//! [`OwnedReturn`], which compiles faster.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::busy::mark_busy;
use crate::call::lifecycle::Call;
use crate::call::watch::lent::Lent;
use crate::call::watch::object::{ObjectWatch, record_target, record_unwatched};
use crate::fields::{AuditedFields, TargetObject};

// ---- receivers ---------------------------------------------------------------------------------

/// A receiver of any type. Nothing is recorded.
pub struct AnyReceiver<'v, 'a, T: ?Sized, F>(&'v mut &'a mut T, PhantomData<F>);

/// A receiver, if its type has audited fields, or is `Tracked`. It is not watched, because the
/// return value may borrow from it, or because it records its changes itself.
pub struct AuditedReceiver<'v, 'a, T: ?Sized, F>(AnyReceiver<'v, 'a, T, F>);

/// A receiver, if its type has audited fields and the return value does not borrow from it. It is
/// watched.
pub struct WatchableReceiver<'v, 'a, T: ?Sized, F>(AuditedReceiver<'v, 'a, T, F>);

/// Stands for `F` where the return type contains no lifetime.
pub enum OwnedReturn {}

/// Stands for `F` in a future. The snapshot is part of the future, so it must be `Send`. If it is
/// not known to be `Send`, for example for a type parameter, the object is not watched, and the
/// record says so.
pub struct InFuture<F>(PhantomData<F>);

/// Looks up whether a receiver is watched. If it is, `receiver` is replaced by a reference that the
/// body may use and move: see `Lent`.
#[inline]
pub fn watch<'v, 'a, T: ?Sized, F>(receiver: &'v mut &'a mut T) -> WatchableReceiver<'v, 'a, T, F> {
    WatchableReceiver(AuditedReceiver(AnyReceiver(receiver, PhantomData)))
}

impl<'v, 'a, T: ?Sized, F> Deref for WatchableReceiver<'v, 'a, T, F> {
    type Target = AuditedReceiver<'v, 'a, T, F>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: ?Sized, F> DerefMut for WatchableReceiver<'_, '_, T, F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<'v, 'a, T: ?Sized, F> Deref for AuditedReceiver<'v, 'a, T, F> {
    type Target = AnyReceiver<'v, 'a, T, F>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: ?Sized, F> DerefMut for AuditedReceiver<'_, '_, T, F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// Defines `__audited_begin` of a receiver that is watched, for one form of `F`.
macro_rules! watchable_receiver {
    (<T: $audited:path $(, $result:ident)?>, $marker:ty) => {
        impl<'a, T: $audited $(, $result)?> WatchableReceiver<'_, 'a, T, $marker> {
            /// Takes a snapshot of the object.
            pub fn __audited_begin(
                &mut self,
                call: &Call,
                parameter: &'static str,
            ) -> ReceiverWatch<'a, T> {
                ReceiverWatch::begin(self.0.0.0, call, parameter)
            }
        }
    };
}

watchable_receiver!(<T: AuditedFields, R>, fn(&()) -> R);
watchable_receiver!(<T: AuditedFields>, OwnedReturn);
watchable_receiver!(<T: AuditedFields<Snapshot: Send>, R>, InFuture<fn(&()) -> R>);
watchable_receiver!(<T: AuditedFields<Snapshot: Send>>, InFuture<OwnedReturn>);

impl<T: TargetObject, F> AuditedReceiver<'_, '_, T, F> {
    /// Makes the object the target, and records that it is not watched.
    pub fn __audited_begin(&mut self, call: &Call, parameter: &'static str) -> NoWatch {
        record_not_watched(call, &**self.0.0, parameter);
        NoWatch
    }
}

impl<T: ?Sized, F> AnyReceiver<'_, '_, T, F> {
    /// Does nothing.
    #[inline]
    pub fn __audited_begin(&mut self, _: &Call, _: &'static str) -> NoWatch {
        NoWatch
    }
}

/// A receiver that is watched while the body runs.
pub struct ReceiverWatch<'a, T: AuditedFields>(Option<(Box<ObjectWatch<T>>, Lent<'a, T>)>);

impl<'a, T: AuditedFields> ReceiverWatch<'a, T> {
    fn begin(receiver: &mut &'a mut T, call: &Call, parameter: &'static str) -> Self {
        let watch = ObjectWatch::begin(call, &**receiver, parameter);
        Self(watch.map(|watch| (watch, Lent::new(receiver))))
    }

    /// Records what has changed. The body has ended.
    pub fn __audited_finish(&mut self) {
        if let Some((watch, lent)) = self.0.take() {
            watch.finish(lent.take_back());
        }
    }
}

/// The object is also compared if a future is dropped before it is ready. The body has been dropped
/// before.
impl<T: AuditedFields> Drop for ReceiverWatch<'_, T> {
    fn drop(&mut self) {
        self.__audited_finish();
    }
}

/// Stands for a receiver that is not watched.
pub struct NoWatch;

impl NoWatch {
    /// Does nothing.
    #[inline]
    pub fn __audited_finish(&mut self) {}
}

// ---- parameters that cannot be watched ---------------------------------------------------------

/// An object of any type. Nothing is recorded.
pub struct AnyObject<'v, T: ?Sized>(&'v T);

/// An object, if its type has audited fields, or is `Tracked`. It is not watched.
pub struct UnwatchedObject<'v, T: ?Sized>(AnyObject<'v, T>);

/// Looks up whether the record must say that an object is not watched.
#[inline]
pub fn unwatched<T: ?Sized>(object: &T) -> UnwatchedObject<'_, T> {
    UnwatchedObject(AnyObject(object))
}

impl<'v, T: ?Sized> Deref for UnwatchedObject<'v, T> {
    type Target = AnyObject<'v, T>;

    #[inline]
    fn deref(&self) -> &AnyObject<'v, T> {
        &self.0
    }
}

impl<T: TargetObject> UnwatchedObject<'_, T> {
    /// Makes the object the target, and records that it is not watched.
    pub fn __audited_report(&self, call: &Call, parameter: &'static str) {
        record_not_watched(call, self.0.0, parameter);
    }
}

impl<T: ?Sized> AnyObject<'_, T> {
    /// Does nothing.
    #[inline]
    pub fn __audited_report(&self, _: &Call, _: &'static str) {}
}

/// Makes the object, which is not watched, the target of the call.
fn record_not_watched<T: TargetObject>(call: &Call, object: &T, parameter: &'static str) {
    let _busy = mark_busy();
    if let Some(shared) = call.shared() {
        record_target(shared, object, parameter);
    }
}

// ---- other parameters --------------------------------------------------------------------------

/// An argument of any type. Nothing is recorded.
pub struct AnyArgument<'a, T: ?Sized, F>(Option<&'a mut T>, PhantomData<F>);

/// An argument, if it is a collection of objects with audited fields. It is not watched.
pub struct CollectionArgument<'a, T: ?Sized, F>(AnyArgument<'a, T, F>);

/// An argument, if its type has audited fields, or is `Tracked`. It is not watched, because the
/// return value may borrow from it, or because it records its changes itself.
pub struct AuditedArgument<'a, T: ?Sized, F>(CollectionArgument<'a, T, F>);

/// An argument, if its type has audited fields and the return value does not borrow from it. It is
/// watched.
pub struct WatchableArgument<'a, T: ?Sized, F>(AuditedArgument<'a, T, F>);

/// Looks up whether an argument of type `&mut T` is watched. `F` is as for [`watch`].
#[inline]
pub fn lend<T: ?Sized, F>(object: &mut T) -> WatchableArgument<'_, T, F> {
    let any = AnyArgument(Some(object), PhantomData);
    WatchableArgument(AuditedArgument(CollectionArgument(any)))
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
    type Target = CollectionArgument<'a, T, F>;

    fn deref(&self) -> &CollectionArgument<'a, T, F> {
        &self.0
    }
}

impl<'a, T: ?Sized, F> Deref for CollectionArgument<'a, T, F> {
    type Target = AnyArgument<'a, T, F>;

    fn deref(&self) -> &AnyArgument<'a, T, F> {
        &self.0
    }
}

impl<T: ?Sized, F> DerefMut for CollectionArgument<'_, T, F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
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
        WatchedArgument::begin(self.0.0.0.0.take().expect(TAKEN_ONCE), call, parameter)
    }
}

impl<'a, T: AuditedFields> WatchableArgument<'a, T, OwnedReturn> {
    /// Takes a snapshot of the object.
    pub fn __audited_begin(
        &mut self,
        call: &Call,
        parameter: &'static str,
    ) -> WatchedArgument<'a, T> {
        WatchedArgument::begin(self.0.0.0.0.take().expect(TAKEN_ONCE), call, parameter)
    }
}

impl<'a, T: AuditedFields<Snapshot: Send>, R> WatchableArgument<'a, T, InFuture<fn(&()) -> R>> {
    /// Takes a snapshot of the object.
    pub fn __audited_begin(
        &mut self,
        call: &Call,
        parameter: &'static str,
    ) -> WatchedArgument<'a, T> {
        WatchedArgument::begin(self.0.0.0.0.take().expect(TAKEN_ONCE), call, parameter)
    }
}

impl<'a, T: AuditedFields<Snapshot: Send>> WatchableArgument<'a, T, InFuture<OwnedReturn>> {
    /// Takes a snapshot of the object.
    pub fn __audited_begin(
        &mut self,
        call: &Call,
        parameter: &'static str,
    ) -> WatchedArgument<'a, T> {
        WatchedArgument::begin(self.0.0.0.0.take().expect(TAKEN_ONCE), call, parameter)
    }
}

impl<'a, T: TargetObject, F> AuditedArgument<'a, T, F> {
    /// Makes the object the target, and records that it is not watched.
    pub fn __audited_begin(
        &mut self,
        call: &Call,
        parameter: &'static str,
    ) -> UnwatchedArgument<'a, T> {
        let object = self.0.0.0.take().expect(TAKEN_ONCE);
        record_not_watched(call, object, parameter);
        UnwatchedArgument(Some(object))
    }
}

impl<'a, T: HoldsAudited, F> CollectionArgument<'a, T, F> {
    /// Records that the objects in the collection are not watched.
    pub fn __audited_begin(
        &mut self,
        call: &Call,
        parameter: &'static str,
    ) -> UnwatchedArgument<'a, T> {
        let _busy = mark_busy();
        if let Some(shared) = call.shared() {
            record_unwatched(shared, parameter, None);
        }
        UnwatchedArgument(self.0.0.take())
    }
}

/// A collection of objects with audited fields.
pub trait HoldsAudited {}

impl<T: AuditedFields> HoldsAudited for Vec<T> {}
impl<T: AuditedFields> HoldsAudited for VecDeque<T> {}
impl<T: AuditedFields> HoldsAudited for Option<T> {}
impl<K, T: AuditedFields> HoldsAudited for BTreeMap<K, T> {}
impl<K, T: AuditedFields, S> HoldsAudited for HashMap<K, T, S> {}

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
