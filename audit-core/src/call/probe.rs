//! How a value can be recorded is found by method lookup, where the macro's expansion knows its type.
//!
//! Each chain of wrappers derefs from the best way to the worst. A wrapper's method is there only if the
//! value's type meets its bound; the compiler takes the first wrapper whose method is there. No trait has
//! to be imported, and nothing has to be implemented by the user. In a generic function the declared
//! bounds decide.

use std::any::type_name;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;

use audit_record::Truncation;
use serde::Serialize;

use crate::busy::busy;
use crate::call::future::RecordedFuture;
use crate::call::input::{Gathering, Input};
use crate::call::lifecycle::Call;
use crate::call::wait::{NoRoom, One};
use crate::capture::{self, Rules};
use crate::scratch;

type Cuts = Vec<Truncation>;

/// `$outer` derefs to `$inner`: what it has no method for is looked up there.
macro_rules! falls_back {
    ($(#[$meta:meta])* $outer:ident => $inner:ident) => {
        $(#[$meta])*
        pub struct $outer<'v, T: ?Sized>($inner<'v, T>);

        impl<'v, T: ?Sized> Deref for $outer<'v, T> {
            type Target = $inner<'v, T>;

            #[inline]
            fn deref(&self) -> &$inner<'v, T> {
                &self.0
            }
        }
    };
}

// ---- values -----------------------------------------------------------------------------------------

/// Any value: by the name of its type.
pub struct ByTypeName<'v, T: ?Sized>(&'v T);

falls_back! {
    /// A value that is `Debug`.
    ByDebug => ByTypeName
}

falls_back! {
    /// A value that is `Serialize`.
    BySerialize => ByDebug
}

/// Looks up how to record an argument.
#[inline]
pub fn argument<T: ?Sized>(value: &T) -> BySerialize<'_, T> {
    BySerialize(ByDebug(ByTypeName(value)))
}

/// As [`argument`], without `Serialize`.
#[inline]
pub fn debug_argument<T: ?Sized>(value: &T) -> ByDebug<'_, T> {
    ByDebug(ByTypeName(value))
}

/// Looks up how to record a returned value.
#[inline]
pub fn value<T: ?Sized>(value: &T) -> BySerialize<'_, T> {
    argument(value)
}

/// A returned value whose type can't be asked.
#[inline]
pub fn opaque<T: ?Sized>(value: &T) -> ByTypeName<'_, T> {
    ByTypeName(value)
}

/// A returned value that is known to be `Serialize`, whatever its type is.
#[inline]
pub fn by_serialize<T: ?Sized + Serialize>(value: &T) -> BySerialize<'_, T> {
    argument(value)
}

/// A returned value that is known to be `Debug`, whatever its type is.
#[inline]
pub fn by_debug<T: ?Sized + Debug>(value: &T) -> ByDebug<'_, T> {
    debug_argument(value)
}

/// A returned value that is not to be recorded.
#[inline]
pub fn skipped<T: ?Sized>(_: &T) -> Skipped {
    Skipped(())
}

/// A returned value that is not to be recorded.
pub struct Skipped(());

impl Skipped {
    /// Records success.
    pub fn record_output(&self, call: &mut Call) {
        call.succeeded();
    }
}

/// The three ways in which a wrapper records: as an argument, as a field, as what was returned.
macro_rules! records {
    ($wrapper:ident, $($bound:path)?, |$this:ident, $out:ident, $cuts:ident, $path:ident, $rules:ident| $write:expr) => {
        impl<T: ?Sized $(+ $bound)?> $wrapper<'_, T> {
            /// Records the argument `name`.
            pub fn record(&self, input: &mut Gathering, name: &'static str) {
                input.argument(name, |out, cuts, path, rules| self.write(out, cuts, path, rules));
            }

            /// Records the field `name`.
            pub fn record_field(&self, input: &mut Input, name: &str) {
                input.field(name, |out, cuts, path, rules| self.write(out, cuts, path, rules));
            }

            /// Records what was returned, and with it success.
            pub fn record_output(&self, call: &mut Call) {
                record_output::<T>(call, |out, cuts, path, rules| self.write(out, cuts, path, rules));
            }

            fn write(&self, $out: &mut String, $cuts: &mut Cuts, $path: &str, $rules: &Rules) {
                let $this = self;
                $write
            }
        }
    };
}

records!(BySerialize, Serialize, |this, out, cuts, path, rules| {
    capture::write_serialize(out, cuts, path, rules, this.0.0.0)
});
records!(ByDebug, Debug, |this, out, cuts, path, rules| {
    capture::write_debug(out, cuts, path, rules, this.0.0)
});
records!(ByTypeName, , |_this, out, _cuts, _path, _rules| capture::write_type_name::<T>(out));

