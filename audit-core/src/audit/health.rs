//! [`Health`]: whether records reach the store, now.

use std::sync::Arc;

use audit_record::Error;
use chrono::{DateTime, TimeDelta, Utc};

use crate::audit::Audit;
use crate::recorder::{Counters, Queue, lock};

/// How a recorder is doing, at one moment. From [`Audit::health`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Whether records reach the store.
    pub status: Status,
    /// Since when it is so.
    pub since: DateTime<Utc>,
    /// What the store, or the writer, complained of last. It stays when the trouble is over.
    pub latest_error: Option<Arc<Error>>,
    /// When that was.
    pub latest_error_at: Option<DateTime<Utc>>,
    /// Records that are accepted and not stored yet.
    pub waiting: u64,
    /// Bytes of those; the bound is that of [`queue_bytes`](crate::AuditBuilder::queue_bytes).
    pub waiting_bytes: usize,
    /// When the store took something the last time; `None` if it has not yet.
    pub latest_stored_at: Option<DateTime<Utc>>,
    /// What became of the records so far.
    pub counters: Counters,
}

/// Whether records reach the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// They do.
    Working,
    /// The store refuses them for now, or has been at work on one batch for more than a second. They wait, and are
    /// tried again; nothing is lost.
    Trying,
    /// Some were dropped or given up, and the trail does not tell of it yet.
    Losing,
    /// Nothing is recorded any more: the recorder is closed, its writer has died, or this process was forked from
    /// the one that built it.
    Stopped,
}

impl Audit {
    /// How this recorder is doing: for a health check, or a page that shows it. It waits for nothing.
    ///
    /// ```
    /// use audited::{Audit, Context, Error, Record, Sink, Status};
    ///
    /// struct FullDisk;
    ///
    /// impl Sink for FullDisk {
    ///     fn write(&mut self, _: &[Record]) -> Result<(), Error> {
    ///         Err(Error::transient("the disk is full"))
    ///     }
    /// }
    ///
    /// let audit = Audit::builder().store(FullDisk).close_timeout(std::time::Duration::ZERO).build()?;
    /// assert_eq!(audit.health().status, Status::Working);
    ///
    /// Context::new().recorder(&audit).scope(|| audited::execute("pay invoice", "bank::pay", (), || ()));
    /// assert!(audit.flush().is_err());
    /// let health = audit.health();
    /// assert_eq!((health.status, health.waiting), (Status::Trying, 1));
    /// assert_eq!(health.latest_error.unwrap().to_string(), "the disk is full");
    /// # Ok::<(), audited::Error>(())
    /// ```
    #[must_use]
    pub fn health(&self) -> Health {
        match self.at_home() {
            Ok(()) => health(&self.queue),
            Err(error) => in_child(error),
        }
    }
}

/// In a forked child, whose parent may have held any lock at the fork.
fn in_child(error: Error) -> Health {
    Health {
        status: Status::Stopped,
        since: Utc::now(),
        latest_error: Some(Arc::new(error)),
        latest_error_at: Some(Utc::now()),
        waiting: 0,
        waiting_bytes: 0,
        latest_stored_at: None,
        counters: Counters::default(),
    }
}

fn health(queue: &Queue) -> Health {
    let waiting_bytes = queue.bytes();
    let counters = queue.counters();
    let lost = lock(&queue.lost).since;
    let hangs = queue
        .hangs_for()
        .and_then(|time| Utc::now().checked_sub_signed(TimeDelta::from_std(time).ok()?));
    let progress = lock(&queue.progress);
    let losing = progress.loses_since.or(lost);
    let (status, since) = match (progress.stopped_at, losing, progress.refuses_since.or(hangs)) {
        (Some(since), ..) => (Status::Stopped, since),
        (_, Some(since), _) => (Status::Losing, since),
        (_, _, Some(since)) => (Status::Trying, since),
        _ => (Status::Working, progress.works_since),
    };
    Health {
        status,
        since,
        latest_error: progress.latest.clone(),
        latest_error_at: progress.latest_at,
        waiting: counters.accepted.saturating_sub(counters.written + counters.failed),
        waiting_bytes,
        latest_stored_at: progress.stored_at,
        counters,
    }
}
