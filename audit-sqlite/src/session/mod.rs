//! Recorder sessions: [`SessionRow`] for the session of this store, and the recovery of sessions
//! whose process has died.
//!
//! A session has a row in `audit_session` and a locked file beside the trail. The file is created
//! and locked before the row is added, so that no other process takes a new session for a dead one.

mod intent;
mod lock;
mod process;
mod recover;
mod table;

use std::collections::HashSet;
use std::path::Path;

use audit_record::Error;
use audit_record::store::{Batch, RecorderSession, SessionTally};
use rusqlite::Connection;
use uuid::Uuid;

pub(crate) use self::intent::delete_recorded_intents;
use self::intent::{delete_intents, insert_intents};
use self::lock::LockFile;
use self::process::ProcessIdentity;
use self::recover::{DeadSessions, is_recovery_due, recover_dead_sessions};
use self::table::{insert_session, mark_closed, update_session};
use crate::connection::WriteConnection;
use crate::error::StoreError;
use crate::file::FileId;
use crate::identity::TrailIdentity;
use crate::insert::Inserter;

/// How many open intents are remembered by id, in 1 MiB of memory. There are more only after a long
/// disturbance.
const MAX_REMEMBERED_INTENTS: usize = 65_536;

/// The session of this store, and its row in the trail.
pub(crate) struct SessionRow {
    id: Uuid,
    /// The key of the row.
    number: i64,
    /// `None` if the file system has no locks.
    lock: Option<LockFile>,
    /// Intents whose record has not been stored since. If the batch of an intent has failed, it is
    /// unknown whether the intent was stored. Once the set holds [`MAX_REMEMBERED_INTENTS`], it is
    /// no longer maintained, and every record is assumed to have an intent.
    open_intents: HashSet<Uuid>,
    /// The counters in the row.
    stored_tally: SessionTally,
}

impl SessionRow {
    /// Adds a row for `session`, and closes the sessions that have died.
    pub(crate) fn begin(
        session: &RecorderSession,
        writer: &mut WriteConnection,
        inserter: &mut Inserter,
        path: &Path,
        file: FileId,
    ) -> Result<Self, StoreError> {
        let lock = LockFile::create(path, session.id).map_err(|error| no_lock_file(path, error))?;
        if let Some(lock) = &lock {
            audit_record::process::keep_counters_in(session.id, lock.path());
        }
        let process = ProcessIdentity::current();
        let begun = (|| {
            let transaction = writer.begin("write to", path)?;
            // First its own row, because the records of dead sessions name the session that writes
            // them.
            let number = insert_session(&transaction, session, &process, file)?;
            let dead = recover_dead_sessions(&transaction, inserter, path, file, &process, number)?;
            transaction.commit()?;
            Ok((number, dead))
        })();
        match begun {
            Ok((number, dead)) => {
                dead.remove_traces(path);
                let (open_intents, stored_tally) = (HashSet::new(), SessionTally::default());
                Ok(Self { id: session.id, number, lock, open_intents, stored_tally })
            }
            Err(failure) => {
                inserter.forget_names();
                if let Some(lock) = lock {
                    lock.remove();
                }
                Err(failure)
            }
        }
    }

    /// Does for the sessions that have died since this one began what [`begin`](Self::begin) does.
    pub(crate) fn recover_others(
        &self,
        writer: &mut WriteConnection,
        inserter: &mut Inserter,
        path: &Path,
        file: FileId,
    ) -> Result<(), StoreError> {
        let process = ProcessIdentity::current();
        if !is_recovery_due(&writer.connection, path, file, &process, self.number)? {
            return Ok(());
        }
        let mut recover = || -> Result<DeadSessions, StoreError> {
            let transaction = writer.begin("write to", path)?;
            let dead =
                recover_dead_sessions(&transaction, inserter, path, file, &process, self.number)?;
            transaction.commit()?;
            Ok(dead)
        };
        match recover() {
            Ok(dead) => dead.remove_traces(path),
            Err(failure) => {
                inserter.forget_names();
                return Err(failure);
            }
        }
        Ok(())
    }

