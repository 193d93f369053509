//! [`diff`]: what differs between two states of a field, place by place.

use std::borrow::Cow;
use std::cmp::Ordering;

use audit_record::private::path;

use crate::value::align::{Hunk, align};
use crate::value::same::{by_key, same_keys};
use crate::value::tree::{Entry, Tree};

/// One difference. Done one after the other, each to the result of the one before, the steps of a change
/// lead from one state to the other.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step<'t> {
    pub(crate) path: String,
    /// What is no longer there; alone, it is removed.
    pub(crate) before: Option<&'t Tree>,
    /// What is there now; alone, it is inserted.
    pub(crate) after: Option<&'t Tree>,
}

/// The steps from `before` to `after`; none if they are equal, and the whole field in one if there would be
/// more than `limit`.
pub(crate) fn diff<'t>(
    field: &str,
    before: &'t Tree,
    after: &'t Tree,
    limit: usize,
) -> Vec<Step<'t>> {
    let path = path::first_segment(field);
    let mut steps = Steps { path: path.clone(), steps: Vec::new(), limit };
    match steps.value(before, after) {
        Ok(()) => steps.steps,
        Err(TooMany) => vec![Step { path, before: Some(before), after: Some(after) }],
    }
}

struct TooMany;

struct Steps<'t> {
    /// Where the value stands that is looked at.
    path: String,
    steps: Vec<Step<'t>>,
    limit: usize,
}

impl<'t> Steps<'t> {
    fn push(&mut self, before: Option<&'t Tree>, after: Option<&'t Tree>) -> Result<(), TooMany> {
        if self.steps.len() >= self.limit {
            return Err(TooMany);
        }
        self.steps.push(Step { path: self.path.clone(), before, after });
        Ok(())
    }

    /// Does something at a place below.
    fn below(
        &mut self,
        go: impl FnOnce(&mut String),
        then: impl FnOnce(&mut Self) -> Result<(), TooMany>,
    ) -> Result<(), TooMany> {
        let length = self.path.len();
        go(&mut self.path);
        let result = then(self);
        self.path.truncate(length);
        result
    }

    fn value(&mut self, before: &'t Tree, after: &'t Tree) -> Result<(), TooMany> {
        match (before, after) {
            (Tree::Map(before), Tree::Map(after)) => self.map(before, after),
            (Tree::List(before), Tree::List(after)) => self.list(before, after),
            (Tree::Set(before), Tree::Set(after)) => self.set(before, after),
            _ if before == after => Ok(()),
            _ => self.push(Some(before), Some(after)),
        }
    }

    fn map(&mut self, before: &'t [Entry], after: &'t [Entry]) -> Result<(), TooMany> {
        // Fields come in the order of their type. Keys of a map come in one that differs from process to
        // process: a trail that can be compared needs a better one.
        let are_fields = |(key, _): &Entry| matches!(key, Cow::Borrowed(_));
        if same_keys(before, after) && before.iter().all(are_fields) {
            let mut pairs = before.iter().zip(after);
            return pairs.try_for_each(|((key, before), (_, after))| {
                self.below(|path| path::push_key(path, key), |steps| steps.value(before, after))
            });
        }
        let (before, after) = (by_key(before), by_key(after));
        merged(
            &before,
            &after,
            |(a, _), (b, _)| a.cmp(b),
            |before, after| {
                let Some((key, _)) = before.or(after) else { return Ok(()) };
                self.below(
                    |path| path::push_key(path, key),
                    |steps| match (before, after) {
                        (Some((_, before)), Some((_, after))) => steps.value(before, after),
                        (before, after) => {
                            steps.push(before.map(|(_, tree)| tree), after.map(|(_, tree)| tree))
                        }
                    },
                )
            },
        )
    }

    fn set(&mut self, before: &'t [Tree], after: &'t [Tree]) -> Result<(), TooMany> {
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        let (before, after): (Vec<_>, Vec<_>) = (before.iter().collect(), after.iter().collect());
        merged(&before, &after, Tree::order, |before, after| {
            match (before, after) {
                (Some(before), None) => removed.push(before),
                (None, Some(after)) => added.push(after),
                _ => {}
            }
            Ok(())
        })?;
        self.below(path::push_element, |steps| {
            removed.into_iter().try_for_each(|element| steps.push(Some(element), None))?;
            added.into_iter().try_for_each(|element| steps.push(None, Some(element)))
        })
    }

    fn list(&mut self, before: &'t [Tree], after: &'t [Tree]) -> Result<(), TooMany> {
        let front = before.iter().zip(after).take_while(|(a, b)| a == b).count();
        let (before, after) = (&before[front..], &after[front..]);
        let back = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
        let (before, after) = (&before[..before.len() - back], &after[..after.len() - back]);
        self.replaced(front, before, after)
    }

    /// Steps for the part of two lists that differs; `front` elements stand before it.
    fn replaced(
        &mut self,
        front: usize,
        before: &'t [Tree],
        after: &'t [Tree],
    ) -> Result<(), TooMany> {
        let whole = || vec![Hunk { before: 0..before.len(), after: 0..after.len() }];
        let hunks = match (before.len(), after.len()) {
            (0, 0) => return Ok(()),
            (0, _) | (_, 0) | (1, 1) => whole(),
            // One step may stand for a removal and an insertion, not for more.
            _ => align(before, after, self.limit.saturating_mul(2)).unwrap_or_else(whole),
        };
        let pairs = |hunk: &Hunk| hunk.before.len().min(hunk.after.len());
        // The order keeps places easy: changes move nothing, removals from the back only what was
        // dealt with, and insertions from the front go where they stay.
        for hunk in &hunks {
            for (before_at, after_at) in hunk.before.clone().zip(hunk.after.clone()) {
                let (before, after) = (&before[before_at], &after[after_at]);
                self.at(front + before_at, |steps| steps.value(before, after))?;
            }
        }
        for hunk in hunks.iter().rev() {
            for at in hunk.before.clone().skip(pairs(hunk)).rev() {
                self.at(front + at, |steps| steps.push(Some(&before[at]), None))?;
            }
        }
        for hunk in &hunks {
            for at in hunk.after.clone().skip(pairs(hunk)) {
                self.at(front + at, |steps| steps.push(None, Some(&after[at])))?;
            }
        }
        Ok(())
    }

    fn at(
        &mut self,
        index: usize,
        then: impl FnOnce(&mut Self) -> Result<(), TooMany>,
    ) -> Result<(), TooMany> {
        self.below(|path| path::push_index(path, index), then)
    }
}

/// Goes through two sorted lists and gives what is in both together, all else alone.
fn merged<'t, T>(
    before: &[&'t T],
    after: &[&'t T],
    order: impl Fn(&T, &T) -> Ordering,
    mut each: impl FnMut(Option<&'t T>, Option<&'t T>) -> Result<(), TooMany>,
) -> Result<(), TooMany> {
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
        each(was.copied(), is.copied())?;
    }
}
