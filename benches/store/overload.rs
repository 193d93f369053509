//! Measures dropped records and memory when callers are faster than the store.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use audited::{Audit, Context, Limits, Overflow, SqliteStore, audit_method};

use crate::common::{Table, memory_kib, thousands};

/// Threads that call without a pause.
const CALLERS: usize = 4;
const DURATION: Duration = Duration::from_secs(5);

#[audit_method(action = "import row")]
fn import(row: u64, text: &str) -> usize {
    std::hint::black_box(row);
    text.len()
}

/// The overflow policy and the size of the argument in bytes.
const OVERLOADS: [(&str, usize); 4] =
    [("Block", 100), ("Block", 32 * 1024), ("Drop", 100), ("Drop", 32 * 1024)];

/// Runs each overload in its own process, because peak memory cannot be reset.
pub(crate) fn run() {
    let mut table = Table::new([
        "4 threads that call without a pause; queue of 8,192 records and 64 MiB",
        "calls/s",
        "accepted",
        "dropped",
        "written",
        "peak memory, MiB",
    ]);
    for (policy, bytes) in OVERLOADS {
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args(["--overload", policy, "--bytes", &bytes.to_string()])
            .output()
            .expect("this program runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let numbers: Vec<f64> =
            text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let [seconds, accepted, dropped, written, kib] = numbers[..] else {
            panic!("{policy}: {text}{}", String::from_utf8_lossy(&output.stderr))
        };
        table.row([
            format!("`Overflow::{policy}`, argument of {} bytes", thousands(bytes as f64)),
            thousands((accepted + dropped) / seconds),
            thousands(accepted),
            thousands(dropped),
            thousands(written),
            format!("{:.0}", kib / 1024.0),
        ]);
    }
    table.print();
}

/// Runs one overload and prints its numbers for the parent process.
pub(crate) fn measure(folder: &Path, policy: &str, bytes: usize) {
    let overflow = match policy {
        "Drop" => Overflow::Drop,
        _ => Overflow::Block(Duration::from_secs(10)),
    };
    let store = SqliteStore::open(folder.join("audit.db")).expect("a store");
    let audit = Audit::builder().store(store).overflow(overflow);
    let audit = audit.limits(Limits::default().bytes(1 << 20)).build().expect("a recorder");
    let text = "x".repeat(bytes);
    let before = memory_kib("VmRSS").unwrap_or_default();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                let call = || (0..64).for_each(|row| _ = import(row, &text));
                while begin.elapsed() < DURATION {
                    Context::new().actor("importer").recorder(&audit).scope(call);
                }
            });
        }
    });
    let seconds = begin.elapsed().as_secs_f64();
    audit.flush().expect("the store accepts the records");
    let counters = audit.counters();
    let peak = memory_kib("VmHWM").unwrap_or_default().saturating_sub(before);
    println!("{seconds} {} {} {} {peak}", counters.accepted, counters.dropped, counters.written);
    audit.shutdown().expect("the store closes");
}
