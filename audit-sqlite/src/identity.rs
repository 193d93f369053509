//! [`TrailIdentity`]: the rows by which a store recognises its trail.

use std::path::Path;

use audit_record::Record;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};
use uuid::Uuid;

use crate::error::{NO_CONTENT, OTHER_CONTENT, StoreError};
use crate::migrate::DatabaseKind;

/// Rows that are never deleted from the trail that a store has opened. If one is missing, the
/// content of the file was lost or replaced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrailIdentity {
    pub(crate) kind: DatabaseKind,
    /// The first record of the trail; `None` while it has none.
    first_record: Option<Uuid>,
    /// The last record that this store has stored.
    last_record: Option<Uuid>,
    /// The row of the recorder session: its key, and the id of the session.
    session: Option<(i64, Uuid)>,
}

impl TrailIdentity {
    /// The identity of the trail that `connection` has open.
    pub(crate) fn read(connection: &Connection, kind: DatabaseKind) -> rusqlite::Result<Self> {
        let first_record = first_record(connection)?;
        Ok(Self { kind, first_record, last_record: None, session: None })
    }

    pub(crate) fn set_session(&mut self, number: i64, id: Uuid) {
        self.session = Some((number, id));
    }

    /// Must be called after `records` were committed.
    pub(crate) fn add_stored(
        &mut self,
        connection: &Connection,
        records: &[Record],
    ) -> rusqlite::Result<()> {
        if let Some(last) = records.last() {
            self.last_record = Some(last.id);
        }
        if self.first_record.is_none() {
            self.first_record = first_record(connection)?;
        }
        Ok(())
    }

    /// Checks that the trail that `connection` has open contains these rows.
    pub(crate) fn check(
        &self,
        connection: &Connection,
        operation: &str,
        path: &Path,
    ) -> Result<(), StoreError> {
        let (what, source) = match self.is_in(connection) {
            Ok(true) => return Ok(()),
            Ok(false) => (OTHER_CONTENT, None),
            Err(error) => match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase) => (NO_CONTENT, Some(error)),
                // A page or a table is not the one that was there, or the disk can't be read.
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => {
                    (OTHER_CONTENT, Some(error))
                }
                _ => return Err(error.into()),
            },
        };
        let lost = StoreError::lost(operation, path, what).into_error(operation, path);
        Err(StoreError::LostContent(match source {
            Some(source) => lost.with_source(source),
            None => lost,
        }))
    }

    fn is_in(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let (number, session) = self.session.unzip();
        connection
            .prepare_cached(
                "SELECT (?1 IS NULL
                        OR (SELECT id FROM main.audit_record ORDER BY seq LIMIT 1) IS ?1)
                    AND (?2 IS NULL OR EXISTS (SELECT 1 FROM main.audit_record WHERE id = ?2))
                    AND (?3 IS NULL
                        OR EXISTS (SELECT 1 FROM main.audit_session WHERE number = ?3 AND id = ?4))",
            )?
            .query_row(
                params![
                    self.first_record.map(|id| id.to_string()),
                    self.last_record.map(|id| id.to_string()),
                    number,
                    session.as_ref().map(Uuid::as_bytes),
                ],
                |row| row.get(0),
            )
    }
}

fn first_record(connection: &Connection) -> rusqlite::Result<Option<Uuid>> {
    let id = connection
        .query_row("SELECT id FROM main.audit_record ORDER BY seq LIMIT 1", [], |row| {
            row.get::<_, String>(0)
        })
        .optional()?;
    Ok(id.and_then(|id| Uuid::parse_str(&id).ok()))
}
