//! [`ByParts`]: the probe of a field whose type compares its parts by their own `==`.

use std::ops::Deref;

use serde::Serialize;

use crate::capture::Mask;
use crate::fields::probe::{ByValue, FieldSnapshot, PreviousValue, default_mask};
use crate::fields::{CompareParts, FieldVisitor};
use crate::value::{RecordedParts, Tree};

/// Compares by `==`, also the parts of the value, and records what `Serialize` writes.
pub struct ByParts<'v, F>(ByValue<'v, F>);

/// The probe of a field without options that is no lock.
#[inline]
pub(super) fn field<F>(value: &F) -> ByParts<'_, F> {
    ByParts(ByValue::new(value))
}

impl<'v, F> Deref for ByParts<'v, F> {
    type Target = ByValue<'v, F>;

    #[inline]
    fn deref(&self) -> &ByValue<'v, F> {
        &self.0
    }
}

impl<F: Clone + CompareParts + Serialize> ByParts<'_, F> {
    #[inline]
    fn value(&self) -> &F {
        self.0.field()
    }

    #[inline]
    pub fn __audited_snapshot(&self) -> FieldSnapshot<F> {
        FieldSnapshot(PreviousValue::Value(self.value().clone()))
    }

    #[inline]
    pub fn __audited_compare(
        &self,
        before: &FieldSnapshot<F>,
        visitor: &mut FieldVisitor<'_>,
        index: usize,
    ) {
        if let Some(value) = before.value()
            && !self.value().is_same(value)
        {
            self.differs(before, value, visitor, index);
        }
    }

    #[inline(never)]
    fn differs(
        &self,
        before: &FieldSnapshot<F>,
        value: &F,
        visitor: &mut FieldVisitor<'_>,
        index: usize,
    ) {
        let mut was = recorded_form(before, value, visitor.mask());
        let mut is = Tree::of(self.value(), visitor.mask());
        self.value().compare_parts(value, &mut RecordedParts::new(&mut was, &mut is));
        // A value with a NaN is not equal to itself.
        visitor.changed(index, was, is, || self.value().is_same(self.value()));
    }

    pub fn __audited_describe(
        &self,
        before: Option<&FieldSnapshot<F>>,
        visitor: &mut FieldVisitor<'_>,
        index: usize,
    ) {
        visitor.value(index, |mask| {
            let before = before.and_then(|before| Some((before, before.value()?)));
            match before {
                Some((before, value)) => recorded_form(before, value, mask),
                None => Tree::of(self.value(), mask),
            }
        });
    }

    #[inline]
    pub fn __audited_refresh(&self, before: &mut FieldSnapshot<F>) {
        match before.value() {
            Some(value) if self.value().is_same(value) => {}
            Some(_) if F::has_parts() => *before = self.next_snapshot(before),
            _ => *before = self.__audited_snapshot(),
        }
    }

    /// The snapshot after a change. Parts that are equal to those before are recorded as before,
    /// so that later changes start from what the trail shows.
    #[inline(never)]
    fn next_snapshot(&self, before: &FieldSnapshot<F>) -> FieldSnapshot<F> {
        let (Some(value), mask) = (before.value(), default_mask()) else {
            return self.__audited_snapshot();
        };
        let mut was = recorded_form(before, value, &mask);
        let own_form = Tree::of(self.value(), &mask);
        let mut is = own_form.clone();
        self.value().compare_parts(value, &mut RecordedParts::new(&mut was, &mut is));
        let value = self.value().clone();
        FieldSnapshot(match is == own_form {
            true => PreviousValue::Value(value),
            false => PreviousValue::RecordedAs(value, Box::new(is)),
        })
    }
}

impl<F> FieldSnapshot<F> {
    #[inline]
    fn value(&self) -> Option<&F> {
        match &self.0 {
            PreviousValue::Value(value) | PreviousValue::RecordedAs(value, _) => Some(value),
            _ => None,
        }
    }
}

/// The recorded form of the `value` in a snapshot.
fn recorded_form<F: Serialize>(snapshot: &FieldSnapshot<F>, value: &F, mask: &Mask) -> Tree {
    match &snapshot.0 {
        PreviousValue::RecordedAs(_, form) => Tree::clone(form).masked(mask),
        _ => Tree::of(value, mask),
    }
}
