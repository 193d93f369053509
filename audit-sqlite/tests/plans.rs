//! Query plans: common filters of the views use an index instead of reading every record.

mod common;

use std::path::Path;

use audit_record::store::Store as _;
use audit_sqlite::SqliteStore;
use common::{events, full, read, texts, value};
use rusqlite::StatementStatus;
use tempfile::tempdir;

/// The query plan of `sql`, one step per line.
fn plan(path: &Path, sql: &str) -> String {
    let connection = read(path);
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = statement.query_map([], |row| row.get::<_, String>("detail")).unwrap();
    steps.map(Result::unwrap).collect::<Vec<_>>().join("\n")
}

#[test]
fn filters_on_the_views_use_the_indexes() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    SqliteStore::open(&path).unwrap().write(&[full()]).unwrap();
    for (view, filter, index) in [
        ("audit_log", "actor = 'alice'", "audit_record_by_actor"),
        ("audit_log", "action = 'transfer funds'", "audit_record_by_action"),
        ("audit_log", "target_type = 'account' AND target_id = '17'", "audit_record_by_target"),
        (
            "audit_changes",
            "target_type = 'account' AND target_id = '17'",
            "audit_field_change_by_target",
        ),
    ] {
        let plan = plan(&path, &format!("SELECT * FROM {view} WHERE {filter}"));
        assert!(plan.contains(&format!("USING INDEX {index} (ANY(<expr>) AND ")), "{plan}");
        assert!(!plan.contains("SCAN"), "{plan}");
        let found: i64 = value(&path, &format!("SELECT count(*) FROM {view} WHERE {filter}"));
        assert_eq!(found, 1);
    }
}

/// `parent_seq` is not stored, so it must be found by index, in both directions.
#[test]
fn nested_calls_and_the_call_around_a_record_are_found_by_index() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    SqliteStore::open(&path).unwrap();
    let around = plan(&path, "SELECT parent_seq FROM audit_log WHERE seq = 17");
    let by_id = "SEARCH parent USING COVERING INDEX sqlite_autoindex_audit_record_1 (id=?)";
    assert_eq!(around, format!("SEARCH r USING INTEGER PRIMARY KEY (rowid=?)\n{by_id} LEFT-JOIN"));
    let nested = plan(&path, "SELECT seq, action FROM audit_log WHERE parent_seq = 17");
    let [parent, record, ..] = &*nested.lines().collect::<Vec<_>>() else { panic!("{nested}") };
    assert_eq!(*parent, "SEARCH parent USING INTEGER PRIMARY KEY (rowid=?)");
    assert_eq!(*record, "SEARCH r USING INDEX audit_record_by_parent (parent_id=?)");
    // Who does not ask for it does not pay for it.
    let other = plan(&path, "SELECT seq, duration_us FROM audit_log WHERE seq > 17");
    assert_eq!(other, "SEARCH r USING INTEGER PRIMARY KEY (rowid>?)");
}

#[test]
fn the_newest_records_are_read_from_the_end() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    SqliteStore::open(&path).unwrap();
    let plan = plan(&path, "SELECT * FROM audit_log ORDER BY seq DESC LIMIT 50");
    assert!(plan.starts_with("SCAN r\n") && !plan.contains("TEMP B-TREE"), "{plan}");
}

/// The documentation gives two hints. Common values are found faster from the end than by their
/// index. Columns that the view computes have no index, so a query should limit `seq`.
#[test]
fn the_documented_queries_for_common_values_and_unindexed_columns_work() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&[full()]).unwrap();
    let common =
        "SELECT * FROM audit_log WHERE +action = 'transfer funds' ORDER BY seq DESC LIMIT 50";
    let plan_of_common = plan(&path, common);
    assert!(plan_of_common.starts_with("SCAN r\n"), "{plan_of_common}");
    assert!(!plan_of_common.contains("TEMP B-TREE"), "{plan_of_common}");
    assert_eq!(read(&path).prepare(common).unwrap().query_map([], |_| Ok(())).unwrap().count(), 1);

    let unlimited = "SELECT * FROM audit_log WHERE correlation_id = 'order 17'";
    assert!(plan(&path, unlimited).starts_with("SCAN r\n"), "{}", plan(&path, unlimited));
    store.write(&events("more", 500)).unwrap();
    let trail = read(&path);
    let mut newest = trail.prepare("SELECT max(seq) FROM audit_log").unwrap();
    assert_eq!(newest.query_row([], |row| row.get(0)), Ok(501));
    assert!(newest.get_status(StatementStatus::FullscanStep) < 5);
    let limited = format!("{unlimited} AND seq > (SELECT max(seq) FROM audit_log) - 100000");
    let plan = plan(&path, &limited);
    assert!(plan.starts_with("SEARCH r USING INTEGER PRIMARY KEY (rowid>?)\n"), "{plan}");
    assert_eq!(
        read(&path).prepare(&limited).unwrap().query_map([], |_| Ok(())).unwrap().count(),
        1
    );
}

