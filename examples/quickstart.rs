//! The quick tour: a register of 1,043 real airports in which every call is recorded.
//!
//! ```sh
//! cargo run --example quickstart
//! ```
//!
//! It writes `audit.db` in the current directory. A second run appends to the same file.

use std::collections::BTreeMap;
use std::error::Error;
use std::num::ParseIntError;
use std::panic;
use std::time::Duration;

use audited::{Context, audit_method};
use rusqlite::{Connection, types::ValueRef};

#[path = "common/airports.rs"]
mod airports;
#[path = "common/wrap.rs"]
mod wrap;

use airports::Airport;
use wrap::print_wrapped;

/// The accepted airports by their `ident`.
type Register = BTreeMap<String, Airport>;

#[derive(Debug, thiserror::Error)]
enum RegisterError {
    #[error("closed, but listed with scheduled service")]
    Closed,
    #[error("no municipality")]
    NoMunicipality,
    #[error("no IATA code")]
    NoIataCode,
    #[error("the elevation is not a whole number")]
    BadElevation(#[from] ParseIntError),
    #[error("{0} is not a latitude; are latitude and longitude swapped?")]
    BadLatitude(f64),
    #[error("not in the register")]
    Unknown,
}

// ---- The audited functions ------------------------------------------------------------------
// All arguments are recorded, except the register itself: `skip` leaves it out.

#[audit_method(action = "import airport", target = ("airport", row.ident), skip(register))]
fn import_airport(register: &mut Register, row: Airport) -> Result<i32, RegisterError> {
    if row.kind == "closed" {
        return Err(RegisterError::Closed);
    }
    if row.municipality.is_empty() {
        return Err(RegisterError::NoMunicipality);
    }
    if row.elevation_ft.is_empty() {
        tracing::warn!("the row has no elevation");
    }
    let feet = row.elevation_ft.parse()?;
    if row.iata_code.is_empty() {
        return Err(RegisterError::NoIataCode);
    }
    register.insert(row.ident.clone(), row);
    Ok(feet)
}

#[audit_method(
    action = "correct elevation",
    target = ("airport", row.ident),
    reason = "seaplane bases are at sea level",
    skip(register)
)]
fn correct_elevation(register: &mut Register, mut row: Airport) -> Result<i32, RegisterError> {
    audited::note("correction", format!("elevation {:?} → 0", row.elevation_ft));
    row.elevation_ft = "0".to_owned();
    import_airport(register, row) // recorded as a child of this call
}

#[audit_method(action = "rename airport", target = ("airport", ident), skip(register))]
fn rename_airport(register: &mut Register, ident: &str, name: &str) -> Result<(), RegisterError> {
    let airport = register.get_mut(ident).ok_or(RegisterError::Unknown)?;
    audited::reason("naming convention: no slashes");
    tracing::info!(old = airport.name, "renaming");
    airport.name = name.to_owned();
    Ok(())
}

#[audit_method(action = "move airport", target = ("airport", ident), skip(register))]
fn move_airport(
    register: &mut Register,
    ident: &str,
    latitude: f64,
    longitude: f64,
) -> Result<(), RegisterError> {
    let airport = register.get_mut(ident).ok_or(RegisterError::Unknown)?;
    if latitude.abs() > 90.0 {
        return Err(RegisterError::BadLatitude(latitude));
    }
    airport.latitude_deg = latitude;
    airport.longitude_deg = longitude;
    Ok(())
}

/// `api_key` is masked because of its name: its value never reaches the file.
#[audit_method(action = "fetch notices", target = ("airport", ident))]
async fn fetch_notices(ident: String, api_key: &str) -> Vec<&'static str> {
    tracing::info!(key_length = api_key.len(), "querying the notice service");
    tokio::task::yield_now().await; // stands in for a network request
    vec!["runway lights out of service"]
}

#[audit_method(action = "survey runway", target = ("airport", ident))]
async fn survey_runway(ident: &str) {
    tracing::info!("waiting for the surveyor");
    std::future::pending().await // never completes
}

/// Contains a deliberate bug: it cuts the name after 16 bytes, possibly in the middle of a letter.
#[audit_method(action = "print sign", target = ("airport", airport.ident))]
fn print_sign(airport: &Airport) -> String {
    let end = airport.name.len().min(16);
    airport.name[..end].to_uppercase()
}

// ---- The program ----------------------------------------------------------------------------

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // One call panics deliberately. Its traceback is in the record, so the hook prints only a line.
    panic::set_hook(Box::new(|panic| eprintln!("Deliberate panic: {panic}\n")));

    let audit = audited::init("audit.db")?; // from now on, every audited call is recorded
    let first = next_seq()?;

    // A context names the actor of all calls in its scope.
    let mut register = Register::new();
    let importer = Context::new().actor("import-job").ip([192, 0, 2, 10]);
    let rejected = importer.scope(|| import_all(&mut register))?;

    let editor = Context::new().actor("duty-editor").on_behalf_of("registry office");
    editor.scope(|| edit(&mut register, rejected))?;

    // A spawned task does not inherit a context: `wrap` passes one on.
    let nightly = Context::new().actor("nightly-check").correlation_id("nightly check 7");
    let mut tasks = tokio::task::JoinSet::new();
    for ident in register.keys().step_by(20) {
        tasks.spawn(nightly.wrap(fetch_notices(ident.clone(), "k-3f9a77e1")));
    }
    tasks.join_all().await;

    // A future that is dropped before it completes is recorded as cancelled.
    let survey = nightly.wrap(survey_runway("CYVR"));
    assert!(tokio::time::timeout(Duration::from_millis(20), survey).await.is_err());

    // A panic is recorded and then continues to the caller, which catches this one.
    let print_signs = || register.values().map(print_sign).count();
    assert!(panic::catch_unwind(print_signs).is_err());

    audit.flush()?; // now all records are in the file
    report(first)
}

