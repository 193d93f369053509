//! [`SqliteReader`] reads a trail without a recorder, and writes nothing: not even beside the file.
#![cfg(unix)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use audit_record::store::{ChangeReader as _, Store as _};
use audit_sqlite::{SqliteReader, SqliteStore};
use common::session::{call, states, store_intents, store_with_session};
use common::{copy_golden, event, file_names, full, query, read, value};
use tempfile::{TempDir, tempdir};

/// A closed trail with one change of the account 17.
fn trail(directory: &TempDir) -> PathBuf {
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&[full()]).unwrap();
    store.close().unwrap();
    path
}

/// The fields that changed.
fn fields(reader: &mut SqliteReader) -> Vec<String> {
    let changes = reader.changes(&query("account", "17")).unwrap();
    changes.into_iter().map(|stored| stored.change.field.into_owned()).collect()
}

/// Everything in a directory: names, contents, permissions.
fn content(directory: &Path) -> Vec<(String, Vec<u8>, u32)> {
    let entries = fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap(), mode)
        })
        .collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &TempDir, suffixes: &[&str]) -> PathBuf {
    for suffix in suffixes {
        let name = format!("audit.db{suffix}");
        fs::copy(from.with_file_name(&name), to.path().join(name)).unwrap();
    }
    to.path().join("audit.db")
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_read_only_copy_in_a_read_only_directory_is_read() {
    let (directory, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
    let path = copy(&trail(&directory), &elsewhere, &[""]);
    set_mode(&path, 0o444);
    set_mode(elsewhere.path(), 0o555);
    let before = content(elsewhere.path());
    let mut reader = SqliteReader::open(&path).unwrap();
    assert_eq!(fields(&mut reader).len(), 1);
    assert_eq!(fields(&mut reader).len(), 1);
    drop(reader);
    assert_eq!(content(elsewhere.path()), before);
    set_mode(elsewhere.path(), 0o755);
}

/// The copy shows a session as open, and an intent. They belong to the original.
#[test]
fn a_writable_copy_of_a_trail_in_use_stays_as_it_is() {
    let (directory, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
    let path = directory.path().join("audit.db");
    let mut store = store_with_session(&path);
    store.write(&[full()]).unwrap();
    store_intents(&mut store, &[call("transfer funds")]);
    // The records are in the `-wal` file.
    let with_wal = copy(&path, &elsewhere, &["", "-wal"]);
    let before = content(elsewhere.path());
    assert!(before[1].1.len() > 10_000);
    let mut reader = SqliteReader::open(&with_wal).unwrap();
    assert_eq!(fields(&mut reader).len(), 1);
    drop(reader);
    assert_eq!(content(elsewhere.path()), before);

    let all = tempdir().unwrap();
    let with_all = copy(&path, &all, &["", "-wal", "-shm"]);
    let names = file_names(&all);
    assert_eq!(fields(&mut SqliteReader::open(&with_all).unwrap()).len(), 1);
    assert_eq!(file_names(&all), names);

    let single = elsewhere.path().join("single.db");
    read(&path).execute("VACUUM INTO ?1", [single.to_str().unwrap()]).unwrap();
    let before = content(elsewhere.path());
    assert_eq!(fields(&mut SqliteReader::open(&single).unwrap()).len(), 1);
    assert_eq!(content(elsewhere.path()), before);
    assert_eq!(value::<i64>(&single, "SELECT count(*) FROM audit_log"), 1, "no false alarm");
    assert_eq!(states(&single), ["open"]);
    store.close().unwrap();
}

#[test]
fn a_trail_in_use_is_read_beside_its_recorder() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = store_with_session(&path);
    let names = file_names(&directory);
    let mut reader = SqliteReader::open(&path).unwrap();
    assert_eq!(fields(&mut reader).len(), 0);
    store.write(&[full()]).unwrap();
    assert_eq!(fields(&mut reader).len(), 1);
    assert_eq!(file_names(&directory), names);
    assert_eq!(states(&path), ["open"]);
    store.write(&[event("still here")]).unwrap();
    store.close().unwrap();
    // The recorder has removed its files. Reading does not bring them back.
    assert_eq!(fields(&mut reader).len(), 1);
    assert_eq!(file_names(&directory), ["audit.db"]);
    assert_eq!(states(&path), ["closed"]);
}

/// Records that are stored meanwhile are found by the next query.
#[test]
fn a_file_that_changes_is_read_again() {
    let directory = tempdir().unwrap();
    let path = trail(&directory);
    let mut reader = SqliteReader::open(&path).unwrap();
    for n in 0..3 {
        assert_eq!(fields(&mut reader).len(), n + 1);
        let mut record = full();
        record.id = event("only for its id").id;
        let mut store = SqliteStore::open(&path).unwrap();
        store.write(&[record]).unwrap();
        store.close().unwrap();
    }
    assert_eq!(fields(&mut reader).len(), 4);
}

#[test]
fn trails_of_older_versions_are_read_without_a_migration() {
    let directory = tempdir().unwrap();
    for version in 2..=4 {
        let path = copy_golden(&directory, version);
        let before = content(directory.path());
        let mut reader = SqliteReader::open(&path).unwrap();
        assert_eq!(fields(&mut reader), ["owner", "balance", "limit"], "version {version}");
        assert_eq!(content(directory.path()), before);
    }
    let path = copy_golden(&directory, 1);
    let error = SqliteReader::open(&path).unwrap_err().to_string();
    let expected = "its schema has version 1, and only versions 2 to 5 can be read; open it once \
        with `SqliteStore`, which migrates it";
    assert_eq!(error, format!("cannot read the audit trail `{}`: {expected}", path.display()));
}

#[test]
fn a_trail_in_the_database_of_a_host_is_read() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("my shop #1%20?.db");
    read(&path).execute_batch("CREATE TABLE orders (id INTEGER PRIMARY KEY)").unwrap();
    let error = SqliteReader::open(&path).unwrap_err().to_string();
    assert!(error.ends_with("the database holds no trail"), "{error}");
    SqliteStore::builder().shared(true).open(&path).unwrap().write(&[full()]).unwrap();
    let before = content(directory.path());
    assert_eq!(fields(&mut SqliteReader::open(&path).unwrap()).len(), 1);
    assert_eq!(content(directory.path()), before);
}

#[test]
fn what_is_not_a_trail_is_refused_and_not_created() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("none.db");
    let error = SqliteReader::open(&path).unwrap_err().to_string();
    let expected = format!("cannot read the audit trail `{}`: it can't be found", path.display());
    assert_eq!(error, expected);
    assert_eq!(file_names(&directory), <[String; 0]>::default());
    fs::write(&path, "no database").unwrap();
    let error = SqliteReader::open(&path).unwrap_err();
    assert!(error.is_damaged() && error.to_string().contains("not a SQLite database"), "{error}");
    let trail = trail(&directory);
    fs::hard_link(&trail, directory.path().join("other name")).unwrap();
    let error = SqliteReader::open(&trail).unwrap_err().to_string();
    assert!(error.contains("it has more than one name"), "{error}");
}
