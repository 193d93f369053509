//! What the documentation shows can be run: the SQL queries of `docs/sql.md` and `docs/durability.md`.

use rusqlite::Connection;

/// The contents of the code blocks marked as SQL.
fn sql_blocks(page: &str) -> Vec<&str> {
    page.split("```sql\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

#[test]
fn all_queries_of_the_documentation_run() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.db");
    let audit = audited::init(&path).expect("a recorder");
    audited::execute("pay invoice", "bank::pay", (), || ());
    audit.flush().expect("the record is stored");
    let connection = Connection::open(&path).expect("a trail");
    let mut queries = 0;
    for page in [include_str!("../docs/sql.md"), include_str!("../docs/durability.md")] {
        for block in sql_blocks(page) {
            let mut statement = connection
                .prepare(block.trim_end().trim_end_matches(';'))
                .unwrap_or_else(|error| panic!("{error} in\n{block}"));
            let mut rows = statement.query([]).expect("no parameters");
            while rows.next().unwrap_or_else(|error| panic!("{error} in\n{block}")).is_some() {}
            queries += 1;
        }
    }
    assert!(queries >= 10, "{queries} queries are found");
}
