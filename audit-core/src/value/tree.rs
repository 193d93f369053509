//! [`Tree`]: a value as it is recorded, with enough of its types to be compared.

use std::borrow::Cow;

use crate::capture::{
    CUT_MARK, CaptureError, Limits, Mask, NOT_RECORDED_MARK, Policy, REDACTED, VariantForm,
    keyed_hash,
};
use crate::value::decimal::DecimalValue;

/// A value as it is recorded.
///
/// Two trees are equal if they stand for the same value. The order of a map's keys and of a set's
/// elements does not count. Zeros at the end of a decimal do not count either. NaN equals NaN.
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
        /// Whether it was serialised as a text, not as a number.
        is_text: bool,
    },
    Text(Box<str>),
    List(Vec<Tree>),
    /// In the order of [`Tree::order`], so that equal sets are written the same.
    Set(Vec<Tree>),
    Map(Vec<MapEntry>),
    /// An enum variant with its data.
    Variant(&'static str, VariantForm, Box<Tree>),
    /// A keyed hash of a value that must not be kept.
    Secret(u64),
    /// A text in which parts are hidden, and a keyed hash of the whole text.
    Masked(Box<str>, u64),
    /// `Some` of a value that is written as `null`, which JSON does not tell from `None`.
    SomeNull(Box<Tree>),
    /// A part that could not be recorded, and why.
    NotRecorded(Box<str>),
}

