//! An audited call and the fields it changed, in one record: corrections in a register of airports.
//!
//! ```sh
//! cargo run --example call_with_changes
//! ```
//!
//! It writes `airports.db` in the current directory and replaces the file of an earlier run.

use std::error::Error;
use std::fs;

use audited::{Context, audit_method};
use rusqlite::Connection;

/// Declares the audited fields of an [`Airport`].
#[path = "common/airports.rs"]
mod airports;

use airports::Airport;

// ---- The audited functions: their bodies contain no code for the audit -----------------------

impl Airport {
    #[audit_method(action = "survey", skip(self))]
    fn survey(&mut self, latitude: f64, longitude: f64) -> Result<(), String> {
        self.elevation_ft = self.elevation_ft.trim().to_owned();
        self.longitude_deg = longitude;
        if latitude.abs() > 90.0 {
            return Err(format!("{latitude} is not a latitude"));
        }
        self.latitude_deg = latitude;
        Ok(())
    }
}

/// Changes two objects in one call. Each change is recorded with its object.
#[audit_method(action = "swap names", skip(one, other))]
fn swap_names(one: &mut Airport, other: &mut Airport) {
    std::mem::swap(&mut one.name, &mut other.name);
}

/// Calls another audited function on the same object. Each call records its own changes only.
#[audit_method(action = "rename", skip(airport))]
fn rename(airport: &mut Airport, name: &str) {
    let (_, place) = name.split_once(" / ").unwrap_or(("", &airport.municipality));
    airport.municipality = place.to_owned();
    tidy(airport, name);
}

#[audit_method(action = "tidy name", skip(airport))]
fn tidy(airport: &mut Airport, name: &str) {
    airport.name = name.replace(" / ", " ");
}

// ---- The program ----------------------------------------------------------------------------

fn main() -> Result<(), Box<dyn Error>> {
    for file in ["airports.db", "airports.db-wal", "airports.db-shm"] {
        let _ = fs::remove_file(file);
    }
    let audit = audited::init("airports.db")?;
    let register = airports::read()?;
    let find = |ident: &str| {
        register.iter().find(|airport| airport.ident == ident).cloned().ok_or("no such airport")
    };
    let (mut vancouver, mut hyder) = (find("CYVR")?, find("4Z7")?);

    Context::new().actor("duty-editor").scope(|| {
        let _ = vancouver.survey(-123.1840, 49.1947); // fails after it has changed one field
        let _ = vancouver.survey(49.1947, -123.1840);
        swap_names(&mut vancouver, &mut hyder);
        rename(&mut vancouver, "Vancouver / Sea Island");
    });

    audit.flush()?;
    print_calls()?;

    println!("\nThe history of airport CYVR, from the same file:");
    let history = audit.history::<Airport>("CYVR")?;
    for change in history.changes() {
        let change = change?;
        println!("  {:<10} {change}", &*change.record.action);
    }
    let state = history.as_of(chrono::Utc::now())?.ok_or("no history")?;
    println!("  now        {state}");
    let restored: Airport = state.onto(&vancouver)?;
    assert_eq!(restored.name, vancouver.name);
    println!("\nA query to try next:");
    println!(
        "  sqlite3 -box airports.db \"SELECT action, target_id, field, before, after FROM audit_changes\""
    );
    Ok(())
}

// ---- Reading the trail ----------------------------------------------------------------------

fn print_calls() -> Result<(), Box<dyn Error>> {
    let db = Connection::open("airports.db")?;
    let mut calls = db.prepare(
        "SELECT id, action, outcome, actor, target_type || ' ' || target_id, input, error ->> 'message'
         FROM audit_log WHERE kind = 'call' ORDER BY started_at, seq",
    )?;
    let mut changes = db.prepare(
        "SELECT target_id, field, ifnull(before, '–'), ifnull(after, '–') FROM audit_changes
         WHERE record_id = ?1 ORDER BY changed_at",
    )?;
    let mut calls = calls.query([])?;
    while let Some(call) = calls.next()? {
        let text = |column| call.get::<_, Option<String>>(column).map(Option::unwrap_or_default);
        println!("\n{} → {}, by {} on {}", text(1)?, text(2)?, text(3)?, text(4)?);
        println!("  input    {}", text(5)?);
        if !text(6)?.is_empty() {
            println!("  error    {}", text(6)?);
        }
        let mut rows = changes.query([text(0)?])?;
        while let Some(row) = rows.next()? {
            let column = |column| row.get::<_, String>(column);
            println!("  changed  {} {}: {} → {}", column(0)?, column(1)?, column(2)?, column(3)?);
        }
    }
    Ok(())
}
