//! Turns arguments and results into JSON text, on the thread of the call, in one pass.
//!
//! What is hidden ([`Mask`], [`Redacted`]) never reaches the text, and what is too large
//! ([`Limits`]) is cut and marked. Nothing here fails: a value that cannot be recorded leaves a
//! text that says why, whatever the code that serialises it does, short of ending the process.
//!
//! | a value | is recorded as |
//! |---|---|
//! | hidden by name or type | `"[redacted]"` |
//! | a long text | `"abc… [cut: 123456 bytes]"`, the length being that of the whole text |
//! | a long `Debug` or `Display` text | `"abc… [cut]"` |
//! | a long list | its last element is `"… [cut: 990 more elements]"` |
//! | a large map or struct | its last entry is `"…": "[cut: 5 more entries]"` |
//! | too deep a value | `"[cut: deeper than 32 levels]"` |
//! | bytes | `"0x00ff"` |
//! | NaN and the infinities | `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | an integer beyond 64 bits | a string of its digits |
//! | a map key that is no string | its text, or its JSON text |
//! | a value whose `Serialize` fails or panics | `"[not recorded: …]"` |
//!
//! Everything else is written as `serde_json` writes it. JSON that `serde_json` holds as text
//! (`RawValue`) is read and written anew, so that names in it are hidden too.
//!
//! ```
//! use audit_core::capture::{Rules, write_serialize};
//!
//! #[derive(serde::Serialize)]
//! struct Login { user: &'static str, password: &'static str }
//!
//! let (mut text, mut cuts) = (String::new(), Vec::new());
//! let login = Login { user: "alice", password: "hunter2" };
//! write_serialize(&mut text, &mut cuts, "input.login", &Rules::default(), &login);
//! assert_eq!(text, r#"{"user":"alice","password":"[redacted]"}"#);
//! assert!(cuts.is_empty());
//! ```

mod bounded;
mod compound;
mod debug_text;
mod mask;
mod redacted;
mod scalar;
mod ser;
mod text;
mod writer;

use std::any::Any;
use std::cell::Cell;
use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

pub(crate) use self::bounded::{Bounded, bounded, write_bounded};
pub(crate) use self::debug_text::masked as masked_debug;
pub(crate) use self::mask::{HINTS, remembered};
pub use self::mask::{Mask, is_secret_type};
pub(crate) use self::redacted::REDACTED;
pub use self::redacted::Redacted;
use self::ser::Ser;
pub(crate) use self::ser::{NUMBER, RAW_VALUE, not_finite};
pub(crate) use self::text::Digits;
pub(crate) use self::writer::Stop;
use self::writer::{ROOT, Writer};
use crate::Truncation;

/// With what every mark of a cut begins, behind a `…`.
pub(crate) const CUT: &str = "[cut";

/// The most cuts of one value that are listed; all are marked in its text.
const MAX_CUTS: usize = 64;

/// How much of one value is recorded: one argument, or one result.
///
/// ```
/// use audited::Limits;
///
/// let limits = Limits::default().bytes(4_096).length(100);
/// assert_eq!((limits.bytes, limits.depth, limits.length), (4_096, 32, 100));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of JSON text, 16 KiB unless set. One text inside a list, map or struct takes at most
    /// a quarter, so that a long one does not push out all that follows. Marks and closing
    /// brackets come on top: at most [`Limits::MARK`] for each level.
    pub bytes: usize,
    /// Lists and maps inside each other, 32 unless set; more than [`Limits::MAX_DEPTH`] counts
    /// as that.
    pub depth: usize,
    /// Elements of one list, or entries of one map or struct; 1,000 unless set.
    pub length: usize,
}

impl Limits {
    /// Bytes that the marks and brackets of one level can take beyond the limit.
    pub const MARK: usize = 64;
    /// The deepest value that is recorded. Common parsers, `serde_json` among them, read 127.
    pub const MAX_DEPTH: usize = 100;

    /// Sets the bytes of JSON text.
    #[must_use]
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets the number of lists and maps inside each other.
    #[must_use]
    pub const fn depth(mut self, levels: usize) -> Self {
        self.depth = levels;
        self
    }

    /// Sets the number of elements or entries.
    #[must_use]
    pub const fn length(mut self, elements: usize) -> Self {
        self.length = elements;
        self
    }

    #[inline]
    fn levels(&self) -> usize {
        self.depth.min(Self::MAX_DEPTH)
    }

    /// How many values may be gone through that leave no bracket, as `Some`: there are a few
    /// for each level in ordinary types, and a limit protects the stack from the others.
    #[inline]
    fn hops(&self) -> usize {
        8 * (self.levels() + 1)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 16 * 1024, depth: 32, length: 1_000 }
    }
}

/// What of a value is recorded: the limits, and the names that are hidden.
///
/// ```
/// use audit_core::capture::{Limits, Mask, Rules};
///
/// let rules = Rules { mask: Mask::default().name("iban"), ..Rules::default() };
/// assert_eq!(rules.limits, Limits::default());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// How much is recorded.
    pub limits: Limits,
    /// Which names are hidden.
    pub mask: Mask,
}

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
    let _busy = crate::scope::busy();
    let masked = debug_text::masked(&crate::read::unescaped(&out[start..]), mask);
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

/// Appends `value` as a JSON string, all of it.
///
/// ```
/// use audit_core::capture::write_str;
///
/// let mut text = String::new();
/// write_str(&mut text, "a \"b\"\n");
/// assert_eq!(text, r#""a \"b\"\n""#);
/// ```
#[inline]
pub fn write_str(out: &mut String, value: &str) {
    out.push('"');
    text::escape(out, value);
    out.push('"');
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
    text::escape(out, std::any::type_name::<T>());
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
    out.push_str(redacted::REDACTED);
    out.push('"');
}

/// Bytes as they are recorded.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    bytes.iter().for_each(|&byte| text::push_hex(&mut text, byte));
    text
}

/// Appends `name` and a colon.
#[inline]
pub(crate) fn write_key(out: &mut String, name: &str) {
    write_str(out, name);
    out.push(':');
}

/// Runs `f`, which formats a value of the user's, as a capture; `None` if it panics.
pub(crate) fn guarded<R>(f: impl FnOnce() -> R) -> Option<R> {
    let running = Running::begin();
    let result = catch_unwind(AssertUnwindSafe(f)).map_err(discard).ok();
    drop(running);
    result
}

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is running the `Serialize`, `Debug` or `Display` of a value that is being
/// captured. A panic hook can use it to keep quiet: the panic is caught and recorded.
///
/// ```
/// assert!(!audit_core::capture::in_progress());
/// ```
#[must_use]
pub fn in_progress() -> bool {
    RUNNING.get()
}

/// Captures can lie inside each other, so the end of one restores what was before.
pub(crate) struct Running {
    before: bool,
}

impl Running {
    #[inline]
    pub(crate) fn begin() -> Self {
        Self { before: RUNNING.replace(true) }
    }
}

impl Drop for Running {
    #[inline]
    fn drop(&mut self) {
        RUNNING.set(self.before);
    }
}

/// Drops what a panic has thrown. That may panic in turn, without end; then it is leaked.
#[cold]
pub(crate) fn discard(panic: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
}