    /// The key of the session's row, which its records refer to.
    pub(crate) fn number(&self) -> i64 {
        self.number
    }

    /// The key of the session's row, and the id of the session in it.
    pub(crate) fn key(&self) -> (i64, Uuid) {
        (self.number, self.id)
    }

    /// The counters in the session's row.
    pub(crate) fn stored_tally(&self) -> SessionTally {
        self.stored_tally
    }

    /// Adds to the open transaction what `batch` contains beside its records, which must have been
    /// inserted before: it updates the session's row, and adds and deletes intents.
    pub(crate) fn apply_batch(
        &mut self,
        transaction: &Connection,
        inserter: &mut Inserter,
        batch: &Batch<'_>,
        (trail, path): (&TrailIdentity, &Path),
    ) -> Result<(), StoreError> {
        let recorded = batch.records.iter().map(|record| record.id);
        let is_full = self.open_intents.len() >= MAX_REMEMBERED_INTENTS;
        let may_have_intent = |id: &Uuid| is_full || self.open_intents.contains(id);
        delete_intents(transaction, recorded.filter(may_have_intent))?;
        let is_open = update_session(transaction, self.key(), batch.tally)?;
        if !is_open {
            // Another process may have ended the session, but its row must be there.
            trail.check(transaction, "write to", path)?;
        }
        if batch.intents.is_empty() {
            return Ok(());
        }
        if !is_open {
            // This session is alive, but its lock file was deleted and its process could not be
            // seen. The next start would close a new intent before its call has ended.
            return Err(StoreError::Explained(Error::permanent(
                "cannot store an intent in the audit trail: another process has considered this \
                 recorder dead and ended its session; restart the program, and leave the \
                 `-session-` files beside the trail alone",
            )));
        }
        let room = MAX_REMEMBERED_INTENTS - self.open_intents.len();
        self.open_intents.extend(batch.intents.iter().map(|intent| intent.id).take(room));
        insert_intents(transaction, inserter, self.number, batch.intents)
    }

    /// Creates and locks the lock file again if it was deleted or replaced. Otherwise another
    /// process could take this session for a dead one.
    ///
    /// Best effort: if that is not possible, the process itself shows that the session is alive.
    pub(crate) fn keep_lock(&mut self, path: &Path) {
        if self.lock.as_ref().is_some_and(LockFile::is_lost)
            && let Ok(lock) = LockFile::create(path, self.id)
        {
            self.lock = lock;
        }
    }

    /// Must be called after the transaction of [`apply_batch`](Self::apply_batch) was committed.
    pub(crate) fn batch_committed(&mut self, batch: &Batch<'_>) {
        self.stored_tally = batch.tally;
        if !self.open_intents.is_empty() && self.open_intents.len() < MAX_REMEMBERED_INTENTS {
            for record in batch.records {
                self.open_intents.remove(&record.id);
            }
        }
    }

    /// Closes the session. If records are lost that the trail does not report yet, the session
    /// stays open, and the next start reports them.
    pub(crate) fn close(self, writer: &mut WriteConnection, path: &Path) -> Result<(), StoreError> {
        let has_unreported_loss =
            audit_record::process::read_counters(self.id).is_some_and(|counted| {
                counted.accepted > self.stored_tally.ended
                    || counted.dropped > self.stored_tally.dropped_reported
            });
        if has_unreported_loss {
            return Ok(());
        }
        let transaction = writer.begin("close", path)?;
        mark_closed(&transaction, self.number)?;
        transaction.commit()?;
        if let Some(lock) = self.lock {
            lock.remove();
        }
        audit_record::process::remove_counters(self.id);
        Ok(())
    }
}

fn no_lock_file(path: &Path, error: std::io::Error) -> StoreError {
    let text = format!(
        "cannot open the audit trail `{}`: no lock file can be created beside it; check the \
         permissions of its directory",
        path.display()
    );
    StoreError::Explained(Error::permanent(text).with_source(error))
}
