//! Compares the imports of a workspace with the floors that are declared for it.

use std::collections::BTreeSet;

use crate::floors::{self, Floors};
use crate::graph::{cycles, describe_cycle};
use crate::imports::{self, Imports};
use crate::source::{Crate, Workspace};

/// All violations, each as a text for people. `document` is the text of `ARCHITECTURE.md`.
pub(crate) fn check(workspace: &Workspace, document: &str) -> Result<Vec<String>, String> {
    let blocks = floors::parse(document)?;
    let imports = imports::collect(workspace);
    let mut failures = Vec::new();
    for (loaded, imports) in workspace.crates.iter().zip(&imports) {
        let package = &loaded.manifest.package;
        let block = blocks.iter().find(|block| block.package == *package);
        let mut found: Vec<String> = loaded
            .undeclared
            .iter()
            .map(|file| format!("{file} is compiled nowhere: no `mod` declares it"))
            .collect();
        match block {
            Some(floors) => Check { workspace, loaded, imports, floors }.all(&mut found),
            None => {
                failures.push(format!("ARCHITECTURE.md declares no floors for {package}"));
                found.extend(cycles(imports).iter().map(|cycle| describe_cycle(imports, cycle)));
            }
        }
        failures.extend(found.into_iter().map(|failure| format!("{package}: {failure}")));
    }
    for block in blocks {
        let package = &block.package;
        if !workspace.crates.iter().any(|loaded| loaded.manifest.package == *package) {
            failures.push(format!(
                "ARCHITECTURE.md declares floors for {package}, which is no crate of the workspace"
            ));
        }
    }
    Ok(failures)
}

/// The checks of one crate.
struct Check<'a> {
    workspace: &'a Workspace,
    loaded: &'a Crate,
    imports: &'a Imports,
    floors: &'a Floors,
}

impl Check<'_> {
    fn all(&self, failures: &mut Vec<String>) {
        self.entries(failures);
        self.upward(failures);
        self.cycles(failures);
        self.crates(failures);
        self.manifest(failures);
    }

    /// Every file is on a floor, and every entry is there for a file.
    fn entries(&self, failures: &mut Vec<String>) {
        let mut used = BTreeSet::new();
        for file in &self.loaded.files {
            match self.floors.of(file) {
                Some((_, entry)) => {
                    used.insert(entry);
                }
                None => failures.push(format!("{file} is on no floor")),
            }
        }
        for floor in &self.floors.floors {
            for entry in floor.entries.iter().filter(|entry| !used.contains(entry.as_str())) {
                let line = floor.line;
                failures
                    .push(format!("the entry `{entry}` (ARCHITECTURE.md:{line}) matches no file"));
            }
        }
        let restricted = self.floors.crates.iter().map(|allowed| (allowed.line, &allowed.only_in));
        let recursions = self.floors.recursions.iter().map(|floor| (floor.line, &floor.entries));
        for (line, entries) in recursions.chain(restricted) {
            for entry in entries {
                if !self.loaded.files.iter().any(|file| floors::matches(entry, file)) {
                    failures.push(format!(
                        "the entry `{entry}` (ARCHITECTURE.md:{line}) matches no file"
                    ));
                }
            }
        }
    }

    /// No file imports from a higher floor.
    fn upward(&self, failures: &mut Vec<String>) {
        for (from, to, names) in self.imports.edges() {
            let (Some((low, low_entry)), Some((high, high_entry))) =
                (self.floors.of(from), self.floors.of(to))
            else {
                continue;
            };
            if low < high {
                failures.extend(names.iter().map(|(name, line)| {
                    format!(
                        "{from}:{line} imports `{name}` from {to}, which is on a higher floor \
                         (`{high_entry}` is above `{low_entry}`)"
                    )
                }));
            }
        }
    }

    /// No files import each other, except in a declared recursion.
    fn cycles(&self, failures: &mut Vec<String>) {
        let cycles = cycles(self.imports);
        let is_allowed = |cycle: &BTreeSet<String>, entries: &[String]| {
            cycle.iter().all(|file| entries.iter().any(|entry| floors::matches(entry, file)))
        };
        for cycle in &cycles {
            if !self.floors.recursions.iter().any(|floor| is_allowed(cycle, &floor.entries)) {
                failures.push(describe_cycle(self.imports, cycle));
            }
        }
        for floor in &self.floors.recursions {
            if !cycles.iter().any(|cycle| is_allowed(cycle, &floor.entries)) {
                failures.push(format!(
                    "ARCHITECTURE.md:{} declares a recursion of files that do not import each \
                     other",
                    floor.line
                ));
            }
        }
    }

    /// Only declared crates are imported, and only where that is declared.
    fn crates(&self, failures: &mut Vec<String>) {
        for (from, to, names) in self.imports.crate_edges() {
            let package = &self.workspace.crates[to].manifest.package;
            let is_allowed = self.floors.crates.iter().any(|allowed| {
                allowed.package == *package
                    && (allowed.only_in.is_empty()
                        || allowed.only_in.iter().any(|entry| floors::matches(entry, from)))
            });
            if !is_allowed {
                failures.extend(names.iter().map(|(name, line)| {
                    format!(
                        "{from}:{line} imports `{name}` from the crate {package}, which \
                         ARCHITECTURE.md does not allow there"
                    )
                }));
            }
        }
    }

    /// `Cargo.toml` has exactly the declared crates of the workspace as dependencies.
    fn manifest(&self, failures: &mut Vec<String>) {
        let dependencies = &self.loaded.manifest.dependencies;
        for (package, line) in dependencies {
            let is_ours =
                self.workspace.crates.iter().any(|other| other.manifest.package == *package);
            let is_declared = self.floors.crates.iter().any(|allowed| allowed.package == *package);
            if is_ours && !is_declared {
                failures.push(format!(
                    "Cargo.toml:{line} depends on {package}, which ARCHITECTURE.md does not declare"
                ));
            }
        }
        for allowed in &self.floors.crates {
            if !dependencies.iter().any(|(package, _)| *package == allowed.package) {
                failures.push(format!(
                    "ARCHITECTURE.md:{} allows the crate {}, which Cargo.toml does not depend on",
                    allowed.line, allowed.package
                ));
            }
        }
    }
}