/// The query for a page of one actor's records goes run by run, newest first.
#[test]
fn a_page_is_read_run_by_run() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    SqliteStore::open(&path).unwrap();
    let plan = plan(
        &path,
        "WITH RECURSIVE run (n) AS (
             SELECT max(seq) >> 13 FROM audit_record UNION ALL SELECT n - 1 FROM run WHERE n > 0
         )
         SELECT r.seq FROM run CROSS JOIN audit_record AS r
         WHERE r.seq >> 13 = run.n AND r.actor = 1 LIMIT 50",
    );
    assert!(plan.contains("audit_record_by_actor (<expr>=? AND actor=?)"), "{plan}");
}

/// The query for a page of deletions of one type.
#[test]
fn deletions_have_their_own_index() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    SqliteStore::open(&path).unwrap();
    let plan = plan(
        &path,
        "SELECT record_seq, position FROM audit_field_change
         WHERE record_seq >> 13 = 0 AND target_type = 1 AND change = 2",
    );
    let index = "COVERING INDEX audit_field_change_deleted (<expr>=? AND target_type=?)";
    assert!(plan.contains(index), "{plan}");
}

const BY_ID: &str = "SEARCH r USING INDEX sqlite_autoindex_audit_record_1 (id=?)";
const BY_PARENT: &str = "SEARCH r USING INDEX audit_record_by_parent (parent_id=?)";
const SESSION_BY_ID: &str = "SEARCH s USING INDEX audit_session_by_id_text (id_text=?)";
const INTENT_BY_ID: &str = "SEARCH i USING INDEX sqlite_autoindex_audit_intent_1 (id=?)";

/// SQLite may read only the index, if that is enough.
fn is_step(plan: &str, step: &str) -> bool {
    plan.lines().any(|line| line.replace("COVERING INDEX sqlite", "INDEX sqlite") == step)
}

#[test]
fn lookups_by_id_and_parent_use_an_index() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    SqliteStore::open(&path).unwrap();
    for (sql, step) in [
        ("SELECT seq FROM audit_log WHERE id = 'x'", BY_ID),
        ("SELECT seq FROM audit_log WHERE 'x' = id AND outcome = 'failure'", BY_ID),
        ("SELECT seq FROM audit_log WHERE id IN ('x', 'y')", BY_ID),
        ("SELECT seq FROM audit_log WHERE id = lower('X')", BY_ID),
        (
            "SELECT seq FROM audit_log WHERE id = (SELECT parent_id FROM audit_log WHERE seq = 1)",
            BY_ID,
        ),
        ("SELECT seq FROM audit_log WHERE id IN (SELECT record_id FROM audit_changes)", BY_ID),
        ("SELECT seq FROM audit_log WHERE parent_id = 'x'", BY_PARENT),
        ("SELECT seq FROM audit_log WHERE parent_id IN ('x', 'y') ORDER BY seq", BY_PARENT),
        (
            "SELECT seq FROM audit_log WHERE parent_id IN (SELECT id FROM audit_log WHERE seq < 9)",
            BY_PARENT,
        ),
        ("SELECT field FROM audit_changes WHERE record_id = 'x'", BY_ID),
        ("SELECT pid FROM audit_sessions WHERE id = 'x'", SESSION_BY_ID),
        ("SELECT pid FROM audit_sessions WHERE id IN ('x', 'y')", SESSION_BY_ID),
        ("SELECT action FROM audit_intents WHERE id = 'x'", INTENT_BY_ID),
        (
            "SELECT action FROM audit_intents WHERE parent_id = 'x'",
            "SEARCH i USING INDEX audit_intent_by_parent (parent_id=?)",
        ),
    ] {
        let plan = plan(&path, sql);
        assert!(is_step(&plan, step), "{sql}\n{plan}");
        assert!(!plan.contains("SCAN r\n") && !plan.ends_with("SCAN r"), "{sql}\n{plan}");
    }
}

