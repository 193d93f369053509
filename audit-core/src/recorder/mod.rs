//! The recorder: takes finished records and calls from any thread, and writes them to the store on
//! one writer thread.
//!
//! - [`recording`]: [`Recorder`], the settings of a recorder and the destination of its records
//! - [`queue`]: where callers and the writer thread meet; [`queued_record`] and [`pending_intents`]
//!   are what waits there
//! - [`receipt`]: callers that wait until their record is stored; [`watchdog`] for their time
//!   limits
//! - [`writer`]: the writer thread; [`in_flight_batch`] is its current batch, [`loss_report`] and
//!   [`loss_count`] what it must report in the trail, [`writer_status`] what `flush` and health see
//! - [`memory`]: records that are kept in memory, without a queue
//! - [`fork`]: why a forked child does not record
//!
//! This module knows calls only by the trait [`Pending`], and nothing of contexts or objects.

mod clock_monitor;
mod counters;
mod fork;
mod in_flight_batch;
mod loss_count;
mod loss_report;
mod memory;
#[cfg(all(test, shuttle))]
mod model;
mod pending_intents;
mod queue;
mod queued_record;
mod receipt;
mod recording;
mod settings;
mod sync;
mod watchdog;
mod writer;
mod writer_status;

pub use counters::Counters;
pub(crate) use counters::SessionCounters;
pub(crate) use fork::{forked_error, is_owner_or_warn};
pub(crate) use loss_count::LossCount;
pub(crate) use memory::{MemoryRecords, OutcomeHandle, TransactionOutcome};
pub(crate) use queue::Queue;
pub(crate) use queued_record::Pending;
pub(crate) use receipt::Receipt;
pub(crate) use recording::{ACTIVE, Destination, GENERATION, Recorder, RecorderRef, is_any_active};
pub use settings::Overflow;
pub(crate) use settings::QueueLimits;
pub(crate) use sync::{JoinHandle, lock};
pub(crate) use writer::{MAX_BATCH_RECORDS, start as start_writer};
