//! How a returned error can be recorded, found by method lookup as in [`probe`](super::probe).

use std::any::type_name;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};
use std::ops::Deref;

use audit_record::ErrorInfo;

use crate::call::lifecycle::Call;
use crate::capture;

/// Errors of a chain that are recorded; a chain that runs in a circle ends here.
const SOURCES: usize = 64;
/// Bytes of an error's backtrace.
#[cfg(any(feature = "anyhow", feature = "eyre"))]
const TRACEBACK: usize = 64 * 1024;

/// Any error: by the name of its type.
pub struct ByTypeName<'e, E: ?Sized>(&'e E);

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
    /// An error that is only `Debug`.
    ByDebug => ByTypeName
}

falls_back! {
    /// An error that is only `Display`.
    ByDisplay => ByDebug
}

falls_back! {
    /// An error that is `std::error::Error`: with its chain.
    ByError => ByDisplay
}

falls_back! {
    /// An error of a type that is not itself `std::error::Error`, but leads to one.
    ByKnownType => ByError
}

/// Looks up how to record an error.
#[inline]
pub fn error<E: ?Sized>(error: &E) -> ByKnownType<'_, E> {
    ByKnownType(ByError(ByDisplay(ByDebug(ByTypeName(error)))))
}

/// As [`error`], for a generic error: it may be `std::error::Error` only for parameters that outlive
/// `'static`, which is not asked when methods are looked up, and refused afterwards.
#[inline]
pub fn generic_error<E: ?Sized>(error: &E) -> ByDisplay<'_, E> {
    ByDisplay(ByDebug(ByTypeName(error)))
}

impl<E: ?Sized> ByTypeName<'_, E> {
    /// Records that the call failed.
    pub fn record_error(&self, call: &mut Call) {
        failed::<E>(call, |_| Said::default());
    }
}

impl<E: Debug + ?Sized> ByDebug<'_, E> {
    /// Records that the call failed.
    pub fn record_error(&self, call: &mut Call) {
        let error = self.0.0;
        failed::<E>(call, |limit| Said::only(text(limit, format_args!("{error:?}"))));
    }
}

impl<E: Display + ?Sized> ByDisplay<'_, E> {
    /// Records that the call failed.
    pub fn record_error(&self, call: &mut Call) {
        let error = self.0.0.0;
        failed::<E>(call, |limit| Said::only(text(limit, format_args!("{error}"))));
    }
}

impl<E: StdError + ?Sized> ByError<'_, E> {
    /// Records that the call failed.
    pub fn record_error(&self, call: &mut Call) {
        let error = self.0.0.0.0;
        failed::<E>(call, |limit| {
            Said::chain(limit, text(limit, format_args!("{error}")), error.source())
        });
    }
}

/// `Box<dyn Error>` is no `Error` itself.
macro_rules! boxed_error {
    ($($auto:ident),*) => {
        impl<'b> ByKnownType<'_, Box<dyn StdError $(+ $auto)* + 'b>> {
            /// Records that the call failed.
            pub fn record_error(&self, call: &mut Call) {
                error(&**self.0.0.0.0.0).record_error(call);
            }
        }
    };
}

boxed_error!();
boxed_error!(Send);
boxed_error!(Send, Sync);

#[cfg(feature = "anyhow")]
impl ByKnownType<'_, anyhow::Error> {
    /// Records that the call failed, with the backtrace if the error carries one.
    pub fn record_error(&self, call: &mut Call) {
        let error = self.0.0.0.0.0;
        failed::<anyhow::Error>(call, |limit| {
            let mut said = Said::chain(limit, text(limit, format_args!("{error}")), error.source());
            let backtrace = error.backtrace();
            if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
                said.traceback = Some(text(TRACEBACK, format_args!("{backtrace}")));
            }
            said
        });
    }
}

#[cfg(feature = "eyre")]
impl ByKnownType<'_, eyre::Report> {
    /// Records that the call failed. What the report's handler knows of its origin (place, backtrace) is
    /// only in its `Debug` form: that is the traceback.
    pub fn record_error(&self, call: &mut Call) {
        let error = self.0.0.0.0.0;
        failed::<eyre::Report>(call, |limit| {
            let mut said = Said::chain(limit, text(limit, format_args!("{error}")), error.source());
            said.traceback = Some(text(TRACEBACK, format_args!("{error:?}")));
            said
        });
    }
}

/// What an error says of itself.
#[derive(Default)]
struct Said {
    message: String,
    sources: Vec<String>,
    traceback: Option<String>,
}

impl Said {
    fn only(message: String) -> Self {
        Self { message, ..Self::default() }
    }

    fn chain(limit: usize, message: String, first: Option<&(dyn StdError + 'static)>) -> Self {
        let (mut sources, mut next) = (Vec::new(), first);
        while let Some(error) = next
            && sources.len() < SOURCES
        {
            sources.push(text(limit, format_args!("{error}")));
            next = error.source();
        }
        Self { message, sources, traceback: None }
    }
}

/// `say` runs the user's code, which may panic; the call fails with what is known all the same.
fn failed<E: ?Sized>(call: &mut Call, say: impl FnOnce(usize) -> Said) {
    let Some(active) = call.running() else { return };
    let limit = active.shared.rules().limits.bytes;
    let said = capture::guarded(|| say(limit))
        .unwrap_or_else(|| Said::only("[not recorded: formatting it panicked]".to_owned()));
    let info = ErrorInfo::new(Cow::Borrowed(type_name::<E>()), said.message, said.sources, None);
    call.failed(info, said.traceback);
}

/// The formatted text, at most `limit` bytes of it.
fn text(limit: usize, arguments: fmt::Arguments<'_>) -> String {
    capture::bounded(limit, arguments).text
}
