//! Whose database a file is, and how an old or empty one becomes a trail of today's schema.

use std::path::Path;

use audit_core::Error;
use rusqlite::{Connection, TransactionBehavior};

use crate::error::Failure;
use crate::schema::{APPLICATION_ID, SCHEMA_VERSION, STEPS};

/// Brings the database up to [`SCHEMA_VERSION`]. One that is not ours is left as it is.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Failure> {
    while version(connection, path)? < SCHEMA_VERSION {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Asked again now that nobody else can write: another process may have been faster.
        let from = version(&transaction, path)?;
        if from < SCHEMA_VERSION {
            transaction.execute_batch(STEPS[from as usize])?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", from + 1)?;
        }
        transaction.commit()?;
    }
    Ok(())
}

/// The schema version of the trail, from 0 for an empty database to [`SCHEMA_VERSION`].
fn version(connection: &Connection, path: &Path) -> Result<i32, Failure> {
    // One statement sees one state; three might see a migration happen between them.
    let (application_id, version, objects): (i32, i32, i64) = connection.query_row(
        "SELECT (SELECT application_id FROM pragma_application_id),
                (SELECT user_version FROM pragma_user_version),
                (SELECT count(*) FROM sqlite_schema)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    identify(application_id, version, objects, path).map_err(Failure::Refused)
}

fn identify(application_id: i32, version: i32, objects: i64, path: &Path) -> Result<i32, Error> {
    let shown = path.display();
    if (application_id, version, objects) == (0, 0, 0) {
        return Ok(0);
    }
    if application_id != APPLICATION_ID {
        return Err(Error::permanent(format!(
            "cannot open the audit trail `{shown}`: it is the database of another program \
             (application_id {application_id}); nothing in it was changed; choose another path"
        )));
    }
    match version {
        1..=SCHEMA_VERSION => Ok(version),
        version if version > SCHEMA_VERSION => Err(Error::permanent(format!(
            "cannot open the audit trail `{shown}`: its schema has version {version}, and this \
             program knows versions up to {SCHEMA_VERSION}; update the `audited` crate"
        ))),
        _ => Err(Error::permanent(format!(
            "cannot open the audit trail `{shown}`: its schema version {version} is none that \
             this crate has ever written; restore the file from a backup"
        ))),
    }
}

/// Checks, inside a batch's transaction, that the schema is still the one the batch is made for.
pub(crate) fn check_unchanged(connection: &Connection, path: &Path) -> Result<(), Failure> {
    let version: i32 =
        connection.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))?;
    if version == SCHEMA_VERSION {
        return Ok(());
    }
    Err(Failure::Refused(Error::permanent(format!(
        "cannot write to the audit trail `{}`: another program has changed its schema from \
         version {SCHEMA_VERSION} to {version} since it was opened; update the `audited` crate and \
         restart",
        path.display()
    ))))
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

    #[test]
    fn only_an_empty_database_or_a_trail_of_a_known_version_is_ours() {
        let identify = |id, version, objects| {
            identify(id, version, objects, Path::new("/srv/audit.db")).map_err(|e| e.to_string())
        };
        assert_eq!(identify(0, 0, 0), Ok(0));
        assert_eq!(identify(APPLICATION_ID, 1, 20), Ok(1));
        for (id, version, objects, hint) in [
            (0, 0, 1, "the database of another program (application_id 0)"),
            (0, 3, 0, "the database of another program (application_id 0)"),
            (7, 0, 0, "the database of another program (application_id 7)"),
            (-7, 1, 20, "the database of another program (application_id -7)"),
            (APPLICATION_ID, 2, 20, "has version 2, and this program knows versions up to 1"),
            (APPLICATION_ID, 0, 0, "version 0 is none"),
            (APPLICATION_ID, -1, 20, "version -1 is none"),
        ] {
            let message = identify(id, version, objects).unwrap_err();
            assert!(message.contains(hint), "{message}");
        }
    }
}
