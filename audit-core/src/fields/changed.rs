//! [`ChangedFields`]: what is recorded of one change of one object.

use std::borrow::Cow;
use std::sync::atomic::{AtomicI64, Ordering};

use audit_record::private::json::write_str;
use audit_record::private::path::{first_segment, split_first};
use audit_record::{ChangeKind, FieldChange, Json, Truncation};
use chrono::{DateTime, Utc};

use crate::capture::REDACTED;
use crate::clock;
use crate::fields::{FieldInfo, TypeInfo};

/// The path in a row that states only that the object was created or deleted, and names no field.
pub(crate) const NO_FIELD: &str = "";

/// The recorded changes of one object.
#[derive(Debug, Default)]
pub(crate) struct ChangedFields {
    pub(crate) fields: Vec<ChangedField>,
    pub(crate) cuts: Vec<Truncation>,
}

/// A field, or a place inside its value, with the recorded values before and after.
#[derive(Debug)]
pub(crate) struct ChangedField {
    pub(crate) path: Cow<'static, str>,
    pub(crate) before: Option<Json>,
    pub(crate) after: Option<Json>,
}

impl ChangedFields {
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.cuts.is_empty()
    }

    /// Whether a change of this kind is recorded. The creation or deletion of an object is recorded
    /// even if it has no audited fields.
    pub(crate) fn must_be_recorded(&self, kind: ChangeKind) -> bool {
        kind != ChangeKind::Changed || !self.is_empty()
    }

    /// Adds a change of the object's id, unless the fields of its key are audited and have changed.
    #[inline]
    pub(crate) fn add_key_change(&mut self, info: &TypeInfo, before: &str, after: &str) {
        if before != after {
            self.add_different_key(info, before, after);
        }
    }

    fn add_different_key(&mut self, info: &TypeInfo, before: &str, after: &str) {
        let recorded_name = |key: &'static str| {
            let field = info.fields().iter().find(|field| field.rust_name() == key);
            field.map_or(key, FieldInfo::name)
        };
        let keys: Vec<&str> = info.key().iter().map(|key| recorded_name(key)).collect();
        let is_key = |field: &ChangedField| {
            split_first(&field.path).is_some_and(|(name, _)| keys.iter().any(|key| *key == name))
        };
        if self.fields.iter().any(is_key) {
            return;
        }
        let is_single = keys.len() == 1 && info.parent().is_none();
        // The type of the key is not known here, so both ids must look like integers.
        let are_integers = is_single && is_integer(before) && is_integer(after);
        let json = |id: &str| {
            let mut text = String::new();
            if are_integers {
                text.push_str(id);
            } else {
                write_str(&mut text, id);
            }
            Some(Json::trusted(text))
        };
        let path = first_segment(&keys.join("/")).into();
        self.fields.push(ChangedField { path, before: json(before), after: json(after) });
    }

    /// Notes that some fields could not be compared, because code of the object panicked.
    #[cold]
    pub(crate) fn mark_incomplete(&mut self) {
        self.cuts.push(Truncation::new("changes", "fields", self.fields.len() as u64, None));
    }

    /// Turns the fields into changes of one object at one time.
    pub(crate) fn into_changes(
        self,
        target_type: Cow<'static, str>,
        target_id: &str,
        kind: ChangeKind,
        at: DateTime<Utc>,
    ) -> (Vec<FieldChange>, Vec<Truncation>) {
        let change = |ChangedField { path, before, after }| {
            FieldChange::new(target_type.clone(), target_id, kind, path, before, after, at)
        };
        let mut changes: Vec<_> = self.fields.into_iter().map(change).collect();
        if changes.is_empty() && kind != ChangeKind::Changed {
            let (path, before, after) = (NO_FIELD.into(), None, None);
            changes.push(change(ChangedField { path, before, after }));
        }
        (changes, self.cuts)
    }
}

/// Whether `id` is the canonical text of an integer.
fn is_integer(id: &str) -> bool {
    id.parse::<u64>().is_ok_and(|number| number.to_string() == id)
        || id.parse::<i64>().is_ok_and(|number| number.to_string() == id)
}

/// What is recorded in place of a redacted value.
pub(crate) fn redaction_mark() -> Json {
    Json::trusted(format!("\"{REDACTED}\""))
}

/// The time for a change that takes effect now. It is later than all times that this function has
/// returned in this process, also if the clock is too coarse or was set back.
pub(crate) fn change_time() -> DateTime<Utc> {
    static LATEST: AtomicI64 = AtomicI64::new(i64::MIN);
    let now = clock::unix_micros();
    let mut latest = LATEST.load(Ordering::Relaxed);
    loop {
        let time = now.max(latest.saturating_add(1));
        match LATEST.compare_exchange_weak(latest, time, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return DateTime::from_timestamp_micros(time).unwrap_or_default(),
            Err(current) => latest = current,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::change_time;

    #[test]
    fn each_change_has_a_later_time() {
        let times: Vec<_> = (0..10_000).map(|_| change_time()).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
