//! [`SaveAttempt`]: one save or deletion of a tracked object, from its start to its record.

use std::fmt::Display;
use std::mem;
use std::ops::AsyncFnOnce;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;
use std::time::Instant;

use audit_record::ChangeKind;

use crate::change::record::{self, Operation, OperationEnd};
use crate::change::tracked_state::{StoreEffect, TrackedState};
use crate::current;
use crate::fields::{AuditedFields, change_time};
use crate::in_flight::{StartTime, Target};
use crate::recorder::RecorderRef;
use crate::scope;

/// A save or deletion in progress. If it is dropped before its result is known, it is recorded as
/// cancelled.
pub(super) struct SaveAttempt<'t, T: AuditedFields> {
    object: &'t mut TrackedState<T>,
    kind: ChangeKind,
    /// The method of `Tracked` that was called.
    function: &'static str,
    /// `None` if nothing is recorded, or once the record is made.
    began: Option<(RecorderRef, Instant)>,
    is_over: bool,
    was_panicking: bool,
}

impl<'t, T: AuditedFields> SaveAttempt<'t, T> {
    pub(super) fn save(object: &'t mut TrackedState<T>) -> Self {
        object.settle();
        let kind = object.next_change();
        Self::new(object, kind, "save")
    }

    pub(super) fn delete(object: &'t mut TrackedState<T>) -> Self {
        object.settle();
        Self::new(object, ChangeKind::Deleted, "delete")
    }

    fn new(object: &'t mut TrackedState<T>, kind: ChangeKind, function: &'static str) -> Self {
        // The system clock is read only if there is something to record.
        let began = current::active_recorder().map(|recorder| (recorder, Instant::now()));
        let was_panicking = thread::panicking();
        Self { object, kind, function, began, is_over: false, was_panicking }
    }

    /// Runs the operation and records its result. A panic is recorded and continues.
    pub(super) fn run<R, E: Display>(
        mut self,
        operation: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        match catch_unwind(AssertUnwindSafe(|| operation(&mut self.object.value))) {
            Ok(result) => self.finish(result),
            Err(payload) => {
                self.record_failure(|since| OperationEnd::from_panic(&*payload, since));
                resume_unwind(payload)
            }
        }
    }

    /// The async form of [`run`](Self::run).
    pub(super) async fn run_async<R, E: Display>(
        self,
        operation: impl AsyncFnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let result = operation(&mut self.object.value).await;
        self.finish(result)
    }

    fn finish<R, E: Display>(mut self, result: Result<R, E>) -> Result<R, E> {
        match &result {
            Ok(_) => self.record_success(),
            Err(error) => self.record_failure(|_| OperationEnd::from_error(error)),
        }
        result
    }

    fn record_success(&mut self) {
        self.is_over = true;
        let (mut is_unchanged, mut transaction) = (false, None);
        if let Some((recorder, began)) = self.began.take() {
            transaction = recorder.transaction_outcome();
            let TrackedState { stored, value, .. } = &*self.object;
            let changed = stored.changed_fields(value, self.kind, &recorder.rules);
            is_unchanged = !changed.must_be_recorded(self.kind);
            if !is_unchanged {
                let id = self.object.recorded_id();
                self.update_target_of_caller(&id);
                let operation = self.operation(recorder, began, id.clone());
                let (changes, cuts) =
                    changed.into_changes(T::type_path(), &id, self.kind, change_time());
                operation.record_changes(&self.object.info, changes, cuts);
            }
        }
        let effect = match self.kind {
            ChangeKind::Deleted => StoreEffect::Deleted,
            _ if is_unchanged => StoreEffect::Unchanged,
            _ => StoreEffect::Saved,
        };
        self.object.apply(effect, transaction);
    }

    /// If the object is the target of the call around the operation, the call gets its new id.
    fn update_target_of_caller(&self, id: &str) {
        if self.kind != ChangeKind::Created {
            return;
        }
        if let Some(call) = scope::with(|scope| scope.call.clone()) {
            let (address, label) =
                (self.object.value.__audited_address(), self.object.value.label());
            call.while_running(|state| state.annotations().update_target(address, id, label));
        }
    }

    fn record_failure(&mut self, end: impl FnOnce(Instant) -> OperationEnd) {
        self.is_over = true;
        // The information applies to this attempt only. The next one may have another operator.
        let info = mem::take(&mut self.object.info);
        let Some((recorder, began)) = self.began.take() else { return };
        let TrackedState { stored, value, .. } = &*self.object;
        let changed = stored.changed_fields(value, self.kind, &recorder.rules);
        if !changed.must_be_recorded(self.kind) {
            return;
        }
        let (input, cuts) = record::attempted_input(changed, self.kind);
        let operation = self.operation(recorder, began, self.object.recorded_id());
        operation.record_input(&info, input, cuts, end(began));
    }

    fn operation(&self, recorder: RecorderRef, began: Instant, id: String) -> Operation {
        let label = self.object.value.label();
        Operation {
            recorder,
            began: StartTime::since(began),
            action: record::default_action(self.kind, T::TYPE.name()),
            method: record::method_name(T::TYPE, self.function),
            target: Some(Target { type_name: T::type_path(), id, label }),
        }
    }
}

impl<T: AuditedFields> Drop for SaveAttempt<'_, T> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let panicked = thread::panicking() && !self.was_panicking;
        self.record_failure(|since| OperationEnd::from_drop(panicked, since));
    }
}
