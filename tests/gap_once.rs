//! A store may take a batch and say that it has not: a commit whose sync has failed, for one. What is offered again is
//! then found by its id; so it is with the gaps.

#![cfg(feature = "sqlite")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use audited::{Audit, Batch, Context, Error, Kind, Overflow, Record, Sink, SqliteStore};

/// A trail that says of the first gap that it was not stored.
struct Doubtful {
    trail: SqliteStore,
    gaps_offered: Arc<Mutex<usize>>,
}

impl Sink for Doubtful {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.write_batch(&Batch::new(records))
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        if batch.records.iter().any(|record| record.action == "unwanted") {
            return Err(Error::permanent("not this one"));
        }
        self.trail.write_batch(batch)?;
        if batch.records.iter().any(|record| record.kind == Kind::Gap) {
            let mut offered = self.gaps_offered.lock().expect("nobody panics");
            *offered += 1;
            if *offered == 1 {
                return Err(Error::transient("whether it is stored is not known"));
            }
        }
        Ok(())
    }
}

#[test]
fn a_gap_that_may_be_stored_already_is_not_stored_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let trail = SqliteStore::open(&path).expect("a trail");
    let gaps_offered = Arc::<Mutex<usize>>::default();
    let store = Doubtful { trail, gaps_offered: gaps_offered.clone() };
    let audit = Audit::builder().store(store).build().expect("a recorder");
    let call = |action: &'static str| {
        Context::new().recorder(&audit).scope(|| audited::execute(action, "test", (), || ()));
    };
    call("unwanted");
    audit.flush().expect_err("it was refused");
    // It waits behind the gap.
    call("next");
    while audit.flush().is_err() {}
    assert!(*gaps_offered.lock().expect("nobody panics") >= 2, "the gap was offered again");
    drop(audit);
    let trail = rusqlite::Connection::open(&path).expect("the trail");
    let gaps: i64 = trail
        .query_row("SELECT count(*) FROM audit_log WHERE kind = 'gap'", [], |row| row.get(0))
        .expect("a number");
    assert_eq!(gaps, 1);
}

/// A trail that stands still before its first two batches, and says of the second that it was not stored.
struct Halting {
    trail: SqliteStore,
    batches: usize,
    came: Sender<()>,
    goes_on: Receiver<()>,
}

impl Sink for Halting {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.write_batch(&Batch::new(records))
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        self.batches += 1;
        if self.batches <= 2 {
            self.came.send(()).expect("the test waits");
            self.goes_on.recv().expect("the test goes on");
        }
        self.trail.write_batch(batch)?;
        match self.batches {
            2 => Err(Error::transient("whether it is stored is not known")),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_gap_that_may_be_stored_already_does_not_grow() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.db");
    let trail = SqliteStore::open(&path).expect("a trail");
    let ((came, comes), (go_on, goes_on)) = (channel(), channel());
    let audit = Audit::builder()
        .store(Halting { trail, batches: 0, came, goes_on })
        .queue_records(1)
        .overflow(Overflow::Drop)
        .build()
        .expect("a recorder");
    let call = || {
        Context::new().recorder(&audit).scope(|| audited::execute("call", "test", (), || ()));
    };
    call();
    for _ in 0..2 {
        comes.recv().expect("the writer came");
        // One finds room in the queue, and one does not.
        call();
        call();
        go_on.send(()).expect("the writer waits");
    }
    while audit.flush().is_err() {}
    assert_eq!((audit.counters().written, audit.counters().dropped), (3, 2));
    audit.close().expect("closed");
    let trail = rusqlite::Connection::open(&path).expect("the trail");
    let missing: i64 = trail
        .query_row(
            "SELECT sum(json_extract(output, '$.records')) FROM audit_log WHERE kind = 'gap'",
            [],
            |row| row.get(0),
        )
        .expect("a number");
    assert_eq!(missing, 2);
}