/// An audited allocator must not be asked for it as for its own result, or it would never end.
fn buffer() -> String {
    let _busy = busy();
    scratch::take()
}

fn record_output<T: ?Sized>(
    call: &mut Call,
    write: impl FnOnce(&mut String, &mut Cuts, &str, &Rules),
) {
    if let Some(active) = call.wants_output()
        && type_name::<T>() != "()"
    {
        let (mut json, mut cuts) = (buffer(), Vec::new());
        write(&mut json, &mut cuts, "output", active.shared.rules());
        call.set_output(json, cuts);
    }
    call.succeeded();
}

// ---- outcomes ---------------------------------------------------------------------------------------

/// Anything returned that is no `Result`.
pub struct AnyValue<'v, T: ?Sized>(&'v T);

falls_back! {
    /// What was returned, if it is a `Result`.
    MaybeResult => AnyValue
}

/// Looks up whether what was returned is a `Result`, by its type, under whatever name.
#[inline]
pub fn outcome<T: ?Sized>(value: &T) -> MaybeResult<'_, T> {
    MaybeResult(AnyValue(value))
}

impl<'v, T, E> MaybeResult<'v, Result<T, E>> {
    /// The value, or the error.
    #[inline]
    pub fn split(&self) -> Result<&'v T, &'v E> {
        self.0.0.as_ref()
    }
}

impl<'v, T: ?Sized> AnyValue<'v, T> {
    /// The value.
    #[inline]
    pub fn split(&self) -> Result<&'v T, &'v Infallible> {
        Ok(self.0)
    }
}

// ---- futures ----------------------------------------------------------------------------------------

/// Anything returned that is no boxed future.
pub struct NoFuture<T>(Option<T>);

/// What was returned, if it is a boxed future.
pub struct MaybeFuture<T>(NoFuture<T>);

/// What was returned, if it is a boxed future that is `Send`, and so is what it gives.
pub struct MaybeSendFuture<T>(MaybeFuture<T>);

/// Looks up whether what was returned is a boxed future, by its type.
#[inline]
pub fn returned<T>(value: T) -> MaybeSendFuture<T> {
    MaybeSendFuture(MaybeFuture(NoFuture(Some(value))))
}

impl<T> Deref for MaybeSendFuture<T> {
    type Target = MaybeFuture<T>;

    fn deref(&self) -> &MaybeFuture<T> {
        &self.0
    }
}

impl<T> DerefMut for MaybeSendFuture<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut MaybeFuture<T> {
        &mut self.0
    }
}

impl<T> Deref for MaybeFuture<T> {
    type Target = NoFuture<T>;

    fn deref(&self) -> &NoFuture<T> {
        &self.0
    }
}

impl<T> DerefMut for MaybeFuture<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut NoFuture<T> {
        &mut self.0
    }
}

impl<T> NoFuture<T> {
    fn take(&mut self) -> T {
        self.0.take().expect("taken once, by the expansion that put it there")
    }

    /// Records the value.
    #[inline]
    pub fn finish(&mut self, mut call: Call, finish: impl FnOnce(&mut Call, &T)) -> T {
        let value = self.take();
        finish(&mut call, &value);
        value
    }
}

/// A boxed future stays one of the same type; the call ends when it is done. `$room` is where the future keeps its
/// value while it waits for its record: one that is `Send` may not keep a value that is not.
macro_rules! boxed_future {
    ($maybe:ident, ($($bound:ident)?) $(+ $auto:ident)*, $room:expr) => {
        impl<'f, T: $($bound +)? 'f> $maybe<Pin<Box<dyn Future<Output = T> $(+ $auto)* + 'f>>> {
            /// Goes on with the call while the future is polled.
            pub fn finish(
                &mut self,
                call: Call,
                finish: impl FnOnce(&mut Call, &T) $(+ $auto)* + 'f,
            ) -> Pin<Box<dyn Future<Output = T> $(+ $auto)* + 'f>> {
                let future = self.take();
                if call.is_recorded() {
                    Box::pin(RecordedFuture::new(call, future, finish, $room))
                } else {
                    future
                }
            }
        }
    };
}

boxed_future!(MaybeFuture, (), One::new());
boxed_future!(MaybeFuture, () + Send, NoRoom);
boxed_future!(MaybeFuture, () + Send + Sync, NoRoom);
boxed_future!(MaybeSendFuture, (Send) + Send, One::new());
boxed_future!(MaybeSendFuture, (Send) + Send + Sync, One::new());
