//! The contenders without `audited`: a tracing log, `fastrace`, and manual code.

use std::hint::black_box;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, SystemTime};

use fastrace::collector::{Config, Reporter, SpanContext, SpanRecord};
use rusqlite::Connection;
use tracing_subscriber::prelude::*;

use crate::bodies::{self, Call, Shape, book};
use crate::measure::{BURST, on_threads};

/// Calls without a subscriber and without a recorder.
pub(crate) fn unobserved(call: Call, shape: Shape) -> f64 {
    // These calls are so short that the clock would dominate a burst of the usual length.
    on_threads(shape, 50 * BURST, |run| run(), call, || ())
}

pub(crate) fn json_lines(folder: &Path, shape: Shape) -> f64 {
    let log = std::fs::File::create(folder.join("log.json")).expect("a log file");
    let (appender, _appending) = tracing_appender::non_blocking::NonBlockingBuilder::default()
        .lossy(false)
        .finish(std::io::BufWriter::new(log));
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().json().with_writer(appender))
        .init();
    // The appender cannot be flushed. A burst fits its buffer and is written during this pause.
    let drain = || std::thread::sleep(Duration::from_millis(30));
    on_threads(shape, BURST, |run| run(), bodies::instrumented::call(shape), drain)
}

/// Discards all spans.
struct NullReporter;

impl Reporter for NullReporter {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        black_box(spans);
    }
}

/// Calls per trace.
const TRACE: u64 = 100;

pub(crate) fn fastrace(_: &Path, shape: Shape) -> f64 {
    fastrace::set_reporter(NullReporter, Config::default());
    let trace = |number: u64| {
        // The first number of each trace stands for all of its calls.
        if !number.is_multiple_of(TRACE) {
            return;
        }
        let root = fastrace::Span::root("request", SpanContext::random());
        let _in_root = root.set_local_parent();
        (number..number + TRACE).for_each(bodies::traced_call);
    };
    on_threads(shape, BURST, |run| run(), trace, fastrace::flush)
}

const TABLE: &str = "CREATE TABLE audit (at INTEGER, took INTEGER, action TEXT, actor TEXT, input TEXT, output TEXT,
        log TEXT);
    CREATE INDEX by_actor ON audit (actor);";
const INSERT: &str = "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

fn database(folder: &Path, synchronous: &str) -> Connection {
    let connection = Connection::open(folder.join("manual.db")).expect("a database");
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; {TABLE}"
        ))
        .expect("a table");
    connection
}

/// A row of the manual audit table.
struct Row {
    at: i64,
    took: i64,
    action: &'static str,
    actor: String,
    input: String,
    output: String,
    log: String,
}

impl Row {
    /// Makes a call and returns its row.
    fn of_call(number: u64) -> Self {
        let at = SystemTime::now();
        let (to, purpose) = (black_box(7), black_box("invoice 4711"));
        let result = book(number, to, purpose);
        let micros = |time: Duration| time.as_micros() as i64;
        Self {
            at: micros(at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
            took: micros(at.elapsed().unwrap_or_default()),
            action: "transfer funds",
            actor: "alice".to_owned(),
            input: serde_json::json!({"from": number, "to": to, "purpose": purpose}).to_string(),
            output: serde_json::to_string(&result.ok()).expect("plain data"),
            log: serde_json::json!([{"message": "booked", "to": to}]).to_string(),
        }
    }

    fn insert(&self, connection: &Connection) {
        connection
            .prepare_cached(INSERT)
            .expect("a statement")
            .execute((
                self.at,
                self.took,
                self.action,
                &self.actor,
                &self.input,
                &self.output,
                &self.log,
            ))
            .expect("a row");
    }
}

/// The simplest manual code: the caller's thread inserts one row per call.
pub(crate) fn insert(folder: &Path, synchronous: &str, shape: Shape, burst: u32) -> f64 {
    let connection = std::sync::Mutex::new(database(folder, synchronous));
    let call = |number| {
        let row = Row::of_call(number);
        row.insert(&connection.lock().expect("no thread panicked"));
    };
    on_threads(shape, burst, |run| run(), call, || ())
}

enum Message {
    Row(Row),
    Flush(SyncSender<()>),
}

/// Faster manual code: a channel to a thread that inserts the rows in batches.
pub(crate) fn channel(folder: &Path, shape: Shape) -> f64 {
    let connection = database(folder, "NORMAL");
    let (sender, receiver) = sync_channel(8_192);
    let writer = std::thread::spawn(move || store_all(connection, &receiver));
    let drain = || {
        let (done, wait) = sync_channel(1);
        sender.send(Message::Flush(done)).expect("the thread is running");
        wait.recv().expect("the thread is running");
    };
    let call =
        |number| sender.send(Message::Row(Row::of_call(number))).expect("the thread is running");
    let time = on_threads(shape, BURST, |run| run(), call, drain);
    drop(sender);
    writer.join().expect("no thread panicked");
    time
}

fn store_all(mut connection: Connection, receiver: &Receiver<Message>) {
    while let Ok(first) = receiver.recv() {
        let transaction = connection.transaction().expect("a transaction");
        let mut done = None;
        for message in std::iter::once(first).chain(receiver.try_iter().take(4_095)) {
            match message {
                Message::Row(row) => row.insert(&transaction),
                Message::Flush(sender) => done = Some(sender),
            }
        }
        transaction.commit().expect("a commit");
        if let Some(done) = done {
            done.send(()).expect("the other end waits");
        }
    }
}
