//! Executed methods in a course platform: each call is recorded, whichever way it ends.
//!
//! The example follows the documentation of an audit plug-in for a Django course platform, in which
//! a decorator on a method writes one row per call. It goes through that documentation point by
//! point. For each point it prints a heading and the record from the SQLite file, and asserts every
//! value.
//!
//! ```sh
//! cargo run --example executed_methods
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

#[path = "common/wrap.rs"]
mod wrap;

use wrap::print_wrapped;

const COURSE: &str = "course-v1:edX+DemoX+Demo_Course";

type Checked = Result<(), Box<dyn Error>>;

// ---- The platform's functions ---------------------------------------------------------------

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{course} is full")]
struct CourseFull {
    course: String,
    source: SeatLimit,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("all {0} seats are taken")]
struct SeatLimit(u32);

/// In the plug-in: `@audit_method(action="Enrol learner")`.
#[audit_method(action = "enrol learner", target = ("course", course))]
fn enrol(learner: &str, course: &str, free: u32, seats: u32) -> Result<u32, CourseFull> {
    log::info!("looking for a seat"); // through the `log` crate, as in older libraries
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

/// Called by two threads at once; the barrier interleaves their log events.
#[audit_method(action = "sync roster")]
fn sync_roster(section: &str, turn: &Barrier) {
    for step in 1..=3 {
        turn.wait();
        tracing::info!(section, step, "synced");
    }
}

#[audit_method(action = "reset attempts")]
fn reset_attempts(learner: &str, remarks: &[(&str, &str)]) {
    assert!(!learner.is_empty(), "a learner is required");
    for (title, description) in remarks {
        audited::note(title, description);
    }
}

#[audit_method(action = "health check")]
fn health_check() {}

/// A handler with typed arguments. In the plug-in: `audit_drf_api(action, hidden_fields)`.
#[audit_method(action = "create account", skip(captcha), redact(national_id))]
fn create_account(username: &str, password: &str, national_id: &str, captcha: &str) -> u16 {
    let complete = [username, password, national_id, captcha].iter().all(|text| !text.is_empty());
    if complete { 201 } else { 400 }
}

/// A handler whose request is an arbitrary JSON object: the fields in `kept` are recorded, the
/// others are masked. In the plug-in: `audit_drf_api(action, data_filter, save_all_parameters,
/// method_name)`.
fn change_account(body: &Value, kept: &[&str]) -> u16 {
    let mut recorded = body.clone();
    for (name, value) in recorded.as_object_mut().into_iter().flatten() {
        if !kept.contains(&name.as_str()) {
            *value = json!(Redacted::new(value.take()));
        }
    }
    audited::execute("change account", "PATCH /api/accounts", recorded, || 200)
}

/// A later note about a record is a record of its own, whose target is the first one.
#[audit_method(action = "append note", target = ("audit record", record))]
fn append_note(record: &str, title: &str, description: &str) {
    audited::note(title, description);
}

// ---- The points of the documentation --------------------------------------------------------

fn main() -> Checked {
    // One call panics deliberately. Its traceback is in the record, so the hook prints only a line.
    panic::set_hook(Box::new(|panic| eprintln!("Deliberate panic: {panic}")));
    let directory = tempfile::tempdir()?;

    // The host has its own log, and adds the layer that records the events of each call.
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

    one_row_per_call(&trail, &staff)?;
    direct_call(&trail, &staff)?;
    failure_is_recorded_and_returned(&trail, &staff)?;
    panic_is_recorded_and_propagated(&trail, &staff)?;
    log_of_one_execution(&trail, &host_log)?;
    any_number_of_notes(&trail, &staff)?;
    caller_without_context(&trail)?;
    written_in_the_background(&trail, &path)?;
    switched_off(&trail)?;
    wrong_types(&trail)?;
    http_handler(&trail, &staff)?;
    admin_list(&trail)?;
    append_only(&trail, &staff)
}

fn one_row_per_call(trail: &Trail, staff: &Context) -> Checked {
    heading("An audited method writes one row per call and returns its own value");
    let left = staff.scope(|| enrol("verified", COURSE, 30, 30));
    assert_eq!(left, Ok(29));

    let row = trail.only("action = 'enrol learner'")?;
    assert_eq!(row["kind"], "call");
    assert_eq!(row["outcome"], "success");
    assert_eq!(row["method"], "executed_methods::enrol");
    assert_eq!(row["actor"], "staff");
    assert_eq!(row["ip"], "192.0.2.7");
    assert_eq!(row["site"], "courses.example.org");
    assert_eq!((&row["target_type"], &row["target_id"]), (&json!("course"), &json!(COURSE)));
    let input = json!({"learner": "verified", "course": COURSE, "free": 30, "seats": 30});
    assert_eq!(row["input"], input);
    assert_eq!(row["output"], 29);
    assert_eq!(messages(&row), ["looking for a seat"]);
    assert_eq!([&row["error"], &row["traceback"], &row["notes"]], [&Value::Null; 3]);
    // The public id is a UUID, and the time has microseconds.
    let id = uuid::Uuid::parse_str(row["id"].as_str().unwrap_or_default())?;
    assert_eq!(id.get_version_num(), 7);
    let digits = "[0-9]".repeat(6);
    trail.only(&format!("started_at GLOB '20??-??-??T??:??:??.{digits}Z'"))?;
    trail.show(&row, "id started_at action method outcome actor ip site target_id input output log")
}

fn direct_call(trail: &Trail, staff: &Context) -> Checked {
    heading("A direct call records code without an attribute, here with a note");
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

fn failure_is_recorded_and_returned(trail: &Trail, staff: &Context) -> Checked {
    heading("A failure is recorded, and the caller gets the error unchanged");
    let refused = staff.scope(|| enrol("audit", COURSE, 0, 30));
    assert_eq!(refused, Err(CourseFull { course: COURSE.to_owned(), source: SeatLimit(30) }));

    let row = trail.only("action = 'enrol learner' AND outcome = 'failure'")?;
    let error = json!({
        "type": "executed_methods::CourseFull",
        "message": format!("{COURSE} is full"),
        "sources": ["all 30 seats are taken"],
    });
    assert_eq!(row["error"], error);
    assert_eq!(row["output"], Value::Null);
    assert_eq!(messages(&row), ["looking for a seat", "no seat left"]);
    trail.show(&row, "action outcome input error log")
}

fn panic_is_recorded_and_propagated(trail: &Trail, staff: &Context) -> Checked {
    heading("A panic is recorded with its traceback and then propagated");
    let graded = panic::catch_unwind(|| staff.scope(|| grade("honor", &[])));
    let payload = graded.expect_err("the panic is propagated");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"attempt to divide by zero"));

    let row = trail.only("action = 'grade exam'")?;
    assert_eq!(row["outcome"], "panic");
    assert_eq!(row["input"], json!({"learner": "honor", "points": []}));
    assert_eq!(row["output"], Value::Null);
    assert_eq!(row["error"]["message"], "attempt to divide by zero");
    let place = row["error"]["location"].as_str().unwrap_or_default();
    assert_eq!(place.split(':').next(), Some(file!()));
    let traceback = row["traceback"].as_str().unwrap_or_default();
    let own = traceback.lines().find(|line| line.contains(" executed_methods::grade"));
    let own = own.ok_or("the traceback names the function")?;
    trail.show(&row, "action outcome input error log")?;
    print_column("traceback", &format!("… {} …", own.trim()));
    Ok(())
}

