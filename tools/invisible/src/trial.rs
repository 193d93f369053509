//! Tests one crate: builds and tests it as published, annotates it, and builds and tests it again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use crate::compile::{self, Build};
use crate::copy::Copy;
use crate::crates::Subject;
use crate::fetch;
use crate::record::{self, Stored};
use crate::suite::{self, Results};

/// How often a crate is built at most until it compiles with the remaining attributes.
const ROUNDS: usize = 40;

/// The attribute to put on every function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attribute {
    /// `#[audit_method]`.
    Audit,
    /// `#[tracing::instrument(ret)]`, which also records arguments and results.
    Instrument,
}

impl Attribute {
    /// The text to insert before each function. Its path is absolute, because imports are not
    /// allowed.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Audit => "#[::audited::audit_method] ",
            Self::Instrument => "#[::tracing::instrument(ret)] ",
        }
    }

    /// The crate of the attribute.
    pub(crate) fn crate_name(self) -> &'static str {
        match self {
            Self::Audit => "audited",
            Self::Instrument => "tracing",
        }
    }

    /// Returns the dependency on that crate, unless the manifest already has it.
    fn dependency(self, workspace: &Path, manifest: &str) -> String {
        if manifest.contains(&format!("[dependencies.{}]", self.crate_name())) {
            return String::new();
        }
        let source = match self {
            Self::Audit => format!("path = {workspace:?}\ndefault-features = false"),
            Self::Instrument => "version = \"0.1\"".to_owned(),
        };
        format!("[dependencies.{}]\n{source}\n", self.crate_name())
    }
}

/// A function that does not compile with the attribute.
#[derive(Debug)]
pub(crate) struct BrokenFunction {
    /// `file:line name`.
    pub(crate) function: String,
    /// The first error in it.
    pub(crate) error: String,
}

/// The result for one crate.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The tested crate.
    pub(crate) subject: Subject,
    /// Functions with a body in the files of which its tests are built.
    pub(crate) functions: usize,
    /// Functions that cannot have the attribute: `const fn` and naked functions.
    pub(crate) excluded: usize,
    /// Functions inside macros, which are not annotated.
    pub(crate) in_macros: usize,
    /// Files that are not complete Rust files.
    pub(crate) unparsed: usize,
    /// Functions that no longer compile.
    pub(crate) broken_functions: Vec<BrokenFunction>,
    /// An error that occurs with any attribute, but in none of the annotated functions.
    pub(crate) error_without_cause: Option<String>,
    /// Compiler warnings without and with the attributes.
    pub(crate) warnings: (usize, usize),
    /// Tests that pass without and with the attributes.
    pub(crate) passed: (usize, usize),
    /// Tests that pass only without the attributes.
    pub(crate) broken: Vec<String>,
    /// What was recorded during the tests, and the tests that fail only with a recorder.
    pub(crate) recorded: Option<(Stored, Vec<String>)>,
}

impl Outcome {
    /// How many functions were annotated.
    pub(crate) fn annotated(&self) -> usize {
        self.functions - self.excluded
    }

    /// Whether the attribute changed nothing.
    pub(crate) fn is_invisible(&self) -> bool {
        let is_bad =
            |(stored, broken): &(Stored, Vec<String>)| !broken.is_empty() || stored.records == 0;
        self.broken_functions.is_empty()
            && self.error_without_cause.is_none()
            && self.broken.is_empty()
            && self.warnings.1 <= self.warnings.0
            && !self.recorded.as_ref().is_some_and(is_bad)
    }
}

/// The settings of a run.
#[derive(Debug)]
pub(crate) struct Trial<'a> {
    /// The folder for downloads, copies and builds.
    pub(crate) work_folder: &'a Path,
    /// The workspace that contains `audited`.
    pub(crate) workspace: &'a Path,
    /// The attribute to put on every function.
    pub(crate) attribute: Attribute,
    /// Whether to run the tests again with a recorder installed.
    pub(crate) record: bool,
}

