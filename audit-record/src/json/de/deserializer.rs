//! [`ValueDeserializer`]: reads one value. Its `Deserializer` implementation is in `value`.
//!
//! It is defined here because reading is recursive: it also reads the entries of a list or map, and
//! keys that are JSON text. Beside it are the conversions of scalars that values and keys share.

use std::borrow::Cow;

use serde::de::{Error as _, Visitor};

use super::error::DeserializeError;
use crate::json::read::JsonReader;

/// Reads one value. It never lends text to a visitor, so values don't borrow from the JSON text.
pub(super) struct ValueDeserializer<'r, 't> {
    pub(super) reader: &'r mut JsonReader<'t>,
}

/// Calls the visitor with the number that `digits` stand for. `-0` is a float, because no integer
/// has a negative zero.
pub(super) fn visit_number<'de, V: Visitor<'de>>(
    digits: &str,
    visitor: V,
) -> Result<V::Value, DeserializeError> {
    if let Ok(number) = digits.parse() {
        return visitor.visit_u64(number);
    }
    match digits.parse() {
        Ok(number @ ..0) => visitor.visit_i64(number),
        _ => visitor.visit_f64(parse_finite(digits)?),
    }
}

fn parse_finite(digits: &str) -> Result<f64, DeserializeError> {
    match digits.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(DeserializeError::custom(format_args!("number out of range: {digits}"))),
    }
}

/// The number that a capture wrote as `text`, because JSON has no form for it.
pub(super) fn parse_not_finite(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The bytes that a capture wrote as `text`.
pub(super) fn parse_bytes(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.strip_prefix("0x")?.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |&[high, low]: &[u8; 2]| Some(digit(high)? << 4 | digit(low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// Calls the visitor with a text.
pub(super) fn visit_text<'de, V: Visitor<'de>>(
    text: Cow<'_, str>,
    visitor: V,
) -> Result<V::Value, DeserializeError> {
    match text {
        Cow::Borrowed(text) => visitor.visit_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}
