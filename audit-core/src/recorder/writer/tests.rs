//! Tests of what the writer thread does besides writing.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use audit_record::store::Store;
use audit_record::{Error, Kind, Record};
use chrono::Utc;

use crate::recorder::counters::SessionCounters;
use crate::recorder::queue::Queue;
use crate::recorder::settings::{Overflow, QueueLimits};
use crate::recorder::writer;

/// A store that announces each maintenance, and then fails or panics in turn.
struct MaintainedStore {
    maintained: mpsc::Sender<()>,
    panics_next: bool,
}

impl Store for MaintainedStore {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        Ok(())
    }

    fn maintain(&mut self) -> Result<(), Error> {
        let _ = self.maintained.send(());
        self.panics_next = !self.panics_next;
        assert!(self.panics_next, "a store that panics");
        Err(Error::permanent("no maintenance"))
    }
}

#[test]
fn the_store_is_maintained_while_nothing_is_recorded_and_its_errors_lose_nothing() {
    let limits = QueueLimits {
        records: 8,
        bytes: usize::MAX,
        overflow: Overflow::Drop,
        wait: Duration::MAX,
    };
    let queue = Arc::new(Queue::new(limits, SessionCounters::private()));
    let (maintained, maintenance) = mpsc::channel();
    let store = Box::new(MaintainedStore { maintained, panics_next: false });
    let writer = writer::start(queue.clone(), store, Duration::MAX).expect("a thread");
    for _ in 0..3 {
        maintenance.recv().expect("the store is maintained");
    }
    queue.offer(Box::new(Record::new(Kind::Call, "work", Utc::now())));
    queue.flush().expect("it is stored");
    assert_eq!(queue.counters().written, 1);
    queue.close();
    writer.join().expect("no panic").expect("nothing is lost");
}
