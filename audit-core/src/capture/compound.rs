//! [`Compound`]: a list or map while it is written.

use audit_record::private::json::escape;
use serde::Serialize;
use serde::ser::{self, Error as _};

use crate::capture::mask::is_secret_type;
use crate::capture::redacted::REDACTED;
use crate::capture::scalar::{Mode, Scalar};
use crate::capture::ser::{Ser, below};
use crate::capture::writer::{Path, ROOT, Step, Stop, Writer, unescaped};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    List,
    Map,
    /// No list or map: JSON text in the form in which `serde_json` hands it over.
    RawValue,
    /// No list or map: a number in the form in which `serde_json` hands it over.
    Number,
}

/// A list or map that is open.
///
/// Whoever drives it may do anything: leave out a value, drop it without an end, go on after an
/// error or a panic. What it does last decides, and the text up to `sound` is always right.
pub(super) struct Compound<'w, 'a> {
    w: &'w mut Writer<'a>,
    path: &'w Path<'w>,
    /// The level of the innermost bracket.
    level: usize,
    hops: usize,
    shape: Shape,
    /// Brackets around this one that belong to it: 1 for a variant with data, else 0.
    outer: usize,
    /// The length of the text up to which it is in order.
    sound: usize,
    count: usize,
    len: Option<usize>,
    /// A key that has no value yet.
    key: Option<Key>,
    /// Ended; nothing more is written.
    closed: bool,
}

struct Key {
    /// Where its text stands, escaped, without quotes.
    text: (usize, usize),
    hidden: bool,
}

impl<'w, 'a> Compound<'w, 'a> {
    #[inline]
    pub(super) fn new(ser: Ser<'w, 'a>, shape: Shape, len: Option<usize>, outer: usize) -> Self {
        let Ser { w, path, level, hops } = ser;
        let sound = w.out.len();
        let level = level + outer;
        Self { w, path, level, hops, shape, outer, sound, count: 0, len, key: None, closed: false }
    }

    #[inline]
    fn element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Stop> {
        self.begin()?;
        self.value(Step::Index(self.count), false, value)
    }

