//! The one error type of this crate.

use std::fmt;

/// What can go wrong outside a call: opening, installing, flushing, closing, and writing to a store.
///
/// It is opaque on purpose: a store's own error type is no part of this crate's interface. Ask
/// [`is_transient`](Error::is_transient), and read the message; [`source`](std::error::Error::source)
/// leads to the store's own error.
pub struct Error {
    message: String,
    transient: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error that will not go away by trying again.
    ///
    /// `message` names what was wrong and says what to do.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: false, source: None }
    }

    /// An error that may go away by itself, or by somebody's doing: locked, full, unreachable.
    ///
    /// The recorder keeps what it has and tries again.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: true, source: None }
    }

    /// Adds the error behind this one.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether trying again later may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.transient
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The message and what caused it: this is what `main` prints when it returns an error.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, "\n  caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
