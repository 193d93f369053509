//! Waiting until the record of a call is stored: after its body, before its value is returned.
//!
//! A function that is not async waits on its thread. An `async fn` awaits, so that its executor's thread is free; but
//! what it returns would then be part of its future, which must be `Send` as the bare function's is. So it awaits
//! only where the value is known to be `Send`, and else waits on its thread. Which it is, method lookup finds on
//! [`keep`], as in [`probe`](super::probe).

use std::future::Future;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use crate::call::lifecycle::{Call, Stage};
use crate::call::watch::probe::Never;

impl Call {
    /// Waits on this thread until the record is stored, if it is to be waited for.
    #[inline]
    pub fn wait(&mut self) {
        if self.is_waiting() {
            self.wait_here();
        }
    }

    #[cold]
    fn wait_here(&mut self) {
        if let Some(Stage::Ended(queued)) = self.0.take().map(|stage| *stage) {
            queued.wait();
        }
    }

    /// Is done when the record is stored.
    pub fn stored(&mut self) -> Stored<'_> {
        Stored(self)
    }

    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.0.as_deref(), Some(Stage::Ended(_)))
    }

    pub(super) fn poll_stored(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(Stage::Ended(queued)) = self.0.as_deref_mut() {
            let answer = ready!(Pin::new(&mut queued.receipt).poll(cx));
            if let Err(error) = answer {
                queued.recorder.unconfirmed(&error);
            }
            *self.0 = None;
        }
        Poll::Ready(())
    }
}

/// Waits for the record of a call; see [`Call::stored`].
pub struct Stored<'c>(&'c mut Call);

/// As the call itself.
impl UnwindSafe for Stored<'_> {}
impl RefUnwindSafe for Stored<'_> {}

impl Future for Stored<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().0.poll_stored(cx)
    }
}

// ---- values that are returned by an `async fn` ---------------------------------------------------------

/// A value that may not be `Send`.
pub struct Any<R>(Option<R>);

/// A value that may be `Send`.
pub struct MaybeSend<R>(Any<R>);

/// Looks up whether `value` can be kept in a future while it waits.
#[inline]
pub fn keep<R>(value: R) -> MaybeSend<R> {
    MaybeSend(Any(Some(value)))
}

impl<R> Deref for MaybeSend<R> {
    type Target = Any<R>;

    fn deref(&self) -> &Any<R> {
        &self.0
    }
}

impl<R> DerefMut for MaybeSend<R> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Any<R> {
        &mut self.0
    }
}

const ONCE: &str = "taken once, by the expansion that put it there";

impl<R: Send> MaybeSend<R> {
    /// Keeps the value.
    #[inline]
    pub fn held(&mut self) -> Held<R> {
        Held(Mutex::new(self.0.0.take().expect(ONCE)))
    }
}

impl<R> Any<R> {
    /// Keeps the value.
    #[inline]
    pub fn held(&mut self) -> Unheld<R> {
        Unheld(self.0.take().expect(ONCE))
    }
}

/// A value that stays in the future while it waits. The lock is never taken: by it, the future is also `Sync` and
/// safe to unwind through, whatever the value is.
pub struct Held<R>(Mutex<R>);

impl<R> Held<R> {
    /// Whether there is something to wait for.
    #[inline]
    #[must_use]
    pub fn is_waiting(&self, call: &mut Call) -> bool {
        call.is_waiting()
    }

    /// Says that [`reached`](super::watch::reached) returns.
    #[inline]
    pub fn was_reached(&self, _here: ()) {}

    /// The value.
    #[inline]
    pub fn release(self) -> R {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A value that must not stay in the future: nothing is awaited any more.
pub struct Unheld<R>(R);

impl<R> Unheld<R> {
    /// Never: it has waited on this thread.
    #[inline]
    #[must_use]
    pub fn is_waiting(&self, call: &mut Call) -> bool {
        call.wait();
        false
    }

    /// Says that [`reached`](super::watch::reached) does not return.
    #[inline]
    pub fn was_reached(&self, _here: Never) {}

    /// The value.
    #[inline]
    pub fn release(self) -> R {
        self.0
    }
}

// ---- values that a future gives -------------------------------------------------------------------------

/// Where a [`RecordedFuture`](super::RecordedFuture) keeps its value while it waits.
pub trait Room<T> {
    /// Whether there is one.
    const IS_THERE: bool;

    /// Keeps `value`.
    fn put(&mut self, value: T);

    /// The value, if there is one.
    fn take(&mut self) -> Option<T>;
}

/// Room for a value. The lock is never taken, as in [`Held`].
pub struct One<T>(Mutex<Option<T>>);

impl<T> One<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn value(&mut self) -> &mut Option<T> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Room<T> for One<T> {
    const IS_THERE: bool = true;

    fn put(&mut self, value: T) {
        *self.value() = Some(value);
    }

    fn take(&mut self) -> Option<T> {
        self.value().take()
    }
}

/// No room: the value may not be `Send`, or nothing is waited for.
pub struct NoRoom;

impl<T> Room<T> for NoRoom {
    const IS_THERE: bool = false;

    fn put(&mut self, _: T) {
        unreachable!("there is no room");
    }

    fn take(&mut self) -> Option<T> {
        None
    }
}

/// Room for a value of a type that may not be `Send`.
pub struct NoRoomFor<T>(PhantomData<T>);

/// Room for a value of a type that may be `Send`.
pub struct MaybeRoomFor<T>(NoRoomFor<T>);

/// Looks up whether a value of type `T` can be kept in a future while it waits.
#[inline]
pub fn room<T>() -> MaybeRoomFor<T> {
    MaybeRoomFor(NoRoomFor(PhantomData))
}

impl<T> Deref for MaybeRoomFor<T> {
    type Target = NoRoomFor<T>;

    fn deref(&self) -> &NoRoomFor<T> {
        &self.0
    }
}

impl<T: Send> MaybeRoomFor<T> {
    /// The room.
    #[inline]
    #[must_use]
    pub fn make(&self) -> One<T> {
        One::new()
    }
}

impl<T> NoRoomFor<T> {
    /// No room.
    #[inline]
    #[must_use]
    pub fn make(&self) -> NoRoom {
        NoRoom
    }
}
