//! Helpers for tests of recorder sessions and intents.

use std::path::Path;

use audit_record::store::Store as _;
use audit_record::store::{Batch, RecorderSession};
use audit_record::{Outcome, Record};
use audit_sqlite::SqliteStore;
use tempfile::TempDir;
use uuid::Uuid;

use super::{event, file_names, full, texts};

/// The intent of a call.
pub(crate) fn call(action: &str) -> Record {
    let mut call = full();
    call.id = event("only for its id").id;
    call.action = action.to_owned().into();
    call.outcome = Outcome::Unknown;
    call.duration_us = 0;
    (call.output, call.error, call.traceback) = (None, None, None);
    (call.log, call.changes) = (Vec::new(), Vec::new());
    call
}

pub(crate) fn session() -> RecorderSession {
    let mut session = RecorderSession::new(7);
    session.service = Some("billing".into());
    session
}

/// A store whose session has begun.
pub(crate) fn store_with_session(path: &Path) -> SqliteStore {
    let mut store = SqliteStore::open(path).unwrap();
    store.begin(&session()).unwrap();
    store
}

/// Stores `intents`.
pub(crate) fn store_intents(store: &mut SqliteStore, intents: &[Record]) {
    let mut batch = Batch::new(&[]);
    batch.intents = intents;
    store.write_batch(&batch).unwrap();
}

/// The actions of all open intents.
pub(crate) fn intents(path: &Path) -> Vec<String> {
    texts(path, "SELECT action FROM audit_intents ORDER BY started_at, id")
}

/// The states of all sessions.
pub(crate) fn states(path: &Path) -> Vec<String> {
    texts(path, "SELECT state FROM audit_sessions ORDER BY started_at, id")
}

/// The lock files of sessions in `directory`.
pub(crate) fn lock_files(directory: &TempDir) -> Vec<String> {
    let mut names = file_names(directory);
    names.retain(|name| name.contains("-session-"));
    names
}

/// The name of the lock file of the session `id`.
pub(crate) fn lock_file_name(id: Uuid) -> String {
    format!("audit.db-session-{}", id.simple())
}
