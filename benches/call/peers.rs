//! What one would use instead.

use std::hint::black_box;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, SystemTime};

use fastrace::collector::{Config, Reporter, SpanContext, SpanRecord};
use rusqlite::Connection;
use tracing_subscriber::prelude::*;

use crate::bodies::{self, Call, Shape, book};
use crate::measure::{BURST, on_threads};

/// Nothing listens: no subscriber, no recorder.
pub(crate) fn silent(call: Call, shape: Shape) -> f64 {
    // Bursts of so little are longer, or the clock would be what is measured.
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
    // The appender has no flush; a burst fits its buffer, and is written long before the next.
    let rest = || std::thread::sleep(Duration::from_millis(30));
    on_threads(shape, BURST, |run| run(), bodies::instrumented::call(shape), rest)
}

/// What has been traced is collected, and thrown away.
struct Nowhere;

impl Reporter for Nowhere {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        black_box(spans);
    }
}

/// Calls of one trace.
const TRACE: u64 = 100;

pub(crate) fn fastrace(_: &Path, shape: Shape) -> f64 {
    fastrace::set_reporter(Nowhere, Config::default());
    let trace = |number: u64| {
        // The numbers between are those of the calls inside.
        if !number.is_multiple_of(TRACE) {
            return;
        }
        let root = fastrace::Span::root("request", SpanContext::random());
        let _in_root = root.set_local_parent();
        (number..number + TRACE).for_each(bodies::fast);
    };
    on_threads(shape, BURST, |run| run(), trace, fastrace::flush)
}

const TABLE: &str = "CREATE TABLE audit (at INTEGER, took INTEGER, action TEXT, actor TEXT, input TEXT, output TEXT,
        log TEXT);
    CREATE INDEX by_actor ON audit (actor);";
const INSERT: &str = "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

fn database(folder: &Path, synchronous: &str) -> Connection {
    let connection = Connection::open(folder.join("by_hand.db")).expect("a database");
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; {TABLE}"
        ))
        .expect("a table");
    connection
}

/// A row as it is put together by hand.
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
    /// Makes a call, and what is to be recorded of it.
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

/// What many programs do: one insert a call, on the caller's thread.
pub(crate) fn insert(folder: &Path, synchronous: &str, shape: Shape, burst: u32) -> f64 {
    let connection = std::sync::Mutex::new(database(folder, synchronous));
    let call = |number| {
        let row = Row::of_call(number);
        row.insert(&connection.lock().expect("nobody panicked"));
    };
    on_threads(shape, burst, |run| run(), call, || ())
}

enum Message {
    Row(Row),
    Flush(SyncSender<()>),
}

/// What one would write next: a channel, and a thread that stores what comes in batches.
pub(crate) fn channel(folder: &Path, shape: Shape) -> f64 {
    let connection = database(folder, "NORMAL");
    let (sender, receiver) = sync_channel(8_192);
    let writer = std::thread::spawn(move || store_all(connection, &receiver));
    let rest = || {
        let (done, wait) = sync_channel(1);
        sender.send(Message::Flush(done)).expect("the thread is there");
        wait.recv().expect("the thread is there");
    };
    let call =
        |number| sender.send(Message::Row(Row::of_call(number))).expect("the thread is there");
    let time = on_threads(shape, BURST, |run| run(), call, rest);
    drop(sender);
    writer.join().expect("nobody panicked");
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
            done.send(()).expect("somebody waits");
        }
    }
}