/// Names of fields are borrowed from the program, keys of maps are owned.
pub(crate) type MapEntry = (Cow<'static, str>, Tree);

/// What stands in for a part that is too deep for a tree.
pub(super) const TOO_DEEP: &str = "[cut: deeper than 100 levels]";

impl Tree {
    /// What stands in for a value whose `Serialize` failed with `error`.
    pub(super) fn not_recorded(error: CaptureError) -> Self {
        Self::NotRecorded(error.into_text().into())
    }

    /// A list or map of which the rest could not be recorded.
    pub(super) fn with_rest_not_recorded(mut self, error: CaptureError) -> Self {
        let place = match &mut self {
            Self::Variant(_, _, data) => &mut **data,
            place => place,
        };
        let rest = Self::not_recorded(error);
        match place {
            Self::List(elements) => elements.push(rest),
            Self::Map(entries) => entries.push((Cow::Borrowed("…"), rest)),
            _ => return rest,
        }
        self
    }

    /// `Some` of the value that `inner` stands for.
    pub(super) fn some(inner: Self) -> Self {
        match inner {
            Self::Null | Self::SomeNull(_) => Self::SomeNull(Box::new(inner)),
            other => other,
        }
    }

    /// What is written for this value in place of `null`: `[Some(null)]`.
    pub(super) fn some_mark(&self) -> String {
        let depth = std::iter::successors(Some(self), |tree| match tree {
            Self::SomeNull(inner) => Some(inner),
            _ => None,
        });
        let depth = depth.count() - 1;
        format!("[{}null{}]", "Some(".repeat(depth), ")".repeat(depth))
    }

    /// Replaces the marks of `Some(null)` by the `null` that the value is serialised as, so that it
    /// can be deserialised.
    #[must_use]
    pub(crate) fn without_some_marks(self) -> Self {
        let all =
            |elements: Vec<Self>| elements.into_iter().map(Self::without_some_marks).collect();
        match self {
            Self::SomeNull(_) => Self::Null,
            Self::Text(text) if is_some_mark(&text) => Self::Null,
            Self::List(elements) => Self::List(all(elements)),
            Self::Set(elements) => Self::Set(all(elements)),
            Self::Map(entries) => Self::Map(
                entries.into_iter().map(|(key, tree)| (key, tree.without_some_marks())).collect(),
            ),
            Self::Variant(name, form, data) => {
                Self::Variant(name, form, Box::new(data.without_some_marks()))
            }
            other => other,
        }
    }

    /// The number that JSON writes as `digits`.
    pub(super) fn number(digits: &str) -> Self {
        // Not every integer is written the same again: `-0` stays a text of digits.
        match (digits.parse(), digits.parse()) {
            (Ok(number), _) => Self::Unsigned(number),
            (_, Ok(number @ ..0)) => Self::Signed(number),
            _ => Self::Number(digits.into()),
        }
    }

    /// Turns a list into a set: the order of its elements no longer counts.
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

    /// Keeps only a hash: it shows whether the value has changed, not what it is.
    #[must_use]
    pub(crate) fn into_secret(self) -> Self {
        match self {
            Self::Secret(hash) => Self::Secret(hash),
            other => Self::Secret(keyed_hash(&other)),
        }
    }

    /// Turns a number, or a text that is a number, into a decimal: equal if the values are.
    pub(super) fn into_decimal(self) -> Self {
        let (digits, is_text) = match self {
            Self::Text(text) => (text, true),
            Self::Number(digits) => (digits, false),
            other => return other,
        };
        match (DecimalValue::of(&digits), is_text) {
            (Some(_), _) => Self::Decimal { digits, is_text },
            (None, true) => Self::Text(digits),
            (None, false) => Self::Number(digits),
        }
    }

    /// Hides what `mask` hides, in a tree that was made with another mask.
    #[must_use]
    pub(crate) fn masked(self, mask: &Mask) -> Self {
        self.masked_by(&Policy::new(mask, Limits::UNLIMITED))
    }

    fn masked_by(self, policy: &Policy<'_>) -> Self {
        let all =
            |elements: Vec<Self>| elements.into_iter().map(|tree| tree.masked_by(policy)).collect();
        match self {
            Self::List(elements) => Self::List(all(elements)),
            Self::Set(elements) => Self::List(all(elements)).into_set(),
            Self::Map(entries) => {
                let masked = |(key, tree): MapEntry| match policy.hides_entry(&key) {
                    true => (key, tree.into_secret()),
                    false => (key, tree.masked_by(policy)),
                };
                Self::Map(entries.into_iter().map(masked).collect())
            }
            Self::Variant(name, form, data) if policy.hides_variant(name, form) => {
                Self::Variant(name, VariantForm::Newtype, Box::new(data.into_secret()))
            }
            Self::Variant(name, form, data) => {
                Self::Variant(name, form, Box::new(data.masked_by(policy)))
            }
            other => other,
        }
    }

    /// The value of `key` in a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(known, _)| known == key).map(|(_, tree)| tree)
    }

    /// Sets the value of `key` in a map.
    pub(crate) fn insert(&mut self, key: &str, value: Self) {
        let Self::Map(entries) = self else { return };
        match entries.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => entries.push((key.to_owned().into(), value)),
        }
    }

    /// Whether a part that the tree does not show may have changed.
    pub(crate) fn hides_something(&self) -> bool {
        match self {
            Self::Secret(_) | Self::Masked(..) | Self::NotRecorded(_) => true,
            Self::Text(text) => {
                matches!(&**text, REDACTED | TOO_DEEP) || text.starts_with(NOT_RECORDED_MARK)
            }
            Self::List(elements) | Self::Set(elements) => {
                elements.iter().any(Self::hides_something)
            }
            // All hidden keys have the same text, and only one of their values is kept.
            Self::Map(entries) => entries.iter().any(|(key, tree)| {
                key == REDACTED || key.starts_with(NOT_RECORDED_MARK) || tree.hides_something()
            }),
            Self::Variant(_, _, data) => data.hides_something(),
            _ => false,
        }
    }

    /// Whether `other` can be the same value. Both may have been read back from a record, which
    /// does not distinguish sets from lists and decimals from texts. The type may have changed
    /// since.
    pub(crate) fn may_equal(&self, other: &Self) -> bool {
        self == other || self.clone().without_types() == other.clone().without_types()
    }

    fn without_types(self) -> Self {
        match self {
            Self::Unsigned(number) => Self::Number(number.to_string().into()).into_decimal(),
            Self::Signed(number) => Self::Number(number.to_string().into()).into_decimal(),
            Self::List(elements) | Self::Set(elements) => {
                Self::List(elements.into_iter().map(Self::without_types).collect()).into_set()
            }
            Self::Map(entries) => Self::Map(
                entries.into_iter().map(|(key, tree)| (key, tree.without_types())).collect(),
            ),
            other => other.into_decimal(),
        }
    }

    /// Whether a part is missing, by the marks that a capture leaves.
    pub(crate) fn is_cut(&self) -> bool {
        match self {
            Self::Text(text) => {
                let is_mark = text.contains(CUT_MARK) || text.starts_with(NOT_RECORDED_MARK);
                is_mark && text.ends_with(']')
            }
            Self::NotRecorded(_) => true,
            Self::List(elements) | Self::Set(elements) => elements.iter().any(Self::is_cut),
            Self::Map(entries) => entries
                .iter()
                .any(|(key, tree)| key.starts_with(NOT_RECORDED_MARK) || tree.is_cut()),
            Self::Variant(_, _, data) => data.is_cut(),
            _ => false,
        }
    }
}

/// Whether `text` is a mark of [`Tree::some_mark`].
fn is_some_mark(text: &str) -> bool {
    let inner = text.strip_prefix("[Some(").and_then(|rest| rest.strip_suffix(")]"));
    inner.is_some_and(|mut inner| {
        while let Some(deeper) = inner.strip_prefix("Some(").and_then(|rest| rest.strip_suffix(')'))
        {
            inner = deeper;
        }
        inner == "null"
    })
}
