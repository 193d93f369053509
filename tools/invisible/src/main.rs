//! Proves that the macro is invisible: puts `#[audit_method]` on every function of published
//! crates, builds them and runs their own tests.

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

  CRATE              a name in the table, or name@version for any other crate; none means the whole table
  --quick            only the two quickest of the table
  --list             print the table and stop
  --with ATTRIBUTE   audit: #[audit_method] (default); instrument: #[tracing::instrument(ret)], to compare
  --record           run the annotated tests once more with a recorder installed
  --json FILE        write the outcome there too
";

/// What the command line asks for.
#[derive(Debug, Default)]
struct Asked {
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

/// True when nothing broke.
fn run() -> Result<bool> {
    let asked = asked(std::env::args().skip(1))?;
    if asked.help {
        print!("{USAGE}");
        return Ok(true);
    }
    let subjects = subjects(&asked)?;
    if asked.list {
        print!("{}", report::list(&subjects));
        return Ok(true);
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the tool is two folders deep");
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), PathBuf::from);
    let room = std::path::absolute(target)?.join("invisible");
    if asked.record {
        record::prepare(&room, workspace)?;
    }
    let attribute = if asked.instrument { Attribute::Instrument } else { Attribute::Audit };
    let trial = Trial { room: &room, workspace, attribute, record: asked.record };
    let mut outcomes = Vec::new();
    let mut failed = Vec::new();
    for subject in &subjects {
        match trial.run(subject) {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => failed.push(format!("{} {}: {error:#}", subject.name, subject.version)),
        }
    }
    print!("{}", report::text(&outcomes, &failed));
    if let Some(path) = asked.json {
        fetch::write(&path, &report::json(&outcomes, &failed))?;
    }
    Ok(failed.is_empty() && outcomes.iter().all(trial::Outcome::holds))
}

fn asked(mut words: impl Iterator<Item = String>) -> Result<Asked> {
    let mut asked = Asked::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => asked.quick = true,
            "--list" => asked.list = true,
            "--record" => asked.record = true,
            "--help" | "-h" => asked.help = true,
            "--with" => match words.next().as_deref() {
                Some("audit") => asked.instrument = false,
                Some("instrument") => asked.instrument = true,
                other => bail!("--with needs `audit` or `instrument`, not {other:?}\n{USAGE}"),
            },
            "--json" => match words.next() {
                Some(file) => asked.json = Some(PathBuf::from(file)),
                None => bail!("--json needs the name of a file\n{USAGE}"),
            },
            _ if word.starts_with('-') => bail!("unknown option {word}\n{USAGE}"),
            _ => asked.crates.push(word),
        }
    }
    if asked.record && asked.instrument {
        bail!("--record needs #[audit_method]; leave out `--with instrument`");
    }
    Ok(asked)
}

/// The crates asked for, in the table's order, those outside of it last.
fn subjects(asked: &Asked) -> Result<Vec<Subject>> {
    let mut table = crates::table();
    let mut others = Vec::new();
    for name in &asked.crates {
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
    if asked.quick || !asked.crates.is_empty() {
        table.retain(|subject| {
            asked.quick && subject.quick || asked.crates.iter().any(|name| name == subject.name)
        });
    }
    table.append(&mut others);
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(line: &str) -> Result<Vec<String>> {
        let asked = asked(line.split_whitespace().map(str::to_owned))?;
        let name = |subject: Subject| format!("{}@{}", subject.name, subject.version);
        Ok(subjects(&asked)?.into_iter().map(name).collect())
    }

    #[test]
    fn the_crates_asked_for_are_taken_in_the_order_of_the_table() {
        let table: Vec<_> = crates::table().iter().map(|subject| subject.name).collect();
        assert_eq!(ask("").unwrap().len(), table.len());
        assert_eq!(ask("--quick").unwrap().len(), 2);
        let asked = ask("other@1.2.3 slab async-channel").unwrap();
        assert_eq!(asked, ["async-channel@2.5.0", "slab@0.4.12", "other@1.2.3"]);
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_what_to_do() {
        let refused = |line: &str| ask(line).unwrap_err().to_string();
        assert!(
            refused("unknown").starts_with("unknown is not in the table; give its version too")
        );
        assert!(refused("--with log").starts_with("--with needs `audit` or `instrument`"));
        assert!(
            refused("--record --with instrument").starts_with("--record needs #[audit_method]")
        );
        assert!(refused("--fast").starts_with("unknown option --fast"));
    }
}
