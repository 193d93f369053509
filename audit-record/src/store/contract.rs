//! [`Store`]: the trait of everything that a recorder can write records to.
//!
//! The writer thread of a recorder is the only caller. Apart from [`Store::begin`] and
//! [`Store::reader`], which the building thread calls, every method runs on that thread.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::ChangeReader;
use crate::{Durability, Error, Record};

/// What the writer thread passes to [`Store::write_batch`]: all of it is stored, or nothing.
///
/// ```
/// use audited::record::Kind;
/// use audited::store::Batch;
/// use audited::{Durability, Record};
///
/// let records = [Record::new(Kind::Event, "open the vault", chrono::Utc::now())];
/// let batch = Batch::new(&records);
/// assert_eq!((batch.records.len(), batch.intents.len()), (1, 0));
/// assert_eq!(batch.durability, Durability::Process);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Batch<'b> {
    /// The records to store, in this order.
    pub records: &'b [Record],
    /// The intents to store: what is known of calls whose body has not run yet, with the outcome
    /// `unknown`. The record of such a call has the same id and replaces the intent. The same intent
    /// may be offered again.
    pub intents: &'b [Record],
    /// What the whole batch must survive once [`Store::write_batch`] has returned `Ok`.
    pub durability: Durability,
    /// The totals of the recorder session, to be stored in the same transaction as the batch.
    pub tally: SessionTally,
}

impl<'b> Batch<'b> {
    /// A batch of `records` that must survive the end of the process. It has no intents.
    #[must_use]
    pub fn new(records: &'b [Record]) -> Self {
        let tally = SessionTally::default();
        Self { records, intents: &[], durability: Durability::Process, tally }
    }
}

/// How many records of a recorder session the trail accounts for, as totals since the session
/// started.
///
/// It is stored with every [`Batch`]. If the process dies, the next start compares it with the
/// [`SessionCounters`](crate::process::SessionCounters), which say what was offered. The difference
/// is what was lost.
///
/// ```
/// use audited::store::SessionTally;
///
/// let tally = SessionTally::default();
/// assert_eq!((tally.ended, tally.dropped_reported), (0, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionTally {
    /// Accepted records that are accounted for once this batch is stored: each is written, or was
    /// given up and is reported by a `gap` record.
    pub ended: u64,
    /// Dropped records that `gap` records report once this batch is stored.
    pub dropped_reported: u64,
}

/// The use of one store by one recorder, from [`Store::begin`] to [`Store::close`].
///
/// ```
/// use audited::store::RecorderSession;
///
/// let session = RecorderSession::new(100);
/// assert_eq!((session.in_flight, session.service), (100, None));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecorderSession {
    /// A UUID of version 7 that identifies the session.
    pub id: Uuid,
    /// When it started, by the system clock.
    pub started_at: DateTime<Utc>,
    /// The service that was set in the builder of the recorder.
    pub service: Option<Arc<str>>,
    /// The maximum number of records that are accepted and not stored yet, at any time. If nothing
    /// better is known, this many records may be lost when the process dies.
    pub in_flight: u64,
}

impl RecorderSession {
    /// A session that starts now and has a new id.
    ///
    /// `in_flight` is the maximum number of accepted records that are not stored yet.
    #[must_use]
    pub fn new(in_flight: u64) -> Self {
        let started_at = Utc::now();
        let id = crate::id::record_id(started_at.timestamp_micros());
        Self { id, started_at, service: None, in_flight }
    }
}

