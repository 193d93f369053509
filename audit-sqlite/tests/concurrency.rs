//! Several processes with several threads each write to one file, while another reads it.

mod common;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use audit_record::store::Sink as _;
use audit_sqlite::SqliteStore;
use common::{events, full, read, rows, value};
use rusqlite::types::Value;
use tempfile::tempdir;

const PROCESSES: usize = 4;
const THREADS: usize = 3;
const BATCHES: usize = 20;
const RECORDS: usize = 25;
const ALL: usize = PROCESSES * THREADS * BATCHES * RECORDS;

fn patient() -> audit_sqlite::SqliteStoreBuilder {
    SqliteStore::builder().busy_timeout(Duration::from_secs(120))
}

/// What one thread writes: actions that tell who wrote them, and names that all want to add.
fn write_as(who: &str, path: &Path) {
    let mut store = patient().open(path).unwrap();
    for batch in 0..BATCHES {
        let mut records = events(&format!("{who} {batch}"), RECORDS);
        for (n, record) in records.iter_mut().enumerate() {
            record.actor = Some(format!("actor {}", batch * RECORDS + n).into());
            record.changes = full().changes;
        }
        store.write(&records).unwrap();
    }
    store.close().unwrap();
}

#[test]
fn write_for_parent() {
    let Some(path) = std::env::var_os("AUDIT_TEST_PATH").map(PathBuf::from) else { return };
    let process = std::env::var("AUDIT_TEST_PROCESS").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (path, process) = (&path, &process);
            scope.spawn(move || write_as(&format!("{process} {thread}"), path));
        }
    });
}

/// Reads again and again: at each moment the trail is whole, up to some batch.
fn watch(path: &Path) {
    let reader = read(path);
    let mut seen = 0;
    while seen < ALL as i64 {
        let (count, first, last): (i64, Option<i64>, Option<i64>) = reader
            .query_row("SELECT count(*), min(seq), max(seq) FROM audit_log", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert!(count >= seen, "{seen} records became {count}");
        assert_eq!(count % RECORDS as i64, 0, "a part of a batch is visible");
        if count > 0 {
            assert_eq!((first, last), (Some(1), Some(count)), "seq has gaps");
        }
        seen = count;
    }
}

#[test]
fn nothing_is_lost_and_nothing_is_stored_twice() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    // No store is opened here first: the processes create and migrate the file all at once.
    let children: Vec<_> = (0..PROCESSES)
        .map(|process| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "write_for_parent"])
                .env("AUDIT_TEST_PATH", &path)
                .env("AUDIT_TEST_PROCESS", process.to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    patient().open(&path).unwrap();
    let watcher = std::thread::spawn({
        let path = path.clone();
        move || watch(&path)
    });
    for child in children {
        let output = child.wait_with_output().unwrap();
        if !output.status.success() {
            // Fails here at once: the watcher waits for records that now never come.
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            eprintln!("{}", String::from_utf8_lossy(&output.stdout));
            panic!("a writing process failed");
        }
    }
    watcher.join().unwrap();

    let (_, stored) = rows(&path, "SELECT action FROM audit_log ORDER BY seq");
    assert_eq!(stored.len(), ALL);
    let stored: HashSet<String> = stored
        .into_iter()
        .map(|mut row| match row.remove(0) {
            Value::Text(text) => text,
            other => panic!("the action is {other:?}"),
        })
        .collect();
    let mut expected = HashSet::new();
    for process in 0..PROCESSES {
        for thread in 0..THREADS {
            for batch in 0..BATCHES {
                expected.extend((0..RECORDS).map(|n| format!("{process} {thread} {batch} {n}")));
            }
        }
    }
    assert!(stored == expected);

    // Each string got one number, though all processes wanted to add it at the same time.
    assert_eq!(value::<i64>(&path, "SELECT count(DISTINCT text) - count(*) FROM audit_name"), 0);
    let wrong: i64 = value(
        &path,
        &format!(
            "SELECT count(*) FROM (
                 SELECT actor, count(*) AS writers FROM audit_log GROUP BY actor
             ) WHERE writers <> {}",
            PROCESSES * THREADS
        ),
    );
    assert_eq!(wrong, 0);
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_changes"), 3 * ALL as i64);
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
}

#[test]
fn many_threads_may_open_a_new_trail_at_once() {
    for _ in 0..20 {
        let directory = tempdir().unwrap();
        let path = directory.path().join("audit.db");
        std::thread::scope(|scope| {
            for n in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    patient().open(path).unwrap().write(&events(&format!("{n}"), 2)).unwrap();
                });
            }
        });
        assert_eq!(value::<i64>(&path, "SELECT max(seq) FROM audit_log"), 16);
    }
}
