//! [`Json`]: a captured value, kept as its JSON text.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;
use crate::json::scan::{JsonError, check};
use crate::json::serialize::JsonText;
use crate::json::{de, write};

/// A value as JSON text, exactly as it was captured and as it is stored.
///
/// The thread of the call writes a captured value as text once. Nothing parses it again before it
/// is stored, so numbers keep all their digits. [`to`](Self::to) reads it as a value. With the
/// feature `serde_json`, it can be converted to values of that crate, and compared with them.
///
/// ```
/// use audited::Json;
///
/// let json = Json::parse(r#"{"amount":"101.67"}"#)?;
/// assert_eq!(json.as_str(), r#"{"amount":"101.67"}"#);
/// # Ok::<(), audited::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(String);

impl Json {
    /// Checks that `text` is one JSON value, and keeps it as it is.
    ///
    /// # Errors
    ///
    /// If `text` is not valid JSON, or nests more than 127 levels deep.
    pub fn parse(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        match check(&text) {
            Ok(()) => Ok(Self(text)),
            Err(error @ JsonError::Syntax) => Err(Error::permanent(error.to_string())),
            Err(error @ JsonError::TooDeep) => {
                Err(Error::permanent(format!("{error}; most parsers could not read it back")))
            }
        }
    }

    /// Keeps text that the crates of this project have written as JSON, without a check.
    #[doc(hidden)]
    #[must_use]
    pub fn trusted(text: String) -> Self {
        debug_assert_eq!(check(&text), Ok(()), "not JSON: {text}");
        Self(text)
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the value as `T`.
    ///
    /// It reads what `serde_json` reads. It also reads values that were recorded as text because
    /// JSON has no form for them: NaN and the infinities, integers of more than 64 bits, bytes
    /// (`"0x00ff"`), and keys of maps that are not texts.
    ///
    /// # Errors
    ///
    /// If the value does not fit `T`. The message begins with the path of the part that does not.
    ///
    /// ```
    /// use audited::Json;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Pilot { name: String, age: u32 }
    ///
    /// let json = Json::parse(r#"{"name":"Kara","age":26}"#)?;
    /// let pilot: Pilot = json.to()?;
    /// assert_eq!((pilot.name.as_str(), pilot.age), ("Kara", 26));
    ///
    /// let json = Json::parse(r#"[{"name":"Kara","age":"young"}]"#)?;
    /// let error = json.to::<Vec<Pilot>>().err().map(|error| error.to_string());
    /// assert_eq!(error.as_deref(), Some(r#"[0].age: invalid type: string "young", expected u32"#));
    /// # Ok::<(), audited::Error>(())
    /// ```
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, Error> {
        de::from_text(&self.0)
    }

    /// The value for another capture, with all digits of its numbers.
    #[doc(hidden)]
    #[must_use]
    pub fn exactly(&self) -> JsonText<'_> {
        JsonText { text: &self.0, number: Some(write::NUMBER) }
    }
}

/// With the feature `serde_json`.
#[cfg(feature = "serde_json")]
impl Json {
    /// Parses the value. Text that nests too deep for `serde_json` becomes a string that holds it.
    #[must_use]
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::from_str(&self.0).unwrap_or_else(|_| self.0.clone().into())
    }
}

#[cfg(feature = "serde_json")]
impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Self(value.to_string())
    }
}

/// Compares the values: the order of keys and white space do not matter.
///
/// ```
/// use audited::Json;
/// use serde_json::json;
///
/// let recorded = Json::parse(r#"{ "b": 2, "a": 1 }"#)?;
/// assert_eq!(recorded, json!({"a": 1, "b": 2}));
/// # Ok::<(), audited::Error>(())
/// ```
#[cfg(feature = "serde_json")]
impl PartialEq<serde_json::Value> for Json {
    fn eq(&self, other: &serde_json::Value) -> bool {
        self.to_value() == *other
    }
}

impl AsRef<str> for Json {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl AsRef<[u8]> for Json {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
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
        JsonText { text: &self.0, number: None }.serialize(serializer)
    }
}

impl FromStr for Json {
    type Err = Error;

    /// Like [`parse`](Json::parse).
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// Accepts any value. Numbers keep all their digits if the text is read by [`Json::to`], or by
/// `serde_json` with its feature `raw_value`.
impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_newtype_struct(write::RAW_VALUE, TextVisitor)
            .map(|ValueText(text)| Self(text))
    }
}

/// Deserialises a field that is present. Without this, serde would read `null` as an absent value.
pub(crate) fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

/// The JSON text of a value that was deserialised.
struct ValueText(String);

impl<'de> Deserialize<'de> for ValueText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

/// Writes the value that it visits as JSON text.
struct TextVisitor;

macro_rules! displayed {
    ($($visit:ident: $ty:ty),*) => {$(
        fn $visit<E>(self, value: $ty) -> Result<ValueText, E> {
            Ok(ValueText(value.to_string()))
        }
    )*};
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = ValueText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    displayed! { visit_bool: bool, visit_u64: u64, visit_i64: i64 }

    fn visit_f64<E>(self, value: f64) -> Result<ValueText, E> {
        Ok(ValueText(match write::not_finite(value) {
            Some(name) => format!("\"{name}\""),
            None => write::Digits::of_f64(value).as_str().to_owned(),
        }))
    }

    fn visit_unit<E>(self) -> Result<ValueText, E> {
        Ok(ValueText("null".to_owned()))
    }

    fn visit_none<E>(self) -> Result<ValueText, E> {
        Ok(ValueText("null".to_owned()))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<ValueText, D::Error> {
        ValueText::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<ValueText, D::Error> {
        ValueText::deserialize(deserializer)
    }

    fn visit_str<E>(self, value: &str) -> Result<ValueText, E> {
        let mut text = String::with_capacity(value.len() + 2);
        write::write_str(&mut text, value);
        Ok(ValueText(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ValueText, A::Error> {
        let mut text = String::from("[");
        while let Some(ValueText(element)) = list.next_element()? {
            text.push_str(if text.len() > 1 { "," } else { "" });
            text.push_str(&element);
        }
        text.push(']');
        Ok(ValueText(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ValueText, A::Error> {
        let mut text = String::from("{");
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            if text.len() == 1 && matches!(&*key, write::RAW_VALUE | write::NUMBER) {
                // `serde_json` passes the JSON text itself in a map with this key.
                let whole = map.next_value::<Cow<'_, str>>()?;
                return Json::parse(whole.into_owned())
                    .map(|json| ValueText(json.0))
                    .map_err(A::Error::custom);
            }
            text.push_str(if text.len() > 1 { "," } else { "" });
            write::write_key(&mut text, &key);
            let ValueText(value) = map.next_value()?;
            text.push_str(&value);
        }
        text.push('}');
        Ok(ValueText(text))
    }
}
