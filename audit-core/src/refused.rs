//! [`Refused`]: a call that was not made, because it could not be put on the record first.

use std::fmt;
use std::sync::Arc;

/// Says that a call with `on_audit_failure = "refuse"` was not made: its intent could not be stored first.
///
/// Such a function returns `Result<T, E>` with `E: From<Refused>`. Its text says why, and what to do. In an
/// `anyhow::Error` it is found by `error.downcast_ref::<Refused>()`.
///
/// ```
/// use audited::Refused;
///
/// #[derive(Debug)]
/// enum BankError { NotAudited(Refused) }
///
/// impl From<Refused> for BankError {
///     fn from(refused: Refused) -> Self { Self::NotAudited(refused) }
/// }
/// ```
#[derive(Clone)]
pub struct Refused(Arc<str>);

impl Refused {
    /// `why` names what was wrong, and says what to do.
    pub(crate) fn new(why: impl Into<Arc<str>>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not done, for it could not be put on the record: {}", self.0)
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Refused {}

/// What a function returns whose calls may be refused.
#[diagnostic::on_unimplemented(
    message = "a call that may be refused returns a `Result`, but this function returns `{Self}`",
    label = "can't say that the call was refused",
    note = "with `on_audit_failure = \"refuse\"`, return `Result<T, E>` where `E: From<audited::Refused>`",
    note = "a function that returns a future: make it an `async fn`"
)]
pub trait FromRefused: Sized {
    /// What is returned in place of what the body would have returned.
    fn from_refused(refused: Refused) -> Self;
}

impl<T, E: RefusedError> FromRefused for Result<T, E> {
    fn from_refused(refused: Refused) -> Self {
        Err(E::from_refused(refused))
    }
}

/// An error that can say that a call was refused. Apart from `From`, for the sake of its message.
#[diagnostic::on_unimplemented(
    message = "the error `{Self}` can't say that a call was refused",
    label = "`From<audited::Refused>` is not implemented for `{Self}`",
    note = "`on_audit_failure = \"refuse\"` needs `impl From<audited::Refused> for {Self}`",
    note = "where the error is not a type of yours: return one that is, or `anyhow::Error`, or `Box<dyn Error>`"
)]
pub trait RefusedError {
    /// The error for a refused call.
    fn from_refused(refused: Refused) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<Refused>> RefusedError for E {
    fn from_refused(refused: Refused) -> Self {
        refused.into()
    }
}

/// [`FromRefused`], where what is returned can't be named.
#[must_use]
pub fn from_refused<R: FromRefused>(refused: Refused) -> R {
    R::from_refused(refused)
}
