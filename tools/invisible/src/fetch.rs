//! Brings a published crate here, and lays out copies of it that build on their own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::crates::Subject;

/// What a copy has of its own (manifest, lock file), and what would make it build differently from
/// the other packages here.
const LEFT_OUT: [&str; 6] = [
    "Cargo.toml",
    "Cargo.lock",
    ".cargo",
    ".cargo-checksum.json",
    "rust-toolchain",
    "rust-toolchain.toml",
];

/// Downloads the crate with the ordinary client, unless it is here already, and returns its folder.
///
/// # Errors
///
/// When the client cannot bring it, or the folder cannot be written.
pub(crate) fn fetch(room: &Path, subject: &Subject) -> Result<PathBuf> {
    let label = format!("{}-{}", subject.name, subject.version);
    let fetched = room.join("fetch").join(&label);
    if fetched.exists() {
        return Ok(fetched);
    }
    // A throwaway package that depends on the crate; `vendor` brings programs as well,
    // which as dependencies have nothing to link.
    let throwaway = room.join("fetch/throwaway");
    write(
        &throwaway.join("Cargo.toml"),
        &format!(
            "[package]\nname = \"throwaway\"\nedition = \"2021\"\n\n[workspace]\n\n[dependencies]\n{} = \"={}\"\n",
            subject.name, subject.version
        ),
    )?;
    write(&throwaway.join("src/lib.rs"), "")?;
    cargo::output(cargo::cargo(room, &throwaway).args([
        "vendor",
        "--quiet",
        "--versioned-dirs",
        "vendor",
    ]))?;
    fs::rename(throwaway.join("vendor").join(&label), &fetched)
        .with_context(|| format!("the client brought no {label}"))?;
    fs::remove_dir_all(&throwaway)?;
    Ok(fetched)
}

/// Copies the fetched package to `folder` with `dependencies` added to its manifest, but for the files
/// in `elsewhere`, which the caller writes.
///
/// Files that are the same already keep their time, so a second run builds nothing anew.
///
/// # Errors
///
/// When a file cannot be read or written.
pub(crate) fn lay_out(
    fetched: &Path,
    folder: &Path,
    subject: &Subject,
    dependencies: &str,
    elsewhere: &BTreeSet<PathBuf>,
) -> Result<()> {
    copy(fetched, folder, Path::new(""), elsewhere)?;
    let (published, lock) = (fetched.join("Cargo.lock"), folder.join("Cargo.lock"));
    if published.exists() && !lock.exists() {
        fs::copy(published, lock)?;
    }
    let manifest = fs::read_to_string(fetched.join("Cargo.toml"))?;
    let manifest = manifest_for_proof(&manifest, subject.without, dependencies);
    write(&folder.join("Cargo.toml"), &manifest)
}

/// Copies what is below `inner` in one folder to the same place in the other.
fn copy(from: &Path, to: &Path, inner: &Path, elsewhere: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(from.join(inner))? {
        let entry = entry?;
        let inner = inner.join(entry.file_name());
        if LEFT_OUT.iter().any(|left_out| inner == Path::new(left_out))
            || elsewhere.contains(&inner)
        {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(from, to, &inner, elsewhere)?;
        } else {
            write_bytes(&to.join(&inner), &fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// Writes the file, and its folder, unless it holds just that.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    write_bytes(path, text.as_bytes())
}

fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let written =
        path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, bytes));
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// The published manifest as that of a workspace of its own, with and without some dependencies.
///
/// A published manifest is normalised by cargo: each dependency is a table of its own.
fn manifest_for_proof(manifest: &str, without: &[&str], dependencies: &str) -> String {
    let mut proof = String::with_capacity(manifest.len() + dependencies.len() + 16);
    let mut dropping = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            dropping =
                without.iter().any(|name| line.contains(&format!("dev-dependencies.{name}]")));
        }
        if !dropping {
            proof.push_str(line);
            proof.push('\n');
        }
    }
    proof.push_str("\n[workspace]\n\n");
    proof.push_str(dependencies);
    proof
}

/// A root file of a target that `cargo test` builds.
#[derive(Debug)]
pub(crate) struct Root {
    /// Relative to the package.
    pub(crate) file: PathBuf,
    /// The edition as written in the manifest.
    pub(crate) edition: String,
}

/// The root files of the package's library, programs and tests.
///
/// # Errors
///
/// When cargo does not understand the package.
pub(crate) fn roots(room: &Path, folder: &Path) -> Result<Vec<Root>> {
    let metadata = cargo::output(cargo::cargo(room, folder).args([
        "metadata",
        "--no-deps",
        "--format-version=1",
    ]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let Some(targets) = metadata["packages"][0]["targets"].as_array() else {
        bail!("cargo names no targets for {}", folder.display());
    };
    let mut roots = Vec::new();
    for target in targets {
        let kinds = target["kind"].to_string();
        if ["custom-build", "example", "bench"].iter().any(|kind| kinds.contains(kind)) {
            continue;
        }
        let path = Path::new(target["src_path"].as_str().unwrap_or_default());
        let edition = target["edition"].as_str().unwrap_or_default().to_owned();
        if let Ok(file) = path.strip_prefix(folder) {
            roots.push(Root { file: file.to_owned(), edition });
        }
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::manifest_for_proof;

    #[test]
    fn the_manifest_becomes_a_workspace_of_its_own_without_what_benchmarks_need() {
        let published = "[package]\nname = \"a\"\n\n[dev-dependencies.b]\nversion = \"1\"\n\n[dev-dependencies.bc]\nversion = \"2\"\n";
        let proof = manifest_for_proof(published, &["b"], "[dependencies.x]\npath = \"y\"\n");
        let expected = "[package]\nname = \"a\"\n\n[dev-dependencies.bc]\nversion = \"2\"\n\n[workspace]\n\n[dependencies.x]\npath = \"y\"\n";
        assert_eq!(proof, expected);
    }

    #[test]
    fn a_dependency_of_one_platform_can_be_left_out_too() {
        let published =
            "[target.'cfg(loom)'.dev-dependencies.loom]\nversion = \"1\"\n[features]\nd = []\n";
        assert_eq!(
            manifest_for_proof(published, &["loom"], ""),
            "[features]\nd = []\n\n[workspace]\n\n"
        );
    }
}
