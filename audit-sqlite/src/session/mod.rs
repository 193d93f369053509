//! [`Work`]: a recorder's time at work on the trail, and what becomes of it when its process dies.
//!
//! A session has a row in `audit_session` and a lock file beside the trail. The file is there and locked before the row
//! is, so that nobody takes a new session for a dead one.

mod intent;
mod lock;
mod process;
mod recover;

use std::collections::HashSet;
use std::path::Path;

use audit_record::Error;
use audit_record::store::{Batch, Session, Tally};
use chrono::Utc;
use rusqlite::{Connection, TransactionBehavior, params};
use uuid::Uuid;

use self::lock::Lock;
use self::process::Process;
use crate::dictionary::Names;
use crate::encode::Encoder;
use crate::error::Failure;
use crate::file::FileId;
use crate::link::Link;
use crate::migrate::check_unchanged;
use crate::schema::session_state;
use crate::write::Writer;

pub(crate) use self::intent::close_recorded;

/// Announced calls that are known by their ids, 1 MiB of them; more are there only after long trouble.
const KNOWN: usize = 65_536;

/// A session of this store.
pub(crate) struct Work {
    id: Uuid,
    /// Of its row.
    number: i64,
    /// `None` where the file system has no locks.
    lock: Option<Lock>,
    /// Calls that were announced, and whose record has not been stored since. Whether they were stored is not known
    /// where the batch has failed. From [`KNOWN`] on nobody keeps count any more: any record may close one then.
    open: HashSet<Uuid>,
    /// What the row says.
    tally: Tally,
}

impl Work {
    /// Enters `session` into the trail, after those that have died before.
    pub(crate) fn begin(
        session: &Session,
        link: &mut Link,
        writer: &mut Writer,
        path: &Path,
        file: FileId,
    ) -> Result<Self, Failure> {
        let lock = Lock::new(path, session.id).map_err(|error| no_lock(path, error))?;
        let this = Process::this();
        let entered = (|| {
            let transaction =
                link.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            check_unchanged(&transaction, link.home, "write to", path)?;
            let dead = recover::all(&transaction, writer, path, file, &this)?;
            let number = enter(&transaction, session, &this, file)?;
            transaction.commit()?;
            Ok((number, dead))
        })();
        match entered {
            Ok((number, dead)) => {
                dead.forget(path);
                let (open, tally) = (HashSet::new(), Tally::default());
                Ok(Self { id: session.id, number, lock, open, tally })
            }
            Err(failure) => {
                writer.forget_names();
                if let Some(lock) = lock {
                    lock.remove();
                }
                Err(failure)
            }
        }
    }

    /// What the session's row says.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Adds to the open transaction what `batch` says beside its records, which are in it already.
    pub(crate) fn keep(
        &mut self,
        transaction: &Connection,
        names: &mut Names,
        encoder: &mut Encoder,
        batch: &Batch<'_>,
    ) -> Result<(), Failure> {
        let ended = batch.records.iter().map(|record| record.id);
        let all = self.open.len() >= KNOWN;
        intent::delete(transaction, ended.filter(|id| all || self.open.contains(id)))?;
        let is_open = self.update(transaction, batch.tally)?;
        if batch.intents.is_empty() {
            return Ok(());
        }
        if !is_open {
            // It is alive: its lock file was taken away and its process could not be seen. What is announced now would
            // be closed by the next start, before the call has ended.
            return Err(Failure::Refused(Error::permanent(
                "cannot announce a call in the audit trail: another process has taken this recorder for dead; \
                 restart the program, and leave the `-session-` files beside the trail alone",
            )));
        }
        let room = KNOWN - self.open.len();
        self.open.extend(batch.intents.iter().map(|intent| intent.id).take(room));
        intent::insert(transaction, names, encoder, self.number, batch.intents)
    }

    /// After the commit of what [`keep`](Self::keep) has added.
    pub(crate) fn kept(&mut self, batch: &Batch<'_>) {
        self.tally = batch.tally;
        if !self.open.is_empty() && self.open.len() < KNOWN {
            for record in batch.records {
                self.open.remove(&record.id);
            }
        }
    }

    /// `false` if the session has ended for the trail.
    fn update(&self, transaction: &Connection, tally: Tally) -> rusqlite::Result<bool> {
        let updated = transaction
            .prepare_cached(
                "UPDATE main.audit_session SET ended = ?2, dropped_told = ?3, stored_at = ?4
                 WHERE number = ?1 AND state = 0",
            )?
            .execute(params![
                self.number,
                stored(tally.ended),
                stored(tally.dropped_told),
                Utc::now().timestamp_micros(),
            ])?;
        Ok(updated > 0)
    }

    /// Ends the session in order. If records are missing that the trail does not know of, it is left for the next
    /// start to be told.
    pub(crate) fn close(self, link: &mut Link, path: &Path) -> Result<(), Failure> {
        let missing = audit_record::process::left_behind(self.id).is_some_and(|counted| {
            counted.accepted > self.tally.ended || counted.dropped > self.tally.dropped_told
        });
        if missing {
            return Ok(());
        }
        let transaction =
            link.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        check_unchanged(&transaction, link.home, "close", path)?;
        end(&transaction, self.number, session_state::CLOSED)?;
        transaction.commit()?;
        if let Some(lock) = self.lock {
            lock.remove();
        }
        audit_record::process::forget(self.id);
        Ok(())
    }
}

/// Adds the session's row, unless it is there: it may have begun before, and not been told so. Its number.
fn enter(
    transaction: &Connection,
    session: &Session,
    this: &Process,
    file: FileId,
) -> rusqlite::Result<i64> {
    transaction
        .prepare(
            "INSERT INTO main.audit_session (id, service, host, pid, boot_id, pid_namespace, process_start, file,
                 started_at, in_flight) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            session.id.as_bytes(),
            session.service.as_deref(),
            process::host(),
            this.pid,
            this.boot_id,
            this.pid_namespace,
            this.start,
            file.text(),
            session.started_at.timestamp_micros(),
            stored(session.in_flight),
        ])?;
    transaction.query_row(
        "SELECT number FROM main.audit_session WHERE id = ?1 AND state = 0",
        [session.id.as_bytes()],
        |row| row.get(0),
    )
}

fn end(transaction: &Connection, number: i64, state: i64) -> rusqlite::Result<usize> {
    transaction.execute(
        "UPDATE main.audit_session SET state = ?2, ended_at = ?3 WHERE number = ?1 AND state = 0",
        params![number, state, Utc::now().timestamp_micros()],
    )
}

/// SQLite has no unsigned integers.
fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn no_lock(path: &Path, error: std::io::Error) -> Failure {
    let text = format!(
        "cannot open the audit trail `{}`: no lock file can be made beside it; check the permissions of its directory",
        path.display()
    );
    Failure::Refused(Error::permanent(text).with_source(error))
}
