//! System S1's scenario: an executed method goes on the record, whichever way it ends.
//!
//! S1 is an audit plug-in for a course platform: a decorator on a method writes one row a call. Each
//! heading printed here is one point of its documentation; under it stands what the SQLite file says,
//! and every value is asserted.
//!
//! ```sh
//! cargo run --example s1_executed_methods
//! ```

use std::error::Error;
use std::fs::File;
use std::panic;
use std::path::Path;
use std::sync::{Barrier, Mutex};
use std::thread;

use audited::{Audit, Context, Redacted, SqliteStore, audit_method};
use rusqlite::{Connection, types::ValueRef};
use serde_json::{Value, json};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::{fmt, prelude::*};

const COURSE: &str = "course-v1:edX+DemoX+Demo_Course";

type Done = Result<(), Box<dyn Error>>;

// ---- The platform's functions ---------------------------------------------------------------

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{course} takes no more learners")]
struct CourseFull {
    course: String,
    source: SeatLimit,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("all {0} seats are taken")]
struct SeatLimit(u32);

/// S1: `@audit_method(action="Enrol learner")`.
#[audit_method(action = "enrol learner", target = ("course", course))]
fn enrol(learner: &str, course: &str, free: u32, seats: u32) -> Result<u32, CourseFull> {
    log::info!("looking for a seat"); // by the `log` crate, as an older library would
    if free == 0 || learner.is_empty() {
        tracing::error!(seats, "no seat left");
        return Err(CourseFull { course: course.to_owned(), source: SeatLimit(seats) });
    }
    Ok(free - 1)
}

#[audit_method(action = "grade exam")]
fn grade(learner: &str, points: &[u32]) -> u32 {
    tracing::info!(learner, "grading");
    points.iter().sum::<u32>() / points.len() as u32
}

/// Two calls of it take turns, line by line, on two threads.
#[audit_method(action = "sync roster")]
fn sync_roster(section: &str, turn: &Barrier) {
    for step in 1..=3 {
        turn.wait();
        tracing::info!(section, step, "synced");
    }
}

#[audit_method(action = "reset attempts")]
fn reset_attempts(learner: &str, remarks: &[(&str, &str)]) {
    assert!(!learner.is_empty(), "whose attempts?");
    for (title, description) in remarks {
        audited::note(title, description);
    }
}

#[audit_method(action = "health check")]
fn health_check() {}

/// S1: `audit_drf_api(action, hidden_fields)`, on a handler whose request has a type.
#[audit_method(action = "create account", skip(captcha), redact(national_id))]
fn create_account(username: &str, password: &str, national_id: &str, captcha: &str) -> u16 {
    let complete = [username, password, national_id, captcha].iter().all(|text| !text.is_empty());
    if complete { 201 } else { 400 }
}

/// S1: `audit_drf_api(action, data_filter, save_all_parameters, method_name)`, on one whose request
/// is any JSON object: the fields in `kept` are recorded, all others masked.
fn change_account(body: &Value, kept: &[&str]) -> u16 {
    let mut recorded = body.clone();
    for (name, value) in recorded.as_object_mut().into_iter().flatten() {
        if !kept.contains(&name.as_str()) {
            *value = json!(Redacted::new(value.take()));
        }
    }
    audited::execute("change account", "PATCH /api/accounts", recorded, || 200)
}

/// What staff has to say about a record later on is a record of its own, which names the other.
#[audit_method(action = "append note", target = ("audit record", record))]
fn append_note(record: &str, title: &str, description: &str) {
    audited::note(title, description);
}

// ---- The scenario ---------------------------------------------------------------------------

