//! Field changes of an object, from its creation to its deletion.
//!
//! The example follows the documentation of a base class for Django models, in which each model
//! lists the fields to log. It goes through that documentation point by point. For each point it
//! prints a heading and what was recorded, and asserts every value.
//!
//! ```sh
//! cargo run --example field_changes
//! ```

use std::error::Error;

use audited::history::ObjectChange;
use audited::record::ChangeKind;
use audited::{Audit, Bulk, Tracked, audited_fields};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, named_params};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

#[path = "common/wrap.rs"]
mod wrap;

use wrap::print_wrapped;

type Checked = Result<(), Box<dyn Error>>;

// ---- The model ------------------------------------------------------------------------------

/// In the base class: `log_fields = ("first_name", "age", "is_cylon", "fastest_landing",
/// "last_flight")`. There, an unknown name raises an error when the program starts; here it does
/// not compile.
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
    /// Not audited.
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

// ---- The points of the documentation --------------------------------------------------------

fn main() -> Checked {
    let folder = tempfile::tempdir()?;
    let audit = audited::init(folder.path().join("audit.db"))?;
    let db = Database(Connection::open_in_memory()?);
    db.0.execute_batch(
        "CREATE TABLE pilot (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, age INTEGER CHECK (age < 100), locker INTEGER)",
    )?;

    let mut pilot = first_save(&audit, &db)?;
    only_what_changed(&audit, &db, &mut pilot)?;
    info_for_one_save(&audit, &db, &mut pilot)?;
    a_failed_save_changes_nothing(&audit, &db, &mut pilot)?;
    types_survive(&audit, &db, &mut pilot)?;
    deletion(&audit, &db, &mut pilot)?;
    the_whole_log(&audit)?;
    deletions_of_a_type(&audit, &db)?;
    bulk_updates(&audit, &db)
}

/// All changes of one pilot as text.
fn lines(audit: &Audit, id: i64) -> Result<Vec<String>, audited::Error> {
    audit.history::<Pilot>(id)?.changes().map(|change| Ok(change?.to_string())).collect()
}

fn last(audit: &Audit, id: i64) -> Result<ObjectChange, Box<dyn Error>> {
    Ok(audit.history::<Pilot>(id)?.newest_first().next().ok_or("no changes")??)
}

fn first_save(audit: &Audit, db: &Database) -> Result<Tracked<Pilot>, Box<dyn Error>> {
    heading("The first save records the creation with the initial value of every audited field");
    let kara = Pilot { first_name: "Kara".into(), age: 25, locker: 7, ..Pilot::default() };
    let mut pilot = Tracked::new(kara);
    pilot.save(|pilot| db.upsert(pilot))?; // the database assigns the id
    let creation = audit.history::<Pilot>(pilot.id)?.creation()?.ok_or("no creation")?;
    show(&creation);
    assert_eq!(
        creation.to_string(),
        r#"Pilot 1 created: first_name = "Kara", age = 25, is_cylon = false, fastest_landing = null, last_flight = null"#
    );
    Ok(pilot)
}

fn only_what_changed(audit: &Audit, db: &Database, pilot: &mut Tracked<Pilot>) -> Checked {
    heading("A later save records only the fields that changed, before and after");
    pilot.age = 26;
    pilot.locker = 8;
    pilot.save(|pilot| db.upsert(pilot))?;
    let change = last(audit, pilot.id)?;
    show(&change);
    assert_eq!(change.to_string(), "Pilot 1 changed: age 25 → 26");

    heading("A save that changes no audited field writes nothing");
    pilot.locker = 9;
    pilot.save(|pilot| db.upsert(pilot))?;
    println!("  Still {} changes.", lines(audit, pilot.id)?.len());
    assert_eq!(lines(audit, pilot.id)?.len(), 2);
    Ok(())
}

