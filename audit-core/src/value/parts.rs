//! [`RecordedParts`]: the recorded forms of one value before and after a change, while the value
//! itself is compared part by part.

use std::collections::HashMap;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::capture::{Limits, Mask};
use crate::value::align::{Hunk, align};
use crate::value::tree::{MapEntry, Tree};

/// The recorded forms of one value, or of one of its parts, before and after a change.
///
/// Where the values of a part are equal by their own `==`, the form after is replaced by the form
/// before. What then differs is the change.
pub struct RecordedParts<'t> {
    before: &'t mut Tree,
    after: &'t mut Tree,
}

/// The most pairs of elements of two lists that are compared by their own `==`.
const MAX_PAIRS: usize = 100_000;

impl<'t> RecordedParts<'t> {
    pub(crate) fn new(before: &'t mut Tree, after: &'t mut Tree) -> Self {
        Self { before, after }
    }

    pub(crate) fn differ(&self) -> bool {
        self.before != self.after
    }

    /// The value has not changed, so both are recorded in the same way.
    pub(crate) fn equalise(&mut self) {
        self.after.clone_from(self.before);
    }

    /// The order of the elements does not count.
    pub(crate) fn into_sets(self) {
        for tree in [self.before, self.after] {
            *tree = std::mem::replace(tree, Tree::Null).into_set();
        }
    }

    /// The only part of a value that is recorded as this part is.
    pub fn whole(&mut self) -> Option<RecordedParts<'_>> {
        Some(RecordedParts::new(self.before, self.after))
    }

    /// The part under this key. `None` if it is not recorded on both sides.
    pub fn field(&mut self, key: &str) -> Option<RecordedParts<'_>> {
        Some(RecordedParts::new(value_of(self.before, key)?, value_of(self.after, key)?))
    }

    /// An element of a tuple with `len` elements.
    pub fn element(&mut self, index: usize, len: usize) -> Option<RecordedParts<'_>> {
        let (before, after) = self.lists(len, len)?;
        Some(RecordedParts::new(&mut before[index], &mut after[index]))
    }

    /// The data of an enum variant, if it is the same variant on both sides.
    pub fn variant(&mut self) -> Option<RecordedParts<'_>> {
        match (&mut *self.before, &mut *self.after) {
            (Tree::Variant(name, form, before), Tree::Variant(other, other_form, after))
                if name == other && form == other_form =>
            {
                Some(RecordedParts::new(before, after))
            }
            _ => None,
        }
    }

    /// The elements of two lists of these lengths.
    fn lists(&mut self, before: usize, after: usize) -> Option<(&mut [Tree], &mut [Tree])> {
        match (&mut *self.before, &mut *self.after) {
            (Tree::List(was), Tree::List(is)) if was.len() == before && is.len() == after => {
                Some((was, is))
            }
            _ => None,
        }
    }

    /// Compares the elements of two lists. An element that was only moved by an insertion or a
    /// removal is found if `are_same` says so. `compare` compares two elements that differ.
    pub(crate) fn compare_lists<T>(
        &mut self,
        before: &[T],
        after: &[T],
        are_same: impl Fn(&T, &T) -> bool,
        compare: impl Fn(&T, &T, &mut RecordedParts<'_>),
    ) {
        let Some((was, is)) = self.lists(before.len(), after.len()) else { return };
        let shorter = before.len().min(after.len());
        let is_same = |was: &[Tree], is: &[Tree], at: usize, to: usize| {
            was[at] == is[to] || are_same(&before[at], &after[to])
        };
        let (mut front, mut back) = (0, 0);
        while front < shorter && is_same(was, is, front, front) {
            is[front].clone_from(&was[front]);
            front += 1;
        }
        let ends = |back| (before.len() - 1 - back, after.len() - 1 - back);
        while front + back < shorter && is_same(was, is, ends(back).0, ends(back).1) {
            let (at, to) = ends(back);
            is[to].clone_from(&was[at]);
            back += 1;
        }
        let (removed, added) = (front..before.len() - back, front..after.len() - back);
        // Each element of the second list stands for one that is the same in the first list.
        let mut replaced: Vec<Tree> = is[added.clone()].to_vec();
        if removed.len().saturating_mul(added.len()) <= MAX_PAIRS {
            let mut free: Vec<usize> = removed.clone().collect();
            for (to, replaced) in added.clone().zip(&mut replaced) {
                if let Some(n) = free.iter().position(|&at| is_same(was, is, at, to)) {
                    replaced.clone_from(&was[free.remove(n)]);
                }
            }
        }
        let whole = || vec![Hunk { before: 0..removed.len(), after: 0..added.len() }];
        // The same pairs as in the module `diff`.
        let limit = 2 * Limits::default().length;
        let hunks = align(&was[removed.clone()], &replaced, limit).unwrap_or_else(whole);
        let mut end = 0;
        for Hunk { before: removed, after: added } in hunks {
            // The elements between two hunks are the same in both lists.
            for to in end..added.start {
                is[front + to] = std::mem::replace(&mut replaced[to], Tree::Null);
            }
            end = added.end;
            for (at, to) in removed.zip(added) {
                let (at, to) = (front + at, front + to);
                let mut parts = RecordedParts::new(&mut was[at], &mut is[to]);
                if parts.differ() {
                    compare(&before[at], &after[to], &mut parts);
                }
            }
        }
        for to in end..replaced.len() {
            is[front + to] = std::mem::replace(&mut replaced[to], Tree::Null);
        }
    }

    /// Compares the values of two maps under the same key. `entries` gives the key and the values
    /// before and after.
    pub(crate) fn compare_maps<'v, K: Serialize + 'v, V: 'v>(
        &mut self,
        entries: impl Iterator<Item = (&'v K, &'v V, &'v V)>,
        compare: impl Fn(&V, &V, &mut RecordedParts<'_>),
    ) {
        let (Tree::Map(was), Tree::Map(is)) = (&mut *self.before, &mut *self.after) else { return };
        let (places_before, places_after) = (places(was), places(is));
        for (key, before, after) in entries {
            let Some(key) = key_text(key) else { continue };
            if let (Some(&at), Some(&to)) = (places_before.get(&key), places_after.get(&key)) {
                let mut parts = RecordedParts::new(&mut was[at].1, &mut is[to].1);
                if parts.differ() {
                    compare(before, after, &mut parts);
                }
            }
        }
    }
}

fn value_of<'t>(tree: &'t mut Tree, key: &str) -> Option<&'t mut Tree> {
    let Tree::Map(entries) = tree else { return None };
    entries.iter_mut().find(|(known, _)| known == key).map(|(_, value)| value)
}

/// Where each key is.
fn places(entries: &[MapEntry]) -> HashMap<String, usize> {
    entries.iter().enumerate().map(|(at, (key, _))| (key.to_string(), at)).collect()
}

/// The text under which an entry with this key is recorded; `None` if the key has no text.
fn key_text<K: Serialize>(key: &K) -> Option<String> {
    struct Entry<'k, K>(&'k K);
    impl<K: Serialize> Serialize for Entry<'_, K> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry(self.0, &())?;
            map.end()
        }
    }
    match Tree::of(&Entry(key), &Mask::none()) {
        Tree::Map(mut entries) if entries.len() == 1 => {
            let (text, _) = entries.pop()?;
            crate::capture::bad_key_reason(&text).is_none().then(|| text.into_owned())
        }
        _ => None,
    }
}
