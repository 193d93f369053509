//! When two trees are equal, and in which order they stand in a set.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::mem::discriminant;

use crate::value::decimal::Normal;
use crate::value::tree::{Entry, Tree};

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Unsigned(a), Self::Unsigned(b)) | (Self::Secret(a), Self::Secret(b)) => a == b,
            (Self::Signed(a), Self::Signed(b)) => a == b,
            (Self::Number(a), Self::Number(b)) | (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Masked(a, all), Self::Masked(b, others)) => all == others && a == b,
            (Self::Decimal { digits: a, .. }, Self::Decimal { digits: b, .. }) => {
                a == b || Normal::of(a) == Normal::of(b)
            }
            (Self::List(a), Self::List(b)) | (Self::Set(a), Self::Set(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => equal_maps(a, b),
            (Self::Variant(a, form, data), Self::Variant(b, other, others)) => {
                a == b && form == other && data == others
            }
            _ => false,
        }
    }
}

impl Eq for Tree {}

fn equal_maps(a: &[Entry], b: &[Entry]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match same_keys(a, b) {
        true => a.iter().zip(b).all(|((_, a), (_, b))| a == b),
        false => by_key(a).into_iter().eq(by_key(b)),
    }
}

/// Whether they have the same keys in the same order.
pub(super) fn same_keys(a: &[Entry], b: &[Entry]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((a, _), (b, _))| a == b)
}

/// The entries in the order of their keys.
pub(super) fn by_key(entries: &[Entry]) -> Vec<&Entry> {
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
            Self::Number(text) | Self::Text(text) => text.hash(state),
            Self::Decimal { digits, .. } => Normal::of(digits).hash(state),
            Self::List(elements) | Self::Set(elements) => elements.hash(state),
            Self::Map(entries) => by_key(entries).hash(state),
            Self::Variant(name, form, data) => (name, form, data).hash(state),
        }
    }
}

impl Tree {
    /// The order of elements in a set; equal ones, and only these, are equal in it.
    ///
    /// By what is shown first. What is hidden has another hash in each process, and decides only where
    /// the order can't be seen.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.ordered(other, false).then_with(|| self.ordered(other, true))
    }

    fn ordered(&self, other: &Self, hidden: bool) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Unsigned(a), Self::Unsigned(b)) => a.cmp(b),
            (Self::Signed(a), Self::Signed(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => numbers(a, b).then_with(|| a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Decimal { digits: a, .. }, Self::Decimal { digits: b, .. }) => numbers(a, b),
            (Self::Secret(a), Self::Secret(b)) => later(hidden, || a.cmp(b)),
            (Self::Masked(a, all), Self::Masked(b, others)) => {
                a.cmp(b).then_with(|| later(hidden, || all.cmp(others)))
            }
            (Self::List(a), Self::List(b)) | (Self::Set(a), Self::Set(b)) => {
                each(a, b, |a, b| a.ordered(b, hidden))
            }
            (Self::Map(a), Self::Map(b)) => each(&by_key(a), &by_key(b), |(a, was), (b, is)| {
                a.cmp(b).then_with(|| was.ordered(is, hidden))
            }),
            (Self::Variant(a, form, data), Self::Variant(b, other, others)) => {
                let kinds = a.cmp(b).then_with(|| (*form as u8).cmp(&(*other as u8)));
                kinds.then_with(|| data.ordered(others, hidden))
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// The place of its kind among all kinds; numbers below zero first.
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
        }
    }
}

fn later(hidden: bool, order: impl FnOnce() -> Ordering) -> Ordering {
    if hidden { order() } else { Ordering::Equal }
}

fn numbers(a: &str, b: &str) -> Ordering {
    if a == b { Ordering::Equal } else { Normal::of(a).cmp(&Normal::of(b)) }
}

fn each<T>(a: &[T], b: &[T], order: impl Fn(&T, &T) -> Ordering) -> Ordering {
    let different = a.iter().zip(b).map(|(a, b)| order(a, b)).find(|order| order.is_ne());
    different.unwrap_or_else(|| a.len().cmp(&b.len()))
}
