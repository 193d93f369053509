//! [`TrackedState`]: a tracked object, and what is known about it in the store.

use audit_record::{ChangeKind, FieldChange};

use crate::capture::{self, Rules};
use crate::change::SaveInfo;
use crate::current;
use crate::fields::{AuditedFields, ChangedFields, change_time, changed_fields, described_fields};
use crate::recorder::OutcomeHandle;

/// The content of a [`Tracked`](crate::Tracked) object.
pub(super) struct TrackedState<T: AuditedFields> {
    pub(super) value: T,
    pub(super) stored: StoredState<T>,
    pub(super) info: SaveInfo,
    rollback: Option<Box<RollbackState<T>>>,
}

/// What is known about an object in the store.
pub(super) enum StoredState<T: AuditedFields> {
    NotStored,
    /// The object is stored with this id and these fields.
    Known {
        id: String,
        fields: T::Snapshot,
    },
    /// The object is stored with this id. Its fields are unknown, because taking the snapshot
    /// panicked.
    Unknown {
        id: String,
    },
}

/// The state before a transaction that may still be rolled back.
struct RollbackState<T: AuditedFields> {
    transaction: OutcomeHandle,
    stored: StoredState<T>,
}

/// What a successful operation did to the stored object.
#[derive(Clone, Copy)]
pub(super) enum StoreEffect {
    /// No audited field has changed.
    Unchanged,
    Saved,
    Deleted,
}

impl<T: AuditedFields> StoredState<T> {
    /// The state of an object that is stored as `value`.
    pub(super) fn of(value: &T) -> Self {
        let id = value.target_id();
        match capture::run_user_code(|| value.snapshot()) {
            Some(fields) => Self::Known { id, fields },
            None => Self::Unknown { id },
        }
    }

    fn is_stored(&self) -> bool {
        !matches!(self, Self::NotStored)
    }

    /// The id under which the object is stored.
    fn id(&self) -> Option<&str> {
        match self {
            Self::NotStored => None,
            Self::Known { id, .. } | Self::Unknown { id } => Some(id),
        }
    }

    /// What a change of this kind, from this state to `value`, records.
    pub(super) fn changed_fields(
        &self,
        value: &T,
        kind: ChangeKind,
        rules: &Rules,
    ) -> ChangedFields {
        let mut changed = match (self, kind) {
            (Self::Known { fields, .. }, ChangeKind::Changed) => {
                changed_fields(value, fields, rules)
            }
            (Self::Known { fields, .. }, ChangeKind::Deleted) => {
                described_fields(value, Some(fields), kind, rules)
            }
            _ => described_fields(value, None, kind, rules),
        };
        if let (ChangeKind::Changed, Some(id)) = (kind, self.id()) {
            changed.add_key_change(T::TYPE, id, &value.target_id());
        }
        changed
    }

    /// Makes `value` the stored state.
    fn refresh(&mut self, value: &T) {
        let is_refreshed = match self {
            Self::Known { id, fields } => {
                *id = value.target_id();
                capture::run_user_code(|| value.refresh(fields)).is_some()
            }
            _ => false,
        };
        if !is_refreshed {
            *self = Self::of(value);
        }
    }

    /// Makes `value`, whose audited fields have not changed, the stored state.
    fn refresh_unchanged(&mut self, value: &T) {
        match self {
            Self::Known { id, .. } => *id = value.target_id(),
            _ => self.refresh(value),
        }
    }
}

impl<T: AuditedFields> TrackedState<T> {
    pub(super) fn new(value: T, stored: StoredState<T>) -> Self {
        Self { value, stored, info: SaveInfo::default(), rollback: None }
    }

    /// The stored state, taking a rollback into account.
    fn stored_state(&self) -> &StoredState<T> {
        match &self.rollback {
            Some(rollback) if rollback.transaction.is_rolled_back() => &rollback.stored,
            _ => &self.stored,
        }
    }

    /// Restores the earlier state if the transaction of the last save was rolled back.
    pub(super) fn settle(&mut self) {
        let Some(rollback) = self.rollback.take() else { return };
        if rollback.transaction.is_rolled_back() {
            self.stored = rollback.stored;
        } else if !rollback.transaction.is_committed() {
            self.rollback = Some(rollback);
        }
    }

    /// Updates the state after a successful operation. `transaction` is given if the operation ran
    /// in a transaction that may still be rolled back.
    pub(super) fn apply(&mut self, effect: StoreEffect, transaction: Option<OutcomeHandle>) {
        self.info = SaveInfo::default();
        match (effect, transaction) {
            (StoreEffect::Unchanged, _) => self.stored.refresh_unchanged(&self.value),
            // Only the first operation in a transaction keeps the state to go back to.
            (effect, Some(transaction)) if self.rollback.is_none() => {
                let stored = match effect {
                    StoreEffect::Deleted => StoredState::NotStored,
                    _ => StoredState::of(&self.value),
                };
                let stored = std::mem::replace(&mut self.stored, stored);
                self.rollback = Some(Box::new(RollbackState { transaction, stored }));
            }
            (StoreEffect::Saved, _) => self.stored.refresh(&self.value),
            (StoreEffect::Deleted, _) => self.stored = StoredState::NotStored,
        }
    }

    /// What the next save would record.
    pub(super) fn pending_changes(&self) -> Vec<FieldChange> {
        let (stored, kind) = (self.stored_state(), self.next_change());
        let rules = current::recorder().map_or_else(Rules::default, |r| r.rules.clone());
        let changed = stored.changed_fields(&self.value, kind, &rules);
        changed.into_changes(T::type_path(), &self.recorded_id(), kind, change_time()).0
    }

    pub(super) fn is_stored(&self) -> bool {
        self.stored_state().is_stored()
    }

    /// The id under which changes are recorded: the stored one, or the current one of a new object.
    pub(super) fn recorded_id(&self) -> String {
        self.stored_state().id().map_or_else(|| self.value.target_id(), str::to_owned)
    }

    /// What the next save does to the object.
    pub(super) fn next_change(&self) -> ChangeKind {
        if self.is_stored() { ChangeKind::Changed } else { ChangeKind::Created }
    }
}
