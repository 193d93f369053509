//! Measures the SQLite store: records/s, bytes per record, query times, and memory under overload.
//!
//! `cargo bench --bench store` prints all tables for 10,000,000 records. It takes some minutes and
//! 7 GB in the temporary folder.
//!
//! - `-- --records 200000`, or `-- --quick`, gives a rough result.
//! - `-- --only PART` runs one part: `rate`, `queries`, `power` or `overload`. The part `fill`
//!   writes the records and prints nothing, for a profiler.
//! - `-- --folder DIR` puts the files into another folder. A temporary folder in memory makes
//!   `power` meaningless, because a sync does nothing there.

#[path = "../common/mod.rs"]
mod common;
mod contenders;
mod overload;
mod power;
mod queries;
mod rate;
mod rows;

use std::path::PathBuf;

fn main() {
    let default = if common::is_quick() { 200_000 } else { 10_000_000 };
    let records = common::option("--records").map_or(default, |text| {
        text.replace(['_', ','], "").parse().expect("`--records` takes a number")
    });
    let only = common::option("--only");
    let wants = |part: &str| only.as_deref().is_none_or(|only| only == part);
    let folder = common::option("--folder").map_or(std::env::temp_dir(), PathBuf::from);
    let folder = tempfile::tempdir_in(folder).expect("a temporary folder");

    if let Some(policy) = common::option("--overload") {
        let bytes = common::option("--bytes").and_then(|text| text.parse().ok());
        overload::measure(folder.path(), &policy, bytes.expect("`--bytes` takes a number"));
        return;
    }
    common::print_heading("The SQLite store");
    if wants("rate") {
        let trail = rate::run(folder.path(), records);
        if only.is_none() {
            queries::run(&trail);
        }
    } else if wants("queries") {
        queries::run(&rate::fill(folder.path(), records));
    } else if wants("fill") {
        rate::fill(folder.path(), records);
    }
    if wants("power") {
        power::run(folder.path());
    }
    if wants("overload") {
        overload::run();
    }
}
