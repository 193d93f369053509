//! The proof on one crate: build and test it as it is, annotate it, build and test it again.

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

/// How often a crate is built at most until it compiles with what is left of the attributes.
const ROUNDS: usize = 40;

/// The attribute put on every function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attribute {
    /// `#[audit_method]`.
    Audit,
    /// `#[tracing::instrument(ret)]`, which records arguments and results too.
    Instrument,
}

impl Attribute {
    /// The text before each function. An absolute path, as nothing may be imported.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Audit => "#[::audited::audit_method] ",
            Self::Instrument => "#[::tracing::instrument(ret)] ",
        }
    }

    /// The library it comes from.
    pub(crate) fn crate_name(self) -> &'static str {
        match self {
            Self::Audit => "audited",
            Self::Instrument => "tracing",
        }
    }

    /// The dependency, unless the crate has one of that name itself.
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
pub(crate) struct Fault {
    /// `file:line name`.
    pub(crate) function: String,
    /// The first error in it.
    pub(crate) error: String,
}

/// What was found out about one crate.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The crate.
    pub(crate) subject: Subject,
    /// Functions with a body, in the files that its tests are built from.
    pub(crate) functions: usize,
    /// Those that the language lets no macro wrap: `const fn` and naked ones.
    pub(crate) bare: usize,
    /// Functions written inside macros, which are not touched.
    pub(crate) in_macros: usize,
    /// Files that are no Rust by themselves.
    pub(crate) unparsed: usize,
    /// Functions that no longer compile.
    pub(crate) faults: Vec<Fault>,
    /// The error that comes with any attribute, wherever it is: the crate compiles only without one.
    pub(crate) apart: Option<String>,
    /// Compiler warnings before and after.
    pub(crate) warnings: (usize, usize),
    /// Tests that passed before and after.
    pub(crate) passed: (usize, usize),
    /// Tests that passed before and do not any more.
    pub(crate) broken: Vec<String>,
    /// What a recorder stored during the tests, and the tests that broke under it.
    pub(crate) recorded: Option<(Stored, Vec<String>)>,
}

impl Outcome {
    /// How many functions an attribute was put on.
    pub(crate) fn annotated(&self) -> usize {
        self.functions - self.bare
    }

    /// True when the attribute changed nothing.
    pub(crate) fn holds(&self) -> bool {
        let unrecorded =
            |(stored, broken): &(Stored, Vec<String>)| !broken.is_empty() || stored.records == 0;
        self.faults.is_empty()
            && self.apart.is_none()
            && self.broken.is_empty()
            && self.warnings.1 <= self.warnings.0
            && !self.recorded.as_ref().is_some_and(unrecorded)
    }
}

/// Where the work is done and with what.
#[derive(Debug)]
pub(crate) struct Trial<'a> {
    /// The folder for everything that is fetched, copied and built.
    pub(crate) room: &'a Path,
    /// The workspace that holds `audited`.
    pub(crate) workspace: &'a Path,
    /// What is put on every function.
    pub(crate) attribute: Attribute,
    /// Run the tests once more with a recorder installed.
    pub(crate) record: bool,
}

