//! [`Refused`]: the error of a call that did not run, because its audit intent could not be stored.

use std::fmt;
use std::sync::Arc;

/// The error of a call that was refused: its audit intent could not be stored, so its body did not
/// run.
///
/// A function with `on_audit_failure = "refuse"` returns `Result<T, E>` where `E: From<Refused>`.
/// The text of the error says why the call was refused, and what to do. In an `anyhow::Error` it is
/// found by `error.downcast_ref::<Refused>()`.
///
/// ```
/// use audited::{Refused, audit_method};
///
/// #[derive(Debug)]
/// enum BankError { NotAudited(Refused) }
///
/// impl From<Refused> for BankError {
///     fn from(refused: Refused) -> Self { Self::NotAudited(refused) }
/// }
///
/// #[audit_method(action = "transfer funds", on_audit_failure = "refuse")]
/// fn transfer(cents: u64) -> Result<u64, BankError> { Ok(cents) }
///
/// // This program has no recorder, so nothing can be recorded.
/// let Err(BankError::NotAudited(refused)) = transfer(5) else { panic!("it must be refused") };
/// let prefix = "call refused: its audit intent could not be stored: ";
/// assert!(refused.to_string().starts_with(prefix));
/// ```
#[derive(Clone)]
pub struct Refused(Arc<str>);

impl Refused {
    /// `why` names the cause, and says what to do.
    pub(crate) fn new(why: impl Into<Arc<str>>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call refused: its audit intent could not be stored: {}", self.0)
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Refused {}

/// The return type of a function whose calls may be refused: a `Result`.
#[diagnostic::on_unimplemented(
    message = "a call that may be refused returns a `Result`, but this function returns `{Self}`",
    label = "this type cannot hold the error of a refused call",
    note = "with `on_audit_failure = \"refuse\"`, return `Result<T, E>` where \
            `E: From<audited::Refused>`",
    note = "if the function returns a future, make it an `async fn`"
)]
pub trait FromRefused: Sized {
    /// The value that a refused call returns.
    fn from_refused(refused: Refused) -> Self;
}

impl<T, E: RefusedError> FromRefused for Result<T, E> {
    fn from_refused(refused: Refused) -> Self {
        Err(E::from_refused(refused))
    }
}

/// An error that can be created from [`Refused`]. It has its own trait, because a `From` bound
/// would give a compile error without these notes.
#[diagnostic::on_unimplemented(
    message = "the error `{Self}` cannot be created from `audited::Refused`",
    label = "`From<audited::Refused>` is not implemented for `{Self}`",
    note = "`on_audit_failure = \"refuse\"` needs `impl From<audited::Refused> for {Self}`",
    note = "if the error is not your type, return one that is, or `anyhow::Error`, or \
            `Box<dyn Error>`"
)]
pub trait RefusedError {
    /// The error of a refused call.
    fn from_refused(refused: Refused) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<Refused>> RefusedError for E {
    fn from_refused(refused: Refused) -> Self {
        refused.into()
    }
}

/// [`FromRefused`] for a return type that cannot be named in the expansion.
#[must_use]
pub fn from_refused<R: FromRefused>(refused: Refused) -> R {
    R::from_refused(refused)
}
