//! Batches: how durable they are, and that each is stored as a whole.

mod common;

use std::fs;

use audit_record::Durability;
use audit_record::store::Batch;
use audit_record::store::Sink as _;
use audit_sqlite::SqliteStore;
use common::{actions, events, read};
use tempfile::tempdir;

#[test]
fn every_durability_stores_the_batch() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    for durability in
        [Durability::Power, Durability::Queued, Durability::Power, Durability::Process]
    {
        let records = events(durability.as_str(), 2);
        let mut batch = Batch::new(&records);
        batch.durability = durability;
        store.write_batch(&batch).unwrap();
    }
    let expected = [
        "power 0",
        "power 1",
        "queued 0",
        "queued 1",
        "power 0",
        "power 1",
        "process 0",
        "process 1",
    ];
    assert_eq!(actions(&path), expected);
}

/// A commit that writes nothing syncs nothing, and what was stored before may not be synced.
#[test]
fn what_is_stored_already_is_synced_when_it_is_offered_again_for_power() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let records = events("e", 3);
    store.write(&records).unwrap();
    let log = directory.path().join("audit.db-wal");
    let empty = || {
        read(&path).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        assert_eq!(fs::metadata(&log).unwrap().len(), 0);
    };
    let mut batch = Batch::new(&records);
    empty();
    store.write_batch(&batch).unwrap();
    assert_eq!(fs::metadata(&log).unwrap().len(), 0, "below power, there is nothing to do");
    batch.durability = Durability::Power;
    store.write_batch(&batch).unwrap();
    assert!(fs::metadata(&log).unwrap().len() > 0);
    assert_eq!(actions(&path), ["e 0", "e 1", "e 2"]);
}
