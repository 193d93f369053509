//! [`Error`]: the one error type of the `audited` crates.

use std::fmt;
use std::sync::Arc;

/// Why opening, installing, flushing, closing, reading or writing a trail has failed.
///
/// The type is opaque, so that a store's own error type is not a part of this interface. The
/// methods `is_…` say what can be done, and the message is for people.
/// [`source`](std::error::Error::source) returns the error of the store, such as that of SQLite.
/// Clones share that source.
///
/// `Debug` writes the message and all causes in one line, because that is what `main` prints when
/// it returns an error:
///
/// ```
/// use audited::Error;
///
/// let disk = std::io::Error::other("no space left on device");
/// let error = Error::transient("cannot write to `audit.db`").with_source(disk);
/// assert!(error.is_transient());
/// assert_eq!(error.to_string(), "cannot write to `audit.db`");
/// assert_eq!(format!("{error:?}"), "cannot write to `audit.db`: no space left on device");
/// ```
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ErrorKind {
    Permanent,
    Transient,
    Closed,
    Damaged,
}

impl Error {
    /// An error that a retry can't fix. The recorder gives up the records that the store rejects,
    /// and reports them as lost.
    ///
    /// The message names what is wrong, and says what to do.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Permanent, message.into())
    }

    /// An error after which a retry may succeed: the store is locked, full or unreachable. The
    /// recorder keeps the batch and retries it.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Transient, message.into())
    }

    /// A permanent error: the recorder or the store is closed; see [`is_closed`](Self::is_closed).
    #[must_use]
    pub fn closed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Closed, message.into())
    }

    /// A permanent error: the stored data is damaged; see [`is_damaged`](Self::is_damaged).
    #[must_use]
    pub fn damaged(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Damaged, message.into())
    }

    fn new(kind: ErrorKind, message: String) -> Self {
        Self { kind, message, source: None }
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Whether a later retry may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind == ErrorKind::Transient
    }

    /// Whether the recorder or the store was closed before. Install or open a new one.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.kind == ErrorKind::Closed
    }

    /// Whether the stored data is damaged, or the file is not what it claims to be. Keep a copy of
    /// it, and restore a backup.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.kind == ErrorKind::Damaged
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The message and all causes in one line, joined by `: `.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_in_one_line(f, &self.message)?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            f.write_str(": ")?;
            write_in_one_line(f, &error.to_string())?;
            cause = error.source();
        }
        Ok(())
    }
}

fn write_in_one_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for (n, line) in text.lines().enumerate() {
        f.write_str(if n > 0 { " " } else { "" })?;
        f.write_str(line.trim())?;
    }
    Ok(())
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
