//! Runs the tests of a package, and reads which of them passed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::cargo::cargo;
use crate::crates::Subject;

/// Each test by the program it is in and its name, and whether it passed.
pub(crate) type Results = BTreeMap<String, bool>;

/// Runs unit, integration and documentation tests in `folder`; what they print goes to `<folder>.log`.
///
/// # Errors
///
/// When cargo cannot be started or the log cannot be written.
pub(crate) fn run(
    room: &Path,
    folder: &Path,
    subject: &Subject,
    environment: &[(&str, PathBuf)],
) -> Result<Results> {
    let path = folder.with_extension("log");
    // A file and not a pipe: a test may leave a process behind that would hold a pipe open.
    // One file for both streams, so that cargo's headings stand before the lines they are about.
    let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    // Documentation tests cannot be asked for together with the others. A package without
    // a library has none; cargo says so, and no test is read from that.
    for selection in ["--tests", "--doc"] {
        let mut command = cargo(room, folder);
        command
            .args(["test", "--no-fail-fast", selection])
            .args(subject.cargo)
            .arg("--")
            .args(subject.tests);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
        // The status is not asked for: what counts is each test's own line.
        command.status().context("cannot start cargo")?;
    }
    Ok(read(&String::from_utf8_lossy(&fs::read(&path)?)))
}

/// The tests that passed in `before` and did not in `after`.
pub(crate) fn broken(before: &Results, after: &Results) -> Vec<String> {
    let passed = before.iter().filter(|(_, passed)| **passed).map(|(name, _)| name);
    passed.filter(|name| after.get(*name) != Some(&true)).cloned().collect()
}

/// How many passed.
pub(crate) fn passed(results: &Results) -> usize {
    results.values().filter(|passed| **passed).count()
}

/// Reads what `cargo test` printed.
fn read(printed: &str) -> Results {
    let mut results = Results::new();
    let mut program = Program::default();
    for line in printed.lines() {
        if let Some(name) = heading(line) {
            std::mem::replace(&mut program, Program { name, ..Program::default() })
                .close(&mut results);
        } else if let Some((test, passed)) = verdict(line) {
            results.insert(format!("{}: {test}", program.name), passed);
        } else if line.starts_with("test result: ") {
            program.counted = true;
        } else if line.starts_with("error: test failed")
            || line.starts_with("error: doctest failed")
        {
            program.failed = true;
        }
    }
    program.close(&mut results);
    results
}

/// A test program while its lines are read.
#[derive(Default)]
struct Program {
    name: String,
    /// It closed with the count of the standard test harness.
    counted: bool,
    /// Cargo says that it failed.
    failed: bool,
}

impl Program {
    /// A program that gave no count is a test as a whole: it has its own harness, or it crashed.
    fn close(self, results: &mut Results) {
        if !self.counted && !self.name.is_empty() {
            results.insert(format!("{}: the program", self.name), !self.failed);
        }
    }
}

/// The test program that `Running src/lib.rs (target/…)` or `Doc-tests name` announces.
fn heading(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(library) = line.strip_prefix("Doc-tests ") {
        return Some(format!("documentation of {library}"));
    }
    let (name, executable) = line.strip_prefix("Running ")?.rsplit_once(" (")?;
    executable.ends_with(')').then(|| name.to_owned())
}

/// The name and outcome in `test name ... ok`; a test that is ignored has neither.
fn verdict(line: &str) -> Option<(&str, bool)> {
    let (name, outcome) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    match outcome {
        "ok" => Some((name, true)),
        "FAILED" => Some((name, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "
     Running unittests src/lib.rs (build/debug/deps/a-12)

running 3 tests
test one ... ok
test two - should panic ... FAILED
test three ... ignored, slow
test result: FAILED. 1 passed; 1 failed; 1 ignored
error: test failed, to rerun pass `--lib`
     Running tests/own.rs (build/debug/deps/own-12)
all well
     Running tests/crash.rs (build/debug/deps/crash-12)
test four ... ok
error: test failed, to rerun pass `--test crash`
   Doc-tests a
test src/lib.rs - one (line 3) ... ok
test result: ok. 1 passed; 0 failed
error: 2 targets failed:
";

    #[test]
    fn every_test_is_read_with_its_program() {
        let expected = [
            ("documentation of a: src/lib.rs - one (line 3)", true),
            ("tests/crash.rs: four", true),
            ("tests/crash.rs: the program", false),
            ("tests/own.rs: the program", true),
            ("unittests src/lib.rs: one", true),
            ("unittests src/lib.rs: two - should panic", false),
        ];
        let expected: Results =
            expected.into_iter().map(|(name, passed)| (name.to_owned(), passed)).collect();
        assert_eq!(read(PRINTED), expected);
        assert_eq!(passed(&expected), 4);
    }

    #[test]
    fn a_test_that_failed_before_is_not_broken_and_one_that_is_gone_is() {
        let results = |list: &[(&str, bool)]| -> Results {
            list.iter().map(|(name, passed)| ((*name).to_owned(), *passed)).collect()
        };
        let before = results(&[("fine", true), ("failed", false), ("fails", true), ("gone", true)]);
        let after = results(&[("fine", true), ("failed", false), ("fails", false), ("new", true)]);
        assert_eq!(broken(&before, &after), ["fails", "gone"]);
    }
}
