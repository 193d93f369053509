//! [`align`]: finds the elements that two lists have in common.
//!
//! Crates that bound this work bound it by time; then the same change would be recorded in another
//! way on a slow machine. So it is done here, by the algorithm of E. Myers, "An O(ND) Difference
//! Algorithm and Its Variations" (1986). Its work grows with the number of differences, and that
//! is bounded.

use std::collections::HashMap;
use std::ops::Range;

use crate::value::tree::Tree;

/// The most removals and insertions that are searched for: 1 million steps, 4 MB.
pub(super) const MAX_EDITS: usize = 1_000;

/// A part of two lists that has no element in common.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hunk {
    pub(super) before: Range<usize>,
    pub(super) after: Range<usize>,
}

/// The parts that differ, in order; `None` if more than `max_edits` elements were removed or
/// inserted.
pub(super) fn align(before: &[Tree], after: &[Tree], max_edits: usize) -> Option<Vec<Hunk>> {
    let max_edits = max_edits.min(MAX_EDITS);
    if before.len().abs_diff(after.len()) > max_edits {
        return None;
    }
    // Numbers stand for the trees, so that each tree is compared only once.
    let mut numbers = HashMap::new();
    let mut numbered = |trees| -> Vec<usize> {
        let number = |tree| {
            let next = numbers.len();
            *numbers.entry(tree).or_insert(next)
        };
        <[Tree]>::iter(trees).map(number).collect()
    };
    let (before, after) = (numbered(before), numbered(after));
    let rounds = rounds(&before, &after, max_edits)?;
    let matches = matching_runs(before.len(), after.len(), &rounds);
    Some(hunks(before.len(), after.len(), matches))
}

/// For each number of edits `d`, how far in `before` they lead on the diagonals `-d..=d`. The
/// number of a diagonal is the index in `before` minus that in `after`. The last round reaches both
/// ends.
fn rounds(before: &[usize], after: &[usize], max_edits: usize) -> Option<Vec<Vec<u32>>> {
    let mut far = vec![0_usize; 2 * max_edits + 3];
    let middle = max_edits + 1;
    let mut rounds = Vec::new();
    for edits in 0..=max_edits {
        for diagonal in (middle - edits..=middle + edits).step_by(2) {
            let mut x = match is_insertion(diagonal + edits - middle, 2 * edits, |at| {
                far[at + middle - edits]
            }) {
                true => far[diagonal + 1],
                false => far[diagonal - 1] + 1,
            };
            // Never below zero: no more elements are removed than there are edits.
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

/// Whether the path to the diagonal `at`, of `0..=last`, comes from the next one: by an insertion.
fn is_insertion<N: PartialOrd>(at: usize, last: usize, far: impl Fn(usize) -> N) -> bool {
    at == 0 || (at != last && far(at - 1) < far(at + 1))
}

/// The runs of elements that both lists have, from back to front: the index in each list, and the
/// length.
fn matching_runs(before: usize, after: usize, rounds: &[Vec<u32>]) -> Vec<(usize, usize, usize)> {
    let mut runs = Vec::new();
    let (mut x, mut y) = (before, after);
    for (edits, far) in rounds.iter().enumerate().rev() {
        // The round before has one diagonal less on both sides.
        let edits = edits + 1;
        let at = x + edits - y;
        let reached = |at: usize| far[at - 1] as usize;
        let (from_x, from_y, start) = if is_insertion(at, 2 * edits, reached) {
            let from_x = reached(at + 1);
            (from_x, from_x + edits - (at + 1), from_x)
        } else {
            let from_x = reached(at - 1);
            (from_x, from_x + edits - (at - 1), from_x + 1)
        };
        if x > start {
            runs.push((start, start + y - x, x - start));
        }
        (x, y) = (from_x, from_y);
    }
    if x > 0 {
        runs.push((0, 0, x));
    }
    runs
}

/// The parts between the matching runs.
fn hunks(before: usize, after: usize, mut runs: Vec<(usize, usize, usize)>) -> Vec<Hunk> {
    runs.insert(0, (before, after, 0));
    let (mut x, mut y) = (0, 0);
    let mut hunks = Vec::new();
    for (run_x, run_y, len) in runs.into_iter().rev() {
        if run_x > x || run_y > y {
            hunks.push(Hunk { before: x..run_x, after: y..run_y });
        }
        (x, y) = (run_x + len, run_y + len);
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
        let hunks = align(&trees("abcabba"), &trees("cbabac"), MAX_EDITS).expect("few edits");
        let edits: usize = hunks.iter().map(|hunk| hunk.before.len() + hunk.after.len()).sum();
        assert_eq!(edits, 5);
        assert_eq!(
            align(&trees("abcd"), &trees("xbd"), MAX_EDITS),
            Some(vec![Hunk { before: 0..1, after: 0..1 }, Hunk { before: 2..3, after: 2..2 }])
        );
        assert_eq!(align(&trees("abc"), &trees("abc"), 0), Some(vec![]));
    }

    #[test]
    fn too_many_edits_give_no_result() {
        assert_eq!(align(&trees("abc"), &trees("xyz"), 5), None);
        assert!(align(&trees("abc"), &trees("xyz"), 6).is_some());
        let all: Vec<_> = (0..100_000).map(Tree::Unsigned).collect();
        let other: Vec<_> = (100_000..200_000).map(Tree::Unsigned).collect();
        assert_eq!(align(&all, &other, usize::MAX), None);
        assert_eq!(align(&all, &[], usize::MAX), None);
    }

    /// The smallest number of edits, from all pairs of prefixes.
    fn fewest_edits(a: &[Tree], b: &[Tree]) -> usize {
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
        fn elements_between_the_hunks_are_equal(a in "[a-d]{0,20}", b in "[a-d]{0,20}") {
            let (a, b) = (trees(&a), trees(&b));
            let hunks = align(&a, &b, MAX_EDITS).expect("few edits");
            let (mut x, mut y, mut edits) = (0, 0, 0);
            for hunk in &hunks {
                prop_assert_eq!(&a[x..hunk.before.start], &b[y..hunk.after.start]);
                (x, y) = (hunk.before.end, hunk.after.end);
                edits += hunk.before.len() + hunk.after.len();
            }
            prop_assert_eq!(&a[x..], &b[y..]);
            prop_assert_eq!(edits, fewest_edits(&a, &b));
            prop_assert_eq!(align(&a, &b, edits), Some(hunks));
            if edits > 0 {
                prop_assert_eq!(align(&a, &b, edits - 1), None);
            }
        }
    }
}
