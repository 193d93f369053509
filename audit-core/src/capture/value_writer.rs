//! [`ValueWriter`]: captures one value as JSON text.

use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, catch_unwind};

use audit_record::private::json::{escape, unescaped, write_str};
use audit_record::{Json, Truncation};
use serde::Serialize;

use crate::capture::debug_list::{DebugList, FirstElements};
use crate::capture::debug_text;
use crate::capture::json_buffer::JsonBuffer;
use crate::capture::left_out::{A_LOCK, LeftOut};
use crate::capture::limits::Rules;
use crate::capture::mask::Mask;
use crate::capture::path::ROOT;
use crate::capture::policy::{Depth, REDACTED};
use crate::capture::type_names::is_secret_type;
use crate::capture::user_code::{UserCodeGuard, catch_part, drop_panic};
use crate::capture::value_serializer::ValueSerializer;

/// Where one value is captured, and by which rules.
///
/// Code that captures a value takes a closure from this to `()`, which picks the method:
/// [`serialize`](Self::serialize), [`debug`](Self::debug), [`text`](Self::text),
/// [`type_name`](Self::type_name) or [`redacted`](Self::redacted).
///
/// ```
/// use audit_core::capture::{Limits, Rules, ValueWriter};
///
/// let rules = Rules { limits: Limits::default().length(2), ..Rules::default() };
/// let (mut json, mut truncations) = (String::new(), Vec::new());
/// ValueWriter::new(&mut json, &mut truncations, "input.ids", &rules).serialize(&[7, 8, 9]);
/// assert_eq!(json, r#"[7,8,"… [cut: 1 more elements]"]"#);
/// let truncation = &truncations[0];
/// assert_eq!((truncation.path.as_str(), truncation.kept), ("input.ids", 2));
/// ```
pub struct ValueWriter<'a> {
    pub(super) json: &'a mut String,
    pub(super) truncations: &'a mut Vec<Truncation>,
    pub(super) path: &'a str,
    pub(super) rules: &'a Rules,
}

impl<'a> ValueWriter<'a> {
    /// Appends the value to `json`, and what is cut from it to `truncations`. `path` is the path
    /// of the value in its record, such as `input.user`.
    #[inline]
    #[must_use]
    pub fn new(
        json: &'a mut String,
        truncations: &'a mut Vec<Truncation>,
        path: &'a str,
        rules: &'a Rules,
    ) -> Self {
        Self { json, truncations, path, rules }
    }

