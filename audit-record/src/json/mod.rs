//! [`Json`]: a value that is already JSON text.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;
use crate::json::read::{Text, Wrong};

mod de;
pub(crate) mod read;
pub(crate) mod write;

/// A value as JSON text, exactly as it was captured and as it will be stored.
///
/// Captured values are written as text once, on the thread of the call, and are never
/// parsed again on the way to the store: what is recorded is what was captured, digit by digit.
/// [`to`](Self::to) gives it back as a value. With the feature `serde_json` it can be turned into that crate's
/// values, and compared with them.
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
    /// Takes text that must be one JSON value.
    ///
    /// # Errors
    ///
    /// When `text` is not valid JSON, or nests more than 127 levels deep.
    pub fn parse(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        match read::check(&text) {
            Ok(()) => Ok(Self(text)),
            Err(Wrong::Syntax) => Err(Error::permanent("the text is not valid JSON")),
            Err(Wrong::TooDeep) => Err(Error::permanent(
                "the JSON nests more than 127 levels deep; most parsers could not read it back",
            )),
        }
    }

    /// Takes text that the crates of this project have written as JSON.
    #[doc(hidden)]
    #[must_use]
    pub fn trusted(text: String) -> Self {
        debug_assert_eq!(read::check(&text), Ok(()), "not JSON: {text}");
        Self(text)
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value as `T`.
    ///
    /// Reads what `serde_json` reads, and what was recorded as a text because JSON has no form for it: NaN and
    /// the infinities, integers beyond 64 bits, bytes (`"0x00ff"`), and keys of maps that are no text.
    ///
    /// # Errors
    ///
    /// When the value is not of the shape of `T`; the message begins with the place in it.
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

    /// As a value to capture anew, with all digits of its numbers.
    #[doc(hidden)]
    #[must_use]
    pub fn exactly(&self) -> Text<'_> {
        Text { text: &self.0, number: Some(write::NUMBER) }
    }
}

/// With the feature `serde_json`.
#[cfg(feature = "serde_json")]
impl Json {
    /// The value, parsed. Text that nests too deeply for `serde_json` becomes a JSON string of it.
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

/// Compares by value: the order of keys and the spacing do not matter.
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
        Text { text: &self.0, number: None }.serialize(serializer)
    }
}

impl FromStr for Json {
    type Err = Error;

    /// As [`parse`](Json::parse).
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// Takes any value. Numbers keep all their digits when the text is read by [`Json::to`], or by
/// `serde_json` with its feature `raw_value`.
impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_newtype_struct(write::RAW_VALUE, Whole)
            .map(|Part(text)| Self(text))
    }
}

/// Reads a value that is there, so that `null` is a value and not an absent one.
pub(crate) fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

/// The text of a value, or of a part of one.
struct Part(String);

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Whole)
    }
}

/// Writes what it visits as JSON text.
struct Whole;

macro_rules! displayed {
    ($($visit:ident: $ty:ty),*) => {$(
        fn $visit<E>(self, value: $ty) -> Result<Part, E> {
            Ok(Part(value.to_string()))
        }
    )*};
}

impl<'de> Visitor<'de> for Whole {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    displayed! { visit_bool: bool, visit_u64: u64, visit_i64: i64 }

    fn visit_f64<E>(self, value: f64) -> Result<Part, E> {
        Ok(Part(match write::not_finite(value) {
            Some(name) => format!("\"{name}\""),
            None => write::Digits::of_f64(value).as_str().to_owned(),
        }))
    }

    fn visit_unit<E>(self) -> Result<Part, E> {
        Ok(Part("null".to_owned()))
    }

    fn visit_none<E>(self) -> Result<Part, E> {
        Ok(Part("null".to_owned()))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Part, D::Error> {
        Part::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Part, D::Error> {
        Part::deserialize(deserializer)
    }

    fn visit_str<E>(self, value: &str) -> Result<Part, E> {
        let mut text = String::with_capacity(value.len() + 2);
        write::write_str(&mut text, value);
        Ok(Part(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Part, A::Error> {
        let mut text = String::from("[");
        while let Some(Part(element)) = list.next_element()? {
            text.push_str(if text.len() > 1 { "," } else { "" });
            text.push_str(&element);
        }
        text.push(']');
        Ok(Part(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
        let mut text = String::from("{");
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            if text.len() == 1 && matches!(&*key, write::RAW_VALUE | write::NUMBER) {
                // The text itself, as serde_json hands it over.
                let whole = map.next_value::<Cow<'_, str>>()?;
                return Json::parse(whole.into_owned())
                    .map(|json| Part(json.0))
                    .map_err(A::Error::custom);
            }
            text.push_str(if text.len() > 1 { "," } else { "" });
            write::write_key(&mut text, &key);
            let Part(value) = map.next_value()?;
            text.push_str(&value);
        }
        text.push('}');
        Ok(Part(text))
    }
}
