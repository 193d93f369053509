//! [`Record`]: one entry of the audit trail, as the table of its columns.
//!
//! The recorder fills records, stores keep them, and readers return them. Programs that write
//! records of their own build them with [`Record::new`] and set the columns that they know.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::Json;
use crate::columns::columns;
use crate::parts::{
    CorrelationId, ErrorInfo, FieldChange, Kind, LogEntry, Note, Outcome, Truncation,
};
use crate::size::HeapBytes as _;

columns! {
    /// One entry of the audit trail.
    ///
    /// The fields have the names of the columns of the SQLite view `audit_log`, and of the keys of
    /// the JSON form, which is [canonical](Record::to_json). The view also computes `parent_seq`, and
    /// `changes` are the view `audit_changes`.
    ///
    /// ```
    /// use audited::record::{Kind, Outcome, Record};
    ///
    /// let mut record = Record::new(Kind::Login, "log in", "2026-11-27T09:30:00Z".parse()?);
    /// record.actor = Some("alice".into());
    /// record.outcome = Outcome::Failure;
    /// record.reason = Some("wrong password".into());
    ///
    /// let text = record.to_json();
    /// assert!(text.as_str().contains(r#""outcome":"failure","actor":"alice""#));
    /// assert_eq!(text.to::<Record>()?, record);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub struct Record {
        /// Position in the store, counted from 1; `None` until it is stored.
        seq: Option<u64>,
        /// The id of the record, a UUID of version 7: it sorts by the time when the call started.
        id: Uuid,
        /// What the record is about.
        kind: Kind = Kind::Call,
        /// When the call started, by the system clock, to the microsecond.
        started_at: DateTime<Utc>,
        /// How long it took, in microseconds, by the monotonic clock. It includes the wait for the
        /// intent of a call with `refuse`, but not the wait for the record.
        duration_us: u64,
        /// What was done, as a short phrase in domain terms: `transfer funds`.
        action: Cow<'static, str>,
        /// The function that did it, with its path: `bank::Account::transfer`.
        method: Cow<'static, str>,
        /// How it ended.
        outcome: Outcome = Outcome::Success,
        /// Who did it; `None` without an actor in the context.
        actor: Option<Arc<str>>,
        /// The user whose rights the actor used, if not the actor's own.
        on_behalf_of: Option<Arc<str>>,
        /// The client's IP address.
        ip: Option<IpAddr>,
        /// The site (host, region, tenant) at which it was recorded.
        site: Option<Arc<str>>,
        /// The service that recorded it.
        service: Option<Arc<str>>,
        /// The type of the object concerned: `invoice`.
        target_type: Option<Cow<'static, str>>,
        /// The id of the object concerned.
        target_id: Option<String>,
        /// The display name of the object concerned.
        target_label: Option<String>,
        /// Common to all records that belong together: the id that the context gives, otherwise the
        /// id of the outermost call.
        correlation_id: CorrelationId = CorrelationId::Uuid(Uuid::nil()),
        /// The id of the enclosing call.
        parent_id: Option<Uuid>,
        /// The arguments: a JSON object with their names as keys.
        #[serde(default, deserialize_with = "crate::json::present")]
        input: Option<Json>,
        /// The return value.
        #[serde(default, deserialize_with = "crate::json::present")]
        output: Option<Json>,
        /// The `tracing` events of the call, in the order in which they were emitted.
        #[serde(default)]
        log: Vec<LogEntry>,
        /// The returned error, or the panic.
        error: Option<ErrorInfo>,
        /// The backtrace of the error or the panic.
        traceback: Option<String>,
        /// Why it was done.
        reason: Option<String>,
        /// Notes attached during the call.
        #[serde(default)]
        notes: Vec<Note>,
        /// The rest of the context: a JSON object with `request_id`, `session`, `user_agent`,
        /// `url`, `actor_details` and `extra`, each if given.
        #[serde(default, deserialize_with = "crate::json::present")]
        context: Option<Json>,
        /// Which values were cut to fit the limits, and their full size.
        #[serde(default)]
        truncated: Vec<Truncation>,
        /// The recorder session that wrote the record: a row of the view `audit_sessions`. `None`
        /// until it is stored, and for a record written in the caller's own transaction.
        session_id: Option<Uuid>,
        /// How long the call waited for durability, in microseconds: for its intent, and until the
        /// writer thread passed its record to the store. `None` for a call that did not wait.
        wait_us: Option<u64>,
        /// The field changes that belong to this record; rows of the view `audit_changes`.
        #[serde(default)]
        changes: Vec<FieldChange>,
    }
}

impl Record {
    /// A record of `kind` for `action` that started at `started_at`. All other columns have their
    /// default values.
    #[must_use]
    pub fn new(
        kind: Kind,
        action: impl Into<Cow<'static, str>>,
        started_at: DateTime<Utc>,
    ) -> Self {
        let id = crate::id::record_id(started_at.timestamp_micros());
        Self::with_id(id, kind, action.into(), started_at)
    }

    /// Like [`new`](Self::new), with a given id.
    #[doc(hidden)]
    #[must_use]
    pub fn with_id(
        id: Uuid,
        kind: Kind,
        action: Cow<'static, str>,
        started_at: DateTime<Utc>,
    ) -> Self {
        let correlation_id = CorrelationId::Uuid(id);
        Self { id, kind, action, started_at, correlation_id, ..Self::empty() }
    }
}

/// The size of a record in memory in bytes, exact enough for a limit.
///
/// Each text counts with its length, and each element of a list with its size. Not counted are
/// spare capacity and the overhead of the allocator. Texts that several records share, or that are
/// a part of the program, count for each record.
#[must_use]
pub fn size_of_record(record: &Record) -> usize {
    size_of::<Record>() + record.heap_bytes()
}
