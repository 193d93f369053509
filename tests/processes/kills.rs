//! `kill -9` at random moments and at named points: every acknowledged record is stored exactly
//! once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::parent::{self, Ended};
use crate::runner::tests;
use crate::trail::{Line, Trail, restart};

tests![
    a_process_killed_at_random_moments_keeps_acknowledged_records_and_counts_losses,
    a_process_killed_at_each_crash_point_keeps_acknowledged_records_and_counts_losses,
];

/// Threads of a child that make calls.
const THREADS: u64 = 3;
/// The number of kills that share a trail. Each process starts with what the previous one left.
const KILLS_A_TRAIL: u64 = 20;

/// The points of a store at which `child::crash_points` can kill the process.
const POINTS: [&str; 6] =
    ["before begin", "after begin", "before write", "after write", "before close", "after close"];

fn number(name: &str) -> Option<u64> {
    Some(std::env::var(name).ok()?.parse().unwrap_or_else(|_| panic!("`{name}` is no number")))
}

fn a_process_killed_at_random_moments_keeps_acknowledged_records_and_counts_losses() {
    let kills = number("AUDITED_KILLS").unwrap_or(200);
    let seed = number("AUDITED_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{kills} kills; repeat them with AUDITED_SEED={seed} AUDITED_KILLS={kills}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut done, mut totals) = (0, Totals::default());
    while done < kills {
        let folder = tempfile::tempdir().expect("a folder");
        let mut checker = Checker::new(folder.path().join("audit.db"));
        for _ in 0..KILLS_A_TRAIL.min(kills - done) {
            checker.kill_at_random(&mut random);
            done += 1;
        }
        checker.finish();
        totals.add(&checker.totals);
    }
    println!("{totals:?}");
    assert!(totals.acknowledged > 0, "no call was acknowledged, so the test proves nothing");
}

/// Kills a process at the first, second and fifth arrival at every point.
fn a_process_killed_at_each_crash_point_keeps_acknowledged_records_and_counts_losses() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut checker = Checker::new(folder.path().join("audit.db"));
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
            let ended = checker.start_worker(1, &settings).wait().assert_killed();
            checker.after_kill(&ended, true);
        }
    }
    checker.finish();
}

/// One trail, and everything that its writing processes reported before they were killed.
struct Checker {
    path: PathBuf,
    run: u64,
    /// By `run-thread`, the number of the last call whose record was acknowledged.
    acknowledged: BTreeMap<String, u64>,
    returned: BTreeSet<String>,
    /// Calls with a stored intent whose body had started.
    began: BTreeSet<String>,
    totals: Totals,
}

#[derive(Debug, Default)]
struct Totals {
    returned: u64,
    acknowledged: u64,
    records: u64,
    unknown: u64,
    lost: u64,
    reported_lost: u64,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.returned += other.returned;
        self.acknowledged += other.acknowledged;
        self.records += other.records;
        self.unknown += other.unknown;
        self.lost += other.lost;
        self.reported_lost += other.reported_lost;
    }
}

impl Checker {
    fn new(path: PathBuf) -> Self {
        let (acknowledged, returned, began) = Default::default();
        Self { path, run: 0, acknowledged, returned, began, totals: Totals::default() }
    }

    /// Starts a process that makes calls.
    fn start_worker(&mut self, seed: u64, settings: &[(&str, String)]) -> parent::Child {
        self.run += 1;
        let mut all = vec![
            ("AUDITED_TEST_RUN", self.run.to_string()),
            ("AUDITED_TEST_SEED", seed.to_string()),
        ];
        all.extend_from_slice(settings);
        parent::start("worker", &self.path, &all)
    }

    fn kill_at_random(&mut self, random: &mut fastrand::Rng) {
        let mut child = self.start_worker(random.u64(..), &[]);
        // Half of them are killed at work, the others possibly while the recorder is built.
        child.wait_for_line(if random.bool() { "ready" } else { "started" });
        thread::sleep(Duration::from_micros(random.u64(..30_000)));
        let ended = child.kill().assert_killed();
        self.after_kill(&ended, random.bool());
    }

