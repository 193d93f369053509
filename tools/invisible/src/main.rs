//! Tests that the attribute is invisible: puts `#[audit_method]` on every function of published
//! crates, builds them, and runs their own tests.
//!
//! ```sh
//! cargo run --release -p invisible             # all crates
//! cargo run --release -p invisible -- --quick  # the two that CI tests
//! ```

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::crates::Subject;
use crate::trial::{Attribute, Trial};

mod annotate;
mod cargo;
mod compile;
mod copy;
mod crates;
mod fetch;
mod record;
mod report;
mod suite;
mod trial;

const USAGE: &str = "\
usage: invisible [CRATE…] [--quick] [--list] [--with audit|instrument] [--record] [--json FILE]

  CRATE              a crate of the table, or any other as name@version (default: the whole table)
  --quick            only the two quickest crates of the table
  --list             print the table and exit
  --with ATTRIBUTE   `audit` for #[audit_method] (default), or `instrument` for
                     #[tracing::instrument(ret)], as a comparison
  --record           run the annotated tests again with a recorder installed
  --json FILE        also write the results to a JSON file
";

/// The command-line options.
#[derive(Debug, Default)]
struct Options {
    crates: Vec<String>,
    quick: bool,
    list: bool,
    help: bool,
    instrument: bool,
    record: bool,
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Returns whether the attribute was invisible in all crates.
fn run() -> Result<bool> {
    let options = parse(std::env::args().skip(1))?;
    if options.help {
        print!("{USAGE}");
        return Ok(true);
    }
    let subjects = subjects(&options)?;
    if options.list {
        print!("{}", report::list(&subjects));
        return Ok(true);
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the tool is two folders deep");
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), PathBuf::from);
    let work_folder = std::path::absolute(target)?.join("invisible");
    if options.record {
        record::prepare(&work_folder, workspace)?;
    }
    let attribute = if options.instrument { Attribute::Instrument } else { Attribute::Audit };
    let trial = Trial { work_folder: &work_folder, workspace, attribute, record: options.record };
    let mut outcomes = Vec::new();
    let mut not_tested = Vec::new();
    for subject in &subjects {
        match trial.run(subject) {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => {
                not_tested.push(format!("{} {}: {error:#}", subject.name, subject.version))
            }
        }
    }
    print!("{}", report::text(&outcomes, &not_tested));
    if let Some(path) = options.json {
        fetch::write(&path, &report::json(&outcomes, &not_tested))?;
    }
    Ok(not_tested.is_empty() && outcomes.iter().all(trial::Outcome::is_invisible))
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--list" => options.list = true,
            "--record" => options.record = true,
            "--help" | "-h" => options.help = true,
            "--with" => match arguments.next().as_deref() {
                Some("audit") => options.instrument = false,
                Some("instrument") => options.instrument = true,
                other => bail!("--with needs `audit` or `instrument`, not {other:?}\n{USAGE}"),
            },
            "--json" => match arguments.next() {
                Some(file) => options.json = Some(PathBuf::from(file)),
                None => bail!("--json needs a file name\n{USAGE}"),
            },
            _ if argument.starts_with('-') => bail!("unknown option {argument}\n{USAGE}"),
            _ => options.crates.push(argument),
        }
    }
    if options.record && options.instrument {
        bail!("--record needs #[audit_method]; remove `--with instrument`");
    }
    Ok(options)
}

/// Returns the requested crates in the order of the table, followed by those that are not in it.
fn subjects(options: &Options) -> Result<Vec<Subject>> {
    let mut table = crates::table();
    let mut others = Vec::new();
    for name in &options.crates {
        if table.iter().any(|subject| subject.name == name) {
            continue;
        }
        match crates::other(name) {
            Some(subject) => others.push(subject),
            None => bail!(
                "{name} is not in the table; give its version too: {name}@1.2.3, or see --list"
            ),
        }
    }
    if options.quick || !options.crates.is_empty() {
        table.retain(|subject| {
            options.quick && subject.quick || options.crates.iter().any(|name| name == subject.name)
        });
    }
    table.append(&mut others);
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(line: &str) -> Result<Vec<String>> {
        let options = parse(line.split_whitespace().map(str::to_owned))?;
        let name = |subject: Subject| format!("{}@{}", subject.name, subject.version);
        Ok(subjects(&options)?.into_iter().map(name).collect())
    }

    #[test]
    fn the_requested_crates_are_tested_in_the_order_of_the_table() {
        let table: Vec<_> = crates::table().iter().map(|subject| subject.name).collect();
        assert_eq!(select("").unwrap().len(), table.len());
        assert_eq!(select("--quick").unwrap().len(), 2);
        let selected = select("other@1.2.3 slab async-channel").unwrap();
        assert_eq!(selected, ["async-channel@2.5.0", "slab@0.4.12", "other@1.2.3"]);
    }

    #[test]
    fn wrong_arguments_are_rejected_with_a_hint() {
        let error = |line: &str| select(line).unwrap_err().to_string();
        assert!(error("unknown").starts_with("unknown is not in the table; give its version too"));
        assert!(error("--with log").starts_with("--with needs `audit` or `instrument`"));
        assert!(error("--record --with instrument").starts_with("--record needs #[audit_method]"));
        assert!(error("--fast").starts_with("unknown option --fast"));
    }
}
