//! Downloads published crates and makes copies of them that build on their own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::crates::Subject;

/// Files that a copy gets from elsewhere (manifest, lock file), and files that would change how it
/// is built.
const NOT_COPIED: [&str; 6] = [
    "Cargo.toml",
    "Cargo.lock",
    ".cargo",
    ".cargo-checksum.json",
    "rust-toolchain",
    "rust-toolchain.toml",
];

/// Downloads the crate with `cargo vendor` and returns its folder. An earlier download is reused.
///
/// # Errors
///
/// If the download fails, or the folder cannot be written.
pub(crate) fn fetch(work_folder: &Path, subject: &Subject) -> Result<PathBuf> {
    let label = format!("{}-{}", subject.name, subject.version);
    let fetched = work_folder.join("fetch").join(&label);
    if fetched.exists() {
        return Ok(fetched);
    }
    // A temporary package that depends on the crate. `cargo vendor` also accepts crates without a
    // library as dependencies.
    let temporary = work_folder.join("fetch/temporary");
    write(
        &temporary.join("Cargo.toml"),
        &format!(
            "[package]\nname = \"temporary\"\nedition = \"2021\"\n\n[workspace]\n\n[dependencies]\n{} = \"={}\"\n",
            subject.name, subject.version
        ),
    )?;
    write(&temporary.join("src/lib.rs"), "")?;
    cargo::output(cargo::cargo(work_folder, &temporary).args([
        "vendor",
        "--quiet",
        "--versioned-dirs",
        "vendor",
    ]))?;
    fs::rename(temporary.join("vendor").join(&label), &fetched)
        .with_context(|| format!("`cargo vendor` did not download {label}"))?;
    fs::remove_dir_all(&temporary)?;
    Ok(fetched)
}

/// Copies the downloaded package to `folder`, with `dependencies` added to its manifest and without
/// the files in `except`, which the caller writes.
///
/// Unchanged files keep their modification time, so a second run rebuilds nothing.
///
/// # Errors
///
/// If a file cannot be read or written.
pub(crate) fn copy_package(
    fetched: &Path,
    folder: &Path,
    subject: &Subject,
    dependencies: &str,
    except: &BTreeSet<PathBuf>,
) -> Result<()> {
    copy(fetched, folder, Path::new(""), except)?;
    let (published, lock) = (fetched.join("Cargo.lock"), folder.join("Cargo.lock"));
    if published.exists() && !lock.exists() {
        fs::copy(published, lock)?;
    }
    let manifest = fs::read_to_string(fetched.join("Cargo.toml"))?;
    let manifest = isolated_manifest(&manifest, subject.without, dependencies);
    write(&folder.join("Cargo.toml"), &manifest)
}

/// Copies everything below `inner` from one folder to the other.
fn copy(from: &Path, to: &Path, inner: &Path, except: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(from.join(inner))? {
        let entry = entry?;
        let inner = inner.join(entry.file_name());
        if NOT_COPIED.iter().any(|file| inner == Path::new(file)) || except.contains(&inner) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(from, to, &inner, except)?;
        } else {
            write_bytes(&to.join(&inner), &fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// Writes a file and its folder, unless it already has this content.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    write_bytes(path, text.as_bytes())
}

fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|current| current == bytes) {
        return Ok(());
    }
    let written =
        path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, bytes));
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Returns the published manifest as a workspace of its own, with additional `dependencies` and
/// without some dev-dependencies.
///
/// Cargo has normalised a published manifest, so each dependency has its own table.
fn isolated_manifest(manifest: &str, without: &[&str], dependencies: &str) -> String {
    let mut isolated = String::with_capacity(manifest.len() + dependencies.len() + 16);
    let mut dropping = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            dropping =
                without.iter().any(|name| line.contains(&format!("dev-dependencies.{name}]")));
        }
        if !dropping {
            isolated.push_str(line);
            isolated.push('\n');
        }
    }
    isolated.push_str("\n[workspace]\n\n");
    isolated.push_str(dependencies);
    isolated
}

/// A root file of a target that `cargo test` builds.
#[derive(Debug)]
pub(crate) struct Root {
    /// Relative to the package.
    pub(crate) file: PathBuf,
    /// The edition as written in the manifest.
    pub(crate) edition: String,
}

/// Returns the root files of the package's library, programs and tests.
///
/// # Errors
///
/// If cargo cannot read the package.
pub(crate) fn roots(work_folder: &Path, folder: &Path) -> Result<Vec<Root>> {
    let metadata = cargo::output(cargo::cargo(work_folder, folder).args([
        "metadata",
        "--no-deps",
        "--format-version=1",
    ]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let Some(targets) = metadata["packages"][0]["targets"].as_array() else {
        bail!("`cargo metadata` lists no targets for {}", folder.display());
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
    use super::isolated_manifest;

    #[test]
    fn the_manifest_becomes_a_workspace_without_the_dependencies_of_benchmarks() {
        let published = "[package]\nname = \"a\"\n\n[dev-dependencies.b]\nversion = \"1\"\n\n[dev-dependencies.bc]\nversion = \"2\"\n";
        let manifest = isolated_manifest(published, &["b"], "[dependencies.x]\npath = \"y\"\n");
        let expected = "[package]\nname = \"a\"\n\n[dev-dependencies.bc]\nversion = \"2\"\n\n[workspace]\n\n[dependencies.x]\npath = \"y\"\n";
        assert_eq!(manifest, expected);
    }

    #[test]
    fn a_platform_specific_dependency_can_be_removed_too() {
        let published =
            "[target.'cfg(loom)'.dev-dependencies.loom]\nversion = \"1\"\n[features]\nd = []\n";
        assert_eq!(
            isolated_manifest(published, &["loom"], ""),
            "[features]\nd = []\n\n[workspace]\n\n"
        );
    }
}
