//! The tests under a real recorder: a small package is linked into every program and installs one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rusqlite::{Connection, OpenFlags};

use crate::crates::Subject;
use crate::fetch;
use crate::suite::{self, Results};

/// Added to the root file of every program, so that the linker keeps the package.
pub(crate) const LINKED: &str = "\nextern crate invisible_arm as _;\n";

/// The environment variable that names the folder for the records. Without it nothing is recorded.
const FOLDER: &str = "INVISIBLE_RECORDS";

/// The package's library. It is a package of its own as a crate under proof may forbid `unsafe`.
const LIBRARY: &str = include_str!("arm.rs.txt");

/// What was stored during the tests of one crate.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// Programs that recorded.
    pub(crate) programs: usize,
    /// Records in the files of all programs.
    pub(crate) records: i64,
}

/// Writes the package that installs the recorder.
///
/// # Errors
///
/// When it cannot be written.
pub(crate) fn prepare(room: &Path, workspace: &Path) -> Result<()> {
    let manifest = format!(
        "[package]\nname = \"invisible-arm\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\naudited = {{ path = {workspace:?} }}\n"
    );
    fetch::write(&room.join("arm/Cargo.toml"), &manifest)?;
    fetch::write(&room.join("arm/src/lib.rs"), LIBRARY)
}

/// The dependency on it, for a manifest.
pub(crate) fn dependency(room: &Path) -> String {
    format!("[target.'cfg(all())'.dependencies.invisible-arm]\npath = {:?}\n", room.join("arm"))
}

/// Runs the tests in `folder` with every program recording, and counts what it stored.
///
/// # Errors
///
/// When the tests cannot be run, or a program could not record.
pub(crate) fn run(room: &Path, folder: &Path, subject: &Subject) -> Result<(Results, Stored)> {
    let records = folder.with_extension("records");
    if records.exists() {
        fs::remove_dir_all(&records)?;
    }
    fs::create_dir_all(&records)?;
    let results = suite::run(room, folder, subject, &[(FOLDER, records.clone())])?;
    let stored = count(&records)?;
    // Millions of records take gigabytes.
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
