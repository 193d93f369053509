//! [`AuditBuilder`]: how calls are recorded, decided once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use audit_record::process::Home;
use audit_record::store::{Session, Sink};
use audit_record::{Durability, Error};
use tracing::level_filters::LevelFilter;
use wildmatch::WildMatch;

use crate::audit::handle::{self, Audit};
use crate::call_site::CaptureLevel;
use crate::capture::{Limits, Mask, Rules};
use crate::recorder::{
    ACTIVE, BATCH, Counts, GENERATION, Out, Overflow, Queue, QueueLimits, Recorder, start_writer,
};
use crate::{call, levels};

/// Builds an [`Audit`]; see there for an example.
#[must_use = "nothing is recorded until `install` or `build`"]
pub struct AuditBuilder {
    sink: Option<Box<dyn Sink>>,
    rules: Rules,
    capture: CaptureLevel,
    log_level: LevelFilter,
    log_bytes: usize,
    site: Option<Arc<str>>,
    service: Option<Arc<str>>,
    skip_actions: Vec<WildMatch>,
    enabled: bool,
    queue: QueueLimits,
    close_timeout: Duration,
    durability: Durability,
}

impl Audit {
    /// Begins a new recorder.
    pub fn builder() -> AuditBuilder {
        AuditBuilder::new()
    }
}

impl AuditBuilder {
    pub(crate) fn new() -> Self {
        Self {
            sink: None,
            rules: Rules::default(),
            capture: CaptureLevel::Full,
            log_level: LevelFilter::INFO,
            log_bytes: 64 * 1024,
            site: None,
            service: None,
            skip_actions: Vec::new(),
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

    /// Where the records go. Without it, [`build`](Self::build) fails.
    pub fn store(mut self, store: impl Sink) -> Self {
        self.sink = Some(Box::new(store));
        self
    }

    /// At which site (host, region, tenant) calls are recorded; a context may override it.
    pub fn site(mut self, site: impl Into<Arc<str>>) -> Self {
        self.site = Some(site.into());
        self
    }

    /// By which service calls are recorded; a context may override it.
    pub fn service(mut self, service: impl Into<Arc<str>>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// How much of a call is recorded where its attribute does not say. [`CaptureLevel::Full`] unless set.
    pub fn capture(mut self, level: CaptureLevel) -> Self {
        self.capture = level;
        self
    }

    /// The least severe events that go into a call's log where its attribute does not say. `INFO` unless
    /// set.
    pub fn log(mut self, level: LevelFilter) -> Self {
        self.log_level = level;
        self
    }

    /// Bytes of one call's log, 64 KiB unless set. What comes later is counted in `truncated`.
    pub fn log_bytes(mut self, bytes: usize) -> Self {
        self.log_bytes = bytes;
        self
    }

    /// How much of one argument or result is recorded.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.rules.limits = limits;
        self
    }

    /// Which names are masked, wherever they occur.
    pub fn mask(mut self, mask: Mask) -> Self {
        self.rules.mask = mask;
        self
    }

    /// Actions that are not recorded: names, or patterns with `*` and `?`.
    pub fn skip_actions<I>(mut self, patterns: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.skip_actions.extend(patterns.into_iter().map(|p| WildMatch::new(p.as_ref())));
        self
    }

    /// Whether recording begins at once; see [`Audit::set_enabled`]. `true` unless set.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// How many records may wait for the writer, 8,192 unless set; at least 1.
    pub fn queue_records(mut self, records: usize) -> Self {
        self.queue.records = records.max(1);
        self
    }

    /// How many bytes of records may wait to be stored, 64 MiB unless set; those that the writer has in hand count,
    /// which are about a quarter of it at most. A record larger than that is taken only while nothing else waits.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue.bytes = bytes;
        self
    }

    /// What happens to a record that finds the queue full. [`Overflow::Block`] for a second unless set.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.queue.overflow = overflow;
        self
    }

    /// How long closing tries to store what is still waiting, 10 seconds unless set.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// What a record has survived when the call that made it returns, for actions whose attribute does not say.
    /// [`Durability::Queued`] unless set.
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
    /// // Without any flush:
    /// assert_eq!(audit.counters().written, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long a call waits until its record is stored, where its durability is more than
    /// [`Durability::Queued`]; 10 seconds unless set.
    ///
    /// When that is over, the call goes on with its own result, the record still waits to be stored, and the call
    /// is counted in [`Counters::unconfirmed`](crate::Counters::unconfirmed). A call with
    /// `on_audit_failure = "refuse"` that has waited so long for its intent is not made.
    ///
    /// Callers share the limit as long as the store is in trouble; when it is used up, each of them waits for a second
    /// at most, so that one finds it at work again.
    pub fn wait_limit(mut self, limit: Duration) -> Self {
        self.queue.wait = limit;
        self
    }

    /// Starts the writer. The recorder applies where a [`Context`](crate::Context) names it.
    ///
    /// # Errors
    ///
    /// When no store was given, when it can't be made ready or opened for reading, or the writer thread can't be
    /// started.
    pub fn build(mut self) -> Result<Audit, Error> {
        let mut sink = self.sink.take().ok_or_else(|| {
            Error::permanent("no store was given: call `store` before `build` or `install`")
        })?;
        let mut session = Session::new((self.queue.records + BATCH) as u64);
        session.service.clone_from(&self.service);
        let counts = Counts::shared(session.id);
        sink.begin(&session).inspect_err(|_| counts.remove())?;
        let reader = sink.reader().inspect_err(|_| {
            // It has begun, and is never told of again.
            let _ = sink.close();
            counts.remove();
        })?;
        let reader = reader.map(|reader| Arc::new(Mutex::new(reader)));
        let queue = Arc::new(Queue::new(self.queue, counts));
        let writer = start_writer(queue.clone(), sink, self.close_timeout)?;
        Ok(handle::new(self.into_recorder(Out::Queue(queue.clone())), queue, writer, reader))
    }

    /// Starts the writer, and makes the recorder the process's own: it applies wherever no context names
    /// another.
    ///
    /// Set a tracing subscriber that holds [`layer`](crate::layer()) as well, or no record has a log; and set a panic hook
    /// of your own *before* this, or panics are recorded without place and backtrace.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and when a recorder is installed already: drop it first.
    pub fn install(self) -> Result<Audit, Error> {
        handle::install(self.build()?)
    }

    pub(crate) fn into_recorder(self, out: Out) -> Arc<Recorder> {
        call::install_hook();
        levels::want(self.log_level);
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
            enabled: AtomicBool::new(self.enabled),
            retired: AtomicBool::new(false),
            home: Home::here(),
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            out,
            fate: None,
        })
    }
}

/// A recorder that keeps all records in memory, under default settings.
pub(crate) fn memory_recorder() -> Arc<Recorder> {
    AuditBuilder::new().into_recorder(Out::Memory(Mutex::default(), usize::MAX))
}
