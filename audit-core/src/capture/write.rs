//! Writes one value as JSON text.

use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, catch_unwind};

use audit_record::Truncation;
use audit_record::private::json::{escape, unescaped, write_str};
use serde::Serialize;

use crate::capture::debug_text;
use crate::capture::limits::Rules;
use crate::capture::mask::{Mask, is_secret_type};
use crate::capture::redacted::REDACTED;
use crate::capture::running::{Running, discard};
use crate::capture::ser::Ser;
use crate::capture::writer::{ROOT, Writer};

/// Appends `value` as JSON. What is cut is added to `cuts`, its path beginning with `path`.
///
/// A type of the crate `secrecy`, or one that holds such a type by its name, is hidden.
///
/// ```
/// use audit_core::capture::{Limits, Rules, write_serialize};
///
/// let rules = Rules { limits: Limits::default().length(2), ..Rules::default() };
/// let (mut text, mut cuts) = (String::new(), Vec::new());
/// write_serialize(&mut text, &mut cuts, "input.ids", &rules, &[7, 8, 9]);
/// assert_eq!(text, r#"[7,8,"… [cut: 1 more elements]"]"#);
/// assert_eq!((cuts[0].path.as_str(), cuts[0].kept, cuts[0].was), ("input.ids", 2, Some(3)));
/// ```
#[inline]
pub fn write_serialize<T: ?Sized + Serialize>(
    out: &mut String,
    cuts: &mut Vec<Truncation>,
    path: &str,
    rules: &Rules,
    value: &T,
) {
    if is_secret_type::<T>() {
        return write_redacted(out);
    }
    let mut writer = Writer::new(out, cuts, path, rules);
    let running = Running::begin();
    match catch_unwind(AssertUnwindSafe(|| value.serialize(Ser::root(&mut writer)))) {
        Ok(Ok(())) => {}
        Ok(Err(stop)) => writer.settle(stop),
        Err(panic) => {
            writer.not_recorded("serialising it panicked");
            discard(panic);
        }
    }
    drop(running);
}

/// Appends the `{:?}` text of `value` as a JSON string. What is cut is added to `cuts`.
///
/// The values of hidden names are replaced where the text has the form that `#[derive(Debug)]` gives it:
/// `name: value`. A `Debug` written by hand may have another; then a value is hidden by the name of
/// its argument, by its type, or by hiding itself, as [`Redacted`] does.
///
/// ```
/// use audit_core::capture::{Rules, write_debug};
///
/// let (mut text, mut cuts) = (String::new(), Vec::new());
/// write_debug(&mut text, &mut cuts, "input.range", &Rules::default(), &(1..=3));
/// assert_eq!(text, r#""1..=3""#);
/// ```
pub fn write_debug<T: ?Sized + Debug>(
    out: &mut String,
    cuts: &mut Vec<Truncation>,
    path: &str,
    rules: &Rules,
    value: &T,
) {
    if is_secret_type::<T>() {
        return write_redacted(out);
    }
    let start = out.len();
    write_formatted(&mut Writer::new(out, cuts, path, rules), format_args!("{value:?}"));
    mask_written(out, start, &rules.mask);
}

/// Masks the `Debug` text that was written from `start` on.
fn mask_written(out: &mut String, start: usize, mask: &Mask) {
    if mask.is_none() || !out[start..].contains(": ") {
        return;
    }
    let _busy = crate::busy::busy();
    let masked = debug_text::masked(&unescaped(&out[start..]), mask);
    if let Some(masked) = masked {
        out.truncate(start);
        write_str(out, &masked);
    }
}

fn write_formatted(writer: &mut Writer<'_>, args: fmt::Arguments<'_>) {
    let running = Running::begin();
    match catch_unwind(AssertUnwindSafe(|| writer.formatted(&ROOT, 1, args))) {
        Ok(Ok(())) => {}
        Ok(Err(stop)) => writer.settle(stop),
        Err(panic) => {
            writer.not_recorded("formatting it panicked");
            discard(panic);
        }
    }
    drop(running);
}

/// Appends `value` as a JSON string, cut to the limit. What is cut is added to `cuts`.
///
/// ```
/// use audit_core::capture::{Limits, Rules, write_text};
///
/// let rules = Rules { limits: Limits::default().bytes(6), ..Rules::default() };
/// let (mut text, mut cuts) = (String::new(), Vec::new());
/// write_text(&mut text, &mut cuts, "reason", &rules, "because");
/// assert_eq!(text, r#""beca… [cut: 7 bytes]""#);
/// assert_eq!(cuts[0].path, "reason");
/// ```
pub fn write_text(
    out: &mut String,
    cuts: &mut Vec<Truncation>,
    path: &str,
    rules: &Rules,
    value: &str,
) {
    let mut writer = Writer::new(out, cuts, path, rules);
    if let Err(stop) = writer.text(&ROOT, 1, value) {
        writer.settle(stop);
    }
}

/// Appends the name of the type as a JSON string, in place of a value that cannot be shown.
///
/// ```
/// use audit_core::capture::write_type_name;
///
/// let mut text = String::new();
/// write_type_name::<Option<u8>>(&mut text);
/// assert_eq!(text, r#""<core::option::Option<u8>>""#);
/// ```
pub fn write_type_name<T: ?Sized>(out: &mut String) {
    out.push_str("\"<");
    escape(out, std::any::type_name::<T>());
    out.push_str(">\"");
}

/// Appends `"[redacted]"`, in place of a value that is hidden.
///
/// ```
/// let mut text = String::new();
/// audit_core::capture::write_redacted(&mut text);
/// assert_eq!(text, r#""[redacted]""#);
/// ```
#[inline]
pub fn write_redacted(out: &mut String) {
    out.push('"');
    out.push_str(REDACTED);
    out.push('"');
}
