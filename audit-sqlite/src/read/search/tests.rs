//! Query plans: every lookup uses an index.

use chrono::DateTime;

use super::*;
use crate::schema::NEW;

/// The query plan of `sql`, one step per line.
fn plan(connection: &Connection, sql: &str) -> String {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let mut steps = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get::<_, String>("detail").unwrap());
    }
    steps.join("\n")
}

/// One query for each form of SQL that a query can produce.
fn queries() -> Vec<ChangeQuery> {
    let mut queries = Vec::new();
    for change in [None, Some(ChangeKind::Changed), Some(ChangeKind::Deleted)] {
        for target_id in [None, Some("17".to_owned())] {
            for parts in 0..8 {
                let mut query = ChangeQuery::default();
                query.change = change;
                query.target_id.clone_from(&target_id);
                query.from = (parts & 1 > 0).then_some(DateTime::UNIX_EPOCH);
                query.fields = (parts & 2 > 0).then(|| "f".to_owned()).into_iter().collect();
                query.actor = (parts & 4 > 0).then(|| "alice".to_owned());
                queries.push(query);
            }
        }
    }
    queries
}

fn assert_lookups_use_an_index(connection: &Connection) {
    for query in queries() {
        let ids = match query.target_id {
            None => vec![(Ids::Any, "")],
            Some(_) => vec![
                (Ids::Is("17"), " AND target_id=?"),
                (Ids::ChildrenOf("17"), " AND target_id>? AND target_id<?"),
            ],
        };
        for (ids, by_id) in ids {
            let sql = sql(&query, ids);
            let plan = plan(connection, &sql);
            let index = match query.change {
                Some(ChangeKind::Deleted) => "audit_field_change_deleted",
                _ => "audit_field_change_by_target",
            };
            let step = format!("INDEX {index} (<expr>=? AND target_type=?{by_id})");
            let mut steps = plan.lines();
            let first = steps.next().unwrap();
            assert!(
                first.starts_with("SEARCH c USING ") && first.ends_with(&step),
                "{sql}\n{plan}"
            );
            for step in steps {
                let allowed = step.starts_with("CORRELATED SCALAR SUBQUERY ")
                    || step == "SEARCH r USING INTEGER PRIMARY KEY (rowid=?)";
                assert!(allowed, "{sql}\n{plan}");
            }
        }
    }
}

fn assert_lookups_by_actor_use_an_index(connection: &Connection) {
    let forms =
        queries().into_iter().filter(|query| query.actor.is_some() && may_search_by_actor(query));
    for query in forms {
        let sql = sql_by_actor(&query);
        let plan = plan(connection, &sql);
        let steps: Vec<_> = plan.lines().collect();
        let by_actor = "SEARCH r USING COVERING INDEX audit_record_by_actor (<expr>=? AND actor=?)";
        assert_eq!(steps[..2], [by_actor, "SEARCH c USING PRIMARY KEY (record_seq=?)"], "{sql}");
        assert!(!plan.contains("SCAN "), "{sql}\n{plan}");
    }
    let plan = plan(connection, RECORDS_OF_ACTOR);
    assert_eq!(plan, "SEARCH r USING COVERING INDEX audit_record_by_actor (<expr>=? AND actor=?)");
}

#[test]
fn every_lookup_uses_an_index() {
    let connection = Connection::open_in_memory().unwrap();
    NEW.iter().for_each(|step| connection.execute_batch(step).unwrap());
    assert_lookups_use_an_index(&connection);
    assert_lookups_by_actor_use_an_index(&connection);
    // Finding all changes or all deletions of a type reads only the index.
    for change in [None, Some(ChangeKind::Deleted)] {
        let mut query = ChangeQuery::default();
        query.change = change;
        let plan = plan(&connection, &sql(&query, Ids::Any));
        assert!(plan.contains("USING COVERING INDEX"), "{plan}");
    }
    for (sql, step) in [
        (NAMES_IN_RANGE, "INDEX sqlite_autoindex_audit_name_1 (text>? AND text<?)"),
        (NEXT_TYPE, "INDEX audit_field_change_by_target (<expr>=? AND target_type>?)"),
    ] {
        let plan = plan(&connection, sql);
        assert!(
            plan.starts_with("SEARCH ") && plan.ends_with(step) && plan.lines().count() == 1,
            "{plan}"
        );
    }
}

/// The owner of a shared database may have run ANALYZE while the trail was empty.
#[test]
fn no_lookup_depends_on_the_statistics() {
    let connection = Connection::open_in_memory().unwrap();
    NEW.iter().for_each(|step| connection.execute_batch(step).unwrap());
    connection.execute_batch("DELETE FROM sqlite_stat1; ANALYZE").unwrap();
    assert_lookups_use_an_index(&connection);
    assert_lookups_by_actor_use_an_index(&connection);
}

#[test]
fn the_rows_of_a_page_are_read_by_key() {
    let connection = Connection::open_in_memory().unwrap();
    NEW.iter().for_each(|step| connection.execute_batch(step).unwrap());
    for (sql, key) in [
        (crate::read::page::CHANGE, "PRIMARY KEY (record_seq=? AND position=?)"),
        (&crate::read::page::RECORD, "INTEGER PRIMARY KEY (rowid=?)"),
    ] {
        let plan = plan(&connection, sql);
        assert!(plan.starts_with("SEARCH ") && plan.ends_with(key), "{plan}");
    }
}

#[test]
fn runs_are_those_of_the_indexes() {
    for index in ["by_target", "deleted"] {
        let begin = format!(
            "CREATE INDEX audit_field_change_{index} ON audit_field_change (record_seq >> {RUN_BITS},"
        );
        assert!(NEW[1].contains(&begin), "{begin}");
    }
    for sql in [NEXT_TYPE, RECORDS_OF_ACTOR] {
        assert!(sql.contains(&format!(" >> {RUN_BITS} = ")), "{sql}");
    }
}
