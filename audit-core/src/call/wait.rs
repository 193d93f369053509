//! Waiting until the record of a call is stored: after the body, before its value is returned.
//!
//! A function that is not async blocks its thread. An `async fn` awaits instead, so that its
//! executor can use the thread. But then the return value becomes part of its future. The future
//! must be `Send` if the future of the same function without the attribute is. So an `async fn`
//! awaits only if its value is known to be `Send`, and blocks otherwise. Method lookup on
//! [`async_output`] and [`output_slot`] decides which, as described in [`probe`](super::probe).

use std::future::Future;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use crate::call::lifecycle::{Call, CallStage};

impl Call {
    /// Blocks this thread until the record is stored, if the call has to wait for it.
    #[inline]
    pub fn wait(&mut self) {
        if self.is_waiting() {
            self.block_until_stored();
        }
    }

    #[cold]
    fn block_until_stored(&mut self) {
        if let Some(CallStage::Ended(queued)) = self.0.take().map(|stage| *stage) {
            queued.wait();
        }
    }

    /// A future that is ready when the record is stored, or at once if the call need not wait.
    pub fn wait_async(&mut self) -> RecordWait<'_> {
        RecordWait(self)
    }

    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.0.as_deref(), Some(CallStage::Ended(_)))
    }

    pub(super) fn poll_stored(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(CallStage::Ended(queued)) = self.0.as_deref_mut() {
            let answer = ready!(Pin::new(&mut queued.receipt).poll(cx));
            if let Err(error) = answer {
                queued.recorder.count_unconfirmed(&error);
            }
            *self.0 = None;
        }
        Poll::Ready(())
    }
}

/// Waits for the record of a call, from [`Call::wait_async`].
pub struct RecordWait<'c>(&'c mut Call);

/// The same holds for [`Call`].
impl UnwindSafe for RecordWait<'_> {}
impl RefUnwindSafe for RecordWait<'_> {}

impl Future for RecordWait<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().0.poll_stored(cx)
    }
}

// ---- the return value of an `async fn` ---------------------------------------------------------

/// A return value that may not be `Send`.
pub struct AnyOutput<R>(Option<R>);

/// A return value, if it is `Send`.
pub struct MaybeSendOutput<R>(AnyOutput<R>);

/// Looks up whether `value` can stay in a future that awaits the record.
#[inline]
pub fn async_output<R>(value: R) -> MaybeSendOutput<R> {
    MaybeSendOutput(AnyOutput(Some(value)))
}

impl<R> Deref for MaybeSendOutput<R> {
    type Target = AnyOutput<R>;

    fn deref(&self) -> &AnyOutput<R> {
        &self.0
    }
}

impl<R> DerefMut for MaybeSendOutput<R> {
    #[inline]
    fn deref_mut(&mut self) -> &mut AnyOutput<R> {
        &mut self.0
    }
}

const TAKEN_ONCE: &str = "the expansion takes the value once";

impl<R: Send> MaybeSendOutput<R> {
    /// Keeps the value while the future awaits the record.
    #[inline]
    pub fn __audited_hold(&mut self) -> SendOutput<R> {
        SendOutput(Mutex::new(self.0.0.take().expect(TAKEN_ONCE)))
    }
}

impl<R> AnyOutput<R> {
    /// Keeps the value. The future must not await anything.
    #[inline]
    pub fn __audited_hold(&mut self) -> LocalOutput<R> {
        LocalOutput(self.0.take().expect(TAKEN_ONCE))
    }
}

/// A return value that stays in the future while that awaits the record.
///
/// The lock is never taken. It makes the future `Sync` and `UnwindSafe` for every type of value.
pub struct SendOutput<R>(Mutex<R>);

impl<R> SendOutput<R> {
    /// Whether the call has to wait for its record.
    #[inline]
    #[must_use]
    pub fn __audited_is_waiting(&self, call: &mut Call) -> bool {
        call.is_waiting()
    }

    /// Fixes the type that [`reached`] returns to `()`.
    #[inline]
    pub fn __audited_was_reached(&self, _here: ()) {}

    /// Returns the value.
    #[inline]
    pub fn __audited_release(self) -> R {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A return value that is not known to be `Send`, so nothing is awaited while it exists.
pub struct LocalOutput<R>(R);

impl<R> LocalOutput<R> {
    /// Blocks until the record is stored, and returns `false`.
    #[inline]
    #[must_use]
    pub fn __audited_is_waiting(&self, call: &mut Call) -> bool {
        call.wait();
        false
    }

    /// Fixes the type that [`reached`] returns to `!`.
    #[inline]
    pub fn __audited_was_reached(&self, _here: Never) {}

    /// Returns the value.
    #[inline]
    pub fn __audited_release(self) -> R {
        self.0
    }
}

// ---- the output of a future that a function returned --------------------------------------------

/// Where a [`ReturnedFuture`](super::future::ReturnedFuture) keeps its output while it awaits the
/// record.
pub trait OutputSlot<T> {
    /// Whether the slot can keep an output.
    const IS_AVAILABLE: bool;

    /// Keeps `output`.
    fn put(&mut self, output: T);

    /// Takes the output, if there is one.
    fn take(&mut self) -> Option<T>;
}

/// A slot for an output that is `Send`. The lock is never taken, as in [`SendOutput`].
///
/// The output is boxed, because few calls wait, and the slot makes the future of each call larger.
pub struct SendSlot<T>(Mutex<Option<Box<T>>>);

impl<T> SendSlot<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn output(&mut self) -> &mut Option<Box<T>> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> OutputSlot<T> for SendSlot<T> {
    const IS_AVAILABLE: bool = true;

    fn put(&mut self, output: T) {
        *self.output() = Some(Box::new(output));
    }

    fn take(&mut self) -> Option<T> {
        self.output().take().map(|output| *output)
    }
}

/// No slot: the output may not be `Send`, or the call never waits.
pub struct NoSlot;

impl<T> OutputSlot<T> for NoSlot {
    const IS_AVAILABLE: bool = false;

    fn put(&mut self, _: T) {
        unreachable!("this slot is not available");
    }

    fn take(&mut self) -> Option<T> {
        None
    }
}

/// A slot for outputs of a type that may not be `Send`.
pub struct AnySlot<T>(PhantomData<T>);

/// A slot for outputs of a type, if that is `Send`.
pub struct MaybeSendSlot<T>(AnySlot<T>);

/// Looks up whether an output of type `T` can stay in a future that awaits the record.
#[inline]
pub fn output_slot<T>() -> MaybeSendSlot<T> {
    MaybeSendSlot(AnySlot(PhantomData))
}

impl<T> Deref for MaybeSendSlot<T> {
    type Target = AnySlot<T>;

    fn deref(&self) -> &AnySlot<T> {
        &self.0
    }
}

impl<T: Send> MaybeSendSlot<T> {
    /// Creates a slot.
    #[inline]
    #[must_use]
    pub fn __audited_make(&self) -> SendSlot<T> {
        SendSlot::new()
    }
}

impl<T> AnySlot<T> {
    /// Creates no slot.
    #[inline]
    #[must_use]
    pub fn __audited_make(&self) -> NoSlot {
        NoSlot
    }
}

/// Marks code that runs only if the return value can stay in the future.
///
/// The type of the result is `()` or `!`, and the method `__audited_was_reached` of the output fixes
/// it afterwards. If it is `!`, the compiler sees no suspension point in between. It does not warn
/// of unreachable code either, because it looks for that before it knows the type.
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
        unreachable!("the output is not held")
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