impl Trial<'_> {
    /// Works through one crate.
    ///
    /// # Errors
    ///
    /// When the crate cannot be fetched, or does not build as it is.
    pub(crate) fn run(&self, subject: &Subject) -> Result<Outcome> {
        let fetched = fetch::fetch(self.room, subject)?;
        let home = self.room.join(format!("{}-{}", subject.name, subject.version));
        let manifest = fs::read_to_string(fetched.join("Cargo.toml"))?;
        let dependency = self.attribute.dependency(self.workspace, &manifest);

        // The unmodified copy has the dependency too, so that both are built from the same versions.
        let plain = home.join("baseline");
        fetch::lay_out(&fetched, &plain, subject, &dependency, &BTreeSet::new())?;
        let build = self.build("as published", &plain, subject)?;
        if let Some(error) = build.errors.first() {
            bail!("{} does not build as published: {}", subject.name, error.message);
        }
        let before = suite::run(self.room, &plain, subject, &[])?;

        let annotated = home.join(self.attribute.crate_name());
        fetch::lay_out(&fetched, &annotated, subject, &dependency, &build.sources)?;
        let roots = fetch::roots(self.room, &plain)?;
        let mut copy = Copy::read(&plain, &annotated, &build.sources, self.attribute, &roots)?;
        let warnings = (build.warnings, self.settle(&mut copy, subject)?.warnings);
        let mut outcome = copy.outcome(subject, warnings);
        outcome.passed.0 = suite::passed(&before);
        if outcome.apart.is_some() {
            // Tests of a crate without attributes would prove nothing.
            return Ok(outcome);
        }
        outcome.broken = twice(&before, || suite::run(self.room, &annotated, subject, &[]))?;
        outcome.passed.1 = outcome.passed.0 - outcome.broken.len();

        if self.record {
            let armed = home.join("recorded");
            let dependencies = format!("{dependency}\n{}", record::dependency(self.room));
            fetch::lay_out(&fetched, &armed, subject, &dependencies, &build.sources)?;
            copy.move_to(&armed);
            copy.arm();
            copy.write()?;
            self.build("with a recorder", &armed, subject)?;
            let mut stored = Stored::default();
            let broken = twice(&before, || {
                let results;
                (results, stored) = record::run(self.room, &armed, subject)?;
                Ok(results)
            })?;
            outcome.recorded = Some((stored, broken));
        }
        Ok(outcome)
    }

    fn build(&self, how: &str, folder: &Path, subject: &Subject) -> Result<Build> {
        eprintln!("{} {}: building {how}", subject.name, subject.version);
        compile::build(self.room, folder, subject)
    }

    /// Builds, takes the attribute from the functions at fault, and builds again until it compiles.
    ///
    /// What the compiler said goes to `<folder>.errors`.
    fn settle(&self, copy: &mut Copy, subject: &Subject) -> Result<Build> {
        let mut said = String::new();
        for round in 1..=ROUNDS {
            copy.write()?;
            let build = self.build(&format!("annotated, round {round}"), &copy.folder, subject)?;
            said.extend(build.errors.iter().map(|error| error.rendered.as_str()));
            fs::write(copy.folder.with_extension("errors"), &said)?;
            if build.complete {
                return Ok(build);
            }
            if !copy.strip(&build.errors) {
                let error = &build.errors[0].message;
                bail!("{} does not compile without the attribute either: {error}", subject.name);
            }
        }
        bail!("{} still does not compile after {ROUNDS} rounds", subject.name)
    }
}

/// The tests that passed before and do not in two runs: one that fails now and then is not broken.
fn twice(before: &Results, mut run: impl FnMut() -> Result<Results>) -> Result<Vec<String>> {
    let mut broken = suite::broken(before, &run()?);
    if !broken.is_empty() {
        eprintln!("running the tests once more, as these did not pass: {}", broken.join(", "));
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
    fn only_what_fails_twice_is_broken() {
        let mut runs = [false, true].into_iter();
        let broken = twice(&results(true), || Ok(results(runs.next().unwrap()))).unwrap();
        assert_eq!((broken, runs.next()), (Vec::new(), None));
        assert_eq!(twice(&results(true), || Ok(results(false))).unwrap(), ["shaky"]);
    }

    #[test]
    fn a_new_warning_or_a_run_that_recorded_nothing_is_not_invisible() {
        assert!(Outcome::default().holds());
        assert!(!Outcome { warnings: (1, 2), ..Outcome::default() }.holds());
        assert!(!Outcome { recorded: Some(Default::default()), ..Outcome::default() }.holds());
        assert!(!Outcome { apart: Some("E0283".to_owned()), ..Outcome::default() }.holds());
    }
}
