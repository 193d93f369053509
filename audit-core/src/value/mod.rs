//! [`Tree`]: a value as it is recorded, typed enough to be compared.
//!
//! Made from any `Serialize` in one pass, as a capture is ([`crate::capture`]), and written the same; only
//! nothing is cut but what is too deep, for what is cut can't be compared. Then two states of a value can be
//! told apart by their places ([`diff`]), and what was told can be done again ([`apply`]).

mod align;
mod apply;
mod build;
mod decimal;
mod diff;
mod gather;
mod hint;
mod parse;
mod path;
mod same;
mod write;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

pub(crate) use self::apply::apply;
pub(crate) use self::diff::diff;
pub(crate) use self::path::{Segment, first_segment, is_plain, split_first, write_path};
use crate::capture::{self, Mask, REDACTED, Rules, Running, is_secret_type};
use crate::{Json, Truncation};

/// A value as it is recorded.
///
/// Two are equal if a reader would say that nothing has changed: the order of a map's keys and of a set's
/// elements doesn't count, nor do the zeros at the end of a decimal. NaN equals NaN.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Unsigned(u64),
    /// Below zero.
    Signed(i64),
    /// The digits of any other number, as JSON writes them.
    Number(Box<str>),
    Decimal {
        digits: Box<str>,
        /// Whether it was handed over as a text, not as a number.
        quoted: bool,
    },
    Text(Box<str>),
    List(Vec<Tree>),
    /// In the order of [`Tree::order`], so that equal ones are written the same.
    Set(Vec<Tree>),
    Map(Vec<Entry>),
    /// A variant of an enum with the data in it.
    Variant(&'static str, Form, Box<Tree>),
    /// A keyed hash of what must not be kept.
    Secret(u64),
    /// A text in which something is hidden, and a keyed hash of the whole.
    Masked(Box<str>, u64),
}

/// Names of fields cost nothing, keys of maps are kept.
pub(crate) type Entry = (Cow<'static, str>, Tree);

/// How the data stand in a variant; a mask treats them differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    Newtype,
    Tuple,
    Struct,
}

/// About how many bytes one tree may take. No field is as large; an endless `Serialize` is.
const MOST: usize = 256 * 1024 * 1024;

const NOT_RECORDED: &str = "[not recorded: ";
const TOO_DEEP: &str = "[cut: deeper than 100 levels]";

impl Tree {
    /// What would be recorded of `value`. What `mask` hides is only there as a hash.
    ///
    /// Never fails: a value that can't be serialised gives a text that says why.
    pub(crate) fn of<T: ?Sized + Serialize>(value: &T, mask: &Mask) -> Self {
        Self::within(MOST, value, mask)
    }

    fn within<T: ?Sized + Serialize>(most: usize, value: &T, mask: &Mask) -> Self {
        let mut state = build::State::new(mask, most);
        let running = Running::begin();
        let made = catch_unwind(AssertUnwindSafe(|| build::taken(state.root(), value)));
        drop(running);
        match made {
            _ if state.is_full() => Self::not_recorded("it is too large to be compared"),
            Ok(Ok(tree)) => tree,
            Ok(Err(stop)) => Self::not_recorded(&stop.into_text()),
            Err(panic) => {
                capture::discard(panic);
                Self::not_recorded("serialising it panicked")
            }
        }
    }

    /// The `{:?}` text of `value`, with the values of hidden names replaced.
    pub(crate) fn of_debug<T: ?Sized + Debug>(value: &T, mask: &Mask) -> Self {
        let text = capture::bounded(MOST, format_args!("{value:?}")).text;
        if is_secret_type::<T>() {
            return Self::Text(text.into()).into_secret();
        }
        match capture::masked_debug(&text, mask) {
            Some(masked) => Self::Masked(masked.into(), same::keyed_hash(&text)),
            None => Self::Text(text.into()),
        }
    }

    /// As [`masked`](Self::masked), of what [`of_debug`](Self::of_debug) has made: there, names stand inside the text.
    #[must_use]
    pub(crate) fn masked_debug(self, mask: &Mask) -> Self {
        let (text, hash) = match self {
            Self::Text(text) => (text, None),
            Self::Masked(text, hash) => (text, Some(hash)),
            other => return other,
        };
        match (capture::masked_debug(&text, mask), hash) {
            (Some(masked), hash) => {
                Self::Masked(masked.into(), hash.unwrap_or_else(|| same::keyed_hash(&*text)))
            }
            (None, Some(hash)) => Self::Masked(text, hash),
            (None, None) => Self::Text(text),
        }
    }

    /// As [`of`](Self::of), of JSON text; what is none becomes a text.
    pub(crate) fn from_json(text: &str) -> Self {
        parse::tree(text).unwrap_or_else(|_| Self::Text(text.into()))
    }

    fn not_recorded(why: &str) -> Self {
        Self::Text(format!("{NOT_RECORDED}{why}]").into())
    }

