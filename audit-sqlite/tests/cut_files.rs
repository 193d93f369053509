//! Files of an open trail that are cut or overwritten in place. Such a trail counts as deleted:
//! nothing is acknowledged until the content is back.
#![cfg(unix)]

mod common;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use audit_record::process::SessionCounters;
use audit_record::store::{Batch, RecorderSession, Store as _};
use audit_record::{Durability, Error};
use audit_sqlite::SqliteStore;
use common::session::{lock_files, states};
use common::{
    actions, child_test, copy_golden, event, events, full, path_from_parent, query, read, texts,
    value,
};
use tempfile::{TempDir, tempdir};

const EMPTIED: &str = "its content was deleted since it was opened; put the content back";
const REPLACED: &str = "its content was replaced since it was opened";
const CUT: &str = "it was cut since it was opened, and a part of its content is missing";
const CUT_LOG: &str = "the `-wal` file beside it was cut or overwritten";

/// Where the records are when the fault occurs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Content {
    /// In the `-wal` file.
    Log,
    /// In the database, and the `-wal` file has been started again since.
    Database,
}

/// A trail with 200 records, and the store that has it open.
struct Trail {
    directory: TempDir,
    path: PathBuf,
    store: SqliteStore,
}

impl Trail {
    fn new(content: Content, has_session: bool) -> Self {
        let directory = tempdir().unwrap();
        let path = directory.path().join("audit.db");
        let mut store =
            SqliteStore::builder().busy_timeout(Duration::from_millis(20)).open(&path).unwrap();
        if has_session {
            store.begin(&RecorderSession::new(8)).unwrap();
        }
        store.write(&events("old", 200)).unwrap();
        if content == Content::Database {
            checkpoint(&path);
            store.write(&[event("new")]).unwrap();
            checkpoint(&path);
        }
        Self { directory, path, store }
    }

