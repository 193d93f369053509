//! [`WriterStatus`]: how the writer thread gets on with its store.
//!
//! The writer thread updates it. `flush` and `Audit::health` read it.

use std::sync::Arc;

use audit_record::Error;
use chrono::{DateTime, Utc};

pub(crate) struct WriterStatus {
    /// How often the store returned an error and the write was retried.
    pub(crate) failed_attempts: u64,
    pub(crate) latest_error: Option<Arc<Error>>,
    pub(crate) latest_error_at: Option<DateTime<Utc>>,
    /// How many of the records that were given up a flush has reported.
    pub(crate) failed_reported: u64,
    /// Whether the writer thread has panicked.
    pub(crate) died: bool,
    /// Since when the store accepts records.
    pub(crate) working_since: DateTime<Utc>,
    /// Since when the store has been failing, if it is.
    pub(crate) failing_since: Option<DateTime<Utc>>,
    /// Since when records are lost that the trail does not report yet.
    pub(crate) losing_since: Option<DateTime<Utc>>,
    pub(crate) stopped_at: Option<DateTime<Utc>>,
    pub(crate) stored_at: Option<DateTime<Utc>>,
}

impl WriterStatus {
    pub(crate) fn new() -> Self {
        Self {
            failed_attempts: 0,
            latest_error: None,
            latest_error_at: None,
            failed_reported: 0,
            died: false,
            working_since: Utc::now(),
            failing_since: None,
            losing_since: None,
            stopped_at: None,
            stored_at: None,
        }
    }

    /// The store has accepted a batch, and with it the report of all losses.
    pub(crate) fn set_stored(&mut self) {
        let now = Utc::now();
        self.stored_at = Some(now);
        if self.failing_since.take().is_some() | self.losing_since.take().is_some() {
            self.working_since = now;
        }
    }

    /// The store has returned an error, and the write will be retried.
    pub(crate) fn set_failing(&mut self, error: Error) {
        self.failed_attempts += 1;
        self.failing_since.get_or_insert_with(Utc::now);
        self.set_error(Arc::new(error));
    }

    /// Records were given up, or a loss could not be reported.
    pub(crate) fn set_losing(&mut self, error: Arc<Error>) {
        self.losing_since.get_or_insert_with(Utc::now);
        self.set_error(error);
    }

    pub(crate) fn set_error(&mut self, error: Arc<Error>) {
        self.latest_error = Some(error);
        self.latest_error_at = Some(Utc::now());
    }

    pub(crate) fn set_stopped(&mut self) {
        self.stopped_at.get_or_insert_with(Utc::now);
    }
}
