//! The probe of an audited field that is a lock of `std`: its content is compared, unless the lock
//! is held. A field that could not be compared is listed in `truncated`.

use std::ops::Deref;

use crate::capture::{Mask, StdLock};
use crate::fields::FieldVisitor;
use crate::fields::by_parts::{self, ByParts};
use crate::fields::probe::{FieldSnapshot, PreviousValue, default_mask};
use crate::value::Tree;

/// Compares what `Serialize` writes of the content of a lock.
pub struct ByLock<'v, F>(ByParts<'v, F>, &'v F);

/// The probe of a field without options.
#[inline]
pub fn field<F>(value: &F) -> ByLock<'_, F> {
    ByLock(by_parts::field(value), value)
}

impl<'v, F> Deref for ByLock<'v, F> {
    type Target = ByParts<'v, F>;

    #[inline]
    fn deref(&self) -> &ByParts<'v, F> {
        &self.0
    }
}

impl<F: StdLock> ByLock<'_, F> {
    /// `None` if the lock is held.
    fn tree(&self, mask: &Mask) -> Option<Tree> {
        self.1.read(|content| content.map(|content| Tree::of(content, mask)))
    }

    pub fn __audited_snapshot(&self) -> FieldSnapshot<F> {
        FieldSnapshot(match self.tree(&default_mask()) {
            Some(tree) => PreviousValue::Tree(tree),
            None => PreviousValue::Unknown,
        })
    }

    pub fn __audited_compare(
        &self,
        before: &FieldSnapshot<F>,
        visitor: &mut FieldVisitor<'_>,
        index: usize,
    ) {
        match (&before.0, self.tree(&default_mask())) {
            (PreviousValue::Tree(before), Some(after)) if *before == after => {}
            (PreviousValue::Tree(before), Some(after)) => {
                let mask = visitor.mask();
                let (before, after) = (before.clone().masked(mask), after.masked(mask));
                visitor.changed(index, before, after, || true);
            }
            _ => visitor.unknown(index),
        }
    }

    pub fn __audited_describe(
        &self,
        before: Option<&FieldSnapshot<F>>,
        visitor: &mut FieldVisitor<'_>,
        index: usize,
    ) {
        let tree = match before {
            Some(FieldSnapshot(PreviousValue::Tree(before))) => Some(before.clone()),
            Some(_) => None,
            None => self.tree(&default_mask()),
        };
        match tree {
            Some(tree) => visitor.value(index, |mask| tree.masked(mask)),
            None => visitor.unknown(index),
        }
    }

    /// Keeps the last known content if the lock is held, so that the next comparison finds what has
    /// changed since.
    pub fn __audited_refresh(&self, before: &mut FieldSnapshot<F>) {
        if let Some(tree) = self.tree(&default_mask()) {
            before.0 = PreviousValue::Tree(tree);
        }
    }
}
