//! Pages of changes, read while other connections write, and after the file was moved or replaced.

mod common;

use std::path::{Path, PathBuf};

use audit_record::store::Store as _;
use audit_record::store::{ChangePosition, ChangeQuery, ChangeReader, Children};
use audit_record::{ChangeKind, FieldChange, Record};
use audit_sqlite::{SCHEMA_VERSION, SqliteStore};
use chrono::Duration;
use common::{copy_golden, event, events, json, query, read, rows, time, value};
use rusqlite::Connection;
use tempfile::tempdir;

/// The number of records in one run of the indexes.
const RUN: usize = 1 << 13;

fn reader(path: &Path) -> Box<dyn ChangeReader> {
    SqliteStore::open(path).unwrap().reader().unwrap().unwrap()
}

fn change(target_type: &'static str, target_id: &str, n: i64) -> FieldChange {
    let at = time("2026-03-04T05:00:00Z") + Duration::microseconds(n);
    FieldChange::new(
        target_type,
        target_id,
        ChangeKind::Changed,
        "f",
        None,
        json(&n.to_string()),
        at,
    )
}

/// The positions of all changes, read in pages of `limit`. Calls `before_page` before each page.
fn positions(
    reader: &mut dyn ChangeReader,
    query: &ChangeQuery,
    limit: usize,
    mut before_page: impl FnMut(),
) -> Vec<ChangePosition> {
    let mut query = query.clone();
    query.limit = limit;
    let mut positions = Vec::new();
    loop {
        before_page();
        let page = reader.changes(&query).unwrap();
        assert!(page.len() <= limit);
        positions.extend(page.iter().map(|stored| stored.place()));
        match positions.last() {
            Some(&last) if page.len() == limit => query.after = Some(last),
            _ => return positions,
        }
    }
}

/// A trail of more than three runs, with a few changes whose times are not in order.
struct LongTrail {
    _directory: tempfile::TempDir,
    path: PathBuf,
    stored: Vec<(ChangePosition, FieldChange)>,
    /// The actor of each record.
    actors: Vec<Option<&'static str>>,
}

fn long_trail() -> LongTrail {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut records: Vec<Record> = events("look", 3 * RUN + 100);
    let mut stored = Vec::new();
    for n in 0..60 {
        // Some are at the ends of the runs. 7,919 is prime, so the times are not in order.
        let at = if n < 8 { RUN * (n / 2 + 1) - 1 - n % 2 } else { n * 397 };
        let Some(record) = records.get_mut(at) else { continue };
        let target = ["17", "18", "17/3"][n % 3];
        let target_type = if n % 3 == 2 { "Order/Line" } else { "Order" };
        for position in record.changes.len()..record.changes.len() + 1 + n % 2 {
            let mut change = change(target_type, target, (n as i64 * 7919) % 61 / 2);
            change.change = ChangeKind::ALL[n % 3];
            let seq = at as u64 + 1;
            stored.push((
                ChangePosition::new(change.changed_at, seq, position as u64),
                change.clone(),
            ));
            record.changes.push(change);
        }
    }
    // One actor is frequent, and the other is rare in most runs.
    let actors: Vec<_> = (0..records.len())
        .map(|n| match n % 100 {
            _ if n > RUN && n % (4 * 397) == 0 => Some("rare"),
            50..70 if n < RUN => Some("rare"),
            0..50 => Some("frequent"),
            _ => None,
        })
        .collect();
    for (record, actor) in records.iter_mut().zip(&actors) {
        record.actor = actor.map(Into::into);
    }
    SqliteStore::open(&path).unwrap().write(&records).unwrap();
    LongTrail { _directory: directory, path, stored, actors }
}

/// The positions of the changes that match `query`, found by checking each change.
fn expected_positions(long: &LongTrail, query: &ChangeQuery) -> Vec<ChangePosition> {
    let mut positions: Vec<_> = long
        .stored
        .iter()
        .filter(|(position, _)| {
            let actor = long.actors[position.seq as usize - 1];
            query.actor.is_none() || query.actor.as_deref() == actor
        })
        .filter(|(_, change)| query.change.is_none_or(|kind| kind == change.change))
        .filter(|(_, change)| {
            let (target_type, id) = (&*change.target_type, &*change.target_id);
            let wanted = query.target_id.as_deref();
            (target_type == "Order" && wanted.is_none_or(|wanted| wanted == id))
                || (query.children.is_some()
                    && target_type == "Order/Line"
                    && wanted.is_none_or(|wanted| id.starts_with(&format!("{wanted}/"))))
        })
        .map(|(position, _)| *position)
        .collect();
    match query.target_id {
        Some(_) => positions.sort(),
        None => positions.sort_by_key(|position| (position.seq, position.position)),
    }
    if query.newest_first {
        positions.reverse();
    }
    positions
}

