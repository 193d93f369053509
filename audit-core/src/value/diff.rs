//! [`diff`]: the edits that lead from one state of a field to another.

use std::borrow::Cow;
use std::cmp::Ordering;

use audit_record::private::path;

use crate::value::align::{Hunk, align};
use crate::value::equality::{by_key, have_same_keys};
use crate::value::tree::{MapEntry, Tree};

/// One edit. Applied in order, each to the result of the one before, the edits of a change lead
/// from one state to the other.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Edit<'t> {
    pub(crate) path: String,
    /// The value that is replaced, or removed if there is none after.
    pub(crate) before: Option<&'t Tree>,
    /// The value that replaces it, or is inserted if there is none before.
    pub(crate) after: Option<&'t Tree>,
}

/// The edits from `before` to `after`: none if they are equal, and one for the whole field if there
/// would be more than `limit`.
pub(crate) fn diff<'t>(
    field: &str,
    before: &'t Tree,
    after: &'t Tree,
    limit: usize,
) -> Vec<Edit<'t>> {
    let path = path::first_segment(field);
    let mut differ = Differ { path: path.clone(), edits: Vec::new(), limit };
    match differ.value(before, after) {
        Ok(()) => differ.edits,
        Err(TooManyEdits) => vec![Edit { path, before: Some(before), after: Some(after) }],
    }
}

struct TooManyEdits;

struct Differ<'t> {
    /// The path of the values that are compared.
    path: String,
    edits: Vec<Edit<'t>>,
    limit: usize,
}

impl<'t> Differ<'t> {
    fn push(
        &mut self,
        before: Option<&'t Tree>,
        after: Option<&'t Tree>,
    ) -> Result<(), TooManyEdits> {
        if self.edits.len() >= self.limit {
            return Err(TooManyEdits);
        }
        self.edits.push(Edit { path: self.path.clone(), before, after });
        Ok(())
    }

    /// Compares at a place inside the current one. `extend` adds to the path.
    fn inside(
        &mut self,
        extend: impl FnOnce(&mut String),
        compare: impl FnOnce(&mut Self) -> Result<(), TooManyEdits>,
    ) -> Result<(), TooManyEdits> {
        let length = self.path.len();
        extend(&mut self.path);
        let result = compare(self);
        self.path.truncate(length);
        result
    }

    fn value(&mut self, before: &'t Tree, after: &'t Tree) -> Result<(), TooManyEdits> {
        match (before, after) {
            (Tree::Map(before), Tree::Map(after)) => self.map(before, after),
            (Tree::List(before), Tree::List(after)) => self.list(before, after),
            (Tree::Set(before), Tree::Set(after)) => self.set(before, after),
            _ if before == after => Ok(()),
            _ => self.push(Some(before), Some(after)),
        }
    }

    fn map(&mut self, before: &'t [MapEntry], after: &'t [MapEntry]) -> Result<(), TooManyEdits> {
        // Fields keep the order of their type. The keys of a map are sorted, since their own order
        // may differ from process to process, and records should be comparable.
        let is_field = |(key, _): &MapEntry| matches!(key, Cow::Borrowed(_));
        if have_same_keys(before, after) && before.iter().all(is_field) {
            let mut pairs = before.iter().zip(after);
            return pairs.try_for_each(|((key, before), (_, after))| {
                self.inside(|path| path::push_key(path, key), |differ| differ.value(before, after))
            });
        }
        let (before, after) = (by_key(before), by_key(after));
        merge_sorted(
            &before,
            &after,
            |(a, _), (b, _)| a.cmp(b),
            |before, after| {
                let Some((key, _)) = before.or(after) else { return Ok(()) };
                self.inside(
                    |path| path::push_key(path, key),
                    |differ| match (before, after) {
                        (Some((_, before)), Some((_, after))) => differ.value(before, after),
                        (before, after) => {
                            differ.push(before.map(|(_, tree)| tree), after.map(|(_, tree)| tree))
                        }
                    },
                )
            },
        )
    }

    fn set(&mut self, before: &'t [Tree], after: &'t [Tree]) -> Result<(), TooManyEdits> {
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        let (before, after): (Vec<_>, Vec<_>) = (before.iter().collect(), after.iter().collect());
        merge_sorted(&before, &after, Tree::order, |before, after| {
            match (before, after) {
                (Some(before), None) => removed.push(before),
                (None, Some(after)) => added.push(after),
                _ => {}
            }
            Ok(())
        })?;
        self.inside(path::push_element, |differ| {
            removed.into_iter().try_for_each(|element| differ.push(Some(element), None))?;
            added.into_iter().try_for_each(|element| differ.push(None, Some(element)))
        })
    }

    fn list(&mut self, before: &'t [Tree], after: &'t [Tree]) -> Result<(), TooManyEdits> {
        let front = before.iter().zip(after).take_while(|(a, b)| a == b).count();
        let (before, after) = (&before[front..], &after[front..]);
        let back = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
        let (before, after) = (&before[..before.len() - back], &after[..after.len() - back]);
        self.changed_elements(front, before, after)
    }

    /// The edits for the part of two lists that differs; `front` elements are before it.
    fn changed_elements(
        &mut self,
        front: usize,
        before: &'t [Tree],
        after: &'t [Tree],
    ) -> Result<(), TooManyEdits> {
        let whole = || vec![Hunk { before: 0..before.len(), after: 0..after.len() }];
        let hunks = match (before.len(), after.len()) {
            (0, 0) => return Ok(()),
            (0, _) | (_, 0) | (1, 1) => whole(),
            // One edit can replace an element, which is a removal and an insertion.
            _ => align(before, after, self.limit.saturating_mul(2)).unwrap_or_else(whole),
        };
        let pairs = |hunk: &Hunk| hunk.before.len().min(hunk.after.len());
        // In this order no edit moves the place of a later one: replacements move nothing, removals
        // run from back to front, and insertions from front to back.
        for hunk in &hunks {
            for (before_at, after_at) in hunk.before.clone().zip(hunk.after.clone()) {
                let (before, after) = (&before[before_at], &after[after_at]);
                self.at_index(front + before_at, |differ| differ.value(before, after))?;
            }
        }
        for hunk in hunks.iter().rev() {
            for at in hunk.before.clone().skip(pairs(hunk)).rev() {
                self.at_index(front + at, |differ| differ.push(Some(&before[at]), None))?;
            }
        }
        for hunk in &hunks {
            for at in hunk.after.clone().skip(pairs(hunk)) {
                self.at_index(front + at, |differ| differ.push(None, Some(&after[at])))?;
            }
        }
        Ok(())
    }

    fn at_index(
        &mut self,
        index: usize,
        compare: impl FnOnce(&mut Self) -> Result<(), TooManyEdits>,
    ) -> Result<(), TooManyEdits> {
        self.inside(|path| path::push_index(path, index), compare)
    }
}

/// Visits the elements of two sorted lists. Elements that are in both are passed on together.
fn merge_sorted<'t, T>(
    before: &[&'t T],
    after: &[&'t T],
    order: impl Fn(&T, &T) -> Ordering,
    mut visit: impl FnMut(Option<&'t T>, Option<&'t T>) -> Result<(), TooManyEdits>,
) -> Result<(), TooManyEdits> {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let next = match (before.peek(), after.peek()) {
            (None, None) => return Ok(()),
            (Some(a), Some(b)) => order(a, b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
        };
        let was = if next.is_le() { before.next() } else { None };
        let is = if next.is_ge() { after.next() } else { None };
        visit(was.copied(), is.copied())?;
    }
}
