//! How long it takes to read the history of one object from a large trail.
//!
//! `cargo bench --bench history` makes a trail of a million records with a change each, and asks for objects at
//! random; `cargo bench --bench history -- 10000000` makes one of ten million, which takes some minutes and a few
//! gigabytes in the temporary folder. Every object was changed ten times, spread over all of the trail. The file is in
//! the operating system's cache, as that of a service that is asked often.

#[path = "common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use audited::{
    Audit, ChangeKind, FieldChange, Json, Kind, Record, Sink, SqliteStore, audited_fields,
};
use chrono::{DateTime, Utc};

/// Records of one transaction.
const BATCH: u64 = 4_096;
/// Changes of one object.
const CHANGES: u64 = 10;
/// Questions of each kind.
const QUESTIONS: usize = 200;

#[audited_fields(price; key = id)]
struct Product {
    id: u64,
    price: u64,
}

fn main() {
    common::print_heading("Reading back the history of an object");
    let records = std::env::args().find_map(|word| word.parse().ok());
    let records = records.unwrap_or(if common::is_quick() { 100_000 } else { 1_000_000 });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("audit.db");
    let begin = Instant::now();
    fill(&path, records);
    let size = std::fs::metadata(&path).expect("the trail").len();
    println!(
        "{records} records, {} MB, written in {:.0} s",
        size / 1_000_000,
        begin.elapsed().as_secs_f64()
    );

    let audit = Audit::builder().store(SqliteStore::open(&path).expect("a trail")).build();
    let audit = audit.expect("a recorder");
    let objects = records / CHANGES;
    let history = |number: u64| audit.history::<Product>(number % objects).expect("a history");
    let now = Utc::now();
    println!("\n| of one object | p50, ms | p95, ms |\n|---|---:|---:|");
    print("all changes", |number| {
        assert_eq!(history(number).changes().count() as u64, CHANGES);
    });
    print("the creation", |number| {
        assert!(history(number).creation().expect("readable").is_some());
    });
    print("the last change of a field", |number| {
        assert!(history(number).last_change_of("price").expect("readable").is_some());
    });
    print("the state at a time", |number| {
        assert!(history(number).as_of(now).expect("readable").is_some());
    });
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
        store.write(&batch.collect::<Vec<_>>()).expect("the store takes them");
    }
    store.close().expect("the store closes");
}

/// Prints the median and the 95th percentile of the questions.
fn print(name: &str, ask: impl Fn(u64)) {
    let mut times: Vec<f64> = (0..QUESTIONS)
        .map(|n| {
            // Spread over all objects, in no order.
            let number = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            let begin = Instant::now();
            ask(number);
            begin.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("| {name} | {:.2} | {:.2} |", times[QUESTIONS / 2], times[QUESTIONS * 95 / 100]);
}
