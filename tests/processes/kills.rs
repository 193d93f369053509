//! `kill -9`, at random moments and at named points: what was acknowledged is on the record, once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use audited::{Audit, SqliteStore};

use crate::parent::{self, Ended};
use crate::runner::tests;
use crate::trail::{Line, Trail};

tests![killed_at_any_moment, killed_at_each_point];

/// Threads of a child that make calls.
const THREADS: u64 = 3;
/// Kills that share a trail: what one leaves is what the next begins with.
const KILLS_A_TRAIL: u64 = 20;

/// The points of a store at which `child::staged` knows to die.
const POINTS: [&str; 6] =
    ["before begin", "after begin", "before write", "after write", "before close", "after close"];

fn number(name: &str) -> Option<u64> {
    Some(std::env::var(name).ok()?.parse().unwrap_or_else(|_| panic!("`{name}` is no number")))
}

fn killed_at_any_moment() {
    let kills = number("AUDITED_KILLS").unwrap_or(200);
    let seed = number("AUDITED_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{kills} kills; to repeat them: AUDITED_SEED={seed} AUDITED_KILLS={kills}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut done, mut totals) = (0, Totals::default());
    while done < kills {
        let folder = tempfile::tempdir().expect("a folder");
        let mut story = Story::new(folder.path().join("audit.db"));
        for _ in 0..KILLS_A_TRAIL.min(kills - done) {
            story.kill_at_random(&mut random);
            done += 1;
        }
        story.ends();
        totals.add(&story.totals);
    }
    println!("{totals:?}");
    assert!(totals.stored > 0, "no call was acknowledged, so this has shown nothing");
}

/// Every point, on its first, second and fifth arrival.
fn killed_at_each_point() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut story = Story::new(folder.path().join("audit.db"));
    for point in POINTS {
        for times in [1, 2, 5] {
            let is_write = point.ends_with("write");
            if times > 1 && !is_write {
                continue;
            }
            let calls = if is_write { u64::MAX } else { 20 };
            let settings = [
                ("AUDITED_TEST_POINT", point.to_owned()),
                ("AUDITED_TEST_TIMES", times.to_string()),
                ("AUDITED_TEST_CALLS", calls.to_string()),
            ];
            let ended = story.worker(1, &settings).wait().killed();
            story.was_killed(&ended, true);
        }
    }
    story.ends();
}

/// One trail, and what all the processes that wrote to it have said.
struct Story {
    path: PathBuf,
    run: u64,
    /// By `run-thread`, the number of the last call that is promised to stay.
    stored: BTreeMap<String, u64>,
    returned: BTreeSet<String>,
    /// Calls that had been announced.
    began: BTreeSet<String>,
    totals: Totals,
}

#[derive(Debug, Default)]
struct Totals {
    returned: u64,
    stored: u64,
    records: u64,
    unknown: u64,
    lost: u64,
    told_lost: u64,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.returned += other.returned;
        self.stored += other.stored;
        self.records += other.records;
        self.unknown += other.unknown;
        self.lost += other.lost;
        self.told_lost += other.told_lost;
    }
}

impl Story {
    fn new(path: PathBuf) -> Self {
        let (stored, returned, began) = Default::default();
        Self { path, run: 0, stored, returned, began, totals: Totals::default() }
    }

    /// A new process at work.
    fn worker(&mut self, seed: u64, settings: &[(&str, String)]) -> parent::Child {
        self.run += 1;
        let mut all = vec![
            ("AUDITED_TEST_RUN", self.run.to_string()),
            ("AUDITED_TEST_SEED", seed.to_string()),
        ];
        all.extend_from_slice(settings);
        parent::start("worker", &self.path, &all)
    }

    fn kill_at_random(&mut self, random: &mut fastrand::Rng) {
        let mut child = self.worker(random.u64(..), &[]);
        // Half of them while they work, the others while they begin as well.
        child.hears(if random.bool() { "ready" } else { "started" });
        thread::sleep(Duration::from_micros(random.u64(..30_000)));
        let ended = child.kill().killed();
        self.was_killed(&ended, random.bool());
    }