    #[inline]
    pub(super) fn field<T: ?Sized + Serialize>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        if matches!(self.shape, Shape::RawValue | Shape::Number) {
            return self.json_text(value);
        }
        self.begin()?;
        if self.w.fits(name.len() + 3).is_err() {
            return Err(self.cut_off(true));
        }
        self.w.out.push('"');
        escape(self.w.out, name);
        self.w.out.push_str("\":");
        let hidden = self.w.rules.mask.matches_static(name);
        self.value(Step::Field(name), hidden, value)
    }

    fn key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Stop> {
        self.begin()?;
        self.w.out.push('"');
        let from = self.w.out.len();
        let written = self.key_text(key);
        let to = self.w.out.len();
        if written.is_ok() && self.w.fits(2).is_ok() {
            self.w.out.push_str("\":");
            let hidden = self.w.rules.mask.matches(&unescaped(&self.w.out[from..to]));
            self.key = Some(Key { text: (from, to), hidden });
            return Ok(());
        }
        if self.w.full {
            return Err(self.cut_off(true));
        }
        self.w.out.truncate(self.sound);
        written
    }

    fn key_text<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Stop> {
        if is_secret_type::<T>() {
            self.w.out.push_str(REDACTED);
            return Ok(());
        }
        let mut other = false;
        let ser = Ser { w: self.w, path: self.path, level: self.level + 1, hops: self.hops };
        let result = key.serialize(Scalar { ser, mode: Mode::Key, other: &mut other });
        if !other {
            return result;
        }
        // No text: it is written aside as JSON, and that becomes the text. Levels go on counting
        // there, since keys can hold keys. What is cut there is noted for the map as a whole.
        let (mut text, mut cuts) = (String::new(), Vec::new());
        let mut aside = Writer::new(&mut text, &mut cuts, "", self.w.rules);
        aside.end = self.w.end.saturating_sub(self.w.out.len());
        let level = self.level + 1;
        let ser = Ser { w: &mut aside, path: &ROOT, level, hops: self.hops + 1 };
        let result = key.serialize(ser);
        let complete = aside.closed == level;
        self.w.full |= aside.full;
        if let Err(stop) = result
            && (!complete || self.w.full)
        {
            return Err(stop);
        }
        self.w.fits(text.len())?;
        escape(self.w.out, &text);
        for cut in cuts {
            self.w.note_again(self.path, cut);
        }
        Ok(())
    }

    fn keyed<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Stop> {
        let Some(Key { text, hidden }) = self.key.take() else {
            self.resume()?;
            return Err(Stop::custom("a map gave a value without a key"));
        };
        if self.closed {
            return Err(Stop::CUT);
        }
        self.value(Step::Key(text.0, text.1), hidden, value)
    }

    /// Writes the value for which all is prepared.
    #[inline]
    fn value<T: ?Sized + Serialize>(
        &mut self,
        step: Step,
        hidden: bool,
        value: &T,
    ) -> Result<(), Stop> {
        let from = self.w.out.len();
        let cuts = self.w.cuts.len();
        self.w.closed = 0;
        let result = if hidden || is_secret_type::<T>() {
            self.w.redacted()
        } else {
            let path = below(self.path, step);
            value.serialize(Ser { w: self.w, path: &path, level: self.level + 1, hops: self.hops })
        };
        match result {
            Ok(()) => {
                self.count += 1;
                self.sound = self.w.out.len();
                Ok(())
            }
            Err(stop) => self.value_stopped(from, cuts, stop),
        }
    }

    /// Decides by what was written, not by the error, since that may be one of the user's making.
    #[cold]
    fn value_stopped(&mut self, from: usize, cuts: usize, stop: Stop) -> Result<(), Stop> {
        let complete = self.w.closed == self.level + 1 && self.w.out.len() > from;
        self.w.closed = 0;
        if complete {
            self.count += 1;
            self.sound = self.w.out.len();
        } else {
            self.w.out.truncate(self.sound);
            self.w.cuts.truncate(cuts);
        }
        if self.w.full {
            return Err(self.cut_off(!complete));
        }
        if complete { Ok(()) } else { Err(stop) }
    }

    /// Goes back to where the text was in order, whatever has happened since.
    #[inline]
    fn resume(&mut self) -> Result<(), Stop> {
        self.key = None;
        if self.closed {
            return Err(Stop::CUT);
        }
        if self.w.out.len() != self.sound {
            self.w.out.truncate(self.sound);
        }
        if self.w.full {
            return Err(self.cut_off(true));
        }
        Ok(())
    }

    /// Makes ready for one more element or entry.
    #[inline]
    fn begin(&mut self) -> Result<(), Stop> {
        self.resume()?;
        if self.count >= self.w.rules.limits.length || self.w.fits(1).is_err() {
            return Err(self.cut_off(true));
        }
        if self.count > 0 {
            self.w.out.push(',');
        }
        Ok(())
    }

    /// Ends it before its time: with a mark, if anything is missing; `missing` says that
    /// something is, even if the length that was announced knows nothing of it.
    #[cold]
    fn cut_off(&mut self, missing: bool) -> Stop {
        self.w.out.truncate(self.sound);
        let left = match self.len {
            Some(len) if len > self.count => Some(len - self.count),
            Some(len) if len == self.count && !missing => Some(0),
            _ => None,
        };
        if left != Some(0) {
            if self.count > 0 {
                self.w.out.push(',');
            }
            let list = self.shape == Shape::List;
            match (list, left) {
                (true, Some(n)) => self.w.mark(format_args!("\"… [cut: {n} more elements]\"")),
                (true, None) => self.w.mark(format_args!("\"… [cut: more elements]\"")),
                (false, Some(n)) => self.w.mark(format_args!("\"…\":\"[cut: {n} more entries]\"")),
                (false, None) => self.w.mark(format_args!("\"…\":\"[cut: more entries]\"")),
            }
            let unit = if list { "elements" } else { "entries" };
            self.w.note(self.path, unit, self.count, left.and(self.len));
        }
        self.close();
        self.w.closed = self.level - self.outer;
        Stop::CUT
    }

    #[inline]
    fn close(&mut self) {
        self.closed = true;
        self.w.out.push(if self.shape == Shape::List { ']' } else { '}' });
        if self.outer > 0 {
            self.w.out.push('}');
        }
    }

    #[inline]
    pub(super) fn end(mut self) -> Result<(), Stop> {
        if matches!(self.shape, Shape::RawValue | Shape::Number) {
            return match (self.closed, self.count) {
                (true, _) => Err(Stop::CUT),
                (false, 0) => self.w.raw("null"),
                (false, _) => Ok(()),
            };
        }
        self.resume()?;
        self.close();
        Ok(())
    }

    /// The one field of what is JSON text already.
    fn json_text<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Stop> {
        if self.closed || self.count > 0 {
            return Err(Stop::custom("more than one text for one piece of JSON"));
        }
        // Ended until it has gone well: a panic may leave half of it behind.
        self.closed = true;
        let mode = if self.shape == Shape::Number { Mode::Number } else { Mode::RawValue };
        let mut other = false;
        let ser = Ser { w: self.w, path: self.path, level: self.level, hops: self.hops + 1 };
        value.serialize(Scalar { ser, mode, other: &mut other })?;
        self.closed = false;
        self.count = 1;
        Ok(())
    }
}

impl ser::SerializeSeq for Compound<'_, '_> {
    type Ok = ();
    type Error = Stop;

    #[inline]
    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Stop> {
        self.element(value)
    }

    #[inline]
    fn end(self) -> Result<(), Stop> {
        self.end()
    }
}

impl ser::SerializeTuple for Compound<'_, '_> {
    type Ok = ();
    type Error = Stop;

    #[inline]
    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Stop> {
        self.element(value)
    }

    #[inline]
    fn end(self) -> Result<(), Stop> {
        self.end()
    }
}

impl ser::SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = Stop;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Stop> {
        self.key(key)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Stop> {
        self.keyed(value)
    }

    fn end(self) -> Result<(), Stop> {
        self.end()
    }
}

macro_rules! by_position {
    ($($trait:ident),*) => {$(
        impl ser::$trait for Compound<'_, '_> {
            type Ok = ();
            type Error = Stop;

            #[inline]
            fn serialize_field<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Stop> {
                self.element(value)
            }

            #[inline]
            fn end(self) -> Result<(), Stop> {
                self.end()
            }
        }
    )*};
}

macro_rules! by_name {
    ($($trait:ident),*) => {$(
        impl ser::$trait for Compound<'_, '_> {
            type Ok = ();
            type Error = Stop;

            #[inline]
            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Stop> {
                self.field(name, value)
            }

            #[inline]
            fn end(self) -> Result<(), Stop> {
                self.end()
            }
        }
    )*};
}

by_position!(SerializeTupleStruct, SerializeTupleVariant);
by_name!(SerializeStruct, SerializeStructVariant);
