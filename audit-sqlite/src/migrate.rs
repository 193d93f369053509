//! [`DatabaseKind`]: whom a database belongs to; and the migration of an empty or older one to the
//! current schema.

use std::path::Path;

use audit_record::Error;
use rusqlite::{Connection, TransactionBehavior};

use crate::error::StoreError;
use crate::schema::{
    APPLICATION_ID, FIRST_SHARED_VERSION, NAMES_V2, NAMES_V3, NEW, SCHEMA_VERSION, step_from,
};

/// Whom the database of a trail belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseKind {
    /// The database holds only the trail. `application_id` marks it, and `user_version` is the
    /// version of the schema.
    Dedicated,
    /// The database belongs to another program, and so do these two settings. The version is in the
    /// table `audit_schema`.
    Shared,
}

/// Migrates the database to [`SCHEMA_VERSION`]. The database of another program is refused and left
/// unchanged, unless `shared` allows it.
pub(crate) fn migrate(
    connection: &mut Connection,
    path: &Path,
    shared: bool,
) -> Result<DatabaseKind, StoreError> {
    loop {
        let (kind, version) = identify(connection, path, shared)?;
        if version == SCHEMA_VERSION {
            return Ok(kind);
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Checked again under the write lock, because another process may have been faster.
        if identify(&transaction, path, shared)? == (kind, version) {
            apply_steps(&transaction, path, kind, version)?;
        }
        transaction.commit()?;
    }
}

/// Creates the newest version, or migrates from `version` to the next one.
fn apply_steps(
    transaction: &Connection,
    path: &Path,
    kind: DatabaseKind,
    version: i32,
) -> Result<(), StoreError> {
    let (steps, to) =
        if version == 0 { (NEW, SCHEMA_VERSION) } else { (step_from(version), version + 1) };
    match (kind, version) {
        (DatabaseKind::Shared, 0) => {
            check_names_are_free(transaction, path, &[NAMES_V2, NAMES_V3])?
        }
        (_, 2) => check_names_are_free(transaction, path, &[NAMES_V3])?,
        _ => {}
    }
    if (kind, version) == (DatabaseKind::Shared, 0) {
        transaction.execute_batch(
            "CREATE TABLE audit_schema (version INTEGER NOT NULL) STRICT;
             INSERT INTO audit_schema VALUES (0);",
        )?;
    }
    for step in steps {
        transaction.execute_batch(step)?;
    }
    match kind {
        DatabaseKind::Dedicated => {
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", to)?;
        }
        DatabaseKind::Shared => {
            transaction.execute("UPDATE main.audit_schema SET version = ?1", [to])?;
        }
    }
    Ok(())
}

/// Refuses a database that has other tables or views with the names of the trail.
fn check_names_are_free(
    connection: &Connection,
    path: &Path,
    names: &[&[&str]],
) -> Result<(), StoreError> {
    let names = names.concat().join("', '");
    let taken: Option<String> = connection.query_row(
        &format!(
            "SELECT min(type || ' `' || name || '`') FROM main.sqlite_schema
             WHERE type <> 'trigger' AND lower(name) IN ('{names}')"
        ),
        [],
        |row| row.get(0),
    )?;
    let Some(taken) = taken else { return Ok(()) };
    Err(StoreError::Explained(Error::permanent(format!(
        "cannot open the audit trail `{}`: the database holds a {taken} of another program, and \
         the trail needs that name; rename it, or keep the trail in a file of its own",
        path.display()
    ))))
}

/// What identifies a database, before anything in it is trusted.
struct Identification {
    application_id: i32,
    user_version: i32,
    objects: i64,
    /// The version in `audit_schema`, if it exists beside the tables of the trail.
    shared_version: Option<i32>,
}

/// Finds out whom the database belongs to, and the version of its schema: 0 if it has no trail yet,
/// [`SCHEMA_VERSION`] at most.
pub(crate) fn identify(
    connection: &Connection,
    path: &Path,
    shared: bool,
) -> Result<(DatabaseKind, i32), StoreError> {
    // One statement sees one state. A migration could run between two statements.
    let (mut found, has_table) = connection.query_row(
        "SELECT (SELECT application_id FROM pragma_application_id),
                (SELECT user_version FROM pragma_user_version),
                count(*),
                count(*) FILTER (WHERE type = 'table' AND name IN ('audit_schema', 'audit_record'))
         FROM main.sqlite_schema",
        [],
        |row| {
            let (application_id, user_version) = (row.get(0)?, row.get(1)?);
            let (objects, ours): (i64, i64) = (row.get(2)?, row.get(3)?);
            let found =
                Identification { application_id, user_version, objects, shared_version: None };
            Ok((found, ours == 2))
        },
    )?;
    if has_table && found.application_id != APPLICATION_ID {
        found.shared_version = Some(shared_version(connection)?);
    }
    classify(&found, path, shared).map_err(StoreError::Explained)
}

fn classify(
    found: &Identification,
    path: &Path,
    shared: bool,
) -> Result<(DatabaseKind, i32), Error> {
    let shown = path.display();
    let (kind, version) = match (found.application_id, found.user_version, found.objects) {
        (APPLICATION_ID, version, _) => (DatabaseKind::Dedicated, version),
        (0, 0, 0) => {
            return Ok((if shared { DatabaseKind::Shared } else { DatabaseKind::Dedicated }, 0));
        }
        (id, ..) if !shared => {
            return Err(Error::permanent(format!(
                "cannot open the audit trail `{shown}`: it is the database of another program \
                 (application_id {id}); nothing in it was changed; choose another path, or open it \
                 with `SqliteStore::builder().shared(true)` to keep the trail in that database"
            )));
        }
        _ => match found.shared_version {
            None => return Ok((DatabaseKind::Shared, 0)),
            Some(version) => (DatabaseKind::Shared, version),
        },
    };
    let first = if kind == DatabaseKind::Dedicated { 1 } else { FIRST_SHARED_VERSION };
    if (first..=SCHEMA_VERSION).contains(&version) {
        return Ok((kind, version));
    }
    Err(if version > SCHEMA_VERSION {
        Error::permanent(format!(
            "cannot open the audit trail `{shown}`: its schema has version {version}, but this \
             program supports versions up to {SCHEMA_VERSION}; update the `audited` crate"
        ))
    } else {
        Error::damaged(format!(
            "cannot open the audit trail `{shown}`: its schema has version {version}, which this \
             crate has never written; restore the file from a backup"
        ))
    })
}

/// The version in `audit_schema`; 0, which is never valid, if its row is missing.
fn shared_version(connection: &Connection) -> rusqlite::Result<i32> {
    connection
        .prepare_cached("SELECT ifnull(max(version), 0) FROM main.audit_schema")?
        .query_row([], |row| row.get(0))
}

/// Checks, inside a transaction, that the schema still has the version that our statements are
/// written for.
pub(crate) fn check_unchanged(
    connection: &Connection,
    kind: DatabaseKind,
    operation: &str,
    path: &Path,
) -> Result<(), StoreError> {
    let version: i32 = match kind {
        DatabaseKind::Dedicated => connection
            .prepare_cached("PRAGMA main.user_version")?
            .query_row([], |row| row.get(0))?,
        DatabaseKind::Shared => shared_version(connection)?,
    };
    if version == SCHEMA_VERSION {
        return Ok(());
    }
    Err(StoreError::Explained(Error::permanent(format!(
        "cannot {operation} the audit trail `{}`: another program has changed its schema from \
         version {SCHEMA_VERSION} to {version} since it was opened; update the `audited` crate and \
         restart",
        path.display()
    ))))
}

/// Writes the version again, so that the commit has something to sync.
pub(crate) fn touch_version(transaction: &Connection, kind: DatabaseKind) -> rusqlite::Result<()> {
    match kind {
        DatabaseKind::Dedicated => transaction.pragma_update(None, "user_version", SCHEMA_VERSION),
        DatabaseKind::Shared => {
            transaction.execute("UPDATE main.audit_schema SET version = version", []).map(drop)
        }
    }
}

/// Refuses SQLite libraries that may damage a file in WAL mode.
///
/// `number` is the result of `sqlite3_libversion_number`: 3.51.3 is 3051003. Up to 3.51.2, two
/// connections that write and checkpoint at the same moment can lose committed pages. 3.52.0 was
/// withdrawn.
pub(crate) fn check_library(number: i32) -> Result<(), Error> {
    if number >= 3_051_003 && number != 3_052_000 {
        return Ok(());
    }
    let (major, minor, patch) = (number / 1_000_000, number / 1_000 % 1_000, number % 1_000);
    Err(Error::permanent(format!(
        "the SQLite library {major}.{minor}.{patch} can lose committed records if several \
         connections write to one file; link 3.51.3 or later, but not 3.52.0, or enable the \
         feature `bundled`"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::V1;

    #[test]
    fn libraries_that_damage_files_are_refused() {
        for number in [3_007_000, 3_037_002, 3_050_007, 3_051_002, 3_052_000] {
            assert!(!check_library(number).unwrap_err().is_transient(), "{number}");
        }
        for number in [3_051_003, 3_051_010, 3_052_001, 3_053_000, 3_054_001, 4_000_000] {
            assert!(check_library(number).is_ok(), "{number}");
        }
        assert_eq!(
            check_library(3_051_002).unwrap_err().to_string(),
            "the SQLite library 3.51.2 can lose committed records if several \
             connections write to one file; link 3.51.3 or later, but not 3.52.0, or enable the \
             feature `bundled`"
        );
        assert!(check_library(rusqlite::version_number()).is_ok());
    }

    fn classify_values(
        (application_id, user_version, objects): (i32, i32, i64),
        shared_version: Option<i32>,
        shared: bool,
    ) -> Result<(DatabaseKind, i32), String> {
        let found = Identification { application_id, user_version, objects, shared_version };
        classify(&found, Path::new("/srv/audit.db"), shared).map_err(|error| error.to_string())
    }

    #[test]
    fn only_an_empty_database_or_a_trail_of_a_known_version_is_accepted() {
        assert_eq!(classify_values((0, 0, 0), None, false), Ok((DatabaseKind::Dedicated, 0)));
        for version in 1..=5 {
            assert_eq!(
                classify_values((APPLICATION_ID, version, 20), None, false),
                Ok((DatabaseKind::Dedicated, version))
            );
        }
        for (id, version, objects, hint) in [
            (0, 0, 1, "the database of another program (application_id 0)"),
            (0, 3, 0, "the database of another program (application_id 0)"),
            (7, 0, 0, "the database of another program (application_id 7)"),
            (-7, 1, 20, "the database of another program (application_id -7)"),
            (APPLICATION_ID, 6, 20, "has version 6, but this program supports versions up to 5"),
            (APPLICATION_ID, 0, 0, "has version 0, which this crate has never written"),
            (APPLICATION_ID, -1, 20, "has version -1, which this crate has never written"),
        ] {
            let message = classify_values((id, version, objects), None, false).unwrap_err();
            assert!(message.contains(hint), "{message}");
        }
        // It is shared already, but this store was not opened with `shared`.
        let message = classify_values((0, 0, 30), Some(2), false).unwrap_err();
        assert!(message.contains("the database of another program"), "{message}");
    }

    #[test]
    fn any_database_may_be_shared_unless_it_is_a_trail() {
        assert_eq!(classify_values((0, 0, 0), None, true), Ok((DatabaseKind::Shared, 0)));
        assert_eq!(classify_values((7, 5, 3), None, true), Ok((DatabaseKind::Shared, 0)));
        assert_eq!(classify_values((7, 5, 30), Some(2), true), Ok((DatabaseKind::Shared, 2)));
        assert_eq!(
            classify_values((APPLICATION_ID, 1, 20), None, true),
            Ok((DatabaseKind::Dedicated, 1))
        );
        for (version, hint) in [
            (6, "has version 6, but this program supports versions up to 5"),
            (1, "has version 1, which this crate has never written"),
            (0, "has version 0, which this crate has never written"),
        ] {
            let message = classify_values((0, 9, 30), Some(version), true).unwrap_err();
            assert!(message.contains(hint), "{message}");
        }
    }

    /// The whole schema without comments, quotes and spaces.
    fn schema(connection: &Connection) -> Vec<String> {
        let mut statement = connection
            .prepare(
                "SELECT type || ' ' || name || ' ' || tbl_name || ' ' || ifnull(sql, '')
                 FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\'
                 UNION ALL SELECT 'statistics ' || tbl || ' ' || idx || ' ' || stat FROM sqlite_stat1
                 ORDER BY 1",
            )
            .unwrap();
        let plain = |sql: String| -> String {
            sql.lines()
                .flat_map(|line| line.split("--").next().unwrap().split(['"', ' ']))
                .collect()
        };
        statement.query_map([], |row| Ok(plain(row.get(0)?))).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_migrated_trail_has_the_schema_of_a_new_one() {
        let (old, new) =
            (Connection::open_in_memory().unwrap(), Connection::open_in_memory().unwrap());
        old.execute_batch(V1).unwrap();
        for version in 1..SCHEMA_VERSION {
            step_from(version).iter().for_each(|step| old.execute_batch(step).unwrap());
        }
        NEW.iter().for_each(|step| new.execute_batch(step).unwrap());
        assert_eq!(schema(&old), schema(&new));
        assert!(schema(&new).len() > 30);
    }
}
