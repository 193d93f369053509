//! What is in a trail, read as any SQLite tool reads it.

use std::path::Path;

use rusqlite::Connection;

/// A trail, opened for the test alone.
pub(crate) struct Trail(Connection);

/// What the tests look at of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) action: String,
    /// The argument `key`, if it has one.
    pub(crate) key: Option<String>,
    pub(crate) outcome: String,
}

impl Trail {
    pub(crate) fn open(path: &Path) -> Self {
        Self(Connection::open(path).expect("it can be opened"))
    }

    /// All records, in their order. Asserts that the file is whole, and `seq` and `id` are as they must be.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Line> {
        for check in ["PRAGMA integrity_check", "PRAGMA foreign_key_check"] {
            let mut statement = self.0.prepare(check).expect("a statement");
            let said: Vec<String> = statement
                .query_map([], |row| row.get(0))
                .expect("an answer")
                .map(|line| line.expect("a text"))
                .collect();
            assert!(said.is_empty() || said == ["ok"], "{check}: {said:?}");
        }
        // A process that was killed early has made a file, and nothing in it.
        let views = "SELECT count(*) FROM sqlite_master WHERE name = 'audit_log'";
        if self.0.query_row(views, [], |row| row.get::<_, i64>(0)).expect("an answer") == 0 {
            return Vec::new();
        }
        let (first, last, records, ids): (i64, i64, i64, i64) = self
            .0
            .query_row(
                "SELECT ifnull(min(seq), 1), ifnull(max(seq), 0), count(*), count(DISTINCT id) FROM audit_log",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .expect("an answer");
        assert_eq!(
            (first, last, ids),
            (1, records, records),
            "`seq` has gaps, or an id is there twice"
        );
        let mut statement = self
            .0
            .prepare(
                "SELECT action, json_extract(input, '$.key'), outcome FROM audit_log ORDER BY seq",
            )
            .expect("a statement");
        let lines = statement
            .query_map([], |row| {
                Ok(Line { action: row.get(0)?, key: row.get(1)?, outcome: row.get(2)? })
            })
            .expect("an answer")
            .map(|line| line.expect("a record"));
        lines.collect()
    }

    /// What the `gap` records say, in their order: their `output`, and their `reason`.
    pub(crate) fn gaps(&self) -> Vec<(serde_json::Value, String)> {
        let mut statement = self
            .0
            .prepare("SELECT ifnull(output, 'null'), ifnull(reason, '') FROM audit_log WHERE kind = 'gap' ORDER BY seq")
            .expect("a statement");
        let gaps = statement.query_map([], |row| {
            let (output, reason): (String, String) = (row.get(0)?, row.get(1)?);
            Ok((serde_json::from_str(&output).expect("JSON"), reason))
        });
        gaps.expect("an answer").map(|gap| gap.expect("a record")).collect()
    }
}