fn log_of_one_execution(trail: &Trail, host_log: &Path) -> Checked {
    heading("Each record has the log of its own execution, even when two are interleaved");
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
    // The host's own log is unaffected: it has its own filter and format.
    let host_log = std::fs::read_to_string(host_log)?;
    assert_eq!(host_log.lines().count(), 1);
    assert!(host_log.ends_with(": executed_methods: no seat left seats=30\n"), "{host_log}");
    print_column("host.log", host_log.trim());
    Ok(())
}

fn any_number_of_notes(trail: &Trail, staff: &Context) -> Checked {
    heading("A call can have any number of notes, each with a title and a description");
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

fn caller_without_context(trail: &Trail) -> Checked {
    heading("Without a context, actor, address and site are absent; that is not an error");
    reset_attempts("audit", &[]);

    let row = trail.only("action = 'reset attempts' AND actor IS NULL")?;
    assert_eq!(row["outcome"], "success");
    assert_eq!([&row["actor"], &row["ip"], &row["site"]], [&Value::Null; 3]);
    trail.show(&row, "action outcome actor ip site")
}

fn written_in_the_background(trail: &Trail, path: &Path) -> Checked {
    heading("Rows are written in the background: the caller does not wait for the file");
    let before = trail.rows("true")?.len();
    let other = Connection::open(path)?;
    other.execute_batch("BEGIN IMMEDIATE")?; // now no other connection can write
    reset_attempts("masters", &[]); // and the call still returns
    let counters = trail.audit.counters();
    assert_eq!(counters.accepted - counters.written, 1);
    other.execute_batch("ROLLBACK")?;
    assert_eq!(trail.rows("true")?.len(), before + 1);
    assert_eq!(trail.audit.counters().written, before as u64 + 1);

    let row = trail.only("input ->> 'learner' = 'masters'")?;
    assert_eq!(row["outcome"], "success");
    println!(
        "  The call returned while the file was locked. The row was written after the unlock:"
    );
    trail.show(&row, "action input outcome")
}

fn switched_off(trail: &Trail) -> Checked {
    heading("Recording can be disabled: for some actions, or for the whole process");
    let before = trail.rows("true")?.len();
    health_check(); // `main` sets `skip_actions(["health*"])`
    trail.audit.set_enabled(false);
    reset_attempts("verified", &[]);
    trail.audit.set_enabled(true);
    assert_eq!(trail.rows("true")?.len(), before);
    println!("  Two calls ran, and the trail still has {before} rows.");
    Ok(())
}

fn wrong_types(trail: &Trail) -> Checked {
    heading("A wrong function or wrong parameters are a compile error");
    println!("  The plug-in raises a typed error at run time. Here the compiler reports it:");
    println!("    execute(\"count tries\", \"lms::count_tries\", json!({{}}), 3)");
    println!("      error[E0277]: expected a `FnOnce()` closure, found `{{integer}}`");
    println!("    execute(\"count tries\", \"lms::count_tries\", Session, || 3)");
    println!("      error[E0277]: the trait bound `Session: serde::Serialize` is not satisfied");
    // The attribute accepts any argument: without `Serialize`, its `Debug` text is recorded.
    let row = trail.only("input ->> 'section' = 'morning'")?;
    assert_eq!(row["input"], json!({"section": "morning", "turn": "Barrier { .. }"}));
    println!("  An argument of an audited method needs no `Serialize`:");
    trail.show(&row, "method input")
}

fn http_handler(trail: &Trail, staff: &Context) -> Checked {
    heading("HTTP handlers: listed fields are recorded, secrets are masked, the URL is stored");
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

fn admin_list(trail: &Trail) -> Checked {
    heading("The list in the admin pages is a query: search in all columns, filter by outcome");
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
        ["failure", "executed_methods::enrol", "enrol learner", "staff", "courses.example.org"];
    assert_eq!(found[0][..5], expected);
    println!("  {}", sql.replace("\n       ", "\n"));
    println!("  With ?1 = '{search}', it returns one row:");
    print_wrapped("  ", 2, &found[0].join(" | "));
    Ok(())
}

fn append_only(trail: &Trail, staff: &Context) -> Checked {
    heading("Records are append-only: staff can add notes, but never edit or delete");
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
        let refused = trail.db.execute(sql, []).expect_err("the trail is append-only");
        assert_eq!(refused.to_string(), error);
        println!("  {sql}\n    → {refused}");
    }
    assert_eq!(trail.rows("true")?, before);
    Ok(())
}

// ---- Reading the trail ----------------------------------------------------------------------

/// The SQLite file, read as by any other program.
struct Trail<'a> {
    audit: &'a Audit,
    db: Connection,
}

impl Trail<'_> {
    /// The records that match `condition`, oldest first, with JSON columns as JSON.
    fn rows(&self, condition: &str) -> Result<Vec<Value>, Box<dyn Error>> {
        self.audit.flush()?; // waits for the background thread
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

    /// The only record that matches `condition`. Panics if there are none or several.
    fn only(&self, condition: &str) -> Result<Value, Box<dyn Error>> {
        let mut rows = self.rows(condition)?;
        assert_eq!(rows.len(), 1, "{condition}");
        Ok(rows.remove(0))
    }

    /// Prints columns of a record as they are stored in the file.
    fn show(&self, row: &Value, columns: &str) -> Checked {
        for column in columns.split(' ') {
            let sql = format!("SELECT {column} || '' FROM audit_log WHERE seq = ?1");
            let text: Option<String> =
                self.db.query_row(&sql, [row["seq"].as_i64()], |row| row.get(0))?;
            print_column(column, text.as_deref().unwrap_or("(absent)"));
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

fn print_column(name: &str, text: &str) {
    print_wrapped(&format!("  {name:<12}"), 14, text);
}
