//! [`Health`]: whether records reach the store now.

use std::sync::Arc;

use audit_record::Error;
use chrono::{DateTime, TimeDelta, Utc};

use crate::audit::handle::Audit;
use crate::recorder::{Counters, Queue, lock};

/// The state of a recorder at one moment, as [`Audit::health`] returns it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Whether records reach the store.
    pub status: Status,
    /// Since when the recorder has this status.
    pub since: DateTime<Utc>,
    /// The latest error of the store or the writer thread. It is kept when the recorder works
    /// again.
    pub latest_error: Option<Arc<Error>>,
    /// When `latest_error` occurred.
    pub latest_error_at: Option<DateTime<Utc>>,
    /// The number of records that are accepted and not stored yet.
    pub waiting: u64,
    /// Their size in bytes. The limit is
    /// [`AuditBuilder::queue_bytes`](crate::AuditBuilder::queue_bytes).
    pub waiting_bytes: usize,
    /// When the store last accepted a batch; `None` if it has not accepted any.
    pub latest_stored_at: Option<DateTime<Utc>>,
    /// What became of the records so far.
    pub counters: Counters,
}

/// Whether records reach the store; part of [`Health`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Records reach the store.
    Working,
    /// The store returns transient errors, or has been writing one batch for more than a second.
    /// Records wait and are written later. Nothing is lost.
    Trying,
    /// Records were dropped or given up, and the trail does not report it yet.
    Losing,
    /// Nothing is recorded any more: the recorder is closed, its writer thread has panicked, or
    /// this process was forked from the one that built it.
    Stopped,
}

impl Audit {
    /// The state of this recorder, for a health check or a status page. It never waits for the
    /// store.
    ///
    /// ```
    /// use audited::store::{Status, Store};
    /// use audited::{Audit, Context, Error, Record};
    ///
    /// struct FullDisk;
    ///
    /// impl Store for FullDisk {
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
        match self.check_owner() {
            Ok(()) => health_of(self.queue()),
            Err(error) => health_in_child(error),
        }
    }
}

/// The health in a forked child. It takes no locks, because a thread of the parent may have held
/// them at the fork.
fn health_in_child(error: Error) -> Health {
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

fn health_of(queue: &Queue) -> Health {
    let waiting_bytes = queue.bytes();
    let counters = queue.counters();
    let lost_since = lock(&queue.losses).since;
    let hanging_since = queue
        .hanging_for()
        .and_then(|time| Utc::now().checked_sub_signed(TimeDelta::from_std(time).ok()?));
    let writer = lock(&queue.status);
    let losing_since = writer.losing_since.or(lost_since);
    let failing_since = writer.failing_since.or(hanging_since);
    let (status, since) = match (writer.stopped_at, losing_since, failing_since) {
        (Some(since), ..) => (Status::Stopped, since),
        (_, Some(since), _) => (Status::Losing, since),
        (_, _, Some(since)) => (Status::Trying, since),
        _ => (Status::Working, writer.working_since),
    };
    Health {
        status,
        since,
        latest_error: writer.latest_error.clone(),
        latest_error_at: writer.latest_error_at,
        waiting: counters.accepted.saturating_sub(counters.written + counters.failed),
        waiting_bytes,
        latest_stored_at: writer.stored_at,
        counters,
    }
}
