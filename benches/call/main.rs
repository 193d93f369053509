//! Measures the cost of one audited call for its caller, compared with peers in the same run.
//!
//! `cargo bench --bench call` prints all tables; `-- --quick` uses fewer processes. Each contender
//! runs in its own processes, because a second subscriber or recorder in a process would slow down
//! both. The contenders take turns. A process makes bursts of calls that fit the buffers. The
//! result is the median over processes of the median burst, divided by the calls per burst. The
//! work of background threads, such as writing to SQLite or to a log file, is not included.

mod bodies;
#[path = "../common/mod.rs"]
mod common;
mod measure;
mod ours;
mod peers;

use std::path::Path;
use std::process::Command;

use bodies::{DEFAULT_SHAPE, Shape};
use common::{Table, median};
use measure::{BURST, BURSTS};

/// A way to run a call. `run` gets a folder for files and returns the time of one call in ns.
struct Contender {
    name: &'static str,
    run: fn(&Path, Shape) -> f64,
}

const INSTRUMENTED: &str = "`#[instrument(ret, err)]`, JSON, non-blocking appender";
/// The layer gives each call a span.
const AUDITED: &str = "`#[audit_method]`, queued, SQLite, `audited::layer()` in a registry";

/// Without a subscriber and without a recorder.
const UNOBSERVED: &[Contender] = &[
    Contender {
        name: "`#[instrument(ret, err)]`, no subscriber",
        run: |_, shape| peers::unobserved(bodies::instrumented::call(shape), shape),
    },
    Contender {
        name: "`#[audit_method]`, no recorder",
        run: |_, shape| peers::unobserved(bodies::with_audit_method::call(shape), shape),
    },
    Contender {
        name: "bare function",
        run: |_, shape| peers::unobserved(bodies::bare::call(shape), shape),
    },
];

/// With a subscriber or a recorder.
const OBSERVED: &[Contender] = &[
    Contender { name: INSTRUMENTED, run: peers::json_lines },
    Contender { name: AUDITED, run: ours::to_sqlite },
    Contender {
        name: "`#[audit_method]`, queued, SQLite, subscriber of `audited::init`",
        run: ours::to_sqlite_as_init,
    },
    Contender {
        name: "`#[audit_method]`, queued, store that discards, `audited::layer()`",
        run: ours::to_null_store,
    },
    Contender {
        name: "`#[audit_method]`, queued, store that discards, no subscriber",
        run: ours::without_layer,
    },
    Contender { name: "`#[audit_method]`, action switched off", run: ours::switched_off },
    Contender { name: "`#[fastrace::trace]`, spans discarded", run: peers::fastrace },
    Contender {
        name: "manual code: channel and a thread that inserts batches, NORMAL",
        run: peers::channel,
    },
    Contender {
        name: "manual code: one `rusqlite` insert per call, NORMAL",
        // Slow enough that a tenth of a burst is sufficient.
        run: |folder, shape| peers::insert(folder, "NORMAL", shape, BURST / 10),
    },
];

/// Callers that wait until their record is stored.
const WAITING: &[Contender] = &[
    Contender {
        name: "manual code: one `rusqlite` insert per call behind a mutex, FULL",
        run: |folder, shape| peers::insert(folder, "FULL", shape, ours::WAITING_BURST),
    },
    Contender { name: "`#[audit_method]`, `durability = \"power\"`", run: ours::power },
    Contender {
        name: "manual code: one `rusqlite` insert per call behind a mutex, NORMAL",
        run: |folder, shape| peers::insert(folder, "NORMAL", shape, ours::WAITING_BURST),
    },
    Contender { name: "`#[audit_method]`, `durability = \"process\"`", run: ours::process },
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, name, folder, numbers @ ..] = &arguments[..]
        && mode == "--contender"
    {
        let mut contenders = [UNOBSERVED, OBSERVED, WAITING].into_iter().flatten();
        let contender = contenders.find(|contender| contender.name == name);
        let number = |n: usize| numbers[n].parse().expect("a number");
        let shape = Shape { arguments: number(0), events: number(1), threads: number(2) };
        println!("{}", (contender.expect("a contender").run)(Path::new(folder), shape));
        return;
    }
    let (many, few) = if common::is_quick() { (1, 1) } else { (7, 3) };
    common::print_heading("Cost of one call for its caller");
    println!(
        "A call of `fn(u64, u64, &str) -> Result<Receipt, Rejected>` with one event, by one thread, if \
         the row does not\nsay otherwise. Median of bursts of {} calls: {BURSTS} bursts per process; \
         {many} process(es) per row in the first two\ntables, {few} in the others.\n",
        common::thousands(f64::from(BURST))
    );
    compare("no subscriber, no recorder", UNOBSERVED, many);
    compare("with subscriber or recorder", OBSERVED, many);
    let shapes = |arguments| [0, 1, 4].map(|events| Shape { arguments, events, threads: 1 });
    let shapes = [0, 3, 8].map(shapes).concat();
    compare_shapes("arguments and events", &shapes, few, |shape| {
        format!("{} arguments, {} events", shape.arguments, shape.events)
    });
    let threads = [1, 2, 8, 32].map(|threads| Shape { threads, ..DEFAULT_SHAPE });
    compare_shapes("threads that call at once", &threads, few, |shape| shape.threads.to_string());
    compare_waiting(few);
}

/// Prints all contenders with the default shape. The first one is the reference.
fn compare(title: &str, table: &[Contender], processes: usize) {
    let runs: Vec<_> = table.iter().map(|contender| (contender.name, DEFAULT_SHAPE)).collect();
    let times = measure(&runs, processes);
    let mut printed = Table::new([title, "ns", "ratio to first row"]);
    for (contender, time) in table.iter().zip(&times) {
        let ratio = format!("{:.3}", time / times[0]);
        printed.row([contender.name.to_owned(), format!("{time:.1}"), ratio]);
    }
    printed.print();
}

/// Prints audited and instrumented calls of each shape.
fn compare_shapes(
    title: &str,
    shapes: &[Shape],
    processes: usize,
    name: impl Fn(&Shape) -> String,
) {
    let runs: Vec<_> =
        shapes.iter().flat_map(|&shape| [(AUDITED, shape), (INSTRUMENTED, shape)]).collect();
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

/// Prints callers that wait for their record, with one thread and with sixteen.
fn compare_waiting(processes: usize) {
    let shapes = [1, 16].map(|threads| Shape { threads, ..DEFAULT_SHAPE });
    let runs: Vec<_> =
        WAITING.iter().flat_map(|contender| shapes.map(|shape| (contender.name, shape))).collect();
    let times = measure(&runs, processes);
    let mut printed = Table::new(["caller waits for its record", "1 thread, µs", "16 threads, µs"]);
    for (contender, times) in WAITING.iter().zip(times.chunks(2)) {
        let [one, many] = [times[0], times[1]].map(|time| format!("{:.0}", time / 1_000.0));
        printed.row([contender.name.to_owned(), one, many]);
    }
    printed.print();
}

/// Runs the contenders in turn, each in its own processes, and returns the median of each.
fn measure(runs: &[(&str, Shape)], processes: usize) -> Vec<f64> {
    let mut times = vec![Vec::with_capacity(processes); runs.len()];
    for _ in 0..processes {
        for (&(name, shape), times) in runs.iter().zip(&mut times) {
            times.push(run_in_process(name, shape));
        }
    }
    times.iter_mut().map(|times| median(times)).collect()
}

fn run_in_process(name: &str, shape: Shape) -> f64 {
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
