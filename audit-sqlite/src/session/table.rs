//! The rows of `audit_session`.

use audit_record::store::{RecorderSession, SessionTally};
use chrono::Utc;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::process::{ProcessIdentity, host};
use crate::file::FileId;
use crate::schema::session_state;

/// An open session, as its row describes it.
pub(super) struct OpenSession {
    pub(super) number: i64,
    pub(super) id: Uuid,
    pub(super) service: Option<String>,
    pub(super) process: ProcessIdentity,
    /// The identity of the database file, which differs in a copy.
    pub(super) file: Option<String>,
    pub(super) started_at: i64,
    pub(super) stored_at: Option<i64>,
    /// How many records may have been accepted but not stored, at most.
    pub(super) in_flight: u64,
    /// Accepted records that are stored, or reported as lost.
    pub(super) ended: u64,
    /// Dropped records that are reported as lost.
    pub(super) dropped_told: u64,
}

impl OpenSession {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let count = |column| row.get(column).map(|count: i64| u64::try_from(count).unwrap_or(0));
        let pid = u32::try_from(row.get::<_, i64>("pid")?).ok();
        Ok(Self {
            number: row.get("number")?,
            id: Uuid::from_bytes(row.get("id")?),
            service: row.get("service")?,
            process: ProcessIdentity {
                pid: pid.unwrap_or(0),
                // A process id that is not a `u32` is from a system that this one knows nothing of.
                boot_id: row.get::<_, Option<String>>("boot_id")?.filter(|_| pid.is_some()),
                pid_namespace: row.get("pid_namespace")?,
                start: row.get("process_start")?,
            },
            file: row.get("file")?,
            started_at: row.get("started_at")?,
            stored_at: row.get("stored_at")?,
            in_flight: count("in_flight")?,
            ended: count("ended")?,
            dropped_told: count("dropped_told")?,
        })
    }
}

/// Lists the open sessions except for the one with the row `this_session`.
pub(super) fn open_sessions(
    transaction: &Connection,
    this_session: i64,
) -> rusqlite::Result<Vec<OpenSession>> {
    transaction
        .prepare(
            "SELECT number, id, service, pid, boot_id, pid_namespace, process_start, file,
                 started_at, stored_at, in_flight, ended, dropped_told
             FROM main.audit_session WHERE state = 0 AND number <> ?1 ORDER BY number",
        )?
        .query_map([this_session], OpenSession::from_row)?
        .collect()
}

/// Adds the row of `session` and returns its number. The row may be there already, if an earlier
/// attempt was committed but returned an error.
pub(super) fn insert_session(
    transaction: &Connection,
    session: &RecorderSession,
    process: &ProcessIdentity,
    file: FileId,
) -> rusqlite::Result<i64> {
    transaction
        .prepare(
            "INSERT INTO main.audit_session (id, service, host, pid, boot_id, pid_namespace,
                 process_start, file, started_at, in_flight)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            session.id.as_bytes(),
            session.service.as_deref(),
            host(),
            process.pid,
            process.boot_id,
            process.pid_namespace,
            process.start,
            file.text(),
            session.started_at.timestamp_micros(),
            stored_count(session.in_flight),
        ])?;
    transaction.query_row(
        "SELECT number FROM main.audit_session WHERE id = ?1 AND state = 0",
        [session.id.as_bytes()],
        |row| row.get(0),
    )
}

/// Writes the counters of a batch into the row. Returns `false` if the session is no longer open.
pub(super) fn update_session(
    transaction: &Connection,
    (number, id): (i64, Uuid),
    tally: SessionTally,
) -> rusqlite::Result<bool> {
    let updated = transaction
        .prepare_cached(
            "UPDATE main.audit_session SET ended = ?2, dropped_told = ?3, stored_at = ?4
             WHERE number = ?1 AND id = ?5 AND state = 0",
        )?
        .execute(params![
            number,
            stored_count(tally.ended),
            stored_count(tally.dropped_reported),
            Utc::now().timestamp_micros(),
            id.as_bytes(),
        ])?;
    Ok(updated > 0)
}

/// Marks the session as closed in order.
pub(super) fn mark_closed(transaction: &Connection, number: i64) -> rusqlite::Result<()> {
    end_session(transaction, number, session_state::CLOSED)
}

/// Marks the session as one whose process ended without closing it.
pub(super) fn mark_died(transaction: &Connection, number: i64) -> rusqlite::Result<()> {
    end_session(transaction, number, session_state::DIED)
}

fn end_session(transaction: &Connection, number: i64, state: i64) -> rusqlite::Result<()> {
    let sql =
        "UPDATE main.audit_session SET state = ?2, ended_at = ?3 WHERE number = ?1 AND state = 0";
    transaction.execute(sql, params![number, state, Utc::now().timestamp_micros()]).map(drop)
}

/// SQLite has no unsigned integers.
fn stored_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