#[test]
fn joins_by_id_and_parent_use_an_index() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    SqliteStore::open(&path).unwrap();
    for (sql, step) in [
        ("SELECT a.seq FROM audit_log a JOIN audit_log b ON a.parent_id = b.id", BY_ID),
        (
            "SELECT a.seq, b.action FROM audit_log AS a, audit_log AS b WHERE b.id = a.parent_id",
            BY_ID,
        ),
        (
            "SELECT a.action, b.action FROM audit_log a JOIN audit_log b ON b.parent_id = a.id
             WHERE a.seq = 17",
            BY_PARENT,
        ),
        (
            "SELECT seq FROM audit_log a
             WHERE EXISTS (SELECT 1 FROM audit_log b WHERE b.parent_id = a.id)",
            BY_PARENT,
        ),
        (
            "SELECT seq, (SELECT action FROM audit_log b WHERE b.id = a.parent_id) FROM audit_log a",
            BY_ID,
        ),
        ("SELECT field FROM audit_log l JOIN audit_changes c ON c.record_id = l.id", BY_ID),
        (
            "SELECT field FROM audit_log l JOIN audit_changes c ON c.record_id = l.id WHERE l.seq = 1",
            BY_ID,
        ),
        ("SELECT pid FROM audit_log l JOIN audit_sessions s ON s.id = l.session_id", SESSION_BY_ID),
        (
            "SELECT pid FROM audit_log l LEFT JOIN audit_sessions s ON s.id = l.session_id",
            "SEARCH s USING INDEX audit_session_by_id_text (id_text=?) LEFT-JOIN",
        ),
        (
            "SELECT pid FROM audit_intents i JOIN audit_sessions s ON s.id = i.session_id",
            SESSION_BY_ID,
        ),
        ("SELECT l.seq FROM audit_intents i JOIN audit_log l ON l.id = i.parent_id", BY_ID),
        (
            "SELECT a.id FROM audit_intents a JOIN audit_intents b ON b.id = a.parent_id",
            INTENT_BY_ID,
        ),
        ("SELECT b.seq FROM audit_log a JOIN audit_log b ON b.id = a.correlation_id", BY_ID),
    ] {
        let plan = plan(&path, sql);
        assert!(is_step(&plan, step), "{sql}\n{plan}");
        assert!(!plan.contains("AUTOMATIC"), "{sql}\n{plan}");
    }
}

/// The views join several tables, and SQLite reads such a view once as a whole if it is on the right
/// side of a LEFT JOIN. Then it builds an index, so the time does not grow with the square.
#[test]
fn a_view_on_the_right_of_a_left_join_is_indexed_first() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    SqliteStore::open(&path).unwrap();
    for (sql, step) in [
        (
            "SELECT a.seq, b.seq FROM audit_log a LEFT JOIN audit_log b ON a.parent_id = b.id",
            "SEARCH b USING AUTOMATIC COVERING INDEX (id=?) LEFT-JOIN",
        ),
        (
            "SELECT a.seq, b.seq FROM audit_log a LEFT JOIN audit_log b ON b.parent_id = a.id",
            "SEARCH b USING AUTOMATIC COVERING INDEX (parent_id=?) LEFT-JOIN",
        ),
        (
            "SELECT seq, field FROM audit_log l LEFT JOIN audit_changes c ON c.record_id = l.id",
            "SEARCH c USING AUTOMATIC COVERING INDEX (record_id=?) LEFT-JOIN",
        ),
    ] {
        let plan = plan(&path, sql);
        assert!(plan.lines().any(|line| line.replace("BLOOM FILTER ON ", "") == step), "{plan}");
    }
}

/// All calls below a call.
#[test]
fn a_tree_of_calls_is_walked_by_index() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let mut records = events("call", 6);
    // 0 ┬ 1 ── 2
    //   └ 3            4 ── 5
    for (child, parent) in [(1, 0), (2, 1), (3, 0), (5, 4)] {
        records[child].parent_id = Some(records[parent].id);
    }
    store.write(&records).unwrap();
    let sql = "WITH RECURSIVE tree (id, seq, action) AS (
            SELECT id, seq, action FROM audit_log WHERE seq = 1
            UNION ALL
            SELECT l.id, l.seq, l.action FROM tree JOIN audit_log AS l ON l.parent_id = tree.id
        ) SELECT action FROM tree ORDER BY seq";
    assert!(is_step(&plan(&path, sql), BY_PARENT), "{}", plan(&path, sql));
    assert_eq!(texts(&path, sql), ["call 0", "call 1", "call 2", "call 3"]);
    let pairs = "SELECT a.action, b.action FROM audit_log a JOIN audit_log b ON a.parent_id = b.id
        ORDER BY a.seq";
    let expected = ["call 1|call 0", "call 2|call 1", "call 3|call 0", "call 5|call 4"];
    assert_eq!(texts(&path, pairs), expected);
}
