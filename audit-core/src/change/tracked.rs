//! [`Tracked`]: an object that records the changes of its audited fields when it is saved.

use std::fmt::{self, Debug, Display};
use std::ops::{AsyncFnOnce, Deref, DerefMut};

use audit_record::FieldChange;
use serde::{Serialize, Serializer};

use crate::change::SaveInfo;
use crate::change::save::SaveAttempt;
use crate::change::tracked_state::{StoredState, TrackedState};
use crate::fields::{AuditedFields, TargetObject};

/// An object that records the changes of its audited fields when it is saved or deleted.
///
/// It derefs to the object, so code that reads or changes the object stays the same.
/// [`save`](Tracked::save) runs the operation that stores the object:
///
/// | the operation | the record |
/// |---|---|
/// | returns `Ok`, and audited fields have changed since the last save | has kind `change`, and contains the changed fields |
/// | returns `Ok`, and no audited field has changed | none |
/// | returns `Err` or panics | an attempt with the error; the next save records the changes again |
///
/// ```
/// use audited::record::ChangeKind;
/// use audited::{Tracked, audited_fields, testing};
///
/// #[audited_fields(name, age; key = id)]
/// struct Pilot { id: u64, name: String, age: u8 }
///
/// # struct Db; impl Db { fn upsert(&self, _: &Pilot) -> Result<(), String> { Ok(()) } fn delete(&self, _: &Pilot) -> Result<(), String> { Ok(()) } }
/// # let db = Db;
/// let records = testing::capture(|| {
///     let mut pilot = Tracked::new(Pilot { id: 340, name: "Kara".into(), age: 25 });
///     pilot.save(|p| db.upsert(p)).unwrap(); // created: both fields
///     pilot.age = 26;
///     pilot.info().operator("Someone").notes("Quick update");
///     pilot.save(|p| db.upsert(p)).unwrap(); // changed: age 25 → 26
///     pilot.save(|p| db.upsert(p)).unwrap(); // nothing has changed: no record
///     pilot.delete(|p| db.delete(p)).unwrap(); // deleted: the last values of both fields
/// });
/// let counts: Vec<usize> = records.iter().map(|record| record.changes.len()).collect();
/// assert_eq!(counts, [2, 1, 2]);
/// let change = &records[1].changes[0];
/// assert_eq!((&*change.target_type, &*change.target_id, &*change.field), ("Pilot", "340", "age"));
/// assert_eq!(change.before.as_ref().unwrap().as_str(), "25");
/// assert_eq!(records[1].actor.as_deref(), Some("Someone"));
/// assert_eq!(records[2].changes[1].change, ChangeKind::Deleted);
/// ```
///
/// It does not see writes that do not use it, and fields that are not audited. It also does not see
/// changes behind an `Rc` or a lock that leave the field itself equal.
#[must_use = "changes are recorded only when the object is saved"]
pub struct Tracked<T: AuditedFields> {
    pub(super) state: TrackedState<T>,
}

impl<T: AuditedFields> Tracked<T> {
    /// Tracks an object that is not stored yet. The first save records it as created, with every
    /// audited field.
    pub fn new(value: T) -> Self {
        Self { state: TrackedState::new(value, StoredState::NotStored) }
    }

    /// Tracks an object that was read from the store. The first save records what has changed since
    /// this call.
    ///
    /// This takes a snapshot of the audited fields, usually by cloning them.
    pub fn loaded(value: T) -> Self {
        let stored = StoredState::of(&value);
        Self { state: TrackedState::new(value, stored) }
    }

    /// Sets additional information about the next save or deletion: operator, notes, reason and
    /// further fields.
    ///
    /// ```
    /// # use audited::{Tracked, audited_fields, testing};
    /// # #[audited_fields(age; key = id)] struct Pilot { id: u64, age: u8 }
    /// let records = testing::capture(|| {
    ///     let mut pilot = Tracked::loaded(Pilot { id: 340, age: 25 });
    ///     pilot.age = 26;
    ///     pilot.info().operator("Someone").notes("Quick update").field("hyperspace", true);
    ///     pilot.save(|_| Ok::<(), String>(())).unwrap();
    /// });
    /// assert_eq!(records[0].actor.as_deref(), Some("Someone"));
    /// assert_eq!(records[0].notes[0].description, "Quick update");
    /// assert_eq!(records[0].context.as_ref().unwrap().as_str(), r#"{"extra":{"hyperspace":true}}"#);
    /// ```
    pub fn info(&mut self) -> &mut SaveInfo {
        self.state.settle();
        &mut self.state.info
    }

