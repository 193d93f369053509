//! Keeps nested calls from recording the same change of an object twice.
//!
//! A call that is given an object as `&mut` watches it: its record holds what has changed. If the
//! call passes the object on to another audited call, that call records its own part. The outer
//! call then records only what changed before the nested call, between nested calls, and after
//! them.
//!
//! Objects are identified by address and type. While a call holds a `&mut` to an object, only the
//! calls nested in it can hold an object of that type at that address.

use std::borrow::Cow;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use audit_record::{ChangeKind, FieldChange, Truncation};
use chrono::{DateTime, Utc};

use crate::capture::Rules;
use crate::fields::{
    ChangedFields, FieldValues, ObjectAddress, TypeInfo, change_time, compare_values,
};

/// Limit of the changes in one record. Excess ones are only counted, but the changes of one object
/// are never split.
pub(crate) const MAX_CHANGES: usize = 4_096;

/// Changes of one object, and what was cut in them.
pub(crate) type ObjectChanges = (Vec<FieldChange>, Vec<Truncation>);

/// What identifies a watched object in memory and in records.
pub(crate) struct ObjectIdentity {
    pub(crate) address: ObjectAddress,
    pub(crate) info: &'static TypeInfo,
    pub(crate) type_path: Cow<'static, str>,
    /// The id that the object had when the call began.
    pub(crate) id: String,
}

impl ObjectIdentity {
    /// Converts `rows` to changes of this object.
    pub(crate) fn changes(&self, rows: ChangedFields, at: DateTime<Utc>) -> ObjectChanges {
        rows.into_changes(self.type_path.clone(), &self.id, ChangeKind::Changed, at)
    }
}

/// The audited fields of an object, and its id.
#[derive(Clone)]
pub(crate) struct ObjectValues {
    pub(crate) fields: FieldValues,
    pub(crate) id: String,
}

impl ObjectValues {
    /// What differs in `later`.
    pub(crate) fn changes_to(
        &self,
        later: &ObjectValues,
        info: &'static TypeInfo,
        rules: &Rules,
    ) -> ChangedFields {
        let mut rows = compare_values(info, rules, Some(&self.fields), Some(&later.fields));
        rows.add_key_change(info, &self.id, &later.id);
        rows
    }
}

/// An object that a call watches.
pub(crate) struct WatchedObject {
    pub(crate) object: ObjectIdentity,
    nested: Mutex<NestedChanges>,
    /// The object that was added before this one, by this call or by an enclosing call.
    previous: Option<Arc<WatchedObject>>,
    has_ended: AtomicBool,
}

/// What nested calls have recorded about an object. The outer call leaves it out.
#[derive(Default)]
pub(crate) struct NestedChanges {
    /// The values when the first nested call began, and when that was.
    pub(crate) first: Option<(ObjectValues, DateTime<Utc>)>,
    /// The values when the latest nested call ended; while it runs, the values when it began.
    pub(crate) latest: Option<ObjectValues>,
    /// The changes between two nested calls.
    pub(crate) between: ObjectChanges,
    /// The number of changes between two nested calls that exceeded the limit.
    pub(crate) left_out: u64,
}

impl WatchedObject {
    /// The call does not watch the object any more.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    /// A nested call begins while the object has these `values`. `None` if reading them panicked.
    pub(crate) fn nested_call_began(&self, values: Option<ObjectValues>, rules: &Rules) {
        let mut nested = self.nested.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(values) = values else { return nested.set_incomplete() };
        let at = change_time();
        match &nested.latest {
            Some(latest) => {
                let rows = latest.changes_to(&values, self.object.info, rules);
                let (changes, cuts) = self.object.changes(rows, at);
                // Limited, because the outer call may run for as long as the process.
                if nested.between.0.len() < MAX_CHANGES {
                    nested.between.0.extend(changes);
                    nested.between.1.extend(cuts);
                } else {
                    nested.left_out += changes.len() as u64;
                }
            }
            None => nested.first = Some((values.clone(), at)),
        }
        nested.latest = Some(values);
    }

    /// A nested call has recorded its changes and ends while the object has these `values`. `None`
    /// if reading them panicked.
    pub(crate) fn nested_call_ended(&self, values: Option<ObjectValues>) {
        let mut nested = self.nested.lock().unwrap_or_else(PoisonError::into_inner);
        match values {
            Some(values) if nested.latest.is_some() => nested.latest = Some(values),
            _ => nested.set_incomplete(),
        }
    }

    pub(crate) fn take_nested_changes(&self) -> NestedChanges {
        mem::take(&mut self.nested.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl NestedChanges {
    /// The object's own code panicked, so some changes of the outer call cannot be determined.
    fn set_incomplete(&mut self) {
        if self.between.1.len() < MAX_CHANGES {
            self.between.1.push(Truncation::new("changes", "fields", 0, None));
        }
    }
}

/// The objects that a call and the calls around it watch: a linked list, the latest first.
#[derive(Default)]
pub(crate) struct WatchList(OnceLock<Mutex<Arc<WatchedObject>>>);

impl WatchList {
    /// Adds the objects that the enclosing call watches.
    #[inline]
    pub(crate) fn inherit(&self, outer: &WatchList) {
        if let Some(latest) = outer.latest() {
            let _ = self.0.set(Mutex::new(latest));
        }
    }

    /// The object at `address`, as the innermost call watches it.
    pub(crate) fn find(&self, address: ObjectAddress) -> Option<Arc<WatchedObject>> {
        let mut next = self.latest();
        while let Some(watched) = next {
            if watched.object.address == address {
                return Some(watched);
            }
            next = watched.previous.clone();
        }
        None
    }

    pub(crate) fn add(&self, object: ObjectIdentity) -> Arc<WatchedObject> {
        let new = |previous| {
            let (nested, has_ended) = (Mutex::default(), AtomicBool::new(false));
            Arc::new(WatchedObject { object, nested, previous, has_ended })
        };
        match self.0.get() {
            None => {
                let watched = new(None);
                let _ = self.0.set(Mutex::new(watched.clone()));
                watched
            }
            Some(latest) => {
                let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
                let watched = new(latest_watched(&latest));
                *latest = watched.clone();
                watched
            }
        }
    }

    #[inline]
    fn latest(&self) -> Option<Arc<WatchedObject>> {
        let latest = self.0.get()?.lock().unwrap_or_else(PoisonError::into_inner);
        latest_watched(&latest)
    }
}

/// The first object from `latest` on that is still watched.
///
/// Skipping the others keeps the list short. Otherwise it would never be freed where each call is
/// made under the context of the call before.
fn latest_watched(latest: &Arc<WatchedObject>) -> Option<Arc<WatchedObject>> {
    let mut next = Some(latest);
    while let Some(watched) = next {
        if !watched.has_ended.load(Ordering::Relaxed) {
            return Some(watched.clone());
        }
        next = watched.previous.as_ref();
    }
    None
}
