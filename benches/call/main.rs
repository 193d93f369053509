//! What one audited call costs its caller, side by side with peers, in one run.
//!
//! `cargo bench --bench call` prints the tables that the README carries; `-- --quick` with fewer processes. Each
//! contender runs in processes of its own, in turn with the others, for a program has one subscriber and one
//! recorder, and a second one in the same process would slow down both. A process makes bursts of calls that fit the
//! buffers; the number is the median burst of the median process, divided by the calls of a burst. What a background
//! thread does meanwhile (writing SQLite, writing a log file) runs on another core and is not counted, as it is not
//! when the program runs.

mod bodies;
#[path = "../common/mod.rs"]
mod common;
mod measure;
mod ours;
mod peers;

use std::path::Path;
use std::process::Command;

use bodies::{Shape, USUAL};
use common::{Table, median};
use measure::{BURST, BURSTS};

/// A way to run a call; given the folder for its files, it gives the time of one call in nanoseconds.
struct Contender {
    name: &'static str,
    run: fn(&Path, Shape) -> f64,
}

const INSTRUMENT: &str = "`#[instrument(ret, err)]`, JSON, non-blocking appender";
/// With `audited::layer()` in the program's subscriber, which gives each call a span.
const OURS: &str = "`#[audit_method]`, queued, to SQLite, with `audited::layer()`";

/// Nothing listens: no subscriber, no recorder.
const NOBODY: &[Contender] = &[
    Contender {
        name: "`#[instrument(ret, err)]`, no subscriber",
        run: |_, shape| peers::silent(bodies::instrumented::call(shape), shape),
    },
    Contender {
        name: "`#[audit_method]`, no recorder",
        run: |_, shape| peers::silent(bodies::recorded::call(shape), shape),
    },
    Contender {
        name: "bare function",
        run: |_, shape| peers::silent(bodies::bare::call(shape), shape),
    },
];

/// Everything is recorded.
const LISTENING: &[Contender] = &[
    Contender { name: INSTRUMENT, run: peers::json_lines },
    Contender { name: OURS, run: ours::to_sqlite },
    Contender {
        name: "`#[audit_method]`, queued, to SQLite, with the subscriber that `init` sets",
        run: ours::to_sqlite_as_init,
    },
    Contender {
        name: "`#[audit_method]`, queued, to a store that does nothing",
        run: ours::to_nothing,
    },
    Contender {
        name: "`#[audit_method]`, queued, without a tracing layer",
        run: ours::without_layer,
    },
    Contender { name: "`#[audit_method]`, action switched off", run: ours::switched_off },
    Contender { name: "`#[fastrace::trace]`, spans thrown away", run: peers::fastrace },
    Contender { name: "by hand: a channel, and a thread with batches", run: peers::channel },
    Contender {
        name: "by hand: one `rusqlite` insert a call, NORMAL",
        // A tenth of a burst is enough for something this slow.
        run: |folder, shape| peers::insert(folder, "NORMAL", shape, BURST / 10),
    },
];

