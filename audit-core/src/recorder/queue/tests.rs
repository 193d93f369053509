//! Tests of the queue's internal state: waiting flushes, and callers that are interrupted in a
//! push.

use std::thread;
use std::time::Duration;

use audit_record::Kind;
use chrono::Utc;

use super::*;
use crate::recorder::writer;

fn new_queue(records: usize, overflow: Overflow) -> Queue {
    let limits =
        QueueLimits { records, bytes: usize::MAX, overflow, wait: Duration::from_secs(3_600) };
    Queue::new(limits, SessionCounters::private())
}

fn record() -> Box<Record> {
    Box::new(Record::new(Kind::Call, "work", Utc::now()))
}

#[test]
fn callers_share_their_wait_limit_while_the_store_fails() {
    let wait_limit = |limit: u64, failing_for: u64| {
        let mut queue = new_queue(1, Overflow::Drop);
        queue.limits.wait = Duration::from_secs(limit);
        queue.failing_since.store(1, Ordering::Relaxed);
        queue.created = Instant::now().checked_sub(Duration::from_secs(failing_for))?;
        Some(queue.wait_limit().as_secs_f64().round())
    };
    // On a machine that was started a moment ago, `checked_sub` returns `None`.
    for (limit, failing_for, left) in [(10, 0, 10.0), (10, 4, 6.0), (10, 60, 1.0), (0, 60, 0.0)] {
        let actual = wait_limit(limit, failing_for).unwrap_or(left);
        assert_eq!(actual, left, "{limit}, {failing_for}");
    }
}

/// Returns once `count` flushes wait.
fn wait_for_flushes(queue: &Queue, count: usize) {
    while queue.flushes.load(Ordering::SeqCst) < count {
        thread::yield_now();
    }
    // A flush is counted under this lock, and releases it when it waits.
    drop(lock(&queue.status));
}

#[test]
fn dropped_records_do_not_end_a_flush() {
    let queue = new_queue(2, Overflow::Drop);
    queue.offer(record());
    queue.offer(record());
    thread::scope(|threads| {
        let flush = threads.spawn(|| {
            queue.flush().expect("nothing fails");
            queue.counters().written
        });
        wait_for_flushes(&queue, 1);
        (0..10).for_each(|_| queue.offer(record()));
        // If the flush ended by mistake, it would have ended by now.
        (0..1_000).for_each(|_| thread::yield_now());
        queue.count_written(1);
        (0..1_000).for_each(|_| thread::yield_now());
        queue.count_written(1);
        assert_eq!(flush.join().expect("no panic"), 2);
    });
    let Counters { accepted, dropped, written, failed, .. } = queue.counters();
    assert_eq!((accepted, dropped, written, failed), (2, 10, 2, 0));
}

#[test]
fn a_flush_does_not_wait_for_a_record_that_found_no_room() {
    let queue = new_queue(1, Overflow::Drop);
    queue.offer(record());
    // The state of a caller that was interrupted in `push`.
    queue.session_counters.accepted().fetch_add(1, Ordering::SeqCst);
    thread::scope(|threads| {
        let flush = threads.spawn(|| queue.flush());
        wait_for_flushes(&queue, 1);
        queue.count_written(1);
        // The caller continues and reverts its count. The next one finds no room either.
        queue.session_counters.accepted().fetch_sub(1, Ordering::SeqCst);
        queue.offer(record());
        flush.join().expect("no panic").expect("what was accepted is stored");
    });
}

#[test]
fn a_record_counts_as_accepted_once_it_is_in_the_queue() {
    let queue = new_queue(8, Overflow::Drop);
    queue.offer(record());
    // The state of a caller that was interrupted in `push`.
    queue.session_counters.accepted().fetch_add(1, Ordering::SeqCst);
    assert_eq!(queue.counters().accepted, 1);
    assert!(queue.pop().is_some());
    assert_eq!(queue.counters().accepted, 1);
    assert!(queue.pop().is_none());
    assert_eq!(queue.counters().accepted, 1);
    // The caller continues, and finds the queue closed.
    queue.close();
    queue.session_counters.accepted().fetch_sub(1, Ordering::SeqCst);
    queue.offer(record());
    let Counters { accepted, dropped, .. } = queue.counters();
    assert_eq!((accepted, dropped), (1, 1));
}

#[test]
fn every_waiting_flush_reports_a_loss() {
    let queue = new_queue(8, Overflow::Drop);
    queue.offer(record());
    let errors = thread::scope(|threads| {
        let flushes = [(); 3]
            .map(|()| threads.spawn(|| queue.flush().expect_err("a record is lost").to_string()));
        wait_for_flushes(&queue, 3);
        queue.count_failed(1, Arc::new(Error::permanent("the table is gone")));
        flushes.map(|flush| flush.join().expect("no panic"))
    });
    assert_eq!(errors, ["1 records could not be stored: the table is gone"; 3]);
    queue.flush().expect("the loss was reported");
}

#[test]
fn the_next_flush_reports_a_loss_if_no_flush_was_waiting() {
    let queue = new_queue(8, Overflow::Drop);
    queue.offer(record());
    queue.count_failed(1, Arc::new(Error::permanent("the table is gone")));
    let error = queue.flush().expect_err("a record is lost");
    assert_eq!(error.to_string(), "1 records could not be stored: the table is gone");
    queue.flush().expect("the loss was reported");
}

/// A store that accepts everything.
struct AcceptingStore;

impl audit_record::store::Store for AcceptingStore {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn every_record_accepted_during_the_close_is_stored() {
    const THREADS: usize = 3;
    const OFFERS: u64 = 60;
    for round in 0..3_000 {
        let queue = Arc::new(new_queue(64, Overflow::Drop));
        let writer = writer::start(queue.clone(), Box::new(AcceptingStore), Duration::MAX)
            .expect("a thread");
        thread::scope(|threads| {
            let callers = [(); THREADS]
                .map(|()| threads.spawn(|| (0..OFFERS).for_each(|_| queue.offer(record()))));
            while queue.session_counters.accepted().load(Ordering::SeqCst) < round % OFFERS {
                thread::yield_now();
            }
            queue.close();
            writer.join().expect("no panic").expect("everything is stored");
            callers.into_iter().for_each(|caller| caller.join().expect("no panic"));
        });
        let Counters { accepted, dropped, written, failed, .. } = queue.counters();
        assert_eq!((accepted, failed), (written, 0), "round {round}");
        assert_eq!(accepted + dropped, THREADS as u64 * OFFERS, "round {round}");
        assert!(queue.records.is_empty(), "round {round}");
    }
}
