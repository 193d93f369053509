//! A call and the fields it changed, in one record: corrections in a register of 1,043 real airports.
//!
//! ```sh
//! cargo run --example call_with_changes
//! ```
//!
//! It writes `airports.db` in the current directory, anew each time.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;

use audited::{Context, audit_method, audited_fields};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

/// One row of `examples/data/airports.csv`. All of it is on the record, but for the code of the airlines.
#[audited_fields(all, except(iata_code); key = ident, label = name, name = "airport")]
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Airport {
    ident: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    municipality: String,
    iata_code: String,
    latitude_deg: f64,
    longitude_deg: f64,
    elevation_ft: String,
}

// ---- The functions on the record: nothing in them speaks of the audit -------------------------

impl Airport {
    #[audit_method(action = "survey", skip(self))]
    fn survey(&mut self, latitude: f64, longitude: f64) -> Result<(), String> {
        self.elevation_ft = self.elevation_ft.trim().to_owned();
        self.longitude_deg = longitude;
        if latitude.abs() > 90.0 {
            return Err(format!("{latitude} is no latitude"));
        }
        self.latitude_deg = latitude;
        Ok(())
    }
}

/// Two objects in one call: each gets its own changes.
#[audit_method(action = "swap names", skip(one, other))]
fn swap_names(one: &mut Airport, other: &mut Airport) {
    std::mem::swap(&mut one.name, &mut other.name);
}

/// A call inside a call, on the same object: each tells what it has changed itself.
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

// ---- The work -------------------------------------------------------------------------------

fn main() -> Result<(), Box<dyn Error>> {
    for file in ["airports.db", "airports.db-wal", "airports.db-shm"] {
        let _ = fs::remove_file(file);
    }
    let audit = audited::init("airports.db")?;
    let mut register = read()?;
    let mut take = |ident: &str| register.remove(ident).ok_or(format!("no airport {ident}"));
    let (mut vancouver, mut hyder) = (take("CYVR")?, take("4Z7")?);

    Context::new().actor("duty-editor").scope(|| {
        let _ = vancouver.survey(-123.1840, 49.1947); // swapped, refused, and half done
        let _ = vancouver.survey(49.1947, -123.1840);
        swap_names(&mut vancouver, &mut hyder);
        rename(&mut vancouver, "Vancouver / Sea Island");
    });

    audit.flush()?;
    print_calls()?;

    println!("\nThe history of Vancouver, from the same file:");
    let history = audit.history::<Airport>("CYVR")?;
    for change in history.changes() {
        let change = change?;
        println!("  {:<10} {change}", &*change.record.action);
    }
    let state = history.as_of(chrono::Utc::now())?.ok_or("nothing is known of it")?;
    println!("  now        {state}");
    let restored: Airport = state.onto(&vancouver)?;
    assert_eq!(restored.name, vancouver.name);
    println!("\nLook further:");
    println!(
        "  sqlite3 -box airports.db \"SELECT action, target_id, field, before, after FROM audit_changes\""
    );
    Ok(())
}

fn read() -> Result<BTreeMap<String, Airport>, csv::Error> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/airports.csv");
    csv::Reader::from_path(file)?
        .deserialize()
        .map(|row| row.map(|row: Airport| (row.ident.clone(), row)))
        .collect()
}

// ---- What the file says ---------------------------------------------------------------------

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
        println!("\n{} → {} by {}, on {}", text(1)?, text(2)?, text(3)?, text(4)?);
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