    /// Runs `store`, which must store the object, and records what has changed.
    ///
    /// `store` may change the object. If the database assigns an id there, that id is recorded.
    ///
    /// # Errors
    ///
    /// Returns the error of `store`. The attempt is recorded with this error, and the next save
    /// records the changes again.
    ///
    /// # Panics
    ///
    /// Panics if `store` panics, with the same payload. The attempt is recorded.
    pub fn save<R, E: Display>(
        &mut self,
        store: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        SaveAttempt::save(&mut self.state).run(store)
    }

    /// The async form of [`save`](Tracked::save).
    ///
    /// If the future is dropped before it completes, the attempt is recorded as cancelled. Whether
    /// the object was stored is then unknown, so the next save records the changes again.
    ///
    /// ```
    /// # fn block_on<F: std::future::Future>(f: F) -> F::Output {
    /// #     let mut f = std::pin::pin!(f);
    /// #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop { if let std::task::Poll::Ready(v) = f.as_mut().poll(&mut cx) { return v } }
    /// # }
    /// # use audited::{Tracked, audited_fields, testing};
    /// # #[audited_fields(age; key = id)] struct Pilot { id: u64, age: u8 }
    /// # async fn update(_: &Pilot) -> Result<(), String> { Ok(()) }
    /// let records = block_on(testing::capture_async(async {
    ///     let mut pilot = Tracked::loaded(Pilot { id: 340, age: 25 });
    ///     pilot.age = 26;
    ///     pilot.save_async(async |p| update(p).await).await.unwrap();
    /// }));
    /// assert_eq!(records[0].changes[0].after.as_ref().unwrap().as_str(), "26");
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the error of `store`, as [`save`](Tracked::save) does.
    pub async fn save_async<R, E: Display>(
        &mut self,
        store: impl AsyncFnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        SaveAttempt::save(&mut self.state).run_async(store).await
    }

    /// Runs `remove`, which must remove the object from the store, and records the last stored
    /// value of every audited field.
    ///
    /// Afterwards the object counts as new. If it is saved again, it is recorded as created.
    ///
    /// # Errors
    ///
    /// Returns the error of `remove`. The attempt is recorded with this error.
    ///
    /// # Panics
    ///
    /// Panics if `remove` panics, with the same payload. The attempt is recorded.
    pub fn delete<R, E: Display>(
        &mut self,
        remove: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        SaveAttempt::delete(&mut self.state).run(remove)
    }

    /// The async form of [`delete`](Tracked::delete). If the future is dropped before it completes,
    /// the attempt is recorded as cancelled.
    ///
    /// # Errors
    ///
    /// Returns the error of `remove`, as [`delete`](Tracked::delete) does.
    pub async fn delete_async<R, E: Display>(
        &mut self,
        remove: impl AsyncFnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        SaveAttempt::delete(&mut self.state).run_async(remove).await
    }

    /// The changes that a save would record now: every field of a new object, otherwise the fields
    /// that have changed.
    ///
    /// ```
    /// # use audited::{Tracked, audited_fields};
    /// # #[audited_fields(age; key = id)] struct Pilot { id: u64, age: u8 }
    /// let mut pilot = Tracked::loaded(Pilot { id: 340, age: 25 });
    /// assert!(pilot.changes().is_empty());
    /// pilot.age = 26;
    /// assert_eq!(pilot.changes()[0].field, "age");
    /// ```
    #[must_use]
    pub fn changes(&self) -> Vec<FieldChange> {
        self.state.pending_changes()
    }

    /// Whether the object is stored, as far as is known: it was loaded or saved, and not deleted
    /// since.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.state.is_stored()
    }

    /// Returns the object. Changes that were not saved are not recorded.
    pub fn into_inner(self) -> T {
        self.state.value
    }
}

impl<T: AuditedFields> Deref for Tracked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state.value
    }
}

impl<T: AuditedFields> DerefMut for Tracked<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.state.value
    }
}

impl<T: AuditedFields> TargetObject for Tracked<T> {
    type Audited = T;

    const RECORDS_CHANGES: bool = true;

    fn audited(&self) -> &T {
        self
    }
}

/// Serialises the object, so that a `Tracked` argument is recorded like the object itself.
impl<T: AuditedFields + Serialize> Serialize for Tracked<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.state.value.serialize(serializer)
    }
}

impl<T: AuditedFields + Debug> Debug for Tracked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.value.fmt(f)
    }
}
