//! A trail whose file loses its content while the recorder runs: no call is acknowledged, and nothing
//! is lost once the content is back.

#![cfg(all(unix, feature = "sqlite"))]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audited::store::Status;
use audited::{Audit, Context, Refused, SqliteStore, audit_method};
use tempfile::TempDir;

#[audit_method(action = "work")]
fn work(number: u64) -> u64 {
    number
}

#[audit_method(action = "pay", durability = "power")]
fn pay(number: u64) -> u64 {
    number
}

#[audit_method(action = "book", durability = "process")]
fn book(number: u64) -> u64 {
    number
}

#[audit_method(action = "wire", on_audit_failure = "refuse")]
fn wire(number: u64) -> Result<u64, Refused> {
    Ok(number)
}

struct Trail {
    _directory: TempDir,
    path: PathBuf,
    audit: Audit,
}

/// A recorder that has stored 25 records, and waits only briefly.
fn trail() -> Trail {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let audit = Audit::builder()
        .store(SqliteStore::open(&path).unwrap())
        .wait_limit(Duration::from_millis(100))
        .close_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    Context::new().recorder(&audit).scope(|| {
        (0..20).for_each(|n| _ = work(n));
        (0..5).for_each(|n| _ = wire(n).unwrap());
    });
    audit.flush().unwrap();
    Trail { _directory: directory, path, audit }
}

fn count(path: &Path) -> i64 {
    let trail = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT count(*) FROM audit_log WHERE action IN ('work', 'book', 'pay')";
    trail.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn nothing_is_acknowledged_while_the_content_of_the_trail_is_missing() {
    let file_of = |path: &Path, suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    for (suffix, reason) in [
        ("", "its content was deleted since it was opened"),
        ("-wal", "the `-wal` file beside it was cut or overwritten"),
    ] {
        let Trail { _directory, path, audit } = trail();
        let file = file_of(&path, suffix);
        let saved = fs::read(&file).unwrap();
        fs::write(&file, "").unwrap();
        Context::new().recorder(&audit).scope(|| {
            assert_eq!((work(1), book(2), pay(3)), (1, 2, 3), "the audit changes no result");
            let refused = wire(4).unwrap_err().to_string();
            let expected = "the store has not stored it within 100ms; see `Audit::health`";
            assert!(refused.ends_with(expected), "{refused}");
        });
        let counters = audit.counters();
        assert_eq!((counters.written, counters.unconfirmed), (25, 2));
        let error = audit.flush().unwrap_err();
        assert!(error.is_transient() && error.to_string().contains(reason), "{error}");
        let health = audit.health();
        assert_eq!(health.status, Status::Trying);
        assert!(health.latest_error.unwrap().to_string().contains(reason));

        fs::write(&file, &saved).unwrap();
        // The error may be of an attempt before that.
        while audit.flush().is_err() {}
        audit.shutdown().unwrap();
        assert_eq!(count(&path), 23);
    }
}

#[test]
fn closing_a_recorder_whose_trail_lost_its_content_is_an_error() {
    for records in [0, 3] {
        let Trail { _directory, path, audit } = trail();
        fs::write(&path, "").unwrap();
        Context::new().recorder(&audit).scope(|| (0..records).for_each(|n| _ = work(n)));
        let error = audit.shutdown().unwrap_err().to_string();
        assert!(error.contains("its content was deleted") || records > 0, "{error}");
        assert_eq!(fs::metadata(&path).unwrap().len(), 0, "no new trail was created");
    }
}
