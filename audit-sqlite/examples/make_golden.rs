//! Creates `tests/golden/v5.db`: a trail as the released version 5 of the schema writes it.
//!
//! Run it once for each version of the schema, when that version is released, and never again for an
//! older one. The file represents the files that users have.
//!
//! ```sh
//! cargo run -p audit-sqlite --example make_golden -- audit-sqlite/tests/golden/v5.db
//! ```
//!
//! The file contains the host name. Set another one with `unshare --uts` before you run it.

use audit_record::store::Store as _;
use audit_record::store::{Batch, RecorderSession};
use audit_record::{ChangeKind, FieldChange, Json, Kind, LogEntry, Outcome, Record};
use audit_sqlite::SqliteStore;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("pass the path of the file to create")?;
    let mut store = SqliteStore::open(&path)?;
    let mut session = RecorderSession::new(100);
    session.id = "019b7ca1-0000-7000-8000-000000000001".parse()?;
    session.started_at = "2026-01-02T03:04:00Z".parse()?;
    session.service = Some("billing".into());
    store.begin(&session)?;

    let mut transfer =
        Record::new(Kind::Call, "transfer funds", "2026-01-02T03:04:05.678901Z".parse()?);
    transfer.id = "019b7ca1-7c1e-7cc3-9d4e-2f5b6c7d8e9f".parse()?;
    transfer.duration_us = 1234;
    transfer.wait_us = Some(310);
    transfer.method = "bank::transfer".into();
    transfer.outcome = Outcome::Failure;
    transfer.actor = Some("alice".into());
    transfer.ip = Some("2001:db8::1".parse()?);
    transfer.target_type = Some("account".into());
    transfer.target_id = Some("17".into());
    transfer.correlation_id = "order 17".into();
    transfer.input = Some(Json::parse(r#"{"amount":"101.67"}"#)?);
    let fields = Json::parse(r#"{"left":3}"#)?;
    transfer.log =
        vec![LogEntry::new(transfer.started_at, "WARN", "bank", "low funds", Some(fields))];
    let change =
        |kind, field: &'static str, before: Option<&str>, after: Option<&str>, at: &str| {
            let json = |text: Option<&str>| text.map(Json::parse).transpose();
            let (before, after) = (json(before)?, json(after)?);
            let change = FieldChange::new("account", "17", kind, field, before, after, at.parse()?);
            Ok::<_, Box<dyn std::error::Error>>(change)
        };
    transfer.changes = vec![
        change(ChangeKind::Created, "owner", None, Some("\"bob\""), "2026-01-02T03:04:05.700001Z")?,
        change(
            ChangeKind::Changed,
            "balance",
            Some("5"),
            Some("3"),
            "2026-01-02T03:04:05.700002Z",
        )?,
        change(ChangeKind::Deleted, "limit", Some("1.10"), None, "2026-01-02T03:04:05.700003Z")?,
    ];

    let mut check = Record::new(Kind::Event, "check", "1969-12-31T23:59:59.5Z".parse()?);
    check.id = "019b7ca1-7c1f-7000-8000-000000000001".parse()?;
    check.correlation_id = check.id.into();
    check.parent_id = Some(transfer.id);
    check.actor = Some("alice".into());

    store.write(&[transfer.clone(), check])?;
    store.close()?;

    // A session that died during a call.
    let mut store = SqliteStore::open(&path)?;
    session.id = "019b7ca1-0000-7000-8000-000000000002".parse()?;
    session.started_at = "2026-01-02T04:00:00Z".parse()?;
    store.begin(&session)?;
    let mut refund = transfer;
    refund.id = "019b7cd4-0000-7000-8000-000000000003".parse()?;
    refund.action = "refund".into();
    refund.outcome = Outcome::Unknown;
    refund.started_at = "2026-01-02T04:00:01.5Z".parse()?;
    (refund.log, refund.changes) = (Vec::new(), Vec::new());
    let intents = [refund];
    let mut batch = Batch::new(&[]);
    batch.intents = &intents;
    store.write_batch(&batch)?;
    drop(store);
    let mut lock_file = path;
    lock_file.push(format!("-session-{}", session.id.simple()));
    std::fs::remove_file(lock_file)?;
    Ok(())
}
