//! [`HistoryReader`]: histories from a store, without a recorder.

use std::sync::{Arc, Mutex};

use audit_record::Error;
use audit_record::store::ChangeReader;

use crate::fields::{AuditedFields, ObjectKey};
use crate::history::object::History;
use crate::history::selection::SharedReader;

/// Reads histories without a recorder, for example from a copy of a trail.
///
/// A program that records uses [`Audit::history`](crate::Audit::history) instead, which includes what
/// waits in the queue. Clones share one reader.
///
/// ```
/// use audited::history::HistoryReader;
/// use audited::store::SqliteReader;
/// use audited::{Tracked, audited_fields};
///
/// #[audited_fields(age; key = id)]
/// struct Pilot { id: u64, age: u8 }
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("audit.db");
/// let audit = audited::init(&path)?;
/// let mut pilot = Tracked::loaded(Pilot { id: 340, age: 25 });
/// pilot.age = 26;
/// pilot.save(|_| Ok::<(), String>(()))?;
/// drop(audit);
///
/// let trail = HistoryReader::new(SqliteReader::open(&path)?);
/// let change = trail.history::<Pilot>(340)?.last_change_of("age")?.expect("it changed");
/// assert_eq!(change.to_string(), "Pilot 340 changed: age 25 → 26");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct HistoryReader(SharedReader);

impl HistoryReader {
    /// Reads histories through `reader`.
    #[must_use]
    pub fn new(reader: impl ChangeReader) -> Self {
        Self::shared(Arc::new(Mutex::new(Box::new(reader))))
    }

    pub(crate) fn shared(reader: SharedReader) -> Self {
        Self(reader)
    }

    /// The history of the object of type `T` with this key.
    ///
    /// # Errors
    ///
    /// When the key has another number of parts than the key of the type.
    pub fn history<T: AuditedFields>(&self, key: impl Into<ObjectKey>) -> Result<History, Error> {
        let key = key.into();
        let (given, parts) = (key.parts(), T::TYPE.key_parts());
        if given != parts {
            return Err(Error::permanent(format!(
                "the key of `{}` has {parts} part(s), those of its parents first, and {given} were given; own key: ({})",
                T::type_path(),
                T::TYPE.key().join(", ")
            )));
        }
        Ok(self.history_of_all::<T>().of_object(key))
    }

    /// The history of all objects of type `T`.
    pub fn history_of_all<T: AuditedFields>(&self) -> History {
        History::of_type::<T>(self.0.clone())
    }

    /// The history of an object that has no type in this program, by the recorded name of its type.
    pub fn history_of(&self, target_type: impl Into<String>, key: impl Into<ObjectKey>) -> History {
        History::named(self.0.clone(), target_type.into()).of_object(key.into())
    }
}

impl std::fmt::Debug for HistoryReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HistoryReader")
    }
}
