//! Runs the tests of a package and reads which of them passed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::cargo::cargo;
use crate::crates::Subject;

/// Whether each test passed, by its program and name.
pub(crate) type Results = BTreeMap<String, bool>;

/// Runs the unit, integration and documentation tests in `folder`. Their output goes to
/// `<folder>.log`.
///
/// # Errors
///
/// If cargo cannot be started or the log cannot be written.
pub(crate) fn run(
    work_folder: &Path,
    folder: &Path,
    subject: &Subject,
    environment: &[(&str, PathBuf)],
) -> Result<Results> {
    let path = folder.with_extension("log");
    // A file instead of a pipe, because a process that a test leaves behind would keep a pipe open.
    // Both streams go to one file, so that cargo's headings come before the tests of that program.
    let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    // Cargo cannot run documentation tests together with the others. For a package without a
    // library it prints an error, which contains no test.
    for selection in ["--tests", "--doc"] {
        let mut command = cargo(work_folder, folder);
        command
            .args(["test", "--no-fail-fast", selection])
            .args(subject.cargo)
            .arg("--")
            .args(subject.tests);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
        // The exit status is ignored, because each test has its own line.
        command.status().context("cannot start cargo")?;
    }
    Ok(read(&String::from_utf8_lossy(&fs::read(&path)?)))
}

/// Returns the tests that passed in `before` but not in `after`.
pub(crate) fn broken(before: &Results, after: &Results) -> Vec<String> {
    let passed = before.iter().filter(|(_, passed)| **passed).map(|(name, _)| name);
    passed.filter(|name| after.get(*name) != Some(&true)).cloned().collect()
}

/// Returns how many tests passed.
pub(crate) fn passed(results: &Results) -> usize {
    results.values().filter(|passed| **passed).count()
}

/// Parses the output of `cargo test`.
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
            program.has_totals = true;
        } else if line.starts_with("error: test failed")
            || line.starts_with("error: doctest failed")
        {
            program.failed = true;
        }
    }
    program.close(&mut results);
    results
}

/// A test program whose output is being parsed.
#[derive(Default)]
struct Program {
    name: String,
    /// Its output ended with the totals of the standard test harness.
    has_totals: bool,
    /// Cargo reported it as failed.
    failed: bool,
}

impl Program {
    /// Adds a program without totals as a single test: it has its own harness, or it crashed.
    fn close(self, results: &mut Results) {
        if !self.has_totals && !self.name.is_empty() {
            results.insert(format!("{}: the program", self.name), !self.failed);
        }
    }
}

/// Returns the program that `Running src/lib.rs (target/…)` or `Doc-tests name` announces.
fn heading(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(library) = line.strip_prefix("Doc-tests ") {
        return Some(format!("documentation of {library}"));
    }
    let (name, executable) = line.strip_prefix("Running ")?.rsplit_once(" (")?;
    executable.ends_with(')').then(|| name.to_owned())
}

/// Parses `test name ... ok`. Returns `None` for an ignored test.
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
    fn every_test_is_parsed_with_its_program() {
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
    fn a_test_is_broken_if_it_passed_before_and_now_fails_or_is_missing() {
        let results = |list: &[(&str, bool)]| -> Results {
            list.iter().map(|(name, passed)| ((*name).to_owned(), *passed)).collect()
        };
        let before = results(&[("fine", true), ("failed", false), ("fails", true), ("gone", true)]);
        let after = results(&[("fine", true), ("failed", false), ("fails", false), ("new", true)]);
        assert_eq!(broken(&before, &after), ["fails", "gone"]);
    }
}
