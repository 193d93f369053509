//! Recovers sessions whose process has died: closes their intents, and reports what may be lost.

use std::fs::File;
use std::path::Path;

use audit_record::process::{read_counters, read_saved_counters, remove_counters};
use audit_record::{Gap, GapBasis};
use chrono::{DateTime, Utc};
use rusqlite::Connection;
use uuid::Uuid;

use super::intent::record_as_unknown;
use super::lock::{LockState, lock_path, remove_lock_file, try_lock};
use super::process::{ProcessIdentity, ProcessState};
use super::table::{OpenSession, mark_died, open_sessions};
use crate::error::StoreError;
use crate::file::FileId;
use crate::insert::{Inserter, STORE_TRANSACTION};

/// The dead sessions that a transaction has closed.
#[derive(Default)]
pub(super) struct DeadSessions(Vec<(Uuid, Traces)>);

/// What exists of a dead session outside of the trail.
struct Traces {
    /// Its lock, held so that no other process takes the file for something else meanwhile.
    _lock: Option<File>,
    /// Whether the shared page with its counters is its own. The page of a session that is alive is
    /// not, if this database is a copy.
    owns_counters: bool,
}

impl DeadSessions {
    /// Deletes lock files and counters. Must be called after the commit.
    pub(super) fn remove_traces(self, database: &Path) {
        for (session, traces) in self.0 {
            remove_lock_file(database, session);
            if traces.owns_counters {
                remove_counters(session);
            }
        }
    }
}

/// Closes the dead sessions in the open transaction. The transaction holds the write lock, so this
/// happens once, however many processes start.
///
/// The locks of sessions are tried, never waited for, because their holder may be waiting for the
/// write lock. `this_session` is the row of the session that recovers the others: the records that
/// are added name it, and it is left alone.
pub(super) fn recover_dead_sessions(
    transaction: &Connection,
    inserter: &mut Inserter,
    path: &Path,
    file: FileId,
    this_process: &ProcessIdentity,
    this_session: i64,
) -> Result<DeadSessions, StoreError> {
    let mut dead = DeadSessions::default();
    for session in open_sessions(transaction, this_session)? {
        let (state, is_this_file) = session.visible_state(this_process, file);
        let lock = try_lock(path, session.id);
        let Some(lock) = lock_if_dead(lock, state, is_this_file) else { continue };
        let owns_counters = is_this_file || state != ProcessState::Running;
        let why = session.why_unknown(state);
        record_as_unknown(transaction, session.number, &why, this_session)?;
        let now = Utc::now();
        if let Some(gap) = session.gap(path, owns_counters, state, now) {
            let records = [gap.to_record(now)];
            inserter.insert(
                transaction,
                &STORE_TRANSACTION,
                Some(this_session),
                &records,
                false,
            )?;
        }
        mark_died(transaction, session.number)?;
        dead.0.push((session.id, Traces { _lock: lock, owns_counters }));
    }
    record_intents_of_closed_sessions(transaction, this_session)?;
    Ok(dead)
}

/// Whether [`recover_dead_sessions`] would do anything. It takes no write lock.
pub(super) fn is_recovery_due(
    connection: &Connection,
    path: &Path,
    file: FileId,
    this_process: &ProcessIdentity,
    this_session: i64,
) -> rusqlite::Result<bool> {
    let is_any_dead = open_sessions(connection, this_session)?.iter().any(|session| {
        let (state, is_this_file) = session.visible_state(this_process, file);
        lock_if_dead(try_lock(path, session.id), state, is_this_file).is_some()
    });
    if is_any_dead {
        return Ok(true);
    }
    let closed = format!("SELECT EXISTS ({SESSIONS_OF_LEFT_INTENTS})");
    connection.prepare_cached(&closed)?.query_row([], |row| row.get(0))
}

