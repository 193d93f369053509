//! Finds out how to record a returned error, by method lookup as described in
//! [`probe`](super::probe).

use std::any::type_name;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};

use audit_record::ErrorInfo;

use crate::call::lifecycle::Call;
use crate::call::probe::UnfollowedFuture;
use crate::capture::{self, variant_name};

/// Limit of the recorded sources of an error. A chain of sources may be cyclic.
const MAX_SOURCES: usize = 64;
/// Limit of an error's backtrace, in bytes.
#[cfg(any(feature = "anyhow", feature = "eyre"))]
const MAX_TRACEBACK_BYTES: usize = 64 * 1024;

/// Records any error by the name of its type.
pub struct ErrorByTypeName<'e, E: ?Sized> {
    pub(super) error: &'e E,
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
    /// Records an error that is `Display` and `Debug`, with its variant.
    ErrorByBoth => ErrorByDisplay
}

falls_back! {
    /// Records an error by its HTTP status, or by the content of a wrapper such as `Json`.
    ErrorByContent => ErrorByBoth
}

falls_back! {
    /// Records an error that is `std::error::Error`, with its variant and its sources.
    ErrorByChain => ErrorByContent
}

falls_back! {
    /// Records an error of a known type that is not `std::error::Error` itself, but contains one.
    ErrorByKnownType => ErrorByChain
}

/// Looks up how to record an error.
#[inline]
pub fn error<E: ?Sized>(error: &E) -> ErrorByKnownType<'_, E> {
    ErrorByKnownType(ErrorByChain(generic_error(error)))
}

/// The same as [`error`], for a generic error type.
///
/// It does not try `std::error::Error`: a type may implement that only for `'static` parameters.
/// Method lookup ignores lifetimes, so the compiler would select that method and then reject it.
#[inline]
pub fn generic_error<E: ?Sized>(error: &E) -> ErrorByContent<'_, E> {
    ErrorByContent(ErrorByBoth(ErrorByDisplay(ErrorByDebug(ErrorByTypeName { error }))))
}

impl<E: ?Sized> ErrorByTypeName<'_, E> {
    /// Records that the call failed.
    pub fn __audited_record_error(&self, call: &mut Call) {
        failed::<E>(call, None, |_| RenderedError::default());
    }
}

impl<E: Debug + ?Sized> ErrorByDebug<'_, E> {
    /// Records that the call failed.
    pub fn __audited_record_error(&self, call: &mut Call) {
        let error = self.error;
        failed::<E>(call, Some(&|| variant_name(error)), |limit| {
            RenderedError::message_only(text(limit, format_args!("{error:?}")))
        });
    }
}

impl<E: Display + ?Sized> ErrorByDisplay<'_, E> {
    /// Records that the call failed.
    pub fn __audited_record_error(&self, call: &mut Call) {
        let error = self.error;
        failed::<E>(call, None, |limit| {
            RenderedError::message_only(text(limit, format_args!("{error}")))
        });
    }
}

impl<E: Display + Debug + ?Sized> ErrorByBoth<'_, E> {
    /// Records that the call failed.
    pub fn __audited_record_error(&self, call: &mut Call) {
        let error = self.error;
        failed::<E>(call, Some(&|| variant_name(error)), |limit| {
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
        let error = self.error;
        failed::<E>(call, Some(&|| variant_name(error)), |limit| {
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
                error(&**self.error).__audited_record_error(call);
            }
        }
    };
}

boxed_error!();
boxed_error!(Send);
boxed_error!(Send, Sync);

impl ErrorByKnownType<'_, std::io::Error> {
    /// Records that the call failed. The variant is the error's kind: its `Debug` text begins with
    /// a word that tells where the error comes from.
    pub fn __audited_record_error(&self, call: &mut Call) {
        let error = self.error;
        failed::<std::io::Error>(call, Some(&|| variant_name(&error.kind())), |limit| {
            RenderedError::with_sources(limit, text(limit, format_args!("{error}")), error.source())
        });
    }
}

#[cfg(feature = "anyhow")]
impl ErrorByKnownType<'_, anyhow::Error> {
    /// Records that the call failed, with the backtrace if the error has one.
    pub fn __audited_record_error(&self, call: &mut Call) {
        let error = self.error;
        failed::<anyhow::Error>(call, None, |limit| {
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
        let error = self.error;
        failed::<eyre::Report>(call, None, |limit| {
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
pub(super) struct RenderedError {
    message: String,
    sources: Vec<String>,
    traceback: Option<String>,
}

impl RenderedError {
    pub(super) fn message_only(message: String) -> Self {
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

/// Records that the call failed. `variant` and `render` run code of the program; if that panics, the
/// type of the error is still recorded.
pub(super) fn failed<E: ?Sized>(
    call: &mut Call,
    variant: Option<&dyn Fn() -> Option<String>>,
    render: impl FnOnce(usize) -> RenderedError,
) {
    let Some(running) = call.running() else { return };
    let limit = running.shared.rules().limits.bytes;
    let rendered = capture::run_user_code(|| render(limit)).unwrap_or_else(|| {
        RenderedError::message_only("[not recorded: formatting it panicked]".to_owned())
    });
    let mut info =
        ErrorInfo::new(Cow::Borrowed(type_name::<E>()), rendered.message, rendered.sources, None);
    info.variant = variant.and_then(|variant| variant());
    call.failed(info, rendered.traceback);
}

/// The formatted text, cut at `limit` bytes.
fn text(limit: usize, arguments: fmt::Arguments<'_>) -> String {
    capture::format_limited(limit, arguments).text
}
