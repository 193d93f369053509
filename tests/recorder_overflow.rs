//! More calls than the queue takes: what is accepted is stored, what is not is told, and the sums are right.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use audited::{
    Audit, Batch, Context, Counters, Error, Kind, Overflow, Record, Sink, Status, append,
};
use chrono::{DateTime, Utc};

const FLOOD: u64 = 1_000_000;
const THREADS: u64 = 4;

/// What has reached the store, in numbers.
#[derive(Clone, Default)]
struct Sums(Arc<Mutex<Sum>>);

#[derive(Debug, Default, PartialEq)]
struct Sum {
    records: u64,
    /// What gaps tell of: in all, and by action.
    missing: u64,
    actions: BTreeMap<String, u64>,
    range: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// What the tally of the latest batch says.
    ended: u64,
    dropped_told: u64,
}

impl Sums {
    fn add(&self, batch: &Batch<'_>) {
        let mut sum = self.0.lock().expect("nobody panics");
        for record in batch.records {
            if record.kind == Kind::Gap {
                sum.add_gap(record);
            } else {
                sum.records += 1;
            }
        }
        (sum.ended, sum.dropped_told) = (batch.tally.ended, batch.tally.dropped_told);
    }
}

impl Sum {
    fn add_gap(&mut self, gap: &Record) {
        let output = gap.output.as_ref().expect("what is missing").to_value();
        self.missing += output["records"].as_u64().expect("a number");
        for (action, records) in output["actions"].as_object().expect("actions") {
            *self.actions.entry(action.clone()).or_default() += records.as_u64().expect("a number");
        }
        let time = |key: &str| {
            let text = output[key].as_str().expect("a time");
            DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
        };
        let (from, to) = self.range.unwrap_or((time("from"), time("to")));
        self.range = Some((from.min(time("from")), to.max(time("to"))));
    }
}

/// A store that takes or refuses as it is switched.
struct Store {
    refuses: Arc<AtomicBool>,
    attempts: Arc<AtomicU64>,
    sums: Sums,
}

impl Sink for Store {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        unreachable!("the writer uses `write_batch`")
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        if self.refuses.load(Ordering::SeqCst) {
            return Err(Error::transient("the disk is full"));
        }
        self.sums.add(batch);
        Ok(())
    }
}

struct Flooded {
    audit: Audit,
    context: Context,
    refuses: Arc<AtomicBool>,
    attempts: Arc<AtomicU64>,
    sums: Sums,
}

fn recorder(overflow: Overflow, refuses: bool) -> Flooded {
    let (refuses, attempts) = (Arc::new(AtomicBool::new(refuses)), Arc::<AtomicU64>::default());
    let sums = Sums::default();
    let store = Store { refuses: refuses.clone(), attempts: attempts.clone(), sums: sums.clone() };
    let builder = Audit::builder().store(store).queue_records(8).overflow(overflow);
    let audit = builder.build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    Flooded { audit, context, refuses, attempts, sums }
}

/// When the records of the floods say that they were made; each second of a minute comes up.
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
                        append(Record::new(Kind::Event, action.clone(), time(number)));
                    }
                });
            });
        }
    });
}

/// The sums of all that was offered, once nothing waits any more.
fn settled(flooded: &Flooded, offered: u64) -> Counters {
    while flooded.audit.flush().is_err_and(|error| error.is_transient()) {}
    // Gaps may be told a moment after the records.
    while flooded.audit.health().status == Status::Losing {
        std::thread::yield_now();
    }
    let counters = flooded.audit.counters();
    assert_eq!(counters.accepted + counters.dropped, offered);
    assert_eq!(counters.written + counters.failed, counters.accepted);
    let sum = flooded.sums.0.lock().expect("nobody panics");
    assert_eq!(sum.records, counters.written);
    assert_eq!(sum.missing, counters.dropped + counters.failed);
    assert_eq!(sum.actions.values().sum::<u64>(), sum.missing);
    assert_eq!((sum.ended, sum.dropped_told), (counters.accepted, counters.dropped));
    counters
}

#[test]
fn a_flood_that_may_wait_loses_nothing() {
    let flooded = recorder(Overflow::Block(Duration::MAX), false);
    flood(&flooded.context, FLOOD);
    let counters = settled(&flooded, FLOOD);
    assert_eq!((counters.written, counters.dropped), (FLOOD, 0));
}

