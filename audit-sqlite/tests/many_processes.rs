//! Sixteen processes of eight threads each, every thread with a recorder of its own, on one file.
//!
//! `AUDITED_RECORDS_PER_THREAD` says how many records each of them makes; 100 unless set.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use audited::{Audit, Context, SqliteStore, audit_method};
use common::{read, rows, value};
use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::tempdir;

const PROCESSES: u64 = 16;
const THREADS: u64 = 8;

fn records() -> u64 {
    std::env::var("AUDITED_RECORDS_PER_THREAD").map_or(100, |text| text.parse().expect("a number"))
}

#[audit_method(action = "count")]
fn count(_process: u64, _thread: u64, _number: u64) {}

#[audit_method(action = "count for the process", durability = "process")]
fn count_for_process(_process: u64, _thread: u64, _number: u64) {}

#[audit_method(action = "count for the power", durability = "power")]
fn count_for_power(_process: u64, _thread: u64, _number: u64) {}

/// How many records of a recorder are stored, seen by a connection that is not the recorder's.
fn stored(trail: &Connection, service: &str) -> u64 {
    let sql = "SELECT count(*) FROM audit_log WHERE service = ?1";
    trail.query_row(sql, [service], |row| row.get::<_, i64>(0)).unwrap() as u64
}

/// What one thread does. Most of its calls are queued; some return when they, and those before them, are stored; now
/// and then it waits until all that it has recorded is stored.
fn record(path: &Path, who: (u64, u64)) {
    let patient = Duration::from_secs(120);
    let store = SqliteStore::builder().busy_timeout(patient).open(path).unwrap();
    let service = format!("{} {}", who.0, who.1);
    let trail = read(path);
    let audit = Audit::builder()
        .store(store)
        .service(&*service)
        .overflow(audited::Overflow::Block(patient))
        .close_timeout(patient)
        .wait_limit(patient)
        .build()
        .unwrap();
    Context::new().recorder(&audit).scope(|| {
        for number in 0..records() {
            match number % 20 {
                3 | 13 => count_for_process(who.0, who.1, number),
                17 => count_for_power(who.0, who.1, number),
                _ => count(who.0, who.1, number),
            }
            if number % 20 == 7 {
                audit.flush().unwrap();
            }
            if number % 100 == 13 || number % 100 == 37 {
                assert_eq!(stored(&trail, &service), number + 1);
            }
        }
    });
    audit.flush().unwrap();
    let counters = audit.counters();
    assert_eq!((counters.written, counters.dropped, counters.failed), (records(), 0, 0));
    assert_eq!(counters.unconfirmed, 0);
    audit.close().unwrap();
}

#[test]
fn record_for_parent() {
    let Some(path) = std::env::var_os("AUDIT_TEST_PATH").map(PathBuf::from) else { return };
    let process = std::env::var("AUDIT_TEST_PROCESS").unwrap().parse().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let path = &path;
            scope.spawn(move || record(path, (process, thread)));
        }
    });
}

#[test]
fn nothing_is_lost_and_nothing_is_twice() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let children: Vec<_> = (0..PROCESSES)
        .map(|process| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "record_for_parent"])
                .env("AUDIT_TEST_PATH", &path)
                .env("AUDIT_TEST_PROCESS", process.to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    let all = (PROCESSES * THREADS * records()) as i64;
    let number = |sql: &str| value::<i64>(&path, sql);
    assert_eq!(number("SELECT count(*) FROM audit_log"), all);
    assert_eq!(number("SELECT min(seq) FROM audit_log"), 1);
    assert_eq!(number("SELECT max(seq) FROM audit_log"), all);
    assert_eq!(number("SELECT count(DISTINCT id) FROM audit_log"), all);
    // All of each thread, once and in its order: the n-th record of a service is its n-th call.
    let calls =
        "SELECT service, input ->> '_process' || ' ' || (input ->> '_thread'), input ->> '_number'
        FROM audit_log ORDER BY service, seq";
    let (_, calls) = rows(&path, calls);
    for (n, call) in calls.iter().enumerate() {
        assert_eq!(call[0], call[1]);
        assert_eq!(call[2], Value::Integer((n as u64 % records()) as i64), "{:?}", call[0]);
    }
    let of =
        |action: &str| number(&format!("SELECT count(*) FROM audit_log WHERE action = '{action}'"));
    let each = |n: u64| {
        (PROCESSES * THREADS * (0..records()).filter(|k| k % 20 == n).count() as u64) as i64
    };
    assert_eq!(of("count for the process"), each(3) + each(13));
    assert_eq!(of("count for the power"), each(17));
    assert_eq!(
        number("SELECT count(DISTINCT service) FROM audit_log"),
        (PROCESSES * THREADS) as i64
    );
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
}
