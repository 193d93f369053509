//! [`Audit`]: the handle of a running recorder.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use audit_record::Error;

use crate::context::Context;
use crate::fields::{AuditedFields, ObjectKey};
use crate::history::{History, SharedReader};
use crate::in_flight::drain_spare_calls;
use crate::recorder::{Counters, JoinHandle, Queue, Recorder, RecorderRef, forked_error, leave};
use crate::{current, events};

/// A running recorder: the writer thread, and the store behind it.
///
/// Dropped, it stores what is still waiting and closes the store; so keep it until the program ends, and
/// leave `main` by returning: `std::process::exit` runs no destructors (call [`flush`](Audit::flush) before it).
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
#[must_use = "bind it, `let _audit = …`, until the program ends: dropped at once, it stops recording"]
pub struct Audit {
    recorder: Arc<Recorder>,
    pub(crate) queue: Arc<Queue>,
    writer: Option<JoinHandle<Result<(), Error>>>,
    /// Reads the store, if it can be read.
    reader: Option<SharedReader>,
    /// When it became the process's own.
    installed: Option<Instant>,
}

pub(crate) fn new(
    recorder: Arc<Recorder>,
    queue: Arc<Queue>,
    writer: JoinHandle<Result<(), Error>>,
    reader: Option<SharedReader>,
) -> Audit {
    Audit { recorder, queue, writer: Some(writer), reader, installed: None }
}

pub(crate) fn install(mut audit: Audit) -> Result<Audit, Error> {
    if current::install(&audit.recorder) {
        events::warn_if_missing();
        audit.installed = Some(Instant::now());
        Ok(audit)
    } else {
        Err(Error::permanent(
            "a recorder is installed for this process already: drop its `Audit` first, or use `build` \
             and `Context::recorder` for a second one",
        ))
    }
}

impl Audit {
    /// Waits until everything recorded so far is in the store.
    ///
    /// # Errors
    ///
    /// When the store does not take the records. If it may later ([`Error::is_transient`]), they stay
    /// waiting and are tried again; otherwise they are counted as failed. A loss is told to every flush that
    /// waits meanwhile; if none does, to the next.
    pub fn flush(&self) -> Result<(), Error> {
        self.at_home()?;
        self.queue.flush()
    }

    /// What became of the records so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.queue.counters()
    }

    /// What became of the object of type `T` with this key: what it was created with, each change, its state at
    /// any time. See [`History`]. For a key of a type of your own, there is [`ObjectKey::new`].
    ///
    /// Everything recorded before is in it, for this waits as [`flush`](Audit::flush) does.
    ///
    /// # Errors
    ///
    /// As [`flush`](Audit::flush), when the store can't be read back, and when the key has not as many parts as that of
    /// the type.
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
        Ok(History::of_type::<T>(self.reader()?).of_object(key))
    }

    /// What became of all objects of type `T`.
    ///
    /// # Errors
    ///
    /// As [`history`](Audit::history).
    pub fn history_of_all<T: AuditedFields>(&self) -> Result<History, Error> {
        Ok(History::of_type::<T>(self.reader()?))
    }

    /// What became of an object that no type of this program stands for, by the type's name as it is recorded.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("audit.db");
    /// let audit = audited::init(&path)?;
    /// audited::change_of("invoice", 4711).field("total", "101.67", "99.00").record();
    /// let change = audit.history_of("invoice", 4711)?.last_change_of("total")?.expect("it changed");
    /// assert_eq!(change.to_string(), r#"invoice 4711 changed: total "101.67" → "99.00""#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`history`](Audit::history).
    pub fn history_of(
        &self,
        target_type: impl Into<String>,
        key: impl Into<ObjectKey>,
    ) -> Result<History, Error> {
        Ok(History::named(self.reader()?, target_type.into()).of_object(key.into()))
    }

    fn reader(&self) -> Result<SharedReader, Error> {
        let Some(reader) = &self.reader else {
            return Err(Error::permanent(
                "the store of this recorder can't be read back: implement `Sink::reader` for it, or \
                 record into a `SqliteStore`",
            ));
        };
        self.flush()?;
        Ok(reader.clone())
    }

    /// Switches recording off, or on again. While it is off, calls run as if they had no attribute.
    pub fn set_enabled(&self, enabled: bool) {
        self.recorder.enabled.store(enabled, Ordering::Relaxed);
    }

    /// Whether recording is switched on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.recorder.enabled.load(Ordering::Relaxed)
    }

    /// Stores what is still waiting, and closes the store. Dropping does the same, without telling errors.
    ///
    /// # Errors
    ///
    /// When records could not be stored in time, when some were given up and no flush has told of it, or when the store
    /// could not be closed in order.
    pub fn close(mut self) -> Result<(), Error> {
        self.shut_down()
    }

    /// An error in a child that was forked from the process that built this.
    pub(crate) fn at_home(&self) -> Result<(), Error> {
        if self.recorder.home.is_here() { Ok(()) } else { Err(forked_error()) }
    }

    fn shut_down(&mut self) -> Result<(), Error> {
        if let Err(error) = self.at_home() {
            // The thread does not run here, and the store is in use elsewhere: neither is to be freed.
            leave((self.writer.take(), self.reader.take()));
            return Err(error);
        }
        let Some(writer) = self.writer.take() else { return Ok(()) };
        current::uninstall(&self.recorder);
        self.recorder.retire();
        drain_spare_calls();
        self.queue.close();
        if self.queue.is_writer() {
            return Err(Error::permanent(
                "the writer thread can't wait for itself: close the recorder elsewhere",
            ));
        }
        writer.join().unwrap_or_else(|_| {
            Err(Error::permanent("the writer thread panicked; the counters tell what was stored"))
        })
    }
}

/// A handle that lives no longer than this, and has recorded nothing, was dropped by mistake.
const MISTAKE: Duration = Duration::from_millis(20);

impl Drop for Audit {
    fn drop(&mut self) {
        if self.at_home().is_err() {
            let _ = self.shut_down();
            return;
        }
        let dropped_at_once = self.installed.is_some_and(|since| since.elapsed() < MISTAKE)
            && !std::thread::panicking();
        if dropped_at_once && self.writer.is_some() && self.counters() == Counters::default() {
            eprintln!(
                "audited: the recorder was dropped as soon as it was installed, and has recorded nothing; if \
                 the program goes on, bind it until its end: `let _audit = …` (`let _ = …` drops it)"
            );
        }
        if let Err(error) = self.shut_down() {
            tracing::error!(target: "audited", "closing the audit trail: {error}");
        }
    }
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

impl Context {
    /// Sends what is recorded under this context to `audit`, whatever is installed for the process.
    ///
    /// So one program can keep several trails, and tests can run in parallel.
    pub fn recorder(self, audit: &Audit) -> Self {
        self.with_recorder(RecorderRef::Held(audit.recorder.clone()))
    }
}
