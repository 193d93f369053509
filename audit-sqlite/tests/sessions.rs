//! Recorder sessions (`audit_sessions`), and the intents of calls that have not ended
//! (`audit_intents`).

mod common;

use std::fs;

use audit_record::Outcome;
use audit_record::store::Batch;
use audit_record::store::Store as _;
use audit_sqlite::{SqliteStore, record_in};
use common::session::{
    call, intents, lock_file_name, lock_files, session, states, store_intents, store_with_session,
};
use common::{actions, event, events, read, rows, texts, value};
use tempfile::tempdir;

#[test]
fn a_session_is_listed_from_its_begin_to_its_close() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let session = session();
    store.begin(&session).unwrap();
    let sql = "SELECT id, service, pid, started_at, latest_stored_at, state, ended_at, host IS NULL
        FROM audit_sessions";
    let started = session.started_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let (id, pid) = (session.id, std::process::id());
    let no_host = u8::from(cfg!(not(target_os = "linux")));
    let expected = format!("{id}|billing|{pid}|{started}|NULL|open|NULL|{no_host}");
    assert_eq!(texts(&path, sql), [expected]);
    assert_eq!(lock_files(&directory), [lock_file_name(id)]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let lock = fs::metadata(directory.path().join(lock_file_name(id))).unwrap();
        assert_eq!(lock.permissions().mode() & 0o777, 0o600);
    }

    let error = store.begin(&common::session::session()).unwrap_err();
    assert!(
        error.to_string().contains("this store already has one; open another store"),
        "{error}"
    );
    store.write(&[event("one")]).unwrap();
    let stored: i64 = value(&path, "SELECT latest_stored_at >= started_at FROM audit_sessions");
    assert_eq!(stored, 1);
    store.close().unwrap();
    let ended = "SELECT state, ended_at >= started_at FROM audit_sessions";
    assert_eq!(texts(&path, ended), ["closed|1"]);
    assert_eq!(lock_files(&directory), <[String; 0]>::default());
    store.close().unwrap();

    // The next start has nothing to report.
    store_with_session(&path).close().unwrap();
    assert_eq!(states(&path), ["closed", "closed"]);
    assert_eq!(actions(&path), ["one"]);
}

/// A `begin` that fails halfway may leave its lock file, if the system refuses to delete it. It may
/// also leave its row, if a commit was stored but returned an error.
#[test]
fn remains_of_a_failed_begin_do_not_block_the_next_one() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let session = session();
    let mut store = SqliteStore::open(&path).unwrap();
    fs::write(directory.path().join(lock_file_name(session.id)), "").unwrap();
    store.begin(&session).unwrap();
    drop(store);
    let mut store = SqliteStore::open(&path).unwrap();
    store.begin(&session).unwrap();
    assert_eq!(states(&path), ["open"]);

    // A session that is open does block it.
    let error = SqliteStore::open(&path).unwrap().begin(&session).unwrap_err();
    assert!(error.to_string().contains("no lock file can be created beside it"), "{error}");
    store.close().unwrap();
    assert_eq!((states(&path), lock_files(&directory).len()), (vec!["closed".to_owned()], 0));
}

