//! Sixteen processes with eight threads each write to one file. Every thread has its own recorder.
//!
//! `AUDITED_RECORDS_PER_THREAD` sets how many records each thread makes. The default is 100.

mod common;

use std::path::Path;
use std::time::Duration;

use audited::{Audit, Context, SqliteStore, audit_method};
use common::{path_from_parent, read, rows, start_children, value};
use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::tempdir;

const PROCESSES: u64 = 16;
const THREADS: u64 = 8;

fn records_per_thread() -> u64 {
    std::env::var("AUDITED_RECORDS_PER_THREAD").map_or(100, |text| text.parse().expect("a number"))
}

#[audit_method(action = "count")]
fn count(_process: u64, _thread: u64, _number: u64) {}

#[audit_method(action = "count with process", durability = "process")]
fn count_with_process(_process: u64, _thread: u64, _number: u64) {}

#[audit_method(action = "count with power", durability = "power")]
fn count_with_power(_process: u64, _thread: u64, _number: u64) {}

/// The number of stored records of one recorder, seen by a connection outside the recorder.
fn stored(trail: &Connection, service: &str) -> u64 {
    let sql = "SELECT count(*) FROM audit_log WHERE service = ?1";
    trail.query_row(sql, [service], |row| row.get::<_, i64>(0)).unwrap() as u64
}

/// Makes the calls of one thread. Most are queued, some are durable, and sometimes it flushes.
fn record_calls(path: &Path, (process, thread): (u64, u64)) {
    let patient = Duration::from_secs(120);
    let store = SqliteStore::builder().busy_timeout(patient).open(path).unwrap();
    let service = format!("{process} {thread}");
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
        for number in 0..records_per_thread() {
            match number % 20 {
                3 | 13 => count_with_process(process, thread, number),
                17 => count_with_power(process, thread, number),
                _ => count(process, thread, number),
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
    assert_eq!((counters.written, counters.dropped, counters.failed), (records_per_thread(), 0, 0));
    assert_eq!(counters.unconfirmed, 0);
    audit.shutdown().unwrap();
}

/// The child's part.
#[test]
fn child_process_records_from_several_threads() {
    let Some(path) = path_from_parent() else { return };
    let process = std::env::var("AUDIT_TEST_PROCESS").unwrap().parse().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let path = &path;
            scope.spawn(move || record_calls(path, (process, thread)));
        }
    });
}

#[test]
fn many_recorders_store_every_call_once_and_in_order() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    for child in start_children("child_process_records_from_several_threads", PROCESSES, &path) {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    let all = (PROCESSES * THREADS * records_per_thread()) as i64;
    let number = |sql: &str| value::<i64>(&path, sql);
    assert_eq!(number("SELECT count(*) FROM audit_log"), all);
    assert_eq!(number("SELECT min(seq) FROM audit_log"), 1);
    assert_eq!(number("SELECT max(seq) FROM audit_log"), all);
    assert_eq!(number("SELECT count(DISTINCT id) FROM audit_log"), all);
    // Every call of a thread once and in order: the n-th record of a service is its n-th call.
    let calls =
        "SELECT service, input ->> '_process' || ' ' || (input ->> '_thread'), input ->> '_number'
        FROM audit_log ORDER BY service, seq";
    let (_, calls) = rows(&path, calls);
    for (n, call) in calls.iter().enumerate() {
        assert_eq!(call[0], call[1]);
        assert_eq!(
            call[2],
            Value::Integer((n as u64 % records_per_thread()) as i64),
            "{:?}",
            call[0]
        );
    }
    let recorded =
        |action: &str| number(&format!("SELECT count(*) FROM audit_log WHERE action = '{action}'"));
    let expected = |n: u64| {
        (PROCESSES * THREADS * (0..records_per_thread()).filter(|k| k % 20 == n).count() as u64)
            as i64
    };
    assert_eq!(recorded("count with process"), expected(3) + expected(13));
    assert_eq!(recorded("count with power"), expected(17));
    assert_eq!(
        number("SELECT count(DISTINCT service) FROM audit_log"),
        (PROCESSES * THREADS) as i64
    );
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
}
