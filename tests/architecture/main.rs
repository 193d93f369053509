//! Checks that the files of each crate import each other in one direction only.
//!
//! `ARCHITECTURE.md` declares the direction. Run this test after moving code between files, and
//! with `AUDITED_PRINT_IMPORTS=1` to see what stands in the way of a move.
//!
//! # Usage
//!
//! ```sh
//! # Check:
//! cargo test -p audited --test architecture
//! # Print all imports, then check:
//! AUDITED_PRINT_IMPORTS=1 cargo test -p audited --test architecture -- --nocapture
//! ```
//!
//! With `AUDITED_PRINT_IMPORTS=1`, every import between files is printed as `from → to: names`,
//! crate by crate, and then the cycles: groups of files in which each file leads to each other one.
//!
//! # The declaration
//!
//! `ARCHITECTURE.md` has one fenced block for each crate of the workspace (the root package, and
//! the packages in the folders directly below it):
//!
//! ````text
//! ```floors audit-core
//! # Lowest floor first. Text after a `#` is a comment.
//! busy.rs clock.rs
//! capture/
//! recorder/settings.rs
//! recorder/ call/
//! lib.rs private.rs
//! recursion: capture/ser.rs capture/compound.rs
//! crate: audit-record
//! crate: audit-other in call/ recorder/writer.rs
//! ```
//! ````
//!
//! - Each line is a floor. A file may import from the files of its own floor and from lower floors.
//! - An entry is a file (`clock.rs`) or all files below a folder (`capture/`, which includes
//!   `capture/mod.rs`, but not `capture.rs`). Paths are relative to `src`. If several entries
//!   match, the longest one counts: above, `recorder/settings.rs` is on a lower floor than the rest
//!   of `recorder/`.
//! - Files never import each other in a cycle, not even on one floor, unless all files of the cycle
//!   are listed in one `recursion:` line.
//! - Only the crates of the workspace that have a `crate:` line may be imported: by all files, or
//!   with `in` only by the files and folders listed. `Cargo.toml` must have the same crates as
//!   dependencies.
//!
//! Every file must be on a floor, and every entry must match a file. What counts as an import is
//! described in `imports.rs`. Code under `#[cfg(test)]` is ignored.

mod cases;
mod cfg;
mod check;
mod floors;
mod graph;
mod imports;
mod manifest;
mod resolve;
mod source;

use std::fs;
use std::path::Path;

use source::Workspace;

#[test]
fn imports_follow_the_declared_floors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = Workspace::load(root).unwrap();
    if std::env::var_os("AUDITED_PRINT_IMPORTS").is_some_and(|value| value != "0") {
        println!("{}", graph::describe(&workspace, &imports::collect(&workspace)));
    }
    let document = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let failures = check::check(&workspace, &document).unwrap();
    assert!(failures.is_empty(), "\n\n{}\n", failures.join("\n\n"));
}
