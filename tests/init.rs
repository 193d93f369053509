//! `audited::init`: the process-wide recorder and subscriber, and the file. There is one test,
//! because all of this is global.

use audited::{Audit, SqliteStore, audit_method};
use tracing_subscriber::prelude::*;

#[audit_method(action = "greet")]
fn greet(name: &str) -> String {
    tracing::info!("greeting");
    log::warn!(target: "old", "from the log crate: {name}");
    format!("Hello, {name}!")
}

fn rows(path: &std::path::Path) -> Vec<(i64, String, String, String, String)> {
    let connection = rusqlite::Connection::open(path).expect("the file is an SQLite database");
    let mut query = connection
        .prepare("SELECT seq, action, method, input, log FROM audit_log ORDER BY seq")
        .expect("the view is there");
    let rows = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .expect("a query");
    rows.collect::<Result<_, _>>().expect("rows")
}

#[test]
fn init_installs_a_recorder_that_writes_to_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("audit.db");
    greet("no recorder");

    let audit = audited::init(&path).expect("a new file");
    greet("world");
    // Macros of the crate `log` skip what no log of a call needs.
    assert_eq!(log::max_level(), log::LevelFilter::Info);
    audit.flush().expect("the store accepts the record");
    let stored = rows(&path);
    assert_eq!(stored.len(), 1);
    let (seq, action, method, input, log) = &stored[0];
    assert_eq!(*seq, 1);
    assert_eq!((&**action, &**method), ("greet", "init::greet"));
    assert_eq!(input, r#"{"name":"world"}"#);
    let log: serde_json::Value = serde_json::from_str(log).expect("JSON");
    assert_eq!(log[0]["message"], "greeting");
    assert_eq!(log[0]["target"], "init");
    assert_eq!(log[1]["message"], "from the log crate: world");
    assert_eq!((&log[1]["target"], &log[1]["level"]), (&"old".into(), &"WARN".into()));

    // A second recorder for the process is rejected and does not affect the first.
    let error = audited::init(folder.path().join("other.db")).expect_err("a recorder is installed");
    assert!(
        error.to_string().starts_with("a recorder is installed for this process already"),
        "{error}"
    );
    greet("again");

    // `init` has set the global subscriber, so the program cannot set its own any more.
    tracing_subscriber::registry().try_init().expect_err("a subscriber is set");

    // After the recorder is dropped, a new one continues in the same file.
    drop(audit);
    greet("no recorder");
    let audit = Audit::builder()
        .store(SqliteStore::open(&path).expect("an audit trail"))
        .install()
        .expect("no recorder is installed");
    greet("once more");
    audit.shutdown().expect("the file is closed");
    let names: Vec<_> = rows(&path).into_iter().map(|row| (row.0, row.3)).collect();
    let name = |name: &str| format!(r#"{{"name":"{name}"}}"#);
    assert_eq!(names, [(1, name("world")), (2, name("again")), (3, name("once more"))]);
}