#[test]
fn pages_of_any_size_hold_every_change_once_and_in_order() {
    let long = long_trail();
    let mut reader = reader(&long.path);
    let mut seen = std::collections::HashMap::new();
    for target_id in [None, Some("17".to_owned()), Some("18".to_owned())] {
        for (children, newest_first) in [(false, false), (false, true), (true, false), (true, true)]
        {
            for change in [None, Some(ChangeKind::Created), Some(ChangeKind::Deleted)] {
                for actor in [None, Some("frequent"), Some("rare")] {
                    let mut wanted = query("Order", "");
                    wanted.target_id.clone_from(&target_id);
                    wanted.actor = actor.map(Into::into);
                    wanted.children =
                        children.then(|| target_id.clone().map_or(Children::OfAll, Children::Of));
                    wanted.newest_first = newest_first;
                    wanted.change = change;
                    let expected = expected_positions(&long, &wanted);
                    *seen.entry((actor, target_id.is_some())).or_insert(0) += expected.len();
                    for limit in [1, 2, 7, 1000] {
                        let found = positions(&mut *reader, &wanted, limit, || ());
                        assert_eq!(found, expected, "{limit} of {wanted:?}");
                    }
                }
            }
        }
    }
    assert!(seen.len() == 6 && seen.values().all(|&seen| seen > 20), "{seen:?}");
}

#[test]
fn records_added_between_pages_do_not_shift_the_pages() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let mut reader = store.reader().unwrap().unwrap();
    let mut next = 0;
    let mut add = |store: &mut SqliteStore| {
        let mut record = event("edit");
        // Changes of two objects, so that a shift of the pages of the type would show.
        record.changes = vec![change("t", "1", next), change("t", "2", next)];
        next += 1;
        store.write(&[record]).unwrap();
    };
    (0..10).for_each(|_| add(&mut store));
    for target_id in [Some("1".to_owned()), None] {
        for limit in [1, 2, 7] {
            let mut wanted = query("t", "1");
            wanted.target_id.clone_from(&target_id);
            let before = positions(&mut *reader, &wanted, 1000, || ());
            let mut left = 10;
            let found = positions(&mut *reader, &wanted, limit, || {
                if left > 0 {
                    add(&mut store);
                    left -= 1;
                }
            });
            // All earlier changes, then those added before the last page.
            assert_eq!(found[..before.len()], before, "{limit}");
            assert!(found.is_sorted() && found.len() > before.len(), "{limit}");

            wanted.newest_first = true;
            let before = positions(&mut *reader, &wanted, 1000, || ());
            let mut first = true;
            let found = positions(&mut *reader, &wanted, limit, || {
                // Changes added after the first page are newer than the whole page.
                if !std::mem::take(&mut first) {
                    add(&mut store);
                }
            });
            assert_eq!(found, before, "{limit}");
        }
    }
}

#[test]
fn changes_of_a_migrated_trail_are_ordered_together_with_new_ones() {
    let directory = tempdir().unwrap();
    let path = copy_golden(&directory, 1);
    let mut store = SqliteStore::open(&path).unwrap();
    let old = time("2026-01-02T03:04:05.678901Z");
    let mut record = event("edit");
    record.changes = [-1, 1]
        .map(|n| {
            let mut change = change("account", "17", n);
            change.changed_at = old + Duration::microseconds(n);
            change
        })
        .to_vec();
    store.write(&[record]).unwrap();
    let mut reader = store.reader().unwrap().unwrap();
    let mut wanted = query("account", "17");
    let expected =
        |n, seq, position| ChangePosition::new(old + Duration::microseconds(n), seq, position);
    let all = [expected(-1, 3, 0), expected(0, 1, 0), expected(1, 3, 1)];
    assert_eq!(positions(&mut *reader, &wanted, 1, || ()), all);
    wanted.from = Some(old);
    assert_eq!(positions(&mut *reader, &wanted, 7, || ()), all[1..]);
    (wanted.from, wanted.until) = (None, Some(old));
    assert_eq!(positions(&mut *reader, &wanted, 7, || ()), all[..1]);
}

#[test]
fn reads_see_whole_batches_while_another_thread_writes() {
    const BATCHES: i64 = 200;
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let mut reader = store.reader().unwrap().unwrap();
    let writer = std::thread::spawn(move || {
        for n in 0..BATCHES {
            let mut batch = events("edit", 2);
            batch[0].changes = vec![change("t", "1", 2 * n)];
            batch[1].changes = vec![change("t", "1", 2 * n + 1)];
            store.write(&batch).unwrap();
        }
    });
    let mut seen = 0;
    while seen < 2 * BATCHES as usize {
        let found = reader.changes(&query("t", "1")).unwrap();
        assert!(
            found.len() >= seen && found.len().is_multiple_of(2),
            "{seen} became {}",
            found.len()
        );
        for (n, stored) in found.iter().enumerate() {
            assert_eq!(
                (stored.record.seq, &stored.change.after),
                (n as u64 + 1, &json(&n.to_string()))
            );
        }
        seen = found.len();
    }
    writer.join().unwrap();
}

