//! Whose database a file is, and how an old or empty one becomes a trail of today's schema.

use std::path::Path;

use audit_record::Error;
use rusqlite::{Connection, TransactionBehavior};

use crate::error::Failure;
use crate::schema::{
    APPLICATION_ID, FIRST_SHARED_VERSION, NAMES_V2, NAMES_V3, NEW, SCHEMA_VERSION, step_from,
};

/// What a trail is within its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// The database is the trail: `application_id` says so, and `user_version` is that of its schema.
    Own,
    /// The database is another program's, and so are those two. The table `audit_schema` holds the version.
    Shared,
}

/// Brings the database up to [`SCHEMA_VERSION`]. One that is not ours is left as it is, unless it may be
/// `shared` with its owner.
pub(crate) fn migrate(
    connection: &mut Connection,
    path: &Path,
    shared: bool,
) -> Result<Home, Failure> {
    loop {
        let (home, version) = identify(connection, path, shared)?;
        if version == SCHEMA_VERSION {
            return Ok(home);
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Asked again now that nobody else can write: another process may have been faster.
        if identify(&transaction, path, shared)? == (home, version) {
            advance(&transaction, path, home, version)?;
        }
        transaction.commit()?;
    }
}

/// From nothing to the newest version, or from `version` to the next one.
fn advance(transaction: &Connection, path: &Path, home: Home, version: i32) -> Result<(), Failure> {
    let (steps, to) =
        if version == 0 { (NEW, SCHEMA_VERSION) } else { (step_from(version), version + 1) };
    match (home, version) {
        (Home::Shared, 0) => check_names_are_free(transaction, path, &[NAMES_V2, NAMES_V3])?,
        (_, 2) => check_names_are_free(transaction, path, &[NAMES_V3])?,
        _ => {}
    }
    if (home, version) == (Home::Shared, 0) {
        transaction.execute_batch(
            "CREATE TABLE audit_schema (version INTEGER NOT NULL) STRICT;
             INSERT INTO audit_schema VALUES (0);",
        )?;
    }
    for step in steps {
        transaction.execute_batch(step)?;
    }
    match home {
        Home::Own => {
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", to)?;
        }
        Home::Shared => {
            transaction.execute("UPDATE main.audit_schema SET version = ?1", [to])?;
        }
    }
    Ok(())
}

/// Refuses a database whose owner has tables or views of our names.
fn check_names_are_free(
    connection: &Connection,
    path: &Path,
    names: &[&[&str]],
) -> Result<(), Failure> {
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
    Err(Failure::Refused(Error::permanent(format!(
        "cannot open the audit trail `{}`: the database holds a {taken} of another program, and the \
         trail needs that name; rename it, or keep the trail in a file of its own",
        path.display()
    ))))
}

/// What can be seen of a database before anything in it is trusted.
struct Seen {
    application_id: i32,
    user_version: i32,
    objects: i64,
    /// What `audit_schema` says, where it stands beside our tables.
    shared_version: Option<i32>,
}

/// What the trail is in its database, and the version of its schema, from 0 where there is none yet to
/// [`SCHEMA_VERSION`].
pub(crate) fn identify(
    connection: &Connection,
    path: &Path,
    shared: bool,
) -> Result<(Home, i32), Failure> {
    // One statement sees one state; several might see a migration happen between them.
    let (mut seen, has_table) = connection.query_row(
        "SELECT (SELECT application_id FROM pragma_application_id),
                (SELECT user_version FROM pragma_user_version),
                count(*),
                count(*) FILTER (WHERE type = 'table' AND name IN ('audit_schema', 'audit_record'))
         FROM main.sqlite_schema",
        [],
        |row| {
            let (application_id, user_version) = (row.get(0)?, row.get(1)?);
            let (objects, ours): (i64, i64) = (row.get(2)?, row.get(3)?);
            let seen = Seen { application_id, user_version, objects, shared_version: None };
            Ok((seen, ours == 2))
        },
    )?;
    if has_table && seen.application_id != APPLICATION_ID {
        seen.shared_version = Some(shared_version(connection)?);
    }
    recognise(&seen, path, shared).map_err(Failure::Refused)
}

fn recognise(seen: &Seen, path: &Path, shared: bool) -> Result<(Home, i32), Error> {
    let shown = path.display();
    let (home, version) = match (seen.application_id, seen.user_version, seen.objects) {
        (APPLICATION_ID, version, _) => (Home::Own, version),
        (0, 0, 0) => return Ok((if shared { Home::Shared } else { Home::Own }, 0)),
        (id, ..) if !shared => {
            return Err(Error::permanent(format!(
                "cannot open the audit trail `{shown}`: it is the database of another program \
                 (application_id {id}); nothing in it was changed; choose another path, or open it \
                 by `SqliteStore::builder().shared(true)` to keep the trail in that database"
            )));
        }
        _ => match seen.shared_version {
            None => return Ok((Home::Shared, 0)),
            Some(version) => (Home::Shared, version),
        },
    };
    let first = if home == Home::Own { 1 } else { FIRST_SHARED_VERSION };
    if (first..=SCHEMA_VERSION).contains(&version) {
        return Ok((home, version));
    }
    Err(Error::permanent(if version > SCHEMA_VERSION {
        format!(
            "cannot open the audit trail `{shown}`: its schema has version {version}, and this \
             program knows versions up to {SCHEMA_VERSION}; update the `audited` crate"
        )
    } else {
        format!(
            "cannot open the audit trail `{shown}`: its schema version {version} is none that \
             this crate has ever written; restore the file from a backup"
        )
    }))
}

/// The version that `audit_schema` holds; 0, which is none, where its row is missing.
fn shared_version(connection: &Connection) -> rusqlite::Result<i32> {
    connection
        .prepare_cached("SELECT ifnull(max(version), 0) FROM main.audit_schema")?
        .query_row([], |row| row.get(0))
}

/// Checks, inside a transaction, that the schema is still the one that its statements are made for.
pub(crate) fn check_unchanged(
    connection: &Connection,
    home: Home,
    doing: &str,
    path: &Path,
) -> Result<(), Failure> {
    let version: i32 = match home {
        Home::Own => connection
            .prepare_cached("PRAGMA main.user_version")?
            .query_row([], |row| row.get(0))?,
        Home::Shared => shared_version(connection)?,
    };
    if version == SCHEMA_VERSION {
        return Ok(());
    }
    Err(Failure::Refused(Error::permanent(format!(
        "cannot {doing} the audit trail `{}`: another program has changed its schema from \
         version {SCHEMA_VERSION} to {version} since it was opened; update the `audited` crate and \
         restart",
        path.display()
    ))))
}

/// Writes to the database without changing anything in it.
pub(crate) fn touch(transaction: &Connection, home: Home) -> rusqlite::Result<()> {
    match home {
        Home::Own => transaction.pragma_update(None, "user_version", SCHEMA_VERSION),
        Home::Shared => {
            transaction.execute("UPDATE main.audit_schema SET version = version", []).map(drop)
        }
    }
}

/// Refuses SQLite libraries that may damage a file in WAL mode.
///
/// `number` is as in `sqlite3_libversion_number`: 3.51.3 is 3051003. Up to 3.51.2, two
/// connections that write and checkpoint at the same moment can lose committed pages; 3.52.0
/// was withdrawn.
pub(crate) fn check_library(number: i32) -> Result<(), Error> {
    if number >= 3_051_003 && number != 3_052_000 {
        return Ok(());
    }
    let (major, minor, patch) = (number / 1_000_000, number / 1_000 % 1_000, number % 1_000);
    Err(Error::permanent(format!(
        "the SQLite library {major}.{minor}.{patch} can lose committed records of a file that \
         several connections write to; link 3.51.3 or a later one, but not 3.52.0, or turn on the \
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
            "the SQLite library 3.51.2 can lose committed records of a file that several \
             connections write to; link 3.51.3 or a later one, but not 3.52.0, or turn on the \
             feature `bundled`"
        );
        assert!(check_library(rusqlite::version_number()).is_ok());
    }

    fn recognised(
        (application_id, user_version, objects): (i32, i32, i64),
        shared_version: Option<i32>,
        shared: bool,
    ) -> Result<(Home, i32), String> {
        let seen = Seen { application_id, user_version, objects, shared_version };
        recognise(&seen, Path::new("/srv/audit.db"), shared).map_err(|error| error.to_string())
    }

    #[test]
    fn only_an_empty_database_or_a_trail_of_a_known_version_is_ours() {
        assert_eq!(recognised((0, 0, 0), None, false), Ok((Home::Own, 0)));
        assert_eq!(recognised((APPLICATION_ID, 1, 20), None, false), Ok((Home::Own, 1)));
        assert_eq!(recognised((APPLICATION_ID, 2, 20), None, false), Ok((Home::Own, 2)));
        assert_eq!(recognised((APPLICATION_ID, 3, 20), None, false), Ok((Home::Own, 3)));
        for (id, version, objects, hint) in [
            (0, 0, 1, "the database of another program (application_id 0)"),
            (0, 3, 0, "the database of another program (application_id 0)"),
            (7, 0, 0, "the database of another program (application_id 7)"),
            (-7, 1, 20, "the database of another program (application_id -7)"),
            (APPLICATION_ID, 4, 20, "has version 4, and this program knows versions up to 3"),
            (APPLICATION_ID, 0, 0, "version 0 is none"),
            (APPLICATION_ID, -1, 20, "version -1 is none"),
        ] {
            let message = recognised((id, version, objects), None, false).unwrap_err();
            assert!(message.contains(hint), "{message}");
        }
        // Nobody has said that it may be shared, though somebody has shared it.
        let message = recognised((0, 0, 30), Some(2), false).unwrap_err();
        assert!(message.contains("the database of another program"), "{message}");
    }

    #[test]
    fn any_database_may_be_shared_unless_it_is_a_trail() {
        assert_eq!(recognised((0, 0, 0), None, true), Ok((Home::Shared, 0)));
        assert_eq!(recognised((7, 5, 3), None, true), Ok((Home::Shared, 0)));
        assert_eq!(recognised((7, 5, 30), Some(2), true), Ok((Home::Shared, 2)));
        assert_eq!(recognised((APPLICATION_ID, 1, 20), None, true), Ok((Home::Own, 1)));
        for (version, hint) in [
            (4, "has version 4, and this program knows versions up to 3"),
            (1, "version 1 is none"),
            (0, "version 0 is none"),
        ] {
            let message = recognised((0, 9, 30), Some(version), true).unwrap_err();
            assert!(message.contains(hint), "{message}");
        }
    }

    /// All of the schema, without what makes no difference: comments, quotes and white space.
    fn schema(connection: &Connection) -> Vec<String> {
        let mut statement = connection
            .prepare(
                "SELECT type || ' ' || name || ' ' || tbl_name || ' ' || ifnull(sql, '')
                 FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\'
                 UNION ALL SELECT 'figures ' || tbl || ' ' || idx || ' ' || stat FROM sqlite_stat1
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
    fn an_old_trail_becomes_what_a_new_one_is() {
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
