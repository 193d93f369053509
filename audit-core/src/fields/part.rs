//! [`part`]: how one field of a type with `CompareParts` is compared.
//!
//! The derive wraps both values of each field in a probe. Method lookup finds the best way that the
//! type of the field allows: [`ByParts`], [`ByEquality`], or [`AsRecorded`].

use std::ops::Deref;

use crate::fields::compare_parts::{CompareParts, compare};
use crate::value::RecordedParts;

/// A field that is compared by its recorded form.
pub struct AsRecorded<'v, F: ?Sized> {
    after: &'v F,
    before: &'v F,
}

/// Compares a field by its own `==`, as a whole.
pub struct ByEquality<'v, F: ?Sized>(AsRecorded<'v, F>);

/// Compares a field part by part.
pub struct ByParts<'v, F: ?Sized>(ByEquality<'v, F>);

/// The probe of a field, and of a whole value.
#[inline]
pub fn part<'v, F: ?Sized>(after: &'v F, before: &'v F) -> ByParts<'v, F> {
    ByParts(ByEquality(AsRecorded { after, before }))
}

impl<'v, F: ?Sized> Deref for ByParts<'v, F> {
    type Target = ByEquality<'v, F>;

    fn deref(&self) -> &ByEquality<'v, F> {
        &self.0
    }
}

impl<'v, F: ?Sized> Deref for ByEquality<'v, F> {
    type Target = AsRecorded<'v, F>;

    fn deref(&self) -> &AsRecorded<'v, F> {
        &self.0
    }
}

impl<F: ?Sized + CompareParts> ByParts<'_, F> {
    /// Compares a field that is recorded as its type is serialised.
    pub fn __audited_compare(&self, recorded: Option<RecordedParts<'_>>) {
        compare(self.0.0.after, self.0.0.before, recorded);
    }

    /// Compares a field that is recorded in another form: only as a whole.
    pub fn __audited_compare_whole(&self, recorded: Option<RecordedParts<'_>>) {
        let is_same = self.0.0.after.is_same(self.0.0.before);
        match F::has_no_order() {
            true => compare_set(is_same, recorded),
            false => equalise_if(is_same, recorded),
        }
    }

    /// Compares a field whose own fields are recorded among those of the whole value.
    pub fn __audited_compare_flattened(&self, recorded: &mut RecordedParts<'_>) {
        self.0.0.after.compare_parts(self.0.0.before, recorded);
    }
}

impl<F: ?Sized + PartialEq> ByEquality<'_, F> {
    /// Whether the values are equal by their own `==`.
    pub fn __audited_is_equal(&self) -> bool {
        self.0.after == self.0.before
    }

    pub fn __audited_compare(&self, recorded: Option<RecordedParts<'_>>) {
        equalise_if(self.__audited_is_equal(), recorded);
    }

    pub fn __audited_compare_whole(&self, recorded: Option<RecordedParts<'_>>) {
        equalise_if(self.__audited_is_equal(), recorded);
    }
}

impl<F: ?Sized> AsRecorded<'_, F> {
    /// Not known, so the parts are compared.
    pub fn __audited_is_equal(&self) -> bool {
        false
    }

    pub fn __audited_compare(&self, _: Option<RecordedParts<'_>>) {}

    pub fn __audited_compare_whole(&self, _: Option<RecordedParts<'_>>) {}

    pub fn __audited_compare_flattened(&self, _: &mut RecordedParts<'_>) {}
}

/// The value of a set is compared as a whole, and its elements as a set.
pub fn compare_set(is_equal: bool, recorded: Option<RecordedParts<'_>>) {
    match (is_equal, recorded) {
        (true, recorded) => equalise_if(true, recorded),
        (false, Some(recorded)) => recorded.into_sets(),
        (false, None) => {}
    }
}

fn equalise_if(is_equal: bool, recorded: Option<RecordedParts<'_>>) {
    if let (true, Some(mut recorded)) = (is_equal, recorded) {
        recorded.equalise();
    }
}
