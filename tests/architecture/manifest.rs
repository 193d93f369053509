//! The little that the checks need of a `Cargo.toml`: the package's name and its dependencies.

use std::fs;
use std::path::Path;

/// What was read of a `Cargo.toml`.
pub(crate) struct Manifest {
    pub(crate) package: String,
    /// Names of normal dependencies with their line; those of tests and build scripts are left out.
    pub(crate) dependencies: Vec<(String, usize)>,
}

impl Manifest {
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text =
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).ok_or_else(|| format!("{}: no `name` under `[package]`", path.display()))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut section = "";
        let mut package = None;
        let mut dependencies = Vec::new();
        for (line, number) in text.lines().map(str::trim).zip(1..) {
            if let Some(header) = line.strip_prefix('[') {
                section = header.trim_end_matches(']');
                // `[dependencies.name]`
                if let Some(name) = section.strip_prefix("dependencies.") {
                    dependencies.push((name.to_owned(), number));
                }
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            // `name.workspace = true`
            let key = key.trim().split('.').next().unwrap_or_default();
            if section == "package" && key == "name" {
                package = Some(value.trim().trim_matches('"').to_owned());
            }
            let is_normal = section == "dependencies"
                || section.starts_with("target.") && section.ends_with(".dependencies");
            if is_normal && !key.starts_with('#') {
                let package =
                    value.split_once("package").and_then(|(_, rest)| rest.split('"').nth(1));
                dependencies.push((package.unwrap_or(key).to_owned(), number));
            }
        }
        Some(Self { package: package?, dependencies })
    }
}
