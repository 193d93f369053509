//! [`DeserializeError`]: why a value can't be read, and the path of the part that can't.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::json::scan::JsonError;
use crate::path::{Segment, write_path};

/// Boxed, because each level of a value returns it.
#[derive(Debug)]
pub(super) struct DeserializeError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    message: String,
    /// From the innermost segment to the outermost.
    path: Vec<Segment<'static>>,
}

impl DeserializeError {
    /// The same error, of the value that contains the failed one at `segment`.
    pub(super) fn inside(mut self, segment: Segment<'static>) -> Self {
        self.0.path.push(segment);
        self
    }
}

impl de::Error for DeserializeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Box::new(Inner { message: message.to_string(), path: Vec::new() }))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match unexpected {
            // Serde calls it "unit value", which is not a word of JSON.
            Unexpected::Unit => {
                Self::custom(format_args!("invalid type: null, expected {expected}"))
            }
            other => Self::custom(format_args!("invalid type: {other}, expected {expected}")),
        }
    }
}

impl From<JsonError> for DeserializeError {
    fn from(error: JsonError) -> Self {
        de::Error::custom(error)
    }
}

impl fmt::Display for DeserializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = write_path(self.0.path.iter().rev());
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for DeserializeError {}
