//! [`Collector`]: keeps the records of a scope instead of queueing them.

use std::future::Future;
use std::sync::{Arc, Mutex};

use audit_record::{Error, Record};

use crate::audit::memory_recorder;
use crate::context::{Context, InContext};
use crate::current;
use crate::recorder::{Kept, Out, Recorder, RecorderRef};

/// Keeps the records of what runs in its scope, for a store that writes them itself: in the caller's own
/// transaction, without a queue and without a thread.
///
/// They are made under the settings of the recorder in place, if there is one: its masks, limits, levels, site and
/// service.
///
/// ```
/// use audited::Collector;
///
/// let collector = Collector::new();
/// let sum = collector.scope(|| audited::execute("add", "math::add", [1, 2], || 3));
/// assert_eq!(sum, 3);
/// let records = collector.take()?;
/// assert_eq!(records[0].action, "add");
/// # Ok::<(), audited::Error>(())
/// ```
#[derive(Clone)]
pub struct Collector {
    recorder: Arc<Recorder>,
}

/// Bytes that are kept until they are taken; as many as may wait for the writer of a recorder.
const BYTES: usize = 64 * 1024 * 1024;

impl Collector {
    /// Keeps up to 64 MiB of records until they are taken.
    #[must_use]
    pub fn new() -> Self {
        let out = Out::Memory(Mutex::default(), BYTES);
        let recorder = match current::recorder() {
            Some(current) => current.with_out(out),
            None => memory_recorder().with_out(out),
        };
        Self { recorder }
    }

    /// Runs `f`; its records are kept.
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        self.context().scope(f)
    }

    /// Polls `future`; its records are kept.
    pub fn wrap<F: Future>(&self, future: F) -> InContext<F> {
        self.context().wrap(future)
    }

    /// Takes the records kept so far, in the order in which the calls ended.
    ///
    /// # Errors
    ///
    /// When there were more than could be kept: then some are missing.
    pub fn take(&self) -> Result<Vec<Record>, Error> {
        let Kept { records, dropped, .. } = self.recorder.take_kept();
        if dropped > 0 {
            return Err(Error::permanent(format!(
                "{dropped} records did not fit into the 64 MiB that are kept: take them more often, by \
                 smaller scopes"
            )));
        }
        Ok(records)
    }

    /// Says that what was recorded in its scope was taken back: the [`Tracked`](crate::Tracked) objects that were
    /// saved or deleted there are as before, and the next save tells their changes.
    ///
    /// Unless this is said before the collector is dropped, they take it that they are stored.
    ///
    /// ```
    /// use audited::{Collector, Tracked, audited_fields};
    ///
    /// #[audited_fields(age; key = id)]
    /// struct Pilot { id: u64, age: u8 }
    ///
    /// let mut pilot = Tracked::loaded(Pilot { id: 340, age: 25 });
    /// pilot.age = 26;
    /// let collector = Collector::new();
    /// collector.scope(|| pilot.save(|_| Ok::<(), String>(())))?;
    /// assert!(pilot.changes().is_empty());
    /// collector.rolled_back();
    /// assert_eq!(pilot.changes()[0].after.as_ref().unwrap().as_str(), "26");
    /// # Ok::<(), String>(())
    /// ```
    pub fn rolled_back(&self) {
        if let Some(fate) = &self.recorder.fate {
            fate.undo();
        }
    }

    fn context(&self) -> Context {
        Context::current().with_recorder(RecorderRef::Held(self.recorder.clone()))
    }
}

impl Default for Collector {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}