    /// The number that JSON writes as `digits`.
    fn number(digits: &str) -> Self {
        // Written anew it may be another text: `-0`.
        match (digits.parse(), digits.parse()) {
            (Ok(number), _) => Self::Unsigned(number),
            (_, Ok(number @ ..0)) => Self::Signed(number),
            _ => Self::Number(digits.into()),
        }
    }

    /// A list becomes a set: the order of its elements no longer counts.
    #[must_use]
    pub(crate) fn into_set(self) -> Self {
        match self {
            Self::List(mut elements) => {
                elements.sort_by(Self::order);
                Self::Set(elements)
            }
            other => other,
        }
    }

    /// Only whether it is another one can be seen then.
    #[must_use]
    pub(crate) fn into_secret(self) -> Self {
        match self {
            Self::Secret(hash) => Self::Secret(hash),
            other => Self::Secret(same::keyed_hash(&other)),
        }
    }

    /// Numbers, and texts that are numbers, become decimals: equal if their values are.
    fn into_decimal(self) -> Self {
        let (digits, quoted) = match self {
            Self::Text(text) => (text, true),
            Self::Number(digits) => (digits, false),
            other => return other,
        };
        match (decimal::Normal::of(&digits), quoted) {
            (Some(_), _) => Self::Decimal { digits, quoted },
            (None, true) => Self::Text(digits),
            (None, false) => Self::Number(digits),
        }
    }

    /// Hides what `mask` hides, where the tree was made with another one.
    #[must_use]
    pub(crate) fn masked(self, mask: &Mask) -> Self {
        let all = |elements: Vec<Self>| elements.into_iter().map(|tree| tree.masked(mask));
        match self {
            Self::List(elements) => Self::List(all(elements).collect()),
            Self::Set(elements) => Self::List(all(elements).collect()).into_set(),
            Self::Map(entries) => {
                let hide = |(key, tree): Entry| match mask.matches(&key) {
                    true => (key, tree.into_secret()),
                    false => (key, tree.masked(mask)),
                };
                Self::Map(entries.into_iter().map(hide).collect())
            }
            Self::Variant(name, Form::Newtype | Form::Tuple, data) if mask.matches_static(name) => {
                Self::Variant(name, Form::Newtype, Box::new(data.into_secret()))
            }
            Self::Variant(name, form, data) => {
                Self::Variant(name, form, Box::new(data.masked(mask)))
            }
            other => other,
        }
    }

    /// The value of `key` in a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(known, _)| known == key).map(|(_, tree)| tree)
    }

    /// Sets `key` of a map.
    pub(crate) fn insert(&mut self, key: &str, value: Self) {
        let Self::Map(entries) = self else { return };
        match entries.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => entries.push((key.to_owned().into(), value)),
        }
    }

    /// Whether it may look as before although something in it has changed.
    pub(crate) fn hides_something(&self) -> bool {
        match self {
            Self::Secret(_) | Self::Masked(..) => true,
            Self::Text(text) => {
                matches!(&**text, REDACTED | TOO_DEEP) || text.starts_with(NOT_RECORDED)
            }
            Self::List(elements) | Self::Set(elements) => {
                elements.iter().any(Self::hides_something)
            }
            // Keys that are hidden are all the same, and of their values only one is left.
            Self::Map(entries) => {
                entries.iter().any(|(key, tree)| key == REDACTED || tree.hides_something())
            }
            Self::Variant(_, _, data) => data.hides_something(),
            _ => false,
        }
    }

    /// Whether `other` can be the same value, both as they are read back: the order of a set is not known then, nor what
    /// was a decimal, and a type may have changed since.
    pub(crate) fn may_be(&self, other: &Self) -> bool {
        self == other || self.clone().loose() == other.clone().loose()
    }

    fn loose(self) -> Self {
        match self {
            Self::Unsigned(number) => Self::Number(number.to_string().into()).into_decimal(),
            Self::Signed(number) => Self::Number(number.to_string().into()).into_decimal(),
            Self::List(elements) | Self::Set(elements) => {
                Self::List(elements.into_iter().map(Self::loose).collect()).into_set()
            }
            Self::Map(entries) => {
                Self::Map(entries.into_iter().map(|(key, tree)| (key, tree.loose())).collect())
            }
            other => other.into_decimal(),
        }
    }

    /// Whether something of it is missing, by the marks that a capture leaves.
    pub(crate) fn is_cut(&self) -> bool {
        match self {
            Self::Text(text) => {
                let is_mark = text.contains(capture::CUT) || text.starts_with(NOT_RECORDED);
                is_mark && text.ends_with(']')
            }
            Self::List(elements) | Self::Set(elements) => elements.iter().any(Self::is_cut),
            Self::Map(entries) => entries.iter().any(|(_, tree)| tree.is_cut()),
            Self::Variant(_, _, data) => data.is_cut(),
            _ => false,
        }
    }

    /// As it is stored: within limits, and with names hidden.
    pub(crate) fn to_json(&self, rules: &Rules, path: &str, cuts: &mut Vec<Truncation>) -> Json {
        let mut text = String::new();
        capture::write_serialize(&mut text, cuts, path, rules, &write::Exactly(self));
        Json::trusted(text)
    }
}