/// Where a recorder stores its records.
///
/// Methods are called by one thread at a time. A store may itself call audited functions. Calls on
/// the writer thread are not recorded.
///
/// Only [`write`](Store::write) is required; it is enough for a store that keeps plain records. A
/// store that wraps another must forward all six methods, because the default implementations have
/// these effects:
///
/// - [`write_batch`](Store::write_batch): records for [`Durability::Power`] are stored with
///   [`Durability::Process`], and their calls are counted as unconfirmed; calls with
///   `on_audit_failure = "refuse"` are refused.
/// - [`begin`](Store::begin): losses of a process that died are not reported.
/// - [`reader`](Store::reader): the recorder has no history.
/// - [`maintain`](Store::maintain): what another process has left is found only by a later start.
///
/// ```
/// use audited::store::ChangeReader;
/// use audited::store::{Batch, RecorderSession, Store};
/// use audited::{Error, Record};
///
/// /// Prints the size of each batch.
/// struct PrintSizes<S>(S);
///
/// impl<S: Store> Store for PrintSizes<S> {
///     fn write(&mut self, records: &[Record]) -> Result<(), Error> {
///         self.write_batch(&Batch::new(records))
///     }
///     fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
///         println!("{} records", batch.records.len());
///         self.0.write_batch(batch)
///     }
///     fn begin(&mut self, session: &RecorderSession) -> Result<(), Error> {
///         self.0.begin(session)
///     }
///     fn reader(&mut self) -> Result<Option<Box<dyn ChangeReader>>, Error> {
///         self.0.reader()
///     }
///     fn maintain(&mut self) -> Result<(), Error> {
///         self.0.maintain()
///     }
///     fn close(&mut self) -> Result<(), Error> {
///         self.0.close()
///     }
/// }
/// ```
pub trait Store: Send + 'static {
    /// Stores all of `records`, in their order, or none of them.
    ///
    /// When it returns `Ok`, the records survive the end of the process ([`Durability::Process`]), so
    /// flush every buffer. After an error, nothing of the batch may remain, because the recorder
    /// offers it again. `seq` and `session_id` of the records are empty: a store that numbers its
    /// records sets them when it keeps them, `session_id` from the session that it got by
    /// [`begin`](Store::begin).
    ///
    /// # Errors
    ///
    /// Return [`Error::transient`] if a retry may succeed: the recorder then writes the same
    /// records again. Return [`Error::permanent`] otherwise: the records are given up and counted
    /// as failed.
    fn write(&mut self, records: &[Record]) -> Result<(), Error>;

    /// Stores all of `batch`, or nothing of it.
    ///
    /// The default implementation calls [`write`](Store::write) for a batch without intents and
    /// below [`Durability::Power`].
    ///
    /// # Errors
    ///
    /// The same as for [`write`](Store::write). A store must reject what it can't guarantee. The
    /// default implementation rejects intents and [`Durability::Power`] with a permanent error. A
    /// record that is rejected at that level is written once more with [`Durability::Process`], and
    /// its call is counted as unconfirmed.
    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        if !batch.intents.is_empty() {
            return Err(Error::permanent(
                "this store does not support intents, which `on_audit_failure = \"refuse\"` needs: \
                 implement `Store::write_batch` for it",
            ));
        }
        if batch.durability >= Durability::Power {
            return Err(Error::permanent(
                "this store does not promise to survive a loss of power: implement \
                 `Store::write_batch` for it, or use `durability = \"process\"`",
            ));
        }
        self.write(batch.records)
    }

    /// Called once when a recorder starts to use this store, before any other method.
    ///
    /// A store that keeps intents closes those of processes that have died, and reports in the
    /// trail what these processes have lost.
    ///
    /// # Errors
    ///
    /// Return an error if the store can't be used. Then no recorder is built.
    fn begin(&mut self, session: &RecorderSession) -> Result<(), Error> {
        let _ = session;
        Ok(())
    }

    /// Opens a reader for the changes in this store; `None` if they can't be read back.
    ///
    /// Called once, after [`begin`](Store::begin) and before the first write. The reader is used on
    /// other threads while this store writes.
    ///
    /// # Errors
    ///
    /// Return an error if the store can't be opened for reading. Then no recorder is built.
    fn reader(&mut self) -> Result<Option<Box<dyn ChangeReader>>, Error> {
        Ok(None)
    }

    /// Called between two batches about every 20 seconds, also while nothing is recorded.
    ///
    /// A store that keeps recorder sessions looks here for processes that have died since, and does
    /// for them what [`begin`](Store::begin) does. It must be quick: the writer thread writes nothing
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// The recorder ignores an error and calls this again later. Problems of the store are reported
    /// by the next write.
    fn maintain(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Called once, after the last write.
    ///
    /// # Errors
    ///
    /// Return an error if the store could not be closed properly. What was written before stays
    /// written.
    fn close(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl Store for Box<dyn Store> {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        (**self).write(records)
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        (**self).write_batch(batch)
    }

    fn begin(&mut self, session: &RecorderSession) -> Result<(), Error> {
        (**self).begin(session)
    }

    fn reader(&mut self) -> Result<Option<Box<dyn ChangeReader>>, Error> {
        (**self).reader()
    }

    fn maintain(&mut self) -> Result<(), Error> {
        (**self).maintain()
    }

    fn close(&mut self) -> Result<(), Error> {
        (**self).close()
    }
}
