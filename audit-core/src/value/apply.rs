//! [`apply`]: applies a recorded edit to the state of an object.

use std::fmt;

use audit_record::private::path::{self, Segment};

use crate::value::decimal::DecimalValue;
use crate::value::tree::Tree;

/// Why a recorded edit cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApplyError {
    /// The path cannot be read.
    InvalidPath,
    /// The state has no such place, or a value of another kind there.
    NoSuchPlace,
    /// The edit has neither a value before nor one after.
    NoValue,
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidPath => "the path of the change cannot be read",
            Self::NoSuchPlace => "the object as it was then has no such place",
            Self::NoValue => "the change has neither a value before nor one after",
        })
    }
}

impl std::error::Error for ApplyError {}

/// Applies an edit to the fields in `state`, which is a map: at `path`, `after` replaces `before`.
/// With only one of them, `before` is removed or `after` is inserted.
///
/// The value at `path` need not equal `before`: records may have been cut, and fields may be
/// unknown. On an error nothing is changed.
pub(crate) fn apply(
    state: &mut Tree,
    path: &str,
    before: Option<&Tree>,
    after: Option<&Tree>,
) -> Result<(), ApplyError> {
    let segments = path::parse(path).ok_or(ApplyError::InvalidPath)?;
    let (last, parents) = segments.split_last().ok_or(ApplyError::InvalidPath)?;
    if before.is_none() && after.is_none() {
        return Err(ApplyError::NoValue);
    }
    let place = parents.iter().try_fold(state, child).ok_or(ApplyError::NoSuchPlace)?;
    let applied = match (last, place) {
        (Segment::Key(key), Tree::Map(entries)) => {
            let at = entries.iter().position(|(known, _)| known == key);
            match (at, after) {
                (Some(at), Some(after)) => entries[at].1 = after.clone(),
                (None, Some(after)) => {
                    entries.push((key.clone().into_owned().into(), after.clone()))
                }
                (Some(at), None) => drop(entries.remove(at)),
                // Not all fields of the object itself need be known.
                (None, None) if parents.is_empty() => {}
                (None, None) => return Err(ApplyError::NoSuchPlace),
            }
            Some(())
        }
        (Segment::Index(index), Tree::List(list)) => edit_list(list, *index, before, after),
        (Segment::Element, Tree::List(list)) => edit_set(list, before, after),
        (Segment::Element, Tree::Set(set)) => edit_set(set, before, after).map(|()| {
            set.sort_by(Tree::order);
        }),
        _ => None,
    };
    applied.ok_or(ApplyError::NoSuchPlace)
}

fn child<'t>(tree: &'t mut Tree, segment: &Segment<'_>) -> Option<&'t mut Tree> {
    match (segment, tree) {
        (Segment::Key(key), Tree::Map(entries)) => {
            entries.iter_mut().find(|(known, _)| known == key).map(|(_, tree)| tree)
        }
        (Segment::Index(index), Tree::List(list)) => list.get_mut(*index),
        _ => None,
    }
}

fn edit_list(
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

fn edit_set(set: &mut Vec<Tree>, before: Option<&Tree>, after: Option<&Tree>) -> Option<()> {
    if let Some(before) = before {
        let exact = set.iter().position(|element| element == before);
        let at =
            exact.or_else(|| set.iter().position(|element| are_equal_numbers(element, before)))?;
        set.remove(at);
    }
    set.extend(after.cloned());
    Some(())
}

/// Read back from a record, decimals are only texts, which may differ in zeros at the end.
fn are_equal_numbers(a: &Tree, b: &Tree) -> bool {
    match (a, b) {
        (Tree::Text(a), Tree::Text(b)) | (Tree::Number(a), Tree::Number(b)) => {
            DecimalValue::of(a).is_some_and(|a| DecimalValue::of(b) == Some(a))
        }
        _ => false,
    }
}
