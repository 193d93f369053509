//! [`Collector`]: collects the records of a scope, so that the program can store them itself.

use std::future::Future;
use std::sync::{Arc, Mutex};

use audit_record::{Error, Record};

use crate::audit::builder::memory_recorder;
use crate::context::{Context, InContext};
use crate::current;
use crate::recorder::{Destination, MemoryRecords, Recorder, RecorderRef, TransactionOutcome};

/// Collects the records of everything that runs in its scope, so that you can store them yourself.
/// Use it for your own transaction, without a queue and without a writer thread.
///
/// The records are made with the settings of the recorder that applies where the collector is
/// created: its masks, limits, levels, site and service. Without a recorder, the default settings
/// are used.
///
/// # Transactions
///
/// Use one collector for each transaction, and call [`committed`](Self::committed) after you have
/// committed it. If the last clone of a collector is dropped without that, its transaction counts
/// as rolled back: [`Tracked`](crate::Tracked) objects that were saved or deleted in the scope then
/// return to their previous state, and their next save records the changes again. So after an early
/// return by `?` or a panic, no object is considered saved by mistake.
///
/// ```
/// use audited::store::Collector;
/// use audited::{Tracked, audited_fields};
///
/// #[audited_fields(age; key = id)]
/// struct Pilot { id: u64, age: u8 }
///
/// let mut pilot = Tracked::loaded(Pilot { id: 340, age: 25 });
/// pilot.age = 26;
///
/// let collector = Collector::new();
/// collector.scope(|| pilot.save(|_| Ok::<(), String>(())))?;
/// let records = collector.take()?;
/// assert_eq!(records[0].changes[0].field, "age");
/// drop(collector); // as if the transaction was rolled back
/// assert_eq!(pilot.changes().len(), 1); // still to be saved
///
/// let collector = Collector::new();
/// collector.scope(|| pilot.save(|_| Ok::<(), String>(())))?;
/// let records = collector.take()?;
/// // Store `records` in the transaction, commit it, and then:
/// collector.committed();
/// drop(collector);
/// assert!(pilot.changes().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "a collector that is dropped at once collects nothing"]
pub struct Collector {
    recorder: Arc<Recorder>,
    transaction: Arc<TransactionOutcome>,
}

/// The maximum size in bytes of the records between two calls of [`Collector::take`]. It is the
/// same as the default limit of a recorder's queue.
const MAX_BYTES: usize = 64 * 1024 * 1024;

impl Collector {
    /// A collector for up to 64 MiB of records between two calls of [`take`](Self::take).
    pub fn new() -> Self {
        let transaction = TransactionOutcome::default();
        let destination = Destination::Memory(Mutex::default(), MAX_BYTES);
        let handle = transaction.handle();
        let recorder = match current::recorder() {
            Some(current) => current.with_destination(destination, handle),
            None => memory_recorder().with_destination(destination, handle),
        };
        Self { recorder, transaction: Arc::new(transaction) }
    }

    /// Runs `f` and collects its records.
    ///
    /// Other threads are included only if they run in the [`Context::current`] of this scope.
    ///
    /// ```
    /// use audited::store::Collector;
    ///
    /// let collector = Collector::new();
    /// let sum = collector.scope(|| audited::execute("add", "math::add", [1, 2], || 3));
    /// assert_eq!(sum, 3);
    /// assert_eq!(collector.take()?[0].action, "add");
    /// # Ok::<(), audited::Error>(())
    /// ```
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        self.context().scope(f)
    }

    /// Polls `future` and collects its records. The async form of [`scope`](Self::scope).
    pub fn wrap<F: Future>(&self, future: F) -> InContext<F> {
        self.context().wrap(future)
    }

    /// Removes and returns the records collected so far, in the order in which their calls ended.
    ///
    /// # Errors
    ///
    /// When there were more than 64 MiB of records. Then some are missing, and the others are
    /// discarded: roll the transaction back.
    pub fn take(&self) -> Result<Vec<Record>, Error> {
        let MemoryRecords { records, dropped, .. } = self.recorder.take_memory_records();
        if dropped > 0 {
            return Err(Error::permanent(format!(
                "{dropped} records are missing, because there were more than 64 MiB: call \
                 `Collector::take` more often"
            )));
        }
        Ok(records)
    }

    /// Reports that the transaction was committed. [`Tracked`](crate::Tracked) objects that were
    /// saved or deleted in the scope are now considered stored.
    ///
    /// This does not commit anything itself. It can't be undone; see
    /// [Transactions](#transactions).
    pub fn committed(&self) {
        self.transaction.commit();
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