fn main() -> Done {
    // One scene panics on purpose: no backtrace on the screen, it is in the record.
    panic::set_hook(Box::new(|panic| eprintln!("On purpose, the program {panic}")));
    let directory = tempfile::tempdir()?;

    // The host has a log of its own, and adds the layer that puts each call's lines into its record.
    let host_log = directory.path().join("host.log");
    let host_layer = fmt::layer().with_writer(Mutex::new(File::create(&host_log)?)).without_time();
    tracing_subscriber::registry()
        .with(host_layer.with_ansi(false).with_filter(LevelFilter::ERROR))
        .with(audited::layer())
        .init();
    tracing_log::LogTracer::init()?;

    let path = directory.path().join("platform.db");
    let store = SqliteStore::open(&path)?;
    let audit = Audit::builder().store(store).skip_actions(["health*"]).install()?;
    let trail = Trail { audit: &audit, db: Connection::open(&path)? };
    let staff = Context::new().actor("staff").ip([192, 0, 2, 7]).site("courses.example.org");

    one_row_a_call(&trail, &staff)?;
    direct_call(&trail, &staff)?;
    failure_is_recorded_and_handed_on(&trail, &staff)?;
    panic_is_recorded_and_goes_on(&trail, &staff)?;
    log_of_that_execution_only(&trail, &host_log)?;
    any_number_of_notes(&trail, &staff)?;
    nothing_known_about_the_caller(&trail)?;
    written_in_the_background(&trail, &path)?;
    switched_off(&trail)?;
    wrong_types(&trail)?;
    http_handler(&trail, &staff)?;
    admin_list(&trail)?;
    append_never_edit(&trail, &staff)
}

fn one_row_a_call(trail: &Trail, staff: &Context) -> Done {
    heading("A decorated method writes one row a call; the value returned is the method's");
    let left = staff.scope(|| enrol("verified", COURSE, 30, 30));
    assert_eq!(left, Ok(29));

    let row = trail.only("action = 'enrol learner'")?;
    assert_eq!(row["kind"], "call");
    assert_eq!(row["outcome"], "success");
    assert_eq!(row["method"], "s1_executed_methods::enrol");
    assert_eq!(row["actor"], "staff");
    assert_eq!(row["ip"], "192.0.2.7");
    assert_eq!(row["site"], "courses.example.org");
    assert_eq!((&row["target_type"], &row["target_id"]), (&json!("course"), &json!(COURSE)));
    let input = json!({"learner": "verified", "course": COURSE, "free": 30, "seats": 30});
    assert_eq!(row["input"], input);
    assert_eq!(row["output"], 29);
    assert_eq!(messages(&row), ["looking for a seat"]);
    assert_eq!([&row["error"], &row["traceback"], &row["notes"]], [&Value::Null; 3]);
    // A public id that is a UUID, and the time to the microsecond.
    let id = uuid::Uuid::parse_str(row["id"].as_str().unwrap_or_default())?;
    assert_eq!(id.get_version_num(), 7);
    let digits = "[0-9]".repeat(6);
    trail.only(&format!("started_at GLOB '20??-??-??T??:??:??.{digits}Z'"))?;
    trail.show(&row, "id started_at action method outcome actor ip site target_id input output log")
}

fn direct_call(trail: &Trail, staff: &Context) -> Done {
    heading("A direct call records what has no decorator, with notes");
    let parameters = json!({"args": ["honor"], "kwargs": {"problem": "p1"}});
    let tries = staff.scope(|| {
        audited::execute("count tries", "lms::count_tries", &parameters, || {
            audited::note("asked by", "course team");
            3
        })
    });
    assert_eq!(tries, 3);

    let row = trail.only("action = 'count tries'")?;
    assert_eq!(row["method"], "lms::count_tries");
    assert_eq!(row["input"], parameters);
    assert_eq!(row["output"], 3);
    assert_eq!(row["notes"], json!([{"title": "asked by", "description": "course team"}]));
    trail.show(&row, "action method outcome input output notes")
}

fn failure_is_recorded_and_handed_on(trail: &Trail, staff: &Context) -> Done {
    heading("A failure is a row too, and the error reaches the caller untouched");
    let refused = staff.scope(|| enrol("audit", COURSE, 0, 30));
    assert_eq!(refused, Err(CourseFull { course: COURSE.to_owned(), source: SeatLimit(30) }));

    let row = trail.only("action = 'enrol learner' AND outcome = 'failure'")?;
    let error = json!({
        "type": "s1_executed_methods::CourseFull",
        "message": format!("{COURSE} takes no more learners"),
        "sources": ["all 30 seats are taken"],
    });
    assert_eq!(row["error"], error);
    assert_eq!(row["output"], Value::Null);
    assert_eq!(messages(&row), ["looking for a seat", "no seat left"]);
    trail.show(&row, "action outcome input error log")
}

