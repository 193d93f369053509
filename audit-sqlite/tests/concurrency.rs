//! Several processes with several threads each write to one file, while another process reads it.

mod common;

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use audit_record::store::Store as _;
use audit_sqlite::SqliteStore;
use common::{actions, events, full, path_from_parent, read, start_children, value};
use tempfile::tempdir;

const PROCESSES: usize = 4;
const THREADS: usize = 3;
const BATCHES: usize = 20;
const RECORDS: usize = 25;
const ALL: usize = PROCESSES * THREADS * BATCHES * RECORDS;

/// A builder whose stores wait long for locks.
fn patient() -> audit_sqlite::SqliteStoreBuilder {
    SqliteStore::builder().busy_timeout(Duration::from_secs(120))
}

/// Writes the records of one thread. Their actions name the thread, and their actors are names that
/// all threads add at the same time.
fn write_as(writer: &str, path: &Path) {
    let mut store = patient().open(path).unwrap();
    for batch in 0..BATCHES {
        let mut records = events(&format!("{writer} {batch}"), RECORDS);
        for (n, record) in records.iter_mut().enumerate() {
            record.actor = Some(format!("actor {}", batch * RECORDS + n).into());
            record.changes = full().changes;
        }
        store.write(&records).unwrap();
    }
    store.close().unwrap();
}

/// The child's part.
#[test]
fn child_process_writes_from_several_threads() {
    let Some(path) = path_from_parent() else { return };
    let process = std::env::var("AUDIT_TEST_PROCESS").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (path, process) = (&path, &process);
            scope.spawn(move || write_as(&format!("{process} {thread}"), path));
        }
    });
}

/// Reads repeatedly, and asserts that the trail always ends with a whole batch.
fn watch_until_complete(path: &Path) {
    let reader = read(path);
    let mut seen = 0;
    while seen < ALL as i64 {
        let (count, first, last): (i64, Option<i64>, Option<i64>) = reader
            .query_row("SELECT count(*), min(seq), max(seq) FROM audit_log", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert!(count >= seen, "{seen} records became {count}");
        assert_eq!(count % RECORDS as i64, 0, "part of a batch is visible");
        if count > 0 {
            assert_eq!((first, last), (Some(1), Some(count)), "seq has gaps");
        }
        seen = count;
    }
}

#[test]
fn concurrent_processes_store_every_record_once() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    // No store is opened before: the processes create and migrate the file at the same time.
    let children =
        start_children("child_process_writes_from_several_threads", PROCESSES as u64, &path);
    patient().open(&path).unwrap();
    let watcher = std::thread::spawn({
        let path = path.clone();
        move || watch_until_complete(&path)
    });
    for child in children {
        let output = child.wait_with_output().unwrap();
        if !output.status.success() {
            // The watcher thread would wait forever for the missing records, so it is not joined.
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            eprintln!("{}", String::from_utf8_lossy(&output.stdout));
            panic!("a writing process failed");
        }
    }
    watcher.join().unwrap();

    let stored = actions(&path);
    assert_eq!(stored.len(), ALL);
    let stored: HashSet<String> = stored.into_iter().collect();
    let mut expected = HashSet::new();
    for process in 0..PROCESSES {
        for thread in 0..THREADS {
            for batch in 0..BATCHES {
                expected.extend((0..RECORDS).map(|n| format!("{process} {thread} {batch} {n}")));
            }
        }
    }
    assert!(stored == expected);

    // Every name got one number, although all processes added it at the same time.
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
fn many_threads_can_create_a_trail_at_the_same_time() {
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