#[test]
fn a_flood_that_is_dropped_is_counted_and_told() {
    let flooded = recorder(Overflow::Drop, false);
    flood(&flooded.context, FLOOD);
    let counters = settled(&flooded, FLOOD);
    assert!(counters.dropped > 0, "a queue of 8");
    let sum = flooded.sums.0.lock().expect("nobody panics");
    assert!(sum.actions.keys().all(|action| action.starts_with("flood ")), "{:?}", sum.actions);
    let (from, to) = sum.range.expect("when they were made");
    assert!(from >= time(0) && to <= time(59), "{from} {to}");
}

#[test]
fn a_flood_at_a_store_that_refuses_waits_once_for_all_and_not_each_anew() {
    // Were it for each anew, this would take weeks.
    let limit = Duration::from_secs(2);
    let flooded = recorder(Overflow::Block(limit), true);
    let began = std::time::Instant::now();
    flood(&flooded.context, FLOOD);
    let counters = flooded.audit.counters();
    // The queue, and what the writer has in hand.
    assert!((8..=16).contains(&counters.accepted), "{counters:?}");
    assert_eq!(counters.accepted + counters.dropped, FLOOD);
    assert!(began.elapsed() >= limit, "they did wait");
    let health = flooded.audit.health();
    assert_eq!((health.status, health.waiting), (Status::Losing, counters.accepted));
    assert_eq!(health.latest_error.expect("the reason").to_string(), "the disk is full");
    assert_eq!(health.latest_stored_at, None);

    // Once it takes records again, callers wait again.
    flooded.refuses.store(false, Ordering::SeqCst);
    let before = settled(&flooded, FLOOD);
    flood(&flooded.context, 10_000);
    let after = settled(&flooded, FLOOD + 10_000);
    assert_eq!(after.dropped, before.dropped);
    let sum = flooded.sums.0.lock().expect("nobody panics");
    assert_eq!(sum.range, Some((time(0), time(59))));
    assert_eq!(sum.actions.len(), THREADS as usize);
    let health = flooded.audit.health();
    assert_eq!((health.status, health.waiting, health.waiting_bytes), (Status::Working, 0, 0));
    assert!(health.latest_stored_at.is_some());
}

#[test]
fn flushes_in_the_midst_of_a_flood_end() {
    let flooded = recorder(Overflow::Drop, false);
    let ends = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let flushes = [(); 2].map(|()| {
            threads.spawn(|| {
                let mut flushes = 0;
                while !ends.load(Ordering::SeqCst) {
                    flooded.audit.flush().expect("the store takes all");
                    flushes += 1;
                }
                flushes
            })
        });
        flood(&flooded.context, 200_000);
        ends.store(true, Ordering::SeqCst);
        let flushes = flushes.map(|flush| flush.join().expect("no panic"));
        assert!(flushes.iter().all(|flushes| *flushes > 0), "{flushes:?}");
    });
    settled(&flooded, 200_000);
}

#[test]
fn a_flood_while_the_recorder_is_closed_leaves_nothing_unaccounted() {
    for _ in 0..20 {
        let Flooded { audit, context, sums, .. } = recorder(Overflow::Block(Duration::MAX), false);
        let offered = 10_000;
        std::thread::scope(|threads| {
            threads.spawn(|| flood(&context, offered));
            while audit.counters().accepted < 1_000 {
                std::thread::yield_now();
            }
            audit.close().expect("closes in order");
        });
        let sum = sums.0.lock().expect("nobody panics");
        assert_eq!(sum.ended, sum.records, "all that was accepted is stored");
        assert!((1_000..=offered).contains(&sum.records));
        // What came after the last write is told by a line in the program's own log.
        assert!(sum.records + sum.missing <= offered);
    }
}

#[test]
fn the_store_is_not_asked_anew_for_each_call_that_waits() {
    let flooded = recorder(Overflow::Block(Duration::from_millis(300)), true);
    flood(&flooded.context, 1_000);
    // After 10, 20, 40, 80 and 160 ms, and maybe once more if the machine was slow.
    let attempts = flooded.attempts.load(Ordering::SeqCst);
    assert!(attempts <= 16, "{attempts}");
    flooded.refuses.store(false, Ordering::SeqCst);
    settled(&flooded, 1_000);
}