/// The sessions that have ended, but have intents.
const SESSIONS_OF_LEFT_INTENTS: &str = "SELECT DISTINCT session FROM main.audit_intent
    WHERE session NOT IN (SELECT number FROM main.audit_session WHERE state = 0)";

/// `None` if the session is alive. Otherwise its lock, if there is one.
fn lock_if_dead(
    lock: LockState,
    process: ProcessState,
    is_this_file: bool,
) -> Option<Option<File>> {
    match (lock, process) {
        (LockState::Acquired(file), _) => Some(Some(file)),
        // A forked child of the dead process may still hold the lock.
        (_, ProcessState::Gone) => Some(None),
        (LockState::Held, _) => None,
        // The lock file was deleted while the process runs. In a copy of the trail, the file never
        // existed, and the session never writes here.
        (LockState::Missing, ProcessState::Running) if is_this_file => None,
        (LockState::Missing, _) | (LockState::Unreadable, ProcessState::OtherBoot) => Some(None),
        (LockState::Unreadable, _) => None,
    }
}

/// Calls that were still running when their recorder was closed. Nobody can record their end.
fn record_intents_of_closed_sessions(
    transaction: &Connection,
    this_session: i64,
) -> rusqlite::Result<()> {
    let mut closed = transaction.prepare(SESSIONS_OF_LEFT_INTENTS)?;
    let closed: Vec<i64> = closed.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for number in closed {
        let why = "the recorder was closed before the call had ended";
        record_as_unknown(transaction, number, why, this_session)?;
    }
    Ok(())
}

impl OpenSession {
    /// What can be seen of its process, and whether it writes to the database `file`.
    fn visible_state(&self, this_process: &ProcessIdentity, file: FileId) -> (ProcessState, bool) {
        (this_process.state_of(&self.process), self.file == file.text())
    }

    fn process_name(&self) -> String {
        let pid = self.process.pid;
        match &self.service {
            Some(service) => format!("process {pid} of the service `{service}`"),
            None => format!("process {pid}"),
        }
    }

    fn why_unknown(&self, process: ProcessState) -> String {
        let who = self.process_name();
        match process {
            ProcessState::Running => format!("{who} ended its recorder before the call had ended"),
            _ => format!("{who} ended before the call had ended"),
        }
    }

    /// The gap that reports what may be lost; `None` if nothing is.
    fn gap(
        &self,
        database: &Path,
        owns_counters: bool,
        process: ProcessState,
        now: DateTime<Utc>,
    ) -> Option<Gap> {
        let counted = if owns_counters { read_counters(self.id) } else { None };
        let counted =
            counted.or_else(|| read_saved_counters(self.id, &lock_path(database, self.id)));
        let (lost, dropped, basis, explanation) = match counted {
            Some(counted) => (
                counted.accepted.saturating_sub(self.ended),
                counted.dropped.saturating_sub(self.dropped_told),
                GapBasis::Counted,
                "the number was counted up to its end",
            ),
            None if process == ProcessState::OtherBoot => (
                self.in_flight,
                0,
                GapBasis::QueueLimitOtherBoot,
                "the number is the limit of its queue, and the machine has been restarted since, \
                 so that records which were stored shortly before may be missing as well",
            ),
            None => {
                (self.in_flight, 0, GapBasis::QueueLimit, "the number is the limit of its queue")
            }
        };
        let records = lost.saturating_add(dropped);
        if records == 0 {
            return None;
        }
        let who = self.process_name();
        let reason = format!("{who} ended without closing its recorder; {explanation}");
        let mut gap = Gap::new(records, reason);
        gap.at_most = true;
        gap.dropped = Some(dropped);
        gap.basis = Some(basis);
        let from = self.stored_at.unwrap_or(self.started_at);
        gap.from = Some(DateTime::from_timestamp_micros(from).unwrap_or(now));
        gap.to = Some(now);
        gap.pid = Some(self.process.pid.into());
        gap.session_id = Some(self.id);
        gap.service.clone_from(&self.service);
        Some(gap)
    }
}
