//! Whether changes of an object are seen is found by method lookup on its type, as in
//! [`probe`](crate::call::probe).
//!
//! `F` is `fn(&()) -> R`, with the return type as it is spelled. Only if `R` does not hang on the lifetime that
//! is left out there, nothing that is returned can borrow from the object, and it can be looked at afterwards.
//! Where the spelling alone tells that, `F` is [`Own`]: the compiler is quicker then.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::call::lifecycle::Call;
use crate::call::watch::{Watch, unseen};
use crate::fields::AuditedFields;

// ---- receivers --------------------------------------------------------------------------------------

/// An object of a type that is not audited.
pub struct NotAudited<'v, T: ?Sized, F>(&'v T, PhantomData<F>);

/// An object of an audited type, in a call whose value may borrow from it.
pub struct MaybeAudited<'v, T: ?Sized, F>(NotAudited<'v, T, F>);

/// An object of an audited type.
pub struct MaybeWatched<'v, T: ?Sized, F>(MaybeAudited<'v, T, F>);

/// What is returned borrows from nothing.
pub enum Own {}

/// The same as `F`, in a future: what is remembered of the object stands in it, and must be `Send` as the object is.
/// Where that is not known, as of a type parameter, the object is not watched, and that is told.
pub struct InFuture<F>(PhantomData<F>);

/// Looks up whether an object is watched from outside while the body has it. With `()` for `F` it is not, and
/// that is told of an audited type.
#[inline]
pub fn watch<T: ?Sized, F>(object: &T) -> MaybeWatched<'_, T, F> {
    MaybeWatched(MaybeAudited(NotAudited(object, PhantomData)))
}

impl<'v, T: ?Sized, F> Deref for MaybeWatched<'v, T, F> {
    type Target = MaybeAudited<'v, T, F>;

    #[inline]
    fn deref(&self) -> &MaybeAudited<'v, T, F> {
        &self.0
    }
}

impl<'v, T: ?Sized, F> Deref for MaybeAudited<'v, T, F> {
    type Target = NotAudited<'v, T, F>;

    #[inline]
    fn deref(&self) -> &NotAudited<'v, T, F> {
        &self.0
    }
}

impl<T: AuditedFields, R> MaybeWatched<'_, T, fn(&()) -> R> {
    /// Remembers the object as it is.
    pub fn begin(&self, call: &Call, parameter: &'static str) -> Watching<T> {
        Watching(Watch::begin(call, self.0.0.0, parameter))
    }
}

impl<T: AuditedFields> MaybeWatched<'_, T, Own> {
    /// Remembers the object as it is.
    pub fn begin(&self, call: &Call, parameter: &'static str) -> Watching<T> {
        Watching(Watch::begin(call, self.0.0.0, parameter))
    }
}

impl<T: AuditedFields<Snapshot: Send>, R> MaybeWatched<'_, T, InFuture<fn(&()) -> R>> {
    /// Remembers the object as it is.
    pub fn begin(&self, call: &Call, parameter: &'static str) -> Watching<T> {
        Watching(Watch::begin(call, self.0.0.0, parameter))
    }
}

impl<T: AuditedFields<Snapshot: Send>> MaybeWatched<'_, T, InFuture<Own>> {
    /// Remembers the object as it is.
    pub fn begin(&self, call: &Call, parameter: &'static str) -> Watching<T> {
        Watching(Watch::begin(call, self.0.0.0, parameter))
    }
}

impl<T: AuditedFields, F> MaybeAudited<'_, T, F> {
    /// Says that the object is not watched.
    pub fn begin(&self, call: &Call, parameter: &'static str) -> NotWatching {
        tell(call, self.0.0, parameter);
        NotWatching
    }
}

impl<T: ?Sized, F> NotAudited<'_, T, F> {
    /// Does nothing.
    #[inline]
    pub fn begin(&self, _: &Call, _: &'static str) -> NotWatching {
        NotWatching
    }
}