/// Imports the valid rows and returns the others.
fn import_all(register: &mut Register) -> Result<Vec<Airport>, csv::Error> {
    let rows = airports::read()?.into_iter();
    Ok(rows.filter(|row| import_airport(register, row.clone()).is_err()).collect())
}

fn edit(register: &mut Register, rejected: Vec<Airport>) -> Result<(), RegisterError> {
    for row in rejected {
        if row.kind == "seaplane_base" && row.elevation_ft.is_empty() {
            correct_elevation(register, row)?;
        }
    }
    for airport in register.clone().values().filter(|airport| airport.name.contains(" / ")) {
        rename_airport(register, &airport.ident, &airport.name.replace(" / ", " "))?;
    }
    if move_airport(register, "CYVR", -123.1840, 49.1947).is_err() {
        move_airport(register, "CYVR", 49.1947, -123.1840)?;
    }
    Ok(())
}

// ---- Reading the trail ----------------------------------------------------------------------
// Plain SQL on the view `audit_log`, as in any SQLite tool.

/// The sequence number of the next record.
fn next_seq() -> rusqlite::Result<i64> {
    let db = Connection::open("audit.db")?;
    db.query_row("SELECT ifnull(max(seq), 0) + 1 FROM audit_log", [], |row| row.get(0))
}

fn report(first: i64) -> Result<(), Box<dyn Error>> {
    let db = Connection::open("audit.db")?;
    print_outcomes(&db, first)?;

    let show = |title: &str, condition: &str, columns: &str| {
        let sql = format!(
            "SELECT action, outcome, {columns} FROM audit_log WHERE seq >= ?1 AND {condition} LIMIT 1"
        );
        db.query_row(&sql, [first], |record| print_record(title, record))
    };
    show(
        "A rejected row",
        "log LIKE '%no elevation%'",
        "started_at, duration_us, method, actor, ip, target_type, target_id, input, error, log",
    )?;
    show(
        "Its correction, with a reason and a note",
        "action = 'correct elevation'",
        "id, actor, on_behalf_of, target_id, reason, notes",
    )?;
    show(
        "The nested call of that correction",
        "parent_id IS NOT NULL",
        "parent_id, target_id, output",
    )?;
    show("A panic", "outcome = 'panic'", "target_id, error, traceback")?;
    show("A future that was dropped", "outcome = 'cancelled'", "target_id, duration_us")?;
    show("A masked argument", "action = 'fetch notices'", "input")?;

    println!("\nQueries to try next:");
    for (mode, query) in [
        ("box", "SELECT outcome, error ->> 'message', count(*) FROM audit_log GROUP BY 1, 2"),
        ("box", "SELECT seq, actor, action, outcome FROM audit_log WHERE target_id = '4Z7'"),
        ("line", "SELECT * FROM audit_log WHERE outcome = 'panic' LIMIT 1"),
    ] {
        println!("  sqlite3 -{mode} audit.db \"{query}\"");
    }
    Ok(())
}

/// Prints how many records this run added, by action, actor and outcome.
fn print_outcomes(db: &Connection, first: i64) -> rusqlite::Result<()> {
    let last = next_seq()? - 1;
    println!("This run added {} records to audit.db, which now has {last}:\n", last - first + 1);
    println!("  action             actor          success  failure  panic  cancelled");
    let mut query = db.prepare(
        "SELECT action, ifnull(actor, '(none)'), sum(outcome = 'success'),
                sum(outcome = 'failure'), sum(outcome = 'panic'), sum(outcome = 'cancelled')
         FROM audit_log WHERE seq >= ?1 GROUP BY action, actor ORDER BY min(seq)",
    )?;
    let mut rows = query.query([first])?;
    while let Some(row) = rows.next()? {
        let (action, actor): (String, String) = (row.get(0)?, row.get(1)?);
        print!("  {action:<17}  {actor:<13}");
        for (column, width) in [(2, 9), (3, 9), (4, 7), (5, 11)] {
            match row.get(column)? {
                0 => print!("{:>width$}", "-"),
                count => print!("{count:>width$}"),
            }
        }
        println!();
    }
    Ok(())
}

/// Prints the first two columns as a heading and the others below it.
fn print_record(title: &str, record: &rusqlite::Row) -> rusqlite::Result<()> {
    let (action, outcome): (String, String) = (record.get(0)?, record.get(1)?);
    println!("\n{title}: {action} → {outcome}");
    for index in 2..record.as_ref().column_count() {
        let name = record.as_ref().column_name(index)?;
        let text = match record.get_ref(index)? {
            ValueRef::Integer(number) => number.to_string(),
            text => text.as_str()?.to_owned(),
        };
        // A traceback has many lines; the first one of this program is enough here.
        let text = match name {
            "traceback" => {
                text.lines().find(|line| line.contains(" quickstart::")).unwrap_or(&text)
            }
            _ => &text,
        };
        print_wrapped(&format!("  {name:<14}"), 16, text.trim());
    }
    Ok(())
}
