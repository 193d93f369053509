//! More calls than the queue can hold: accepted records are stored, dropped ones are reported, and
//! all counts add up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use audited::record::Kind;
use audited::store::{Batch, Counters, Status, Store};
use audited::{Audit, Context, Error, Overflow, Record, append};
use chrono::{DateTime, Utc};
use gate::GatedStore;

#[path = "support/gate.rs"]
mod gate;

const FLOOD: u64 = 1_000_000;
const THREADS: u64 = 4;

/// Totals of what has reached the store.
#[derive(Clone, Default)]
struct SharedTotals(Arc<Mutex<Totals>>);

#[derive(Debug, Default, PartialEq)]
struct Totals {
    records: u64,
    /// Losses reported by gap records: all of them, and by action.
    lost: u64,
    lost_by_action: BTreeMap<String, u64>,
    /// The first and the last time that gap records report.
    range: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// From the tally of the latest batch.
    ended: u64,
    drops_reported: u64,
}

impl SharedTotals {
    fn add(&self, batch: &Batch<'_>) {
        let mut totals = self.0.lock().expect("not poisoned");
        for record in batch.records {
            if record.kind == Kind::Gap {
                totals.add_gap(record);
            } else {
                totals.records += 1;
            }
        }
        (totals.ended, totals.drops_reported) = (batch.tally.ended, batch.tally.dropped_reported);
    }
}

impl Totals {
    fn add_gap(&mut self, gap: &Record) {
        let output = gap.output.as_ref().expect("a loss report").to_value();
        self.lost += output["records"].as_u64().expect("a number");
        for (action, records) in output["actions"].as_object().expect("actions") {
            *self.lost_by_action.entry(action.clone()).or_default() +=
                records.as_u64().expect("a number");
        }
        let time = |key: &str| {
            let text = output[key].as_str().expect("a time");
            DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
        };
        let (from, to) = self.range.unwrap_or((time("from"), time("to")));
        self.range = Some((from.min(time("from")), to.max(time("to"))));
    }
}

/// A store that can be switched to return transient errors.
struct SwitchedStore {
    fails: Arc<AtomicBool>,
    attempts: Arc<AtomicU64>,
    totals: SharedTotals,
}

impl Store for SwitchedStore {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        unreachable!("the writer thread calls `write_batch`")
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Err(Error::transient("the disk is full"));
        }
        self.totals.add(batch);
        Ok(())
    }
}

/// A recorder with a small queue, and the controls of its store.
struct SmallRecorder {
    audit: Audit,
    context: Context,
    fails: Arc<AtomicBool>,
    attempts: Arc<AtomicU64>,
    totals: SharedTotals,
}

fn recorder(overflow: Overflow, fails: bool) -> SmallRecorder {
    let (fails, attempts) = (Arc::new(AtomicBool::new(fails)), Arc::<AtomicU64>::default());
    let totals = SharedTotals::default();
    let store =
        SwitchedStore { fails: fails.clone(), attempts: attempts.clone(), totals: totals.clone() };
    let builder = Audit::builder().store(store).queue_records(8).overflow(overflow);
    let audit = builder.build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    SmallRecorder { audit, context, fails, attempts, totals }
}

/// The start time of record `number`. The times cover every second of one minute.
fn time(number: u64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + (number % 60) as i64, 0).expect("a time")
}

fn flood(context: &Context, records: u64) {
    std::thread::scope(|threads| {
        for thread in 0..THREADS {
            threads.spawn(move || {
                context.scope(|| {
                    let action = format!("flood {thread}");
                    for number in 0..records / THREADS {
                        // It returns an error in the test that closes the recorder meanwhile.
                        let _ = append(Record::new(Kind::Event, action.clone(), time(number)));
                    }
                });
            });
        }
    });
}