/// The object is not watched, but named.
fn tell<T: AuditedFields>(call: &Call, object: &T, parameter: &'static str) {
    let _busy = crate::busy::busy();
    if let Some(shared) = call.shared() {
        crate::call::watch::about(shared, object);
        unseen(shared, parameter);
    }
}

/// An object that the body has.
pub struct Watching<T: AuditedFields>(Option<Box<Watch<T>>>);

impl<T: AuditedFields> Watching<T> {
    /// Whether there is something to compare.
    #[inline]
    #[must_use]
    pub fn is_watching(&self) -> bool {
        self.0.is_some()
    }

    /// Tells what has changed.
    pub fn finish(&mut self, object: &T) {
        if let Some(watch) = self.0.take() {
            watch.finish(object);
        }
    }

    /// Says that [`reached`] returns.
    #[inline]
    pub fn was_reached(&self, _here: ()) {}
}

/// A future that is dropped early takes the object with it.
impl<T: AuditedFields> Drop for Watching<T> {
    fn drop(&mut self) {
        if let Some(watch) = self.0.take() {
            watch.give_up();
        }
    }
}

/// An object of which nothing is told.
pub struct NotWatching;

impl NotWatching {
    /// Never.
    #[inline]
    #[must_use]
    pub fn is_watching(&self) -> bool {
        false
    }

    /// Does nothing.
    #[inline]
    pub fn finish<T: ?Sized>(&self, _: &T) {}

    /// Says that [`reached`] does not return.
    #[inline]
    pub fn was_reached(&self, _here: Never) {}
}

/// Stands before code that is reached only if an object is watched.
///
/// Which one it is, is said afterwards, by `was_reached`. If it is `!`, the compiler does not check what comes in
/// between for borrows, nor does it warn of it: when it looks for code that can't be reached, it does not yet
/// know the type.
#[inline]
#[must_use]
pub fn reached<V: Reached>() -> V {
    V::reached()
}

/// `()` or `!`
pub trait Reached {
    /// The value, if there is one.
    fn reached() -> Self;
}

impl Reached for () {
    #[inline]
    fn reached() -> Self {}
}

impl Reached for Never {
    fn reached() -> Self {
        unreachable!("nothing is watched")
    }
}

/// `!`, which can't be named yet but as what a function returns.
pub(crate) type Never = <fn() -> ! as Returns>::Value;

/// What a function returns.
pub trait Returns {
    /// Its type.
    type Value;
}

impl<R> Returns for fn() -> R {
    type Value = R;
}

/// Makes the body's closure borrow the whole receiver, and no parts of it: it must be `Send` as the whole is, and
/// outlive what the whole outlives.
#[inline(always)]
pub fn whole<T: ?Sized>(_: &mut T) {}

// ---- other parameters -------------------------------------------------------------------------------

/// An object of a type that is not audited.
pub struct NoLoan<'a, T: ?Sized, F>(Option<&'a mut T>, PhantomData<F>);

/// An object of an audited type, in a call whose value may borrow from it.
pub struct MaybeTold<'a, T: ?Sized, F>(NoLoan<'a, T, F>);

/// An object of an audited type.
pub struct MaybeLoan<'a, T: ?Sized, F>(MaybeTold<'a, T, F>);

/// Looks up whether an object is only lent to the body. `F` is as for [`watch`].
#[inline]
pub fn lend<T: ?Sized, F>(object: &mut T) -> MaybeLoan<'_, T, F> {
    MaybeLoan(MaybeTold(NoLoan(Some(object), PhantomData)))
}

impl<'a, T: ?Sized, F> Deref for MaybeLoan<'a, T, F> {
    type Target = MaybeTold<'a, T, F>;

    fn deref(&self) -> &MaybeTold<'a, T, F> {
        &self.0
    }
}

impl<T: ?Sized, F> DerefMut for MaybeLoan<'_, T, F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<'a, T: ?Sized, F> Deref for MaybeTold<'a, T, F> {
    type Target = NoLoan<'a, T, F>;

    fn deref(&self) -> &NoLoan<'a, T, F> {
        &self.0
    }
}

