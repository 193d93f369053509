//! Follows a boxed future that an audited function returned: the call ends when the future does.
//!
//! The expansion asks [`returned`] by method lookup, as described in [`probe`](super::probe),
//! whether its return type is a boxed future. If it is, the box is replaced by one of the same type
//! that polls the future as the call. Any other value is recorded at once.

use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::ops::Deref;
use std::pin::Pin;

use crate::call::future::ReturnedFuture;
use crate::call::lifecycle::Call;
use crate::call::wait::{NoSlot, SendSlot};

/// A return type that is not a boxed future.
pub struct AnyReturned<T>(PhantomData<fn() -> T>);

/// A return type, if it is a boxed future.
pub struct ReturnedBox<T>(AnyReturned<T>);

/// A return type, if it is a boxed future that is `Send` and has an output that is `Send`.
pub struct ReturnedSendBox<T>(ReturnedBox<T>);

/// Looks up whether values of the return type `T` are boxed futures.
#[inline]
#[must_use]
pub fn returned<T>() -> ReturnedSendBox<T> {
    ReturnedSendBox(ReturnedBox(AnyReturned(PhantomData)))
}

impl<T> Deref for ReturnedSendBox<T> {
    type Target = ReturnedBox<T>;

    #[inline]
    fn deref(&self) -> &ReturnedBox<T> {
        &self.0
    }
}

impl<T> Deref for ReturnedBox<T> {
    type Target = AnyReturned<T>;

    #[inline]
    fn deref(&self) -> &AnyReturned<T> {
        &self.0
    }
}

impl<T> AnyReturned<T> {
    /// Runs `body` as `call`, which is recorded. `finish` records the outcome.
    pub fn __audited_run(
        &self,
        mut call: Call,
        body: impl FnOnce() -> T,
        finish: impl FnOnce(&mut Call, &T),
    ) -> T {
        let value = call.run_recorded(body);
        finish(&mut call, &value);
        value
    }

    /// Records `value` with `finish`, and returns it.
    #[inline]
    pub fn __audited_finish(&self, call: Call, value: T, finish: impl FnOnce(&mut Call, &T)) -> T {
        if call.is_recorded() {
            // Moved first, so that no code for unrecorded calls takes its address: see [`Call`].
            let mut ended = call;
            finish(&mut ended, &value);
        }
        value
    }
}

/// Defines the lookup for a boxed future. It returns a boxed future of the same type, and the call
/// ends when that is ready. `$slot` keeps the output while the future awaits the record. A `Send`
/// future cannot keep an output that is not `Send`.
macro_rules! follows {
    ($lookup:ident, $boxed:ident, $new:path, ($($bound:ident)?) $(+ $auto:ident)*, $slot:expr) => {
        impl<'f, T $(: $bound)?> $lookup<$boxed!('f, T $(+ $auto)*)> {
            /// Runs `body` as `call`, which continues while the future is polled. `finish` records
            /// the output of the future.
            pub fn __audited_run(
                &self,
                mut call: Call,
                body: impl FnOnce() -> $boxed!('f, T $(+ $auto)*),
                finish: impl FnOnce(&mut Call, &T) $(+ $auto)* + 'static,
            ) -> $boxed!('f, T $(+ $auto)*) {
                let future = call.run_recorded(body);
                self.__audited_finish(call, future, finish)
            }

            /// Continues the call while the future is polled. `finish` records the output.
            pub fn __audited_finish(
                &self,
                call: Call,
                future: $boxed!('f, T $(+ $auto)*),
                finish: impl FnOnce(&mut Call, &T) $(+ $auto)* + 'static,
            ) -> $boxed!('f, T $(+ $auto)*) {
                if !call.is_recorded() {
                    return future;
                }
                let followed: $boxed!('_, T $(+ $auto)*) =
                    $new(ReturnedFuture::new(call, future, finish, $slot));
                // SAFETY: only the lifetime of the trait object changes. What is in the new box may
                // live as long as `'f`: `future` may, by its own type, and `call` and `finish` are
                // `'static`. The compiler can't see that: it assumes that a trait object lives only
                // as long as all types that it names, and so would demand `T: 'f`. The output in
                // the slot does not change this. The type of the box names `T`, and an `async`
                // block that keeps a `T` across an await may become a box of this type, too.
                unsafe {
                    mem::transmute::<$boxed!('_, T $(+ $auto)*), $boxed!('f, T $(+ $auto)*)>(
                        followed,
                    )
                }
            }
        }
    };
}

macro_rules! pinned {
    ($life:lifetime, $output:ident $(+ $auto:ident)*) => {
        Pin<Box<dyn Future<Output = $output> $(+ $auto)* + $life>>
    };
}

macro_rules! unpinned {
    ($life:lifetime, $output:ident $(+ $auto:ident)*) => {
        Box<dyn Future<Output = $output> $(+ $auto)* + $life>
    };
}

follows!(ReturnedBox, pinned, Box::pin, (), SendSlot::new());
follows!(ReturnedBox, pinned, Box::pin, () + Send, NoSlot);
follows!(ReturnedBox, pinned, Box::pin, () + Send + Sync, NoSlot);
follows!(ReturnedSendBox, pinned, Box::pin, (Send) + Send, SendSlot::new());
follows!(ReturnedSendBox, pinned, Box::pin, (Send) + Send + Sync, SendSlot::new());
follows!(ReturnedBox, unpinned, Box::new, () + Unpin, SendSlot::new());
follows!(ReturnedBox, unpinned, Box::new, () + Send + Unpin, NoSlot);
follows!(ReturnedSendBox, unpinned, Box::new, (Send) + Send + Unpin, SendSlot::new());
