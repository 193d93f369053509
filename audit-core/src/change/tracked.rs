//! [`Tracked`]: an object that remembers its audited fields as they are in the store.

use std::fmt::{self, Debug, Display};
use std::ops::{AsyncFnOnce, Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use audit_record::{ChangeKind, FieldChange};

use crate::change::SaveInfo;
use crate::change::save::{Attempt, Stored, Undo};
use crate::fields::AuditedFields;

/// An object that puts the changes of its audited fields on the record when it is saved or deleted.
///
/// It derefs to the object, so reading and changing it looks as without it. [`save`](Tracked::save) runs
/// the operation that stores it; if that returns `Ok`, what has changed since the last time is recorded, as a
/// record of kind `change`. If it returns `Err`, nothing has changed: the record then says that it was tried,
/// and with which error, and the next save still tells of the change. A save with no change of an audited
/// field runs the operation and records nothing.
///
/// ```
/// use audited::{ChangeKind, Tracked, audited_fields, testing};
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
///     pilot.save(|p| db.upsert(p)).unwrap(); // nothing changed: no record
///     pilot.delete(|p| db.delete(p)).unwrap(); // deleted: both fields, as they were
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
/// What it can't see: writes that go around it, fields that are not audited, and what changes behind an
/// `Rc` or a lock without the field itself changing.
#[must_use = "changes are recorded when it is saved"]
pub struct Tracked<T: AuditedFields> {
    pub(super) value: T,
    pub(super) stored: Stored<T>,
    pub(super) info: SaveInfo,
    pub(super) undo: Option<Box<Undo<T>>>,
}

impl<T: AuditedFields> Tracked<T> {
    /// An object that is not stored yet: the first save records it as created, with every audited field.
    pub fn new(value: T) -> Self {
        Self { value, stored: Stored::No, info: SaveInfo::default(), undo: None }
    }

    /// An object as it was read from the store: the first save records what has changed since.
    ///
    /// It keeps a clone of the audited fields.
    pub fn loaded(value: T) -> Self {
        Self { stored: Stored::of(&value), value, info: SaveInfo::default(), undo: None }
    }

    /// What is to be said of the next save or delete: who, why, and any further key.
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
        self.settle();
        &mut self.info
    }

    /// Runs `store`, which stores the object, and records what has changed.
    ///
    /// `store` may change the object: an id that the database gives is the one recorded.
    ///
    /// # Errors
    ///
    /// Those of `store`; the attempt is recorded with its error, and the change stays to be told.
    ///
    /// # Panics
    ///
    /// When `store` panics, with its payload; the attempt is recorded.
    pub fn save<R, E: Display>(
        &mut self,
        store: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let attempt = Attempt::save(self);
        let result = catch_unwind(AssertUnwindSafe(|| store(&mut attempt.tracked.value)));
        match result {
            Ok(result) => attempt.ended(result),
            Err(payload) => {
                attempt.panicked(&*payload);
                resume_unwind(payload)
            }
        }
    }

    /// The async form of [`save`](Tracked::save).
    ///
    /// Dropped before it is done, it records the attempt as cancelled: whether the store has taken it is not
    /// known then, and the next save tells of the change.
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
    /// As [`save`](Tracked::save).
    pub async fn save_async<R, E: Display>(
        &mut self,
        store: impl AsyncFnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let attempt = Attempt::save(self);
        let result = store(&mut attempt.tracked.value).await;
        attempt.ended(result)
    }

    /// Runs `remove`, which removes the object from the store, and records the last stored value of every
    /// audited field.
    ///
    /// The object is as a new one afterwards: saved again, it is recorded as created.
    ///
    /// # Errors
    ///
    /// Those of `remove`; the attempt is recorded with its error.
    ///
    /// # Panics
    ///
    /// When `remove` panics, with its payload; the attempt is recorded.
    pub fn delete<R, E: Display>(
        &mut self,
        remove: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let attempt = Attempt::delete(self);
        let result = catch_unwind(AssertUnwindSafe(|| remove(&mut attempt.tracked.value)));
        match result {
            Ok(result) => attempt.ended(result),
            Err(payload) => {
                attempt.panicked(&*payload);
                resume_unwind(payload)
            }
        }
    }

    /// The async form of [`delete`](Tracked::delete); see [`save_async`](Tracked::save_async).
    ///
    /// # Errors
    ///
    /// As [`delete`](Tracked::delete).
    pub async fn delete_async<R, E: Display>(
        &mut self,
        remove: impl AsyncFnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let attempt = Attempt::delete(self);
        let result = remove(&mut attempt.tracked.value).await;
        attempt.ended(result)
    }

    /// What a save would record now: every field of a new object, else those that changed.
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
        self.known().pending(&self.value)
    }

    /// Whether the object is stored, as far as this knows: it was loaded or saved, and not deleted since.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        !matches!(self.known(), Stored::No)
    }

    /// The object itself.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// The id that changes are recorded for: the one it is stored under.
    pub(super) fn recorded_id(&self) -> String {
        self.known().id().map_or_else(|| self.value.target_id(), str::to_owned)
    }

    /// What the next save does to the object.
    pub(super) fn next_change(&self) -> ChangeKind {
        if self.is_stored() { ChangeKind::Changed } else { ChangeKind::Created }
    }
}

impl<T: AuditedFields> Deref for Tracked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: AuditedFields> DerefMut for Tracked<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: AuditedFields + Debug> Debug for Tracked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
