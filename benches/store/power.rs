//! Measures calls that wait until their record is durable, compared with manual code.

use std::path::Path;
use std::time::{Duration, Instant};

use audited::{Audit, Durability, SqliteStore, audit_method};
use rusqlite::Connection;

use crate::common::{Table, thousands};

/// How long each contender runs in one turn.
const TURN: Duration = Duration::from_millis(500);
/// Turns per contender.
const TURNS: usize = 4;

#[audit_method(action = "transfer funds")]
fn transfer(from: u64, to: u64, purpose: &str) -> Result<u64, String> {
    if from == to { Err(format!("{purpose}: {from} is {to}")) } else { Ok(from ^ to) }
}

pub(crate) fn run(folder: &Path) {
    let mut insert = manual_insert(folder);
    let audits = [Durability::Process, Durability::Power].map(|durability| {
        let store = SqliteStore::open(folder.join(format!("{durability}.db"))).expect("a store");
        let audit = Audit::builder().store(store).durability(durability).build();
        (durability, audit.expect("a recorder"))
    });
    let mut names = vec!["manual code: one transaction per row, FULL".to_owned()];
    let mut rates = vec![Vec::new()];
    for turn in 0..TURNS {
        rates[0].push(rate(1, &mut insert));
        let mut next = 1;
        for (durability, audit) in &audits {
            let context = audited::Context::new().actor("alice").recorder(audit);
            for callers in [1, 16] {
                let call = |number: u64| _ = context.clone().scope(|| transfer(number, 0, "rent"));
                if turn == 0 {
                    names.push(format!("`durability = \"{durability}\"`, callers: {callers}"));
                    rates.push(Vec::new());
                }
                rates[next].push(rate_of_many(callers, call));
                next += 1;
            }
        }
    }
    let mut table = Table::new(["caller waits for its record", "calls/s", "ratio to first row"]);
    let rates: Vec<f64> = rates.iter_mut().map(|rates| crate::common::median(rates)).collect();
    for (name, rate) in names.into_iter().zip(&rates) {
        table.row([name, thousands(*rate), format!("{:.1}", rate / rates[0])]);
    }
    table.print();
    for (_, audit) in audits {
        assert_eq!(audit.counters().dropped, 0, "nothing was dropped");
        audit.shutdown().expect("the store closes");
    }
}

fn manual_insert(folder: &Path) -> impl FnMut(u64) {
    let connection = Connection::open(folder.join("manual.db")).expect("a database");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE audit (at TEXT, action TEXT, actor TEXT, input TEXT, output TEXT);
             CREATE INDEX by_actor ON audit (actor);",
        )
        .expect("a table");
    move |number| {
        let input = serde_json::json!({"from": number, "to": 0, "purpose": "rent"}).to_string();
        connection
            .prepare_cached("INSERT INTO audit VALUES (datetime(), ?1, ?2, ?3, ?4)")
            .expect("a statement")
            .execute(("transfer funds", "alice", input, number.to_string()))
            .expect("a row");
    }
}

/// Returns the calls/s of one caller.
fn rate(first: u64, mut call: impl FnMut(u64)) -> f64 {
    let begin = Instant::now();
    let mut number = first << 40;
    let made = loop {
        call(number);
        number += 1;
        if begin.elapsed() >= TURN {
            break number - (first << 40);
        }
    };
    made as f64 / begin.elapsed().as_secs_f64()
}

/// Returns the calls/s of all callers together.
fn rate_of_many(callers: u64, call: impl Fn(u64) + Sync) -> f64 {
    std::thread::scope(|scope| {
        let callers: Vec<_> = (1..=callers)
            .map(|n| {
                scope.spawn({
                    let call = &call;
                    move || rate(n, call)
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().expect("no thread panicked")).sum()
    })
}
