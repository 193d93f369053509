//! Opening a store: which files become a trail, and which are refused and left unchanged.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use audit_record::Error;
use audit_record::store::Store as _;
use audit_sqlite::{APPLICATION_ID, SCHEMA_VERSION, SqliteStore};
use common::{actions, event, events, file_names, read, value};
use rusqlite::Connection;
use tempfile::{TempDir, tempdir};

/// Opens the file at `path`, which must fail with a permanent error.
fn refusal(path: impl AsRef<Path>) -> Error {
    let error = SqliteStore::open(path).expect_err("this must not be opened");
    assert!(!error.is_transient(), "a retry cannot help: {error}");
    error
}

fn error_prefix(path: &Path) -> String {
    format!("cannot open the audit trail `{}`: ", path.display())
}

/// Asserts that opening the file at `path` fails with `reason`, and does not change the file or its
/// directory.
fn assert_refused_unchanged(directory: &TempDir, path: &Path, reason: &str) {
    let before = fs::read(path).unwrap();
    let error = refusal(path);
    assert_eq!(error.to_string(), error_prefix(path) + reason);
    assert_eq!(error.is_damaged(), reason == NOT_SQLITE, "a newer or a foreign database is intact");
    assert_eq!(fs::read(path).unwrap(), before);
    assert_eq!(file_names(directory), [path.file_name().unwrap().to_str().unwrap()]);
}

const NOT_SQLITE: &str = "it is not a SQLite database; nothing in it was changed; choose another \
    path, or move that file away";

#[test]
fn a_new_trail_has_its_application_id_and_schema_version() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    SqliteStore::open(&path).unwrap();
    assert_eq!(value::<i32>(&path, "PRAGMA application_id"), APPLICATION_ID);
    assert_eq!(value::<i32>(&path, "PRAGMA user_version"), SCHEMA_VERSION);
    assert_eq!(value::<String>(&path, "PRAGMA journal_mode"), "wal");
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
}

#[test]
fn a_trail_is_extended_by_each_start() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    for n in 0..3 {
        let mut store = SqliteStore::open(&path).unwrap();
        store.write(&[event(&format!("start {n}"))]).unwrap();
        store.close().unwrap();
        assert_eq!(file_names(&directory), ["audit.db"], "a close leaves one file");
    }
    assert_eq!(actions(&path), ["start 0", "start 1", "start 2"]);
    assert_eq!(value::<i64>(&path, "SELECT max(seq) FROM audit_log"), 3);
}

#[test]
fn an_empty_file_becomes_a_trail() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    fs::write(&path, "").unwrap();
    SqliteStore::open(&path).unwrap().write(&[event("begin")]).unwrap();
    assert_eq!(actions(&path), ["begin"]);
}

#[test]
fn writes_after_the_close_are_refused() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.close().unwrap();
    store.close().unwrap();
    let error = store.write(&[event("late")]).unwrap_err();
    assert!(error.is_closed() && !error.is_transient());
    let expected = format!(
        "cannot write to the audit trail `{}`: the store is closed; open it again",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
    assert!(actions(&path).is_empty());
}

#[test]
fn a_directory_is_refused() {
    let directory = tempdir().unwrap();
    let error = refusal(directory.path());
    let reason = "it is a directory; name a file in it, such as `audit.db`";
    assert_eq!(error.to_string(), error_prefix(directory.path()) + reason);
}

#[test]
fn a_file_that_is_not_a_database_is_refused_and_unchanged() {
    for content in ["x", "dear diary,\nnothing happened today\n", &"0123456789".repeat(5000)] {
        let directory = tempdir().unwrap();
        let path = directory.path().join("diary.txt");
        fs::write(&path, content).unwrap();
        assert_refused_unchanged(&directory, &path, NOT_SQLITE);
    }
}

#[test]
fn a_database_of_another_program_is_refused_and_unchanged() {
    for (id, setup) in [
        (77, "PRAGMA application_id = 77; CREATE TABLE t (a); INSERT INTO t VALUES (1)"),
        (77, "PRAGMA application_id = 77; PRAGMA user_version = 1"),
        (0, "CREATE TABLE record (a); INSERT INTO record VALUES (1)"),
        (0, "PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)"),
        (0, "PRAGMA user_version = 1"),
    ] {
        let directory = tempdir().unwrap();
        let path = directory.path().join("other.db");
        Connection::open(&path).unwrap().execute_batch(setup).unwrap();
        let reason = format!(
            "it is the database of another program (application_id {id}); nothing in it was \
             changed; choose another path, or open it with `SqliteStore::builder().shared(true)` \
             to keep the trail in that database"
        );
        assert_refused_unchanged(&directory, &path, &reason);
    }
}

#[test]
fn the_log_of_another_programs_database_is_unchanged() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("other.db");
    let other = Connection::open(directory.path().join("live.db")).unwrap();
    other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a)").unwrap();
    // Copied before a checkpoint, as a crash would leave the files.
    fs::copy(directory.path().join("live.db"), &path).unwrap();
    fs::copy(directory.path().join("live.db-wal"), directory.path().join("other.db-wal")).unwrap();
    let before = fs::read(&path).unwrap();
    let log_before = fs::read(directory.path().join("other.db-wal")).unwrap();

    assert!(refusal(&path).to_string().contains("the database of another program"));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read(directory.path().join("other.db-wal")).unwrap(), log_before);
}

