//! [`ValueSerializer`]: writes one value as JSON text.

use std::fmt;

use audit_record::private::json::{self, Digits, not_finite};
use serde::Serialize;
use serde::ser::Serializer;

use crate::capture::compound_serializer::{CompoundKind, CompoundSerializer};
use crate::capture::json_buffer::JsonBuffer;
use crate::capture::path::{PathNode, ROOT};
use crate::capture::policy::{Depth, RawJson, StructContent, VariantForm};
use crate::capture::user_code::CaptureError;

/// Writes one value at its place.
pub(super) struct ValueSerializer<'b, 'a> {
    pub(super) buffer: &'b mut JsonBuffer<'a>,
    pub(super) path: &'b PathNode<'b>,
    pub(super) depth: Depth,
}

impl<'b, 'a> ValueSerializer<'b, 'a> {
    #[inline]
    pub(super) fn root(buffer: &'b mut JsonBuffer<'a>) -> Self {
        Self { buffer, path: &ROOT, depth: Depth::ROOT }
    }

    /// Begins a list or map with the bracket `open`.
    #[inline]
    fn compound(
        self,
        kind: CompoundKind,
        len: Option<usize>,
        open: &str,
    ) -> Result<CompoundSerializer<'b, 'a>, CaptureError> {
        let Some(inner) = self.buffer.policy().inside_brackets(self.depth, 1) else {
            return Err(self.buffer.too_deep(self.path, self.depth));
        };
        self.buffer.require_room(open.len() + 1)?;
        self.buffer.json.push_str(open);
        Ok(CompoundSerializer::new(self, kind, len, inner))
    }

    /// Begins the map with one entry that stands for a variant with several fields, and the list
    /// or map of these.
    fn variant(
        self,
        name: &'static str,
        kind: CompoundKind,
        len: usize,
    ) -> Result<CompoundSerializer<'b, 'a>, CaptureError> {
        let Some(inner) = self.buffer.policy().inside_brackets(self.depth, 2) else {
            return Err(self.buffer.too_deep(self.path, self.depth));
        };
        self.buffer.require_room(name.len() + 7)?;
        self.buffer.json.push_str("{\"");
        json::escape(self.buffer.json, name);
        self.buffer.json.push_str(if kind == CompoundKind::List { "\":[" } else { "\":{" });
        Ok(CompoundSerializer::new(self, kind, Some(len), inner))
    }

    /// Begins a struct that contains JSON text as its only field.
    fn json_struct(self, kind: CompoundKind) -> CompoundSerializer<'b, 'a> {
        let inner = self.depth;
        CompoundSerializer::new(self, kind, None, inner)
    }

    /// Writes the value in a wrapper that leaves no brackets in the text.
    #[inline]
    fn wrapped<T: ?Sized + Serialize>(self, value: &T) -> Result<(), CaptureError> {
        if let Some(left_out) = self.buffer.policy().leaves_out::<T>() {
            return self.buffer.left_out(self.path, left_out);
        }
        match self.buffer.policy().inside_wrapper(self.depth) {
            Some(depth) => value.serialize(ValueSerializer { depth, ..self }),
            None => Err(self.buffer.too_deep(self.path, self.depth)),
        }
    }

    /// Writes what JSON text contains. It is read and written again, since parts may be hidden.
    pub(super) fn raw_json(self, text: &str) -> Result<(), CaptureError> {
        match RawJson::check(text) {
            RawJson::Valid(value) => value.serialize(self),
            RawJson::TooDeep => Err(self.buffer.too_deep(self.path, self.depth)),
            RawJson::Invalid => self.serialize_str(text),
        }
    }

    /// Writes a number with exactly these digits.
    pub(super) fn exact_number(self, digits: &str) -> Result<(), CaptureError> {
        if json::is_number(digits) {
            return self.buffer.verbatim(digits);
        }
        self.serialize_str(digits)
    }

    /// Writes an integer that JSON readers would round.
    fn wide_integer(self, digits: fmt::Arguments<'_>) -> Result<(), CaptureError> {
        self.buffer.formatted(self.path, self.depth, digits)
    }
}

macro_rules! integers {
    ($($method:ident: $ty:ty),*) => {$(
        #[inline]
        fn $method(self, value: $ty) -> Result<(), CaptureError> {
            self.buffer.verbatim(itoa::Buffer::new().format(value))
        }
    )*};
}

