//! [`Progress`]: how the store takes what it is given, as those learn who ask.

use std::sync::Arc;

use audit_record::Error;
use chrono::{DateTime, Utc};

/// What the writer tells.
pub(crate) struct Progress {
    /// Attempts of the writer that the store refused.
    pub(crate) refusals: u64,
    pub(crate) latest: Option<Arc<Error>>,
    pub(crate) latest_at: Option<DateTime<Utc>>,
    /// Of the records given up, those that a flush told of.
    pub(crate) failed_told: u64,
    /// The writer has ended before its time.
    pub(crate) died: bool,
    pub(crate) works_since: DateTime<Utc>,
    pub(crate) refuses_since: Option<DateTime<Utc>>,
    /// Since when the trail lacks something that it does not tell yet.
    pub(crate) loses_since: Option<DateTime<Utc>>,
    pub(crate) stopped_at: Option<DateTime<Utc>>,
    pub(crate) stored_at: Option<DateTime<Utc>>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            refusals: 0,
            latest: None,
            latest_at: None,
            failed_told: 0,
            died: false,
            works_since: Utc::now(),
            refuses_since: None,
            loses_since: None,
            stopped_at: None,
            stored_at: None,
        }
    }

    /// The store has taken a batch, and with it the account of what is missing.
    pub(crate) fn stored(&mut self) {
        let now = Utc::now();
        self.stored_at = Some(now);
        if self.refuses_since.take().is_some() | self.loses_since.take().is_some() {
            self.works_since = now;
        }
    }

    /// The store refused, and will be asked again.
    pub(crate) fn refused(&mut self, error: Error) {
        self.refusals += 1;
        self.refuses_since.get_or_insert_with(Utc::now);
        self.complained(Arc::new(error));
    }

    /// Records were given up.
    pub(crate) fn lost(&mut self, error: Arc<Error>) {
        self.loses_since.get_or_insert_with(Utc::now);
        self.complained(error);
    }

    /// The store said this.
    pub(crate) fn complained(&mut self, error: Arc<Error>) {
        self.latest = Some(error);
        self.latest_at = Some(Utc::now());
    }

    pub(crate) fn stopped(&mut self) {
        self.stopped_at.get_or_insert_with(Utc::now);
    }
}
