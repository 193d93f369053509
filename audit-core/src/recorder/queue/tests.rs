//! What can be seen only from inside: who waits, and what is under way.

use std::thread;
use std::time::Duration;

use audit_record::Kind;
use chrono::Utc;

use super::*;
use crate::recorder::writer;

fn queue(records: usize, overflow: Overflow) -> Queue {
    let limits =
        QueueLimits { records, bytes: usize::MAX, overflow, wait: Duration::from_secs(3_600) };
    Queue::new(limits, Counts::private())
}

fn record() -> Box<Record> {
    Box::new(Record::new(Kind::Call, "work", Utc::now()))
}

#[test]
fn callers_share_the_limit_of_their_waits_while_the_store_is_in_trouble() {
    let patience = |limit: u64, in_trouble: u64| {
        let mut queue = queue(1, Overflow::Drop);
        queue.limits.wait = Duration::from_secs(limit);
        queue.refuses_since.store(1, Ordering::Relaxed);
        queue.born = Instant::now().checked_sub(Duration::from_secs(in_trouble))?;
        Some(queue.patience().as_secs_f64().round())
    };
    // A machine that was started just now has no such long ago.
    for (limit, in_trouble, left) in [(10, 0, 10.0), (10, 4, 6.0), (10, 60, 1.0), (0, 60, 0.0)] {
        assert_eq!(patience(limit, in_trouble).unwrap_or(left), left, "{limit}, {in_trouble}");
    }
}

/// Returns when `count` flushes wait.
fn until_flushes_wait(queue: &Queue, count: usize) {
    while queue.flushes.load(Ordering::SeqCst) < count {
        thread::yield_now();
    }
    // They say so under this lock, and give it back when they wait.
    drop(lock(&queue.progress));
}

#[test]
fn what_is_dropped_does_not_satisfy_a_flush() {
    let queue = queue(2, Overflow::Drop);
    queue.offer(record());
    queue.offer(record());
    thread::scope(|threads| {
        let flush = threads.spawn(|| {
            queue.flush().expect("nothing is refused");
            queue.counters().written
        });
        until_flushes_wait(&queue, 1);
        (0..10).for_each(|_| queue.offer(record()));
        // A flush that had ended by mistake would be over by now.
        (0..1_000).for_each(|_| thread::yield_now());
        queue.written(1);
        (0..1_000).for_each(|_| thread::yield_now());
        queue.written(1);
        assert_eq!(flush.join().expect("no panic"), 2);
    });
    let Counters { accepted, dropped, written, failed, .. } = queue.counters();
    assert_eq!((accepted, dropped, written, failed), (2, 10, 2, 0));
}

#[test]
fn a_flush_does_not_wait_for_a_record_that_found_no_room() {
    let queue = queue(1, Overflow::Drop);
    queue.offer(record());
    // As far as a caller comes that is stopped in the midst of `push`.
    queue.counts.accepted().fetch_add(1, Ordering::SeqCst);
    thread::scope(|threads| {
        let flush = threads.spawn(|| queue.flush());
        until_flushes_wait(&queue, 1);
        queue.written(1);
        // The caller goes on: one is taken off, and this one too finds no room.
        queue.counts.accepted().fetch_sub(1, Ordering::SeqCst);
        queue.offer(record());
        flush.join().expect("no panic").expect("what was accepted is stored");
    });
}

#[test]
fn a_record_counts_as_accepted_once_it_is_in_the_queue() {
    let queue = queue(8, Overflow::Drop);
    queue.offer(record());
    // As far as a caller comes that is stopped in the midst of `push`.
    queue.counts.accepted().fetch_add(1, Ordering::SeqCst);
    assert_eq!(queue.counters().accepted, 1);
    assert!(queue.pop().is_some());
    assert_eq!(queue.counters().accepted, 1);
    assert!(queue.pop().is_none());
    assert_eq!(queue.counters().accepted, 1);
    // It goes on, and finds the queue closed.
    queue.close();
    queue.counts.accepted().fetch_sub(1, Ordering::SeqCst);
    queue.offer(record());
    let Counters { accepted, dropped, .. } = queue.counters();
    assert_eq!((accepted, dropped), (1, 1));
}

#[test]
fn every_flush_that_waits_learns_of_a_loss() {
    let queue = queue(8, Overflow::Drop);
    queue.offer(record());
    let told = thread::scope(|threads| {
        let flushes = [(); 3]
            .map(|()| threads.spawn(|| queue.flush().expect_err("a record is lost").to_string()));
        until_flushes_wait(&queue, 3);
        queue.failed(1, Arc::new(Error::permanent("the table is gone")));
        flushes.map(|flush| flush.join().expect("no panic"))
    });
    assert_eq!(told, ["1 records could not be stored: the table is gone"; 3]);
    queue.flush().expect("told already");
}

#[test]
fn the_next_flush_learns_of_a_loss_that_no_flush_waited_for() {
    let queue = queue(8, Overflow::Drop);
    queue.offer(record());
    queue.failed(1, Arc::new(Error::permanent("the table is gone")));
    let error = queue.flush().expect_err("a record is lost");
    assert_eq!(error.to_string(), "1 records could not be stored: the table is gone");
    queue.flush().expect("told once");
}

/// A store that takes everything.
struct Taking;

impl audit_record::store::Sink for Taking {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn what_is_accepted_while_the_queue_is_closed_comes_to_an_end() {
    const THREADS: usize = 3;
    const OFFERS: u64 = 60;
    for round in 0..3_000 {
        let queue = Arc::new(queue(64, Overflow::Drop));
        let writer =
            writer::start(queue.clone(), Box::new(Taking), Duration::MAX).expect("a thread");
        thread::scope(|threads| {
            let callers = [(); THREADS]
                .map(|()| threads.spawn(|| (0..OFFERS).for_each(|_| queue.offer(record()))));
            while queue.counts.accepted().load(Ordering::SeqCst) < round % OFFERS {
                thread::yield_now();
            }
            queue.close();
            writer.join().expect("no panic").expect("everything is taken");
            callers.into_iter().for_each(|caller| caller.join().expect("no panic"));
        });
        let Counters { accepted, dropped, written, failed, .. } = queue.counters();
        assert_eq!((accepted, failed), (written, 0), "round {round}");
        assert_eq!(accepted + dropped, THREADS as u64 * OFFERS, "round {round}");
        assert!(queue.records.is_empty(), "round {round}");
    }
}
