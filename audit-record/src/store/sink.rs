//! [`Sink`]: where records go.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::ChangeReader;
use crate::{Durability, Error, Record};

/// What the writer hands to a store at once: stored as a whole, or not at all.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Batch<'b> {
    /// What has happened, to be stored in this order.
    pub records: &'b [Record],
    /// Calls that are about to begin: what is known of them before their body runs. The record of such a call
    /// has the same id, and closes the intent.
    pub intents: &'b [Record],
    /// What the whole batch must survive once [`Sink::write_batch`] has returned.
    pub durability: Durability,
    /// The recorder's account, to be stored together with the batch.
    pub tally: Tally,
}

impl<'b> Batch<'b> {
    /// A batch of `records` that must survive the end of the process.
    #[must_use]
    pub fn new(records: &'b [Record]) -> Self {
        Self { records, intents: &[], durability: Durability::Process, tally: Tally::default() }
    }
}

/// How far a recorder is, counted from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Accepted records that have come to their end once this batch is stored: written, or given up and told of by a
    /// `gap` record.
    pub ended: u64,
    /// Dropped records that `gap` records tell of once this batch is stored.
    pub dropped_told: u64,
}

/// A recorder's time at work on a store, from its start to its close.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Session {
    /// Names it.
    pub id: Uuid,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// The service, as the builder was told.
    pub service: Option<Arc<str>>,
    /// Records that may have been accepted and not be stored yet, at most.
    pub in_flight: u64,
}

impl Session {
    /// A session that begins now, under a new id.
    #[must_use]
    pub fn new(in_flight: u64) -> Self {
        let started_at = Utc::now();
        let id = crate::id::record_id(started_at.timestamp_micros());
        Self { id, started_at, service: None, in_flight }
    }
}

/// Where the recorder's writer thread puts its records.
///
/// Calls come from one thread at a time. A sink may itself call audited functions; calls made on the
/// writer thread are not recorded.
///
/// Only [`write`](Sink::write) is required, for a store of its own that keeps plain records. One that wraps another passes on all
/// five methods: without [`write_batch`](Sink::write_batch), records for [`Durability::Power`] are stored as by [`write`](Sink::write), not confirmed, and calls with
/// `on_audit_failure = "refuse"` refused; without [`begin`](Sink::begin), nobody tells what a dead process has lost; without
/// [`reader`](Sink::reader), there is no history.
///
/// ```
/// use audited::history::ChangeReader;
/// use audited::{Batch, Error, Record, Session, Sink};
///
/// /// Says how many records each batch has.
/// struct Told<S>(S);
///
/// impl<S: Sink> Sink for Told<S> {
///     fn write(&mut self, records: &[Record]) -> Result<(), Error> {
///         self.write_batch(&Batch::new(records))
///     }
///     fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
///         println!("{} records", batch.records.len());
///         self.0.write_batch(batch)
///     }
///     fn begin(&mut self, session: &Session) -> Result<(), Error> {
///         self.0.begin(session)
///     }
///     fn reader(&mut self) -> Result<Option<Box<dyn ChangeReader>>, Error> {
///         self.0.reader()
///     }
///     fn close(&mut self) -> Result<(), Error> {
///         self.0.close()
///     }
/// }
/// ```
pub trait Sink: Send + 'static {
    /// Stores all of `records`, in their order, or none of them.
    ///
    /// # Errors
    ///
    /// [`Error::transient`] where trying again may help: the recorder will offer the same records
    /// again. [`Error::permanent`] otherwise: the records are counted as failed and given up.
    fn write(&mut self, records: &[Record]) -> Result<(), Error>;

    /// Stores `batch`: all of it, or nothing.
    ///
    /// Without intents and below [`Durability::Power`] this is [`write`](Sink::write), for a store that has nothing to
    /// add to that.
    ///
    /// # Errors
    ///
    /// As [`write`](Sink::write). What a store can't promise it must refuse, never promise falsely: unless this is
    /// implemented, intents and `Durability::Power` are refused for good. A record that is refused at that level is
    /// offered once more at [`Durability::Process`], and its caller is told that it is not confirmed.
    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        if !batch.intents.is_empty() {
            return Err(Error::permanent(
                "this store keeps no intents, which `on_audit_failure = \"refuse\"` needs: implement \
                 `Sink::write_batch` for it",
            ));
        }
        if batch.durability >= Durability::Power {
            return Err(Error::permanent(
                "this store does not promise to survive a loss of power: implement `Sink::write_batch` for it, or \
                 record with `durability = \"process\"`",
            ));
        }
        self.write(batch.records)
    }

    /// Called once, before anything else, when a recorder begins to work with this store. A store that keeps intents
    /// closes those of processes that have died, and tells in the trail what these have lost.
    ///
    /// # Errors
    ///
    /// When the store can't be made ready; then no recorder is built.
    fn begin(&mut self, session: &Session) -> Result<(), Error> {
        let _ = session;
        Ok(())
    }

    /// A way to read changes back, beside the writing; `None` if the store has none. Asked for once, before
    /// the first [`write`](Sink::write).
    ///
    /// # Errors
    ///
    /// When the store can't be opened for reading.
    fn reader(&mut self) -> Result<Option<Box<dyn ChangeReader>>, Error> {
        Ok(None)
    }

    /// Called once, after the last [`write`](Sink::write).
    ///
    /// # Errors
    ///
    /// When the store could not be closed in order. What was written before stays written.
    fn close(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl Sink for Box<dyn Sink> {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        (**self).write(records)
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        (**self).write_batch(batch)
    }

    fn begin(&mut self, session: &Session) -> Result<(), Error> {
        (**self).begin(session)
    }

    fn reader(&mut self) -> Result<Option<Box<dyn ChangeReader>>, Error> {
        (**self).reader()
    }

    fn close(&mut self) -> Result<(), Error> {
        (**self).close()
    }
}
