//! What one audited call costs its caller, side by side with peers, in one run.
//!
//! `cargo bench --bench call` prints the table that the README carries. Each contender runs in processes of
//! its own, in turn with the others, for a program has one subscriber and one recorder, and a second one in
//! the same process would slow down both. A process makes bursts of calls that fit the buffers, on one
//! thread; the number is the median burst of the median process, divided by the calls of a burst. What a
//! background thread does meanwhile (writing SQLite, writing a log file) runs on the second core and is not
//! counted, as it is not when the program runs.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use audited::{Audit, AuditBuilder, Context, Error, Record, Sink, SqliteStore, audit_method};
use tracing_subscriber::prelude::*;

/// Calls of one burst: fewer than the queue holds.
const BURST: u32 = 4_000;
/// Bursts of one process.
const BURSTS: usize = 21;
/// Processes of each contender.
const PROCESSES: usize = 7;

#[derive(Debug, serde::Serialize)]
struct Receipt {
    number: u64,
    balance: u64,
}

#[derive(Debug)]
struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

/// The same body under every attribute: three arguments, a `Result`, one event.
macro_rules! transfer {
    ($(#[$attr:meta])* $name:ident) => {
        $(#[$attr])*
        #[inline(never)]
        fn $name(from: u64, to: u64, purpose: &str) -> Result<Receipt, Refused> {
            tracing::info!(to, "booked");
            if from == to {
                return Err(Refused);
            }
            Ok(Receipt { number: from ^ to, balance: from + purpose.len() as u64 })
        }
    };
}

transfer!(bare);
transfer!(
    #[tracing::instrument(ret, err)]
    instrumented
);
transfer!(
    #[audit_method(action = "transfer funds")]
    audited_call
);
transfer!(
    #[audit_method(action = "transfer funds (off)", capture = "none")]
    audited_off
);

type Call = fn(u64, u64, &str) -> Result<Receipt, Refused>;

/// A way to run the call; given the folder for its files, it gives the time of one call in nanoseconds.
struct Contender {
    name: &'static str,
    run: fn(&Path) -> f64,
}

/// Nothing listens: no subscriber, no recorder.
const NOBODY: &[Contender] = &[
    Contender { name: "`#[instrument(ret, err)]`, no subscriber", run: |_| silent(instrumented) },
    Contender { name: "`#[audit_method]`, no recorder", run: |_| silent(audited_call) },
    Contender { name: "bare function", run: |_| silent(bare) },
];

/// Everything is recorded.
const LISTENING: &[Contender] = &[
    Contender { name: "`#[instrument(ret, err)]`, JSON, non-blocking appender", run: json_lines },
    Contender {
        name: "`#[audit_method]`, queued, to SQLite",
        run: |folder| {
            let store = SqliteStore::open(folder.join("audit.db")).expect("a store");
            recorded(Audit::builder().store(store), true, audited_call)
        },
    },
    Contender {
        name: "`#[audit_method]`, queued, to a store that does nothing",
        run: |_| recorded(Audit::builder().store(Null), true, audited_call),
    },
    Contender {
        name: "`#[audit_method]`, queued, without a tracing layer",
        run: |_| recorded(Audit::builder().store(Null), false, audited_call),
    },
    Contender {
        name: "`#[audit_method]`, action switched off",
        run: |_| recorded(Audit::builder().store(Null), true, audited_off),
    },
    Contender { name: "one `rusqlite` insert a call by hand, NORMAL", run: by_hand },
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, name, folder] = &arguments[..]
        && mode == "--contender"
    {
        let contender = NOBODY.iter().chain(LISTENING).find(|contender| contender.name == name);
        println!("{}", (contender.expect("is in a table").run)(Path::new(folder)));
        return;
    }
    println!("calls of fn(u64, u64, &str) -> Result<Receipt, Refused> with one event, one thread");
    println!("{PROCESSES} processes of {BURSTS} bursts of {BURST} calls, median of medians");
    for table in [NOBODY, LISTENING] {
        println!();
        print(&measure(table));
    }
}

/// Runs every contender in turn, in processes of its own.
fn measure(table: &[Contender]) -> Vec<(&'static str, f64)> {
    let mut times = vec![Vec::with_capacity(PROCESSES); table.len()];
    for _ in 0..PROCESSES {
        for (contender, times) in table.iter().zip(&mut times) {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let output = Command::new(std::env::current_exe().expect("this program"))
                .args(["--contender", contender.name])
                .arg(folder.path())
                .output()
                .expect("this program runs");
            let text = String::from_utf8_lossy(&output.stdout);
            times.push(text.trim().parse().unwrap_or_else(|_| {
                panic!("{}: {text}{}", contender.name, String::from_utf8_lossy(&output.stderr))
            }));
        }
    }
    table.iter().zip(times).map(|(contender, times)| (contender.name, median(times))).collect()
}

fn print(results: &[(&str, f64)]) {
    let unit = results[0].1;
    println!("| {:<56} | {:>8} | {:>6} |", "per call", "ns", "ratio");
    println!("|{:-<58}|{:->9}:|{:->7}:|", "", "", "");
    for (name, time) in results {
        println!("| {name:<56} | {time:>8.1} | {:>6.3} |", time / unit);
    }
}

fn silent(call: Call) -> f64 {
    // Bursts of so little are longer, or the clock would be what is measured.
    bursts(|| burst(call, 50), || ())
}

fn json_lines(folder: &Path) -> f64 {
    let log = std::fs::File::create(folder.join("log.json")).expect("a log file");
    let (appender, _appending) = tracing_appender::non_blocking::NonBlockingBuilder::default()
        .lossy(false)
        .finish(std::io::BufWriter::new(log));
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().json().with_writer(appender))
        .init();
    // The appender has no flush; a burst fits its buffer, and is written long before the next.
    bursts(|| burst(instrumented, 1), || std::thread::sleep(Duration::from_millis(30)))
}