fn panic_is_recorded_and_goes_on(trail: &Trail, staff: &Context) -> Done {
    heading("An exception leaves its traceback in the row and is raised again");
    let graded = panic::catch_unwind(|| staff.scope(|| grade("honor", &[])));
    let payload = graded.expect_err("the panic goes on");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"attempt to divide by zero"));

    let row = trail.only("action = 'grade exam'")?;
    assert_eq!(row["outcome"], "panic");
    assert_eq!(row["input"], json!({"learner": "honor", "points": []}));
    assert_eq!(row["output"], Value::Null);
    assert_eq!(row["error"]["message"], "attempt to divide by zero");
    let place = row["error"]["location"].as_str().unwrap_or_default();
    assert_eq!(place.split(':').next(), Some(file!()));
    let traceback = row["traceback"].as_str().unwrap_or_default();
    let own = traceback.lines().find(|line| line.contains(" s1_executed_methods::grade"));
    let own = own.ok_or("the traceback names the function")?;
    trail.show(&row, "action outcome input error log")?;
    print_wrapped("traceback", &format!("… {} …", own.trim()));
    Ok(())
}

fn log_of_that_execution_only(trail: &Trail, host_log: &Path) -> Done {
    heading("The log of that execution and of no other, though the two take turns");
    let turn = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| sync_roster("morning", &turn));
        scope.spawn(|| sync_roster("evening", &turn));
    });

    for section in ["evening", "morning"] {
        let one = format!("action = 'sync roster' AND input ->> 'section' = '{section}'");
        let row = trail.only(&one)?;
        let lines: Vec<&Value> = row["log"].as_array().into_iter().flatten().collect();
        let fields: Vec<&Value> = lines.iter().map(|line| &line["fields"]).collect();
        let step = |step: u32| json!({"section": section, "step": step});
        assert_eq!(fields, [&step(1), &step(2), &step(3)]);
        assert!(lines.iter().all(|line| line["level"] == "INFO" && line["message"] == "synced"));
        trail.show(&row, "input log")?;
    }
    // The host's own log goes on beside it, with its own filter and format.
    let host_log = std::fs::read_to_string(host_log)?;
    assert_eq!(host_log.lines().count(), 1);
    assert!(host_log.ends_with(": s1_executed_methods: no seat left seats=30\n"), "{host_log}");
    print_wrapped("host.log", host_log.trim());
    Ok(())
}

fn any_number_of_notes(trail: &Trail, staff: &Context) -> Done {
    heading("Any number of notes, each a title and a description");
    staff.scope(|| {
        reset_attempts("verified", &[]);
        reset_attempts("honor", &[("ticket", "4711"), ("approval", "by the course team")]);
    });

    let rows = trail.rows("action = 'reset attempts'")?;
    let two = json!([
        {"title": "ticket", "description": "4711"},
        {"title": "approval", "description": "by the course team"},
    ]);
    let notes: Vec<&Value> = rows.iter().map(|row| &row["notes"]).collect();
    assert_eq!(notes, [&Value::Null, &two]);
    rows.iter().try_for_each(|row| trail.show(row, "action input notes"))
}

fn nothing_known_about_the_caller(trail: &Trail) -> Done {
    heading("No performer, no address, no site: recorded as absent, never an error");
    reset_attempts("audit", &[]);

    let row = trail.only("action = 'reset attempts' AND actor IS NULL")?;
    assert_eq!(row["outcome"], "success");
    assert_eq!([&row["actor"], &row["ip"], &row["site"]], [&Value::Null; 3]);
    trail.show(&row, "action outcome actor ip site")
}

fn written_in_the_background(trail: &Trail, path: &Path) -> Done {
    heading("Rows are written in the background: the caller does not wait for the file");
    let before = trail.rows("true")?.len();
    let other = Connection::open(path)?;
    other.execute_batch("BEGIN IMMEDIATE")?; // now nobody else can write to the file
    reset_attempts("masters", &[]); // and the call returns all the same
    let counters = trail.audit.counters();
    assert_eq!(counters.accepted - counters.written, 1);
    other.execute_batch("ROLLBACK")?;
    assert_eq!(trail.rows("true")?.len(), before + 1);
    assert_eq!(trail.audit.counters().written, before as u64 + 1);

    let row = trail.only("input ->> 'learner' = 'masters'")?;
    assert_eq!(row["outcome"], "success");
    println!("  the file was locked, the call returned; the lock was gone, the row was there:");
    trail.show(&row, "action input outcome")
}

