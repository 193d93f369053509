//! Reads values of any type from JSON text; [`Json::to`](crate::Json::to) uses it.
//!
//! It reads what `serde_json` reads. It also reads values that a capture had to write as text.
//! These are integers of more than 64 bits, NaN and the infinities, bytes, and keys of maps that
//! are not texts.

mod deserializer;
mod entries;
mod error;
mod key;
#[cfg(test)]
mod tests;
mod value;

use serde::de::DeserializeOwned;

use self::deserializer::ValueDeserializer;
use self::error::DeserializeError;
use crate::Error;
use crate::json::read::JsonReader;

/// Reads the value in `text` as `T`.
pub(super) fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    read(text).map_err(|error| Error::permanent(error.to_string()))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, DeserializeError> {
    let mut reader = JsonReader::new(text);
    let value = T::deserialize(ValueDeserializer { reader: &mut reader })?;
    reader.end()?;
    Ok(value)
}
