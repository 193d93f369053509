//! [`Audit`]: the handle of a running recorder.
//!
//! Handles are clones of one `Arc`. The recorder closes when the last one is dropped, or when any
//! of them calls [`Audit::shutdown`].

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use audit_record::Error;

use crate::context::Context;
use crate::fields::{AuditedFields, ObjectKey};
use crate::history::{History, HistoryReader, SharedReader};
use crate::in_flight::{drain_spare_calls, open_spare_calls};
use crate::recorder::{Counters, JoinHandle, Queue, Recorder, RecorderRef, forked_error};
use crate::{current, events};

/// The handle of a running recorder: its writer thread, and the store behind it.
///
/// Handles are cheap to clone, and all clones refer to the same recorder. When the last one is
/// dropped, the queue is flushed and the store is closed. So keep a handle until the program ends,
/// and return from `main` instead of calling `std::process::exit`, which runs no destructors. To
/// see the errors of closing, call [`shutdown`](Audit::shutdown).
///
/// ```
/// use audited::{Audit, LevelFilter, Limits, Mask, SqliteStore};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("audit.db");
/// let audit = Audit::builder()
///     .store(SqliteStore::open(&path)?)
///     .site("eu-1")
///     .service("billing")
///     .log(LevelFilter::DEBUG)
///     .limits(Limits::default().bytes(64 * 1024))
///     .mask(Mask::default().name("iban"))
///     .skip_actions(["health check", "poll *"])
///     .install()?;
/// audited::execute("pay invoice", "bank::pay", (), || ());
/// audited::execute("poll queue", "bank::poll", (), || ());
/// audit.flush()?;
/// assert_eq!(audit.counters().written, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "keep this guard alive, as in `let _audit = …`: dropping it closes the recorder"]
pub struct Audit(Arc<Handle>);

/// What all clones of a handle share.
struct Handle {
    recorder: Arc<Recorder>,
    queue: Arc<Queue>,
    /// `None` once the recorder is closed.
    writer: Mutex<Option<JoinHandle<Result<(), Error>>>>,
    /// Reads the store. `None` if the store can't be read, or once the recorder is closed.
    reader: Mutex<Option<SharedReader>>,
    can_be_read: bool,
    /// When the recorder was installed for the process.
    installed_at: OnceLock<Instant>,
}

pub(super) fn new(
    recorder: Arc<Recorder>,
    queue: Arc<Queue>,
    writer: JoinHandle<Result<(), Error>>,
    reader: Option<SharedReader>,
) -> Audit {
    Audit(Arc::new(Handle {
        recorder,
        queue,
        writer: Mutex::new(Some(writer)),
        can_be_read: reader.is_some(),
        reader: Mutex::new(reader),
        installed_at: OnceLock::new(),
    }))
}

pub(super) fn install(audit: Audit) -> Result<Audit, Error> {
    open_spare_calls();
    if current::install(&audit.0.recorder) {
        events::warn_if_missing();
        let _ = audit.0.installed_at.set(Instant::now());
        Ok(audit)
    } else {
        Err(Error::permanent(
            "a recorder is installed for this process already: drop all handles of it first, or use \
             `build` and `Context::recorder` for a second one",
        ))
    }
}

impl Audit {
    /// Waits until everything recorded so far is in the store.
    ///
    /// # Errors
    ///
    /// - When the store has returned an error. If it is transient ([`Error::is_transient`]), the
    ///   records stay in the queue and are written later. Otherwise they are given up and counted
    ///   as failed. Every flush that is waiting then returns the error. If no flush is waiting, the
    ///   next one returns it.
    /// - When the writer thread has panicked, or this process was forked from the one that built
    ///   the recorder.
    pub fn flush(&self) -> Result<(), Error> {
        self.check_owner()?;
        self.0.queue.flush()
    }

