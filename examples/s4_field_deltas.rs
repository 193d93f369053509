//! System S4's scenario: an object whose fields are on the record, from its creation to its deletion.
//!
//! S4 is a base class for the models of a web framework: each model lists the fields that are to be logged. Each
//! heading printed here is one point of its documentation; under it stands what was recorded, and every value is
//! asserted.
//!
//! ```sh
//! cargo run --example s4_field_deltas
//! ```

use std::error::Error;

use audited::history::ObjectChange;
use audited::{Audit, Bulk, ChangeKind, Tracked, audited_fields};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, named_params};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

type Done = Result<(), Box<dyn Error>>;

// ---- The model ------------------------------------------------------------------------------

/// S4: `log_fields = ("first_name", "age", "is_cylon", "fastest_landing", "last_flight")`. A name that is
/// no field raised an error when the program started; here it does not compile.
#[audited_fields(first_name, age, is_cylon, fastest_landing, last_flight; key = id, label = first_name)]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Pilot {
    #[serde(default)]
    id: i64,
    first_name: String,
    age: u8,
    is_cylon: bool,
    fastest_landing: Option<Decimal>,
    last_flight: Option<DateTime<Utc>>,
    /// Not on the record.
    #[serde(default)]
    locker: u16,
}

/// The application's own database; the audit trail is a file beside it.
struct Database(Connection);

impl Database {
    fn upsert(&self, pilot: &mut Pilot) -> rusqlite::Result<()> {
        let id = (pilot.id != 0).then_some(pilot.id);
        self.0.execute(
            "INSERT INTO pilot (id, name, age, locker) VALUES (:id, :name, :age, :locker)
             ON CONFLICT (id) DO UPDATE SET name = :name, age = :age, locker = :locker",
            named_params! { ":id": id, ":name": pilot.first_name, ":age": pilot.age, ":locker": pilot.locker },
        )?;
        if id.is_none() {
            pilot.id = self.0.last_insert_rowid();
        }
        Ok(())
    }

    fn delete(&self, pilot: &Pilot) -> rusqlite::Result<usize> {
        self.0.execute("DELETE FROM pilot WHERE id = ?1", [pilot.id])
    }
}

// ---- The scenario ---------------------------------------------------------------------------

fn main() -> Done {
    let folder = tempfile::tempdir()?;
    let audit = audited::init(folder.path().join("audit.db"))?;
    let db = Database(Connection::open_in_memory()?);
    db.0.execute_batch(
        "CREATE TABLE pilot (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, age INTEGER CHECK (age < 100), locker INTEGER)",
    )?;

    let mut pilot = first_save(&audit, &db)?;
    only_what_changed(&audit, &db, &mut pilot)?;
    info_for_one_save(&audit, &db, &mut pilot)?;
    a_refused_save_changes_nothing(&audit, &db, &mut pilot)?;
    types_survive(&audit, &db, &mut pilot)?;
    deletion(&audit, &db, &mut pilot)?;
    the_whole_log(&audit)?;
    deletions_of_a_type(&audit, &db)?;
    bulk_updates(&audit, &db)
}

/// The history of the one pilot.
fn lines(audit: &Audit, id: i64) -> Result<Vec<String>, audited::Error> {
    audit.history::<Pilot>(id)?.changes().map(|change| Ok(change?.to_string())).collect()
}

fn last(audit: &Audit, id: i64) -> Result<ObjectChange, Box<dyn Error>> {
    Ok(audit.history::<Pilot>(id)?.newest_first().next().ok_or("no change on record")??)
}

