//! Calls under way, as they were announced before their body ran.

use audit_record::Record;
use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::dictionary::{Dictionary, Names};
use crate::encode::Encoder;
use crate::error::Failure;
use crate::schema::kind_number;
use crate::write::{Correlation, numbered};

/// Neither twice, nor behind the record: a batch may be offered again, and the record of a call that was given up
/// waiting may come first.
const INSERT: &str = "INSERT OR FAIL INTO main.audit_intent (session, id, kind, started_at, action, method, actor, \
    on_behalf_of, ip, site, service, target_type, target_id, correlation_id, parent_id, target_label, reason, input, \
    notes, context, truncated) \
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21 \
    WHERE NOT EXISTS (SELECT 1 FROM main.audit_record WHERE id = ?2) \
        AND NOT EXISTS (SELECT 1 FROM main.audit_intent WHERE id = ?2)";

/// Adds `intents` to the open transaction.
pub(super) fn insert(
    transaction: &Connection,
    names: &mut Names,
    encoder: &mut Encoder,
    session: i64,
    intents: &[Record],
) -> Result<(), Failure> {
    let mut names = Dictionary::new(transaction, names)?;
    let mut insert = transaction.prepare_cached(INSERT)?;
    for intent in intents {
        let json = encoder.encode(intent);
        let ip = intent.ip.map(|ip| ip.to_string());
        insert.execute(params![
            session,
            intent.id.as_bytes(),
            numbered("kind", intent.kind, kind_number(intent.kind))?,
            intent.started_at.timestamp_micros(),
            names.id(&intent.action)?,
            names.id(&intent.method)?,
            names.id_if(intent.actor.as_deref())?,
            names.id_if(intent.on_behalf_of.as_deref())?,
            names.id_if(ip.as_deref())?,
            names.id_if(intent.site.as_deref())?,
            names.id_if(intent.service.as_deref())?,
            names.id_if(intent.target_type.as_deref())?,
            intent.target_id,
            Correlation(intent),
            intent.parent_id.as_ref().map(|id| id.as_bytes()),
            intent.target_label,
            intent.reason,
            intent.input.as_ref().map(|json| json.as_str()),
            json.notes,
            intent.context.as_ref().map(|json| json.as_str()),
            json.truncated,
        ])?;
    }
    Ok(())
}

/// Takes away what is announced of calls whose records are in the open transaction.
pub(super) fn delete(
    transaction: &Connection,
    ended: impl Iterator<Item = Uuid>,
) -> rusqlite::Result<()> {
    for id in ended {
        transaction
            .prepare_cached("DELETE FROM main.audit_intent WHERE id = ?1")?
            .execute([id.as_bytes()])?;
    }
    Ok(())
}

/// The same where it is not known which calls were announced, or by whom; nothing stays in the connection's cache.
pub(crate) fn close_recorded(transaction: &Connection, records: &[Record]) -> rusqlite::Result<()> {
    let any = "SELECT EXISTS (SELECT 1 FROM main.audit_intent)";
    if !transaction.query_row(any, [], |row| row.get::<_, bool>(0))? {
        return Ok(());
    }
    let mut delete = transaction.prepare("DELETE FROM main.audit_intent WHERE id = ?1")?;
    for record in records {
        delete.execute([record.id.as_bytes()])?;
    }
    Ok(())
}

/// Stores each call that `session` has announced and not ended, with an outcome that is not known.
pub(super) fn abandon(transaction: &Connection, session: i64, why: &str) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT OR FAIL INTO main.audit_record (id, kind, outcome, started_at, duration_us, action, method, actor,
             on_behalf_of, ip, site, service, target_type, target_id, correlation_id, parent_id, target_label, reason,
             input, notes, context, truncated)
         SELECT id, kind, 4, started_at, 0, action, method, actor, on_behalf_of, ip, site, service, target_type,
             target_id, correlation_id, parent_id, target_label, ifnull(reason || '; ', '') || ?2, input, notes,
             context, truncated
         FROM main.audit_intent AS i
         WHERE session = ?1 AND NOT EXISTS (SELECT 1 FROM main.audit_record AS r WHERE r.id = i.id)
         ORDER BY number",
        params![session, why],
    )?;
    transaction.execute("DELETE FROM main.audit_intent WHERE session = ?1", [session])?;
    Ok(())
}
