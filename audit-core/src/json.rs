//! [`Json`]: a value that is already JSON text.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value as JSON text, exactly as it was captured and as it will be stored.
///
/// Captured values are written as text once, on the thread of the call, and are never
/// parsed again on the way to the store: what is recorded is what was captured, digit by digit.
///
/// ```
/// use audit_core::Json;
///
/// let json = Json::parse(r#"{"amount":"101.67"}"#)?;
/// assert_eq!(json.as_str(), r#"{"amount":"101.67"}"#);
/// assert_eq!(json.to_value()["amount"], "101.67");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Box<str>);

impl Json {
    /// Takes text that must be one JSON value.
    ///
    /// # Errors
    ///
    /// When `text` is not valid JSON.
    pub fn parse(text: impl Into<String>) -> Result<Self, serde_json::Error> {
        let text = text.into();
        serde_json::from_str::<serde::de::IgnoredAny>(&text)?;
        Ok(Self(text.into_boxed_str()))
    }

    /// Takes text that this crate has itself written as JSON.
    pub(crate) fn trusted(text: String) -> Self {
        debug_assert!(
            serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(),
            "not JSON: {text}"
        );
        Self(text.into_boxed_str())
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value, parsed. Text that nests too deeply for `serde_json` becomes a JSON string of it.
    #[must_use]
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).unwrap_or_else(|_| self.0.to_string().into())
    }

    /// The value as `T`.
    ///
    /// # Errors
    ///
    /// When the recorded value does not have the shape of `T`.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Self(value.to_string().into_boxed_str())
    }
}

/// Compares by value: the order of keys and the spacing do not matter.
///
/// ```
/// use audit_core::Json;
/// use serde_json::json;
///
/// let recorded = Json::parse(r#"{ "b": 2, "a": 1 }"#)?;
/// assert_eq!(recorded, json!({"a": 1, "b": 2}));
/// # Ok::<(), serde_json::Error>(())
/// ```
impl PartialEq<serde_json::Value> for Json {
    fn eq(&self, other: &serde_json::Value) -> bool {
        self.to_value() == *other
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(Self::from)
    }
}