fn switched_off(trail: &Trail) -> Done {
    heading("A setting switches it off: for one action, or for the whole process");
    let before = trail.rows("true")?.len();
    health_check(); // `skip_actions(["health*"])` at the start of this program
    trail.audit.set_enabled(false);
    reset_attempts("verified", &[]);
    trail.audit.set_enabled(true);
    assert_eq!(trail.rows("true")?.len(), before);
    println!("  {before} rows before, {before} rows after: both calls ran and left no row");
    Ok(())
}

fn wrong_types(trail: &Trail) -> Done {
    heading("Not a function, or parameters of the wrong type: a typed error");
    println!("  Here the compiler refuses them, so there is no row to show:");
    println!("    execute(\"count tries\", \"lms::count_tries\", json!({{}}), 3)");
    println!("      error[E0277]: expected a `FnOnce()` closure, found `{{integer}}`");
    println!("    execute(\"count tries\", \"lms::count_tries\", Session, || 3)");
    println!("      error[E0277]: the trait bound `Session: serde::Serialize` is not satisfied");
    // With the attribute any argument will do: what has no JSON form is recorded as its Debug text.
    let row = trail.only("input ->> 'section' = 'morning'")?;
    assert_eq!(row["input"], json!({"section": "morning", "turn": "Barrier { .. }"}));
    println!("  An argument that has no JSON form is no error:");
    trail.show(&row, "method input")
}

fn http_handler(trail: &Trail, staff: &Context) -> Done {
    heading("An HTTP handler: listed fields are kept, hidden ones masked, the address stored");
    let url = "https://courses.example.org/api/accounts?next=%2Fdashboard&token=9f3a";
    let request = staff.clone().url(url).request_id("req-1");
    assert_eq!(request.scope(|| create_account("honor", "s3cret", "X-1234567", "7k2p")), 201);
    let body = json!({"username": "honor", "city": "Lima", "password": "s3cret", "phone": "555"});
    assert_eq!(request.scope(|| change_account(&body, &["username", "city"])), 200);

    let masked = "[redacted]";
    let created = trail.only("action = 'create account'")?;
    let input = json!({"username": "honor", "password": masked, "national_id": masked});
    assert_eq!(created["input"], input);
    let changed = trail.only("method = 'PATCH /api/accounts'")?;
    let input = json!({"username": "honor", "city": "Lima", "password": masked, "phone": masked});
    assert_eq!(changed["input"], input);
    let stored = "https://courses.example.org/api/accounts?next=%2Fdashboard&token=[redacted]";
    for row in [&created, &changed] {
        assert_eq!(row["context"], json!({"request_id": "req-1", "url": stored}));
        trail.show(row, "action method outcome input output context")?;
    }
    Ok(())
}

fn admin_list(trail: &Trail) -> Done {
    heading("The admin's list is a query: columns, search over all of them, filter by outcome");
    let search = "%seat%";
    let sql = "SELECT outcome, method, action, actor, site, started_at FROM audit_log
         WHERE outcome = 'failure'
           AND (outcome LIKE ?1 OR method LIKE ?1 OR action LIKE ?1 OR actor LIKE ?1
                OR site LIKE ?1 OR ip LIKE ?1 OR log LIKE ?1)
         ORDER BY started_at DESC";
    let mut query = trail.db.prepare(sql)?;
    let mut rows = query.query([search])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let columns = (0..6).map(|column| row.get(column));
        found.push(columns.collect::<rusqlite::Result<Vec<String>>>()?);
    }
    assert_eq!(found.len(), 1);
    let expected =
        ["failure", "s1_executed_methods::enrol", "enrol learner", "staff", "courses.example.org"];
    assert_eq!(found[0][..5], expected);
    println!("  {}", sql.replace("\n       ", "\n"));
    println!("  with ?1 = '{search}' gives");
    print_wrapped("", &found[0].join(" | "));
    Ok(())
}

