//! Counts the instructions that the caller's thread executes for one call.
//!
//! `cargo bench --bench instructions` counts with valgrind's callgrind and prints a table. `--
//! --write` stores it in `benches/instructions.txt`, so that a review shows changes. `-- --check`
//! compares with that file, and fails if a count has grown by more than 3 % (30 % if the caller
//! waits for the writer thread). If valgrind is missing, or the file is from another compiler or
//! system, `--check` prints that it compares nothing, and succeeds.
//!
//! Each case runs in two processes, with 500 and with 2,500 calls. The difference is divided by the
//! additional calls, so that one-time costs cancel out. Only the caller's thread is counted. Unlike
//! times, these counts are the same on a busy machine. They do not include cache misses, contention
//! between threads, or the kernel.

mod cases;
#[path = "../common/mod.rs"]
mod common;

use std::path::Path;
use std::process::{Command, ExitCode};

use cases::CASES;

const FEW: u64 = 500;
const MANY: u64 = 2_500;
/// By how many percent a count may grow before it is a regression.
const TOLERANCE: f64 = 3.0;
/// The same for callers that wait for the writer thread. Their counts depend on when they are
/// woken.
const WAITING_TOLERANCE: f64 = 30.0;
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo adds `--bench`.
    let arguments: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| *argument != "--bench").collect();
    match arguments[..] {
        ["--case", name, calls] => {
            let (_, run) = CASES.iter().find(|(case, _)| *case == name).expect("a case");
            run(calls.parse().expect("a number of calls"));
            ExitCode::SUCCESS
        }
        [] => {
            print!("{}", table(&counts()));
            ExitCode::SUCCESS
        }
        ["--write"] => {
            std::fs::write(FILE, table(&counts())).expect("the file can be written");
            ExitCode::SUCCESS
        }
        ["--check"] => check(),
        _ => {
            eprintln!("usage: cargo bench --bench instructions [-- --write | --check]");
            ExitCode::FAILURE
        }
    }
}

/// Compares the counts with those in the file, if possible.
fn check() -> ExitCode {
    let stored = std::fs::read_to_string(FILE).expect("the file is in the repository");
    if stored.lines().next() != Some(&header()) {
        println!(
            "Nothing compared: benches/instructions.txt is not from this compiler and system."
        );
        println!("here: {}", header());
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("Nothing compared: valgrind is not installed.");
        return ExitCode::SUCCESS;
    }
    let mut has_failed = false;
    println!("instructions of the caller's thread for one call: stored -> counted now");
    for (name, now) in counts() {
        let Some(before) = stored_count(&stored, name) else {
            println!("{name}: {now}, but not in the file; run with --write");
            has_failed = true;
            continue;
        };
        let change = 100.0 * (now as f64 - before as f64) / before as f64;
        // A few instructions more are no regression, even if they exceed the tolerance.
        let waits = name.starts_with("durability") || name.starts_with("on_audit_failure");
        let tolerance = if waits { WAITING_TOLERANCE } else { TOLERANCE };
        let has_grown = change > tolerance && now > before + 5;
        has_failed |= has_grown;
        let verdict = if has_grown { "  REGRESSION" } else { "" };
        println!("{name:<42} {before:>7} -> {now:>7}  {change:>+6.1} %{verdict}");
    }
    if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn stored_count(stored: &str, name: &str) -> Option<u64> {
    let line = stored.lines().find(|line| line.strip_prefix(name).is_some_and(is_number))?;
    line[name.len()..].trim().parse().ok()
}

fn is_number(rest: &str) -> bool {
    rest.trim().parse::<u64>().is_ok()
}

fn table(counts: &[(&str, u64)]) -> String {
    let lines = counts.iter().map(|(name, count)| format!("{name:<42} {count:>7}\n"));
    format!("{}\n\n{}", header(), lines.collect::<String>())
}

/// Describes the compiler and the system, on which the counts depend.
fn header() -> String {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("--version").output().expect("the compiler is there");
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    format!("instructions of the caller's thread for one call; {version}, {system}")
}

fn counts() -> Vec<(&'static str, u64)> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let count = |name| {
        let total = |calls| instructions(folder.path(), name, calls);
        (total(MANY) - total(FEW)) / (MANY - FEW)
    };
    CASES.iter().map(|&(name, _)| (name, count(name))).collect()
}

/// Counts the instructions of the first thread in a process that makes this many calls.
fn instructions(folder: &Path, name: &str, calls: u64) -> u64 {
    let out = folder.join("callgrind.out");
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", "--separate-threads=yes"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().expect("this program"))
        .args(["--case", name, &calls.to_string()])
        .output()
        .expect("valgrind is installed");
    assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    // With a single thread, callgrind adds no number to the file name.
    let profile = std::fs::read_to_string(folder.join("callgrind.out-01"))
        .or_else(|_| std::fs::read_to_string(&out))
        .expect("callgrind writes a profile");
    let total = profile
        .lines()
        .find_map(|line| line.strip_prefix("summary: ").or_else(|| line.strip_prefix("totals: ")))
        .expect("the profile has a total");
    total.trim().parse().expect("a number")
}
