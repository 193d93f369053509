//! Runs user code, such as a `Serialize` or a `Display`, while a value is captured.

use std::any::Any;
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::capture::formatters::SingleLine;

thread_local! {
    static IN_PROGRESS: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, which reads a value of the user's, as a part of a capture; `None` if it panics.
pub(crate) fn run_user_code<R>(f: impl FnOnce() -> R) -> Option<R> {
    let guard = UserCodeGuard::enter();
    let result = catch_unwind(AssertUnwindSafe(f)).map_err(drop_panic).ok();
    drop(guard);
    result
}

/// The reason that is recorded for a value whose `Serialize` panics.
const PANICKED: &str = "serialising it panicked";

/// Serialises a part of a value; a panic becomes an error.
#[cold]
pub(crate) fn catch_part<R>(
    serialize: impl FnOnce() -> Result<R, CaptureError>,
) -> Result<R, CaptureError> {
    catch_unwind(AssertUnwindSafe(serialize)).unwrap_or_else(|panic| {
        drop_panic(panic);
        Err(serde::ser::Error::custom(PANICKED))
    })
}

/// Whether this thread is running the `Serialize`, `Debug` or `Display` of a value that is being
/// captured. A panic hook can use it to print nothing: the panic is caught and recorded.
///
/// ```
/// assert!(!audit_core::capture::in_progress());
/// ```
#[inline]
#[must_use]
pub fn in_progress() -> bool {
    IN_PROGRESS.get()
}

/// Marks this thread as running user code for a capture. Captures can be nested, so dropping the
/// guard restores the state before.
pub(crate) struct UserCodeGuard {
    was_in_progress: bool,
}

impl UserCodeGuard {
    #[inline]
    pub(crate) fn enter() -> Self {
        Self { was_in_progress: IN_PROGRESS.replace(true) }
    }
}

impl Drop for UserCodeGuard {
    #[inline]
    fn drop(&mut self) {
        IN_PROGRESS.set(self.was_in_progress);
    }
}

/// Drops the payload of a panic. Its `Drop` may panic again, without end; then it is leaked.
#[cold]
pub(crate) fn drop_panic(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}

/// The longest error text in place of a value, in bytes.
const MAX_ERROR: usize = 200;

/// Why serialising ended before the value did.
///
/// User code receives it, and may return it or replace it. So it contains only an error of user
/// code; what was cut is noted where the value is written.
#[derive(Debug)]
pub(crate) struct CaptureError(
    /// Boxed twice, so that a result of the serializers fits into two registers.
    Option<Box<Box<str>>>,
);

impl CaptureError {
    /// The rest is not wanted: a limit is reached, or the rest is hidden.
    pub(crate) const CUT: Self = Self(None);

    pub(crate) fn into_text(self) -> Cow<'static, str> {
        self.0.map_or(Cow::Borrowed("it ended without a value"), |text| {
            Cow::Owned(text.into_string())
        })
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(text) => f.write_str(text),
            None => f.write_str("the value is cut here to fit the limits"),
        }
    }
}

impl std::error::Error for CaptureError {}

impl serde::ser::Error for CaptureError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let mut line = SingleLine::new(MAX_ERROR);
        // An error here means that the line is full.
        let _ = fmt::write(&mut line, format_args!("{message}"));
        Self(Some(Box::new(line.text.into_boxed_str())))
    }
}