/// Calls that wait.
const WAITING: &[Contender] = &[
    Contender {
        name: BY_HAND_FULL,
        run: |folder, shape| peers::insert(folder, "FULL", shape, ours::WAITING),
    },
    Contender { name: "`#[audit_method]`, `power`", run: ours::power },
    Contender {
        name: "by hand: one `rusqlite` insert a call behind a mutex, NORMAL, waits",
        run: |folder, shape| peers::insert(folder, "NORMAL", shape, ours::WAITING),
    },
    Contender { name: "`#[audit_method]`, `process`", run: ours::process },
];
const BY_HAND_FULL: &str = "by hand: one `rusqlite` insert a call behind a mutex, FULL, waits";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, name, folder, numbers @ ..] = &arguments[..]
        && mode == "--contender"
    {
        let mut contenders = [NOBODY, LISTENING, WAITING].into_iter().flatten();
        let contender = contenders.find(|contender| contender.name == name);
        let number = |n: usize| numbers[n].parse().expect("a number");
        let shape = Shape { arguments: number(0), events: number(1), threads: number(2) };
        println!("{}", (contender.expect("is in a table").run)(Path::new(folder), shape));
        return;
    }
    let (many, few) = if common::is_quick() { (1, 1) } else { (7, 3) };
    common::print_heading("One call");
    println!(
        "Unless it says otherwise: fn(u64, u64, &str) -> Result<Receipt, Refused> with one event, one thread; \
         the median of {many} (tables of shapes: {few}) processes, of {BURSTS} bursts of {BURST} calls each.\n"
    );
    one_shape("nothing listens", NOBODY, many);
    one_shape("all is recorded", LISTENING, many);
    let shapes = |arguments| [0, 1, 4].map(|events| Shape { arguments, events, threads: 1 });
    let shapes = [0, 3, 8].map(shapes).concat();
    by_shape("arguments, events", &shapes, few, |shape| {
        format!("{} arguments, {} events", shape.arguments, shape.events)
    });
    let threads = [1, 2, 8, 32].map(|threads| Shape { threads, ..USUAL });
    by_shape("threads that call at once", &threads, few, |shape| shape.threads.to_string());
    waiting(few);
}

/// Each contender of a table with the usual shape; the first is the unit.
fn one_shape(title: &str, table: &[Contender], processes: usize) {
    let runs: Vec<_> = table.iter().map(|contender| (contender.name, USUAL)).collect();
    let times = measure(&runs, processes);
    let mut printed = Table::new([title, "ns", "ratio"]);
    for (contender, time) in table.iter().zip(&times) {
        let ratio = format!("{:.3}", time / times[0]);
        printed.row([contender.name.to_owned(), format!("{time:.1}"), ratio]);
    }
    printed.print();
}

/// Audited and instrumented calls of each shape.
fn by_shape(title: &str, shapes: &[Shape], processes: usize, name: impl Fn(&Shape) -> String) {
    let runs: Vec<_> =
        shapes.iter().flat_map(|&shape| [(OURS, shape), (INSTRUMENT, shape)]).collect();
    let times = measure(&runs, processes);
    let mut printed = Table::new([title, "audited, ns", "instrumented, ns", "ratio"]);
    for (shape, times) in shapes.iter().zip(times.chunks(2)) {
        printed.row([
            name(shape),
            format!("{:.0}", times[0]),
            format!("{:.0}", times[1]),
            format!("{:.3}", times[0] / times[1]),
        ]);
    }
    printed.print();
}

/// Calls that wait for the disk, by one thread and by sixteen at once.
fn waiting(processes: usize) {
    let shapes = [1, 16].map(|threads| Shape { threads, ..USUAL });
    let runs: Vec<_> =
        WAITING.iter().flat_map(|contender| shapes.map(|shape| (contender.name, shape))).collect();
    let times = measure(&runs, processes);
    let mut printed = Table::new(["until the record is safe", "1 thread, µs", "16 threads, µs"]);
    for (contender, times) in WAITING.iter().zip(times.chunks(2)) {
        let [one, many] = [times[0], times[1]].map(|time| format!("{:.0}", time / 1_000.0));
        printed.row([contender.name.to_owned(), one, many]);
    }
    printed.print();
}

/// Runs each contender in turn, in processes of its own; the median of each.
fn measure(runs: &[(&str, Shape)], processes: usize) -> Vec<f64> {
    let mut times = vec![Vec::with_capacity(processes); runs.len()];
    for _ in 0..processes {
        for (&(name, shape), times) in runs.iter().zip(&mut times) {
            times.push(run_apart(name, shape));
        }
    }
    times.iter_mut().map(|times| median(times)).collect()
}

fn run_apart(name: &str, shape: Shape) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--contender", name])
        .arg(folder.path())
        .args([shape.arguments, shape.events, shape.threads].map(|number| number.to_string()))
        .output()
        .expect("this program runs");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("{name}: {text}{}", String::from_utf8_lossy(&output.stderr)))
}
