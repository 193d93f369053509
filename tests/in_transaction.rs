//! Records in the caller's own transaction: they are committed or rolled back together with the
//! data. After a rollback, a record of the attempt remains.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use audited::{
    Audit, Bulk, Context, SqliteStore, Tracked, audit_method, audited_fields, record_in,
    transaction,
};
use rusqlite::{Connection, TransactionBehavior};

type Failed = Box<dyn std::error::Error>;

#[audited_fields(total; key = id)]
struct Order {
    id: i64,
    total: u32,
}

struct Shop {
    _folder: tempfile::TempDir,
    path: PathBuf,
    db: Connection,
}

fn shop() -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER CHECK (total < 100))",
    )
    .unwrap();
    SqliteStore::builder().shared(true).open(&path).unwrap();
    Shop { _folder: folder, path, db }
}

fn insert(db: &Connection, order: &Order) -> rusqlite::Result<usize> {
    db.execute("INSERT INTO orders VALUES (?1, ?2)", (order.id, order.total))
}

fn rows(db: &Connection, sql: &str) -> Vec<String> {
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

const LOG: &str = "SELECT kind || ' ' || action || ' ' || outcome || ' ' || ifnull(actor, '-') FROM audit_log ORDER BY seq";
const CHANGES: &str =
    "SELECT target_id || ' ' || field || ' ' || ifnull(after, '-') FROM audit_changes";

#[audit_method(action = "place order", skip(db))]
fn place(db: &Connection, id: i64, total: u32) -> Result<(), rusqlite::Error> {
    Tracked::new(Order { id, total }).save(|order| insert(db, order))?;
    Ok(())
}

#[test]
fn a_committed_transaction_contains_the_records_of_its_calls_and_changes() {
    let mut shop = shop();
    let done = Context::new().actor("alice").scope(|| {
        transaction(&mut shop.db, |db| {
            place(db, 1, 5)?;
            Ok::<_, Failed>(place(db, 2, 6)?)
        })
    });
    assert!(done.is_ok());
    assert_eq!(
        rows(&shop.db, LOG),
        [
            "change Order: created success alice",
            "call place order success alice",
            "change Order: created success alice",
            "call place order success alice",
        ]
    );
    assert_eq!(rows(&shop.db, CHANGES), ["1 total 5", "2 total 6"]);
    let parents = "SELECT count(*) FROM audit_log AS c JOIN audit_log AS p ON p.id = c.parent_id";
    assert_eq!(shop.db.query_row(parents, [], |row| row.get::<_, i64>(0)).unwrap(), 2);
}

#[test]
fn a_failed_transaction_leaves_only_records_of_the_attempt() {
    let mut shop = shop();
    let failed = transaction(&mut shop.db, |db| {
        place(db, 1, 5)?;
        Ok::<_, Failed>(place(db, 2, 500)?)
    });
    assert!(failed.unwrap_err().to_string().contains("CHECK constraint failed"));
    assert_eq!(rows(&shop.db, "SELECT 'an order' FROM orders"), [""; 0]);
    assert_eq!(rows(&shop.db, CHANGES), [""; 0]);
    assert_eq!(
        rows(&shop.db, LOG),
        [
            "change Order: created failure -",
            "call place order failure -",
            "change Order: created failure -",
            "call place order failure -",
        ]
    );
    assert_eq!(
        rows(&shop.db, "SELECT error ->> 'message' FROM audit_log ORDER BY seq"),
        [
            "the transaction was rolled back",
            "the transaction was rolled back",
            "CHECK constraint failed: total < 100",
            "CHECK constraint failed: total < 100",
        ]
    );
    assert_eq!(
        rows(&shop.db, "SELECT input FROM audit_log WHERE kind = 'change' ORDER BY seq"),
        [
            r#"{"attempted":"created","changes":[{"field":"total","after":5}]}"#,
            r#"{"attempted":"created","changes":[{"field":"total","after":500}]}"#,
        ]
    );
}

#[test]
fn a_panic_rolls_back_is_recorded_and_continues() {
    let mut shop = shop();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        transaction(&mut shop.db, |db| -> Result<(), Failed> {
            place(db, 1, 5)?;
            panic!("out of paper")
        })
    }));
    assert_eq!(*panicked.unwrap_err().downcast::<&str>().unwrap(), "out of paper");
    assert_eq!(rows(&shop.db, "SELECT 'an order' FROM orders"), [""; 0]);
    assert_eq!(rows(&shop.db, LOG).len(), 2);
    // The connection is still usable.
    transaction(&mut shop.db, |db| Ok::<_, Failed>(place(db, 1, 5)?)).unwrap();
    assert_eq!(rows(&shop.db, CHANGES), ["1 total 5"]);
}

