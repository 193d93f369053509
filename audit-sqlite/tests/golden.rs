//! Trails written by every released schema version can be read and extended by the current code.

mod common;

use std::path::Path;

use audit_record::store::RecorderSession;
use audit_record::store::Store as _;
use audit_record::store::StoredChange;
use audit_sqlite::{SCHEMA_VERSION, SqliteStore};
use common::{actions, copy_golden, event, query, rows, texts, value};

const RECORDS: [&str; 2] = [
    concat!(
        "1|019b7ca1-7c1e-7cc3-9d4e-2f5b6c7d8e9f|call|2026-01-02T03:04:05.678901Z|1234|transfer funds|",
        "bank::transfer|failure|alice|NULL|2001:db8::1|NULL|NULL|account|17|NULL|order 17|NULL|",
        r#"{"amount":"101.67"}|NULL|[{"time":"2026-01-02T03:04:05.678901Z","level":"WARN","#,
        r#""target":"bank","message":"low funds","fields":{"left":3}}]|NULL|NULL|NULL|NULL|NULL|NULL"#,
    ),
    concat!(
        "2|019b7ca1-7c1f-7000-8000-000000000001|event|1969-12-31T23:59:59.500000Z|0|check||success|",
        "alice|NULL|NULL|NULL|NULL|NULL|NULL|NULL|019b7ca1-7c1f-7000-8000-000000000001|",
        "019b7ca1-7c1e-7cc3-9d4e-2f5b6c7d8e9f|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL",
    ),
];

/// The columns that version 4 has added, in records of older versions. The second record belongs to
/// a call around it, whose `seq` is 1.
const NEW_COLUMNS: [&str; 2] = ["|NULL|NULL|NULL", "|NULL|NULL|1"];

/// Opens the trail at `path`, adds records, and checks that the old ones are unchanged. Returns the
/// stored changes of the account.
fn check_read_and_extended(
    path: &Path,
    new_columns: [&str; 2],
    changes: &[&str],
) -> Vec<StoredChange> {
    let mut store = SqliteStore::open(path).unwrap();
    let mut reader = store.reader().unwrap().unwrap();
    let stored = reader.changes(&query("account", "17")).unwrap();
    let mut record = event("transfer funds");
    record.actor = Some("alice".into());
    store.write(&[record, event("something new")]).unwrap();
    store.close().unwrap();
    drop(reader);

    let records = [RECORDS[0].to_owned() + new_columns[0], RECORDS[1].to_owned() + new_columns[1]];
    assert_eq!(texts(path, "SELECT * FROM audit_log WHERE seq <= 2 ORDER BY seq"), records);
    assert_eq!(texts(path, "SELECT * FROM audit_changes ORDER BY changed_at"), changes);
    assert_eq!(actions(path), ["transfer funds", "check", "transfer funds", "something new"]);
    let alices: i64 = value(path, "SELECT count(*) FROM audit_log WHERE actor = 'alice'");
    assert_eq!(alices, 3);
    assert_eq!(value::<i32>(path, "PRAGMA user_version"), SCHEMA_VERSION);
    assert_eq!(value::<String>(path, "PRAGMA integrity_check"), "ok");
    stored
}

/// The first columns of all changes, which belong to the first record.
const FIRST_RECORD: &str = "019b7ca1-7c1e-7cc3-9d4e-2f5b6c7d8e9f|2026-01-02T03:04:05.678901Z|\
    transfer funds|alice|account|17|";

/// The last columns of all changes.
const RECORD_COLUMNS: &str = "|call|failure|1|NULL";

#[test]
fn a_version_1_trail_is_read_and_extended() {
    let directory = tempfile::tempdir().unwrap();
    let path = copy_golden(&directory, 1);
    assert_eq!(value::<i32>(&path, "PRAGMA user_version"), 1);
    let change = FIRST_RECORD.to_owned()
        + "changed|balance|5|3|2026-01-02T03:04:05.678901Z"
        + RECORD_COLUMNS;
    let stored = check_read_and_extended(&path, NEW_COLUMNS, &[&change]);
    assert_eq!(stored.len(), 1);
    // Version 1 did not record the time of a change separately.
    assert_eq!(stored[0].change.changed_at, stored[0].record.started_at);
    assert_eq!(stored[0].change.after.as_ref().unwrap().as_str(), "3");
}

