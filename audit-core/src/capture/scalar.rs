//! [`Scalar`]: takes a value of which only the text is wanted.

use std::fmt;

use audit_record::private::json::{self, Digits, JsonError, JsonText, NUMBER, escape, not_finite};
use serde::Serialize;
use serde::ser::{Error as _, Impossible, Serializer};

use crate::capture::ser::Ser;
use crate::capture::text::Escaping;
use crate::capture::writer::Stop;

/// What the text is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The key of a map, between quotes that are there already.
    Key,
    /// JSON text.
    RawValue,
    /// The digits of a number.
    Number,
}

pub(super) struct Scalar<'w, 'a, 'o> {
    pub(super) ser: Ser<'w, 'a>,
    pub(super) mode: Mode,
    /// Set if the value has no text of its own; nothing is written then.
    pub(super) other: &'o mut bool,
}

impl Scalar<'_, '_, '_> {
    fn text(self, text: &str) -> Result<(), Stop> {
        match self.mode {
            Mode::Key => {
                self.ser.w.fits(text.len())?;
                escape(self.ser.w.out, text);
                self.ser.w.fits(0)
            }
            Mode::RawValue => json(self.ser, text),
            Mode::Number => number(self.ser, text),
        }
    }

    fn other<T>(self) -> Result<T, Stop> {
        *self.other = true;
        Err(Stop::custom("not a text"))
    }
}

/// Reads JSON text and writes it anew, since names in it may have to be hidden.
fn json(ser: Ser<'_, '_>, text: &str) -> Result<(), Stop> {
    match json::check(text) {
        Ok(()) => JsonText { text, number: Some(NUMBER) }.serialize(ser),
        // As a string it would show what is to be hidden.
        Err(JsonError::TooDeep) => Err(ser.w.too_deep(ser.path, ser.level)),
        Err(JsonError::Syntax) => ser.serialize_str(text),
    }
}

/// Keeps the digits as they are.
fn number(ser: Ser<'_, '_>, text: &str) -> Result<(), Stop> {
    if json::is_number(text) {
        return ser.w.raw(text);
    }
    ser.serialize_str(text)
}

macro_rules! integers {
    ($($method:ident: $ty:ty),*) => {$(
        fn $method(self, value: $ty) -> Result<(), Stop> {
            self.text(itoa::Buffer::new().format(value))
        }
    )*};
}

impl<'w, 'a> Serializer for Scalar<'w, 'a, '_> {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = Impossible<(), Stop>;
    type SerializeTuple = Impossible<(), Stop>;
    type SerializeTupleStruct = Impossible<(), Stop>;
    type SerializeTupleVariant = Impossible<(), Stop>;
    type SerializeMap = Impossible<(), Stop>;
    type SerializeStruct = Impossible<(), Stop>;
    type SerializeStructVariant = Impossible<(), Stop>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_i128: i128, serialize_u128: u128
    }

    fn serialize_bool(self, value: bool) -> Result<(), Stop> {
        self.text(if value { "true" } else { "false" })
    }

    fn serialize_f32(self, value: f32) -> Result<(), Stop> {
        match not_finite(value.into()) {
            Some(name) => self.text(name),
            None => self.text(Digits::of_f32(value).as_str()),
        }
    }

    fn serialize_f64(self, value: f64) -> Result<(), Stop> {
        match not_finite(value) {
            Some(name) => self.text(name),
            None => self.text(Digits::of_f64(value).as_str()),
        }
    }

    fn serialize_char(self, value: char) -> Result<(), Stop> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Stop> {
        self.text(value)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Stop> {
        self.other()
    }

    fn serialize_none(self) -> Result<(), Stop> {
        self.other()
    }

    fn serialize_some<T: ?Sized + Serialize>(self, _: &T) -> Result<(), Stop> {
        self.other()
    }

    fn serialize_unit(self) -> Result<(), Stop> {
        self.other()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Stop> {
        self.other()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Stop> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        let hops = self.ser.hops + 1;
        if hops > self.ser.w.rules.limits.hops() {
            return self.other();
        }
        value.serialize(Scalar { ser: Ser { hops, ..self.ser }, ..self })
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Stop> {
        self.other()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Stop> {
        self.other()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Stop> {
        self.other()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Stop> {
        self.other()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Stop> {
        self.other()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Stop> {
        self.other()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Stop> {
        self.other()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Stop> {
        self.other()
    }

    fn collect_str<T: ?Sized + fmt::Display>(self, value: &T) -> Result<(), Stop> {
        if self.mode != Mode::Key {
            return self.text(&value.to_string());
        }
        let w = self.ser.w;
        let room = w.end.saturating_sub(w.out.len());
        let mut escaping = Escaping::new(w.out, room);
        let result = fmt::write(&mut escaping, format_args!("{value}"));
        w.full |= escaping.cut;
        result.map_err(|_| Stop::custom("formatting a key of a map failed"))
    }
}