#[test]
fn records_are_committed_or_rolled_back_with_a_transaction_that_the_caller_began() {
    let mut shop = shop();
    for commits in [false, true] {
        let tx = shop.db.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        record_in(&tx).unwrap().scope(|| place(&tx, 1, 5)).unwrap().unwrap();
        if commits { tx.commit() } else { tx.rollback() }.unwrap();
        let expected = if commits { 2 } else { 0 };
        assert_eq!(rows(&shop.db, LOG).len(), expected, "{commits}");
    }
}

#[test]
fn a_recorder_on_the_same_file_keeps_working() {
    let mut shop = shop();
    let store = SqliteStore::builder().shared(true).open(&shop.path).unwrap();
    let audit = Audit::builder().store(store).site("eu-1").build().unwrap();
    Context::new().recorder(&audit).scope(|| {
        audited::execute("before", "", (), || ());
        transaction(&mut shop.db, |db| Ok::<_, Failed>(place(db, 1, 5)?)).unwrap();
        audited::execute("after", "", (), || ());
    });
    let history = audit.history::<Order>(1).unwrap();
    assert_eq!(history.creation().unwrap().unwrap().to_string(), "Order 1 created: total = 5");
    let sites = rows(&shop.db, "SELECT DISTINCT ifnull(site, '-') FROM audit_log");
    assert_eq!(sites, ["eu-1"], "the settings of the current recorder apply");
    assert_eq!(rows(&shop.db, LOG).len(), 4);
    assert_eq!(audit.counters().written, 2);
}

#[test]
fn a_file_without_a_trail_is_rejected_before_the_transaction_begins() {
    let mut db = Connection::open_in_memory().unwrap();
    let mut ran = false;
    let refused = transaction(&mut db, |_| {
        ran = true;
        Ok::<_, audited::Error>(())
    });
    assert!(
        refused.unwrap_err().to_string().contains("open the file once with `SqliteStore` before")
    );
    assert!(!ran);
    assert!(db.is_autocommit());
}

#[test]
fn a_rolled_back_save_is_pending_again() {
    let mut shop = shop();
    let mut order = Tracked::new(Order { id: 1, total: 5 });
    order.info().operator("bob");
    let again: Result<(), Failed> = transaction(&mut shop.db, |db| {
        order.save(|order| insert(db, order))?;
        order.total = 6;
        order.save(|_| Ok::<(), String>(()))?;
        assert!(order.is_stored() && order.changes().is_empty());
        Err("busy".into())
    });
    assert!(again.is_err());
    assert!(!order.is_stored());
    assert_eq!(order.changes().len(), 1);
    let done: Result<(), Failed> = transaction(&mut shop.db, |db| {
        order.save(|order| insert(db, order))?;
        Ok(())
    });
    done.unwrap();
    assert!(order.is_stored());
    assert_eq!(rows(&shop.db, CHANGES), ["1 total 6"]);
    assert_eq!(
        rows(&shop.db, LOG),
        [
            "change Order: created failure bob",
            "change Order: changed failure -",
            "change Order: created success -"
        ]
    );
}

#[test]
fn a_rolled_back_deletion_leaves_the_object_stored() {
    let mut shop = shop();
    let mut orders = [Tracked::loaded(Order { id: 1, total: 5 })];
    let failed: Result<(), Failed> = transaction(&mut shop.db, |_| {
        Bulk::new("clear").delete(&mut orders, |_| Ok::<(), String>(()))?;
        Err("no".into())
    });
    assert!(failed.is_err());
    assert!(orders[0].is_stored());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _: Result<(), Failed> = transaction(&mut shop.db, |_| {
            orders[0].total = 6;
            orders[0].save(|_| Ok::<(), String>(()))?;
            panic!("later")
        });
    }));
    assert!(panicked.is_err());
    assert_eq!(orders[0].changes()[0].before.as_ref().unwrap().as_str(), "5");
}

#[test]
fn a_failed_commit_leaves_records_of_the_attempt() {
    let mut shop = shop();
    shop.db
        .execute_batch(
            "PRAGMA foreign_keys = 1; \
             CREATE TABLE lines (of INTEGER REFERENCES orders DEFERRABLE INITIALLY DEFERRED)",
        )
        .unwrap();
    let failed: Result<(), Failed> = transaction(&mut shop.db, |db| {
        place(db, 1, 5)?;
        db.execute("INSERT INTO lines VALUES (2)", [])?;
        Ok(())
    });
    assert!(failed.unwrap_err().to_string().contains("cannot commit"));
    assert_eq!(rows(&shop.db, CHANGES), [""; 0]);
    assert_eq!(
        rows(&shop.db, LOG),
        ["change Order: created failure -", "call place order failure -"]
    );
}
