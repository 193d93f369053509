//! [`CompoundSerializer`]: writes a list or map while its parts arrive.

use audit_record::Truncation;
use audit_record::private::json::escape;
use serde::Serialize;
use serde::ser::{self, Error as _};

use crate::capture::json_buffer::{JsonBuffer, Unfinished};
use crate::capture::key_text::KeyText;
use crate::capture::path::{PathNode, PathStep, ROOT, unescaped_key};
use crate::capture::policy::{Depth, bad_key_text};
use crate::capture::scalar_serializer::{ScalarOutput, scalar_text};
use crate::capture::user_code::{CaptureError, catch_part};
use crate::capture::value_serializer::ValueSerializer;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CompoundKind {
    List,
    Map,
    /// No list or map, but JSON text as `serde_json` passes it on.
    RawJson,
    /// No list or map, but a number as `serde_json` passes it on.
    ExactNumber,
}

/// A list or map that is open.
///
/// The user code that fills it may do anything: leave out a value, never end it, continue after
/// an error or a panic. The last call decides, and the text up to `valid_len` is always valid.
pub(super) struct CompoundSerializer<'b, 'a> {
    buffer: &'b mut JsonBuffer<'a>,
    path: &'b PathNode<'b>,
    kind: CompoundKind,
    depth: Depth,
    /// The depth of the parts: one bracket deeper, or two in a variant with several fields.
    inner: Depth,
    /// The length of the JSON text up to which it is valid.
    valid_len: usize,
    count: usize,
    /// How many keys had no text.
    bad_keys: usize,
    announced: Option<usize>,
    /// A key that has no value yet.
    key: Option<WrittenKey>,
    /// Ended; nothing more is written.
    is_closed: bool,
}

struct WrittenKey {
    /// Where it stands in the JSON text, escaped, without quotes.
    start: usize,
    end: usize,
    hides_value: bool,
}

impl<'b, 'a> CompoundSerializer<'b, 'a> {
    #[inline]
    pub(super) fn new(
        serializer: ValueSerializer<'b, 'a>,
        kind: CompoundKind,
        announced: Option<usize>,
        inner: Depth,
    ) -> Self {
        let ValueSerializer { buffer, path, depth } = serializer;
        let valid_len = buffer.json.len();
        Self {
            buffer,
            path,
            kind,
            depth,
            inner,
            valid_len,
            count: 0,
            bad_keys: 0,
            announced,
            key: None,
            is_closed: false,
        }
    }

