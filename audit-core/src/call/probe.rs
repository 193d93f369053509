//! Finds out how to record a value, by method lookup in the expansion, where its type is known.
//!
//! Each lookup is a chain of wrapper types, from the best way to record a value to the worst. Each
//! wrapper derefs to the next one. A wrapper has the method only if the type of the value meets its
//! bound, and the compiler calls the first method that exists. So users import and implement
//! nothing. In a generic function, the declared bounds decide.
//!
//! For example, `any_value(&value).__audited_record(..)` tries `Serialize`, then `Debug`, then the type name.
//! For most values, [`value_probe`](super::value_probe) comes first.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::IntoFuture;

use serde::Serialize;

use crate::busy::mark_busy;
use crate::call::lifecycle::Call;
use crate::capture;
use crate::scratch;

// ---- values ------------------------------------------------------------------------------------

/// Records any value by the name of its type.
pub struct ValueByTypeName<'v, T: ?Sized> {
    pub(super) value: &'v T,
}

falls_back! {
    /// Records a value that is `Debug`.
    ValueByDebug => ValueByTypeName
}

falls_back! {
    /// Records a collection whose elements are `Debug`.
    ListByDebug => ValueByDebug
}

falls_back! {
    /// Records a value that is `Serialize`.
    ValueBySerialize => ListByDebug
}

/// Looks up how to record a value, whatever it contains.
#[inline]
pub(super) fn any_value<T: ?Sized>(value: &T) -> ValueBySerialize<'_, T> {
    ValueBySerialize(debug_argument(value))
}

/// Looks up how to record a value, without `Serialize`.
#[inline]
pub fn debug_argument<T: ?Sized>(value: &T) -> ListByDebug<'_, T> {
    ListByDebug(ValueByDebug(ValueByTypeName { value }))
}

/// Records a return value by the name of its type, because method lookup does not work on it.
#[inline]
pub fn opaque<T: ?Sized>(value: &T) -> OpaqueOutput<'_, T> {
    OpaqueOutput(ValueByTypeName { value })
}

/// A return value on which method lookup does not work.
pub struct OpaqueOutput<'v, T: ?Sized>(ValueByTypeName<'v, T>);

impl<T: ?Sized> OpaqueOutput<'_, T> {
    /// Records the value as the return value, and how the call ended.
    pub fn __audited_record_output(&self, call: &mut Call) {
        if capture::has_status::<T>() {
            call.set_unknown_status();
        }
        self.0.__audited_record_output(call);
    }
}

/// Records a return value whose type is only known to be `Serialize`.
#[inline]
pub fn by_serialize<T: ?Sized + Serialize>(value: &T) -> ValueBySerialize<'_, T> {
    any_value(value)
}

/// Records a return value whose type is only known to be `Debug`.
#[inline]
pub fn by_debug<T: ?Sized + Debug>(value: &T) -> ListByDebug<'_, T> {
    debug_argument(value)
}

/// A return value that is not recorded.
#[inline]
pub fn skipped<T: ?Sized>(_: &T) -> SkippedOutput {
    SkippedOutput(())
}

/// A return value that is not recorded.
pub struct SkippedOutput(());

impl SkippedOutput {
    /// Records how the call ended.
    pub fn __audited_record_output(&self, call: &mut Call) {
        call.succeeded();
    }
}

impl<T: ?Sized> ValueByTypeName<'_, T> {
    /// The name of a type is safe to record, whatever is in the value.
    #[inline]
    pub fn __audited_checked(&self) -> &Self {
        self
    }
}

records!([T: Serialize + ?Sized] ValueBySerialize<T>, |this, writer| writer.serialize(this.value));
records!([T: capture::DebugList + ?Sized] ListByDebug<T>, |this, writer| {
    writer.debug_list(this.value);
});
records!([T: Debug + ?Sized] ValueByDebug<T>, |this, writer| writer.debug(this.value));
records!([T: ?Sized] ValueByTypeName<T>, |_this, writer| writer.type_name::<T>());

/// Marks the thread as busy, because an audited allocator that recorded this allocation would
/// recurse without end.
fn buffer() -> String {
    let _busy = mark_busy();
    scratch::take()
}

/// Records the return value as `write` writes it, and how the call ended.
pub(super) fn record_output<T: ?Sized>(
    call: &mut Call,
    write: impl FnOnce(capture::ValueWriter<'_>),
) {
    if let Some(running) = call.wants_output()
        && !capture::is_unit::<T>()
    {
        let (mut json, mut cuts) = (buffer(), Vec::new());
        write(capture::ValueWriter::new(&mut json, &mut cuts, "output", running.shared.rules()));
        call.set_output(json, cuts);
    }
    call.succeeded();
}

// ---- outcomes ----------------------------------------------------------------------------------

/// A return value that is neither a `Result` nor a future.
pub struct AnyValue<'v, T: ?Sized>(&'v T);

falls_back! {
    /// A return value, if it is a future, or something that `.await` turns into one.
    MaybeFuture => AnyValue
}

falls_back! {
    /// A return value, if it is a `Result`.
    MaybeResult => MaybeFuture
}

/// Looks up whether a return value is a `Result` or a future. The type decides, so an alias is
/// recognised, too.
#[inline]
pub fn outcome<T: ?Sized>(value: &T) -> MaybeResult<'_, T> {
    MaybeResult(MaybeFuture(AnyValue(value)))
}

/// Stands for a future that cannot be followed: what it will do is not known.
pub struct UnfollowedFuture;

impl<'v, T, E> MaybeResult<'v, Result<T, E>> {
    /// The `Ok` value or the error.
    #[inline]
    pub fn __audited_split(&self) -> Result<&'v T, &'v E> {
        self.0.0.0.as_ref()
    }
}

impl<T: IntoFuture> MaybeFuture<'_, T> {
    /// No value: the end of the call is not known.
    #[inline]
    pub fn __audited_split(&self) -> Result<&'static Infallible, &'static UnfollowedFuture> {
        Err(&UnfollowedFuture)
    }
}

impl<'v, T: ?Sized> AnyValue<'v, T> {
    /// The value; never an error.
    #[inline]
    pub fn __audited_split(&self) -> Result<&'v T, &'v Infallible> {
        Ok(self.0)
    }
}
