//! Builds the test programs of a package and reads the compiler's messages.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo::cargo;
use crate::crates::Subject;

/// The result of a build.
#[derive(Debug, Default)]
pub(crate) struct Build {
    /// Whether every test program was built.
    pub(crate) complete: bool,
    /// Errors in the package's own code, in the compiler's order.
    pub(crate) errors: Vec<CompileError>,
    /// Warnings in the package's own code.
    pub(crate) warnings: usize,
    /// The package's own files of which the library, the programs and the tests are built.
    pub(crate) sources: BTreeSet<PathBuf>,
}

/// An error in the package's own code.
#[derive(Debug)]
pub(crate) struct CompileError {
    /// The first line of the compiler's message, with the error code.
    pub(crate) message: String,
    /// The complete message as the compiler prints it.
    pub(crate) rendered: String,
    /// Files of the package and byte offsets in them, the most likely causes first.
    pub(crate) places: Vec<(PathBuf, usize)>,
}

/// Builds the library, the programs and the tests in `folder`.
///
/// # Errors
///
/// If the build fails for a reason outside of the package's own code.
pub(crate) fn build(work_folder: &Path, folder: &Path, subject: &Subject) -> Result<Build> {
    let mut command = cargo(work_folder, folder);
    command.args(["build", "--tests", "--keep-going", "--message-format=json"]).args(subject.cargo);
    let output = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .context("cannot start cargo")?;
    let mut build = Build { complete: output.status.success(), ..Build::default() };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        let own = message["manifest_path"]
            .as_str()
            .is_some_and(|path| Path::new(path) == folder.join("Cargo.toml"));
        match message["reason"].as_str() {
            Some("compiler-message") if own => build.add_message(&message["message"]),
            Some("compiler-message") if message["message"]["level"] == "error" => {
                bail!("a dependency does not build: {}", text(&message["message"]["rendered"]));
            }
            Some("compiler-artifact") if own => build.sources.extend(sources(&message, folder)),
            _ => {}
        }
    }
    if !build.complete && build.errors.is_empty() {
        bail!("{} does not build\n{}", folder.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(build)
}

impl Build {
    fn add_message(&mut self, message: &Value) {
        // The final "aborting due to 3 errors" has no place and adds nothing.
        let placed = message["spans"].as_array().is_some_and(|spans| !spans.is_empty());
        match message["level"].as_str() {
            Some("error" | "error: internal compiler error") if placed || !is_summary(message) => {
                self.errors.push(CompileError::of(message));
            }
            Some("warning") if placed => self.warnings += 1,
            _ => {}
        }
    }
}

fn is_summary(message: &Value) -> bool {
    let text = text(&message["message"]);
    text.starts_with("aborting due to") || text.starts_with("could not compile")
}

impl CompileError {
    fn of(diagnostic: &Value) -> Self {
        let mut primary = Vec::new();
        let mut others = Vec::new();
        places(diagnostic, &mut primary, &mut others);
        primary.append(&mut others);
        let line = text(&diagnostic["message"]).lines().next().unwrap_or_default().to_owned();
        let code = diagnostic["code"]["code"].as_str();
        let message = code.map_or_else(|| line.clone(), |code| format!("{code}: {line}"));
        let rendered = text(&diagnostic["rendered"]).to_owned();
        Self { message, rendered, places: primary }
    }
}

/// Collects the places of a diagnostic and of its notes.
fn places(
    message: &Value,
    primary: &mut Vec<(PathBuf, usize)>,
    others: &mut Vec<(PathBuf, usize)>,
) {
    for span in message["spans"].as_array().into_iter().flatten() {
        let list = if span["is_primary"] == true { &mut *primary } else { &mut *others };
        // Code from a macro also counts for the macro's call, up to the outermost one.
        let mut span = span;
        while let (Some(file), Some(offset)) =
            (span["file_name"].as_str(), span["byte_start"].as_u64())
        {
            list.push((PathBuf::from(file), offset as usize));
            span = &span["expansion"]["span"];
        }
    }
    for child in message["children"].as_array().into_iter().flatten() {
        let mut below = Vec::new();
        places(child, &mut below, others);
        others.append(&mut below);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns the package's files of which an artifact was built, as listed in its dep-info file.
fn sources(artifact: &Value, folder: &Path) -> Vec<PathBuf> {
    if artifact["target"]["kind"].to_string().contains("custom-build") {
        return Vec::new();
    }
    let files = artifact["filenames"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let dep_infos =
        files.filter_map(|file| fs::read_to_string(dep_info_path(Path::new(file))).ok());
    let mut sources = Vec::new();
    for dep_info in dep_infos {
        sources.extend(
            dep_info_sources(&dep_info)
                .map(PathBuf::from)
                .filter_map(|file| own_source(&file, folder)),
        );
    }
    sources
}

/// Returns the dep-info file of an artifact: `deps/name-1234.d` for `deps/libname-1234.rmeta` and
/// for `deps/name-1234`.
fn dep_info_path(artifact: &Path) -> PathBuf {
    let stem = artifact.file_stem().unwrap_or_default().to_string_lossy();
    let library = artifact.extension().is_some();
    let stem = if library { stem.strip_prefix("lib").unwrap_or(&stem) } else { &stem };
    artifact.with_file_name(format!("{stem}.d"))
}

/// Returns the files that a dep-info file lists in makefile syntax.
fn dep_info_sources(dep_info: &str) -> impl Iterator<Item = String> {
    let rules = dep_info
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(": "));
    // A space inside a name is escaped. No path here contains a zero byte.
    let files = rules.map(|(_, files)| files.replace("\\ ", "\u{0}")).collect::<Vec<_>>().join(" ");
    let files: Vec<_> = files.split(' ').map(|file| file.replace('\u{0}', " ")).collect();
    files.into_iter()
}

fn own_source(file: &Path, folder: &Path) -> Option<PathBuf> {
    let own = if file.is_absolute() { file.strip_prefix(folder).ok()? } else { file };
    (own.extension()? == "rs" && folder.join(own).is_file()).then(|| own.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dep_info_file_is_beside_the_artifact() {
        assert_eq!(
            dep_info_path(Path::new("/t/deps/liba_b-12.rmeta")),
            Path::new("/t/deps/a_b-12.d")
        );
        assert_eq!(
            dep_info_path(Path::new("/t/deps/libtest-12")),
            Path::new("/t/deps/libtest-12.d")
        );
    }

    #[test]
    fn file_names_in_dep_info_may_contain_spaces() {
        let dep_info = "/t/a.d: src/lib.rs src/a\\ b.rs\n\nsrc/lib.rs:\n# env-dep:X=: y\n";
        assert_eq!(dep_info_sources(dep_info).collect::<Vec<_>>(), ["src/lib.rs", "src/a b.rs"]);
    }

    #[test]
    fn the_places_of_an_error_are_the_primary_one_its_macro_call_and_then_the_notes() {
        let message = serde_json::json!({
            "message": "mismatched types\nmore", "code": {"code": "E0308"},
            "spans": [
                {"is_primary": false, "file_name": "src/b.rs", "byte_start": 2},
                {"is_primary": true, "file_name": "src/m.rs", "byte_start": 7,
                 "expansion": {"span": {"file_name": "src/a.rs", "byte_start": 5, "expansion": null}}}
            ],
            "children": [{"spans": [{"is_primary": true, "file_name": "src/c.rs", "byte_start": 9}]}]
        });
        let error = CompileError::of(&message);
        assert_eq!(error.message, "E0308: mismatched types");
        let places: Vec<_> =
            error.places.iter().map(|(file, at)| (file.to_str().unwrap(), *at)).collect();
        assert_eq!(places, [("src/m.rs", 7), ("src/a.rs", 5), ("src/b.rs", 2), ("src/c.rs", 9)]);
    }
}