#[test]
fn a_newer_schema_is_refused_and_unchanged() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    SqliteStore::open(&path).unwrap().close().unwrap();
    read(&path).pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    let reason = format!(
        "its schema has version {}, but this program supports versions up to {SCHEMA_VERSION}; \
         update the `audited` crate",
        SCHEMA_VERSION + 1
    );
    assert_refused_unchanged(&directory, &path, &reason);
}

#[test]
fn writes_are_refused_after_another_program_changes_the_schema() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&[event("before")]).unwrap();
    read(&path).pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    let error = store.write(&[event("after")]).unwrap_err();
    assert!(!error.is_transient());
    assert!(error.to_string().contains("another program has changed its schema"), "{error}");
    assert_eq!(actions(&path), ["before"]);
}

#[test]
fn a_path_that_does_not_name_a_file_is_refused() {
    let empty = "cannot open the audit trail: the path is empty; name a file, such as `audit.db`";
    assert_eq!(refusal("").to_string(), empty);
    let memory = refusal(":memory:").to_string();
    assert!(memory.ends_with("name a file, and in tests use `audited::testing::capture`"));
    let uri = refusal("file:audit.db?mode=ro").to_string();
    assert!(uri.ends_with("it is a URI; give the plain path of the file"), "{uri}");
    assert!(!Path::new(":memory:").exists() && !Path::new("file:audit.db").exists());
}

#[test]
fn a_missing_directory_is_not_created() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("missing/audit.db");
    let expected = format!(
        "cannot create the audit trail `{}`: its directory does not exist; create it first",
        path.display()
    );
    assert_eq!(refusal(&path).to_string(), expected);
    assert!(file_names(&directory).is_empty());
}

#[cfg(unix)]
#[test]
fn a_path_through_a_file_is_refused() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("file"), "kept").unwrap();
    let error = refusal(directory.path().join("file/audit.db"));
    assert!(error.to_string().ends_with("a part of its path is a file, not a directory"));
    assert_eq!(fs::read(directory.path().join("file")).unwrap(), b"kept");
}

#[cfg(unix)]
#[test]
fn a_device_is_refused() {
    let expected =
        "cannot open the audit trail `/dev/null`: it is not a regular file; choose another path";
    assert_eq!(refusal("/dev/null").to_string(), expected);
}

#[cfg(target_os = "linux")]
#[test]
fn a_directory_in_which_no_file_can_be_created_is_refused() {
    for directory in ["/proc", "/sys"] {
        let path = PathBuf::from(directory).join("audit.db");
        let error = refusal(&path);
        let expected = format!("cannot create the audit trail `{}`: ", path.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

#[test]
fn several_stores_can_write_to_one_file() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut first = SqliteStore::open(&path).unwrap();
    let mut second = SqliteStore::open(&path).unwrap();
    first.write(&events("first", 2)).unwrap();
    second.write(&events("second", 2)).unwrap();
    first.write(&events("third", 1)).unwrap();
    drop(second);
    first.write(&events("fourth", 1)).unwrap();
    let expected = ["first 0", "first 1", "second 0", "second 1", "third 0", "fourth 0"];
    assert_eq!(actions(&path), expected);
    assert_eq!(value::<i64>(&path, "SELECT count(DISTINCT text) - count(*) FROM audit_name"), 0);
}

#[cfg(unix)]
mod permissions {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn modes(directory: &TempDir) -> Vec<(String, u32)> {
        file_names(directory)
            .into_iter()
            .map(|name| (name.clone(), mode(&directory.path().join(name))))
            .collect()
    }

    /// The child's part. The parent sets its umask.
    #[test]
    fn child_process_creates_a_trail() {
        let Some(directory) = std::env::var_os("AUDIT_TEST_DIRECTORY") else { return };
        let path = PathBuf::from(directory).join("audit.db");
        let mut store = SqliteStore::open(path).unwrap();
        let mut session = audit_record::store::RecorderSession::new(0);
        session.id = uuid::Uuid::nil();
        store.begin(&session).unwrap();
        store.write(&[event("begin")]).unwrap();
        // No destructor runs, so that the `-wal` and `-shm` files remain.
        std::process::exit(0);
    }

    #[test]
    fn a_new_trail_is_private_to_its_owner_at_any_umask() {
        for umask in ["000", "022", "077"] {
            let directory = tempdir().unwrap();
            let program = std::env::current_exe().unwrap();
            let test = "permissions::child_process_creates_a_trail";
            let script = format!("umask {umask}; exec \"$0\" --exact {test}");
            let output = Command::new("sh")
                .args(["-c", &script])
                .arg(program)
                .env("AUDIT_TEST_DIRECTORY", directory.path())
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            let lock = "audit.db-session-00000000000000000000000000000000";
            let expected = ["audit.db", lock, "audit.db-shm", "audit.db-wal"];
            assert_eq!(modes(&directory), expected.map(|name| (name.to_owned(), 0o600)));
            assert_eq!(actions(&directory.path().join("audit.db")), ["begin"]);
        }
    }

    #[test]
    fn an_existing_file_keeps_its_mode() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("audit.db");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let mut store = SqliteStore::open(&path).unwrap();
        store.write(&[event("begin")]).unwrap();
        let expected = ["audit.db", "audit.db-shm", "audit.db-wal"];
        assert_eq!(modes(&directory), expected.map(|name| (name.to_owned(), 0o640)));
    }
}
