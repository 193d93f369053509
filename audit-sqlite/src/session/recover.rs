//! Tells in the trail what recorders that have died left open, and what they may have lost.

use std::fs::File;
use std::path::Path;

use audit_record::private::json::write_str;
use audit_record::process::{forget, left_behind};
use audit_record::{ErrorInfo, Json, Kind, Outcome, Record};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row};
use uuid::Uuid;

use super::lock::{self, Found};
use super::process::{Life, Process};
use super::{end, intent};
use crate::error::Failure;
use crate::file::FileId;
use crate::schema::session_state;
use crate::write::Writer;

/// Sessions whose end is in the trail once the transaction has been committed.
#[derive(Default)]
pub(super) struct Dead(Vec<(Uuid, Traces)>);

/// What there is of a dead session outside of the trail.
struct Traces {
    /// Held, so that nobody takes it for anything else meanwhile.
    _lock: Option<File>,
    /// Whether the page of its counters is its own, and not that of a living one of which this is a copy.
    page: bool,
}

impl Dead {
    pub(super) fn forget(self, database: &Path) {
        for (session, traces) in self.0 {
            lock::forget(database, session);
            if traces.page {
                forget(session);
            }
        }
    }
}

/// A session as its row tells it.
struct Left {
    number: i64,
    id: Uuid,
    service: Option<String>,
    process: Process,
    file: Option<String>,
    started_at: i64,
    stored_at: Option<i64>,
    in_flight: u64,
    ended: u64,
    dropped_told: u64,
}

/// Within the open transaction, which has the write lock: so it happens once, whoever else begins.
///
/// Locks of sessions are only tried, never waited for: who holds one may be waiting for the write lock.
pub(super) fn all(
    transaction: &Connection,
    writer: &mut Writer,
    path: &Path,
    file: FileId,
    this: &Process,
) -> Result<Dead, Failure> {
    let mut dead = Dead::default();
    for session in open_sessions(transaction)? {
        let life = this.life_of(&session.process);
        let is_here = session.file == file.text();
        let Some(lock) = is_dead(lock::look(path, session.id), life, is_here) else { continue };
        let traces = Traces { _lock: lock, page: is_here || life != Life::Runs };
        intent::abandon(transaction, session.number, &session.why_unknown(life))?;
        if let Some(gap) = session.gap(traces.page, life) {
            writer.insert_own(transaction, &[gap])?;
        }
        end(transaction, session.number, session_state::DIED)?;
        dead.0.push((session.id, traces));
    }
    abandon_of_closed(transaction)?;
    Ok(dead)
}

/// Whether the session is dead; then with its lock, if there is one.
fn is_dead(lock: Found, life: Life, is_here: bool) -> Option<Option<File>> {
    match (lock, life) {
        (Found::Free(file), _) => Some(Some(file)),
        // A child that it has forked may hold its lock still.
        (_, Life::Gone) => Some(None),
        (Found::Held, _) => None,
        // Somebody has taken its lock away. But if this is a copy of the file that it works on, it never comes here.
        (Found::Missing, Life::Runs) if is_here => None,
        (Found::Missing, _) | (Found::Unreadable, Life::OtherBoot) => Some(None),
        (Found::Unreadable, _) => None,
    }
}

/// Calls that were under way when their recorder was closed: their records have found it so.
fn abandon_of_closed(transaction: &Connection) -> rusqlite::Result<()> {
    let mut closed = transaction.prepare(
        "SELECT DISTINCT session FROM main.audit_intent
         WHERE session NOT IN (SELECT number FROM main.audit_session WHERE state = 0)",
    )?;
    let closed: Vec<i64> = closed.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for number in closed {
        intent::abandon(transaction, number, "the recorder was closed before the call had ended")?;
    }
    Ok(())
}

fn open_sessions(transaction: &Connection) -> rusqlite::Result<Vec<Left>> {
    transaction
        .prepare(
            "SELECT number, id, service, pid, boot_id, pid_namespace, process_start, file, started_at, stored_at,
                 in_flight, ended, dropped_told
             FROM main.audit_session WHERE state = 0 ORDER BY number",
        )?
        .query_map([], Left::from_row)?
        .collect()
}

impl Left {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let count = |column| row.get(column).map(|count: i64| u64::try_from(count).unwrap_or(0));
        let pid = u32::try_from(row.get::<_, i64>(3)?).ok();
        Ok(Self {
            number: row.get(0)?,
            id: Uuid::from_bytes(row.get(1)?),
            service: row.get(2)?,
            process: Process {
                pid: pid.unwrap_or(0),
                // Of a host whose numbers are of another kind, nothing can be told from here.
                boot_id: row.get::<_, Option<String>>(4)?.filter(|_| pid.is_some()),
                pid_namespace: row.get(5)?,
                start: row.get(6)?,
            },
            file: row.get(7)?,
            started_at: row.get(8)?,
            stored_at: row.get(9)?,
            in_flight: count(10)?,
            ended: count(11)?,
            dropped_told: count(12)?,
        })
    }

    fn who(&self) -> String {
        let pid = self.process.pid;
        match &self.service {
            Some(service) => format!("process {pid} of the service `{service}`"),
            None => format!("process {pid}"),
        }
    }

    fn why_unknown(&self, life: Life) -> String {
        let who = self.who();
        match life {
            Life::Runs => format!("{who} ended its recorder before the call had ended"),
            _ => format!("{who} ended before the call had ended"),
        }
    }

    /// The record that tells what may be missing; `None` if nothing is.
    fn gap(&self, page: bool, life: Life) -> Option<Record> {
        let counted = if page { left_behind(self.id) } else { None };
        let (lost, dropped, basis, sure) = match counted {
            Some(counted) => (
                counted.accepted.saturating_sub(self.ended),
                counted.dropped.saturating_sub(self.dropped_told),
                "counted",
                "the number was counted up to its end",
            ),
            None if life == Life::OtherBoot => (
                self.in_flight,
                0,
                "queue limit, other boot",
                "the number is the limit of its queue, and the machine has been restarted since, so that records \
                 which were stored shortly before may be missing as well",
            ),
            None => (self.in_flight, 0, "queue limit", "the number is the limit of its queue"),
        };
        let records = lost.saturating_add(dropped);
        if records == 0 {
            return None;
        }
        let who = self.who();
        let reason = format!("{who} ended without closing its recorder; {sure}");
        let now = Utc::now();
        let mut gap = Record::new(Kind::Gap, "records missing", now);
        gap.method = "audited".into();
        gap.outcome = Outcome::Unknown;
        gap.service = self.service.as_deref().map(Into::into);
        gap.output = Json::parse(self.output(records, dropped, basis, now)).ok();
        let message = format!("{records} records at most are missing: {reason}");
        gap.error = Some(ErrorInfo::new("gap", message, Vec::new(), None));
        gap.reason = Some(reason);
        Some(gap)
    }

    fn output(&self, records: u64, dropped: u64, basis: &str, now: DateTime<Utc>) -> String {
        let from = self.stored_at.unwrap_or(self.started_at);
        let from = DateTime::from_timestamp_micros(from).unwrap_or(now);
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let mut output = format!(
            r#"{{"records_at_most":{records},"dropped":{dropped},"basis":"{basis}","from":"{}","to":"{}","pid":{},"session":"{}""#,
            time(from),
            time(now),
            self.process.pid,
            self.id,
        );
        if let Some(service) = &self.service {
            output.push_str(r#","service":"#);
            write_str(&mut output, service);
        }
        output.push('}');
        output
    }
}
