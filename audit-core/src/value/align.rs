//! Finds which elements of a list have stayed.
//!
//! Our own, and not a crate: those that bound their work do it by the clock, and then the same change would
//! be recorded in another way on a slow day. The method is that of E. Myers, "An O(ND) Difference Algorithm
//! and Its Variations" (1986): the work grows with the number of differences, and that is bounded.

use std::collections::HashMap;
use std::ops::Range;

use crate::value::tree::Tree;

/// More removals and insertions than these are not looked for: 1 million steps, 4 MB.
pub(super) const MOST: usize = 1_000;

/// A stretch of two lists in which no element has stayed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hunk {
    pub(super) before: Range<usize>,
    pub(super) after: Range<usize>,
}

/// The stretches that differ, in order; `None` if more than `most` elements were removed or inserted.
pub(super) fn align(before: &[Tree], after: &[Tree], most: usize) -> Option<Vec<Hunk>> {
    let most = most.min(MOST);
    if before.len().abs_diff(after.len()) > most {
        return None;
    }
    // Trees are compared once, numbers from then on.
    let mut numbers = HashMap::new();
    let mut numbered = |trees| -> Vec<usize> {
        let number = |tree| {
            let next = numbers.len();
            *numbers.entry(tree).or_insert(next)
        };
        <[Tree]>::iter(trees).map(number).collect()
    };
    let (before, after) = (numbered(before), numbered(after));
    let rounds = rounds(&before, &after, most)?;
    Some(hunks(before.len(), after.len(), stayed(before.len(), after.len(), &rounds)))
}

/// For each number of edits `d`, how far in `before` one gets with them on the diagonals `-d..=d`; the
/// diagonal is the place in `before` minus that in `after`. The last round reaches both ends.
fn rounds(before: &[usize], after: &[usize], most: usize) -> Option<Vec<Vec<u32>>> {
    let mut far = vec![0_usize; 2 * most + 3];
    let middle = most + 1;
    let mut rounds = Vec::new();
    for edits in 0..=most {
        for diagonal in (middle - edits..=middle + edits).step_by(2) {
            let mut x = match goes_down(diagonal + edits - middle, 2 * edits, |at| {
                far[at + middle - edits]
            }) {
                true => far[diagonal + 1],
                false => far[diagonal - 1] + 1,
            };
            // Below zero would mean that more was removed than edited.
            let mut y = x + middle - diagonal;
            while x < before.len() && y < after.len() && before[x] == after[y] {
                (x, y) = (x + 1, y + 1);
            }
            far[diagonal] = x;
            if x >= before.len() && y >= after.len() {
                return Some(rounds);
            }
        }
        let reached = &far[middle - edits..=middle + edits];
        rounds.push(reached.iter().map(|&x| u32::try_from(x).unwrap_or(u32::MAX)).collect());
    }
    None
}

/// Whether the way to the diagonal `at`, of `0..=last`, comes from the one above: by an insertion.
fn goes_down<N: PartialOrd>(at: usize, last: usize, far: impl Fn(usize) -> N) -> bool {
    at == 0 || (at != last && far(at - 1) < far(at + 1))
}

/// Where elements have stayed: the places in both lists, and how many; from the back to the front.
fn stayed(before: usize, after: usize, rounds: &[Vec<u32>]) -> Vec<(usize, usize, usize)> {
    let mut stayed = Vec::new();
    let (mut x, mut y) = (before, after);
    for (edits, far) in rounds.iter().enumerate().rev() {
        // Diagonals of the round before, one less on both sides.
        let edits = edits + 1;
        let at = x + edits - y;
        let reached = |at: usize| far[at - 1] as usize;
        let (from_x, from_y, start) = if goes_down(at, 2 * edits, reached) {
            let from_x = reached(at + 1);
            (from_x, from_x + edits - (at + 1), from_x)
        } else {
            let from_x = reached(at - 1);
            (from_x, from_x + edits - (at - 1), from_x + 1)
        };
        if x > start {
            stayed.push((start, start + y - x, x - start));
        }
        (x, y) = (from_x, from_y);
    }
    if x > 0 {
        stayed.push((0, 0, x));
    }
    stayed
}

/// What is between the stretches that have stayed.
fn hunks(before: usize, after: usize, mut stayed: Vec<(usize, usize, usize)>) -> Vec<Hunk> {
    stayed.insert(0, (before, after, 0));
    let (mut x, mut y) = (0, 0);
    let mut hunks = Vec::new();
    for (stays_x, stays_y, count) in stayed.into_iter().rev() {
        if stays_x > x || stays_y > y {
            hunks.push(Hunk { before: x..stays_x, after: y..stays_y });
        }
        (x, y) = (stays_x + count, stays_y + count);
    }
    hunks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trees(letters: &str) -> Vec<Tree> {
        letters.chars().map(|letter| Tree::Unsigned(letter.into())).collect()
    }

    #[test]
    fn few_edits_are_found() {
        let hunks = align(&trees("abcabba"), &trees("cbabac"), MOST).expect("few");
        let edits: usize = hunks.iter().map(|hunk| hunk.before.len() + hunk.after.len()).sum();
        assert_eq!(edits, 5);
        assert_eq!(
            align(&trees("abcd"), &trees("xbd"), MOST),
            Some(vec![Hunk { before: 0..1, after: 0..1 }, Hunk { before: 2..3, after: 2..2 }])
        );
        assert_eq!(align(&trees("abc"), &trees("abc"), 0), Some(vec![]));
    }

    #[test]
    fn too_many_edits_are_none() {
        assert_eq!(align(&trees("abc"), &trees("xyz"), 5), None);
        assert!(align(&trees("abc"), &trees("xyz"), 6).is_some());
        let all: Vec<_> = (0..100_000).map(Tree::Unsigned).collect();
        let other: Vec<_> = (100_000..200_000).map(Tree::Unsigned).collect();
        assert_eq!(align(&all, &other, usize::MAX), None);
        assert_eq!(align(&all, &[], usize::MAX), None);
    }

    /// The number of edits by the textbook: all pairs of prefixes.
    fn fewest(a: &[Tree], b: &[Tree]) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut corner = std::mem::replace(&mut row[0], i + 1);
            for (j, y) in b.iter().enumerate() {
                let best = if x == y { corner } else { 1 + row[j].min(row[j + 1]) };
                corner = std::mem::replace(&mut row[j + 1], best);
            }
        }
        row[b.len()]
    }

    proptest! {
        #[test]
        fn what_is_between_the_hunks_has_stayed(a in "[a-d]{0,20}", b in "[a-d]{0,20}") {
            let (a, b) = (trees(&a), trees(&b));
            let hunks = align(&a, &b, MOST).expect("few");
            let (mut x, mut y, mut edits) = (0, 0, 0);
            for hunk in &hunks {
                prop_assert_eq!(&a[x..hunk.before.start], &b[y..hunk.after.start]);
                (x, y) = (hunk.before.end, hunk.after.end);
                edits += hunk.before.len() + hunk.after.len();
            }
            prop_assert_eq!(&a[x..], &b[y..]);
            prop_assert_eq!(edits, fewest(&a, &b));
            prop_assert_eq!(align(&a, &b, edits), Some(hunks));
            if edits > 0 {
                prop_assert_eq!(align(&a, &b, edits - 1), None);
            }
        }
    }
}