/// Waits until the queue is empty, checks that all counts add up, and returns the counters.
fn drain(flooded: &SmallRecorder, offered: u64) -> Counters {
    while flooded.audit.flush().is_err_and(|error| error.is_transient()) {}
    // Gap records may be stored shortly after the records.
    while flooded.audit.health().status == Status::Losing {
        std::thread::yield_now();
    }
    let counters = flooded.audit.counters();
    assert_eq!(counters.accepted + counters.dropped, offered);
    assert_eq!(counters.written + counters.failed, counters.accepted);
    let totals = flooded.totals.0.lock().expect("not poisoned");
    assert_eq!(totals.records, counters.written);
    assert_eq!(totals.lost, counters.dropped + counters.failed);
    assert_eq!(totals.lost_by_action.values().sum::<u64>(), totals.lost);
    assert_eq!((totals.ended, totals.drops_reported), (counters.accepted, counters.dropped));
    counters
}

#[test]
fn blocking_callers_lose_nothing() {
    let flooded = recorder(Overflow::Block(Duration::MAX), false);
    flood(&flooded.context, FLOOD);
    let counters = drain(&flooded, FLOOD);
    assert_eq!((counters.written, counters.dropped), (FLOOD, 0));
}

#[test]
fn dropped_records_are_counted_and_reported_with_actions_and_times() {
    let flooded = recorder(Overflow::Drop, false);
    flood(&flooded.context, FLOOD);
    let counters = drain(&flooded, FLOOD);
    assert!(counters.dropped > 0, "the queue holds only 8 records");
    let totals = flooded.totals.0.lock().expect("not poisoned");
    let actions = &totals.lost_by_action;
    assert!(actions.keys().all(|action| action.starts_with("flood ")), "{actions:?}");
    let (from, to) = totals.range.expect("a range of times");
    assert!(from >= time(0) && to <= time(59), "{from} {to}");
}

/// What a recorder with a queue of 8 accepts while its store takes nothing: the queue, and the
/// batch that the writer thread holds. A batch has 4,096 records at most, since callers can add to
/// the queue while the writer thread takes from it; on a quiet machine it has about 8.
const ACCEPTED: std::ops::RangeInclusive<u64> = 8..=8 + 4_096;

#[test]
fn callers_wait_for_the_overflow_limit_once_while_the_store_fails() {
    // If each caller waited for the limit, this test would take weeks.
    let limit = Duration::from_secs(2);
    let flooded = recorder(Overflow::Block(limit), true);
    let start = std::time::Instant::now();
    flood(&flooded.context, FLOOD);
    let counters = flooded.audit.counters();
    assert!(ACCEPTED.contains(&counters.accepted), "{counters:?}");
    assert_eq!(counters.accepted + counters.dropped, FLOOD);
    assert!(start.elapsed() >= limit, "the callers waited once");
    let health = flooded.audit.health();
    assert_eq!((health.status, health.waiting), (Status::Losing, counters.accepted));
    assert_eq!(health.latest_error.expect("an error").to_string(), "the disk is full");
    assert_eq!(health.latest_stored_at, None);

    // Once the store accepts records again, callers block again instead of dropping.
    flooded.fails.store(false, Ordering::SeqCst);
    let before = drain(&flooded, FLOOD);
    flood(&flooded.context, 10_000);
    let after = drain(&flooded, FLOOD + 10_000);
    assert_eq!(after.dropped, before.dropped);
    let totals = flooded.totals.0.lock().expect("not poisoned");
    assert_eq!(totals.range, Some((time(0), time(59))));
    assert_eq!(totals.lost_by_action.len(), THREADS as usize);
    let health = flooded.audit.health();
    assert_eq!((health.status, health.waiting, health.waiting_bytes), (Status::Working, 0, 0));
    assert!(health.latest_stored_at.is_some());
}

#[test]
fn flush_returns_while_other_threads_flood_the_queue() {
    let flooded = recorder(Overflow::Drop, false);
    let flood_ended = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let flushes = [(); 2].map(|()| {
            threads.spawn(|| {
                let mut flushes = 0;
                while !flood_ended.load(Ordering::SeqCst) {
                    flooded.audit.flush().expect("the store accepts everything");
                    flushes += 1;
                }
                flushes
            })
        });
        flood(&flooded.context, 200_000);
        flood_ended.store(true, Ordering::SeqCst);
        let flushes = flushes.map(|flush| flush.join().expect("no panic"));
        assert!(flushes.iter().all(|flushes| *flushes > 0), "{flushes:?}");
    });
    drain(&flooded, 200_000);
}