fn first_save(audit: &Audit, db: &Database) -> Result<Tracked<Pilot>, Box<dyn Error>> {
    heading("The first save: a creation log with the initial value of every log field");
    let kara = Pilot { first_name: "Kara".into(), age: 25, locker: 7, ..Pilot::default() };
    let mut pilot = Tracked::new(kara);
    pilot.save(|pilot| db.upsert(pilot))?; // the database gives the id
    let creation = audit.history::<Pilot>(pilot.id)?.creation()?.ok_or("no creation")?;
    show(&creation);
    assert_eq!(
        creation.to_string(),
        r#"Pilot 1 created: first_name = "Kara", age = 25, is_cylon = false, fastest_landing = null, last_flight = null"#
    );
    Ok(pilot)
}

fn only_what_changed(audit: &Audit, db: &Database, pilot: &mut Tracked<Pilot>) -> Done {
    heading("A later save: only the log fields that changed, as before and after");
    pilot.age = 26;
    pilot.locker = 8;
    pilot.save(|pilot| db.upsert(pilot))?;
    let change = last(audit, pilot.id)?;
    show(&change);
    assert_eq!(change.to_string(), "Pilot 1 changed: age 25 → 26");

    heading("A save that changes no log field writes nothing");
    pilot.locker = 9;
    pilot.save(|pilot| db.upsert(pilot))?;
    println!("  {} changes on record, as before", lines(audit, pilot.id)?.len());
    assert_eq!(lines(audit, pilot.id)?.len(), 2);
    Ok(())
}