    fn file(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    /// Writes a batch with each durability, and one with an intent. Returns the error, which must
    /// be the same each time.
    #[track_caller]
    fn fail(&mut self) -> Error {
        let records = [event("unacknowledged")];
        let batches =
            [Durability::Queued, Durability::Process, Durability::Power].map(|durability| {
                let mut batch = Batch::new(&records);
                batch.durability = durability;
                batch
            });
        let errors = batches.map(|batch| self.store.write_batch(&batch).unwrap_err());
        errors
            .into_iter()
            .reduce(|first, next| {
                assert_eq!(first.to_string(), next.to_string());
                first
            })
            .unwrap()
    }

    #[track_caller]
    fn assert_lost(&mut self, reason: &str) {
        let error = self.fail();
        assert!(error.is_transient(), "{error}");
        let path = self.path.display();
        let expected = format!("cannot write to the audit trail `{path}`: {reason}");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

/// Moves the content of the log into the database.
fn checkpoint(path: &Path) {
    let tool = read(path);
    tool.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
}

fn cut(path: &Path, len: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

/// Replaces the content of the file, which stays the same file.
fn put(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
}

fn settle() {
    // The time of the last write is then older than the steps in which it is stored.
    std::thread::sleep(Duration::from_millis(30));
}

#[test]
fn a_cut_database_is_a_deleted_trail_until_its_content_is_back() {
    for content in [Content::Log, Content::Database] {
        for has_session in [false, true] {
            for waits in [false, true] {
                for (part, reason) in [(0, EMPTIED), (100, EMPTIED), (4096, CUT), (50_000, CUT)] {
                    let mut trail = Trail::new(content, has_session);
                    if waits {
                        trail.store.write(&[event("settled")]).unwrap();
                        settle();
                        trail.store.write(&[event("settled")]).unwrap();
                    }
                    let before = actions(&trail.path);
                    let saved = fs::read(&trail.path).unwrap();
                    assert!(saved.len() > 50_000);
                    cut(&trail.path, part);
                    trail.assert_lost(reason);
                    trail.assert_lost(reason);
                    assert_eq!(fs::metadata(&trail.path).unwrap().len(), part, "it was changed");
                    put(&trail.path, &saved);
                    trail.store.write(&[event("acknowledged")]).unwrap();
                    let now = actions(&trail.path);
                    assert_eq!(now[..before.len()], before);
                    assert_eq!(now[before.len()..], ["acknowledged"]);
                    assert_eq!(value::<String>(&trail.path, "PRAGMA integrity_check"), "ok");
                }
            }
        }
    }
}

#[test]
fn closing_a_store_whose_trail_was_cut_is_an_error_and_changes_nothing() {
    for part in [0, 4096] {
        for has_session in [false, true] {
            let mut trail = Trail::new(Content::Log, has_session);
            let (saved, log) =
                (fs::read(&trail.path).unwrap(), fs::read(trail.file("-wal")).unwrap());
            cut(&trail.path, part);
            let error = trail.store.close().unwrap_err();
            assert!(error.to_string().contains(if part == 0 { EMPTIED } else { CUT }), "{error}");
            drop(trail.store);
            assert_eq!(fs::metadata(&trail.path).unwrap().len(), part);
            let mut log_path = trail.path.clone().into_os_string();
            log_path.push("-wal");
            assert_eq!(fs::read(log_path).unwrap(), log);
            put(&trail.path, &saved);
            assert_eq!(actions(&trail.path).len(), 200);
        }
    }
}

#[test]
fn a_database_without_its_header_is_a_deleted_trail() {
    for bytes in [&[0; 100][..], &[0; 16], b"SQLite format 4\0", &[0xff; 4096]] {
        let mut trail = Trail::new(Content::Database, true);
        let saved = fs::read(&trail.path).unwrap();
        overwrite(&trail.path, 0, bytes);
        trail.assert_lost(EMPTIED);
        put(&trail.path, &saved);
        trail.store.write(&[event("acknowledged")]).unwrap();
        assert_eq!(actions(&trail.path).len(), 202);
    }
}

/// The first page is in the log too, from where each connection reads it.
#[test]
fn a_header_that_is_in_the_log_is_restored_by_the_next_checkpoint() {
    let mut trail = Trail::new(Content::Log, true);
    overwrite(&trail.path, 0, &[0; 100]);
    trail.store.write(&[event("acknowledged")]).unwrap();
    assert_eq!(actions(&trail.path).len(), 201);
    trail.store.close().unwrap();
    assert!(fs::read(&trail.path).unwrap().starts_with(b"SQLite format 3\0"));
    assert_eq!(actions(&trail.path).len(), 201);
}

#[test]
fn other_content_in_the_same_file_is_not_written_to() {
    let other = tempdir().unwrap();
    let golden = copy_golden(&other, 4);
    let with_session = other.path().join("session.db");
    let mut store = SqliteStore::open(&with_session).unwrap();
    store.begin(&RecorderSession::new(8)).unwrap();
    store.write(&events("other", 200)).unwrap();
    store.close().unwrap();
    let foreign = other.path().join("foreign.db");
    read(&foreign).execute_batch("CREATE TABLE cows (id)").unwrap();
    let text = other.path().join("notes.txt");
    fs::write(&text, "a long list of notes ".repeat(1_000)).unwrap();
    for source in [&golden, &with_session, &foreign, &text] {
        for has_session in [false, true] {
            let mut trail = Trail::new(Content::Database, has_session);
            let (saved, content) = (fs::read(&trail.path).unwrap(), fs::read(source).unwrap());
            put(&trail.path, &content);
            let error = trail.fail();
            assert!(error.is_transient(), "{source:?}: {error}");
            assert_eq!(fs::read(&trail.path).unwrap(), content, "{source:?}");
            let error = trail.store.close().unwrap_err();
            assert!(error.is_transient(), "{source:?}: {error}");
            assert_eq!(fs::read(&trail.path).unwrap(), content, "{source:?}");
            put(&trail.path, &saved);
            assert_eq!(actions(&trail.path).len(), 201);
        }
    }
}

#[test]
fn an_older_copy_of_the_trail_is_not_written_to() {
    let mut trail = Trail::new(Content::Database, true);
    let older = fs::read(&trail.path).unwrap();
    trail.store.write(&events("newer", 300)).unwrap();
    checkpoint(&trail.path);
    trail.store.write(&[event("newest")]).unwrap();
    checkpoint(&trail.path);
    let newer = fs::read(&trail.path).unwrap();
    put(&trail.path, &older);
    trail.fail();
    put(&trail.path, &newer);
    trail.store.write(&[event("acknowledged")]).unwrap();
    assert_eq!(actions(&trail.path).len(), 503);
}

#[test]
fn a_trail_without_the_row_of_its_session_is_a_deleted_trail() {
    let mut trail = Trail::new(Content::Log, true);
    read(&trail.path)
        .execute_batch("DROP TRIGGER audit_session_delete; DELETE FROM audit_session")
        .unwrap();
    trail.assert_lost(REPLACED);
}

#[test]
fn a_cut_log_is_a_deleted_trail_until_its_content_is_back() {
    for content in [Content::Log, Content::Database] {
        for has_session in [false, true] {
            for (numerator, denominator) in [(0, 1), (1, 2), (99, 100)] {
                let mut trail = Trail::new(content, has_session);
                trail.store.write(&events("in the log", 100)).unwrap();
                let before = actions(&trail.path);
                let log = trail.file("-wal");
                let saved = fs::read(&log).unwrap();
                let frames = "PRAGMA wal_checkpoint(NOOP)";
                let frames: i64 =
                    read(&trail.path).query_row(frames, [], |row| row.get(1)).unwrap();
                let used = 32 + frames as u64 * (24 + 4096);
                cut(&log, used * numerator / denominator);
                trail.assert_lost(CUT_LOG);
                trail.assert_lost(CUT_LOG);
                let left = fs::read(&log).unwrap();
                assert_eq!(left, saved[..left.len()], "it was changed");
                put(&log, &saved);
                trail.store.write(&[event("acknowledged")]).unwrap();
                let now = actions(&trail.path);
                assert_eq!(now[..before.len()], before);
                assert_eq!(now[before.len()..], ["acknowledged"]);
            }
        }
    }
}

#[test]
fn an_overwritten_header_of_the_log_is_restored() {
    for bytes in [&[0; 32][..], &[0xff; 4], &[7; 12]] {
        let mut trail = Trail::new(Content::Log, true);
        let log = trail.file("-wal");
        let header = fs::read(&log).unwrap()[..32].to_vec();
        overwrite(&log, 0, bytes);
        trail.store.write(&[event("acknowledged")]).unwrap();
        assert_eq!(fs::read(&log).unwrap()[..32], header);
        assert_eq!(actions(&trail.path).len(), 201);
    }
}

#[test]
fn a_log_of_another_trail_is_not_written_to() {
    for content in [Content::Log, Content::Database] {
        let other = Trail::new(Content::Log, true);
        let mut trail = Trail::new(content, true);
        trail.store.write(&[event("in the log")]).unwrap();
        let log = trail.file("-wal");
        let saved = fs::read(&log).unwrap();
        for replacement in [fs::read(other.file("-wal")).unwrap(), vec![0; saved.len()]] {
            put(&log, &replacement);
            let error = trail.fail();
            assert!(error.is_transient(), "{error}");
            assert_eq!(fs::read(&log).unwrap(), replacement);
        }
        put(&log, &saved);
        trail.store.write(&[event("acknowledged")]).unwrap();
        assert_eq!(actions(&trail.path).last().unwrap(), "acknowledged");
    }
}

#[test]
fn a_log_that_a_tool_has_truncated_or_restarted_is_accepted() {
    let mut trail = Trail::new(Content::Log, true);
    for mode in ["TRUNCATE", "RESTART", "FULL", "TRUNCATE"] {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        read(&trail.path).query_row(&sql, [], |_| Ok(())).unwrap();
        trail.store.write(&[event(mode)]).unwrap();
        trail.store.write(&[event(mode)]).unwrap();
    }
    read(&trail.path).execute_batch("VACUUM").unwrap();
    checkpoint(&trail.path);
    trail.store.write(&[event("after VACUUM")]).unwrap();
    assert_eq!(actions(&trail.path).len(), 209);
}

/// The next start reports the records that were in the part that is missing.
#[test]
fn a_restart_reports_the_records_of_a_cut_log_as_lost() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let session = RecorderSession::new(8);
    let counters = SessionCounters::shared(session.id);
    store.begin(&session).unwrap();
    let write = |store: &mut SqliteStore, count: usize| {
        let records = events("e", count);
        let mut batch = Batch::new(&records);
        let ended = counters.accepted().fetch_add(count as u64, Ordering::Relaxed);
        batch.tally.ended = ended + count as u64;
        store.write_batch(&batch)
    };
    write(&mut store, 5).unwrap();
    checkpoint(&path);
    write(&mut store, 3).unwrap();
    cut(&directory.path().join("audit.db-wal"), 0);
    assert!(write(&mut store, 1).unwrap_err().to_string().contains(CUT_LOG));
    assert!(store.close().unwrap_err().to_string().contains(CUT_LOG));
    drop(store);

    let mut next = SqliteStore::open(&path).unwrap();
    next.begin(&RecorderSession::new(8)).unwrap();
    let gap = "SELECT output ->> 'records', output ->> 'basis' FROM audit_log WHERE kind = 'gap'";
    assert_eq!(texts(&path, gap), ["4|counted"]);
    assert_eq!(actions(&path).len(), 6);
}

/// The child's part. If the store used the old memory of the file, `SIGBUS` would end the process.
#[test]
fn child_process_continues_after_its_index_was_cut() {
    if path_from_parent().is_none() {
        return;
    }
    for content in [Content::Log, Content::Database] {
        for has_session in [false, true] {
            for len in [0, 100, 4096] {
                let mut trail = Trail::new(content, has_session);
                let mut reader = trail.store.reader().unwrap().unwrap();
                reader.changes(&query("account", "17")).unwrap();
                cut(&trail.file("-shm"), len);
                trail.store.write(&[full()]).unwrap();
                assert_eq!(reader.changes(&query("account", "17")).unwrap().len(), 1);

                cut(&trail.file("-shm"), len);
                if len == 0 {
                    let error = reader.changes(&query("account", "17")).unwrap_err();
                    assert!(error.is_transient() && error.to_string().contains("-shm"), "{error}");
                    drop(reader);
                }
                trail.store.write(&[event("acknowledged")]).unwrap();
                let now = actions(&trail.path);
                assert_eq!(now[now.len() - 2..], ["transfer funds", "acknowledged"]);
                assert_eq!(value::<String>(&trail.path, "PRAGMA integrity_check"), "ok");

                let mut other = SqliteStore::open(&trail.path).unwrap();
                other.write(&[event("other")]).unwrap();
                cut(&trail.file("-shm"), len);
                let error = trail.store.write(&[event("last")]).unwrap_err();
                assert!(error.is_transient() && error.to_string().contains("-shm"), "{error}");
                // The first store has closed its connection, so the second one can repair it.
                other.write(&[event("later")]).unwrap();
                trail.store.write(&[event("last")]).unwrap();
                let now = actions(&trail.path);
                assert_eq!(now[now.len() - 3..], ["other", "later", "last"]);
                cut(&trail.file("-shm"), len);
                drop(other);
                trail.store.close().unwrap();
            }
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_cut_index_is_written_again() {
    let output = child_test("child_process_continues_after_its_index_was_cut")
        .env("AUDIT_TEST_PATH", "any")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_lost_lock_file_is_created_again() {
    let spoil: [fn(&Path); 3] = [
        |lock| fs::remove_file(lock).unwrap(),
        |lock| {
            fs::remove_file(lock).unwrap();
            fs::write(lock, "of another program").unwrap();
        },
        |lock| cut(lock, 0),
    ];
    for spoil in spoil {
        let mut trail = Trail::new(Content::Log, true);
        let [name] = &lock_files(&trail.directory)[..] else { panic!("one lock file") };
        let lock = trail.directory.path().join(name);
        spoil(&lock);
        trail.store.write(&[event("acknowledged")]).unwrap();
        let file = OpenOptions::new().read(true).open(&lock).unwrap();
        assert!(file.try_lock().is_err(), "nobody holds the lock");
        // So no other recorder takes the session for a dead one.
        let mut other = SqliteStore::open(&trail.path).unwrap();
        other.begin(&RecorderSession::new(8)).unwrap();
        assert_eq!(states(&trail.path), ["open", "open"]);
        trail.store.close().unwrap();
        assert!(!lock.exists());
    }
}