impl Trial<'_> {
    /// Tests one crate.
    ///
    /// # Errors
    ///
    /// If the crate cannot be downloaded, or does not build as published.
    pub(crate) fn run(&self, subject: &Subject) -> Result<Outcome> {
        let fetched = fetch::fetch(self.work_folder, subject)?;
        let home = self.work_folder.join(format!("{}-{}", subject.name, subject.version));
        let manifest = fs::read_to_string(fetched.join("Cargo.toml"))?;
        let dependency = self.attribute.dependency(self.workspace, &manifest);

        // The unmodified copy has the dependency too, so that both use the same versions.
        let plain = home.join("baseline");
        fetch::copy_package(&fetched, &plain, subject, &dependency, &BTreeSet::new())?;
        let build = self.build("as published", &plain, subject)?;
        if let Some(error) = build.errors.first() {
            bail!("{} does not build as published: {}", subject.name, error.message);
        }
        let before = suite::run(self.work_folder, &plain, subject, &[])?;

        let annotated = home.join(self.attribute.crate_name());
        fetch::copy_package(&fetched, &annotated, subject, &dependency, &build.sources)?;
        let roots = fetch::roots(self.work_folder, &plain)?;
        let mut copy = Copy::read(&plain, &annotated, &build.sources, self.attribute, &roots)?;
        let warnings = (build.warnings, self.build_until_it_compiles(&mut copy, subject)?.warnings);
        let mut outcome = copy.outcome(subject, warnings);
        outcome.passed.0 = suite::passed(&before);
        if outcome.error_without_cause.is_some() {
            // Without attributes, there is nothing to test.
            return Ok(outcome);
        }
        outcome.broken = broken_in_both_runs(&before, || {
            suite::run(self.work_folder, &annotated, subject, &[])
        })?;
        outcome.passed.1 = outcome.passed.0 - outcome.broken.len();

        if self.record {
            let recording = home.join("recorded");
            let dependencies = format!("{dependency}\n{}", record::dependency(self.work_folder));
            fetch::copy_package(&fetched, &recording, subject, &dependencies, &build.sources)?;
            copy.move_to(&recording);
            copy.link_recorder();
            copy.write()?;
            self.build("with a recorder", &recording, subject)?;
            let mut stored = Stored::default();
            let broken = broken_in_both_runs(&before, || {
                let results;
                (results, stored) = record::run(self.work_folder, &recording, subject)?;
                Ok(results)
            })?;
            outcome.recorded = Some((stored, broken));
        }
        Ok(outcome)
    }

    fn build(&self, how: &str, folder: &Path, subject: &Subject) -> Result<Build> {
        eprintln!("{} {}: building {how}", subject.name, subject.version);
        compile::build(self.work_folder, folder, subject)
    }

    /// Builds the copy, removes the attribute from functions with errors, and repeats this until it
    /// compiles.
    ///
    /// All errors are written to `<folder>.errors`.
    fn build_until_it_compiles(&self, copy: &mut Copy, subject: &Subject) -> Result<Build> {
        let mut messages = String::new();
        for round in 1..=ROUNDS {
            copy.write()?;
            let build = self.build(&format!("annotated, round {round}"), &copy.folder, subject)?;
            messages.extend(build.errors.iter().map(|error| error.rendered.as_str()));
            fs::write(copy.folder.with_extension("errors"), &messages)?;
            if build.complete {
                return Ok(build);
            }
            if !copy.remove_attributes(&build.errors) {
                let error = &build.errors[0].message;
                bail!("{} does not compile without the attribute either: {error}", subject.name);
            }
        }
        bail!("{} still does not compile after {ROUNDS} rounds", subject.name)
    }
}

/// Returns the tests that passed before and fail in two runs. A flaky test is not broken.
fn broken_in_both_runs(
    before: &Results,
    mut run: impl FnMut() -> Result<Results>,
) -> Result<Vec<String>> {
    let mut broken = suite::broken(before, &run()?);
    if !broken.is_empty() {
        eprintln!("running the tests again because these failed: {}", broken.join(", "));
        let again = suite::broken(before, &run()?);
        broken.retain(|test| again.contains(test));
    }
    Ok(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(passed: bool) -> Results {
        Results::from([("steady".to_owned(), true), ("shaky".to_owned(), passed)])
    }

    #[test]
    fn only_tests_that_fail_twice_are_broken() {
        let mut runs = [false, true].into_iter();
        let broken =
            broken_in_both_runs(&results(true), || Ok(results(runs.next().unwrap()))).unwrap();
        assert_eq!((broken, runs.next()), (Vec::new(), None));
        assert_eq!(broken_in_both_runs(&results(true), || Ok(results(false))).unwrap(), ["shaky"]);
    }

    #[test]
    fn a_new_warning_or_a_run_without_records_is_not_invisible() {
        assert!(Outcome::default().is_invisible());
        assert!(!Outcome { warnings: (1, 2), ..Outcome::default() }.is_invisible());
        assert!(
            !Outcome { recorded: Some(Default::default()), ..Outcome::default() }.is_invisible()
        );
        assert!(
            !Outcome { error_without_cause: Some("E0283".to_owned()), ..Outcome::default() }
                .is_invisible()
        );
    }
}