#[test]
fn a_version_2_trail_is_read_and_extended() {
    let directory = tempfile::tempdir().unwrap();
    let path = copy_golden(&directory, 2);
    assert_eq!(value::<i32>(&path, "PRAGMA user_version"), 2);
    let changes = [
        "created|owner|NULL|\"bob\"|2026-01-02T03:04:05.700001Z",
        "changed|balance|5|3|2026-01-02T03:04:05.700002Z",
        "deleted|limit|1.10|NULL|2026-01-02T03:04:05.700003Z",
    ]
    .map(|change| FIRST_RECORD.to_owned() + change + RECORD_COLUMNS);
    let changes = changes.each_ref().map(String::as_str);
    let stored = check_read_and_extended(&path, NEW_COLUMNS, &changes);
    let fields: Vec<_> = stored.iter().map(|stored| &*stored.change.field).collect();
    assert_eq!(fields, ["owner", "balance", "limit"]);
}

#[test]
fn a_version_3_trail_is_read_extended_and_recovered() {
    check_sessions_are_recovered(3, NEW_COLUMNS);
}

#[test]
fn a_version_4_trail_is_read_extended_and_recovered() {
    let session = "019b7ca1-0000-7000-8000-000000000001";
    let new_columns = [&*format!("|{session}|310|NULL"), &*format!("|{session}|NULL|1")];
    check_sessions_are_recovered(4, new_columns);
}

/// Checks a trail of a version that has sessions. In it, one session is closed, and one is open.
fn check_sessions_are_recovered(version: i32, new_columns: [&str; 2]) {
    let directory = tempfile::tempdir().unwrap();
    let path = copy_golden(&directory, version);
    assert_eq!(value::<i32>(&path, "PRAGMA user_version"), version);
    let sessions = "SELECT id, service, host, started_at, state FROM audit_sessions ORDER BY 1";
    let ids = ["019b7ca1-0000-7000-8000-000000000001", "019b7ca1-0000-7000-8000-000000000002"];
    let expected = [
        format!("{}|billing|bank-1|2026-01-02T03:04:00.000000Z|closed", ids[0]),
        format!("{}|billing|bank-1|2026-01-02T04:00:00.000000Z|open", ids[1]),
    ];
    assert_eq!(texts(&path, sessions), expected);
    let intents = "SELECT id, kind, started_at, action, method, actor, ip, target_type, target_id,
        correlation_id, input, session_id FROM audit_intents";
    let refund = "019b7cd4-0000-7000-8000-000000000003|call|2026-01-02T04:00:01.500000Z|refund|\
        bank::transfer|alice|2001:db8::1|account|17|order 17|{\"amount\":\"101.67\"}|";
    assert_eq!(texts(&path, intents), [refund.to_owned() + ids[1]]);
    let changes = [
        "created|owner|NULL|\"bob\"|2026-01-02T03:04:05.700001Z",
        "changed|balance|5|3|2026-01-02T03:04:05.700002Z",
        "deleted|limit|1.10|NULL|2026-01-02T03:04:05.700003Z",
    ]
    .map(|change| FIRST_RECORD.to_owned() + change + RECORD_COLUMNS);
    check_read_and_extended(&path, new_columns, &changes.each_ref().map(String::as_str));

    // The process of the open session is gone, and so is its machine.
    let mut store = SqliteStore::open(&path).unwrap();
    let session = RecorderSession::new(0);
    store.begin(&session).unwrap();
    assert_eq!(texts(&path, intents), <[String; 0]>::default());
    let recovered = "SELECT action, outcome, output ->> 'records', output ->> 'at_most', session_id
        FROM audit_log WHERE seq > 4 ORDER BY seq";
    let expected = [
        format!("refund|unknown|NULL|NULL|{}", session.id),
        format!("records missing|unknown|100|1|{}", session.id),
    ];
    assert_eq!(texts(&path, recovered), expected);
    store.close().unwrap();
}

