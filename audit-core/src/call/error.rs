//! Finds out how to record a returned error, by method lookup as described in
//! [`probe`](super::probe).

use std::any::type_name;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};
use std::ops::Deref;

use audit_record::ErrorInfo;

use crate::call::lifecycle::Call;
use crate::call::probe::UnfollowedFuture;
use crate::capture;

/// Limit of the recorded sources of an error. A chain of sources may be cyclic.
const MAX_SOURCES: usize = 64;
/// Limit of an error's backtrace, in bytes.
#[cfg(any(feature = "anyhow", feature = "eyre"))]
const MAX_TRACEBACK_BYTES: usize = 64 * 1024;

/// Records any error by the name of its type.
pub struct ErrorByTypeName<'e, E: ?Sized>(&'e E);

/// Defines `$outer`, which derefs to `$inner`. Methods that `$outer` does not have are looked up
/// there.
macro_rules! falls_back {
    ($(#[$meta:meta])* $outer:ident => $inner:ident) => {
        $(#[$meta])*
        pub struct $outer<'e, E: ?Sized>($inner<'e, E>);

        impl<'e, E: ?Sized> Deref for $outer<'e, E> {
            type Target = $inner<'e, E>;

            fn deref(&self) -> &$inner<'e, E> {
                &self.0
            }
        }
    };
}

falls_back! {
    /// Records an error that is only `Debug`.
    ErrorByDebug => ErrorByTypeName
}

falls_back! {
    /// Records an error that is `Display`.
    ErrorByDisplay => ErrorByDebug
}

falls_back! {
    /// Records an error that is `std::error::Error`, with its sources.
    ErrorByChain => ErrorByDisplay
}

falls_back! {
    /// Records an error of a known type that is not `std::error::Error` itself, but contains one.
    ErrorByKnownType => ErrorByChain
}

/// Looks up how to record an error.
#[inline]
pub fn error<E: ?Sized>(error: &E) -> ErrorByKnownType<'_, E> {
    ErrorByKnownType(ErrorByChain(ErrorByDisplay(ErrorByDebug(ErrorByTypeName(error)))))
}

/// The same as [`error`], for a generic error type.
///
/// It does not try `std::error::Error`: a type may implement that only for `'static` parameters.
/// Method lookup ignores lifetimes, so the compiler would select that method and then reject it.
#[inline]
pub fn generic_error<E: ?Sized>(error: &E) -> ErrorByDisplay<'_, E> {
    ErrorByDisplay(ErrorByDebug(ErrorByTypeName(error)))
}

impl<E: ?Sized> ErrorByTypeName<'_, E> {
    /// Records that the call failed.
    pub fn __audited_record_error(&self, call: &mut Call) {
        failed::<E>(call, |_| RenderedError::default());
    }
}

impl<E: Debug + ?Sized> ErrorByDebug<'_, E> {
    /// Records that the call failed.
    pub fn __audited_record_error(&self, call: &mut Call) {
        let error = self.0.0;
        failed::<E>(call, |limit| {
            RenderedError::message_only(text(limit, format_args!("{error:?}")))
        });
    }
}

impl<E: Display + ?Sized> ErrorByDisplay<'_, E> {
    /// Records that the call failed.
    pub fn __audited_record_error(&self, call: &mut Call) {
        let error = self.0.0.0;
        failed::<E>(call, |limit| {
            RenderedError::message_only(text(limit, format_args!("{error}")))
        });
    }
}

/// Not an error: the value is a future that is not followed.
impl ErrorByDisplay<'_, UnfollowedFuture> {
    /// Records that the end of the call is not known, and lists the future as left out.
    pub fn __audited_record_error(&self, call: &mut Call) {
        call.ended_before_its_future();
    }
}

impl<E: StdError + ?Sized> ErrorByChain<'_, E> {
    /// Records that the call failed.
    pub fn __audited_record_error(&self, call: &mut Call) {
        let error = self.0.0.0.0;
        failed::<E>(call, |limit| {
            RenderedError::with_sources(limit, text(limit, format_args!("{error}")), error.source())
        });
    }
}

/// `Box<dyn Error>` does not implement `Error`.
macro_rules! boxed_error {
    ($($auto:ident),*) => {
        impl<'b> ErrorByKnownType<'_, Box<dyn StdError $(+ $auto)* + 'b>> {
            /// Records that the call failed.
            pub fn __audited_record_error(&self, call: &mut Call) {
                error(&**self.0.0.0.0.0).__audited_record_error(call);
            }
        }
    };
}

boxed_error!();
boxed_error!(Send);
boxed_error!(Send, Sync);

#[cfg(feature = "anyhow")]
impl ErrorByKnownType<'_, anyhow::Error> {
    /// Records that the call failed, with the backtrace if the error has one.
    pub fn __audited_record_error(&self, call: &mut Call) {
        let error = self.0.0.0.0.0;
        failed::<anyhow::Error>(call, |limit| {
            let mut rendered = RenderedError::with_sources(
                limit,
                text(limit, format_args!("{error}")),
                error.source(),
            );
            let backtrace = error.backtrace();
            if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
                rendered.traceback = Some(text(MAX_TRACEBACK_BYTES, format_args!("{backtrace}")));
            }
            rendered
        });
    }
}

#[cfg(feature = "eyre")]
impl ErrorByKnownType<'_, eyre::Report> {
    /// Records that the call failed. The `Debug` text becomes the traceback, because only that
    /// contains what the report's handler knows: the location and the backtrace.
    pub fn __audited_record_error(&self, call: &mut Call) {
        let error = self.0.0.0.0.0;
        failed::<eyre::Report>(call, |limit| {
            let mut rendered = RenderedError::with_sources(
                limit,
                text(limit, format_args!("{error}")),
                error.source(),
            );
            rendered.traceback = Some(text(MAX_TRACEBACK_BYTES, format_args!("{error:?}")));
            rendered
        });
    }
}

/// The texts of an error.
#[derive(Default)]
struct RenderedError {
    message: String,
    sources: Vec<String>,
    traceback: Option<String>,
}

impl RenderedError {
    fn message_only(message: String) -> Self {
        Self { message, ..Self::default() }
    }

    fn with_sources(
        limit: usize,
        message: String,
        first: Option<&(dyn StdError + 'static)>,
    ) -> Self {
        let (mut sources, mut next) = (Vec::new(), first);
        while let Some(error) = next
            && sources.len() < MAX_SOURCES
        {
            sources.push(text(limit, format_args!("{error}")));
            next = error.source();
        }
        Self { message, sources, traceback: None }
    }
}

/// Records that the call failed. `render` runs code of the program; if that panics, the type of the
/// error is still recorded.
fn failed<E: ?Sized>(call: &mut Call, render: impl FnOnce(usize) -> RenderedError) {
    let Some(running) = call.running() else { return };
    let limit = running.shared.rules().limits.bytes;
    let rendered = capture::run_user_code(|| render(limit)).unwrap_or_else(|| {
        RenderedError::message_only("[not recorded: formatting it panicked]".to_owned())
    });
    let info =
        ErrorInfo::new(Cow::Borrowed(type_name::<E>()), rendered.message, rendered.sources, None);
    call.failed(info, rendered.traceback);
}

/// The formatted text, cut at `limit` bytes.
fn text(limit: usize, arguments: fmt::Arguments<'_>) -> String {
    capture::format_limited(limit, arguments).text
}
