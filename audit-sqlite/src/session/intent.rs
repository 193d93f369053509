//! Intents: rows of `audit_intent`, stored before the body of a `refuse` call runs.

use audit_record::Record;
use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::columns::{INSERT_INTENT, RECORD_INTENTS_AS_UNKNOWN, bind_intent};
use crate::dictionary::Dictionary;
use crate::encode::IdBuffer;
use crate::error::StoreError;
use crate::insert::Inserter;

/// Adds `intents` of the session with the row `session` to the open transaction.
pub(super) fn insert_intents(
    transaction: &Connection,
    inserter: &mut Inserter,
    session: i64,
    intents: &[Record],
) -> Result<(), StoreError> {
    let mut names = Dictionary::new(transaction, &mut inserter.names)?;
    let mut insert = transaction.prepare_cached(&INSERT_INTENT)?;
    for intent in intents {
        bind_intent(&mut insert, &mut names, &mut inserter.encoder, session, intent)?;
        insert.raw_execute()?;
    }
    Ok(())
}

/// Deletes the intents of calls whose records are in the open transaction.
pub(super) fn delete_intents(
    transaction: &Connection,
    recorded: impl Iterator<Item = Uuid>,
) -> rusqlite::Result<()> {
    for id in recorded {
        transaction
            .prepare_cached("DELETE FROM main.audit_intent WHERE id = ?1")?
            .execute([IdBuffer::default().fill(id)])?;
    }
    Ok(())
}

/// Deletes the intents of `records`, which may be of any session. No statement stays in the
/// connection's statement cache.
pub(crate) fn delete_recorded_intents(
    transaction: &Connection,
    records: &[Record],
) -> rusqlite::Result<()> {
    let any = "SELECT EXISTS (SELECT 1 FROM main.audit_intent)";
    if !transaction.query_row(any, [], |row| row.get::<_, bool>(0))? {
        return Ok(());
    }
    let mut delete = transaction.prepare("DELETE FROM main.audit_intent WHERE id = ?1")?;
    for record in records {
        delete.execute([IdBuffer::default().fill(record.id)])?;
    }
    Ok(())
}

/// Turns each intent of `session` into a record with outcome `unknown` that `recorded_by` writes,
/// and adds `why` to its reason.
pub(super) fn record_as_unknown(
    transaction: &Connection,
    session: i64,
    why: &str,
    recorded_by: i64,
) -> rusqlite::Result<()> {
    transaction.execute(&RECORD_INTENTS_AS_UNKNOWN, params![session, why, recorded_by])?;
    transaction.execute("DELETE FROM main.audit_intent WHERE session = ?1", [session])?;
    Ok(())
}
