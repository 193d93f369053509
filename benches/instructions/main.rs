//! How many instructions the caller's thread runs for one call. `benches/instructions.txt` keeps the counts, so that
//! a change of them shows in review.
//!
//! `cargo bench --bench instructions` counts with valgrind's callgrind and prints the table. With `-- --write` it
//! goes into the file; with `-- --check` it is compared with the file, and a count that has grown by more than
//! 3 % fails (30 % for calls that wait for the writer). Where valgrind is missing, or the file is from another compiler or machine, nothing is compared, and
//! that is said.
//!
//! A case runs in two processes, with few and with many calls, and the difference is divided by the calls: what is
//! done once cancels out. Only the thread that calls is counted. Unlike times, these numbers are the same on a busy
//! machine. They say nothing of caches, of threads that get in each other's way, or of the kernel.

mod cases;

use std::path::Path;
use std::process::{Command, ExitCode};

use cases::CASES;

const FEW: u64 = 500;
const MANY: u64 = 2_500;
/// A count may grow by so much, in percent, before it counts as a regression; that of a case that waits for the
/// writer depends on when it is woken.
const TOLERANCE: f64 = 3.0;
const TOLERANCE_OF_WAITS: f64 = 30.0;
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo adds `--bench`.
    let words: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|word| *word != "--bench").collect();
    match words[..] {
        ["--case", name, calls] => {
            let case = CASES.iter().find(|case| case.name == name).expect("is in the table");
            (case.run)(calls.parse().expect("a number of calls"));
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

/// Compares with the file, if that can be done.
fn check() -> ExitCode {
    let kept = std::fs::read_to_string(FILE).expect("the file is in the repository");
    if kept.lines().next() != Some(&head()) {
        println!("not compared: the counts in the file are not of {}", head());
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("not compared: valgrind is not installed");
        return ExitCode::SUCCESS;
    }
    let mut is_worse = false;
    for (name, now) in counts() {
        let Some(before) = kept_count(&kept, name) else {
            println!("{name}: {now}, not in the file yet: run with --write");
            is_worse = true;
            continue;
        };
        let change = 100.0 * (now as f64 - before as f64) / before as f64;
        // Of a few dozen instructions, one is more than the tolerance.
        let waits = name.starts_with("durability") || name.starts_with("on_audit_failure");
        let tolerance = if waits { TOLERANCE_OF_WAITS } else { TOLERANCE };
        let has_grown = change > tolerance && now > before + 5;
        is_worse |= has_grown;
        let judged = if has_grown { "  more than the tolerance" } else { "" };
        println!("{name:<42} {before:>7} -> {now:>7}  {change:>+6.1} %{judged}");
    }
    if is_worse { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn kept_count(kept: &str, name: &str) -> Option<u64> {
    let line = kept.lines().find(|line| line.strip_prefix(name).is_some_and(is_number))?;
    line[name.len()..].trim().parse().ok()
}

fn is_number(rest: &str) -> bool {
    rest.trim().parse::<u64>().is_ok()
}

fn table(counts: &[(&str, u64)]) -> String {
    let lines = counts.iter().map(|(name, count)| format!("{name:<42} {count:>7}\n"));
    format!("{}\n\n{}", head(), lines.collect::<String>())
}

/// What the counts depend on beside the program.
fn head() -> String {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("--version").output().expect("the compiler is there");
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    format!("instructions of the caller's thread for one call; {version}, {system}")
}

fn counts() -> Vec<(&'static str, u64)> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let count = |name| {
        let of = |calls| instructions(folder.path(), name, calls);
        (of(MANY) - of(FEW)) / (MANY - FEW)
    };
    CASES.iter().map(|case| (case.name, count(case.name))).collect()
}

/// What the first thread of a process runs that makes so many calls.
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
    // Where there is one thread only, callgrind numbers no files.
    let profile = std::fs::read_to_string(folder.join("callgrind.out-01"))
        .or_else(|_| std::fs::read_to_string(&out))
        .expect("callgrind has written its profile");
    let total = profile
        .lines()
        .find_map(|line| line.strip_prefix("summary: ").or_else(|| line.strip_prefix("totals: ")))
        .expect("the profile has a sum");
    total.trim().parse().expect("a number")
}
