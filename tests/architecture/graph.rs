//! Files that import each other, and how the imports of a crate are printed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::imports::{Imports, Names};
use crate::source::Workspace;

/// Groups of files in which each leads to each other by imports, the largest first.
pub(crate) fn cycles(imports: &Imports) -> Vec<BTreeSet<String>> {
    let reachable: BTreeMap<&str, BTreeSet<&str>> =
        imports.files.keys().map(|from| (from.as_str(), reached(imports, from))).collect();
    let leads = |from: &str, to: &str| reachable.get(from).is_some_and(|files| files.contains(to));
    let mut cycles: Vec<BTreeSet<String>> = Vec::new();
    for &file in reachable.keys().filter(|file| leads(file, file)) {
        if !cycles.iter().any(|cycle| cycle.contains(file)) {
            let members = reachable[file].iter().filter(|other| leads(other, file));
            cycles.push(members.map(|other| (*other).to_owned()).collect());
        }
    }
    cycles.sort_by_key(|cycle| std::cmp::Reverse(cycle.len()));
    cycles
}

fn reached<'a>(imports: &'a Imports, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = vec![from];
    while let Some(file) = open.pop() {
        for to in imports.files.get(file).into_iter().flat_map(BTreeMap::keys) {
            if found.insert(to.as_str()) {
                open.push(to);
            }
        }
    }
    found
}

/// `Record (line 3), Outcome (line 12)`.
pub(crate) fn named(names: &Names) -> String {
    let names: Vec<_> = names.iter().map(|(name, line)| format!("{name} (line {line})")).collect();
    names.join(", ")
}

/// The imports inside of a cycle, a line for each pair of files.
pub(crate) fn describe_cycle(imports: &Imports, cycle: &BTreeSet<String>) -> String {
    let members: Vec<_> = cycle.iter().map(String::as_str).collect();
    let mut text = format!("{} files import each other: {}", cycle.len(), members.join(", "));
    for (from, to, names) in imports.edges() {
        if cycle.contains(from) && cycle.contains(to) {
            let _ = write!(text, "\n    {from} → {to}: {}", named(names));
        }
    }
    text
}

/// All imports of all crates, and their cycles, for people.
pub(crate) fn describe(workspace: &Workspace, imports: &[Imports]) -> String {
    let mut text = String::new();
    for (loaded, imports) in workspace.crates.iter().zip(imports) {
        let _ = writeln!(text, "{}", loaded.manifest.package);
        for (from, to, names) in imports.edges() {
            let _ = writeln!(text, "  {from} → {to}: {}", named(names));
        }
        for (from, to, names) in imports.crate_edges() {
            let to = &workspace.crates[to].manifest.package;
            let _ = writeln!(text, "  {from} → crate {to}: {}", named(names));
        }
        let cycles = cycles(imports);
        for cycle in &cycles {
            let members: Vec<_> = cycle.iter().map(String::as_str).collect();
            let _ = writeln!(text, "  cycle of {} files: {}", cycle.len(), members.join(", "));
        }
        if cycles.is_empty() {
            let _ = writeln!(text, "  no cycles");
        }
    }
    text
}