fn info_for_one_save(audit: &Audit, db: &Database, pilot: &mut Tracked<Pilot>) -> Done {
    heading("Operator, notes and further keys: for that save only, and no clash with a field");
    pilot.is_cylon = true;
    pilot.info().operator("Gaius").notes("Quick update").field("is_cylon", "not the field");
    pilot.save(|pilot| db.upsert(pilot))?;
    let change = last(audit, pilot.id)?;
    show(&change);
    let record = &change.record;
    println!("  by {}; notes {}", record.actor.as_deref().unwrap_or("?"), text(&record.notes));
    println!("  further keys {}", text(&record.context));
    assert_eq!(change.to_string(), "Pilot 1 changed: is_cylon false → true");
    assert_eq!(record.actor.as_deref(), Some("Gaius"));
    assert_eq!(text(&record.context), r#"{"extra":{"is_cylon":"not the field"}}"#);

    pilot.is_cylon = false;
    pilot.save(|pilot| db.upsert(pilot))?;
    let next = last(audit, pilot.id)?;
    println!("  the next save: by {}", next.record.actor.as_deref().unwrap_or("nobody known"));
    assert_eq!((next.record.actor.as_deref(), &next.record.notes), (None, &None));
    Ok(())
}

fn a_refused_save_changes_nothing(
    audit: &Audit,
    db: &Database,
    pilot: &mut Tracked<Pilot>,
) -> Done {
    heading(
        "Beyond S4: a save that the database refuses has changed nothing, and is on the record",
    );
    pilot.age = 127;
    let refused = pilot.save(|pilot| db.upsert(pilot));
    println!("  {}", refused.as_ref().err().ok_or("it was accepted")?);
    assert_eq!(lines(audit, pilot.id)?.len(), 4);
    pilot.age = 27;
    pilot.save(|pilot| db.upsert(pilot))?;
    let change = last(audit, pilot.id)?;
    show(&change);
    assert_eq!(change.to_string(), "Pilot 1 changed: age 26 → 27");
    Ok(())
}

fn types_survive(audit: &Audit, db: &Database, pilot: &mut Tracked<Pilot>) -> Done {
    heading("Types survive: decimals, times and booleans come back as what they were");
    pilot.fastest_landing = Some(Decimal::new(10167, 2));
    pilot.last_flight = Some("2026-11-21T08:30:00.000001Z".parse()?);
    pilot.save(|pilot| db.upsert(pilot))?;
    let state = audit.history::<Pilot>(pilot.id)?.as_of(Utc::now())?.ok_or("it is gone")?;
    println!("  {state}");
    let restored: Pilot = state.to()?;
    println!("  {:?} and {:?}", restored.fastest_landing, restored.last_flight);
    assert_eq!(restored.fastest_landing, Some("101.67".parse()?));
    assert_eq!((restored.last_flight, restored.is_cylon), (pilot.last_flight, false));
    // An equal number is no change, however it is written.
    pilot.fastest_landing = Some("101.670".parse()?);
    assert!(pilot.changes().is_empty());
    Ok(())
}

fn deletion(audit: &Audit, db: &Database, pilot: &mut Tracked<Pilot>) -> Done {
    heading("A deletion: the last values, flagged as a deletion, with a note");
    pilot.info().operator("Gaius").notes("Left the fleet");
    pilot.delete(|pilot| db.delete(pilot))?;
    let change = last(audit, 1)?;
    show(&change);
    assert_eq!(change.change, ChangeKind::Deleted);
    assert_eq!(change.fields[1].before.as_ref().map(ToString::to_string).as_deref(), Some("27"));
    assert!(text(&change.record.notes).contains("Left the fleet"));
    assert_eq!(audit.history::<Pilot>(1)?.as_of(Utc::now())?, None);
    Ok(())
}

fn the_whole_log(audit: &Audit) -> Done {
    heading("The log of one object, oldest first; the creation is None → value");
    for change in audit.history::<Pilot>(1)?.changes() {
        show(&change?);
    }
    let lines = lines(audit, 1)?;
    assert_eq!(lines.len(), 7);
    assert!(lines[0].starts_with("Pilot 1 created: ") && lines[6].starts_with("Pilot 1 deleted: "));
    Ok(())
}

fn deletions_of_a_type(audit: &Audit, db: &Database) -> Done {
    heading("All deletions of a type, or of one object");
    let lee = Pilot { first_name: "Lee".into(), age: 30, ..Pilot::default() };
    let mut lee = Tracked::new(lee);
    lee.save(|pilot| db.upsert(pilot))?;
    lee.delete(|pilot| db.delete(pilot))?;
    let all: Vec<ObjectChange> =
        audit.history_of_all::<Pilot>()?.deletions().collect::<Result<_, _>>()?;
    all.iter().for_each(show);
    assert_eq!(all.len(), 2);
    assert_eq!(audit.history::<Pilot>(lee.id)?.deletions().count(), 1);
    Ok(())
}

fn bulk_updates(audit: &Audit, db: &Database) -> Done {
    heading("S4's documented hole: bulk updates. Here they are on the record");
    let mut crew: Vec<_> =
        (10..13).map(|id| Tracked::loaded(Pilot { id, age: 40, ..Pilot::default() })).collect();
    crew.iter_mut().for_each(|pilot| pilot.age += 1);
    let promoted = |all: &mut [&mut Pilot]| all.iter_mut().try_for_each(|pilot| db.upsert(pilot));
    Bulk::new("birthday").save(&mut crew, promoted)?;
    let change = last(audit, 11)?;
    show(&change);
    println!("  by the action {:?}", &*change.record.action);
    assert_eq!(change.to_string(), "Pilot 11 changed: age 40 → 41");

    // A statement that passes no object through the program: its count and keys.
    let count = db.0.execute("UPDATE pilot SET locker = 0 WHERE id >= 10", [])?;
    Bulk::new("empty lockers").record::<Pilot>(ChangeKind::Changed, [10, 11, 12]);
    assert_eq!(count, 3);
    Ok(())
}

// ---- Showing --------------------------------------------------------------------------------

fn heading(text: &str) {
    println!("\n{text}");
}

/// Prints the change, broken between fields to fit 100 columns.
fn show(change: &ObjectChange) {
    let mut line = String::from(" ");
    for word in change.to_string().split(' ') {
        if line.chars().count() + word.chars().count() > 98 {
            println!("{line}");
            line = String::from("     ");
        }
        line += " ";
        line += word;
    }
    println!("{line}");
}

fn text(json: &Option<audited::Json>) -> &str {
    json.as_ref().map_or("", |json| json.as_str())
}