fn info_for_one_save(audit: &Audit, db: &Database, pilot: &mut Tracked<Pilot>) -> Checked {
    heading("Operator, notes and extra keys apply to one save only; keys never clash with fields");
    pilot.is_cylon = true;
    pilot.info().operator("Gaius").notes("Quick update").field("is_cylon", "not the field");
    pilot.save(|pilot| db.upsert(pilot))?;
    let change = last(audit, pilot.id)?;
    show(&change);
    let record = &change.record;
    println!("  actor {:?}, notes {}", record.actor.as_deref(), text(&record.notes));
    println!("  context {}", text(&record.context));
    assert_eq!(change.to_string(), "Pilot 1 changed: is_cylon false → true");
    assert_eq!(record.actor.as_deref(), Some("Gaius"));
    assert_eq!(text(&record.context), r#"{"extra":{"is_cylon":"not the field"}}"#);

    pilot.is_cylon = false;
    pilot.save(|pilot| db.upsert(pilot))?;
    let next = last(audit, pilot.id)?;
    println!("  the next save: actor {:?}", next.record.actor.as_deref());
    assert_eq!((next.record.actor.as_deref(), &next.record.notes), (None, &None));
    Ok(())
}

fn a_failed_save_changes_nothing(
    audit: &Audit,
    db: &Database,
    pilot: &mut Tracked<Pilot>,
) -> Checked {
    heading("Not in the base class: a rejected save is recorded as a failure without changes");
    pilot.age = 127;
    let rejected = pilot.save(|pilot| db.upsert(pilot));
    println!("  {}", rejected.as_ref().err().ok_or("the database accepted it")?);
    assert_eq!(lines(audit, pilot.id)?.len(), 4);
    pilot.age = 27;
    pilot.save(|pilot| db.upsert(pilot))?;
    let change = last(audit, pilot.id)?;
    show(&change);
    assert_eq!(change.to_string(), "Pilot 1 changed: age 26 → 27");
    Ok(())
}

fn types_survive(audit: &Audit, db: &Database, pilot: &mut Tracked<Pilot>) -> Checked {
    heading("Types survive: decimals, times and booleans are read back with their own types");
    pilot.fastest_landing = Some(Decimal::new(10167, 2));
    pilot.last_flight = Some("2026-11-21T08:30:00.000001Z".parse()?);
    pilot.save(|pilot| db.upsert(pilot))?;
    let state =
        audit.history::<Pilot>(pilot.id)?.as_of(Utc::now())?.ok_or("the pilot does not exist")?;
    print_wrapped("  ", 6, &state.to_string());
    let restored: Pilot = state.to()?;
    println!("  restored: {:?}, {:?}", restored.fastest_landing, restored.last_flight);
    assert_eq!(restored.fastest_landing, Some("101.67".parse()?));
    assert_eq!((restored.last_flight, restored.is_cylon), (pilot.last_flight, false));
    // An equal number in another notation is not a change.
    pilot.fastest_landing = Some("101.670".parse()?);
    assert!(pilot.changes().is_empty());
    Ok(())
}

fn deletion(audit: &Audit, db: &Database, pilot: &mut Tracked<Pilot>) -> Checked {
    heading("A deletion records the last values and a note");
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

fn the_whole_log(audit: &Audit) -> Checked {
    heading("The history of one object, oldest first");
    for change in audit.history::<Pilot>(1)?.changes() {
        show(&change?);
    }
    let lines = lines(audit, 1)?;
    assert_eq!(lines.len(), 7);
    assert!(lines[0].starts_with("Pilot 1 created: ") && lines[6].starts_with("Pilot 1 deleted: "));
    Ok(())
}

fn deletions_of_a_type(audit: &Audit, db: &Database) -> Checked {
    heading("All deletions of a type");
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

fn bulk_updates(audit: &Audit, db: &Database) -> Checked {
    heading("Bulk updates are recorded; the base class documents them as a gap");
    let mut crew: Vec<_> =
        (10..13).map(|id| Tracked::loaded(Pilot { id, age: 40, ..Pilot::default() })).collect();
    crew.iter_mut().for_each(|pilot| pilot.age += 1);
    let upsert_all = |all: &mut [&mut Pilot]| all.iter_mut().try_for_each(|pilot| db.upsert(pilot));
    Bulk::new("birthday").save(&mut crew, upsert_all)?;
    let change = last(audit, 11)?;
    show(&change);
    println!("  action {:?}", &*change.record.action);
    assert_eq!(change.to_string(), "Pilot 11 changed: age 40 → 41");

    // A statement without objects in the program is recorded with its count and keys.
    let count = db.0.execute("UPDATE pilot SET locker = 0 WHERE id >= 10", [])?;
    Bulk::new("empty lockers").record::<Pilot>(ChangeKind::Changed, [10, 11, 12]);
    assert_eq!(count, 3);
    Ok(())
}

// ---- Printing -------------------------------------------------------------------------------

fn heading(text: &str) {
    println!("\n{text}");
}

fn show(change: &ObjectChange) {
    print_wrapped("  ", 6, &change.to_string());
}

fn text(json: &Option<audited::Json>) -> &str {
    json.as_ref().map_or("", |json| json.as_str())
}