    #[inline]
    fn element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), CaptureError> {
        self.begin()?;
        self.part(PathStep::Index(self.count), false, value)
    }

    #[inline]
    fn field<T: ?Sized + Serialize>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), CaptureError> {
        if matches!(self.kind, CompoundKind::RawJson | CompoundKind::ExactNumber) {
            return self.json_text(value);
        }
        let is_hidden = self.buffer.policy().hides_field(name);
        self.entry(name, is_hidden, value)
    }

    /// Writes an entry whose key is a name of the program.
    #[inline]
    pub(super) fn entry<T: ?Sized + Serialize>(
        &mut self,
        name: &'static str,
        is_hidden: bool,
        value: &T,
    ) -> Result<(), CaptureError> {
        self.begin()?;
        if self.buffer.require_room(name.len() + 3).is_err() {
            return Err(self.cut_off(true));
        }
        self.buffer.json.push('"');
        escape(self.buffer.json, name);
        self.buffer.json.push_str("\":");
        self.part(PathStep::Field(name), is_hidden, value)
    }

    fn map_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), CaptureError> {
        self.begin()?;
        self.buffer.json.push('"');
        let start = self.buffer.json.len();
        let written = self.key_text(key);
        let mut end = self.buffer.json.len();
        if let Err(error) = written {
            end = self.bad_key(start, &error.into_text());
        }
        if self.buffer.is_full || self.buffer.require_room(2).is_err() {
            return Err(self.cut_off(true));
        }
        self.buffer.json.push_str("\":");
        let text = unescaped_key(&self.buffer.json[start..end]);
        let hides_value = self.buffer.policy().hides_entry(&text);
        self.key = Some(WrittenKey { start, end, hides_value });
        Ok(())
    }

    /// Writes a text in place of the key that begins at `start`, and returns where it ends.
    #[cold]
    fn bad_key(&mut self, start: usize, why: &str) -> usize {
        self.buffer.json.truncate(start);
        if self.buffer.is_full {
            return start;
        }
        self.bad_keys += 1;
        escape(self.buffer.json, &bad_key_text(why, self.bad_keys));
        let end = self.buffer.json.len();
        let path = self.path.child(PathStep::Key { start, end });
        self.buffer.truncated_within(&path, Truncation::not_recorded("", why));
        end
    }

    /// Appends the text of a key. A key that has no text of its own is recorded as its JSON text.
    fn key_text<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), CaptureError> {
        match self.buffer.catches_parts {
            true => catch_part(|| self.key_text_or_panic(key)),
            false => self.key_text_or_panic(key),
        }
    }

    fn key_text_or_panic<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), CaptureError> {
        let policy = self.buffer.policy();
        match scalar_text(key, policy, self.inner, KeyText(self.buffer))? {
            Some(()) => Ok(()),
            None => self.key_json(key),
        }
    }

    /// Writes the key to a buffer of its own first. Depth continues there, since keys can contain
    /// keys. What is cut there is reported for the map as a whole.
    fn key_json<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), CaptureError> {
        let (mut json, mut truncations) = (String::new(), Vec::new());
        let mut key_buffer = JsonBuffer::for_key(self.buffer, &mut json, &mut truncations);
        let depth = self.inner.next_hop();
        let result = key.serialize(ValueSerializer { buffer: &mut key_buffer, path: &ROOT, depth });
        let is_complete = key_buffer.complete_level == depth.level;
        self.buffer.is_full |= key_buffer.is_full;
        if let Err(error) = result
            && (!is_complete || self.buffer.is_full)
        {
            return Err(error);
        }
        self.buffer.require_room(json.len())?;
        escape(self.buffer.json, &json);
        for truncation in truncations {
            self.buffer.truncated_within(self.path, truncation);
        }
        Ok(())
    }

    fn map_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), CaptureError> {
        let Some(WrittenKey { start, end, hides_value }) = self.key.take() else {
            self.resume()?;
            return Err(CaptureError::custom("a map gave a value without a key"));
        };
        if self.is_closed {
            return Err(CaptureError::CUT);
        }
        self.part(PathStep::Key { start, end }, hides_value, value)
    }

    /// Writes a value after its comma and key.
    #[inline]
    fn part<T: ?Sized + Serialize>(
        &mut self,
        step: PathStep,
        is_hidden: bool,
        value: &T,
    ) -> Result<(), CaptureError> {
        let start = self.buffer.json.len();
        let truncations = self.buffer.truncations.len();
        self.buffer.complete_level = 0;
        let path = self.path.child(step);
        let result = if is_hidden {
            self.buffer.redacted()
        } else if let Some(left_out) = self.buffer.policy().leaves_out::<T>() {
            self.buffer.left_out(&path, left_out)
        } else {
            let catches_panic = self.buffer.catches_parts;
            let serializer =
                ValueSerializer { buffer: self.buffer, path: &path, depth: self.inner };
            match catches_panic {
                true => catch_part(|| value.serialize(serializer)),
                false => value.serialize(serializer),
            }
        };
        match result {
            Ok(()) => {
                self.count += 1;
                self.valid_len = self.buffer.json.len();
                Ok(())
            }
            Err(error) => self.part_failed(step, start, truncations, error),
        }
    }

    /// Decides by what was written, not by the error, since user code may have replaced that. A
    /// part that is not complete is replaced by a mark, so that the other parts are kept.
    #[cold]
    fn part_failed(
        &mut self,
        step: PathStep,
        start: usize,
        truncations: usize,
        error: CaptureError,
    ) -> Result<(), CaptureError> {
        let mut is_complete =
            self.buffer.complete_level == self.inner.level && self.buffer.json.len() > start;
        self.buffer.complete_level = 0;
        if !is_complete && !self.buffer.is_full {
            let (path, level, why) = (self.path.child(step), self.inner.level, error.into_text());
            is_complete = self.buffer.part_not_recorded(&path, start, level, &why).is_ok();
        }
        if !is_complete {
            self.buffer.truncations.truncate(truncations);
        }
        if is_complete {
            self.count += 1;
            self.valid_len = self.buffer.json.len();
        }
        if self.buffer.is_full {
            return Err(self.cut_off(!is_complete));
        }
        Ok(())
    }

    /// Goes back to the valid text, whatever has happened since.
    #[inline]
    fn resume(&mut self) -> Result<(), CaptureError> {
        self.key = None;
        if self.is_closed {
            return Err(CaptureError::CUT);
        }
        if self.buffer.json.len() != self.valid_len {
            self.buffer.json.truncate(self.valid_len);
            self.buffer.unfinished = None;
        }
        if self.buffer.is_full {
            return Err(self.cut_off(true));
        }
        Ok(())
    }

    /// Prepares for one more part.
    #[inline]
    fn begin(&mut self) -> Result<(), CaptureError> {
        self.resume()?;
        if self.count >= self.buffer.rules.limits.length || self.buffer.require_room(1).is_err() {
            return Err(self.cut_off(true));
        }
        if self.count > 0 {
            self.buffer.json.push(',');
        }
        Ok(())
    }

    /// Ends the list or map early, with a mark if parts are missing. `is_missing` says that a part
    /// is, even if the announced length does not show it.
    #[cold]
    fn cut_off(&mut self, is_missing: bool) -> CaptureError {
        self.buffer.json.truncate(self.valid_len);
        let left = match self.announced {
            Some(len) if len > self.count => Some(len - self.count),
            Some(len) if len == self.count && !is_missing => Some(0),
            _ => None,
        };
        if left != Some(0) {
            self.mark_missing(left);
            let unit = if self.kind == CompoundKind::List { "elements" } else { "entries" };
            self.buffer.truncated(self.path, unit, self.count, left.and(self.announced));
        }
        self.close();
        self.buffer.complete_level = self.depth.level;
        CaptureError::CUT
    }

    fn mark_missing(&mut self, left: Option<usize>) {
        if self.count > 0 {
            self.buffer.json.push(',');
        }
        let buffer = &mut *self.buffer;
        match (self.kind == CompoundKind::List, left) {
            (true, Some(n)) => buffer.mark(format_args!("\"… [cut: {n} more elements]\"")),
            (true, None) => buffer.mark(format_args!("\"… [cut: more elements]\"")),
            (false, Some(n)) => buffer.mark(format_args!("\"…\":\"[cut: {n} more entries]\"")),
            (false, None) => buffer.mark(format_args!("\"…\":\"[cut: more entries]\"")),
        }
    }

    #[inline]
    fn close(&mut self) {
        self.is_closed = true;
        self.buffer.json.push(if self.kind == CompoundKind::List { ']' } else { '}' });
        if self.inner.level > self.depth.level + 1 {
            self.buffer.json.push('}');
        }
    }

    /// Remembers what has been written, after an error or a panic of user code between two parts.
    #[cold]
    fn leave_open(&mut self) {
        let has_two_brackets = self.inner.level > self.depth.level + 1;
        let brackets = match (self.kind, has_two_brackets) {
            (CompoundKind::List, false) => "]",
            (CompoundKind::List, true) => "]}",
            (CompoundKind::Map, false) => "}",
            (CompoundKind::Map, true) => "}}",
            (CompoundKind::RawJson | CompoundKind::ExactNumber, _) => return,
        };
        self.buffer.unfinished = Some(Unfinished {
            level: self.depth.level,
            valid_len: self.valid_len,
            is_list: self.kind == CompoundKind::List,
            count: self.count,
            brackets,
        });
    }

    #[inline]
    pub(super) fn end(mut self) -> Result<(), CaptureError> {
        if matches!(self.kind, CompoundKind::RawJson | CompoundKind::ExactNumber) {
            return match (self.is_closed, self.count) {
                (true, _) => Err(CaptureError::CUT),
                (false, 0) => self.buffer.verbatim("null"),
                (false, _) => Ok(()),
            };
        }
        self.resume()?;
        self.close();
        Ok(())
    }

    /// Writes the only field of a struct that contains JSON text.
    fn json_text<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), CaptureError> {
        if self.is_closed || self.count > 0 {
            return Err(CaptureError::custom("more than one text for one piece of JSON"));
        }
        // Closed until it has succeeded: a panic may leave half of the text.
        self.is_closed = true;
        let depth = self.depth.next_hop();
        let policy = self.buffer.policy();
        let serializer = ValueSerializer { buffer: self.buffer, path: self.path, depth };
        let written = match self.kind {
            CompoundKind::ExactNumber => {
                scalar_text(value, policy, depth, ExactNumber(serializer))?
            }
            _ => scalar_text(value, policy, depth, RawJsonText(serializer))?,
        };
        if written.is_none() {
            return Err(CaptureError::custom("not a text"));
        }
        self.is_closed = false;
        self.count = 1;
        Ok(())
    }
}

