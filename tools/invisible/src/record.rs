//! Runs tests with an installed recorder: a small package, linked into every program, installs it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rusqlite::{Connection, OpenFlags};

use crate::crates::Subject;
use crate::fetch;
use crate::suite::{self, Results};

/// Appended to the root file of every program, so that the linker keeps the package.
pub(crate) const EXTERN_CRATE: &str = "\nextern crate invisible_recorder as _;\n";

/// The environment variable with the folder for the records. Without it, nothing is recorded.
const FOLDER: &str = "INVISIBLE_RECORDS";

/// The library of that package. It is separate because a tested crate may forbid `unsafe`.
const LIBRARY: &str = include_str!("recorder.rs.txt");

/// How much was recorded during the tests of one crate.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// Test programs that recorded.
    pub(crate) programs: usize,
    /// Records of all programs.
    pub(crate) records: i64,
}

/// Writes the package that installs the recorder.
///
/// # Errors
///
/// If it cannot be written.
pub(crate) fn prepare(work_folder: &Path, workspace: &Path) -> Result<()> {
    let manifest = format!(
        "[package]\nname = \"invisible-recorder\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\naudited = {{ path = {workspace:?} }}\n"
    );
    fetch::write(&work_folder.join("recorder/Cargo.toml"), &manifest)?;
    fetch::write(&work_folder.join("recorder/src/lib.rs"), LIBRARY)
}

/// Returns the dependency on that package for a manifest.
pub(crate) fn dependency(work_folder: &Path) -> String {
    format!(
        "[target.'cfg(all())'.dependencies.invisible-recorder]\npath = {:?}\n",
        work_folder.join("recorder")
    )
}

/// Runs the tests in `folder` with a recorder in every program, and counts the records.
///
/// # Errors
///
/// If the tests cannot be run, or a program could not record.
pub(crate) fn run(
    work_folder: &Path,
    folder: &Path,
    subject: &Subject,
) -> Result<(Results, Stored)> {
    let records = folder.with_extension("records");
    if records.exists() {
        fs::remove_dir_all(&records)?;
    }
    fs::create_dir_all(&records)?;
    let results = suite::run(work_folder, folder, subject, &[(FOLDER, records.clone())])?;
    let stored = count(&records)?;
    // Millions of records take several GB.
    fs::remove_dir_all(&records)?;
    Ok((results, stored))
}

fn count(folder: &Path) -> Result<Stored> {
    let mut stored = Stored::default();
    for entry in fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("db") => stored.records += records(&path)?,
            Some("failed") => {
                anyhow::bail!("a program could not record: {}", fs::read_to_string(&path)?)
            }
            _ => continue,
        }
        stored.programs += 1;
    }
    Ok(stored)
}

fn records(path: &Path) -> Result<i64> {
    let count = || {
        let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        file.query_row("SELECT count(*) FROM audit_log", [], |row| row.get(0))
    };
    count().with_context(|| format!("cannot count the records in {}", path.display()))
}
