//! Which objects a call and the calls around it watch, and what the calls within have told of each.
//!
//! The outer call tells only its own parts: what changed before an inner call, and what changed after. While
//! a call holds an object by `&mut`, nothing but what it calls can hold an object of that type at that place.

use std::borrow::Cow;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use audit_record::{ChangeKind, FieldChange, Truncation};
use chrono::{DateTime, Utc};

use crate::capture::Rules;
use crate::fields::{Rows, TypeInfo, Values, change_time, difference};

/// Changes that calls may leave in one record; of more, they are counted. One object's are never torn apart.
pub(crate) const CHANGES: usize = 4_096;

/// Changes of one object, and what was cut in them.
pub(crate) type Parts = (Vec<FieldChange>, Vec<Truncation>);

/// Where an object is, and its type.
pub(crate) type Place = (usize, &'static str);

/// What is known of a watched object without its type.
pub(crate) struct Object {
    pub(crate) place: Place,
    pub(crate) info: &'static TypeInfo,
    pub(crate) type_path: Cow<'static, str>,
    /// As the call found it.
    pub(crate) id: String,
}

impl Object {
    /// `rows` as changes of this object.
    pub(crate) fn changes(&self, rows: Rows, at: DateTime<Utc>) -> Parts {
        rows.into_changes(self.type_path.clone(), &self.id, ChangeKind::Changed, at)
    }
}

/// An object that a call watches.
pub(crate) struct Watched {
    pub(crate) object: Object,
    told: Mutex<Told>,
    /// The one that was watched before it, in this call or in one around.
    before: Option<Arc<Watched>>,
    /// It is watched no more.
    over: AtomicBool,
}

/// What the calls within have told of an object, for the call around to leave out.
#[derive(Default)]
pub(crate) struct Told {
    /// As the first of them found it, and when.
    pub(crate) first: Option<(Values, DateTime<Utc>)>,
    /// As the latest of them left it; as it found it while it runs.
    pub(crate) latest: Option<Values>,
    /// What changed between two of them.
    pub(crate) between: Parts,
    /// Changes between two of them that found no room.
    pub(crate) left_out: u64,
}

impl Watched {
    /// It is watched no more.
    pub(crate) fn ends(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// A call within begins, and finds the object with these `values`.
    pub(crate) fn entered(&self, values: Option<Values>, rules: &Rules) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(values) = values else { return told.not_known() };
        let at = change_time();
        match &told.latest {
            Some(latest) => {
                let rows = difference(self.object.info, rules, Some(latest), Some(&values));
                let (changes, cuts) = self.object.changes(rows, at);
                // They are kept for as long as the outer call runs, and it may run for ever.
                if told.between.0.len() < CHANGES {
                    told.between.0.extend(changes);
                    told.between.1.extend(cuts);
                } else {
                    told.left_out += changes.len() as u64;
                }
            }
            None => told.first = Some((values.clone(), at)),
        }
        told.latest = Some(values);
    }

    /// A call within has ended, has told its changes, and leaves the object with these `values`.
    pub(crate) fn left(&self, values: Option<Values>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match values {
            Some(values) if told.latest.is_some() => told.latest = Some(values),
            _ => told.not_known(),
        }
    }

    pub(crate) fn take_told(&self) -> Told {
        mem::take(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Told {
    /// The object's own code panicked, so what the call around has changed can't be told apart.
    fn not_known(&mut self) {
        if self.between.1.len() < CHANGES {
            self.between.1.push(Truncation::new("changes", "fields", 0, None));
        }
    }
}

/// The objects that a call watches, and those around it; the latest first.
#[derive(Default)]
pub(crate) struct Register(OnceLock<Mutex<Arc<Watched>>>);

impl Register {
    /// Takes over what the call around watches.
    #[inline]
    pub(crate) fn inherit(&self, around: &Register) {
        if let Some(latest) = around.latest() {
            let _ = self.0.set(Mutex::new(latest));
        }
    }

    /// The object at `place`, as the innermost call watches it.
    pub(crate) fn find(&self, place: Place) -> Option<Arc<Watched>> {
        let mut next = self.latest();
        while let Some(watched) = next {
            if watched.object.place == place {
                return Some(watched);
            }
            next = watched.before.clone();
        }
        None
    }

    pub(crate) fn add(&self, object: Object) -> Arc<Watched> {
        let new = |before| {
            let (told, over) = (Mutex::default(), AtomicBool::new(false));
            Arc::new(Watched { object, told, before, over })
        };
        match self.0.get() {
            None => {
                let watched = new(None);
                let _ = self.0.set(Mutex::new(watched.clone()));
                watched
            }
            Some(latest) => {
                let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
                let watched = new(still_watched(&latest));
                *latest = watched.clone();
                watched
            }
        }
    }

    #[inline]
    fn latest(&self) -> Option<Arc<Watched>> {
        let latest = self.0.get()?.lock().unwrap_or_else(PoisonError::into_inner);
        still_watched(&latest)
    }
}

/// The latest that is watched still. Where each call is made under the context of the one before, all that they ever
/// watched would hang together otherwise.
fn still_watched(latest: &Arc<Watched>) -> Option<Arc<Watched>> {
    let mut next = Some(latest);
    while let Some(watched) = next {
        if !watched.over.load(Ordering::Relaxed) {
            return Some(watched.clone());
        }
        next = watched.before.as_ref();
    }
    None
}
