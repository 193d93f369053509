//! [`scalar_text`]: the text of a value that has one, such as the key of a map.

use std::fmt;

use audit_record::private::json::{Digits, not_finite};
use serde::Serialize;
use serde::ser::{Error as _, Impossible, Serializer};

use crate::capture::policy::{Depth, Policy, REDACTED};
use crate::capture::user_code::CaptureError;

/// Receives the text of a scalar value.
pub(crate) trait ScalarOutput: Sized {
    /// What it makes of the text.
    type Ok;

    /// Receives the whole text.
    fn text(self, text: &str) -> Result<Self::Ok, CaptureError>;

    /// Receives a text that user code formats: it may be long, and it may fail.
    fn formatted(self, text: fmt::Arguments<'_>) -> Result<Self::Ok, CaptureError> {
        let mut formatted = String::new();
        fmt::write(&mut formatted, text)
            .map_err(|_| CaptureError::custom("formatting it failed"))?;
        self.text(&formatted)
    }
}

/// Gives the text of `value` to `output`. `None` if the value has no text of its own, such as a
/// list; then `output` has received nothing.
pub(crate) fn scalar_text<T: ?Sized + Serialize, O: ScalarOutput>(
    value: &T,
    policy: Policy<'_>,
    depth: Depth,
    output: O,
) -> Result<Option<O::Ok>, CaptureError> {
    if policy.hides_type::<T>() {
        return output.text(REDACTED).map(Some);
    }
    let mut has_no_text = false;
    let serializer = ScalarSerializer { policy, depth, output, has_no_text: &mut has_no_text };
    let result = value.serialize(serializer);
    if has_no_text { Ok(None) } else { result.map(Some) }
}

struct ScalarSerializer<'r, 'f, O> {
    policy: Policy<'r>,
    depth: Depth,
    output: O,
    /// The error alone would not do: user code may replace it by one of its own.
    has_no_text: &'f mut bool,
}

impl<O: ScalarOutput> ScalarSerializer<'_, '_, O> {
    fn no_text<R>(self) -> Result<R, CaptureError> {
        *self.has_no_text = true;
        Err(CaptureError::custom("not a text"))
    }
}

macro_rules! integers {
    ($($method:ident: $ty:ty),*) => {$(
        fn $method(self, value: $ty) -> Result<O::Ok, CaptureError> {
            self.output.text(itoa::Buffer::new().format(value))
        }
    )*};
}

macro_rules! floats {
    ($($method:ident: $ty:ty, $digits:path;)*) => {$(
        fn $method(self, value: $ty) -> Result<O::Ok, CaptureError> {
            match not_finite(value.into()) {
                Some(name) => self.output.text(name),
                None => self.output.text($digits(value).as_str()),
            }
        }
    )*};
}

impl<O: ScalarOutput> Serializer for ScalarSerializer<'_, '_, O> {
    type Ok = O::Ok;
    type Error = CaptureError;
    type SerializeSeq = Impossible<O::Ok, CaptureError>;
    type SerializeTuple = Impossible<O::Ok, CaptureError>;
    type SerializeTupleStruct = Impossible<O::Ok, CaptureError>;
    type SerializeTupleVariant = Impossible<O::Ok, CaptureError>;
    type SerializeMap = Impossible<O::Ok, CaptureError>;
    type SerializeStruct = Impossible<O::Ok, CaptureError>;
    type SerializeStructVariant = Impossible<O::Ok, CaptureError>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_i128: i128, serialize_u128: u128
    }

    floats! {
        serialize_f32: f32, Digits::of_f32;
        serialize_f64: f64, Digits::of_f64;
    }

    fn serialize_bool(self, value: bool) -> Result<O::Ok, CaptureError> {
        self.output.text(if value { "true" } else { "false" })
    }

    fn serialize_char(self, value: char) -> Result<O::Ok, CaptureError> {
        self.output.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<O::Ok, CaptureError> {
        self.output.text(value)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<O::Ok, CaptureError> {
        self.output.text(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<O::Ok, CaptureError> {
        if self.policy.hides_type::<T>() {
            return self.output.text(REDACTED);
        }
        match self.policy.inside_wrapper(self.depth) {
            Some(depth) => value.serialize(ScalarSerializer { depth, ..self }),
            None => self.no_text(),
        }
    }

    fn collect_str<T: ?Sized + fmt::Display>(self, value: &T) -> Result<O::Ok, CaptureError> {
        self.output.formatted(format_args!("{value}"))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<O::Ok, CaptureError> {
        self.no_text()
    }

    fn serialize_none(self) -> Result<O::Ok, CaptureError> {
        self.no_text()
    }

    fn serialize_some<T: ?Sized + Serialize>(self, _: &T) -> Result<O::Ok, CaptureError> {
        self.no_text()
    }

    fn serialize_unit(self) -> Result<O::Ok, CaptureError> {
        self.no_text()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<O::Ok, CaptureError> {
        self.no_text()
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<O::Ok, CaptureError> {
        self.no_text()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, CaptureError> {
        self.no_text()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, CaptureError> {
        self.no_text()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, CaptureError> {
        self.no_text()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, CaptureError> {
        self.no_text()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, CaptureError> {
        self.no_text()
    }

    fn serialize_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, CaptureError> {
        self.no_text()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, CaptureError> {
        self.no_text()
    }
}
