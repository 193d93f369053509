//! Measures how long 1,000 functions take to compile, with and without an attribute.
//!
//! `cargo bench --bench compile` writes crates of 1,000 functions to a temporary folder and builds
//! each of them with `cargo build`. The time does not include the dependencies, which are built
//! once before and kept in `compile-bench` in the target folder. Each result is the best of three
//! builds; the crates take turns. `-- --functions 100 --times 1`, or `-- --quick`, gives a rough
//! result.

#[path = "common/mod.rs"]
mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A kind of function to compile.
struct Kind {
    name: &'static str,
    /// The source text of a crate before its functions.
    head: &'static str,
    /// The source text of one function. `NUMBER` is replaced by its number.
    function: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "fn",
        head: "",
        function: "
pub fn call_NUMBER(from: u64, to: u64, purpose: &str) -> Result<u64, String> {
    tracing::info!(to, \"booked\");
    if from == to {
        return Err(format!(\"{from} is {to}: {purpose}\"));
    }
    Ok(from ^ to)
}
",
    },
    Kind {
        name: "async fn",
        head: "async fn commit() {}\n",
        // Boxed, because the code of a future is generated where it is used.
        function: "
pub async fn call_NUMBER(from: u64, to: u64, purpose: &str) -> Result<u64, String> {
    tracing::info!(to, \"booked\");
    commit().await;
    if from == to {
        return Err(format!(\"{from} is {to}: {purpose}\"));
    }
    Ok(from ^ to)
}
pub fn boxed_NUMBER(purpose: &str) -> std::pin::Pin<Box<dyn Future<Output = Result<u64, String>> + '_>> {
    Box::pin(call_NUMBER(1, 2, purpose))
}
",
    },
    Kind {
        name: "fn with a `&mut` argument",
        head: "
#[derive(Debug)]
pub struct Account {
    pub id: u64,
    pub balance: u64,
}
",
        function: "
pub fn call_NUMBER(account: &mut Account, amount: u64) -> Result<u64, String> {
    tracing::info!(amount, \"booked\");
    account.balance = account.balance.checked_sub(amount).ok_or(\"too low\")?;
    Ok(account.balance)
}
",
    },
];

/// The first one is the reference.
const ATTRIBUTES: [(&str, &str); 3] = [
    ("`#[instrument(ret)]`", "#[tracing::instrument(ret)]"),
    ("`#[audit_method]`", "#[audited::audit_method]"),
    ("no attribute", ""),
];

fn main() {
    let number = |name, default| {
        common::option(name)
            .map_or(default, |text| text.parse().expect("the option takes a number"))
    };
    let (functions, times) = match common::is_quick() {
        false => (number("--functions", 1_000), number("--times", 3)),
        true => (100, 1),
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = target_folder();
    write_crates(folder.path(), functions);
    // Builds the dependencies, and each crate once, so that its files are in the page cache.
    build(folder.path(), &target, &["--workspace"]);

    common::print_heading("Compile time of audited functions");
    println!(
        "Time of a debug build of {functions} functions without dependencies; best of {times} builds.\n"
    );
    let mut table = common::Table::new([
        "functions",
        ATTRIBUTES[0].0,
        ATTRIBUTES[1].0,
        ATTRIBUTES[2].0,
        "audited / instrumented",
    ]);
    for (kind, row) in KINDS.iter().zip(measure(folder.path(), &target, times)) {
        let [instrumented, audited, none] = row.map(|time| time.as_secs_f64());
        table.row([
            kind.name.to_owned(),
            format!("{instrumented:.2} s"),
            format!("{audited:.2} s"),
            format!("{none:.2} s"),
            format!("{:.2}", audited / instrumented),
        ]);
    }
    table.print();
}

/// Returns the best time for each kind and attribute.
fn measure(folder: &Path, target: &Path, times: usize) -> [[Duration; 3]; 3] {
    let mut best = [[Duration::MAX; 3]; 3];
    for _ in 0..times {
        for (kind, row) in best.iter_mut().enumerate() {
            for (attribute, best) in row.iter_mut().enumerate() {
                let name = crate_name(kind, attribute);
                touch(&folder.join(&name).join("src/lib.rs"));
                let begin = Instant::now();
                build(folder, target, &["--package", &name]);
                *best = begin.elapsed().min(*best);
            }
        }
    }
    best
}

fn crate_name(kind: usize, attribute: usize) -> String {
    format!("crate-{kind}-{attribute}")
}

/// Makes cargo treat a source file as changed.
fn touch(source: &Path) {
    let text = std::fs::read(source).expect("the source is accessible");
    std::fs::write(source, text).expect("the source is accessible");
}

/// Writes a workspace with one crate for each kind of function and each attribute.
fn write_crates(folder: &Path, functions: usize) {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The same versions as in this workspace, so that cargo works offline.
    std::fs::copy(checkout.join("Cargo.lock"), folder.join("Cargo.lock")).expect("the lock file");
    write(folder, "Cargo.toml", "[workspace]\nmembers = [\"crate-*\"]\nresolver = \"3\"\n");
    for (k, kind) in KINDS.iter().enumerate() {
        for (a, (_, attribute)) in ATTRIBUTES.iter().enumerate() {
            let name = crate_name(k, a);
            let manifest = format!(
                "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[dependencies]\n\
                 audited = {{ path = {checkout:?}, default-features = false }}\n\
                 tracing = {{ version = \"0.1\", default-features = false, features = [\"std\", \"attributes\"] }}\n"
            );
            let mut source = kind.head.to_owned();
            for number in 0..functions {
                let function = kind.function.replace("NUMBER", &number.to_string());
                // `function` begins with a line break, so the attribute gets its own line.
                write!(source, "\n{attribute}{function}").expect("writing to a string cannot fail");
            }
            write(folder, &format!("{name}/Cargo.toml"), &manifest);
            write(folder, &format!("{name}/src/lib.rs"), &source);
        }
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("is in a folder")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

fn build(folder: &Path, target: &Path, arguments: &[&str]) {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--quiet"])
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        // An earlier build must not be reused.
        .env("CARGO_INCREMENTAL", "0")
        .env_remove("CARGO_PROFILE_DEV_DEBUG")
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Returns a folder inside the target folder in which this program was built.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().expect("this program");
    // `target/release/deps/compile-…`
    program.ancestors().nth(3).expect("is in a target folder").join("compile-bench")
}