fn recorded(builder: AuditBuilder, with_layer: bool, call: Call) -> f64 {
    if with_layer {
        tracing_subscriber::registry().with(audited::layer()).init();
    }
    let audit = builder.install().expect("a recorder");
    let time = Context::new()
        .actor("alice")
        .scope(|| bursts(|| burst(call, 1), || audit.flush().expect("the store takes them")));
    assert_eq!(audit.counters().dropped, 0, "nothing was dropped");
    time
}

/// The median time of one call; `rest` lets background threads finish between bursts.
fn bursts(mut run: impl FnMut() -> Duration, rest: impl Fn()) -> f64 {
    let times = (0..=BURSTS).map(|_| {
        let time = run();
        rest();
        time.as_nanos() as f64 / f64::from(BURST)
    });
    // The first burst warms up caches and allocators.
    median(times.skip(1).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The time of a burst of calls; with `repeat`, of the mean of several.
fn burst(call: Call, repeat: u32) -> Duration {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let first = NUMBER.fetch_add(u64::from(BURST * repeat), Ordering::Relaxed);
    let begin = Instant::now();
    for number in first..first + u64::from(BURST * repeat) {
        black_box(call(black_box(number), black_box(7), black_box("invoice 4711"))).ok();
    }
    begin.elapsed() / repeat
}

/// A store that does nothing: what is left is the caller's own cost.
struct Null;

impl Sink for Null {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        Ok(())
    }
}

/// What many programs do: one insert a call, on the caller's thread.
fn by_hand(folder: &Path) -> f64 {
    let connection = rusqlite::Connection::open(folder.join("by_hand.db")).expect("a database");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE audit (at TEXT, action TEXT, actor TEXT, input TEXT, output TEXT);
             CREATE INDEX by_actor ON audit (actor);",
        )
        .expect("a table");
    let insert = |number: u64| {
        let receipt = bare(black_box(number), 7_000_000, "invoice 4711").expect("differs");
        connection.prepare_cached("INSERT INTO audit VALUES (datetime(), ?1, ?2, ?3, ?4)")?.execute(
            (
                "transfer funds",
                "alice",
                serde_json::json!({"from": number, "to": 7, "purpose": "invoice 4711"}).to_string(),
                serde_json::to_string(&receipt).expect("plain data"),
            ),
        )
    };
    let tenth = || {
        let begin = Instant::now();
        (0..u64::from(BURST / 10)).for_each(|number| _ = insert(number).expect("a row"));
        begin.elapsed() * 10
    };
    // A tenth of a burst is enough for something this slow.
    bursts(tenth, || ())
}
