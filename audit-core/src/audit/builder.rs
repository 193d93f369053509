//! [`AuditBuilder`]: the settings of a recorder.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use audit_record::process::{OwnerProcess, remove_dead_counters};
use audit_record::store::{RecorderSession, Store};
use audit_record::{Durability, Error};
use tracing::level_filters::LevelFilter;
use wildmatch::WildMatch;

use crate::audit::handle::{self, Audit};
use crate::call_site::CaptureLevel;
use crate::capture::{Limits, Mask, Rules};
use crate::recorder::{
    ACTIVE, Destination, GENERATION, MAX_BATCH_RECORDS, Overflow, Queue, QueueLimits, Recorder,
    SessionCounters, start_writer,
};
use crate::{call, capture, levels};

/// Configures a recorder and starts it; see [`Audit`] for an example.
#[must_use = "nothing is recorded until `install` or `build`"]
pub struct AuditBuilder {
    store: Option<Box<dyn Store>>,
    rules: Rules,
    capture: CaptureLevel,
    log_level: LevelFilter,
    log_bytes: usize,
    site: Option<Arc<str>>,
    service: Option<Arc<str>>,
    skip_actions: Vec<WildMatch>,
    #[cfg(feature = "http")]
    http_failure_from: u16,
    enabled: bool,
    queue: QueueLimits,
    close_timeout: Duration,
    durability: Durability,
}

impl Audit {
    /// A builder with the default settings.
    pub fn builder() -> AuditBuilder {
        AuditBuilder::new()
    }
}

impl AuditBuilder {
    fn new() -> Self {
        Self {
            store: None,
            rules: Rules::default(),
            capture: CaptureLevel::Full,
            log_level: LevelFilter::INFO,
            log_bytes: 64 * 1024,
            site: None,
            service: None,
            skip_actions: Vec::new(),
            #[cfg(feature = "http")]
            http_failure_from: 400,
            enabled: true,
            queue: QueueLimits {
                records: 8_192,
                bytes: 64 * 1024 * 1024,
                overflow: Overflow::Block(Duration::from_secs(1)),
                wait: Duration::from_secs(10),
            },
            close_timeout: Duration::from_secs(10),
            durability: Durability::Queued,
        }
    }

