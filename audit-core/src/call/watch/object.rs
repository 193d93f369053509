//! [`ObjectWatch`]: compares one object before and after a call.

use std::sync::Arc;

use audit_record::{FieldChange, Truncation};

use crate::busy::mark_busy;
use crate::call::lifecycle::Call;
use crate::capture::{self, Rules};
use crate::fields::{
    AuditedFields, TargetObject, change_time, changed_fields, compare_values, field_values,
    is_assigned,
};
use crate::in_flight::{
    CallShared, CallState, MAX_CHANGES, NestedChanges, ObjectChanges, ObjectIdentity, ObjectValues,
    Target, WatchedObject,
};

/// An object as it was when the call began.
pub(super) struct ObjectWatch<T: AuditedFields> {
    call: Arc<CallShared>,
    before: T::Snapshot,
    /// The entry of this call in the watch list.
    watched: Arc<WatchedObject>,
    /// The entry of the innermost enclosing call that watches the same object.
    outer: Option<Arc<WatchedObject>>,
}

impl<T: AuditedFields> ObjectWatch<T> {
    /// Returns `None` if the call is not recorded, or if the object's own code panicked.
    pub(super) fn begin(call: &Call, object: &T, parameter: &'static str) -> Option<Box<Self>> {
        // The first use of a type allocates: an audited allocator must not be recorded here.
        let _busy = mark_busy();
        let shared = call.shared()?;
        let id = set_target(shared, object);
        let Some(before) = capture::run_user_code(|| object.snapshot()) else {
            record_unwatched(shared, parameter, Some(1));
            return None;
        };
        let address = object.__audited_address();
        let outer = shared.watched.find(address);
        if let Some(outer) = &outer {
            outer.nested_call_began(object_values(object, shared.rules()), shared.rules());
        }
        let identity = ObjectIdentity { address, info: T::TYPE, type_path: T::type_path(), id };
        let watched = shared.watched.add(identity);
        Some(Box::new(Self { call: shared.clone(), before, watched, outer }))
    }

    /// Adds the changes of the object to the call.
    pub(super) fn finish(self: Box<Self>, object: &T) {
        // Created first, so that all of this is freed before it ends.
        let _busy = mark_busy();
        let this = self;
        let (rules, identity) = (this.call.rules(), &this.watched.object);
        // A store may assign the id while the body runs.
        let (id, label) = capture::run_user_code(|| (object.target_id(), object.label()))
            .unwrap_or_else(|| (identity.id.clone(), None));
        let (mut changes, mut cuts) = (Vec::new(), Vec::new());
        let mut add = |(more, more_cuts): ObjectChanges| {
            changes.extend(more);
            cuts.extend(more_cuts);
        };
        let NestedChanges { first, latest, between, left_out } = this.watched.take_nested_changes();
        let last = match (first, latest) {
            // Nested calls have recorded their changes. Left are those before the first nested
            // call, between nested calls, and after the last one.
            (Some((at_first, time)), Some(at_latest)) => {
                let before = field_values(object, Some(&this.before), rules);
                let mut rows =
                    compare_values(T::TYPE, rules, before.as_ref(), Some(&at_first.fields));
                rows.add_key_change(T::TYPE, &identity.id, &at_first.id);
                add(identity.changes(rows, time));
                let now = field_values(object, None, rules);
                let mut rows =
                    compare_values(T::TYPE, rules, Some(&at_latest.fields), now.as_ref());
                rows.add_key_change(T::TYPE, &at_latest.id, &id);
                rows
            }
            _ => {
                let mut rows = changed_fields(object, &this.before, rules);
                rows.add_key_change(T::TYPE, &identity.id, &id);
                rows
            }
        };
        add(between);
        add(identity.changes(last, change_time()));
        let mut state = this.call.state();
        if id != identity.id && is_assigned(&identity.id, &id) {
            changes.iter_mut().for_each(|change| change.target_id.clone_from(&id));
            state.annotations().update_target(identity.address, &id, label);
        }
        add_changes(&mut state, changes, cuts, left_out);
        drop(state);
        if let Some(outer) = &this.outer {
            outer.nested_call_ended(object_values(object, rules));
        }
    }
}

impl<T: AuditedFields> Drop for ObjectWatch<T> {
    fn drop(&mut self) {
        self.watched.end();
    }
}

/// Adds the changes of one object. `left_out` further changes are only counted.
fn add_changes(
    state: &mut CallState,
    changes: Vec<FieldChange>,
    cuts: Vec<Truncation>,
    left_out: u64,
) {
    if left_out > 0 || !changes.is_empty() {
        let annotations = state.annotations();
        annotations.changes_left_out += left_out;
        if annotations.changes.len() < MAX_CHANGES {
            annotations.changes.extend(changes);
        } else {
            annotations.changes_left_out += changes.len() as u64;
        }
    }
    cuts.into_iter().for_each(|cut| state.cut(cut));
}

/// The values of the object now. `None` if code of the object panicked.
fn object_values<T: AuditedFields>(object: &T, rules: &Rules) -> Option<ObjectValues> {
    let id = capture::run_user_code(|| object.target_id())?;
    Some(ObjectValues { fields: field_values(object, None, rules)?, id })
}

/// Makes `object` the target of the call, unless it has a target. Returns the id of the object.
fn set_target<T: AuditedFields>(call: &CallShared, object: &T) -> String {
    let known = capture::run_user_code(|| (T::type_path(), object.target_id(), object.label()));
    let (type_name, id, label) = known.unwrap_or_default();
    let mut state = call.state();
    let annotations = state.annotations();
    if annotations.target.is_none() {
        annotations.target = Some(Target { type_name, id: id.clone(), label });
        annotations.target_address = Some(object.__audited_address());
    }
    id
}

/// Makes `object` the target of the call. If its changes would have to be read after the body, the
/// record says that they are not known.
pub(super) fn record_target<T: TargetObject>(call: &CallShared, object: &T, parameter: &str) {
    set_target(call, object.audited());
    if !T::RECORDS_CHANGES {
        record_unwatched(call, parameter, Some(1));
    }
}

/// Records that the changes of `objects`, of which there may be any number, in `parameter` are not
/// known.
pub(super) fn record_unwatched(call: &CallShared, parameter: &str, objects: Option<u64>) {
    let cut = Truncation::new(format!("changes.{parameter}"), "objects", 0, objects);
    call.state().cut(cut);
}