fn append_never_edit(trail: &Trail, staff: &Context) -> Done {
    heading("Every field is read-only; staff may append notes, never edit or delete");
    let failed = trail.only("outcome = 'failure'")?;
    let id = failed["id"].as_str().unwrap_or_default();
    staff.scope(|| append_note(id, "looked into", "the course gets ten more seats"));
    let row = trail.only(&format!("target_type = 'audit record' AND target_id = '{id}'"))?;
    let note = json!([{"title": "looked into", "description": "the course gets ten more seats"}]);
    assert_eq!(row["notes"], note);
    trail.show(&row, "action actor target_id notes")?;

    let before = trail.rows("true")?;
    for (sql, error) in [
        (
            "UPDATE audit_log SET actor = 'nobody'",
            "audit records are append-only: audit_log cannot be updated",
        ),
        (
            "DELETE FROM audit_log",
            "audit records are append-only: audit_log cannot be deleted from",
        ),
        (
            "UPDATE audit_record SET actor = NULL",
            "audit records are append-only: audit_record cannot be updated",
        ),
        (
            "DELETE FROM audit_record",
            "audit records are append-only: audit_record cannot be deleted from",
        ),
        (
            "REPLACE INTO audit_record SELECT * FROM audit_record WHERE seq = 1",
            "audit records are append-only: a new record takes the next seq and an id of its own",
        ),
        (
            "UPDATE audit_name SET text = 'nobody' WHERE text = 'staff'",
            "audit records are append-only: audit_name cannot be updated",
        ),
    ] {
        let refused = trail.db.execute(sql, []).expect_err("the trail cannot be edited");
        assert_eq!(refused.to_string(), error);
        println!("  {sql}\n    → {refused}");
    }
    assert_eq!(trail.rows("true")?, before);
    Ok(())
}

// ---- Reading the file -----------------------------------------------------------------------

/// The SQLite file, read as any other program would read it.
struct Trail<'a> {
    audit: &'a Audit,
    db: Connection,
}

impl Trail<'_> {
    /// The records that meet `condition`, oldest first, with JSON columns as JSON.
    fn rows(&self, condition: &str) -> Result<Vec<Value>, Box<dyn Error>> {
        self.audit.flush()?; // a background thread writes: wait for it
        let sql = format!("SELECT * FROM audit_log WHERE {condition} ORDER BY seq");
        let mut query = self.db.prepare(&sql)?;
        let mut rows = query.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let mut object = serde_json::Map::new();
            for index in 0..row.as_ref().column_count() {
                let name = row.as_ref().column_name(index)?;
                let value = match (row.get_ref(index)?, name) {
                    (ValueRef::Null, _) => Value::Null,
                    (ValueRef::Integer(number), _) => number.into(),
                    (text, "input" | "output" | "log" | "error" | "notes" | "context") => {
                        serde_json::from_str(text.as_str()?)?
                    }
                    (text, _) => text.as_str()?.into(),
                };
                object.insert(name.to_owned(), value);
            }
            found.push(Value::Object(object));
        }
        Ok(found)
    }

    /// The record that meets `condition`; that there is one, and only one, is asserted.
    fn only(&self, condition: &str) -> Result<Value, Box<dyn Error>> {
        let mut rows = self.rows(condition)?;
        assert_eq!(rows.len(), 1, "{condition}");
        Ok(rows.remove(0))
    }

    /// Prints columns of a record, as they stand in the file.
    fn show(&self, row: &Value, columns: &str) -> Done {
        for column in columns.split(' ') {
            let sql = format!("SELECT {column} || '' FROM audit_log WHERE seq = ?1");
            let text: Option<String> =
                self.db.query_row(&sql, [row["seq"].as_i64()], |row| row.get(0))?;
            print_wrapped(column, text.as_deref().unwrap_or("(absent)"));
        }
        Ok(())
    }
}

fn messages(row: &Value) -> Vec<&str> {
    let lines = row["log"].as_array().into_iter().flatten();
    lines.filter_map(|line| line["message"].as_str()).collect()
}

fn heading(text: &str) {
    println!("\n{text}");
}

/// Prints `name  text`, broken between words to fit 100 columns.
fn print_wrapped(name: &str, text: &str) {
    let mut line = format!("  {name:<12}");
    for word in text.split_inclusive([',', ' ']) {
        if line.chars().count() + word.trim_end().chars().count() > 100 {
            println!("{}", line.trim_end());
            line = " ".repeat(14);
        }
        line += word;
    }
    println!("{line}");
}