impl Drop for CompoundSerializer<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_closed {
            self.leave_open();
        }
    }
}

struct RawJsonText<'b, 'a>(ValueSerializer<'b, 'a>);

impl ScalarOutput for RawJsonText<'_, '_> {
    type Ok = ();

    fn text(self, text: &str) -> Result<(), CaptureError> {
        self.0.raw_json(text)
    }
}

struct ExactNumber<'b, 'a>(ValueSerializer<'b, 'a>);

impl ScalarOutput for ExactNumber<'_, '_> {
    type Ok = ();

    fn text(self, text: &str) -> Result<(), CaptureError> {
        self.0.exact_number(text)
    }
}

impl ser::SerializeMap for CompoundSerializer<'_, '_> {
    type Ok = ();
    type Error = CaptureError;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), CaptureError> {
        self.map_key(key)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), CaptureError> {
        self.map_value(value)
    }

    fn end(self) -> Result<(), CaptureError> {
        self.end()
    }
}

macro_rules! impl_by_position {
    ($($trait:ident, $method:ident;)*) => {$(
        impl ser::$trait for CompoundSerializer<'_, '_> {
            type Ok = ();
            type Error = CaptureError;

            #[inline]
            fn $method<T: ?Sized + Serialize>(
                &mut self,
                value: &T,
            ) -> Result<(), CaptureError> {
                self.element(value)
            }

            #[inline]
            fn end(self) -> Result<(), CaptureError> {
                self.end()
            }
        }
    )*};
}

macro_rules! impl_by_name {
    ($($trait:ident),*) => {$(
        impl ser::$trait for CompoundSerializer<'_, '_> {
            type Ok = ();
            type Error = CaptureError;

            #[inline]
            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), CaptureError> {
                self.field(name, value)
            }

            #[inline]
            fn end(self) -> Result<(), CaptureError> {
                self.end()
            }
        }
    )*};
}

impl_by_position! {
    SerializeSeq, serialize_element;
    SerializeTuple, serialize_element;
    SerializeTupleStruct, serialize_field;
    SerializeTupleVariant, serialize_field;
}
impl_by_name!(SerializeStruct, SerializeStructVariant);
