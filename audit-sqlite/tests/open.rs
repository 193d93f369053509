//! Opening: what becomes a trail, what is refused, and that what is refused stays as it was.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use audit_record::Error;
use audit_record::store::Sink as _;
use audit_sqlite::{APPLICATION_ID, SCHEMA_VERSION, SqliteStore};
use common::{actions, event, events, read, value};
use rusqlite::Connection;
use tempfile::{TempDir, tempdir};

fn refused(path: impl AsRef<Path>) -> Error {
    let error = SqliteStore::open(path).expect_err("this must not be opened");
    assert!(!error.is_transient(), "trying again does not help: {error}");
    error
}

fn beginning(path: &Path) -> String {
    format!("cannot open the audit trail `{}`: ", path.display())
}

/// Checks that opening the file at `path` fails as `what`, and leaves its bytes and its
/// directory as they were.
fn refused_unchanged(directory: &TempDir, path: &Path, what: &str) {
    let before = fs::read(path).unwrap();
    let error = refused(path);
    assert_eq!(error.to_string(), beginning(path) + what);
    assert_eq!(fs::read(path).unwrap(), before);
    assert_eq!(names_in(directory), [path.file_name().unwrap().to_str().unwrap()]);
}

fn names_in(directory: &TempDir) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const NOT_SQLITE: &str = "it is not a SQLite database; nothing in it was changed; choose another \
    path, or move that file away";

#[test]
fn a_new_trail_says_what_it_is() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    SqliteStore::open(&path).unwrap();
    assert_eq!(value::<i32>(&path, "PRAGMA application_id"), APPLICATION_ID);
    assert_eq!(value::<i32>(&path, "PRAGMA user_version"), SCHEMA_VERSION);
    assert_eq!(value::<String>(&path, "PRAGMA journal_mode"), "wal");
    assert_eq!(value::<String>(&path, "PRAGMA integrity_check"), "ok");
}

#[test]
fn a_trail_is_continued() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    for n in 0..3 {
        let mut store = SqliteStore::open(&path).unwrap();
        store.write(&[event(&format!("start {n}"))]).unwrap();
        store.close().unwrap();
        assert_eq!(names_in(&directory), ["audit.db"], "closing leaves one file");
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
fn nothing_is_stored_after_closing() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.close().unwrap();
    store.close().unwrap();
    let error = store.write(&[event("late")]).unwrap_err();
    assert!(!error.is_transient());
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
    let error = refused(directory.path());
    let what = "it is a directory; name a file in it, such as `audit.db`";
    assert_eq!(error.to_string(), beginning(directory.path()) + what);
}

#[test]
fn what_is_no_database_is_refused_and_kept() {
    for content in ["x", "dear diary,\nnothing happened today\n", &"0123456789".repeat(5000)] {
        let directory = tempdir().unwrap();
        let path = directory.path().join("diary.txt");
        fs::write(&path, content).unwrap();
        refused_unchanged(&directory, &path, NOT_SQLITE);
    }
}

#[test]
fn a_database_of_another_program_is_refused_and_kept() {
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
        let what = format!(
            "it is the database of another program (application_id {id}); nothing in it was \
             changed; choose another path, or open it by `SqliteStore::builder().shared(true)` to \
             keep the trail in that database"
        );
        refused_unchanged(&directory, &path, &what);
    }
}

#[test]
fn a_log_that_another_program_left_stays_its_own() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("other.db");
    let other = Connection::open(directory.path().join("live.db")).unwrap();
    other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a)").unwrap();
    // As a crash leaves them: copied while the log is not yet part of the file.
    fs::copy(directory.path().join("live.db"), &path).unwrap();
    fs::copy(directory.path().join("live.db-wal"), directory.path().join("other.db-wal")).unwrap();
    let before = fs::read(&path).unwrap();
    let log_before = fs::read(directory.path().join("other.db-wal")).unwrap();

    assert!(refused(&path).to_string().contains("the database of another program"));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read(directory.path().join("other.db-wal")).unwrap(), log_before);
}

#[test]
fn a_newer_schema_is_refused_and_kept() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    SqliteStore::open(&path).unwrap().close().unwrap();
    read(&path).pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    let what = format!(
        "its schema has version {}, and this program knows versions up to {SCHEMA_VERSION}; \
         update the `audited` crate",
        SCHEMA_VERSION + 1
    );
    refused_unchanged(&directory, &path, &what);
}

#[test]
fn a_schema_that_is_changed_meanwhile_stops_the_writing() {
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
fn a_path_that_names_no_file_is_refused() {
    let empty = "cannot open the audit trail: the path is empty; name a file, such as `audit.db`";
    assert_eq!(refused("").to_string(), empty);
    let memory = refused(":memory:").to_string();
    assert!(memory.ends_with("name a file, and in tests use `audited::testing::capture`"));
    let uri = refused("file:audit.db?mode=ro").to_string();
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
    assert_eq!(refused(&path).to_string(), expected);
    assert!(names_in(&directory).is_empty());
}

#[cfg(unix)]
#[test]
fn a_file_where_a_directory_should_be_is_refused() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("file"), "kept").unwrap();
    let error = refused(directory.path().join("file/audit.db"));
    assert!(error.to_string().ends_with("a part of its path is a file, not a directory"));
    assert_eq!(fs::read(directory.path().join("file")).unwrap(), b"kept");
}

#[cfg(unix)]
#[test]
fn a_device_is_refused() {
    let expected =
        "cannot open the audit trail `/dev/null`: it is no regular file; choose another path";
    assert_eq!(refused("/dev/null").to_string(), expected);
}

#[cfg(target_os = "linux")]
#[test]
fn a_directory_that_takes_no_files_is_refused() {
    for directory in ["/proc", "/sys"] {
        let path = PathBuf::from(directory).join("audit.db");
        let error = refused(&path);
        let expected = format!("cannot create the audit trail `{}`: ", path.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

#[test]
fn stores_of_one_file_share_it() {
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
        names_in(directory)
            .into_iter()
            .map(|name| (name.clone(), mode(&directory.path().join(name))))
            .collect()
    }

    /// The part that runs in a process of its own, whose umask is 0.
    #[test]
    fn create_for_parent() {
        let Some(directory) = std::env::var_os("AUDIT_TEST_DIRECTORY") else { return };
        let path = PathBuf::from(directory).join("audit.db");
        let mut store = SqliteStore::open(path).unwrap();
        let mut session = audit_record::store::Session::new(0);
        session.id = uuid::Uuid::nil();
        store.begin(&session).unwrap();
        store.write(&[event("begin")]).unwrap();
        // No destructor, so that the `-wal` and `-shm` files stay.
        std::process::exit(0);
    }

    #[test]
    fn a_new_trail_is_its_owners_alone_whatever_the_umask() {
        for umask in ["000", "022", "077"] {
            let directory = tempdir().unwrap();
            let program = std::env::current_exe().unwrap();
            let script =
                format!("umask {umask}; exec \"$0\" --exact permissions::create_for_parent");
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
    fn a_file_that_exists_keeps_its_mode() {
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