    /// How many records were offered so far, and what became of them.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.queue.counters()
    }

    /// The history of the object of type `T` with this key: its creation, each change, and its
    /// state at any time. See [`History`].
    ///
    /// It includes everything that was recorded before, because this method flushes the queue. For
    /// a key of your own type, use [`ObjectKey::new`].
    ///
    /// ```
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
    /// let change = audit.history::<Pilot>(340)?.last_change_of("age")?.expect("it changed");
    /// assert_eq!(change.to_string(), "Pilot 340 changed: age 25 → 26");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - When [`flush`](Audit::flush) returns an error.
    /// - When the store can't be read back, or the recorder is closed.
    /// - When the key has another number of parts than the key of the type.
    pub fn history<T: AuditedFields>(&self, key: impl Into<ObjectKey>) -> Result<History, Error> {
        self.reader()?.history::<T>(key)
    }

    /// The history of all objects of type `T`.
    ///
    /// # Errors
    ///
    /// The same as [`history`](Audit::history).
    pub fn history_of_all<T: AuditedFields>(&self) -> Result<History, Error> {
        Ok(self.reader()?.history_of_all::<T>())
    }

    /// The history of an object that has no type in this program, by the recorded name of its type.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("audit.db");
    /// let audit = audited::init(&path)?;
    /// audited::change_of("invoice", 4711).change("total", "101.67", "99.00").record();
    /// let change = audit.history_of("invoice", 4711)?.last_change_of("total")?.expect("it changed");
    /// assert_eq!(change.to_string(), r#"invoice 4711 changed: total "101.67" → "99.00""#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The same as [`history`](Audit::history).
    pub fn history_of(
        &self,
        target_type: impl Into<String>,
        key: impl Into<ObjectKey>,
    ) -> Result<History, Error> {
        Ok(self.reader()?.history_of(target_type, key))
    }

    fn reader(&self) -> Result<HistoryReader, Error> {
        self.check_owner()?;
        if !self.0.can_be_read {
            return Err(Error::permanent(
                "the store of this recorder can't be read back: implement `Store::reader` for it, or \
                 use `SqliteStore`",
            ));
        }
        let reader = self.0.reader.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(reader) = reader else {
            return Err(Error::closed(
                "the recorder is closed, and so is its store: read the history before `shutdown`",
            ));
        };
        self.flush()?;
        Ok(HistoryReader::shared(reader))
    }

    /// Switches recording off or on. While it is off, calls run as if they were not annotated.
    ///
    /// ```
    /// use audited::{Audit, Context, SqliteStore};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("audit.db");
    /// let audit = Audit::builder().store(SqliteStore::open(&path)?).build()?;
    /// let pay = || audited::execute("pay", "bank::pay", (), || ());
    /// audit.set_enabled(false);
    /// Context::new().recorder(&audit).scope(pay);
    /// audit.set_enabled(true);
    /// Context::new().recorder(&audit).scope(pay);
    /// assert_eq!(audit.counters().accepted, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_enabled(&self, enabled: bool) {
        self.0.recorder.enabled.store(enabled, Ordering::Relaxed);
    }

    /// Whether recording is switched on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.0.recorder.enabled.load(Ordering::Relaxed)
    }

    /// Closes the recorder: flushes the queue and closes the store. Other handles may still exist.
    ///
    /// Dropping the last handle does the same, but only logs errors. Later calls run normally and
    /// are not recorded. A call that was running during the shutdown is counted as dropped. A
    /// second shutdown waits for the first and returns `Ok`.
    ///
    /// ```
    /// use audited::store::Status;
    /// use audited::{Audit, Context, SqliteStore};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("audit.db");
    /// let audit = Audit::builder().store(SqliteStore::open(&path)?).build()?;
    /// let shared = audit.clone();
    /// Context::new().recorder(&shared).scope(|| audited::execute("pay", "bank::pay", (), || ()));
    ///
    /// audit.shutdown()?;
    /// assert_eq!(shared.counters().written, 1);
    /// assert_eq!(shared.health().status, Status::Stopped);
    /// shared.shutdown()?; // does nothing
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - When records could not be stored within the
    ///   [`close_timeout`](crate::AuditBuilder::close_timeout).
    /// - When records were given up earlier and no flush has returned the error.
    /// - When the store could not be closed.
    /// - When it is called on the writer thread, or in a process that was forked from the one that
    ///   built the recorder.
    pub fn shutdown(&self) -> Result<(), Error> {
        self.0.shutdown()
    }

    /// Returns an error in a child that was forked from the process that built the recorder.
    pub(super) fn check_owner(&self) -> Result<(), Error> {
        self.0.check_owner()
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.0.queue
    }
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

impl Handle {
    fn check_owner(&self) -> Result<(), Error> {
        if self.recorder.owner.is_current() { Ok(()) } else { Err(forked_error()) }
    }

    fn shutdown(&self) -> Result<(), Error> {
        self.check_owner()?;
        current::uninstall(&self.recorder);
        self.recorder.retire();
        drain_spare_calls();
        self.queue.close();
        if self.queue.is_writer() {
            return Err(Error::permanent(
                "the writer thread can't wait for itself: call `shutdown` on another thread",
            ));
        }
        // The lock is held while the writer thread ends, so that a concurrent shutdown waits too.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(handle) = writer.take() else { return Ok(()) };
        let result = handle.join().unwrap_or_else(|_| {
            let text = "the writer thread panicked; see `Audit::counters` for what was stored";
            Err(Error::permanent(text))
        });
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        result
    }

    /// Warns about `let _ = audited::init(…)`, which drops the handle at once.
    fn warn_if_dropped_at_once(&self) {
        let is_at_once = self.installed_at.get().is_some_and(|at| at.elapsed() < DROPPED_AT_ONCE);
        if is_at_once
            && !std::thread::panicking()
            && self.recorder.is_open()
            && self.queue.counters() == Counters::default()
        {
            eprintln!(
                "audited: the recorder was dropped soon after it was installed, and has recorded \
                 nothing; if the program goes on, keep its handle until it ends: `let _audit = …` \
                 (`let _ = …` drops it at once)"
            );
        }
    }
}

/// A handle that is dropped earlier than this, and has recorded nothing, was dropped by mistake.
const DROPPED_AT_ONCE: Duration = Duration::from_millis(20);

impl Drop for Handle {
    fn drop(&mut self) {
        if self.check_owner().is_err() {
            // In a forked child, the writer thread does not exist and the parent uses the store. So
            // neither handle may be freed. Nor may their locks be taken.
            let inherited = (
                self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take(),
                self.reader.get_mut().unwrap_or_else(PoisonError::into_inner).take(),
            );
            std::mem::forget(inherited);
            return;
        }
        self.warn_if_dropped_at_once();
        if let Err(error) = self.shutdown() {
            tracing::error!(target: "audited", "the audit trail could not be closed: {error}");
        }
    }
}

impl Context {
    /// Makes `audit` the recorder of everything that runs in this context, instead of the installed
    /// one.
    ///
    /// So a program can write several trails, and tests can run in parallel. The context does not
    /// keep the recorder open.
    ///
    /// ```
    /// use audited::{Audit, Context, SqliteStore};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("audit.db");
    /// let audit = Audit::builder().store(SqliteStore::open(&path)?).build()?;
    /// Context::new().recorder(&audit).scope(|| audited::execute("pay", "bank::pay", (), || ()));
    /// assert_eq!(audit.counters().accepted, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recorder(self, audit: &Audit) -> Self {
        self.with_recorder(RecorderRef::Held(audit.0.recorder.clone()))
    }
}
