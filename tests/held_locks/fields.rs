//! Audited types with locks: a field that is a lock is compared, unless it is held.

use std::sync::{Arc, Mutex, RwLock};

use audited::{Record, Tracked, audit_method, audited_fields, testing};
use serde::Serialize;
use serde_json::json;

use crate::record_access::input;
use crate::{A_LOCK, locks, soon};

#[audited_fields(name, hits, shared; key = id)]
#[derive(Debug, Serialize)]
struct Counter {
    id: u8,
    name: &'static str,
    hits: Arc<Mutex<u64>>,
    shared: RwLock<Vec<u8>>,
}

fn counter() -> Counter {
    Counter { id: 1, name: "a", hits: Arc::default(), shared: RwLock::default() }
}

impl Counter {
    #[audit_method]
    fn look(&self) {}

    #[audit_method]
    fn hit(&mut self) {
        if let Ok(mut hits) = self.hits.try_lock() {
            *hits += 1;
        }
    }
}

fn changes(record: &Record) -> Vec<(&str, String)> {
    let text = |json: &Option<audited::Json>| json.as_ref().map_or("-".into(), ToString::to_string);
    let rows = record.changes.iter();
    rows.map(|row| (&*row.field, format!("{} {}", text(&row.before), text(&row.after)))).collect()
}

#[test]
fn a_receiver_with_audited_fields_is_serialised_without_its_locks() {
    let record = soon(|| {
        let counter = counter();
        let _guard = counter.hits.lock();
        counter.look();
    });
    let value = json!({"id": 1, "name": "a", "hits": A_LOCK, "shared": A_LOCK});
    assert_eq!(input(&record), json!({"self": value}));
}

#[test]
fn a_field_that_is_a_lock_is_compared() {
    let record = soon(|| counter().hit());
    assert_eq!(changes(&record), [("hits", "0 1".to_owned())]);
}

#[test]
fn a_field_whose_lock_is_held_is_listed_as_not_compared() {
    let record = soon(|| {
        let mut counter = counter();
        let hits = counter.hits.clone();
        let _guard = hits.lock();
        counter.hit();
    });
    assert_eq!(changes(&record), []);
    let unseen = ["input.self.hits", "input.self.shared", "changes.hits"];
    assert_eq!(record.truncated, locks(&unseen));
}

#[test]
fn a_change_under_a_held_lock_is_found_by_the_next_save() {
    let records = testing::capture(|| {
        let mut counter = Tracked::loaded(counter());
        let hits = counter.hits.clone();
        {
            let mut guard = hits.lock().expect("not poisoned");
            *guard = 5;
            counter.name = "b";
            counter.save(|_| Ok::<_, String>(())).expect("saved");
        }
        counter.save(|_| Ok::<_, String>(())).expect("saved");
    });
    assert_eq!(changes(&records[0]), [("name", "\"a\" \"b\"".to_owned())]);
    assert_eq!(records[0].truncated, locks(&["changes.hits"]));
    assert_eq!(changes(&records[1]), [("hits", "0 5".to_owned())]);
    assert_eq!(records[1].truncated, []);
}