/// In the database of another program, the schema version is stored in a table.
#[test]
fn a_version_2_trail_in_a_shared_database_is_migrated() {
    let directory = tempfile::tempdir().unwrap();
    let path = copy_golden(&directory, 2);
    common::read(&path)
        .execute_batch(
            "PRAGMA application_id = 7; PRAGMA user_version = 70;
             CREATE TABLE orders (id INTEGER PRIMARY KEY);
             CREATE TABLE audit_schema (version INTEGER NOT NULL) STRICT; INSERT INTO audit_schema VALUES (2);",
        )
        .unwrap();
    let mut store = SqliteStore::builder().shared(true).open(&path).unwrap();
    store.begin(&RecorderSession::new(0)).unwrap();
    store.write(&[event("something new")]).unwrap();
    store.close().unwrap();
    assert_eq!(value::<i32>(&path, "SELECT version FROM audit_schema"), SCHEMA_VERSION);
    assert_eq!(value::<String>(&path, "SELECT state FROM audit_sessions"), "closed");
    assert_eq!(actions(&path), ["transfer funds", "check", "something new"]);
    assert_eq!(value::<i32>(&path, "PRAGMA application_id"), 7);
    assert_eq!(value::<i32>(&path, "PRAGMA user_version"), 70);
}

/// The owner of an older trail, or another program, may have created an object with a name that
/// version 3 needs.
#[test]
fn migration_is_refused_if_a_needed_name_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let path = copy_golden(&directory, 2);
    common::read(&path).execute_batch("CREATE VIEW audit_sessions AS SELECT 1").unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert!(
        error.to_string().contains("holds a view `audit_sessions` of another program"),
        "{error}"
    );
    assert_eq!(value::<i32>(&path, "PRAGMA user_version"), 2);
}

/// The owner may have views on the trail's views, and even broken ones.
#[test]
fn views_of_the_owner_survive_a_migration() {
    let directory = tempfile::tempdir().unwrap();
    let path = copy_golden(&directory, 1);
    common::read(&path)
        .execute_batch(
            "CREATE VIEW alices AS SELECT action FROM audit_log WHERE actor = 'alice';
             CREATE TABLE gone (a); CREATE VIEW broken AS SELECT a FROM gone; DROP TABLE gone;",
        )
        .unwrap();
    SqliteStore::open(&path).unwrap().close().unwrap();
    assert_eq!(texts(&path, "SELECT * FROM alices ORDER BY 1"), ["check", "transfer funds"]);
}

/// A released migration must not change, because existing files were made by it.
#[test]
fn a_new_trail_has_the_schema_of_the_golden_file() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (copy_golden(&directory, SCHEMA_VERSION), directory.path().join("new.db"));
    SqliteStore::open(&new).unwrap().close().unwrap();
    // Which statistics tables ANALYZE creates depends on how SQLite was built.
    let schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema
        WHERE name NOT LIKE 'sqlite_stat%' ORDER BY type, name";
    assert_eq!(rows(&old, schema), rows(&new, schema));
    let statistics = "SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY tbl, idx";
    assert_eq!(rows(&old, statistics), rows(&new, statistics));
}

/// Quotes, comments and white space may differ, because SQLite changes them when it renames tables.
#[test]
fn a_migrated_trail_has_the_schema_of_a_new_one() {
    let plain = "replace(replace(substr(sql, 1, instr(sql || '--', '--') - 1), '\"', ''), ' ', '')";
    let schema = format!(
        "SELECT type, name, tbl_name, CASE WHEN type = 'table' THEN {plain} ELSE sql END
         FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY type, name"
    );
    let columns = "SELECT t.name, c.name, c.type, c.\"notnull\", c.pk FROM pragma_table_list AS t
        JOIN pragma_table_xinfo(t.name) AS c ON true WHERE t.name NOT LIKE 'sqlite_%'
        ORDER BY t.name, c.cid";
    let statistics = "SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY tbl, idx";
    let directory = tempfile::tempdir().unwrap();
    let new = copy_golden(&directory, SCHEMA_VERSION);
    for version in 1..SCHEMA_VERSION {
        let old = copy_golden(&directory, version);
        SqliteStore::open(&old).unwrap().close().unwrap();
        for sql in [&*schema, columns, statistics] {
            assert_eq!(rows(&old, sql), rows(&new, sql), "{sql}");
        }
    }
}