#[test]
fn a_reader_outlives_its_store_and_leaves_one_file() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let mut reader = store.reader().unwrap().unwrap();
    let mut record = event("edit");
    record.changes = vec![change("t", "1", 1)];
    store.write(&[record]).unwrap();
    assert_eq!(reader.changes(&query("t", "1")).unwrap().len(), 1);
    store.close().unwrap();
    assert_eq!(reader.changes(&query("t", "1")).unwrap().len(), 1);
    drop(reader);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    assert_eq!(value::<i64>(&path, "SELECT count(*) FROM audit_changes"), 1);
}

#[test]
fn a_newer_schema_is_not_read() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let mut reader = reader(&path);
    let mut late = self::reader(&path);
    assert!(reader.changes(&query("t", "1")).unwrap().is_empty());
    read(&path).pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    let error = reader.changes(&query("t", "1")).unwrap_err();
    let expected = format!(
        "cannot read the audit trail `{}`: another program has changed its schema from version \
         {SCHEMA_VERSION} to {} since it was opened; update the `audited` crate and restart",
        path.display(),
        SCHEMA_VERSION + 1
    );
    assert_eq!(error.to_string(), expected);
    let error = late.changes(&query("t", "1")).unwrap_err();
    assert!(error.to_string().contains("this program supports versions up to"), "{error}");
    read(&path).pragma_update(None, "user_version", SCHEMA_VERSION).unwrap();
    assert!(reader.changes(&query("t", "1")).unwrap().is_empty());
    assert!(late.changes(&query("t", "1")).unwrap().is_empty());
}

/// The database of another program may use an encoding in which the bytes of texts sort
/// differently.
#[test]
fn prefixes_are_matched_correctly_in_every_encoding() {
    for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
        let directory = tempdir().unwrap();
        let path = directory.path().join("host.db");
        Connection::open(&path)
            .unwrap()
            .execute_batch(&format!("PRAGMA encoding = '{encoding}'; CREATE TABLE host (a)"))
            .unwrap();
        let mut store = SqliteStore::builder().shared(true).open(&path).unwrap();
        let mut record = event("edit");
        // U+2F00 and U+122F contain the byte of a slash in UTF-16.
        record.changes =
            [("T/a", "1/x"), ("T\u{122f}", "1/x"), ("T/a", "1\u{122f}x"), ("T\u{2f00}", "1/x")]
                .map(|(target_type, id)| change(target_type, id, 0))
                .to_vec();
        store.write(&[record]).unwrap();
        assert_eq!(value::<String>(&path, "PRAGMA encoding"), encoding);
        let mut wanted = query("T", "1");
        wanted.children = Some(Children::Of("1".to_owned()));
        let found = store.reader().unwrap().unwrap().changes(&wanted).unwrap();
        let found: Vec<_> =
            found.iter().map(|s| (&*s.change.target_type, &*s.change.target_id)).collect();
        assert_eq!(found, [("T/a", "1/x")], "{encoding}");
    }
}

#[cfg(unix)]
#[test]
fn reads_fail_while_the_file_is_moved_and_succeed_once_it_is_back() {
    let directory = tempdir().unwrap();
    let (path, away) = (directory.path().join("audit.db"), directory.path().join("away.db"));
    let mut store = SqliteStore::open(&path).unwrap();
    let mut record = event("edit");
    record.changes = vec![change("t", "1", 1)];
    store.write(&[record]).unwrap();
    let (mut open, mut not_yet_open) =
        (store.reader().unwrap().unwrap(), store.reader().unwrap().unwrap());
    assert_eq!(open.changes(&query("t", "1")).unwrap().len(), 1);
    store.close().unwrap();

    std::fs::rename(&path, &away).unwrap();
    for reader in [&mut open, &mut not_yet_open] {
        let error = reader.changes(&query("t", "1")).unwrap_err();
        assert!(error.is_transient());
        let expected = format!(
            "cannot read the audit trail `{}`: it was deleted or moved away since it was opened",
            path.display()
        );
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    assert!(!path.exists());

    SqliteStore::open(&path).unwrap().write(&[event("in another file")]).unwrap();
    for reader in [&mut open, &mut not_yet_open] {
        let error = reader.changes(&query("t", "1")).unwrap_err().to_string();
        assert!(error.contains("another file has replaced it since it was opened"), "{error}");
    }
    let (_, other) = rows(&path, "SELECT action FROM audit_log");
    assert_eq!(other.len(), 1);

    std::fs::rename(&path, directory.path().join("other.db")).unwrap();
    std::fs::rename(&away, &path).unwrap();
    for reader in [&mut open, &mut not_yet_open] {
        assert_eq!(reader.changes(&query("t", "1")).unwrap().len(), 1);
    }
}
