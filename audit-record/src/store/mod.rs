//! What a store of records implements: [`Sink`] to take them, [`ChangeReader`] to give changes back.

mod changes;
mod sink;

pub use changes::{ChangePosition, ChangeQuery, ChangeReader, ChangeRecord, StoredChange};
pub use sink::{Batch, Session, Sink, Tally};
