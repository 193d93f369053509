//! [`Policy`]: which parts of a value are hidden, how deep a value is read, and what stands in for
//! a part that is not recorded.
//!
//! Two serializers read values: `ValueSerializer` writes JSON text, and `TreeSerializer`, in the
//! module `value`, builds a tree that can be compared. Both ask this policy at every step, so that
//! they hide the same parts and stop at the same depth. They differ only in what they produce, and
//! in how they limit its size.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::LazyLock;

use audit_record::private::json::{self, JsonError, JsonText, NUMBER, RAW_VALUE};

use crate::capture::left_out::LeftOut;
use crate::capture::limits::Limits;
use crate::capture::mask::Mask;
use crate::capture::type_names::is_secret_type;

/// What a record contains in place of a hidden value, and in place of a hidden key.
pub(crate) const REDACTED: &str = "[redacted]";

/// How every mark of a cut begins, after a `…` where a part of the text was kept.
pub(crate) const CUT_MARK: &str = "[cut";

/// How the text begins that stands in for a value that could not be recorded.
pub(crate) const NOT_RECORDED_MARK: &str = "[not recorded: ";

/// What stands in for a value that could not be recorded.
pub(crate) fn not_recorded_text(why: &str) -> String {
    format!("{NOT_RECORDED_MARK}{why}]")
}

/// What stands in for the key of a map that could not be recorded. `number` counts these keys from
/// 1, so that each has its own entry.
pub(crate) fn bad_key_text(why: &str, number: usize) -> String {
    match number {
        1 => not_recorded_text(why),
        _ => format!("{} #{number}", not_recorded_text(why)),
    }
}

/// Why a key could not be recorded, if it has the form of [`bad_key_text`].
pub(crate) fn bad_key_reason(key: &str) -> Option<&str> {
    let rest = key.strip_prefix(NOT_RECORDED_MARK)?;
    rest.strip_suffix(']').or_else(|| Some(rest.rsplit_once("] #")?.0))
}

/// A hash of `value`, which shows whether a hidden value has changed. Its key is random in each
/// process, so the value cannot be guessed from a stored hash.
pub(crate) fn keyed_hash<T: Hash + ?Sized>(value: &T) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one(value)
}

/// The most wrappers without brackets around a part. Ordinary types have a few on each level; a chain
/// of them is a list that overflows a small stack.
const MAX_HOPS: usize = 256;

/// The rules for one value.
#[derive(Clone, Copy)]
pub(crate) struct Policy<'r> {
    /// `None` inside a value that is hidden as a whole: there, no part needs hiding.
    mask: Option<&'r Mask>,
    max_levels: usize,
}

/// How deep a part of a value is.
#[derive(Clone, Copy)]
pub(crate) struct Depth {
    /// 1 for the value itself, 2 for its elements, and so on.
    pub(crate) level: usize,
    /// How many wrappers without brackets in the text, such as `Some`, contain the part. A chain
    /// of these needs stack too.
    pub(crate) hops: usize,
}

/// How an enum variant holds its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum VariantForm {
    /// One unnamed field: `Token("…")`.
    Newtype,
    /// Several unnamed fields: `Point(1, 2)`.
    Tuple,
    /// Named fields: `Login { user: "…" }`.
    Struct,
}

/// What a struct contains, by its name in serde's data model.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum StructContent {
    /// The fields of an ordinary struct.
    Fields,
    /// JSON text: `RawValue` of `serde_json`.
    RawJson,
    /// The digits of a number: numbers of `serde_json` with its feature `arbitrary_precision`.
    ExactNumber,
}

/// JSON text that a value contains, once it is checked.
pub(crate) enum RawJson<'t> {
    /// Valid JSON. It is serialised part by part, because names in it may be hidden.
    Valid(JsonText<'t>),
    /// JSON that nests too deeply to be read. A string of it would show hidden parts.
    TooDeep,
    /// Not JSON: recorded as a string.
    Invalid,
}

impl Depth {
    /// The depth of the value itself.
    pub(crate) const ROOT: Self = Self { level: 1, hops: 0 };

    /// The depth of a value that is serialised again at the same level: JSON text, or a key.
    #[inline]
    pub(crate) fn next_hop(self) -> Self {
        Self { hops: self.hops + 1, ..self }
    }
}

impl<'r> Policy<'r> {
    #[inline]
    pub(crate) fn new(mask: &'r Mask, limits: Limits) -> Self {
        Self { mask: Some(mask), max_levels: limits.levels() }
    }

    /// The policy for the parts of a value that is hidden as a whole.
    pub(crate) fn inside_hidden_value(self) -> Self {
        Self { mask: None, ..self }
    }

    /// The depth inside `brackets` more brackets; `None` if that is too deep.
    #[inline]
    pub(crate) fn inside_brackets(&self, depth: Depth, brackets: usize) -> Option<Depth> {
        let level = depth.level + brackets;
        (level <= self.max_levels + 1).then_some(Depth { level, ..depth })
    }

    /// The depth inside a wrapper that leaves no brackets in the text; `None` if that is too deep.
    #[inline]
    pub(crate) fn inside_wrapper(&self, depth: Depth) -> Option<Depth> {
        let next = depth.next_hop();
        (next.hops <= MAX_HOPS).then_some(next)
    }

    /// What stands in for a value that is too deep.
    #[cold]
    pub(crate) fn too_deep_mark(&self) -> String {
        format!("{CUT_MARK}: deeper than {} levels]", self.max_levels)
    }

    /// How many levels are recorded.
    pub(crate) fn max_levels(&self) -> usize {
        self.max_levels
    }

    /// Why a value is left out because of its type; `None` if it is not.
    #[inline]
    pub(crate) fn leaves_out<T: ?Sized>(&self) -> Option<LeftOut> {
        // Inside a value that is hidden as a whole, a secret is read: it only adds to a hash.
        LeftOut::of::<T>().filter(|left_out| *left_out == LeftOut::Lock || self.mask.is_some())
    }

    /// Whether a key is hidden because of its type.
    #[inline]
    pub(crate) fn hides_type<T: ?Sized>(&self) -> bool {
        is_secret_type::<T>() && self.mask.is_some()
    }

    /// Whether the field `name` hides its value.
    #[inline]
    pub(crate) fn hides_field(&self, name: &'static str) -> bool {
        self.mask.is_some_and(|mask| mask.matches_static(name))
    }

    /// Whether a map key with this text hides its value.
    #[inline]
    pub(crate) fn hides_entry(&self, key: &str) -> bool {
        self.mask.is_some_and(|mask| mask.matches(key))
    }

    /// Whether the variant `name` hides all of its data. Named fields have names of their own.
    #[inline]
    pub(crate) fn hides_variant(&self, name: &'static str, form: VariantForm) -> bool {
        form != VariantForm::Struct && self.hides_field(name)
    }
}

impl StructContent {
    #[inline]
    pub(crate) fn of(name: &'static str) -> Self {
        if name.starts_with('$') {
            match name {
                RAW_VALUE => return Self::RawJson,
                NUMBER => return Self::ExactNumber,
                _ => {}
            }
        }
        Self::Fields
    }
}

impl<'t> RawJson<'t> {
    pub(crate) fn check(text: &'t str) -> Self {
        match json::check(text) {
            Ok(()) => Self::Valid(JsonText { text, number: Some(NUMBER) }),
            Err(JsonError::TooDeep) => Self::TooDeep,
            Err(JsonError::Syntax) => Self::Invalid,
        }
    }
}
