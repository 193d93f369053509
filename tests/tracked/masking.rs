//! Masking of tracked objects: field names that the recorder hides, renamed fields, and hidden map
//! keys.

use audited::{Audit, Mask, SqliteStore};
use serde::Serializer;

use super::attempts::pilot;
use super::*;

/// Everything that `f` records under `mask`, as one text.
fn under_mask(mask: Mask, f: impl FnOnce()) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.db");
    let audit =
        Audit::builder().store(SqliteStore::open(&path).unwrap()).mask(mask).build().unwrap();
    Context::new().recorder(&audit).scope(f);
    drop(audit);
    let db = rusqlite::Connection::open(path).unwrap();
    let all = "SELECT (SELECT group_concat(field || ifnull(before, '') || ifnull(after, '')) FROM audit_changes) \
        || (SELECT group_concat(ifnull(input, '') || ifnull(context, '')) FROM audit_log)";
    db.query_row(all, [], |row| row.get(0)).unwrap()
}

/// Neither `Clone` nor `PartialEq`, so its recorded form is kept before the recorder is known.
#[derive(Debug, Serialize)]
struct Account {
    iban: String,
}

#[audited_fields(text(debug), account; key = id)]
pub(super) struct Customer {
    id: u8,
    text: Account,
    account: Account,
}

fn customer(iban: &str) -> Customer {
    let account = || Account { iban: iban.into() };
    Customer { id: 1, text: account(), account: account() }
}

#[test]
fn names_that_only_the_recorder_hides_are_masked_in_snapshots() {
    let all = under_mask(Mask::default().name("iban"), || {
        let mut object = Tracked::loaded(customer("CH93"));
        *object = customer("CH94");
        object.save(|_| Err::<(), _>("no")).unwrap_err();
        object.save(accept).unwrap();
        object.delete(accept).unwrap();
        change(&customer("CH95"), &customer("CH96"));
    });
    assert!(!all.contains("CH9"), "{all}");
    assert!(all.contains("Account { iban: [redacted] }") && all.contains("account.iban"), "{all}");
}

#[test]
fn annotations_made_before_the_recorder_is_known_are_masked_by_it() {
    let mut object = Tracked::new(pilot(1));
    object.info().field("bank", Account { iban: "CH93".into() }).field("count", 3);
    let all = under_mask(Mask::default().name("iban"), || object.save(accept).unwrap());
    assert!(all.contains(r#"{"bank":{"iban":"[redacted]"},"count":3}"#), "{all}");
}

#[test]
fn a_hidden_field_stays_hidden_when_it_is_renamed() {
    #[audited_fields(password(rename = "word"); key = id)]
    struct Login {
        id: u8,
        password: String,
    }
    let records = testing::capture(|| {
        Tracked::new(Login { id: 1, password: "hunter2".into() }).save(accept).unwrap();
    });
    assert_eq!(short_change_lines(&records), [r#"created 1 word - "[redacted]""#]);
}

#[test]
fn a_change_under_a_hidden_key_is_recorded() {
    /// A map whose keys are secret.
    #[derive(Clone, PartialEq)]
    struct Keys([(Redacted<&'static str>, u8); 2]);
    impl Serialize for Keys {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
        }
    }
    #[audited_fields(keys; key = id)]
    struct Safe {
        id: u8,
        keys: Keys,
    }
    let records = testing::capture(|| {
        let keys = Keys([(Redacted::new("a"), 1), (Redacted::new("b"), 2)]);
        let mut safe = Tracked::loaded(Safe { id: 1, keys });
        safe.keys.0[0].1 = 9;
        safe.save(accept).unwrap();
    });
    assert_eq!(
        short_change_lines(&records),
        [r#"changed 1 keys {"[redacted]":2} {"[redacted]":2}"#]
    );
}
