//! [`DebugList`]: formats the first elements of a collection.
//!
//! The `Debug` of a collection visits every element, also after the text has reached its limit and
//! the formatter returns errors. Each element adds at least a byte to the text, so a limit of bytes
//! is a limit of elements, too.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::fmt::{self, Debug, Formatter};
use std::rc::Rc;
use std::sync::Arc;

/// A collection of `std`, also behind pointers, whose elements are `Debug`.
pub trait DebugList {
    /// Formats the first `count` elements as the `Debug` of the collection does.
    ///
    /// # Errors
    ///
    /// If the formatter or an element returns one.
    fn fmt_first(&self, count: usize, f: &mut Formatter<'_>) -> fmt::Result;
}

macro_rules! debug_list {
    ($([$($generics:tt)*] $ty:ty: $method:ident),* $(,)?) => {$(
        impl<$($generics)*> DebugList for $ty {
            fn fmt_first(&self, count: usize, f: &mut Formatter<'_>) -> fmt::Result {
                f.$method().entries(self.iter().take(count)).finish()
            }
        }
    )*};
}

debug_list! {
    [E: Debug] [E]: debug_list,
    [E: Debug, const N: usize] [E; N]: debug_list,
    [E: Debug] Vec<E>: debug_list,
    [E: Debug] VecDeque<E>: debug_list,
    [E: Debug] LinkedList<E>: debug_list,
    [E: Debug] BinaryHeap<E>: debug_list,
    [E: Debug] BTreeSet<E>: debug_set,
    [E: Debug, S] HashSet<E, S>: debug_set,
    [K: Debug, V: Debug] BTreeMap<K, V>: debug_map,
    [K: Debug, V: Debug, S] HashMap<K, V, S>: debug_map,
}

macro_rules! pointer_to_list {
    ($($pointer:ty),*) => {$(
        impl<L: ?Sized + DebugList> DebugList for $pointer {
            fn fmt_first(&self, count: usize, f: &mut Formatter<'_>) -> fmt::Result {
                (**self).fmt_first(count, f)
            }
        }
    )*};
}

pointer_to_list!(&L, &mut L, Box<L>, Rc<L>, Arc<L>);

/// The first elements of a collection, as its `Debug` shows them.
pub(super) struct FirstElements<'l, L: ?Sized> {
    pub(super) list: &'l L,
    pub(super) count: usize,
}

impl<L: ?Sized + DebugList> Debug for FirstElements<'_, L> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.list.fmt_first(self.count, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(list: impl DebugList + Debug) {
        let count = usize::MAX;
        assert_eq!(format!("{:?}", FirstElements { list: &list, count }), format!("{list:?}"));
        assert_eq!(format!("{:#?}", FirstElements { list: &list, count }), format!("{list:#?}"));
    }

    #[test]
    fn the_text_is_that_of_the_collection() {
        same(vec![1, 2]);
        same(Box::new([Some("a")]));
        same(&[(), ()][..]);
        same(VecDeque::from([1]));
        same(LinkedList::from(["a", "b"]));
        same(BinaryHeap::from([3, 1, 2]));
        same(BTreeSet::from([3, 1, 2]));
        same(Rc::new(HashSet::from([1])));
        same(BTreeMap::from([(1, "a"), (2, "b")]));
        same(Arc::new(HashMap::from([(1, vec![2])])));
    }

    #[test]
    fn elements_after_the_first_are_not_visited() {
        let list = FirstElements { list: &[1, 2, 3], count: 2 };
        assert_eq!(format!("{list:?}"), "[1, 2]");
    }
}
