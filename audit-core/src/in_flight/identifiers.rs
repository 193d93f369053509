//! The identifiers of a record: the columns that are compared, grouped and indexed.

use std::borrow::Cow;
use std::sync::Arc;

use audit_record::{CorrelationId, Record, Truncation};

use crate::capture::{identifier_cut, limited_identifier};

/// The most identifiers of changes that are listed as cut in one record.
const MAX_LISTED_CHANGES: usize = 64;

/// Limits the identifiers of a record that the program has made itself, and lists what was cut.
pub(crate) fn limit_identifiers(record: &mut Record) {
    limit_name(&mut record.action);
    limit_name(&mut record.method);
    let shared =
        [&mut record.actor, &mut record.on_behalf_of, &mut record.site, &mut record.service];
    shared.into_iter().flatten().for_each(limit_shared);
    if let CorrelationId::Text(text) = &mut record.correlation_id {
        limit_shared(text);
    }
    record.target_type.iter_mut().for_each(limit_name);
    record.target_id.iter_mut().for_each(limit_text);
    record.target_label.iter_mut().for_each(limit_text);
    for change in &mut record.changes {
        limit_name(&mut change.target_type);
        limit_text(&mut change.target_id);
    }
    list_cut_identifiers(record);
}

fn limit_name(name: &mut Cow<'static, str>) {
    *name = limited_identifier(std::mem::take(name));
}

fn limit_text(text: &mut String) {
    *text = limited_identifier(std::mem::take(text)).into_owned();
}

fn limit_shared(text: &mut Arc<str>) {
    if let Cow::Owned(cut) = limited_identifier(&**text) {
        *text = cut.into();
    }
}

/// Lists the identifiers that were cut. They are marked, because that is how they were made.
pub(super) fn list_cut_identifiers(record: &mut Record) {
    let correlation_id = match &record.correlation_id {
        CorrelationId::Text(text) => Some(&**text),
        _ => None,
    };
    let columns = [
        ("action", Some(&*record.action)),
        ("method", Some(&*record.method)),
        ("actor", record.actor.as_deref()),
        ("on_behalf_of", record.on_behalf_of.as_deref()),
        ("site", record.site.as_deref()),
        ("service", record.service.as_deref()),
        ("target_type", record.target_type.as_deref()),
        ("target_id", record.target_id.as_deref()),
        ("target_label", record.target_label.as_deref()),
        ("correlation_id", correlation_id),
    ];
    let cuts = columns.into_iter().filter_map(|(path, text)| identifier_cut(path, text?));
    let changes = record.changes.iter().enumerate().filter_map(|(n, change)| {
        // The changes of one object follow each other.
        let is_listed = n > 0 && record.changes[n - 1].target_id == change.target_id;
        let mut cut = identifier_cut("", &change.target_id).filter(|_| !is_listed)?;
        cut.path = format!("changes[{n}].target_id");
        Some(cut)
    });
    let cuts = cuts.chain(changes.take(MAX_LISTED_CHANGES));
    // A record that the program appends may list them already.
    let cuts: Vec<Truncation> = cuts.filter(|cut| !record.truncated.contains(cut)).collect();
    record.truncated.extend(cuts);
}
