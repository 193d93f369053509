//! What tests of sessions share.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::fs;
use std::path::Path;

use audit_record::store::Sink as _;
use audit_record::store::{Batch, Session};
use audit_record::{Outcome, Record};
use audit_sqlite::SqliteStore;
use rusqlite::types::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::{event, full, rows};

pub(crate) fn call(action: &str) -> Record {
    let mut call = full();
    call.id = event("an id of its own").id;
    call.action = action.to_owned().into();
    call.outcome = Outcome::Unknown;
    call.duration_us = 0;
    (call.output, call.error, call.traceback) = (None, None, None);
    (call.log, call.changes) = (Vec::new(), Vec::new());
    call
}

pub(crate) fn session() -> Session {
    let mut session = Session::new(7);
    session.service = Some("billing".into());
    session
}

/// A store with a recorder at work.
pub(crate) fn begun(path: &Path) -> SqliteStore {
    let mut store = SqliteStore::open(path).unwrap();
    store.begin(&session()).unwrap();
    store
}

pub(crate) fn intend(store: &mut SqliteStore, intents: &[Record]) {
    let mut batch = Batch::new(&[]);
    batch.intents = intents;
    store.write_batch(&batch).unwrap();
}

pub(crate) fn texts(path: &Path, sql: &str) -> Vec<String> {
    let (_, rows) = rows(path, sql);
    let plain = |value: Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text,
        other => panic!("{other:?}"),
    };
    rows.into_iter().map(|row| row.into_iter().map(plain).collect::<Vec<_>>().join("|")).collect()
}

pub(crate) fn intents(path: &Path) -> Vec<String> {
    texts(path, "SELECT action FROM audit_intents ORDER BY started_at, id")
}

pub(crate) fn states(path: &Path) -> Vec<String> {
    texts(path, "SELECT state FROM audit_sessions ORDER BY started_at, id")
}

pub(crate) fn lock_files(directory: &TempDir) -> Vec<String> {
    let names = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name.contains("-session-"));
    names.sort();
    names
}

pub(crate) fn lock_name(id: Uuid) -> String {
    format!("audit.db-session-{}", id.simple())
}
