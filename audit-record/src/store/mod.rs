//! What a store of records implements: [`Store`] to write records, and [`ChangeReader`] to read
//! changes back.

mod changes;
mod contract;

pub use changes::{
    ChangePosition, ChangeQuery, ChangeReader, ChangeRecord, Children, StoredChange,
};
pub use contract::{Batch, RecorderSession, SessionTally, Store};
