//! The content of a trail, read like any SQLite tool would read it.

use std::path::Path;

use audited::{Audit, SqliteStore};
use rusqlite::Connection;

/// Simulates the next start of the program: opens a recorder on the trail, and closes it.
pub(crate) fn restart(path: &Path) {
    let store = SqliteStore::open(path).expect("the trail opens");
    let audit = Audit::builder().store(store).build().expect("a recorder");
    audit.shutdown().expect("close succeeds");
}

/// A connection to a trail.
pub(crate) struct Trail(Connection);

/// The parts of a record that the tests compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) action: String,
    /// The argument `key`, if the call has one.
    pub(crate) key: Option<String>,
    pub(crate) outcome: String,
}

impl Trail {
    pub(crate) fn open(path: &Path) -> Self {
        Self(Connection::open(path).expect("it can be opened"))
    }

    /// All records in order of `seq`. Asserts that the file is intact, that `seq` has no gaps, and
    /// that every `id` is unique.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Line> {
        for check in ["PRAGMA integrity_check", "PRAGMA foreign_key_check"] {
            let mut statement = self.0.prepare(check).expect("a statement");
            let problems: Vec<String> = statement
                .query_map([], |row| row.get(0))
                .expect("an answer")
                .map(|line| line.expect("a text"))
                .collect();
            assert!(problems.is_empty() || problems == ["ok"], "{check}: {problems:?}");
        }
        // A process that was killed early may leave an empty file.
        let views = "SELECT count(*) FROM sqlite_master WHERE name = 'audit_log'";
        if self.0.query_row(views, [], |row| row.get::<_, i64>(0)).expect("an answer") == 0 {
            return Vec::new();
        }
        let (first, last, records, ids): (i64, i64, i64, i64) = self
            .0
            .query_row(
                "SELECT ifnull(min(seq), 1), ifnull(max(seq), 0), count(*), count(DISTINCT id)
                 FROM audit_log",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .expect("an answer");
        assert_eq!(
            (first, last, ids),
            (1, records, records),
            "`seq` has gaps, or an id occurs twice"
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

    /// The `output` and the `reason` of each gap record, in order of `seq`.
    pub(crate) fn gaps(&self) -> Vec<(serde_json::Value, String)> {
        let mut statement = self
            .0
            .prepare(
                "SELECT ifnull(output, 'null'), ifnull(reason, '')
                 FROM audit_log WHERE kind = 'gap' ORDER BY seq",
            )
            .expect("a statement");
        let gaps = statement.query_map([], |row| {
            let (output, reason): (String, String) = (row.get(0)?, row.get(1)?);
            Ok((serde_json::from_str(&output).expect("JSON"), reason))
        });
        gaps.expect("an answer").map(|gap| gap.expect("a record")).collect()
    }
}