    /// Collects the reports of a killed process. Checks the trail at once, or after the next start.
    fn after_kill(&mut self, ended: &Ended, then_restart: bool) {
        self.returned.extend(ended.texts_after("returned").map(str::to_owned));
        self.began.extend(ended.texts_after("began").map(str::to_owned));
        for key in ended.texts_after("stored") {
            let (thread, number) = split_key(key);
            let latest = self.acknowledged.entry(thread.to_owned()).or_default();
            *latest = number.max(*latest);
        }
        if !then_restart {
            self.check();
            return;
        }
        restart(&self.path);
        let records = self.check();
        self.check_began(&records);
        self.check_losses(ended, &records);
    }

    /// Asserts what must hold at any time: acknowledged records are stored, each call once and in
    /// order.
    fn check(&self) -> Records {
        let mut records = Records::default();
        if !self.path.exists() {
            assert!(self.acknowledged.is_empty());
            return records;
        }
        for Line { action, key, outcome } in Trail::open(&self.path).lines() {
            let Some(key) = key else {
                assert_eq!(action, "records missing");
                continue;
            };
            match &*outcome {
                "success" => {
                    let (thread, number) = split_key(&key);
                    records.ended.entry(thread.to_owned()).or_default().push(number);
                }
                "unknown" if action == "guarded" => records.unknown.push(key),
                _ => panic!("`{action}` of {key} has the outcome {outcome}"),
            }
        }
        for (thread, numbers) in &records.ended {
            // Each call once and in order. No call is missing before one that is stored.
            let expected: Vec<_> = (0..numbers.len() as u64).collect();
            assert_eq!(*numbers, expected, "thread {thread}");
        }
        for (thread, last) in &self.acknowledged {
            let stored = records.count(thread);
            assert!(
                stored > *last,
                "{thread}: acknowledged up to {last}, but only the first {stored} are stored"
            );
        }
        records
    }

    /// Asserts that every call with a stored intent has ended, once. Returns how many have an
    /// unknown outcome.
    fn check_began(&self, records: &Records) -> u64 {
        let unknown: BTreeSet<_> = records.unknown.iter().collect();
        assert_eq!(unknown.len(), records.unknown.len(), "duplicates: {:?}", records.unknown);
        for key in &unknown {
            assert!(!records.has(key), "{key} ended, and is also recorded as unknown");
        }
        for key in &self.began {
            assert!(records.has(key) || unknown.contains(key), "{key} began, and has no record");
        }
        unknown.len() as u64
    }

    /// Asserts that the trail reports the losses of the killed process: every call that had
    /// returned and is not stored, and at most one more call per thread, which was about to return.
    fn check_losses(&mut self, ended: &Ended, records: &Records) {
        let lost = ended.texts_after("returned").filter(|key| !records.has(key)).count() as u64;
        let reported: u64 = Trail::open(&self.path)
            .gaps()
            .iter()
            .filter(|(gap, _)| gap["pid"] == ended.pid)
            .inspect(|(gap, _)| assert_eq!(gap["at_most"], true, "{gap}"))
            .map(|(gap, _)| gap["records"].as_u64().expect("a number"))
            .sum();
        assert!(lost <= reported, "{lost} are lost, but the trail reports at most {reported}");
        if cfg!(target_os = "linux") {
            assert!(
                reported <= lost + THREADS,
                "{lost} are lost, but the trail reports {reported}"
            );
        }
        self.totals.lost += lost;
        self.totals.reported_lost += reported;
    }

    /// Checks the trail after a last start, and computes the totals.
    fn finish(&mut self) {
        restart(&self.path);
        let records = self.check();
        self.totals.unknown = self.check_began(&records);
        self.totals.records = records.ended.values().map(|numbers| numbers.len() as u64).sum();
        self.totals.returned = self.returned.len() as u64;
        self.totals.acknowledged = self.acknowledged.values().map(|last| last + 1).sum();
    }
}

/// The recorded calls.
#[derive(Default)]
struct Records {
    /// By `run-thread`, the numbers of the calls that have ended.
    ended: BTreeMap<String, Vec<u64>>,
    /// The keys of the calls whose outcome is unknown.
    unknown: Vec<String>,
}

impl Records {
    fn count(&self, thread: &str) -> u64 {
        self.ended.get(thread).map_or(0, Vec::len) as u64
    }

    /// Whether the end of the call is recorded. The calls of a thread are stored without gaps.
    fn has(&self, key: &str) -> bool {
        let (thread, number) = split_key(key);
        number < self.count(thread)
    }
}

/// The thread and the number of a call.
fn split_key(key: &str) -> (&str, u64) {
    let (thread, number) = key.rsplit_once('-').expect("a key");
    (thread, number.parse().expect("a number"))
}
