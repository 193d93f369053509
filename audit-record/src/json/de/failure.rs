//! [`Failure`]: why a value can't be read, and where in it.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::path::{Segment, write_path};

/// Boxed, for it is handed through every level of a value.
#[derive(Debug)]
pub(super) struct Failure(Box<Inner>);

#[derive(Debug)]
struct Inner {
    message: String,
    /// From the innermost to the outermost.
    place: Vec<Segment<'static>>,
}

impl Failure {
    /// It happened in what is at `segment`.
    pub(super) fn inside(mut self, segment: Segment<'static>) -> Self {
        self.0.place.push(segment);
        self
    }
}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Box::new(Inner { message: message.to_string(), place: Vec::new() }))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match unexpected {
            // In JSON it is called so.
            Unexpected::Unit => {
                Self::custom(format_args!("invalid type: null, expected {expected}"))
            }
            other => Self::custom(format_args!("invalid type: {other}, expected {expected}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = write_path(self.0.place.iter().rev());
        if !place.is_empty() {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Failure {}
