//! Objects of audited types that a function may change: what of them changes is part of its call's record.
//!
//! `probe.rs` finds by its type whether an object is watched; `within.rs` lets a call know what the calls in it
//! have told of the same object, so that each change is told once.

pub(super) mod probe;

use std::any::type_name;
use std::sync::Arc;

use audit_record::{FieldChange, Truncation};

use crate::busy::busy;
use crate::call::lifecycle::Call;
use crate::capture;
use crate::fields::{AuditedFields, change_time, compared, difference, values};
use crate::in_flight::{CHANGES, CallShared, Object, Parts, Target, Told, Watched};

pub use probe::{InFuture, Moved, Own, lend, reached, watch, whole};

/// An object as it was when the call began.
struct Watch<T: AuditedFields> {
    call: Arc<CallShared>,
    /// The parameter that it came by.
    parameter: &'static str,
    before: T::Snapshot,
    /// What it is to calls within this one.
    this: Arc<Watched>,
    /// What it is to the innermost call around this one that watches it, too.
    around: Option<Arc<Watched>>,
}

impl<T: AuditedFields> Watch<T> {
    /// `None` where nothing is recorded, or where the object's own code panicked.
    fn begin(call: &Call, object: &T, parameter: &'static str) -> Option<Box<Self>> {
        // Its first use allocates: an audited allocator must not come back here.
        let _busy = busy();
        let shared = call.shared()?;
        let id = about(shared, object);
        let Some(before) = capture::guarded(|| object.snapshot()) else {
            unseen(shared, parameter);
            return None;
        };
        let place = (std::ptr::from_ref(object).addr(), type_name::<T>());
        let around = shared.watched.find(place);
        if let Some(around) = &around {
            around.entered(values(object, None, shared.rules()), shared.rules());
        }
        let this =
            shared.watched.add(Object { place, info: T::TYPE, type_path: T::type_path(), id });
        Some(Box::new(Self { call: shared.clone(), parameter, before, this, around }))
    }

    /// Tells what has changed of it.
    fn finish(self: Box<Self>, object: &T) {
        // First, so that all of this is freed before it ends.
        let _busy = busy();
        let this = self;
        let rules = this.call.rules();
        let (mut changes, mut cuts) = (Vec::new(), Vec::new());
        let mut tell = |(more, more_cuts): Parts| {
            changes.extend(more);
            cuts.extend(more_cuts);
        };
        let Told { first, latest, between, left_out } = this.this.take_told();
        let last = match (first, latest) {
            (Some((entered, at)), Some(left)) => {
                let before = values(object, Some(&this.before), rules);
                let rows = difference(T::TYPE, rules, before.as_ref(), Some(&entered));
                tell(this.this.object.changes(rows, at));
                let now = values(object, None, rules);
                difference(T::TYPE, rules, Some(&left), now.as_ref())
            }
            _ => compared(object, &this.before, rules),
        };
        tell(between);
        tell(this.this.object.changes(last, change_time()));
        this.call.state().changed(changes, cuts, left_out);
        if let Some(around) = &this.around {
            around.left(values(object, None, rules));
        }
    }

    /// Says that the object can't be looked at any more.
    fn give_up(self: Box<Self>) {
        let _busy = busy();
        let this = self;
        unseen(&this.call, this.parameter);
    }
}

impl crate::in_flight::CallState {
    /// Adds what has changed of one object; `left_out` changes more are only counted.
    fn changed(&mut self, changes: Vec<FieldChange>, cuts: Vec<Truncation>, left_out: u64) {
        if left_out > 0 || !changes.is_empty() {
            let rest = self.rest();
            rest.changes_left_out += left_out;
            if rest.changes.len() < CHANGES {
                rest.changes.extend(changes);
            } else {
                rest.changes_left_out += changes.len() as u64;
            }
        }
        cuts.into_iter().for_each(|cut| self.cut(cut));
    }
}

impl<T: AuditedFields> Drop for Watch<T> {
    fn drop(&mut self) {
        self.this.ends();
    }
}

/// Names `object` as what the call is about, unless it is about another. Gives the object's id.
fn about<T: AuditedFields>(call: &CallShared, object: &T) -> String {
    let known = capture::guarded(|| (T::type_path(), object.target_id(), object.label()));
    let (type_name, id, label) = known.unwrap_or_default();
    let mut state = call.state();
    let rest = state.rest();
    if rest.target.is_none() {
        rest.target = Some(Target { type_name, id: id.clone(), label });
    }
    id
}

/// Says that what changes of the object in `parameter` is not seen.
fn unseen(call: &CallShared, parameter: &str) {
    let cut = Truncation::new(format!("changes.{parameter}"), "objects", 0, Some(1));
    call.state().cut(cut);
}