    /// Sets where records are stored. This is required.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Box::new(store));
        self
    }

    /// Sets the site (host, region, tenant) of all records. A context can override it.
    pub fn site(mut self, site: impl Into<Arc<str>>) -> Self {
        self.site = Some(capture::limited_identifier(&*site.into()).into());
        self
    }

    /// Sets the service of all records. A context can override it.
    pub fn service(mut self, service: impl Into<Arc<str>>) -> Self {
        self.service = Some(capture::limited_identifier(&*service.into()).into());
        self
    }

    /// Sets how much of a call is recorded, unless its attribute says otherwise. The default is
    /// [`CaptureLevel::Full`].
    pub fn capture(mut self, level: CaptureLevel) -> Self {
        self.capture = level;
        self
    }

    /// Sets the most verbose level of the events in the log of a call, unless its attribute says
    /// otherwise. The default is `INFO`.
    pub fn log(mut self, level: LevelFilter) -> Self {
        self.log_level = level;
        self
    }

    /// Sets the maximum size of the log of one call, in bytes. The default is 64 KiB. A larger log
    /// keeps its first and its last events, each with about half of the bytes. The event `… [cut: 12
    /// events]` stands for those between them, and
    /// [`Record::truncated`](audit_record::Record::truncated) lists it.
    pub fn log_bytes(mut self, bytes: usize) -> Self {
        self.log_bytes = bytes;
        self
    }

    /// Sets how much of one argument or result is recorded.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.rules.limits = limits;
        self
    }

    /// Sets which names are masked, wherever they occur in recorded values.
    pub fn mask(mut self, mask: Mask) -> Self {
        self.rules.mask = mask;
        self
    }

    /// Adds actions that are not recorded, as names or as patterns with `*` and `?`.
    ///
    /// ```
    /// use audited::{Audit, Context, SqliteStore};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("audit.db");
    /// let audit = Audit::builder()
    ///     .store(SqliteStore::open(&path)?)
    ///     .skip_actions(["poll *"])
    ///     .build()?;
    /// Context::new().recorder(&audit).scope(|| {
    ///     audited::execute("poll queue", "bank::poll", (), || ());
    ///     audited::execute("pay invoice", "bank::pay", (), || ());
    /// });
    /// assert_eq!(audit.counters().accepted, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn skip_actions<I>(mut self, patterns: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.skip_actions.extend(patterns.into_iter().map(|p| WildMatch::new(p.as_ref())));
        self
    }

    /// Sets the HTTP status from which on a call that returns it has failed. The default is 400.
    ///
    /// With 500, a call that answers `404 Not Found` is a success. An `Err` is a failure with any
    /// status. For single functions, the argument `failed_if` of the attribute decides instead.
    ///
    /// ```
    /// use audited::{Audit, Context, SqliteStore, audit_method};
    /// use http::StatusCode;
    ///
    /// #[audit_method]
    /// fn find(id: u64) -> StatusCode {
    ///     if id == 0 { StatusCode::NOT_FOUND } else { StatusCode::OK }
    /// }
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("audit.db");
    /// let audit = Audit::builder()
    ///     .store(SqliteStore::open(&path)?)
    ///     .http_failure_from(500)
    ///     .build()?;
    /// Context::new().recorder(&audit).scope(|| find(0));
    /// assert_eq!(audit.counters().accepted, 1); // a success
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "http")]
    pub fn http_failure_from(mut self, status: u16) -> Self {
        self.http_failure_from = status;
        self
    }

    /// Sets whether recording is switched on at first; see [`Audit::set_enabled`]. The default is
    /// `true`.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Sets how many records can wait for the writer thread. The default is 8,192, the minimum is
    /// 1.
    pub fn queue_records(mut self, records: usize) -> Self {
        self.queue.records = records.max(1);
        self
    }

    /// Sets how many bytes of records can wait until they are stored. The default is 64 MiB.
    ///
    /// Records of the batch that is being written count as well. A batch has at most about a
    /// quarter of this size. A larger record is accepted only while no other record waits. Intents
    /// of calls with `on_audit_failure = "refuse"` have a separate limit of the same size.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue.bytes = bytes;
        self
    }

    /// Sets what happens to a record when the queue is full. The default is to block for up to one
    /// second, [`Overflow::Block`].
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.queue.overflow = overflow;
        self
    }

    /// Sets how long the recorder tries to store waiting records while it closes. The default is 10
    /// seconds. After that, they are given up and counted as failed.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Sets what a record must survive before its call returns, unless the attribute of the action
    /// says otherwise. The default is [`Durability::Queued`].
    ///
    /// ```
    /// use audited::{Audit, Context, Durability, SqliteStore};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("audit.db");
    /// let audit = Audit::builder()
    ///     .store(SqliteStore::open(&path)?)
    ///     .durability(Durability::Process)
    ///     .build()?;
    /// Context::new().recorder(&audit).scope(|| audited::execute("pay invoice", "bank::pay", (), || ()));
    /// // No flush is needed:
    /// assert_eq!(audit.counters().written, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets how long a call with a higher durability than [`Durability::Queued`] waits until its
    /// record is stored. The default is 10 seconds.
    ///
    /// At the limit, the call returns its own result. Its record stays in the queue, and the call
    /// is counted in [`Counters::unconfirmed`](crate::Counters::unconfirmed). A call with
    /// `on_audit_failure = "refuse"` whose intent is not stored within the limit is refused.
    ///
    /// While the store is failing, all callers share the limit. Once it is used up, each caller
    /// waits for at most one second, so that some caller notices when the store works again.
    pub fn wait_limit(mut self, limit: Duration) -> Self {
        self.queue.wait = limit;
        self
    }

    /// Starts the recorder. It applies where a [`Context`](crate::Context) names it by
    /// [`Context::recorder`](crate::Context::recorder).
    ///
    /// # Errors
    ///
    /// When no store was given, when the store can't be used or opened for reading, or when the
    /// writer thread can't be started.
    pub fn build(mut self) -> Result<Audit, Error> {
        let mut store = self.store.take().ok_or_else(|| {
            Error::permanent("no store was given: call `store` before `build` or `install`")
        })?;
        let mut session = RecorderSession::new((self.queue.records + MAX_BATCH_RECORDS) as u64);
        session.service.clone_from(&self.service);
        let counters = SessionCounters::shared(session.id);
        store.begin(&session).inspect_err(|_| counters.remove())?;
        // The store has reported the losses of its own trail before.
        remove_dead_counters();
        let reader = store.reader().inspect_err(|_| {
            // The session has begun. It must end, so that the next start does not report it as
            // dead.
            let _ = store.close();
            counters.remove();
        })?;
        let reader = reader.map(|reader| Arc::new(Mutex::new(reader)));
        let queue = Arc::new(Queue::new(self.queue, counters));
        let writer = start_writer(queue.clone(), store, self.close_timeout)?;
        let recorder = self.into_recorder(Destination::Queue(queue.clone()));
        Ok(handle::new(recorder, queue, writer, reader))
    }

    /// Starts the recorder and installs it for the process: it applies wherever no context names
    /// another one.
    ///
    /// Also set a tracing subscriber that contains [`layer`](crate::layer()). Without it, records
    /// have no log. Without any subscriber, the warnings of the recorder, for example about lost
    /// records, are shown nowhere; the function `init` of the crate `audited` sets one that prints
    /// them. If the program sets its own panic hook, it must do so *before* this call.
    /// Otherwise panics are recorded without location and backtrace.
    ///
    /// # Errors
    ///
    /// The same as [`build`](Self::build). It also fails if a recorder is installed already.
    pub fn install(self) -> Result<Audit, Error> {
        handle::install(self.build()?)
    }

    fn into_recorder(self, destination: Destination) -> Arc<Recorder> {
        call::install_hook();
        levels::raise_max_level(self.log_level);
        ACTIVE.fetch_add(1, Ordering::Relaxed);
        Arc::new(Recorder {
            rules: self.rules,
            log_level: self.log_level,
            log_bytes: self.log_bytes,
            site: self.site,
            service: self.service,
            capture: self.capture,
            durability: self.durability,
            skip_actions: self.skip_actions,
            #[cfg(feature = "http")]
            http_failure_from: self.http_failure_from,
            enabled: AtomicBool::new(self.enabled),
            retired: AtomicBool::new(false),
            owner: OwnerProcess::current(),
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            own_subscriber: match destination {
                Destination::Queue(_) => None,
                Destination::Memory(..) => Some(AssertUnwindSafe(OnceLock::new())),
            },
            destination,
            transaction: None,
        })
    }
}

impl std::fmt::Debug for AuditBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditBuilder")
            .field("has_store", &self.store.is_some())
            .field("site", &self.site)
            .field("service", &self.service)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

/// A recorder with the default settings that keeps all records in memory.
pub(crate) fn memory_recorder() -> Arc<Recorder> {
    AuditBuilder::new().into_recorder(Destination::Memory(Mutex::default(), usize::MAX))
}