impl<'b, 'a> Serializer for ValueSerializer<'b, 'a> {
    type Ok = ();
    type Error = CaptureError;
    type SerializeSeq = CompoundSerializer<'b, 'a>;
    type SerializeTuple = CompoundSerializer<'b, 'a>;
    type SerializeTupleStruct = CompoundSerializer<'b, 'a>;
    type SerializeTupleVariant = CompoundSerializer<'b, 'a>;
    type SerializeMap = CompoundSerializer<'b, 'a>;
    type SerializeStruct = CompoundSerializer<'b, 'a>;
    type SerializeStructVariant = CompoundSerializer<'b, 'a>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), CaptureError> {
        self.buffer.verbatim(if value { "true" } else { "false" })
    }

    fn serialize_i128(self, value: i128) -> Result<(), CaptureError> {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => self.serialize_i64(value),
            (_, Ok(value)) => self.serialize_u64(value),
            _ => self.wide_integer(format_args!("{value}")),
        }
    }

    fn serialize_u128(self, value: u128) -> Result<(), CaptureError> {
        match u64::try_from(value) {
            Ok(value) => self.serialize_u64(value),
            _ => self.wide_integer(format_args!("{value}")),
        }
    }

    fn serialize_f32(self, value: f32) -> Result<(), CaptureError> {
        match not_finite(value.into()) {
            Some(name) => self.buffer.quoted(name),
            None => self.buffer.verbatim(Digits::of_f32(value).as_str()),
        }
    }

    fn serialize_f64(self, value: f64) -> Result<(), CaptureError> {
        match not_finite(value) {
            Some(name) => self.buffer.quoted(name),
            None => self.buffer.verbatim(Digits::of_f64(value).as_str()),
        }
    }

    fn serialize_char(self, value: char) -> Result<(), CaptureError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), CaptureError> {
        self.buffer.text(self.path, self.depth, value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), CaptureError> {
        self.buffer.hex(self.path, self.depth, value)
    }

    #[inline]
    fn serialize_none(self) -> Result<(), CaptureError> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), CaptureError> {
        self.wrapped(value)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), CaptureError> {
        self.buffer.verbatim("null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), CaptureError> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), CaptureError> {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), CaptureError> {
        self.wrapped(value)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), CaptureError> {
        let is_hidden = self.buffer.policy().hides_variant(variant, VariantForm::Newtype);
        let mut map = self.compound(CompoundKind::Map, Some(1), "{")?;
        map.entry(variant, is_hidden, value)?;
        map.end()
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<CompoundSerializer<'b, 'a>, CaptureError> {
        self.compound(CompoundKind::List, len, "[")
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<CompoundSerializer<'b, 'a>, CaptureError> {
        self.compound(CompoundKind::List, Some(len), "[")
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        len: usize,
    ) -> Result<CompoundSerializer<'b, 'a>, CaptureError> {
        self.compound(CompoundKind::List, Some(len), "[")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<CompoundSerializer<'b, 'a>, CaptureError> {
        if !self.buffer.policy().hides_variant(variant, VariantForm::Tuple) {
            return self.variant(variant, CompoundKind::List, len);
        }
        let Self { buffer, path, depth } = self;
        let serializer = ValueSerializer { buffer: &mut *buffer, path, depth };
        let mut map = serializer.compound(CompoundKind::Map, Some(1), "{")?;
        map.entry(variant, true, &())?;
        map.end()?;
        // The value is complete; its fields are not even serialised.
        buffer.complete_level = depth.level;
        Err(CaptureError::CUT)
    }

    #[inline]
    fn serialize_map(self, len: Option<usize>) -> Result<CompoundSerializer<'b, 'a>, CaptureError> {
        self.compound(CompoundKind::Map, len, "{")
    }

    #[inline]
    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<CompoundSerializer<'b, 'a>, CaptureError> {
        match StructContent::of(name) {
            StructContent::Fields => self.compound(CompoundKind::Map, Some(len), "{"),
            StructContent::RawJson => Ok(self.json_struct(CompoundKind::RawJson)),
            StructContent::ExactNumber => Ok(self.json_struct(CompoundKind::ExactNumber)),
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<CompoundSerializer<'b, 'a>, CaptureError> {
        self.variant(variant, CompoundKind::Map, len)
    }

    fn collect_str<T: ?Sized + fmt::Display>(self, value: &T) -> Result<(), CaptureError> {
        self.buffer.formatted(self.path, self.depth, format_args!("{value}"))
    }
}
