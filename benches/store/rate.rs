//! Measures records/s and bytes per record.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::{Table, thousands};
use crate::contenders::{Ceiling, Contender, Naive, Ours};
use crate::rows::Rows;

/// Records per transaction, as in the recorder's largest batch.
const BATCH: usize = 4_096;
/// Batches per turn of a contender.
const TURN: usize = 4;

/// Fills a trail with `records`, prints the tables, and returns the path of the trail.
pub(crate) fn run(folder: &Path, records: u64) -> PathBuf {
    let mut rows = Rows::new();
    let mut ours = Ours::new(folder);
    let mut ceiling = Ceiling::new(folder);
    let tenth = records / 10;
    let first = {
        let mut naive = Naive::new(folder);
        race(&mut rows, tenth, &mut [&mut ours, &mut ceiling, &mut naive])
    };
    print(&format!("first {} records", thousands(tenth as f64)), &first);
    race(&mut rows, records - 2 * tenth, &mut [&mut ours]);
    let last = race(&mut rows, tenth, &mut [&mut ours, &mut ceiling]);
    print(&format!("last tenth of {} records", thousands(records as f64)), &last);
    println!(
        "Rate of `SqliteStore` in the last tenth compared with the first: {:.2}; relative to the rows \
         without an index: {:.2}\n",
        last[0].rate / first[0].rate,
        (last[0].rate / last[1].rate) / (first[0].rate / first[1].rate)
    );
    ours.path().to_owned()
}

/// Fills a trail and prints nothing, for a profiler.
pub(crate) fn fill(folder: &Path, records: u64) -> PathBuf {
    let mut ours = Ours::new(folder);
    race(&mut Rows::new(), records, &mut [&mut ours]);
    ours.path().to_owned()
}

struct Result {
    name: &'static str,
    rate: f64,
    bytes: f64,
}

/// Lets the contenders store the same `records` in turns of a few batches.
fn race(rows: &mut Rows, records: u64, contenders: &mut [&mut dyn Contender]) -> Vec<Result> {
    let before: Vec<i64> = contenders.iter().map(|contender| contender.bytes()).collect();
    let mut times = vec![Duration::ZERO; contenders.len()];
    let mut left = records as usize;
    while left > 0 {
        let mut batches = Vec::with_capacity(TURN);
        while left > 0 && batches.len() < TURN {
            let size = left.min(BATCH);
            batches.push(rows.batch(size));
            left -= size;
        }
        for (contender, time) in contenders.iter_mut().zip(&mut times) {
            *time += batches.iter().map(|batch| contender.store(batch)).sum::<Duration>();
        }
    }
    let results = contenders.iter().zip(times).zip(before);
    results
        .map(|((contender, time), before)| Result {
            name: contender.name(),
            rate: records as f64 / time.as_secs_f64(),
            bytes: (contender.bytes() - before) as f64 / records as f64,
        })
        .collect()
}

fn print(title: &str, results: &[Result]) {
    let mut table = Table::new([title, "records/s", "ratio to no index", "bytes/record"]);
    for result in results {
        table.row([
            result.name.to_owned(),
            thousands(result.rate),
            format!("{:.2}", result.rate / results[1].rate),
            format!("{:.0}", result.bytes),
        ]);
    }
    table.print();
}
