//! [`apply`]: does again what was recorded of a change.

use std::fmt;

use audit_record::private::path::{self, Segment};

use crate::value::decimal::Normal;
use crate::value::tree::Tree;

/// Why a recorded change can't be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The path can't be read.
    Path,
    /// There is nothing at that place, or it is of another kind.
    Place,
    /// There is neither a value before nor one after.
    Nothing,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "the path of the change can't be read",
            Self::Place => "the object as it was then has no such place",
            Self::Nothing => "the change has neither a value before nor one after",
        })
    }
}

impl std::error::Error for Wrong {}

/// Does to the fields in `state`, which is a map, what was recorded: at `path`, `before` was replaced by
/// `after`; with only one of them, it was removed or inserted.
///
/// What stands there is taken as it is: records may have been cut, and fields may be unknown. If it fails,
/// nothing is changed.
pub(crate) fn apply(
    state: &mut Tree,
    path: &str,
    before: Option<&Tree>,
    after: Option<&Tree>,
) -> Result<(), Wrong> {
    let segments = path::parse(path).ok_or(Wrong::Path)?;
    let (last, way) = segments.split_last().ok_or(Wrong::Path)?;
    if before.is_none() && after.is_none() {
        return Err(Wrong::Nothing);
    }
    let place = way.iter().try_fold(state, below).ok_or(Wrong::Place)?;
    let done = match (last, place) {
        (Segment::Key(key), Tree::Map(entries)) => {
            let at = entries.iter().position(|(known, _)| known == key);
            match (at, after) {
                (Some(at), Some(after)) => entries[at].1 = after.clone(),
                (None, Some(after)) => {
                    entries.push((key.clone().into_owned().into(), after.clone()))
                }
                (Some(at), None) => drop(entries.remove(at)),
                // Of the object's own fields not all need be known.
                (None, None) if way.is_empty() => {}
                (None, None) => return Err(Wrong::Place),
            }
            Some(())
        }
        (Segment::Index(index), Tree::List(list)) => in_list(list, *index, before, after),
        (Segment::Element, Tree::List(list)) => in_set(list, before, after),
        (Segment::Element, Tree::Set(set)) => in_set(set, before, after).map(|()| {
            set.sort_by(Tree::order);
        }),
        _ => None,
    };
    done.ok_or(Wrong::Place)
}

fn below<'t>(tree: &'t mut Tree, segment: &Segment<'_>) -> Option<&'t mut Tree> {
    match (segment, tree) {
        (Segment::Key(key), Tree::Map(entries)) => {
            entries.iter_mut().find(|(known, _)| known == key).map(|(_, tree)| tree)
        }
        (Segment::Index(index), Tree::List(list)) => list.get_mut(*index),
        _ => None,
    }
}

fn in_list(
    list: &mut Vec<Tree>,
    index: usize,
    before: Option<&Tree>,
    after: Option<&Tree>,
) -> Option<()> {
    match (before, after) {
        (None, Some(after)) if index <= list.len() => list.insert(index, after.clone()),
        (Some(_), Some(after)) => *list.get_mut(index)? = after.clone(),
        (Some(_), None) if index < list.len() => drop(list.remove(index)),
        _ => return None,
    }
    Some(())
}

fn in_set(set: &mut Vec<Tree>, before: Option<&Tree>, after: Option<&Tree>) -> Option<()> {
    if let Some(before) = before {
        let exactly = set.iter().position(|element| element == before);
        let at =
            exactly.or_else(|| set.iter().position(|element| equal_digits(element, before)))?;
        set.remove(at);
    }
    set.extend(after.cloned());
    Some(())
}

/// Decimals are only texts when they are read back, and may have got zeros since.
fn equal_digits(a: &Tree, b: &Tree) -> bool {
    match (a, b) {
        (Tree::Text(a), Tree::Text(b)) | (Tree::Number(a), Tree::Number(b)) => {
            Normal::of(a).is_some_and(|a| Normal::of(b) == Some(a))
        }
        _ => false,
    }
}