    /// The names that are hidden.
    pub(crate) fn mask(&self) -> &'a Mask {
        &self.rules.mask
    }

    /// Records a value that was captured and masked before, and what was cut from it then.
    pub(crate) fn captured(self, json: &Json, truncations: &[Truncation]) {
        self.json.push_str(json.as_str());
        self.truncations.extend_from_slice(truncations);
    }

    /// Captures `value` as JSON.
    ///
    /// A type of the crate `secrecy`, or one that has such a type in its name, is hidden. A part
    /// that cannot be serialised is replaced by a text that says why, and is listed as a
    /// truncation. To find the part that panics, `value` is serialised a second time.
    ///
    /// ```
    /// use audit_core::capture::{Rules, ValueWriter};
    ///
    /// let (mut json, mut truncations) = (String::new(), Vec::new());
    /// let rules = Rules::default();
    /// ValueWriter::new(&mut json, &mut truncations, "input.v", &rules).serialize(&(1, "x", true));
    /// assert_eq!(json, r#"[1,"x",true]"#);
    /// ```
    #[inline]
    pub fn serialize<T: ?Sized + Serialize>(self, value: &T) {
        match LeftOut::of::<T>() {
            None => {}
            Some(LeftOut::Secret) => return self.redacted(),
            Some(LeftOut::Lock) => return self.lock(A_LOCK),
        }
        let mut buffer = self.into_buffer();
        let guard = UserCodeGuard::enter();
        let serialize = || value.serialize(ValueSerializer::root(&mut buffer));
        match catch_unwind(AssertUnwindSafe(serialize)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => buffer.finish_with_error(error),
            Err(panic) => {
                drop_panic(panic);
                buffer.begin_again();
                let serialize = || value.serialize(ValueSerializer::root(&mut buffer));
                if let Err(error) = catch_part(serialize) {
                    buffer.finish_with_error(error);
                }
            }
        }
        drop(guard);
    }

    /// Captures the `{:?}` text of `value` as a JSON string.
    ///
    /// The values of hidden names are replaced where the text has the form that
    /// `#[derive(Debug)]` gives it: `name: value`. A hand-written `Debug` may have another form;
    /// then a value is hidden by the name of its argument, by its type, or by hiding itself, as
    /// [`Redacted`](crate::Redacted) does.
    ///
    /// ```
    /// use audit_core::capture::{Rules, ValueWriter};
    ///
    /// let (mut json, mut truncations) = (String::new(), Vec::new());
    /// let rules = Rules::default();
    /// ValueWriter::new(&mut json, &mut truncations, "input.range", &rules).debug(&(1..=3));
    /// assert_eq!(json, r#""1..=3""#);
    /// ```
    pub fn debug<T: ?Sized + Debug>(self, value: &T) {
        self.debug_text::<T>(format_args!("{value:?}"));
    }

    /// As [`debug`](Self::debug). Elements that do not fit are not visited.
    pub(crate) fn debug_list<T: ?Sized + DebugList>(self, list: &T) {
        let first = FirstElements { list, count: self.rules.limits.bytes.saturating_add(1) };
        self.debug_text::<T>(format_args!("{first:?}"));
    }

    /// Captures the `Debug` text of a value of type `T`.
    fn debug_text<T: ?Sized>(self, text: fmt::Arguments<'_>) {
        if is_secret_type::<T>() {
            return self.redacted();
        }
        let Self { json, truncations, path, rules } = self;
        let start = json.len();
        let writer = ValueWriter { json: &mut *json, truncations, path, rules };
        writer.formatted(text);
        mask_debug_text(json, start, &rules.mask);
    }

    /// Captures `value` as a JSON string.
    ///
    /// ```
    /// use audit_core::capture::{Limits, Rules, ValueWriter};
    ///
    /// let rules = Rules { limits: Limits::default().bytes(6), ..Rules::default() };
    /// let (mut json, mut truncations) = (String::new(), Vec::new());
    /// ValueWriter::new(&mut json, &mut truncations, "reason", &rules).text("because");
    /// assert_eq!(json, r#""beca… [cut: 7 bytes]""#);
    /// ```
    pub fn text(self, value: &str) {
        let mut buffer = self.into_buffer();
        if let Err(error) = buffer.text(&ROOT, Depth::ROOT, value) {
            buffer.finish_with_error(error);
        }
    }

    /// Records the name of the type, in place of a value that cannot be captured.
    ///
    /// ```
    /// use audit_core::capture::{Rules, ValueWriter};
    ///
    /// let (mut json, mut truncations) = (String::new(), Vec::new());
    /// let rules = Rules::default();
    /// ValueWriter::new(&mut json, &mut truncations, "input.v", &rules).type_name::<Option<u8>>();
    /// assert_eq!(json, r#""<core::option::Option<u8>>""#);
    /// ```
    pub fn type_name<T: ?Sized>(self) {
        self.json.push_str("\"<");
        escape(self.json, std::any::type_name::<T>());
        self.json.push_str(">\"");
    }

    /// Records `"[redacted]"`, in place of a value that is hidden.
    #[inline]
    pub fn redacted(self) {
        write_redacted(self.json);
    }

    /// Records the name of the type, in place of a value that may contain a lock.
    pub(crate) fn locking<T: ?Sized>(self) {
        let truncation = Truncation::new(self.path, "locks", 0, Some(1));
        self.truncations.push(truncation);
        self.type_name::<T>();
    }

    /// Records why the content of a lock is missing. Reading it might wait for the lock.
    #[cold]
    pub(crate) fn lock(self, why: &str) {
        let mut buffer = self.into_buffer();
        buffer.not_recorded_mark(why);
        buffer.truncated(&ROOT, "locks", 0, Some(1));
    }

    #[inline]
    fn into_buffer(self) -> JsonBuffer<'a> {
        JsonBuffer::new(self.json, self.truncations, self.path, self.rules)
    }

    fn formatted(self, args: fmt::Arguments<'_>) {
        let mut buffer = self.into_buffer();
        let guard = UserCodeGuard::enter();
        let format = || buffer.formatted(&ROOT, Depth::ROOT, args);
        match catch_unwind(AssertUnwindSafe(format)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => buffer.finish_with_error(error),
            Err(panic) => {
                buffer.not_recorded("formatting it panicked");
                drop_panic(panic);
            }
        }
        drop(guard);
    }
}

/// Hides names in the `Debug` text that begins at `start`.
fn mask_debug_text(json: &mut String, start: usize, mask: &Mask) {
    if mask.is_none() || !json[start..].contains(": ") {
        return;
    }
    let _busy = crate::busy::mark_busy();
    let masked = debug_text::masked(&unescaped(&json[start..]), mask);
    if let Some(masked) = masked {
        json.truncate(start);
        write_str(json, &masked);
    }
}

/// Appends `"[redacted]"`, in place of a value that is hidden.
///
/// ```
/// let mut json = String::new();
/// audit_core::capture::write_redacted(&mut json);
/// assert_eq!(json, r#""[redacted]""#);
/// ```
#[inline]
pub fn write_redacted(json: &mut String) {
    json.push('"');
    json.push_str(REDACTED);
    json.push('"');
}