#[test]
fn an_intent_is_listed_until_its_record_replaces_it() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = store_with_session(&path);
    let mut transfer = call("transfer funds");
    let check = call("check");
    store_intents(&mut store, &[transfer.clone(), check]);

    // `audit_intents` has the same columns as `audit_log`, and also the session.
    let (columns, _) = rows(&path, "SELECT * FROM audit_intents");
    let common = columns.iter().filter(|name| *name != "session_id").cloned().collect::<Vec<_>>();
    let common = common.join(", ");
    let intended = texts(
        &path,
        &format!("SELECT {common} FROM audit_intents WHERE action = 'transfer funds'"),
    );
    assert_eq!(intended.len(), 1);
    let sessions =
        "SELECT count(*) FROM audit_intents JOIN audit_sessions AS s ON s.id = session_id";
    assert_eq!(value::<i64>(&path, sessions), 2);
    assert_eq!(actions(&path), <[String; 0]>::default());

    transfer.outcome = Outcome::Success;
    transfer.duration_us = 5;
    store.write(&[event("before"), transfer.clone(), event("after")]).unwrap();
    assert_eq!(intents(&path), ["check"]);
    assert_eq!(actions(&path), ["before", "transfer funds", "after"]);
    let recorded = format!("SELECT {common} FROM audit_log WHERE action = 'transfer funds'");
    assert_eq!(texts(&path, &recorded), intended);

    // An intent that is written again, or after its record, changes nothing.
    store_intents(&mut store, &[transfer]);
    assert_eq!(intents(&path), ["check"]);
}

#[test]
fn a_batch_with_intents_is_stored_as_a_whole_or_not_at_all() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = store_with_session(&path);
    let first = event("first");
    let mut other = event("other");
    other.id = first.id;
    store.write(&[first]).unwrap();
    let (records, calls) = ([event("second"), other], [call("transfer"), call("check")]);
    let mut batch = Batch::new(&records);
    batch.intents = &calls;
    batch.tally.ended = 9;
    store.write_batch(&batch).unwrap_err();
    assert_eq!((actions(&path).len(), intents(&path).len()), (1, 0));
    assert_eq!(value::<i64>(&path, "SELECT ended FROM audit_session"), 0);

    // The record of a call may be in one batch with other intents, and even with its own intent.
    let records = [calls[0].clone()];
    batch.records = &records;
    for _ in 0..2 {
        store.write_batch(&batch).unwrap();
        assert_eq!(actions(&path), ["first", "transfer"]);
        assert_eq!(intents(&path), ["check"]);
        assert_eq!(value::<i64>(&path, "SELECT ended FROM audit_session"), 9);
    }
    store.write(&[calls[1].clone()]).unwrap();
    assert_eq!(intents(&path), <[String; 0]>::default());
    let ended: i64 = value(&path, "SELECT ended FROM audit_session");
    assert_eq!(ended, 9, "records written without a tally do not change it");
}

#[test]
fn without_a_session_records_are_stored_but_intents_are_refused() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let calls = [call("transfer")];
    let mut batch = Batch::new(&[]);
    batch.intents = &calls;
    let error = store.write_batch(&batch).unwrap_err();
    assert!(!error.is_transient());
    let expected = format!(
        "cannot store an intent in the audit trail `{}`: this store has no recorder session; \
         call `begin` first",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
    store.write(&[event("e")]).unwrap();
    store.close().unwrap();
    assert_eq!((states(&path).len(), lock_files(&directory).len()), (0, 0));
}

#[test]
fn a_record_names_the_session_that_wrote_it() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let mut store = SqliteStore::builder().shared(true).open(&path).unwrap();
    store.write(&[event("before the session")]).unwrap();
    let (first, second) = (session(), session());
    store.begin(&first).unwrap();
    store.write(&events("first", 40)).unwrap();
    // The store does not trust the record about it.
    let mut other = event("first, too");
    other.session_id = Some(second.id);
    store.write(&[other]).unwrap();
    let mut beside = SqliteStore::builder().shared(true).open(&path).unwrap();
    beside.begin(&second).unwrap();
    beside.write(&[event("second")]).unwrap();
    let mut shop = read(&path);
    let transaction = shop.transaction().unwrap();
    record_in(&transaction).unwrap().write(&[event("in a transaction of the caller")]).unwrap();
    transaction.commit().unwrap();

    let sessions = "SELECT action, session_id FROM audit_log WHERE action NOT LIKE 'first _'
        AND action NOT LIKE 'first __' ORDER BY seq";
    let expected = [
        "before the session|NULL".to_owned(),
        format!("first, too|{}", first.id),
        format!("second|{}", second.id),
        "in a transaction of the caller|NULL".to_owned(),
    ];
    assert_eq!(texts(&path, sessions), expected);
    let of_first = format!("SELECT count(*) FROM audit_log WHERE session_id = '{}'", first.id);
    assert_eq!(value::<i64>(&path, &of_first), 41);
}

