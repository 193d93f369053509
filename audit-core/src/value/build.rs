//! [`Ser`]: makes a [`Tree`] of a value.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use audit_record::private::json::{Digits, NUMBER, RAW_VALUE, hex, not_finite};
use serde::Serialize;
use serde::ser::{Error as _, Serializer};

use crate::capture::{self, Limits, Mask, Stop};
use crate::value::gather::{Gather, Kind};
use crate::value::hint::{self, Hint};
use crate::value::tree::{Form, TOO_DEEP, Tree};

/// What all parts of one value share.
pub(super) struct State<'m> {
    pub(super) mask: &'m Mask,
    /// Bytes that the rest may take.
    room: usize,
    full: bool,
    /// Whether what was made last is a text of its own, as the key of a map can be.
    pub(super) scalar: bool,
}

impl<'m> State<'m> {
    pub(super) fn new(mask: &'m Mask, room: usize) -> Self {
        Self { mask, room, full: false, scalar: true }
    }

    pub(super) fn root(&mut self) -> Ser<'_, 'm> {
        Ser { state: self, level: 1, hops: 0, hiding: false }
    }

    /// Whether something was left out for lack of room.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    #[inline]
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), Stop> {
        match self.room.checked_sub(bytes) {
            Some(room) if !self.full => {
                self.room = room;
                Ok(())
            }
            _ => {
                self.full = true;
                Err(Stop::CUT)
            }
        }
    }
}

/// Takes one value at its place.
pub(super) struct Ser<'s, 'm> {
    pub(super) state: &'s mut State<'m>,
    /// 1 for the value itself, 2 for what is in it, and so on.
    pub(super) level: usize,
    /// How often a value that leaves no level, as `Some`, was gone through.
    pub(super) hops: usize,
    /// Whether it is made for its hash alone: then nothing in it needs hiding.
    pub(super) hiding: bool,
}

/// The tree of `value`, and what its type says of it.
#[inline]
pub(super) fn taken<T: ?Sized + Serialize>(ser: Ser<'_, '_>, value: &T) -> Result<Tree, Stop> {
    if !ser.hiding && capture::is_secret_type::<T>() {
        return Ok(secret(ser, value));
    }
    ser.state.spend(size_of::<Tree>())?;
    let tree = value.serialize(ser)?;
    Ok(match hint::of::<T>() {
        Hint::None => tree,
        Hint::Set => tree.into_set(),
        Hint::Decimal => tree.into_decimal(),
    })
}

/// Only a hash of `value`. Whatever its code does stays without consequence, as if it had not run.
pub(super) fn secret<T: ?Sized + Serialize>(ser: Ser<'_, '_>, value: &T) -> Tree {
    let ser = Ser { hiding: true, ..ser };
    let tree = match catch_unwind(AssertUnwindSafe(|| taken(ser, value))) {
        Ok(Ok(tree)) => tree,
        Ok(Err(stop)) => Tree::not_recorded(&stop.into_text()),
        Err(panic) => {
            capture::discard(panic);
            Tree::Null
        }
    };
    tree.into_secret()
}

impl<'s, 'm> Ser<'s, 'm> {
    /// Begins what has `levels` more levels in it.
    #[inline]
    fn gather(self, kind: Kind, len: Option<usize>, levels: usize) -> Result<Gather<'s, 'm>, Stop> {
        self.state.scalar = false;
        let deep = self.level + levels > Limits::MAX_DEPTH + 1;
        let kind = if deep { Kind::TooDeep } else { kind };
        let level = self.level + levels;
        Ok(Gather::new(Ser { level, ..self }, kind, len.unwrap_or(0)))
    }

    /// A value that is recorded as the one in it.
    #[inline]
    fn transparent<T: ?Sized + Serialize>(self, value: &T) -> Result<Tree, Stop> {
        let hops = self.hops + 1;
        if hops > 8 * (Limits::MAX_DEPTH + 1) {
            return Ok(too_deep());
        }
        taken(Ser { hops, ..self }, value)
    }

    fn formatted(self, text: fmt::Arguments<'_>) -> Result<Tree, Stop> {
        let mut kept = Kept { text: String::new(), state: self.state };
        fmt::write(&mut kept, text).map_err(|_| Stop::custom("formatting it failed"))?;
        Ok(Tree::Text(kept.text.into()))
    }
}

pub(super) fn too_deep() -> Tree {
    Tree::Text(TOO_DEEP.into())
}

struct Kept<'s, 'm> {
    text: String,
    state: &'s mut State<'m>,
}