#[test]
fn every_record_accepted_before_the_shutdown_is_stored() {
    for _ in 0..20 {
        let SmallRecorder { audit, context, totals, .. } =
            recorder(Overflow::Block(Duration::MAX), false);
        let offered = 10_000;
        std::thread::scope(|threads| {
            threads.spawn(|| flood(&context, offered));
            while audit.counters().accepted < 1_000 {
                std::thread::yield_now();
            }
            audit.shutdown().expect("the shutdown succeeds");
        });
        let totals = totals.0.lock().expect("not poisoned");
        assert_eq!(totals.ended, totals.records, "every accepted record is stored");
        assert!((1_000..=offered).contains(&totals.records));
        // Calls after the last write are reported by a warning in the program's own log.
        assert!(totals.records + totals.lost <= offered);
    }
}

#[test]
fn retries_depend_on_time_and_not_on_the_number_of_waiting_calls() {
    let flooded = recorder(Overflow::Block(Duration::from_millis(300)), true);
    flood(&flooded.context, 1_000);
    // Retries come after 10, 20, 40, 80 and 160 ms. A slow machine may add a few.
    let attempts = flooded.attempts.load(Ordering::SeqCst);
    assert!(attempts <= 16, "{attempts}");
    flooded.fails.store(false, Ordering::SeqCst);
    drain(&flooded, 1_000);
}

#[test]
fn rejected_records_are_reported_by_action() {
    struct RejectsVaults(SharedTotals);
    impl Store for RejectsVaults {
        fn write(&mut self, _: &[Record]) -> Result<(), Error> {
            unreachable!("the writer thread calls `write_batch`")
        }

        fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
            if batch.records.iter().any(|record| record.action == "open the vault") {
                return Err(Error::permanent("vaults are secret"));
            }
            self.0.add(batch);
            Ok(())
        }
    }
    let totals = SharedTotals::default();
    let audit = Audit::builder().store(RejectsVaults(totals.clone())).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| {
        for number in 0..1_000 {
            let action = if number % 100 == 42 { "open the vault" } else { "walk by" };
            append(Record::new(Kind::Event, action, time(number))).expect("there is a recorder");
        }
    });
    let error = audit.flush().expect_err("some can't be stored");
    assert!(error.to_string().ends_with("vaults are secret"), "{error}");
    audit.shutdown().expect("the flush has reported all losses");
    let totals = totals.0.lock().expect("not poisoned");
    assert_eq!((totals.records, totals.lost, totals.ended), (990, 10, 1_000));
    assert_eq!(totals.lost_by_action, BTreeMap::from([("open the vault".to_owned(), 10)]));
    assert_eq!(totals.range, Some((time(2), time(42))));
}

/// A store that sends the number of events in each batch, and then waits for permission.
struct CountingStore(mpsc::Sender<usize>, mpsc::Receiver<()>);

impl Store for CountingStore {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        let events = records.iter().filter(|record| record.kind == Kind::Event).count();
        let _ = self.0.send(events);
        let _ = self.1.recv();
        Ok(())
    }
}

#[test]
fn records_in_the_current_batch_use_queue_bytes_until_they_are_stored() {
    const FITS: u64 = 16;
    let event = || {
        append(Record::new(Kind::Event, "flood", time(0))).expect("there is a recorder");
    };
    let ((count, counts), (permit, permission)) = (mpsc::channel(), mpsc::channel());
    let audit =
        Audit::builder().store(CountingStore(count, permission)).build().expect("a recorder");
    Context::new().recorder(&audit).scope(event);
    assert_eq!(counts.recv(), Ok(1), "the writer thread holds it");
    let size = audit.health().waiting_bytes;
    assert!(size > 0, "it still counts");
    drop(permit);
    audit.shutdown().expect("the shutdown succeeds");

    let ((count, counts), (permit, permission)) = (mpsc::channel(), mpsc::channel());
    let builder = Audit::builder().store(CountingStore(count, permission)).overflow(Overflow::Drop);
    let audit = builder.queue_bytes(FITS as usize * size).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    context.scope(event);
    assert_eq!(counts.recv(), Ok(1));
    context.scope(|| (0..2 * FITS).for_each(|_| event()));
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.dropped), (FITS, FITS + 1));
    assert_eq!(audit.health().waiting_bytes, FITS as usize * size);
    // One record is stored, which makes room for one. The next batch takes a quarter of the queue.
    permit.send(()).expect("the store waits");
    assert_eq!(counts.recv(), Ok(4));
    assert_eq!(audit.health().waiting_bytes, (FITS - 1) as usize * size);
    context.scope(|| (0..2).for_each(|_| event()));
    assert_eq!(audit.counters().accepted, FITS + 1);
    drop(permit);
    assert_eq!(counts.iter().take(3).collect::<Vec<_>>(), [4; 3]);
    audit.flush().expect("the store accepts everything");
    assert_eq!(audit.health().waiting_bytes, 0);
}

