//! [`Tree`]: a value as it is recorded, typed enough to be compared.

use std::borrow::Cow;

use crate::capture::{CUT, Mask, REDACTED};
use crate::keyed_hash::keyed_hash;
use crate::value::decimal::Normal;

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

pub(super) const NOT_RECORDED: &str = "[not recorded: ";
pub(super) const TOO_DEEP: &str = "[cut: deeper than 100 levels]";

impl Tree {
    pub(super) fn not_recorded(why: &str) -> Self {
        Self::Text(format!("{NOT_RECORDED}{why}]").into())
    }

    /// The number that JSON writes as `digits`.
    pub(super) fn number(digits: &str) -> Self {
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
            other => Self::Secret(keyed_hash(&other)),
        }
    }

    /// Numbers, and texts that are numbers, become decimals: equal if their values are.
    pub(super) fn into_decimal(self) -> Self {
        let (digits, quoted) = match self {
            Self::Text(text) => (text, true),
            Self::Number(digits) => (digits, false),
            other => return other,
        };
        match (Normal::of(&digits), quoted) {
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
                let is_mark = text.contains(CUT) || text.starts_with(NOT_RECORDED);
                is_mark && text.ends_with(']')
            }
            Self::List(elements) | Self::Set(elements) => elements.iter().any(Self::is_cut),
            Self::Map(entries) => entries.iter().any(|(_, tree)| tree.is_cut()),
            Self::Variant(_, _, data) => data.is_cut(),
            _ => false,
        }
    }
}
