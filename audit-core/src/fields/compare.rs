//! Compares two states of an object.

use audit_record::ChangeKind;

use crate::capture::{self, Rules};
use crate::fields::{AuditedFields, Delta, Rows, TypeInfo, Values};

/// What differs in `object`.
pub(crate) fn compared<T: AuditedFields>(object: &T, before: &T::Snapshot, rules: &Rules) -> Rows {
    let mut delta = Delta::rows(T::TYPE, rules, ChangeKind::Changed);
    let done = capture::run_user_code(|| object.compare(before, &mut delta));
    let mut rows = delta.into_rows();
    if done.is_none() {
        rows.not_told();
    }
    rows
}

/// All fields as they are, or as they were `before`; `None` if the object's own code panicked.
pub(crate) fn values<T: AuditedFields>(
    object: &T,
    before: Option<&T::Snapshot>,
    rules: &Rules,
) -> Option<Values> {
    let mut delta = Delta::values(T::TYPE, rules);
    capture::run_user_code(|| object.describe(before, &mut delta))?;
    Some(delta.into_values())
}

/// What differs between two states; where one is not known, that.
pub(crate) fn difference(
    info: &'static TypeInfo,
    rules: &Rules,
    before: Option<&Values>,
    after: Option<&Values>,
) -> Rows {
    let mut delta = Delta::rows(info, rules, ChangeKind::Changed);
    if let (Some(before), Some(after)) = (before, after) {
        delta.compare(before, after);
        return delta.into_rows();
    }
    let mut rows = delta.into_rows();
    rows.not_told();
    rows
}
