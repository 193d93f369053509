//! [`Ser`]: the serializer of one value.

use std::fmt;

use audit_record::private::json::{Digits, NUMBER, RAW_VALUE, not_finite};
use serde::Serialize;
use serde::ser::Serializer;

use crate::capture::compound::{Compound, Shape};
use crate::capture::writer::{Path, ROOT, Step, Stop, Writer};

/// Writes one value at its place.
pub(super) struct Ser<'w, 'a> {
    pub(super) w: &'w mut Writer<'a>,
    pub(super) path: &'w Path<'w>,
    /// 1 for the value itself, 2 for what is in it, and so on.
    pub(super) level: usize,
    /// How often a value that leaves no trace in the text, as `Some`, was gone through: a chain
    /// of these takes stack too.
    pub(super) hops: usize,
}

impl<'w, 'a> Ser<'w, 'a> {
    #[inline]
    pub(super) fn root(w: &'w mut Writer<'a>) -> Self {
        Self { w, path: &ROOT, level: 1, hops: 0 }
    }

    /// Begins a list or map with the bracket `open`.
    #[inline]
    fn compound(
        self,
        shape: Shape,
        len: Option<usize>,
        open: &str,
    ) -> Result<Compound<'w, 'a>, Stop> {
        if self.level > self.w.rules.limits.levels() {
            return Err(self.w.too_deep(self.path, self.level));
        }
        self.w.fits(open.len() + 1)?;
        self.w.out.push_str(open);
        Ok(Compound::new(self, shape, len, 0))
    }

    /// Begins the one-entry map that stands for a variant with data, then the data's own bracket.
    fn variant(
        self,
        name: &'static str,
        shape: Shape,
        len: usize,
    ) -> Result<Compound<'w, 'a>, Stop> {
        if self.level + 1 > self.w.rules.limits.levels() {
            return Err(self.w.too_deep(self.path, self.level));
        }
        self.w.fits(name.len() + 7)?;
        self.w.out.push_str("{\"");
        audit_record::private::json::escape(self.w.out, name);
        self.w.out.push_str(if shape == Shape::List { "\":[" } else { "\":{" });
        Ok(Compound::new(self, shape, Some(len), 1))
    }

    /// A value that is written as the one in it.
    #[inline]
    fn transparent<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Stop> {
        let hops = self.hops + 1;
        if hops > self.w.rules.limits.hops() {
            return Err(self.w.too_deep(self.path, self.level));
        }
        value.serialize(Ser { hops, ..self })
    }

    fn wide(self, text: fmt::Arguments<'_>) -> Result<(), Stop> {
        self.w.formatted(self.path, self.level, text)
    }
}

macro_rules! integers {
    ($($method:ident: $ty:ty),*) => {$(
        #[inline]
        fn $method(self, value: $ty) -> Result<(), Stop> {
            self.w.raw(itoa::Buffer::new().format(value))
        }
    )*};
}

impl<'w, 'a> Serializer for Ser<'w, 'a> {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = Compound<'w, 'a>;
    type SerializeTuple = Compound<'w, 'a>;
    type SerializeTupleStruct = Compound<'w, 'a>;
    type SerializeTupleVariant = Compound<'w, 'a>;
    type SerializeMap = Compound<'w, 'a>;
    type SerializeStruct = Compound<'w, 'a>;
    type SerializeStructVariant = Compound<'w, 'a>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Stop> {
        self.w.raw(if value { "true" } else { "false" })
    }

    fn serialize_i128(self, value: i128) -> Result<(), Stop> {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => self.serialize_i64(value),
            (_, Ok(value)) => self.serialize_u64(value),
            _ => self.wide(format_args!("{value}")),
        }
    }

    fn serialize_u128(self, value: u128) -> Result<(), Stop> {
        match u64::try_from(value) {
            Ok(value) => self.serialize_u64(value),
            _ => self.wide(format_args!("{value}")),
        }
    }

    fn serialize_f32(self, value: f32) -> Result<(), Stop> {
        match not_finite(value.into()) {
            Some(name) => self.w.quoted(name),
            None => self.w.raw(Digits::of_f32(value).as_str()),
        }
    }

    fn serialize_f64(self, value: f64) -> Result<(), Stop> {
        match not_finite(value) {
            Some(name) => self.w.quoted(name),
            None => self.w.raw(Digits::of_f64(value).as_str()),
        }
    }

    fn serialize_char(self, value: char) -> Result<(), Stop> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Stop> {
        self.w.text(self.path, self.level, value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Stop> {
        self.w.hex(self.path, self.level, value)
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Stop> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Stop> {
        self.transparent(value)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Stop> {
        self.w.raw("null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Stop> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Stop> {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        self.transparent(value)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        let mut map = self.compound(Shape::Map, Some(1), "{")?;
        map.field(variant, value)?;
        map.end()
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<Compound<'w, 'a>, Stop> {
        self.compound(Shape::List, len, "[")
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<Compound<'w, 'a>, Stop> {
        self.compound(Shape::List, Some(len), "[")
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Compound<'w, 'a>, Stop> {
        self.compound(Shape::List, Some(len), "[")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'w, 'a>, Stop> {
        if self.w.rules.mask.matches_static(variant) {
            let (w, level) = (self.w, self.level);
            let mut map = Ser { w: &mut *w, ..self }.compound(Shape::Map, Some(1), "{")?;
            map.field(variant, &())?;
            map.end()?;
            // Complete: the fields are not wanted.
            w.closed = level;
            return Err(Stop::CUT);
        }
        self.variant(variant, Shape::List, len)
    }

    #[inline]
    fn serialize_map(self, len: Option<usize>) -> Result<Compound<'w, 'a>, Stop> {
        self.compound(Shape::Map, len, "{")
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Compound<'w, 'a>, Stop> {
        if name.starts_with('$') {
            match name {
                RAW_VALUE => return Ok(Compound::new(self, Shape::RawValue, None, 0)),
                NUMBER => return Ok(Compound::new(self, Shape::Number, None, 0)),
                _ => {}
            }
        }
        self.compound(Shape::Map, Some(len), "{")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'w, 'a>, Stop> {
        self.variant(variant, Shape::Map, len)
    }

    fn collect_str<T: ?Sized + fmt::Display>(self, value: &T) -> Result<(), Stop> {
        self.w.formatted(self.path, self.level, format_args!("{value}"))
    }
}

/// The path of `step` below `parent`.
pub(super) fn below<'p>(parent: &'p Path<'p>, step: Step) -> Path<'p> {
    Path { parent: Some(parent), step }
}
