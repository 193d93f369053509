//! Measures how long it takes to read the history of one object from a large trail.
//!
//! `cargo bench --bench history` writes a trail of 1,000,000 records with one change each and reads
//! random objects. `cargo bench --bench history -- 10000000` writes 10,000,000 records, which takes
//! some minutes and a few GB in the temporary folder. Each object has ten changes, spread over the
//! whole trail. The file is in the page cache, as in a service that reads it often.

#[path = "common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use audited::record::{ChangeKind, FieldChange, Kind};
use audited::store::Store;
use audited::{Audit, Json, Record, SqliteStore, audited_fields};
use chrono::{DateTime, Utc};
use common::{Table, percentile, thousands};

/// Records per transaction.
const BATCH: u64 = 4_096;
/// Changes per object.
const CHANGES: u64 = 10;
/// Queries of each kind.
const QUERIES: usize = 200;

#[audited_fields(price; key = id)]
struct Product {
    id: u64,
    price: u64,
}

fn main() {
    common::print_heading("Reading the history of one object");
    let records = std::env::args().find_map(|argument| argument.parse().ok());
    let records = records.unwrap_or(if common::is_quick() { 100_000 } else { 1_000_000 });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("audit.db");
    let begin = Instant::now();
    fill(&path, records);
    let size = std::fs::metadata(&path).expect("the trail").len();
    println!(
        "A trail of {} records, {} MB, written in {:.0} s. {QUERIES} queries of each kind.\n",
        thousands(records as f64),
        size / 1_000_000,
        begin.elapsed().as_secs_f64()
    );

    let audit = Audit::builder().store(SqliteStore::open(&path).expect("a trail")).build();
    let audit = audit.expect("a recorder");
    let objects = records / CHANGES;
    let history = |number: u64| audit.history::<Product>(number % objects).expect("a history");
    let now = Utc::now();
    let mut table = Table::new(["query for one object", "p50, ms", "p95, ms"]);
    measure(&mut table, "all changes", |number| {
        assert_eq!(history(number).changes().count() as u64, CHANGES);
    });
    measure(&mut table, "its creation", |number| {
        assert!(history(number).creation().expect("readable").is_some());
    });
    measure(&mut table, "the last change of a field", |number| {
        assert!(history(number).last_change_of("price").expect("readable").is_some());
    });
    measure(&mut table, "its state at a time", |number| {
        assert!(history(number).as_of(now).expect("readable").is_some());
    });
    table.print();
}

fn fill(path: &std::path::Path, records: u64) {
    let mut store = SqliteStore::open(path).expect("a new trail");
    let begin: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().expect("a time");
    let objects = records / CHANGES;
    let json = |number: u64| Json::parse(number.to_string()).ok();
    for first in (0..records).step_by(BATCH as usize) {
        let batch = (first..(first + BATCH).min(records)).map(|number| {
            let at = begin + Duration::from_micros(number);
            let mut record = Record::new(Kind::Change, "change Product", at);
            record.actor = Some(format!("clerk {}", number % 97).into());
            let (kind, before) = match number / objects {
                0 => (ChangeKind::Created, None),
                turn => (ChangeKind::Changed, json(turn - 1)),
            };
            let (id, after) = ((number % objects).to_string(), json(number / objects));
            record.target_type = Some("Product".into());
            record.target_id = Some(id.clone());
            record.changes =
                vec![FieldChange::new("Product", id, kind, "price", before, after, at)];
            record
        });
        store.write(&batch.collect::<Vec<_>>()).expect("the store accepts the records");
    }
    store.close().expect("the store closes");
}

/// Adds a row with the median and the 95th percentile of the query's times.
fn measure(table: &mut Table, name: &str, query: impl Fn(u64)) {
    let mut times: Vec<f64> = (0..QUERIES)
        .map(|n| {
            // Spread over all objects in no particular order.
            let number = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            let begin = Instant::now();
            query(number);
            begin.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    let [p50, p95] = [50, 95].map(|percent| format!("{:.2}", percentile(&mut times, percent)));
    table.row([name.to_owned(), p50, p95]);
}