impl<T: ?Sized, F> DerefMut for MaybeTold<'_, T, F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

const ONCE: &str = "taken once, by the expansion that put it there";

impl<'a, T: AuditedFields, R> MaybeLoan<'a, T, fn(&()) -> R> {
    /// Remembers the object as it is.
    pub fn begin(&mut self, call: &Call, parameter: &'static str) -> Lent<'a, T> {
        Lent::begin(self.0.0.0.take().expect(ONCE), call, parameter)
    }
}

impl<'a, T: AuditedFields> MaybeLoan<'a, T, Own> {
    /// Remembers the object as it is.
    pub fn begin(&mut self, call: &Call, parameter: &'static str) -> Lent<'a, T> {
        Lent::begin(self.0.0.0.take().expect(ONCE), call, parameter)
    }
}

impl<'a, T: AuditedFields<Snapshot: Send>, R> MaybeLoan<'a, T, InFuture<fn(&()) -> R>> {
    /// Remembers the object as it is.
    pub fn begin(&mut self, call: &Call, parameter: &'static str) -> Lent<'a, T> {
        Lent::begin(self.0.0.0.take().expect(ONCE), call, parameter)
    }
}

impl<'a, T: AuditedFields<Snapshot: Send>> MaybeLoan<'a, T, InFuture<Own>> {
    /// Remembers the object as it is.
    pub fn begin(&mut self, call: &Call, parameter: &'static str) -> Lent<'a, T> {
        Lent::begin(self.0.0.0.take().expect(ONCE), call, parameter)
    }
}

impl<'a, T: AuditedFields, F> MaybeTold<'a, T, F> {
    /// Says that the object is not watched.
    pub fn begin(&mut self, call: &Call, parameter: &'static str) -> Given<'a, T> {
        let object = self.0.0.take().expect(ONCE);
        tell(call, object, parameter);
        Given(Some(object))
    }
}

impl<'a, T: ?Sized, F> NoLoan<'a, T, F> {
    /// Takes the object.
    #[inline]
    pub fn begin(&mut self, _: &Call, _: &'static str) -> Given<'a, T> {
        Given(self.0.take())
    }
}

/// An object that is lent to the body, and looked at when the body has ended, however it did.
pub struct Lent<'a, T: AuditedFields> {
    object: &'a mut T,
    watch: Option<Box<Watch<T>>>,
}

impl<'a, T: AuditedFields> Lent<'a, T> {
    fn begin(object: &'a mut T, call: &Call, parameter: &'static str) -> Self {
        Self { watch: Watch::begin(call, object, parameter), object }
    }

    /// The object as an argument.
    #[must_use]
    pub fn argument(&self) -> &&'a mut T {
        &self.object
    }

    /// Lends the object.
    #[inline]
    pub fn lend(&mut self) -> &mut T {
        self.object
    }

    /// Tells what has changed.
    pub fn finish(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.finish(self.object);
        }
    }
}

/// A future that is dropped early gives the object back all the same.
impl<T: AuditedFields> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        self.finish();
    }
}

/// An object that is the body's for good.
pub struct Given<'a, T: ?Sized>(Option<&'a mut T>);

impl<'a, T: ?Sized> Given<'a, T> {
    /// The object as an argument.
    ///
    /// # Panics
    ///
    /// When the object has been handed over.
    #[inline]
    #[must_use]
    pub fn argument(&self) -> &&'a mut T {
        self.0.as_ref().expect(ONCE)
    }

    /// Hands the object over.
    ///
    /// # Panics
    ///
    /// The second time.
    #[inline]
    pub fn lend(&mut self) -> &'a mut T {
        self.0.take().expect(ONCE)
    }

    /// Does nothing.
    #[inline]
    pub fn finish(&mut self) {}
}

/// A parameter on its way into a body that borrows what it can: it is moved, also if it is `Copy`.
pub struct Moved<T> {
    /// The parameter.
    pub it: T,
}
