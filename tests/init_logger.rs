//! `audited::init` and the logger of the crate `log`, which is global: the program may set its own
//! logger after `init`.

use std::sync::Mutex;

use audited::audit_method;

static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct OwnLogger;

impl log::Log for OwnLogger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LOGGED.lock().expect("no panic").push(record.args().to_string());
    }

    fn flush(&self) {}
}

#[audit_method(action = "greet")]
fn greet() {
    tracing::info!("from tracing");
    log::debug!("from log");
}

#[test]
fn the_program_can_set_its_logger_after_init() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("audit.db");
    let audit = audited::init(&path).expect("a new file");

    log::set_logger(&OwnLogger).expect("`init` sets no logger");
    log::set_max_level(log::LevelFilter::Debug);
    greet();

    assert_eq!(*LOGGED.lock().expect("no panic"), ["from log"]);
    assert_eq!(log::max_level(), log::LevelFilter::Debug);
    audit.shutdown().expect("the file is closed");
    let log: String = rusqlite::Connection::open(&path)
        .expect("a database")
        .query_row("SELECT log FROM audit_log", [], |row| row.get(0))
        .expect("a row");
    assert!(log.contains("from tracing") && !log.contains("from log"), "{log}");
}
