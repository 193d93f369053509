//! [`Redacted`]: a value that is never shown.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::capture::policy::REDACTED;

/// Holds a value that is written as `[redacted]` wherever it is shown, logged or recorded.
///
/// Deserialising works as for the value itself, so the type of a field can be changed to this.
///
/// ```
/// use audited::Redacted;
///
/// let diagnosis = Redacted::new("J45".to_owned());
/// assert_eq!(format!("{diagnosis} {diagnosis:?}"), "[redacted] [redacted]");
/// assert_eq!(serde_json::to_string(&diagnosis)?, r#""[redacted]""#);
/// assert_eq!(diagnosis.expose(), "J45");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Hides `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns a reference to the value itself.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Returns the value itself.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Redacted<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(REDACTED)
    }
}

impl<T> Serialize for Redacted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Redacted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}