#[test]
fn what_is_given_up_is_told_with_its_actions() {
    struct NoVaults(Sums);
    impl Sink for NoVaults {
        fn write(&mut self, _: &[Record]) -> Result<(), Error> {
            unreachable!("the writer uses `write_batch`")
        }

        fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
            if batch.records.iter().any(|record| record.action == "open the vault") {
                return Err(Error::permanent("vaults are secret"));
            }
            self.0.add(batch);
            Ok(())
        }
    }
    let sums = Sums::default();
    let audit = Audit::builder().store(NoVaults(sums.clone())).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| {
        for number in 0..1_000 {
            let action = if number % 100 == 42 { "open the vault" } else { "walk by" };
            append(Record::new(Kind::Event, action, time(number)));
        }
    });
    let error = audit.flush().expect_err("some can't be stored");
    assert!(error.to_string().ends_with("vaults are secret"), "{error}");
    audit.close().expect("the flush has told of them all");
    let sum = sums.0.lock().expect("nobody panics");
    assert_eq!((sum.records, sum.missing, sum.ended), (990, 10, 1_000));
    assert_eq!(sum.actions, BTreeMap::from([("open the vault".to_owned(), 10)]));
    assert_eq!(sum.range, Some((time(2), time(42))));
}

/// Says how many calls are in each batch, when it has been told to go on.
struct Counting(mpsc::Sender<usize>, mpsc::Receiver<()>);

impl Sink for Counting {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        let events = records.iter().filter(|record| record.kind == Kind::Event).count();
        let _ = self.0.send(events);
        let _ = self.1.recv();
        Ok(())
    }
}

#[test]
fn what_the_writer_has_in_hand_counts_until_it_is_stored() {
    const FITS: u64 = 16;
    let event = || append(Record::new(Kind::Event, "flood", time(0)));
    let ((count, counted), (go, gone)) = (mpsc::channel(), mpsc::channel());
    let audit = Audit::builder().store(Counting(count, gone)).build().expect("a recorder");
    Context::new().recorder(&audit).scope(event);
    assert_eq!(counted.recv(), Ok(1), "it is in the writer's hands");
    let size = audit.health().waiting_bytes;
    assert!(size > 0, "and counts");
    drop(go);
    audit.close().expect("closes in order");

    let ((count, counted), (go, gone)) = (mpsc::channel(), mpsc::channel());
    let builder = Audit::builder().store(Counting(count, gone)).overflow(Overflow::Drop);
    let audit = builder.queue_bytes(FITS as usize * size).build().expect("a recorder");
    let context = Context::new().recorder(&audit);
    context.scope(event);
    assert_eq!(counted.recv(), Ok(1));
    context.scope(|| (0..2 * FITS).for_each(|_| event()));
    let counters = audit.counters();
    assert_eq!((counters.accepted, counters.dropped), (FITS, FITS + 1));
    assert_eq!(audit.health().waiting_bytes, FITS as usize * size);
    // One is stored, and so there is room for one, while a quarter of all is on its way.
    go.send(()).expect("the store waits");
    assert_eq!(counted.recv(), Ok(4));
    assert_eq!(audit.health().waiting_bytes, (FITS - 1) as usize * size);
    context.scope(|| (0..2).for_each(|_| event()));
    assert_eq!(audit.counters().accepted, FITS + 1);
    drop(go);
    assert_eq!(counted.iter().take(3).collect::<Vec<_>>(), [4; 3]);
    audit.flush().expect("the store takes all");
    assert_eq!(audit.health().waiting_bytes, 0);
}

#[test]
fn a_flood_at_a_store_that_hangs_waits_once_for_all_and_not_each_anew() {
    /// Does not come back from its first batch until the test lets go of it.
    struct Hanging(mpsc::Receiver<()>, Sums);
    impl Sink for Hanging {
        fn write(&mut self, _: &[Record]) -> Result<(), Error> {
            unreachable!("the writer uses `write_batch`")
        }

        fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
            let _ = self.0.recv();
            self.1.add(batch);
            Ok(())
        }
    }
    let ((go, gone), sums) = (mpsc::channel(), Sums::default());
    let limit = Duration::from_millis(1_500);
    let builder = Audit::builder().store(Hanging(gone, sums.clone())).queue_records(8);
    let audit = builder.overflow(Overflow::Block(limit)).build().expect("a recorder");
    let before = Utc::now();
    // Were it for each anew, this would take two days.
    flood(&Context::new().recorder(&audit), 500_000);
    assert!((Utc::now() - before).to_std().expect("forwards") >= limit, "they did wait");
    let health = audit.health();
    assert_eq!(health.status, Status::Losing, "calls were dropped");
    let counters = health.counters;
    assert!((8..=16).contains(&counters.accepted), "{counters:?}");
    assert_eq!(counters.accepted + counters.dropped, 500_000);

    drop(go);
    audit.close().expect("the store takes all");
    let sum = sums.0.lock().expect("nobody panics");
    assert_eq!((sum.records, sum.missing), (counters.accepted, counters.dropped));
}