    /// Takes up what a killed process had said, and checks the trail: at once, or after a next start.
    fn was_killed(&mut self, ended: &Ended, then_restart: bool) {
        self.returned.extend(ended.after("returned").map(str::to_owned));
        self.began.extend(ended.after("began").map(str::to_owned));
        for key in ended.after("stored") {
            let (thread, number) = part(key);
            let latest = self.stored.entry(thread.to_owned()).or_default();
            *latest = number.max(*latest);
        }
        if !then_restart {
            self.check();
            return;
        }
        self.restart();
        let records = self.check();
        self.check_began(&records);
        self.check_loss(ended, &records);
    }

    /// The next start of a program, in this process.
    fn restart(&self) {
        let store = SqliteStore::open(&self.path).expect("the trail opens");
        let audit = Audit::builder().store(store).build().expect("a recorder");
        audit.close().expect("it closes in order");
    }

    /// Asserts what must hold at any time: what was promised is there, each call once, and in order.
    fn check(&self) -> Records {
        let mut records = Records::default();
        if !self.path.exists() {
            assert!(self.stored.is_empty());
            return records;
        }
        for Line { action, key, outcome } in Trail::open(&self.path).lines() {
            let Some(key) = key else {
                assert_eq!(action, "records missing");
                continue;
            };
            match &*outcome {
                "success" => {
                    let (thread, number) = part(&key);
                    records.ended.entry(thread.to_owned()).or_default().push(number);
                }
                "unknown" if action == "guarded" => records.unknown.push(key),
                _ => panic!("`{action}` of {key} has the outcome {outcome}"),
            }
        }
        for (thread, numbers) in &records.ended {
            // Each once, in their order, and none left out before one that is there.
            let expected: Vec<_> = (0..numbers.len() as u64).collect();
            assert_eq!(*numbers, expected, "thread {thread}");
        }
        for (thread, last) in &self.stored {
            let there = records.count(thread);
            assert!(
                there > *last,
                "{thread}: up to {last} was promised, the first {there} are there"
            );
        }
        records
    }

    /// Asserts that all that was announced has come to its end, once; returns how many ends are not known.
    fn check_began(&self, records: &Records) -> u64 {
        let unknown: BTreeSet<_> = records.unknown.iter().collect();
        assert_eq!(unknown.len(), records.unknown.len(), "twice: {:?}", records.unknown);
        for key in &unknown {
            assert!(!records.has(key), "{key} ended, and is unknown as well");
        }
        for key in &self.began {
            assert!(records.has(key) || unknown.contains(key), "{key} began, and is not there");
        }
        unknown.len() as u64
    }

    /// Asserts that the trail tells how many the killed process has taken along: all that had returned and are not
    /// there; beside them, of each thread, at most the one call that was about to return.
    fn check_loss(&mut self, ended: &Ended, records: &Records) {
        let lost = ended.after("returned").filter(|key| !records.has(key)).count() as u64;
        let told: u64 = Trail::open(&self.path)
            .gaps()
            .iter()
            .filter(|(gap, _)| gap["pid"] == ended.pid)
            .map(|(gap, _)| gap["records_at_most"].as_u64().expect("a number"))
            .sum();
        assert!(lost <= told, "{lost} are lost, and the trail tells of {told} at most");
        if cfg!(target_os = "linux") {
            assert!(told <= lost + THREADS, "{lost} are lost, and the trail tells of {told}");
        }
        self.totals.lost += lost;
        self.totals.told_lost += told;
    }

    fn ends(&mut self) {
        self.restart();
        let records = self.check();
        self.totals.unknown = self.check_began(&records);
        self.totals.records = records.ended.values().map(|numbers| numbers.len() as u64).sum();
        self.totals.returned = self.returned.len() as u64;
        self.totals.stored = self.stored.values().map(|last| last + 1).sum();
    }
}

/// The calls on record.
#[derive(Default)]
struct Records {
    /// By `run-thread`, the numbers of those that have ended.
    ended: BTreeMap<String, Vec<u64>>,
    /// The keys of those whose end is not known.
    unknown: Vec<String>,
}

impl Records {
    fn count(&self, thread: &str) -> u64 {
        self.ended.get(thread).map_or(0, Vec::len) as u64
    }

    /// Whether the call has ended. They are there from the first on, without a gap.
    fn has(&self, key: &str) -> bool {
        let (thread, number) = part(key);
        number < self.count(thread)
    }
}

/// Thread and number of a call.
fn part(key: &str) -> (&str, u64) {
    let (thread, number) = key.rsplit_once('-').expect("a key");
    (thread, number.parse().expect("a number"))
}
