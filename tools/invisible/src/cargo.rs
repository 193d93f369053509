//! Runs `cargo` without the settings of this machine or workspace.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Seconds after which a build or a test run is ended.
const LIMIT: &str = "1800";

/// Returns a command for `cargo` in `folder` that builds into `<work_folder>/build`. Environment
/// variables that would change the result are removed.
pub(crate) fn cargo(work_folder: &Path, folder: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.arg("--kill-after=10").arg(LIMIT);
    command.arg(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(folder).env("CARGO_TARGET_DIR", work_folder.join("build"));
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUST_BACKTRACE", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command.env("CARGO_TERM_COLOR", "never").env("CARGO_PROFILE_DEV_DEBUG", "0");
    // Snapshot tests only compare and write no files.
    command.env("INSTA_UPDATE", "no");
    command
}

/// Runs the command and returns its standard output. It is an error if the command fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}