#[test]
fn a_record_in_the_callers_transaction_replaces_its_intent() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let mut shop = read(&path);
    shop.execute_batch("CREATE TABLE orders (id INTEGER PRIMARY KEY)").unwrap();
    let mut store = SqliteStore::builder().shared(true).open(&path).unwrap();
    store.begin(&session()).unwrap();
    let order = call("order");
    store_intents(&mut store, &[order.clone(), call("other")]);
    let transaction = shop.transaction().unwrap();
    record_in(&transaction).unwrap().write(std::slice::from_ref(&order)).unwrap();
    transaction.commit().unwrap();
    assert_eq!(intents(&path), ["other"]);
    // The recorder writes the same record again.
    store.write(&[order]).unwrap();
    assert_eq!(actions(&path), ["order"]);
    store.close().unwrap();
}

#[test]
fn a_session_marked_dead_by_mistake_still_stores_records_but_no_intents() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = store_with_session(&path);
    read(&path).execute("UPDATE audit_session SET state = 2", []).unwrap();
    store.write(&[event("still here")]).unwrap();
    let calls = [call("transfer funds")];
    let mut batch = Batch::new(&[]);
    batch.intents = &calls;
    let error = store.write_batch(&batch).unwrap_err();
    assert!(
        error.to_string().contains("another process has considered this recorder dead"),
        "{error}"
    );
    assert_eq!((actions(&path), intents(&path)), (vec!["still here".into()], vec![]));
    store.close().unwrap();
}

#[test]
fn statements_that_change_sessions_or_intents_are_refused() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    store_with_session(&path).close().unwrap();
    let mut store = store_with_session(&path);
    store_intents(&mut store, &[call("transfer funds")]);
    store.write(&events("e", 1)).unwrap();
    let tables = ["SELECT * FROM audit_session ORDER BY number", "SELECT * FROM audit_intent"];
    let before = tables.map(|sql| rows(&path, sql));
    for sql in [
        "UPDATE audit_session SET pid = 1",
        "UPDATE audit_session SET in_flight = 0 WHERE state = 0",
        "UPDATE audit_session SET ended = 1000 WHERE state = 1",
        "UPDATE audit_session SET state = 0 WHERE state = 1",
        "DELETE FROM audit_session",
        "REPLACE INTO audit_session (number, id, pid, started_at, in_flight) VALUES (1, zeroblob(16), 0, 0, 0)",
        "REPLACE INTO audit_session (id, pid, started_at, in_flight) SELECT id, 0, 0, 0 FROM audit_session",
        "UPDATE audit_intent SET action = 2",
        "DELETE FROM audit_intent",
        "REPLACE INTO audit_intent (number, session, id, kind, started_at, action, method) VALUES (1, 1, 'x', 0, 0, 1, 1)",
        "REPLACE INTO audit_intent (session, id, kind, started_at, action, method) SELECT 1, id, 0, 0, 1, 1 FROM audit_intent",
        "INSERT INTO audit_sessions (id) VALUES ('x')",
        "UPDATE audit_sessions SET state = 'closed'",
        "DELETE FROM audit_sessions",
        "INSERT INTO audit_intents (id) VALUES ('x')",
        "UPDATE audit_intents SET action = 'x'",
        "DELETE FROM audit_intents",
    ] {
        let error = read(&path).execute(sql, []).expect_err(sql).to_string();
        assert!(error.starts_with("audit records are append-only: "), "{sql}: {error}");
        assert_eq!(tables.map(|sql| rows(&path, sql)), before, "{sql}");
    }
}
