//! [`AuditBuilder`]: how calls are recorded, decided once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use wildmatch::WildMatch;

use super::{ACTIVE, Audit, GENERATION, Out, Queue, Recorder, audit, writer};
use crate::capture::{Limits, Mask, Rules};
use crate::site::CaptureLevel;
use crate::{Error, Sink, call, layer};

/// What happens to a record that finds the queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The caller waits for room, for this long at most; then the record is dropped and counted.
    Block(Duration),
    /// The record is dropped and counted at once.
    Drop,
}

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
}

/// How much may wait for the writer.
#[derive(Clone, Copy)]
pub(super) struct QueueLimits {
    pub(super) records: usize,
    pub(super) bytes: usize,
    pub(super) overflow: Overflow,
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
            },
            close_timeout: Duration::from_secs(10),
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

    /// How many bytes of records may wait for the writer, 64 MiB unless set. A record larger than that is
    /// taken only while nothing else waits.
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

    /// Starts the writer. The recorder applies where a [`Context`](crate::Context) names it.
    ///
    /// # Errors
    ///
    /// When no store was given, when it can't be opened for reading, or the writer thread can't be started.
    pub fn build(mut self) -> Result<Audit, Error> {
        let mut sink = self.sink.take().ok_or_else(|| {
            Error::permanent("no store was given: call `store` before `build` or `install`")
        })?;
        let reader = sink.reader()?.map(|reader| Arc::new(Mutex::new(reader)));
        let queue = Arc::new(Queue::new(self.queue));
        let writer = writer::start(queue.clone(), sink, self.close_timeout)?;
        Ok(audit::new(self.into_recorder(Out::Queue(queue.clone())), queue, writer, reader))
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
        audit::install(self.build()?)
    }

    pub(super) fn into_recorder(self, out: Out) -> Arc<Recorder> {
        call::install_hook();
        layer::want(self.log_level);
        ACTIVE.fetch_add(1, Ordering::Relaxed);
        Arc::new(Recorder {
            rules: self.rules,
            log_level: self.log_level,
            log_bytes: self.log_bytes,
            site: self.site,
            service: self.service,
            capture: self.capture,
            skip_actions: self.skip_actions,
            enabled: AtomicBool::new(self.enabled),
            retired: AtomicBool::new(false),
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            out,
            fate: None,
        })
    }
}