impl fmt::Write for Kept<'_, '_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.state.spend(part.len()).map_err(|_| fmt::Error)?;
        self.text.push_str(part);
        Ok(())
    }
}

macro_rules! integers {
    ($($method:ident: $ty:ty),*) => {$(
        #[inline]
        fn $method(self, value: $ty) -> Result<Tree, Stop> {
            #[allow(irrefutable_let_patterns, clippy::unnecessary_fallible_conversions)]
            if let Ok(value) = u64::try_from(value) {
                return Ok(Tree::Unsigned(value));
            }
            #[allow(clippy::unnecessary_fallible_conversions)]
            match i64::try_from(value) {
                Ok(value) => Ok(Tree::Signed(value)),
                Err(_) => self.formatted(format_args!("{value}")),
            }
        }
    )*};
}

macro_rules! floats {
    ($($method:ident: $ty:ty, $digits:path;)*) => {$(
        fn $method(self, value: $ty) -> Result<Tree, Stop> {
            Ok(match not_finite(value.into()) {
                Some(name) => Tree::Text(name.into()),
                None => Tree::Number($digits(value).as_str().into()),
            })
        }
    )*};
}

impl<'s, 'm> Serializer for Ser<'s, 'm> {
    type Ok = Tree;
    type Error = Stop;
    type SerializeSeq = Gather<'s, 'm>;
    type SerializeTuple = Gather<'s, 'm>;
    type SerializeTupleStruct = Gather<'s, 'm>;
    type SerializeTupleVariant = Gather<'s, 'm>;
    type SerializeMap = Gather<'s, 'm>;
    type SerializeStruct = Gather<'s, 'm>;
    type SerializeStructVariant = Gather<'s, 'm>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_i128: i128, serialize_u128: u128
    }

    floats! {
        serialize_f32: f32, Digits::of_f32;
        serialize_f64: f64, Digits::of_f64;
    }

    fn serialize_bool(self, value: bool) -> Result<Tree, Stop> {
        Ok(Tree::Bool(value))
    }

    fn serialize_char(self, value: char) -> Result<Tree, Stop> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<Tree, Stop> {
        self.state.spend(value.len())?;
        Ok(Tree::Text(value.into()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Tree, Stop> {
        self.state.scalar = false;
        self.state.spend(2 * value.len())?;
        Ok(Tree::Text(hex(value).into()))
    }

    fn serialize_none(self) -> Result<Tree, Stop> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<Tree, Stop> {
        let Self { state, level, hops, hiding } = self;
        let tree = Ser { state: &mut *state, level, hops, hiding }.transparent(value);
        state.scalar = false;
        tree
    }

    fn serialize_unit(self) -> Result<Tree, Stop> {
        self.state.scalar = false;
        Ok(Tree::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Tree, Stop> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Tree, Stop> {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Tree, Stop> {
        self.transparent(value)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Tree, Stop> {
        let Self { state, level, hops, hiding } = self;
        if level > Limits::MAX_DEPTH {
            state.scalar = false;
            return Ok(too_deep());
        }
        let ser = Ser { state: &mut *state, level: level + 1, hops, hiding };
        let data = match !hiding && ser.state.mask.matches_static(variant) {
            true => Ok(secret(ser, value)),
            false => taken(ser, value),
        };
        state.scalar = false;
        Ok(Tree::Variant(variant, Form::Newtype, Box::new(data?)))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Gather<'s, 'm>, Stop> {
        self.gather(Kind::List, len, 1)
    }

    fn serialize_tuple(self, len: usize) -> Result<Gather<'s, 'm>, Stop> {
        self.gather(Kind::List, Some(len), 1)
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Gather<'s, 'm>, Stop> {
        self.gather(Kind::List, Some(len), 1)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Gather<'s, 'm>, Stop> {
        if !self.hiding && self.state.mask.matches_static(variant) {
            return Ser { hiding: true, ..self }.gather(Kind::Hidden(variant), Some(len), 1);
        }
        self.gather(Kind::Tuple(variant), Some(len), 2)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Gather<'s, 'm>, Stop> {
        self.gather(Kind::Map, len, 1)
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Gather<'s, 'm>, Stop> {
        match name {
            RAW_VALUE => self.gather(Kind::RawValue, None, 0),
            NUMBER => self.gather(Kind::Number, None, 0),
            _ => self.gather(Kind::Map, Some(len), 1),
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Gather<'s, 'm>, Stop> {
        self.gather(Kind::Struct(variant), Some(len), 2)
    }

    fn collect_str<T: ?Sized + fmt::Display>(self, value: &T) -> Result<Tree, Stop> {
        self.formatted(format_args!("{value}"))
    }
}
