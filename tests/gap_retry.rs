//! A gap record that is written again is stored only once.
//!
//! A store may store a batch and still return an error, for example when the sync of a commit
//! fails. The recorder then writes the batch again. The store recognises each record, gap records
//! included, by its id.

#![cfg(feature = "sqlite")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use audited::record::Kind;
use audited::store::{Batch, Store};
use audited::{Audit, Context, Error, Overflow, Record, SqliteStore};

/// A store that stores the first gap record, but returns an error for it.
struct FailsAfterFirstGap {
    trail: SqliteStore,
    gap_writes: Arc<Mutex<usize>>,
}

impl Store for FailsAfterFirstGap {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.write_batch(&Batch::new(records))
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        if batch.records.iter().any(|record| record.action == "unwanted") {
            return Err(Error::permanent("not this one"));
        }
        self.trail.write_batch(batch)?;
        if batch.records.iter().any(|record| record.kind == Kind::Gap) {
            let mut writes = self.gap_writes.lock().expect("not poisoned");
            *writes += 1;
            if *writes == 1 {
                return Err(Error::transient("whether it is stored is not known"));
            }
        }
        Ok(())
    }
}

#[test]
fn a_gap_record_that_may_be_stored_already_is_not_stored_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let trail = SqliteStore::open(&path).expect("a trail");
    let gap_writes = Arc::<Mutex<usize>>::default();
    let store = FailsAfterFirstGap { trail, gap_writes: gap_writes.clone() };
    let audit = Audit::builder().store(store).build().expect("a recorder");
    let call = |action: &'static str| {
        Context::new().recorder(&audit).scope(|| audited::execute(action, "test", (), || ()));
    };
    call("unwanted");
    audit.flush().expect_err("the store rejected it");
    // This record waits behind the gap record.
    call("next");
    while audit.flush().is_err() {}
    assert!(*gap_writes.lock().expect("not poisoned") >= 2, "the gap record was written again");
    drop(audit);
    let trail = rusqlite::Connection::open(&path).expect("the trail");
    let gaps: i64 = trail
        .query_row("SELECT count(*) FROM audit_log WHERE kind = 'gap'", [], |row| row.get(0))
        .expect("a number");
    assert_eq!(gaps, 1);
}

/// A store that waits for permission before its first two batches. It stores the second one, but
/// returns an error for it.
struct SteppedStore {
    trail: SqliteStore,
    batches: usize,
    arrived: Sender<()>,
    permission: Receiver<()>,
}

impl Store for SteppedStore {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.write_batch(&Batch::new(records))
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        self.batches += 1;
        if self.batches <= 2 {
            self.arrived.send(()).expect("the test waits");
            self.permission.recv().expect("the test continues");
        }
        self.trail.write_batch(batch)?;
        match self.batches {
            2 => Err(Error::transient("whether it is stored is not known")),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_gap_record_that_may_be_stored_already_is_not_extended() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let trail = SqliteStore::open(&path).expect("a trail");
    let ((arrived, arrivals), (permit, permission)) = (channel(), channel());
    let audit = Audit::builder()
        .store(SteppedStore { trail, batches: 0, arrived, permission })
        .queue_records(1)
        .overflow(Overflow::Drop)
        .build()
        .expect("a recorder");
    let call = || {
        Context::new().recorder(&audit).scope(|| audited::execute("call", "test", (), || ()));
    };
    call();
    for _ in 0..2 {
        arrivals.recv().expect("the writer thread arrives");
        // The queue has room for the first call, but not for the second.
        call();
        call();
        permit.send(()).expect("the writer thread waits");
    }
    while audit.flush().is_err() {}
    assert_eq!((audit.counters().written, audit.counters().dropped), (3, 2));
    audit.shutdown().expect("the shutdown succeeds");
    let trail = rusqlite::Connection::open(&path).expect("the trail");
    let lost: i64 = trail
        .query_row(
            "SELECT sum(json_extract(output, '$.records')) FROM audit_log WHERE kind = 'gap'",
            [],
            |row| row.get(0),
        )
        .expect("a number");
    assert_eq!(lost, 2);
}
