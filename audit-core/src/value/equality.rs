//! When two trees are equal, and how they are ordered in a set.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::mem::discriminant;

use crate::value::decimal::DecimalValue;
use crate::value::tree::{MapEntry, Tree};

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Unsigned(a), Self::Unsigned(b)) | (Self::Secret(a), Self::Secret(b)) => a == b,
            (Self::Signed(a), Self::Signed(b)) => a == b,
            (Self::Number(a), Self::Number(b))
            | (Self::Text(a), Self::Text(b))
            | (Self::NotRecorded(a), Self::NotRecorded(b)) => a == b,
            (Self::SomeNull(a), Self::SomeNull(b)) => a == b,
            (Self::Masked(a, hash), Self::Masked(b, other)) => hash == other && a == b,
            (Self::Decimal { digits: a, .. }, Self::Decimal { digits: b, .. }) => {
                a == b || DecimalValue::of(a) == DecimalValue::of(b)
            }
            (Self::List(a), Self::List(b)) | (Self::Set(a), Self::Set(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => equal_maps(a, b),
            (Self::Variant(a, form, data), Self::Variant(b, other_form, other)) => {
                a == b && form == other_form && data == other
            }
            _ => false,
        }
    }
}

impl Eq for Tree {}

fn equal_maps(a: &[MapEntry], b: &[MapEntry]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match have_same_keys(a, b) {
        true => a.iter().zip(b).all(|((_, a), (_, b))| a == b),
        false => by_key(a).into_iter().eq(by_key(b)),
    }
}

/// Whether they have the same keys in the same order.
pub(super) fn have_same_keys(a: &[MapEntry], b: &[MapEntry]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((a, _), (b, _))| a == b)
}

/// The entries in the order of their keys.
pub(super) fn by_key(entries: &[MapEntry]) -> Vec<&MapEntry> {
    let mut sorted: Vec<_> = entries.iter().collect();
    if !entries.is_sorted_by(|(a, _), (b, _)| a <= b) {
        sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    sorted
}

impl Hash for Tree {
    fn hash<H: Hasher>(&self, state: &mut H) {
        discriminant(self).hash(state);
        match self {
            Self::Null => {}
            Self::Bool(value) => value.hash(state),
            Self::Unsigned(value) | Self::Secret(value) | Self::Masked(_, value) => {
                value.hash(state);
            }
            Self::Signed(value) => value.hash(state),
            Self::Number(text) | Self::Text(text) | Self::NotRecorded(text) => text.hash(state),
            Self::SomeNull(inner) => inner.hash(state),
            Self::Decimal { digits, .. } => DecimalValue::of(digits).hash(state),
            Self::List(elements) | Self::Set(elements) => elements.hash(state),
            Self::Map(entries) => by_key(entries).hash(state),
            Self::Variant(name, form, data) => (name, form, data).hash(state),
        }
    }
}

impl Tree {
    /// The order of elements in a set. Equal trees, and only these, are equal in it.
    ///
    /// Shown parts decide first. The hashes of hidden parts differ from process to process, so they
    /// decide only where the order is not visible.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.compare(other, false).then_with(|| self.compare(other, true))
    }

    fn compare(&self, other: &Self, with_hashes: bool) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Unsigned(a), Self::Unsigned(b)) => a.cmp(b),
            (Self::Signed(a), Self::Signed(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => compare_numbers(a, b).then_with(|| a.cmp(b)),
            (Self::Text(a), Self::Text(b)) | (Self::NotRecorded(a), Self::NotRecorded(b)) => {
                a.cmp(b)
            }
            (Self::SomeNull(a), Self::SomeNull(b)) => a.compare(b, with_hashes),
            (Self::Decimal { digits: a, .. }, Self::Decimal { digits: b, .. }) => {
                compare_numbers(a, b)
            }
            (Self::Secret(a), Self::Secret(b)) => if_compared(with_hashes, || a.cmp(b)),
            (Self::Masked(a, hash), Self::Masked(b, other)) => {
                a.cmp(b).then_with(|| if_compared(with_hashes, || hash.cmp(other)))
            }
            (Self::List(a), Self::List(b)) | (Self::Set(a), Self::Set(b)) => {
                compare_elements(a, b, |a, b| a.compare(b, with_hashes))
            }
            (Self::Map(a), Self::Map(b)) => {
                compare_elements(&by_key(a), &by_key(b), |(a, value), (b, other)| {
                    a.cmp(b).then_with(|| value.compare(other, with_hashes))
                })
            }
            (Self::Variant(a, form, data), Self::Variant(b, other_form, other)) => {
                let names = a.cmp(b).then_with(|| (*form as u8).cmp(&(*other_form as u8)));
                names.then_with(|| data.compare(other, with_hashes))
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// The position of the tree's variant in the order of all variants. Negative numbers come
    /// before others.
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Signed(_) => 2,
            Self::Unsigned(_) => 3,
            Self::Number(_) => 4,
            Self::Decimal { .. } => 5,
            Self::Text(_) => 6,
            Self::Masked(..) => 7,
            Self::List(_) => 8,
            Self::Set(_) => 9,
            Self::Map(_) => 10,
            Self::Variant(..) => 11,
            Self::Secret(_) => 12,
            Self::SomeNull(_) => 13,
            Self::NotRecorded(_) => 14,
        }
    }
}

fn if_compared(is_compared: bool, order: impl FnOnce() -> Ordering) -> Ordering {
    if is_compared { order() } else { Ordering::Equal }
}

fn compare_numbers(a: &str, b: &str) -> Ordering {
    if a == b { Ordering::Equal } else { DecimalValue::of(a).cmp(&DecimalValue::of(b)) }
}

fn compare_elements<T>(a: &[T], b: &[T], order: impl Fn(&T, &T) -> Ordering) -> Ordering {
    let different = a.iter().zip(b).map(|(a, b)| order(a, b)).find(|order| order.is_ne());
    different.unwrap_or_else(|| a.len().cmp(&b.len()))
}
