//! What SQLite takes: records a second, bytes a record, time of a question, memory under flood.
//!
//! `cargo bench --bench store` prints the tables that the README carries, at ten million records, which takes some
//! minutes and 7 GB in the temporary folder; `-- --records 200000`, or `-- --quick`, is a quick look. `-- --only rate`
//! (or `queries`, `flood`, `power`; `fill` for a profiler) does a part, and `-- --folder DIR` puts the files elsewhere
//! than in the temporary folder: a sync means nothing in one that is only memory.

#[path = "../common/mod.rs"]
mod common;
mod contenders;
mod flood;
mod power;
mod queries;
mod rate;
mod rows;

use std::path::PathBuf;

fn main() {
    let usual = if common::is_quick() { 200_000 } else { 10_000_000 };
    let records = common::option("--records").map_or(usual, |text| {
        text.replace(['_', ','], "").parse().expect("`--records` takes a number")
    });
    let only = common::option("--only");
    let wants = |part: &str| only.as_deref().is_none_or(|only| only == part);
    let folder = common::option("--folder").map_or(std::env::temp_dir(), PathBuf::from);
    let folder = tempfile::tempdir_in(folder).expect("a temporary folder");

    if let Some(policy) = common::option("--flood") {
        let bytes = common::option("--bytes").and_then(|text| text.parse().ok());
        flood::flood(folder.path(), &policy, bytes.expect("`--bytes` takes a number"));
        return;
    }
    common::print_heading("Storing and asking");
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
    if wants("flood") {
        flood::run();
    }
}