#[test]
fn callers_wait_for_the_overflow_limit_once_while_the_store_hangs() {
    /// A store that does not return from its first batch before the test drops the sender.
    struct HangingStore(mpsc::Receiver<()>, SharedTotals);
    impl Store for HangingStore {
        fn write(&mut self, _: &[Record]) -> Result<(), Error> {
            unreachable!("the writer thread calls `write_batch`")
        }

        fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
            let _ = self.0.recv();
            self.1.add(batch);
            Ok(())
        }
    }
    let (sender, released) = mpsc::channel();
    let totals = SharedTotals::default();
    let limit = Duration::from_millis(1_500);
    let builder = Audit::builder().store(HangingStore(released, totals.clone())).queue_records(8);
    let audit = builder.overflow(Overflow::Block(limit)).build().expect("a recorder");
    // Dropped before `audit`, also when an assertion fails: closing waits for the store.
    let release = sender;
    let before = Utc::now();
    // If each caller waited for the limit, this test would take days.
    flood(&Context::new().recorder(&audit), 500_000);
    let elapsed = (Utc::now() - before).to_std().expect("the clock goes forward");
    assert!(elapsed >= limit, "the callers waited once");
    let health = audit.health();
    assert_eq!(health.status, Status::Losing, "calls were dropped");
    let counters = health.counters;
    assert!(ACCEPTED.contains(&counters.accepted), "{counters:?}");
    assert_eq!(counters.accepted + counters.dropped, 500_000);

    drop(release);
    audit.shutdown().expect("the store accepts everything");
    let totals = totals.0.lock().expect("not poisoned");
    assert_eq!((totals.records, totals.lost), (counters.accepted, counters.dropped));
}

const LONG_TEXT: usize = 100_000;

/// The bytes that the queue counts for one call without arguments made under `context`.
fn waiting_bytes(context: Context) -> usize {
    let store = GatedStore::blocked();
    let audit =
        Audit::builder().store(store.clone()).overflow(Overflow::Drop).build().expect("a recorder");
    let call = |context: Context| {
        context.recorder(&audit).scope(|| audited::execute("call", "test", (), || ()));
    };
    call(Context::new());
    // From here on the writer thread is blocked, so the next record stays in the queue.
    store.wait_for_batches(1);
    call(context);
    let bytes = audit.health().waiting_bytes;
    store.unblock();
    bytes
}

#[test]
fn every_text_of_the_context_uses_queue_bytes() {
    let empty = waiting_bytes(Context::new());
    let long = || "x".repeat(LONG_TEXT);
    for context in [
        Context::new().actor(long()),
        Context::new().on_behalf_of(long()),
        Context::new().site(long()),
        Context::new().service(long()),
        Context::new().correlation_id(long()),
        Context::new().request_id(long()),
        Context::new().session(long()),
        Context::new().user_agent(long()),
        Context::new().url(long()),
        Context::new().actor_details(vec![7; LONG_TEXT]),
        Context::new().field("tenant", vec![7; LONG_TEXT]),
    ] {
        let bytes = waiting_bytes(context.clone());
        // Each name is cut to 1 KiB, and each value to 1,000 elements, before it reaches the queue.
        assert!(bytes >= empty + 1_000, "{bytes} for {context:?}, {empty} for none");
    }
}
